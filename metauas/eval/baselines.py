"""Baselines without training: comparison of query and prompt by pixels or by features of a pretrained encoder."""

from collections.abc import Callable
from functools import cache

import cv2
import numpy as np
import torch
from jaxtyping import Float
from skimage.metrics import structural_similarity
from torch import Tensor

from metauas.errors import InputError
from metauas.model import EncoderSimilarity

BLUR = 0.02  # standard deviation as a share of the shorter side: 5 pixels at 256
SSIM_WINDOW = 7  # scikit-image's default

Picture = Float[np.ndarray, "3 h w"]


def pixel_difference(queries: Float[Tensor, "b 3 h w"], prompt: Float[Tensor, "p 3 h w"]) -> Float[Tensor, "b 1 h w"]:
    """Return the absolute difference, mean over the channels, blurred by 2 % of the shorter side.

    Args:
        queries: images under test (B, 3, H, W) in [0, 1].
        prompt: one normal image for all queries, or one for each, (1 or B, 3, H, W).

    Returns:
        Maps (B, 1, H, W) in [0, 1].

    Raises:
        InputError: sizes differ, or there is neither one prompt nor one for each query.
    """
    return _compare_each(_blurred_difference, queries, prompt)


def ssim_difference(queries: Float[Tensor, "b 3 h w"], prompt: Float[Tensor, "p 3 h w"]) -> Float[Tensor, "b 1 h w"]:
    """Return (1 - SSIM) / 2 per pixel, mean over the channels, by scikit-image (Wang et al., 2004).

    Arguments, result and errors are those of :func:`pixel_difference`; images below 7 × 7 pixels are an error, too.
    """
    if min(queries.shape[-2:]) < SSIM_WINDOW:
        raise InputError(f"SSIM needs {SSIM_WINDOW} × {SSIM_WINDOW} pixels, got {tuple(queries.shape[-2:])}")
    return _compare_each(_structural_difference, queries, prompt)


def nearest_features(queries: Float[Tensor, "b 3 h w"], prompt: Float[Tensor, "p 3 h w"]) -> Float[Tensor, "b 1 h w"]:
    """Return ½ (1 − the highest cosine with any position of the prompt) of EfficientNet-Lite0's ImageNet features.

    Features of stride 8 and 16 are averaged over 3 × 3 positions; the maps of both strides are averaged. This is
    PatchCore (Roth et al., CVPR 2022) with one prompt as memory bank, and WinCLIP's association map (Jeong et al.,
    CVPR 2023) with another encoder. Arguments and result are those of :func:`pixel_difference`.
    """
    return _similarity().to(queries.device).segment(queries, prompt).to(queries)


@cache
def _similarity() -> EncoderSimilarity:
    return EncoderSimilarity()


BASELINES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "nearest features": nearest_features,
    "pixel difference": pixel_difference,
    "SSIM": ssim_difference,
}


def _compare_each(compare: Callable[[np.ndarray, np.ndarray], np.ndarray], queries: Tensor, prompt: Tensor) -> Tensor:
    if prompt.shape[0] not in (1, queries.shape[0]):
        raise InputError(f"{prompt.shape[0]} prompts for {queries.shape[0]} queries; give one, or one for each")
    if prompt.shape[-2:] != queries.shape[-2:]:
        sizes = f"prompt is {tuple(prompt.shape[-2:])}, queries are {tuple(queries.shape[-2:])}"
        raise InputError(f"{sizes}; resize both to one size with metauas.files.images.resize_images")
    first, second = (batch.detach().cpu().numpy() for batch in (queries, prompt.expand_as(queries)))
    maps = np.stack([compare(query, normal) for query, normal in zip(first, second, strict=True)])
    return torch.from_numpy(np.clip(maps, 0, 1))[:, None].to(queries)


def _blurred_difference(query: Picture, prompt: Picture) -> Float[np.ndarray, "h w"]:
    difference = np.abs(query - prompt).mean(axis=0)
    return np.asarray(cv2.GaussianBlur(difference, (0, 0), BLUR * min(difference.shape)))


def _structural_difference(query: Picture, prompt: Picture) -> Float[np.ndarray, "h w"]:
    _, similarity = structural_similarity(  # type: ignore[no-untyped-call]
        query, prompt, win_size=SSIM_WINDOW, channel_axis=0, data_range=1, full=True
    )
    return np.asarray((1 - similarity.mean(axis=0)) / 2)
