"""What an evaluation is made of."""

from typing import Annotated, Literal

from pydantic import Field

from metauas.settings import Settings

#: The paper's prompt seeds (section 4.1).
PROMPT_SEEDS = (1, 3, 5, 7, 9)


class EvalSettings(Settings):
    """All settings of an evaluation.

    Attributes:
        prompt: ``random`` (one normal image per class and seed), ``nearest`` (the most similar one of the class, for
            each query) or ``pool`` (the most similar one of all classes).
        seeds: prompt seeds of ``random``; ``nearest`` and ``pool`` do not depend on them.
        size: side to which images and masks are resized, pixels.
        rotations: degrees by which prompts are turned; one condition each, the first is the main one.
        batch_size: queries at once.
    """

    prompt: Literal["random", "nearest", "pool"] = "random"
    seeds: Annotated[tuple[int, ...], Field(min_length=1)] = PROMPT_SEEDS
    size: Annotated[int, Field(ge=32, le=4096)] = 256
    rotations: Annotated[tuple[float, ...], Field(min_length=1)] = (0.0,)
    batch_size: Annotated[int, Field(ge=1)] = 16
