"""Questions to a network and its answers, without widgets."""

import os
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Float32, UInt8
from torch import Tensor

from metauas.eval.images.drawing import fit_picture
from metauas.eval.images.regions import Region, enlarge_map, find_regions
from metauas.eval.prompts.conditions import shifted, turned
from metauas.files.images import resize_images, to_tensor
from metauas.model import (
    MetaUAS,
    ScaleAverage,
    TiledNetwork,
    load_checkpoint,
    look_of,
    possible_alignments,
    with_alignment,
)

#: Environment variable with a checkpoint, for ``make demo``, which has no notebook parameters.
VARIABLE = "METAUAS_CHECKPOINT"
LONGEST = 480  # pixels of a shown picture's longer side

Image = UInt8[np.ndarray, "_ _ 3"]  # _: query and prompt may differ in size


@dataclass(frozen=True)
class Network:
    """A network in evaluation mode, and its name."""

    model: MetaUAS
    name: str


def open_network(checkpoint: str = "") -> Network:
    """Open ``checkpoint``, else the one that the environment names, else the released ``lite``.

    Raises:
        InputError: the checkpoint is missing or damaged.
    """
    chosen = checkpoint or os.environ.get(VARIABLE) or "lite"
    return Network(load_checkpoint(chosen), chosen)


@dataclass(frozen=True, kw_only=True, eq=False)
class Question:
    """A prompt, a query, and the settings of the comparison.

    Attributes:
        prompt: the normal image, RGB bytes.
        query: the image under test, RGB bytes.
        degrees: counter-clockwise rotation of the prompt.
        shift: shift of the prompt to the right after the rotation, as a share of its width.
        alignment: of the prompt's features.
        tiles: compare both images at the query's own size, in tiles of the network's size.
    """

    prompt: Image
    query: Image
    degrees: float = 0.0
    shift: float = 0.0
    alignment: str = "soft"
    tiles: bool = False

    @cached_property
    def moved_prompt(self) -> Float[Tensor, "1 3 _ _"]:
        """The prompt, turned and moved, in its own size."""
        return shifted(turned(to_tensor(self.prompt)[None], degrees=self.degrees), share=self.shift)


@dataclass(frozen=True, kw_only=True, eq=False)
class Answer:
    """The answer of a network to a question.

    Attributes:
        question: what was asked.
        model: the network, with the alignment of the question.
        query: the query at the network's size.
        prompt: the moved prompt at the network's size.
        map: the probability of change of each pixel; with tiles, at the query's own size.
    """

    question: Question
    model: MetaUAS
    query: Float[Tensor, "1 3 s s"]
    prompt: Float[Tensor, "1 3 s s"]
    map: Float32[np.ndarray, "h w"]

    @property
    def score(self) -> float:
        """The image's score: the maximum of the map."""
        return float(self.map.max())

    def verdict(self, threshold: float) -> str:
        """Return ``DEFECTIVE`` if the score is above the threshold, else ``OK``."""
        return "DEFECTIVE" if self.score > threshold else "OK"

    @cached_property
    def picture(self) -> Image:
        """The query at the size in which it is shown."""
        return fit_picture(self.question.query, longest=LONGEST)

    @cached_property
    def picture_map(self) -> Float32[np.ndarray, "_ _"]:
        """The map at the size of ``picture``."""
        return enlarge_map(self.map, (self.picture.shape[0], self.picture.shape[1]))

    def regions(self, threshold: float) -> list[Region]:
        """Return the regions above the threshold, in pixels of ``picture``."""
        return find_regions(self.picture_map, threshold)

    def look(self, point: tuple[float, float], *, stage: int) -> Float[Tensor, "h w"]:
        """Return where in the prompt a point (x, y) of the query looks at a stage; see ``look_of``."""
        return look_of(self.model, self.query[0], self.prompt[0], stage=stage, point=point)


class Session:
    """Answers questions about a network.

    Args:
        model: the network, in evaluation mode.
        size: side to which images are resized for the network, pixels.
    """

    def __init__(self, model: MetaUAS, *, size: int) -> None:
        self.model, self.size = model, size
        self._models: dict[str, MetaUAS] = {model.config.alignment: model}

    @property
    def alignments(self) -> tuple[str, ...]:
        """The possible alignments."""
        return possible_alignments(self.model)

    @property
    def stages(self) -> dict[int, int]:
        """The stages that are aligned, each with its stride in pixels."""
        first, strides = self.model.first_aligned, self.model.encoder.strides
        return dict(enumerate(strides[first:], start=first + 1))

    def ask(self, question: Question) -> Answer:
        """Segment the question's query by its prompt, averaged over three sizes, as ``metauas segment`` does.

        Raises:
            InputError: the alignment is not known or not possible.
        """
        model = self._with(question.alignment)
        side = (self.size, self.size)
        query = resize_images(to_tensor(question.query)[None], side)
        prompt = resize_images(question.moved_prompt, side)
        averaged = ScaleAverage(model)
        if question.tiles:
            tiled = TiledNetwork(averaged, side=self.size)
            found = tiled.segment(to_tensor(question.query)[None], question.moved_prompt)
        else:
            found = averaged.segment(query, prompt)
        values = found[0, 0].float().cpu().numpy()
        return Answer(question=question, model=model, query=query, prompt=prompt, map=values)

    def _with(self, alignment: str) -> MetaUAS:
        if alignment not in self._models:
            self._models[alignment] = with_alignment(self.model, alignment)
        return self._models[alignment]


def peak(values: Float[Tensor, "h w"] | Float[np.ndarray, "h w"]) -> tuple[float, float]:
    """Return the centre (x, y) of the largest value, as shares of width and height."""
    row, column = divmod(int(values.argmax()), values.shape[1])
    return (column + 0.5) / values.shape[1], (row + 0.5) / values.shape[0]
