"""Checkpoints: a folder with ``model.safetensors`` and, for people, ``config.json``.

The weights file holds its configuration in its own header as well, so that it is complete by itself and the two can
never disagree: the header is what is read.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from metauas.errors import InputError
from metauas.files import atomic_path, require_file, write_json
from metauas.model.config import ModelConfig
from metauas.model.network import MetaUAS
from metauas.released import released_names, resolve_checkpoint

WEIGHTS_NAME = "model.safetensors"
CONFIG_NAME = "config.json"
OFFICIAL_SUFFIXES = (".ckpt", ".pth", ".pt")
_SHOWN = 5  # names listed in an error before "and n more"


def save_checkpoint(model: MetaUAS, folder: str | Path) -> Path:
    """Write weights and configuration into ``folder``, each file atomically, and return the folder.

    Raises:
        InputError: the network is a fast copy.
    """
    model.check_original()
    target = Path(folder)
    config = model.config.model_dump()
    write_tensors(target / WEIGHTS_NAME, model.state_dict(), header={"config": config})
    write_json(target / CONFIG_NAME, config)
    return target


def load_checkpoint(path: str | Path, *, preset: str | None = None) -> MetaUAS:
    """Load a network from a checkpoint folder, its weights file or an official one, in evaluation mode, on the CPU.

    Args:
        path: ``nano``, the weights that come with the package; the folder written by ``save_checkpoint``, the
            ``.safetensors`` file in it; or one of the author's checkpoints (``.ckpt``, ``.pth``, ``.pt``; see
            ``load_official``).
        preset: if given, the preset that the checkpoint must be of.

    Raises:
        InputError: the file is missing, damaged, of another preset, or does not fit its own configuration.
    """
    if _is_official(path):
        from metauas.model.official import load_official  # only now: it is built upon this file

        check_preset("b4", wanted=preset, path=path)
        return load_official(path)
    header, tensors = read_tensors(weights_file(path))
    config = _config_of(header, path=path)
    check_preset(config.preset, wanted=preset, path=path)
    model = MetaUAS(config.model_copy(update={"encoder_weights": "random"}))
    load_state(model, tensors, origin=str(path))
    model.config = config
    return model.eval()


def weights_file(path: str | Path) -> Path:
    """Return the weights file that ``path`` (a checkpoint folder, the file itself, a released name) stands for."""
    given = resolve_checkpoint(path)
    return require_file(
        given / WEIGHTS_NAME if given.is_dir() else given,
        hint=f"give a checkpoint folder with {WEIGHTS_NAME} in it, as 03_train writes, that file, or the name of "
        f"released weights: {', '.join(released_names())}",
    )


def load_state(model: torch.nn.Module, tensors: Mapping[str, Tensor], *, origin: str) -> None:
    """Load all tensors, refusing partial matches.

    Raises:
        InputError: listing what is missing, unexpected or of another shape.
    """
    check_fit(model.state_dict(), tensors, origin=origin)
    model.load_state_dict(dict(tensors))


def check_fit(expected: Mapping[str, Tensor], tensors: Mapping[str, Tensor], *, origin: str, hint: str = "") -> None:
    """Compare names and shapes; ``hint`` says what would be right.

    Raises:
        InputError: listing what is missing, unexpected or of another shape.
    """
    wrong = {
        "missing": sorted(expected.keys() - tensors.keys()),
        "unexpected": sorted(tensors.keys() - expected.keys()),
        "of another shape": sorted(
            f"{name} {tuple(tensors[name].shape)} instead of {tuple(expected[name].shape)}"
            for name in expected.keys() & tensors.keys()
            if expected[name].shape != tensors[name].shape
        ),
    }
    if any(wrong.values()):
        parts = [f"{k}: {_some(v)}" for k, v in wrong.items() if v] + ([hint] if hint else [])
        raise InputError(f"{origin} does not fit this network: " + "; ".join(parts))


def write_tensors(path: str | Path, tensors: Mapping[str, Tensor], *, header: Mapping[str, Any]) -> None:
    """Write tensors and a JSON header into one safetensors file, atomically.

    Raises:
        OutputError: as ``atomic_path``.
    """
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic_path(path, durable=True) as temporary:
        try:
            save_file(contiguous, temporary, metadata={key: json.dumps(value) for key, value in header.items()})
        except SafetensorError as error:  # its words for a full disk
            raise OSError(str(error)) from error


def read_tensors(path: str | Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read the header and the tensors of a safetensors file; nothing in it is executed.

    Raises:
        InputError: the file is damaged or no safetensors file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = {key: json.loads(value) for key, value in (file.metadata() or {}).items() if key != "format"}
            return header, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dictionary)
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"{path} cannot be read as safetensors ({error}); it may be incomplete: copy it anew"
        ) from error


def _is_official(path: str | Path) -> bool:
    return Path(path).suffix.lower() in OFFICIAL_SUFFIXES and not Path(path).is_dir()


def check_preset(found: str, *, wanted: str | None, path: str | Path) -> None:
    """Refuse a checkpoint at ``path`` of another preset than the one that is wanted, if any is.

    Raises:
        InputError: naming both.
    """
    if wanted is not None and found != wanted:
        raise InputError(f"checkpoint {path} is of preset {found!r}, not {wanted!r}; set preset={found!r}")


def _config_of(header: Mapping[str, Any], *, path: str | Path) -> ModelConfig:
    if "config" not in header:
        raise InputError(f"{path} holds no metauas configuration; only checkpoints written by metauas can be loaded")
    return ModelConfig.parse(header["config"], origin=f"configuration in {path}")


def _some(names: list[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
