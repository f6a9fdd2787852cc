"""From a category and a prompt strategy to anomaly maps."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from metauas.errors import InputError
from metauas.eval.layouts import Benchmark, Category, load_sample
from metauas.eval.prompts import NearestPrompts, random_prompts
from metauas.eval.settings import EvalSettings
from metauas.images import stack_images
from metauas.model import MetaUAS

#: Queries (B, 3, H, W) and prompts (1 or B, 3, H, W) in, maps (B, 1, H, W) out.
Segmenter = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class TestImages:
    """The test images of one category.

    Attributes:
        images: (N, 3, H, W) float32 in [0, 1].
        masks: (N, H, W), True where defective.
        labels: (N,), True for anomalous images.
    """

    __test__ = False  # not a test, whatever pytest thinks of its name

    images: Float[Tensor, "n 3 h w"]
    masks: Bool[np.ndarray, "n h w"]
    labels: Bool[np.ndarray, " n"]


def check_evaluation_mode(model: MetaUAS) -> None:
    """Refuse a network whose batch norms would look at the test images, and change by it.

    Raises:
        InputError: the network is still in training mode.
    """
    if model.training:
        raise InputError("the network is in training mode; call model.eval() first")


def load_category(category: Category, *, size: int) -> TestImages:
    """Read all test images and masks of a category, resized to ``size``.

    Raises:
        InputError: naming a file that cannot be read.
    """
    pairs = [load_sample(sample, size) for sample in category.test]
    return TestImages(
        images=torch.stack([image for image, _ in pairs]),
        masks=np.stack([mask for _, mask in pairs]),
        labels=np.array([sample.label for sample in category.test]),
    )


def segment_all(
    segment: Segmenter,
    queries: Float[Tensor, "n 3 h w"],
    prompts: Float[Tensor, "m 3 h w"],
    *,
    batch_size: int,
) -> Float[np.ndarray, "n h w"]:
    """Return the maps of all queries, for one prompt or one each."""
    maps = []
    for start in range(0, len(queries), batch_size):
        chosen = slice(start, start + batch_size)
        maps.append(segment(queries[chosen], prompts if len(prompts) == 1 else prompts[chosen]))
    return torch.cat(maps)[:, 0].float().cpu().numpy()


def turned(prompts: Float[Tensor, "b 3 h w"], *, degrees: float) -> Float[Tensor, "b 3 h w"]:
    """Turn prompts counter-clockwise about their centre; empty corners take the mean colour of the own border."""
    if degrees == 0:
        return prompts
    return torch.stack([_turned(prompt, degrees=degrees) for prompt in prompts])


def _turned(prompt: Float[Tensor, "3 h w"], *, degrees: float) -> Float[Tensor, "3 h w"]:
    border = torch.cat([prompt[:, 0, :], prompt[:, -1, :], prompt[..., 0], prompt[..., -1]], dim=-1)
    height, width = prompt.shape[1:]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0)
    pixels = np.ascontiguousarray(prompt.permute(1, 2, 0).numpy())
    turned_pixels = cv2.warpAffine(pixels, matrix, (width, height), borderValue=border.mean(dim=1).tolist())
    return torch.from_numpy(turned_pixels).permute(2, 0, 1)


class PromptChooser:
    """Hands out prompts by the strategy of the settings.

    Args:
        benchmark: where normal images come from.
        settings: strategy, seeds and size.
        embed: images (B, 3, H, W) to vectors (B, D), for ``nearest`` and ``pool``.
    """

    def __init__(self, benchmark: Benchmark, settings: EvalSettings, *, embed: Callable[[Tensor], Tensor]) -> None:
        self.settings = settings
        self.nearest = None
        if settings.prompt != "random":
            pool: Mapping[str, Sequence[Path]] = {c.name: c.train_good for c in benchmark.categories}
            self.nearest = NearestPrompts(embed, pool, size=settings.size, batch_size=settings.batch_size)

    def seeds(self) -> tuple[int, ...]:
        """Return the seeds that make a difference: all of them for ``random``, one otherwise."""
        return self.settings.seeds if self.nearest is None else self.settings.seeds[:1]

    def choose(self, category: Category, queries: Float[Tensor, "n 3 h w"]) -> Iterator[tuple[int, list[Path]]]:
        """Yield, for each seed, the prompt's file (one for all queries, or one for each)."""
        for seed in self.seeds():
            if self.nearest is None:
                yield seed, [random_prompts(category, seed=seed)]
            else:
                own = category.name if self.settings.prompt == "nearest" else None
                yield seed, self.nearest.select(queries, category=own)

    def right_class_share(self, chosen: Sequence[Path], category: Category) -> float:
        """Return the share of prompts that come from the query's own class; 1 for strategies that look only there."""
        return 1.0 if self.nearest is None else self.nearest.right_class_share(chosen, category=category.name)


def load_prompts(paths: Sequence[Path], *, size: int, degrees: float = 0.0) -> Float[Tensor, "b 3 size size"]:
    """Read prompts, each file once, resized and turned."""
    unique = {path: index for index, path in enumerate(dict.fromkeys(paths))}
    images = turned(stack_images(unique, size=size), degrees=degrees)
    return images[[unique[path] for path in paths]]
