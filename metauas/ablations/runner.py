"""Run notebooks with parameters: one of them, or the whole suite in order."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import papermill
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from papermill.exceptions import PapermillExecutionError
from rich.console import Console
from traitlets import default

from metauas.ablations.notebooks import PACKAGE, declared_parameters, find_notebooks, package_folder, read_cells
from metauas.ablations.parameters import located, merged, read_for_notebooks, split_parameters
from metauas.errors import InputError, check_choice
from metauas.files import atomic_path, write_json
from metauas.files.locks import alone_in

STARTS = 3
KERNEL = "python3"  # the name that the notebooks' metadata give


class NotebookFailedError(RuntimeError):
    """A notebook stopped with an error; its cells so far are kept as ``<stem>.failed.ipynb``."""


def run_notebook(
    notebook: str | Path, *, output: str | Path, parameters: Mapping[str, Any], timeout: int | None = None
) -> Path:
    """Run one notebook in a new kernel, in the notebook's folder, and return the executed notebook.

    All resolved parameters are written to ``<stem>.parameters.json`` next to ``output``: papermill itself records only
    changed ones.

    Args:
        notebook: the source, which is never written to.
        output: the executed notebook, complete or absent.
        parameters: values of parameters that the notebook declares.
        timeout: seconds that one cell may take; None sets no limit, since a whole training is one cell.

    Raises:
        InputError: the notebook does not declare a parameter, a value has another type, or ``output`` is the notebook.
        NotebookFailedError: naming notebook, cell and error.
    """
    source, target = Path(notebook).resolve(), Path(output).resolve()
    given = split_parameters(parameters, [source])[source.stem]
    if target == source:
        raise InputError(f"the output {target} is the notebook itself; choose another folder")
    failed = target.with_name(f"{target.stem}.failed.ipynb")
    for stale in (target, failed):
        stale.unlink(missing_ok=True)
    write_json(target.with_name(f"{target.stem}.parameters.json"), merged(declared_parameters(source), given))
    with atomic_path(target) as temporary:
        try:
            with kernel_environment(**{PACKAGE: package_folder()}):
                _start(source, temporary, given, timeout)
        except InputError:
            raise
        except Exception as error:
            cell = _failed_cell(temporary)
            temporary.chmod(0o644)  # as what succeeds has: not for its owner alone
            temporary.replace(failed)
            raise NotebookFailedError(f"{source.name} failed in {cell}: {_last_line(error)}; see {failed}") from error
    return target


def run_suite(
    parameters_file: str | Path | None,
    out: str | Path,
    *,
    only: Sequence[str] | None = None,
    timeout: int | None = None,
) -> list[Path]:
    """Run the notebooks in order, each with its own keys of one parameter file, and return the executed ones.

    Every notebook gets ``run_dir=<out>`` and writes into ``<out>/<stem>/``.

    Args:
        parameters_file: a YAML file; None keeps the defaults of the notebooks.
        out: the run folder, which also holds the executed notebooks.
        only: run just these, named by stem (``03_train``) or folder of the package (``train``).
        timeout: as in ``run_notebook``.

    Raises:
        InputError: before any work: no notebook declares a key of the file, a value has another type, or another run is
            writing into ``out``.
        NotebookFailedError: at the first notebook that fails; the later ones are not run.
    """
    notebooks = find_notebooks()
    chosen = _choose(notebooks, only)
    given = read_for_notebooks(parameters_file, notebooks)
    console = Console(highlight=False, markup=False)
    executed = []
    with alone_in(Path(out).resolve()) as folder, kernel_environment(TQDM_DISABLE="1"):
        for number, notebook in enumerate(chosen, start=1):
            console.print(f"{number}/{len(chosen)}  {notebook.stem} …", end=" ")
            start = time.perf_counter()
            values = {**located(given[notebook.stem]), "run_dir": str(folder)}
            executed.append(run_notebook(notebook, output=folder / notebook.name, parameters=values, timeout=timeout))
            console.print(f"{time.perf_counter() - start:.1f} s")
    return executed


@contextmanager
def kernel_environment(**variables: str) -> Iterator[None]:
    """Set environment variables, which kernels inherit, inside the block; those already set are kept."""
    added = {name: value for name, value in variables.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def _start(source: Path, target: Path, parameters: Mapping[str, Any], timeout: int | None) -> None:
    """Execute a notebook; try again if its kernel died before the first cell, as two kernels may choose one port."""
    for starts_left in reversed(range(STARTS)):
        try:
            _execute(source, target, parameters, timeout)
        except RuntimeError:
            if _started_cells(target) or not starts_left:
                raise
        else:
            return


def _execute(source: Path, target: Path, parameters: Mapping[str, Any], timeout: int | None) -> None:
    papermill.execute_notebook(
        str(source),
        str(target),
        parameters=dict(parameters),
        kernel_name=KERNEL,
        kernel_manager_class=OwnKernelManager,
        progress_bar=False,
        log_output=False,
        execution_timeout=timeout,
        # without the kernel's own warning of local sockets at each start
        extra_arguments=["--IPKernelApp.log_level=50"],
        # the kernel's working folder; papermill's `cwd` would change that of this process, for all threads
        resources={"metadata": {"path": str(source.parent)}},
    )


def _choose(notebooks: Sequence[Path], only: Sequence[str] | None) -> list[Path]:
    """Return the notebooks named by stem or folder of the package, in the order of the suite; all of them for None."""
    if only is None:
        return list(notebooks)
    stems = {name: notebook for notebook in notebooks for name in (notebook.stem, notebook.stem[3:])}
    wanted = {stems[check_choice(name="notebook", value=name, choices=stems)] for name in only}
    return [notebook for notebook in notebooks if notebook in wanted]


def _failed_cell(notebook: Path) -> str:
    """Return a name of the cell that failed, counted as in Jupyter."""
    started = _started_cells(notebook)
    if not started:
        return "its kernel before the first cell"
    first_line = next(iter(started[-1].splitlines()), "")
    return f"cell {len(started)} (`{first_line}`)"


def _started_cells(notebook: Path) -> list[str]:
    """Return the source of each code cell that has started, by papermill's metadata."""
    cells = read_cells(notebook) if notebook.stat().st_size else []
    code = [cell for cell in cells if cell.kind == "code"]
    return [cell.source for cell in code if cell.metadata.get("papermill", {}).get("start_time")]


def _last_line(error: Exception) -> str:
    if isinstance(error, PapermillExecutionError):
        return f"{error.ename}: {error.evalue}"
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"


# --- kernels


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
