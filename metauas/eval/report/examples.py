"""Segmented examples for figures: query, prompt, mask and map."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor

from metauas.eval.benchmarks.layouts import Benchmark, load_sample
from metauas.eval.interface import PromptedNetwork, check_evaluation_mode
from metauas.eval.prompts.selection import random_prompts
from metauas.files.images import stack_images
from metauas.seeding import rng_for


@dataclass(frozen=True)
class Example:
    """One segmented test image: images (3, H, W), mask and map (H, W)."""

    title: str
    path: Path
    query: Float[Tensor, "3 h w"]
    prompt: Float[Tensor, "3 h w"]
    mask: Bool[np.ndarray, "h w"]
    map: Float[np.ndarray, "h w"]


def draw_examples(
    model: PromptedNetwork, benchmark: Benchmark, *, size: int, seed: int, per_category: int = 1
) -> list[Example]:
    """Segment ``per_category`` random defective images of each category, with a random prompt of the seed.

    A category without defective images has no example.

    Raises:
        InputError: an image cannot be read, or the network is in training mode.
    """
    check_evaluation_mode(model)
    examples = []
    for category in benchmark.categories:
        defective = [sample for sample in category.test if sample.label]
        count = min(per_category, len(defective))
        chosen = rng_for(seed, category.name, "examples").choice(len(defective), size=count, replace=False)
        prompt = stack_images(random_prompts(category, seed=seed), size=size)
        encoded = model.encode_prompt(prompt)
        for sample in (defective[int(index)] for index in chosen):
            query, mask = load_sample(sample, size)
            anomaly_map = model.segment(query[None], encoded)[0, 0].float().cpu().numpy()
            title = f"{category.name}: {sample.defect}"
            examples.append(Example(title, sample.path, query, prompt[0], mask, anomaly_map))
    return examples
