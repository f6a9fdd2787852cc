"""Inpainting with LaMa (Suvorov et al., WACV 2022), which continues repeating structure over large holes."""

import hashlib
import os
import warnings
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float32

from metauas.errors import InputError
from metauas.files import require_file
from metauas.files.images import to_tensor
from metauas.machine import choose_device
from metauas.synthesis.changes.inpainting import keep_outside, pad_to_multiple

_STRIDE = 8  # the network halves its input three times
_PROBE = 64  # pixels of the image on which a file is tried
_MD5 = "e3aa4aaa15225a33ec84f9f4bc47e500"
_TRUST = "METAUAS_TRUST_TORCHSCRIPT"
_WHERE = (
    "LaMa as TorchScript is https://github.com/Sanster/models/releases/download/add_big_lama/big-lama.pt "
    f"(206 MB, MD5 {_MD5})"
)


def _check_published(path: Path) -> None:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if digest != _MD5:
        raise InputError(
            f"{path} is not the published file (its MD5 is {digest}), and TorchScript is a program that would be "
            f"executed; if you trust whoever made it, set {_TRUST}=1 or give trusted=True. {_WHERE}"
        )


class LamaInpainter:
    """Fills regions with LaMa in one pass of the network, without a prompt and without randomness.

    The file is the TorchScript export ``big-lama.pt`` of https://github.com/Sanster/models, made of the official
    weights of https://github.com/advimman/lama (Apache 2.0). Its ``forward(image, mask)`` takes (1, 3, H, W) in [0, 1]
    and (1, 1, H, W) of {0, 1} and returns (1, 3, H, W) in [0, 1]. Images are mirrored to multiples of 8 pixels.

    TorchScript is a program that can read and write files. So by default only the published file is opened, which is
    known by its checksum. For another file, give ``trusted=True`` or set ``METAUAS_TRUST_TORCHSCRIPT=1``. A recipe
    cannot set either.

    A pickled inpainter does not hold the network; it is read again at the first use.

    Args:
        path: the TorchScript file.
        device: ``auto`` or a device of torch.
        feather: pixels around the mask over which filling and original are blended.
        trusted: open the file even if it is not the published one.

    Raises:
        InputError: the file is missing, damaged, not trusted, no TorchScript, or another network.
    """

    def __init__(self, path: str | Path, *, device: str = "auto", feather: int = 4, trusted: bool = False) -> None:
        if feather < 0:
            raise InputError(f"feather={feather}: give 0 pixels or more")
        self.path = require_file(path, hint=_WHERE)
        if not trusted and os.environ.get(_TRUST) != "1":
            _check_published(self.path)
        self.device = choose_device(device)
        self.feather = feather
        self._fill(np.zeros((_PROBE, _PROBE, 3), np.float32), np.ones((_PROBE, _PROBE), bool))

    @cached_property
    def network(self) -> Any:
        """The loaded network."""
        try:
            with warnings.catch_warnings():
                # torch.jit is deprecated for writing new models, yet the only reader of this one
                warnings.simplefilter("ignore", FutureWarning)
                warnings.simplefilter("ignore", DeprecationWarning)
                return torch.jit.load(str(self.path), map_location=self.device).eval()
        except Exception as error:  # torch's reader meets garbage with RuntimeError, ValueError and others
            raise InputError(f"{self.path} cannot be read as TorchScript ({error}); copy it again. {_WHERE}") from error

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "network"}

    def __call__(
        self, image: Float32[np.ndarray, "h w 3"], mask: Bool[np.ndarray, "h w"], *, rng: np.random.Generator
    ) -> Float32[np.ndarray, "h w 3"]:
        """Return ``image`` (H, W, 3) in [0, 1] with the masked region filled in; nothing is drawn from ``rng``."""
        if not mask.any():
            return image.copy()
        return keep_outside(image, self._fill(image, mask), mask=mask, feather=self.feather)

    @torch.inference_mode()
    def _fill(self, image: np.ndarray, mask: np.ndarray) -> Float32[np.ndarray, "h w 3"]:
        height, width = mask.shape
        picture = to_tensor(pad_to_multiple(image, _STRIDE))[None].to(self.device)
        hole = torch.from_numpy(pad_to_multiple(mask, _STRIDE))[None, None].to(picture)
        network = self.network
        try:
            filled = network(picture, hole)
        except Exception as error:  # another network may raise any error
            raise InputError(
                f"{self.path} is no LaMa: it cannot take an image and a mask ({error}). {_WHERE}"
            ) from error
        if not isinstance(filled, torch.Tensor) or filled.shape != picture.shape or not filled.isfinite().all():
            raise InputError(f"{self.path} is no LaMa: it does not return an image of the given size. {_WHERE}")
        return np.asarray(filled[0].permute(1, 2, 0).float().cpu().numpy()[:height, :width])
