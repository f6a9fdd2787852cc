"""The kernel of notebooks: the interpreter of this process, not one that the machine has registered."""

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from traitlets import default

from metauas.errors import InputError

KERNEL = "python3"  # the name that the notebooks' metadata give


class OwnKernelSpecs(KernelSpecManager):
    """Kernel specs in which ``python3`` is this interpreter, never that of another environment."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        """Return the spec of a kernel.

        Raises:
            InputError: ipykernel is not installed in this environment.
        """
        if kernel_name != KERNEL:
            return super().get_kernel_spec(kernel_name)
        try:
            from ipykernel.kernelspec import RESOURCES, get_kernel_dict
        except ImportError as error:
            raise InputError(f"notebooks need ipykernel ({error}); install it: pip install ipykernel") from error
        return KernelSpec(resource_dir=RESOURCES, **get_kernel_dict())


class OwnKernelManager(AsyncKernelManager):
    """Starts kernels on this interpreter, for nbclient and papermill."""

    @default("kernel_spec_manager")
    def _kernel_spec_manager_default(self) -> KernelSpecManager:
        return OwnKernelSpecs()
