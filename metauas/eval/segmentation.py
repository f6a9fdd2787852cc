"""From the queries of a category and their prompts to anomaly maps."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from metauas.eval.benchmarks.queries import Queries, pieces
from metauas.eval.interface import PromptedNetwork
from metauas.eval.prompts.conditions import Condition
from metauas.eval.prompts.selection import Prompt
from metauas.files.images import stack_images
from metauas.machine import halving_batches
from metauas.seeding import rng_for


@dataclass(frozen=True, kw_only=True)
class Method:
    """A method that segments queries by prompts.

    Attributes:
        name: its name in tables.
        encode: maps prompts (1 or B, K, 3, H, W) to the input of ``segment``; called once for each prompt.
        segment: maps queries (B, 3, H, W) and encoded prompts, one for all or one for each, to maps (B, 1, H, W).
    """

    name: str
    encode: Callable[[Tensor], Any]
    segment: Callable[[Tensor, Any], Tensor]


def network_method(model: PromptedNetwork) -> Method:
    """Return a network as a method; it combines K prompts itself (MetaUAS averages their aligned features)."""

    def encode(prompts: Tensor) -> Any:
        # a single prompt without the axis K, which some networks do not support
        return model.encode_prompt(prompts[:, 0] if prompts.shape[1] == 1 else prompts)

    return Method(name=model.label, encode=encode, segment=model.segment)


def baseline_method(name: str, compare: Callable[[Tensor, Tensor], Tensor]) -> Method:
    """Return a baseline as a method; for K prompts it averages the K maps."""

    def segment(queries: Tensor, prompts: Tensor) -> Tensor:
        return torch.stack([compare(queries, prompt) for prompt in prompts.unbind(1)]).mean(dim=0)

    return Method(name=name, encode=lambda prompts: prompts, segment=segment)


def segment_queries(
    method: Method, queries: Queries, prompts: Sequence[Prompt], *, condition: Condition, seed: int, batch_size: int
) -> Float32[np.ndarray, "n h w"]:
    """Return the maps of all queries, in their order.

    Queries with the same prompt are segmented together, so that each prompt is read and encoded once.

    Args:
        method: the method.
        queries: the images under test.
        prompts: one for each query.
        condition: the change of the prompts' images.
        seed: the seed of the prompts, from which the condition's random numbers follow, too.
        batch_size: queries per batch; halved as often as memory runs out.

    Raises:
        InputError: memory runs out even for one query.
    """

    read = partial(read_prompt, condition=condition, category=queries.category.name, seed=seed, size=queries.size)

    def in_batches(size: int) -> Float32[np.ndarray, "n h w"]:
        maps = np.empty((len(queries), queries.size, queries.size), dtype=np.float32)
        for together, batches in _plan(prompts, batch_size=size):
            encoded = method.encode(torch.stack(list(map(read, together))))
            for indices in batches:
                found = method.segment(queries.images(indices), encoded)
                maps[list(indices)] = found[:, 0].float().cpu().numpy()
        return maps

    return halving_batches(in_batches, batch_size=batch_size, size=queries.size)


def read_prompt(
    prompt: Prompt, *, condition: Condition, category: str, seed: int, size: int
) -> Float[Tensor, "k 3 size size"]:
    """Read a prompt's images, resize them and apply the condition."""
    names = (f"{path.parent.name}/{path.name}" for path in prompt)  # independent of the benchmark's folder
    return condition.change(stack_images(prompt, size=size), rng_for(seed, category, condition.name, *names))


def _plan(
    prompts: Sequence[Prompt], *, batch_size: int
) -> Iterator[tuple[Sequence[Prompt], Iterator[Sequence[int]] | list[Sequence[int]]]]:
    """Yield prompts to encode together, and the batches of their queries (by index).

    Either one prompt with all of its queries, or several prompts with one query each.
    """
    users: dict[Prompt, list[int]] = {}
    for index, prompt in enumerate(prompts):
        users.setdefault(prompt, []).append(index)
    for prompt, indices in users.items():
        if len(indices) > 1:
            yield [prompt], pieces(indices, batch_size)
    for alone in pieces([prompt for prompt, indices in users.items() if len(indices) == 1], batch_size):
        yield alone, [[users[prompt][0] for prompt in alone]]
