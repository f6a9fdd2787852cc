"""Settings of an evaluation."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from metauas.errors import did_you_mean
from metauas.settings import Settings

#: Prompt strategies, by ``EvalSettings.prompt``.
PROMPTS = ("random", "nearest", "pool", "defective")
#: The paper's prompt seeds (section 4.1).
PROMPT_SEEDS = (1, 3, 5, 7, 9)
#: Stands for the seed in the name of a prompt file.
SEED_FIELD = "{seed}"


class EvalSettings(Settings):
    """All settings of an evaluation.

    Attributes:
        prompt: ``random`` (normal images of the class, drawn by the seed, the same for all its queries), ``nearest``
            (the most similar one of the class for each query), ``pool`` (the most similar one of all classes),
            ``defective`` (a defective test image, drawn by the seed), or the path of a prompt file (see
            ``metauas.eval.prompts.files``), in which ``{seed}`` stands for each seed.
        shots: number of normal images with which each query is compared; the paper's is 1.
        pool_size: number of normal images per class that ``nearest`` and ``pool`` choose from, drawn by the seed; None
            takes all.
        seeds: prompt seeds. Prompts ``nearest`` and ``pool`` without a pool size, and prompt files without ``{seed}``,
            do not depend on them.
        size: side to which images and masks are resized, pixels.
        rotations: degrees by which prompts are rotated; one condition each, the first is the main one.
        average_scales: also evaluate the mean over several image sizes (``ScaleAverage``).
        plus: also evaluate MetaUAS★+, with the visual similarity of the network's own encoder (``encoder``) or, as in
            the paper, of CLIP (``clip``).
        tiles: also evaluate the network in overlapping tiles of this side, pixels (``TiledNetwork``), which sees images
            at ``size`` pixels as they are; None does not.
        queries_at_once: queries per batch.
    """

    prompt: str = "random"
    shots: Annotated[int, Field(ge=1)] = 1
    pool_size: Annotated[int, Field(ge=1)] | None = None
    seeds: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)] = PROMPT_SEEDS
    size: Annotated[int, Field(ge=32, le=4096)] = 256
    rotations: Annotated[tuple[float, ...], Field(min_length=1)] = (0.0,)
    average_scales: bool = False
    plus: Literal["none", "encoder", "clip"] = "none"
    tiles: Annotated[int, Field(ge=32)] | None = None
    queries_at_once: Annotated[int, Field(ge=1)] = 16

    @field_validator("seeds")
    @classmethod
    def _is_without_repetition(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if twice := sorted({seed for seed in seeds if seeds.count(seed) > 1}):
            wrong = "{twice} given more than once, which would make deviations too small; give each seed once"
            raise PydanticCustomError("seeds", wrong, {"twice": ", ".join(map(str, twice))})
        return seeds

    @field_validator("prompt")
    @classmethod
    def _is_strategy_or_file(cls, prompt: str) -> str:
        # the file itself is checked together with the benchmark
        if prompt in PROMPTS or Path(prompt).suffix or Path(prompt).exists():
            return prompt
        wrong = "no strategy and no file{near}; choose one of {names}, or give a prompt file"
        raise PydanticCustomError("prompt", wrong, {"near": did_you_mean(prompt, PROMPTS), "names": ", ".join(PROMPTS)})
