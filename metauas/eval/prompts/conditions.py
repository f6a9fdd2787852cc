"""Conditions under which prompts are given: as they are, or changed to see how much the network minds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from metauas.errors import InputError

#: Prompt images (K, 3, H, W) in [0, 1] and a generator in, changed images of the same shape and range out.
Change = Callable[[Tensor, np.random.Generator], Tensor]


@dataclass(frozen=True)
class Condition:
    """One way to give prompts.

    Attributes:
        name: as it stands in tables.
        change: what is done to the K images (K, 3, H, W) of a prompt. Its generator is seeded by the prompt's seed and
            files, the category and the condition's name, so that neither batches nor order change what it draws.
    """

    name: str
    change: Change


def turned_prompt(degrees: float) -> Condition:
    """Return the condition that prompts are turned by ``degrees``; by 0, they are given as they are."""
    return Condition(f"prompt turned {degrees:g}°", lambda images, _: turned(images, degrees=degrees))


def check_conditions(conditions: Sequence[Condition]) -> list[Condition]:
    """Return the conditions if there are any and no two share a name.

    Raises:
        InputError: otherwise; tables could not tell them apart.
    """
    names = [condition.name for condition in conditions]
    if not names:
        raise InputError("there is no condition to evaluate under; give at least one")
    if twice := {name for name in names if names.count(name) > 1}:
        raise InputError(f"conditions share the name {', '.join(sorted(twice))!r}; give each its own, or only one")
    return list(conditions)


def turned(prompts: Float[Tensor, "b 3 h w"], *, degrees: float) -> Float[Tensor, "b 3 h w"]:
    """Turn prompts counter-clockwise about their centre; empty corners take the mean colour of the own border."""
    if degrees == 0:
        return prompts
    height, width = prompts.shape[-2:]
    return _warped(prompts, cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0))


def shifted(prompts: Float[Tensor, "b 3 h w"], *, share: float) -> Float[Tensor, "b 3 h w"]:
    """Move prompts to the right by a share of their width, in whole pixels so that nothing is blurred by it.

    What becomes empty takes the mean colour of the own border.
    """
    pixels = round(share * prompts.shape[-1])
    return prompts if pixels == 0 else _warped(prompts, np.array([[1.0, 0.0, pixels], [0.0, 1.0, 0.0]]))


def scaled(prompts: Float[Tensor, "b 3 h w"], *, factor: float) -> Float[Tensor, "b 3 h w"]:
    """Enlarge (above 1) or shrink prompts about their centre; an empty rim takes the mean colour of the own border."""
    height, width = prompts.shape[-2:]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), 0.0, factor)
    return prompts if factor == 1 else _warped(prompts, matrix)


def blurred(prompts: Float[Tensor, "b 3 h w"], *, sigma: float) -> Float[Tensor, "b 3 h w"]:
    """Blur prompts by a Gaussian of ``sigma`` pixels, mirrored at the border."""
    if sigma == 0:
        return prompts
    return torch.stack([_from_pixels(cv2.GaussianBlur(_to_pixels(prompt), (0, 0), sigma)) for prompt in prompts])


def brightened(prompts: Float[Tensor, "b 3 h w"], *, added: float) -> Float[Tensor, "b 3 h w"]:
    """Add ``added`` to all colours of prompts, and clip to [0, 1]."""
    return prompts if added == 0 else (prompts + added).clamp(0, 1)


def _warped(prompts: Float[Tensor, "b 3 h w"], matrix: Float[np.ndarray, "2 3"]) -> Float[Tensor, "b 3 h w"]:
    return torch.stack([_warped_one(prompt, matrix) for prompt in prompts])


def _warped_one(prompt: Float[Tensor, "3 h w"], matrix: Float[np.ndarray, "2 3"]) -> Float[Tensor, "3 h w"]:
    border = torch.cat([prompt[:, 0, :], prompt[:, -1, :], prompt[..., 0], prompt[..., -1]], dim=-1)
    height, width = prompt.shape[1:]
    colour = border.mean(dim=1).tolist()
    return _from_pixels(cv2.warpAffine(_to_pixels(prompt), matrix, (width, height), borderValue=colour))


def _to_pixels(image: Float[Tensor, "3 h w"]) -> Float[np.ndarray, "h w 3"]:
    return np.ascontiguousarray(image.permute(1, 2, 0).numpy())


def _from_pixels(pixels: Float[np.ndarray, "h w 3"]) -> Float[Tensor, "3 h w"]:
    return torch.from_numpy(pixels).permute(2, 0, 1)
