"""Views of query and prompt: reduced, mirrored, centred or registered, segmented one by one; the mean logits count."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from metauas.model.config import ModelConfig

Piece = TypeVar("Piece")

_LEAST_SIDE = 32  # pixels of a reduced image
_GREY = 0.45  # what a centred image has for a mean, about that of photographs


@dataclass(frozen=True)
class View:
    """One way to look at query and prompt alike.

    Attributes:
        reduction: whole number by which both sides are divided.
        mirrored: the dimensions that run backwards: -1 left to right, -2 top to bottom.
        centred: whether each channel is moved to one mean, whatever the light was.
        near: whether the prompt is registered to the query first (``metauas.model.registration``), and each place of
            the query then compared with what is near the same place only.
    """

    reduction: int = 1
    mirrored: tuple[int, ...] = ()
    centred: bool = False
    near: bool = False

    @property
    def suffix(self) -> str:
        """What tells this view's tensors from others by name: nothing for the whole, else such as ``_reduced2``."""
        axes = "".join(name for dimension, name in ((-1, "x"), (-2, "y")) if dimension in self.mirrored)
        reduced = f"_reduced{self.reduction}" if self.reduction > 1 else ""
        return reduced + (f"_mirrored_{axes}" if axes else "") + ("_centred" if self.centred else "")

    def of(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h2 w2"]:
        """Return the images as they are seen; what the reduction does not divide is padded first."""
        seen = images - images.mean(dim=(-2, -1), keepdim=True) + _GREY if self.centred else images
        seen = seen.flip(self.mirrored) if self.mirrored else seen
        return seen if self.reduction == 1 else F.avg_pool2d(divisible(seen, self.reduction), self.reduction)

    def back(self, maps: Float[Tensor, "b 1 h2 w2"], *, like: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 1 h w"]:
        """Return maps of the view, or of the view and its padding, where they belong in the images."""
        height, width = like.shape[-2:]
        if self.reduction > 1:
            rows, columns = (-(-side // self.reduction) for side in (height, width))
            maps = F.interpolate(maps[..., :rows, :columns], scale_factor=self.reduction, mode="bilinear")
        placed = maps[..., :height, :width]
        return placed.flip(self.mirrored) if self.mirrored else placed


WHOLE = View()
_NEAR = View(near=True)

_MIRRORS = ((), (-1,), (-2,), (-2, -1))
#: Each choice's views at one reduction. Of ``mirrored-centred`` two forget the light and two do not, for a colour that
#: is wrong all over is a defect as well. Of ``registered`` one of either is ``near`` and one is not: what has no place
#: of its own, as in textures, may lie anywhere.
VIEWS = {
    "one": (WHOLE,),
    "mirrored": tuple(View(mirrored=mirror) for mirror in _MIRRORS),
    "mirrored-centred": tuple(View(mirrored=mirror, centred=len(mirror) == 1) for mirror in _MIRRORS),
    "registered": tuple(View(mirrored=mirror, centred=len(mirror) == 1, near=-2 in mirror) for mirror in _MIRRORS),
}


def views_of(images: Tensor, config: ModelConfig, *, learning: bool = False, learn_near: bool = False) -> list[View]:
    """Return a network's views of images of one size, large before small.

    Reductions that would leave less than 32 pixels of the images are left out, but for the first one. Mirrors are for
    use only: to learn from them would take four times as long as from new pairs. With ``learn_near`` a network that is
    learning looks at the registered prompt as well.
    """
    side = min(images.shape[-2:])
    first, *further = config.reductions
    reductions = [first, *(factor for factor in further if side >= _LEAST_SIDE * factor)]
    learnt = (WHOLE, _NEAR) if learn_near else (WHOLE,)
    views = learnt if learning else VIEWS[config.views]
    return [replace(view, reduction=factor) for factor in reductions for view in views]


def split(views: Sequence[View]) -> tuple[list[View], list[View]]:
    """Return the views for which a prompt can be encoded once for all queries, and those ``near``."""
    return [view for view in views if not view.near], [view for view in views if view.near]


def average(
    maps: Sequence[Float[Tensor, "b 1 h w"]],
    *,
    near: Sequence[Float[Tensor, "b 1 h w"]] = (),
    worth: Float[Tensor, "b 1 h w"] | float = 1.0,
) -> Float[Tensor, "b 1 h w"]:
    """Return the mean of maps or logits of one size; a single one as it is.

    Args:
        maps: of views that know of the whole query, at least one.
        near: of views ``near``.
        worth: how much each of these counts, from 0 to 1 (``registration.lay``).
    """
    if near:
        total = torch.stack(list(maps)).sum(dim=0) + worth * torch.stack(list(near)).sum(dim=0)
        return total / (len(maps) + worth * len(near))
    return torch.stack(list(maps)).mean(dim=0) if len(maps) > 1 else maps[0]


def by_view(pieces: Sequence[Piece], count: int) -> Iterator[tuple[Piece, ...]]:
    """Yield the ``count`` pieces of each view in turn."""
    for start in range(0, len(pieces), count):
        yield tuple(pieces[start : start + count])


def with_each(
    query: Float[Tensor, "b c h w"], prompt: Float[Tensor, "b k c2 h2 w2"]
) -> tuple[Float[Tensor, "bk c h w"], Float[Tensor, "bk c2 h2 w2"]]:
    """Return queries and prompts, or features of theirs, so that each query meets each of its K prompts in turn."""
    each = query[:, None].expand(-1, prompt.shape[1], -1, -1, -1)
    return each.flatten(0, 1), prompt.flatten(0, 1)


def divisible(images: Float[Tensor, "b 3 h w"], divisor: int) -> Float[Tensor, "b 3 h2 w2"]:
    """Repeat the lower and right border until a number divides both sides."""
    bottom, right = (-side % divisor for side in images.shape[-2:])
    return F.pad(images, (0, right, 0, bottom), mode="replicate") if bottom or right else images
