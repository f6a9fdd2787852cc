"""Conditions of prompts: unchanged, or changed to measure the robustness of a network."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from metauas.errors import InputError

#: Maps prompt images (K, 3, H, W) in [0, 1] and a generator to changed images of the same shape and range.
Change = Callable[[Tensor, np.random.Generator], Tensor]


@dataclass(frozen=True)
class Condition:
    """A change of prompts.

    Attributes:
        name: its name in tables.
        change: applied to the K images (K, 3, H, W) of a prompt. Its generator is seeded by the prompt's seed and
            files, the category and the condition's name, and so independent of batches and order.
    """

    name: str
    change: Change


def turned_prompt(degrees: float) -> Condition:
    """Return the condition in which prompts are rotated by ``degrees``; 0 leaves them unchanged."""
    return Condition(f"prompt turned {degrees:g}°", lambda images, _: turned(images, degrees=degrees))


def check_conditions(conditions: Sequence[Condition]) -> list[Condition]:
    """Return the conditions.

    Raises:
        InputError: there is none, or two share a name, by which tables distinguish them.
    """
    names = [condition.name for condition in conditions]
    if not names:
        raise InputError("there is no condition to evaluate under; give at least one")
    if twice := {name for name in names if names.count(name) > 1}:
        raise InputError(f"conditions share the name {', '.join(sorted(twice))!r}; give each its own, or only one")
    return list(conditions)


def turned(prompts: Float[Tensor, "b 3 h w"], *, degrees: float) -> Float[Tensor, "b 3 h w"]:
    """Rotate prompts counter-clockwise about their centre; empty corners get the mean colour of their border."""
    return prompts if degrees == 0 else _warped(prompts, _about_centre(prompts, degrees=degrees))


def shifted(prompts: Float[Tensor, "b 3 h w"], *, share: float) -> Float[Tensor, "b 3 h w"]:
    """Shift prompts to the right by a share of their width, in whole pixels, so that nothing is blurred.

    The empty part gets the mean colour of their border.
    """
    pixels = round(share * prompts.shape[-1])
    return prompts if pixels == 0 else _warped(prompts, np.array([[1.0, 0.0, pixels], [0.0, 1.0, 0.0]]))


def scaled(prompts: Float[Tensor, "b 3 h w"], *, factor: float) -> Float[Tensor, "b 3 h w"]:
    """Enlarge (above 1) or shrink prompts about their centre; an empty rim gets the mean colour of their border."""
    return prompts if factor == 1 else _warped(prompts, _about_centre(prompts, factor=factor))


def blurred(prompts: Float[Tensor, "b 3 h w"], *, sigma: float) -> Float[Tensor, "b 3 h w"]:
    """Blur prompts with a Gaussian of ``sigma`` pixels, mirrored at the border."""
    if sigma == 0:
        return prompts
    return torch.stack([_from_pixels(cv2.GaussianBlur(_to_pixels(prompt), (0, 0), sigma)) for prompt in prompts])


def brightened(prompts: Float[Tensor, "b 3 h w"], *, added: float) -> Float[Tensor, "b 3 h w"]:
    """Add ``added`` to all colours of prompts, and clip to [0, 1]."""
    return prompts if added == 0 else (prompts + added).clamp(0, 1)


def _about_centre(prompts: Tensor, *, degrees: float = 0.0, factor: float = 1.0) -> Float[np.ndarray, "2 3"]:
    height, width = prompts.shape[-2:]
    return np.asarray(cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, factor))


def _warped(prompts: Float[Tensor, "b 3 h w"], matrix: Float[np.ndarray, "2 3"]) -> Float[Tensor, "b 3 h w"]:
    """Move each prompt by ``matrix``; what it leaves empty gets the mean colour of its border."""
    height, width = prompts.shape[-2:]
    warped = []
    for prompt in prompts:
        border = torch.cat([prompt[:, 0, :], prompt[:, -1, :], prompt[..., 0], prompt[..., -1]], dim=-1)
        colour = border.mean(dim=1).tolist()
        warped.append(_from_pixels(cv2.warpAffine(_to_pixels(prompt), matrix, (width, height), borderValue=colour)))
    return torch.stack(warped)


def _to_pixels(image: Float[Tensor, "3 h w"]) -> Float[np.ndarray, "h w 3"]:
    return np.ascontiguousarray(image.permute(1, 2, 0).numpy())


def _from_pixels(pixels: Float[np.ndarray, "h w 3"]) -> Float[Tensor, "3 h w"]:
    return torch.from_numpy(pixels).permute(2, 0, 1)
