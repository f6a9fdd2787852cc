"""A threshold for image scores that bounds the false-positive rate, from normal images alone.

Split conformal prediction (Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World", 2005; for one-class
scores Laxhammar and Falkman, 2010). The only assumption is that new normal images are exchangeable with those of the
calibration.
"""

import math
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import numpy as np
from jaxtyping import Float
from pydantic import Field

from metauas.errors import InputError
from metauas.eval.images.files import segment_each
from metauas.eval.images.identity import Network, image_digest, network_digest, prompts_digest
from metauas.files import read_json, write_json
from metauas.model import TiledNetwork
from metauas.progress import tqdm
from metauas.settings import Settings

CALIBRATION_NAME = "calibration.json"
CONFIDENCE = 0.95
_RECALIBRATE = "run `metauas calibrate` again, or give a threshold"

Share = Annotated[float, Field(ge=0, le=1)]


class Calibration(Settings):
    """A threshold for image scores, its guarantee, and the network, prompts and size that it is valid for.

    Attributes:
        threshold: images and pixels with a score above it are defective.
        false_positive_rate: upper bound of the probability that a new normal image is called defective, averaged over
            calibrations.
        interval: 95 % interval of the false-positive rate of this threshold.
        images: number of normal images used.
        left_out: normal images not used, since they repeat a prompt or another image.
        size: side to which images were resized for the network, or that of the tiles, pixels.
        prompts: the normal images used as prompts.
        prompts_digest: SHA-256 of the prompts' pixels, in any order.
        weights_digest: SHA-256 of the network's configuration and weights.
    """

    threshold: Share
    false_positive_rate: Annotated[float, Field(gt=0, lt=1)]
    interval: tuple[Share, Share]
    images: Annotated[int, Field(ge=1)]
    left_out: tuple[str, ...] = ()
    size: Annotated[int, Field(ge=1)]
    prompts: tuple[str, ...]
    prompts_digest: str
    weights_digest: str

    def check_fit(self, model: Network, *, prompts: Sequence[str | Path], size: int) -> None:
        """Raise InputError if the calibration is for another network, prompt or size."""
        if size != self.size:
            hint = f"set size={self.size}, or {_RECALIBRATE}"
            raise InputError(f"the calibration is for size {self.size}, not {size}; {hint}")
        if prompts_digest(prompts) != self.prompts_digest:
            own, given = (", ".join(map(str, paths)) for paths in (self.prompts, prompts))
            raise InputError(f"the calibration is for the prompt {own}, not {given}; give that one, or {_RECALIBRATE}")
        if network_digest(model) != self.weights_digest:
            raise InputError(f"the calibration is for other weights, scales, similarity or tiles; {_RECALIBRATE}")


def calibrate(
    model: Network,
    *,
    prompts: Sequence[str | Path],
    normal: Sequence[str | Path],
    false_positive_rate: float = 0.01,
    size: int = 256,
) -> Calibration:
    """Return the threshold that a new normal image exceeds with at most the given probability.

    The image score is the maximum of the map, so the same threshold gives the defective regions (``find_regions``).

    Args:
        model: the network, in evaluation mode.
        prompts: the normal images that queries will be compared with.
        normal: other normal images, not used in training. Repetitions of a prompt or of another image, by their
            pixels, are left out.
        false_positive_rate: share of normal images that may be called defective, in (0, 1).
        size: side to which images are resized for the network, pixels; not used by a ``TiledNetwork``.

    Raises:
        InputError: a file cannot be read, or the rate is invalid or too low for the number of images.
    """
    _check_rate(false_positive_rate)  # before the images are read
    kept, left_out = distinct_images(prompts, normal)
    check_enough(len(kept), false_positive_rate)
    maps = (anomaly_map for _, _, anomaly_map in segment_each(model, prompts=prompts, queries=kept, size=size))
    bar = tqdm(maps, total=len(kept), desc="calibrating", unit="image", delay=1)
    scores = np.array([anomaly_map.max() for anomaly_map in bar])
    return Calibration(
        threshold=conformal_threshold(scores, false_positive_rate),
        false_positive_rate=false_positive_rate,
        interval=rate_interval(len(kept), false_positive_rate),
        images=len(kept),
        left_out=tuple(map(str, left_out)),
        size=model.side if isinstance(model, TiledNetwork) else size,
        prompts=tuple(map(str, prompts)),
        prompts_digest=prompts_digest(prompts),
        weights_digest=network_digest(model),
    )


def conformal_threshold(scores: Float[np.ndarray, " n"], false_positive_rate: float) -> float:
    """Return the ⌈(n + 1)(1 − α)⌉-th smallest of n normal scores, where α is the false-positive rate.

    A new exchangeable score is above it with probability at most α; without ties, with probability
    ⌊(n + 1)α⌋ / (n + 1).

    Raises:
        InputError: α is outside (0, 1), or n is too small for it.
    """
    return float(np.sort(scores)[len(scores) - check_enough(len(scores), false_positive_rate)])


def rate_interval(images: int, false_positive_rate: float) -> tuple[float, float]:
    """Return the 95 % interval of the false-positive rate of one calibration, with equal tails.

    Given n images, the rate follows Beta(l, n + 1 − l) with l = ⌊(n + 1)α⌋ if scores have no ties, and is smaller with
    ties (Vovk, "Conditional validity of inductive conformal predictors", 2012). α is the ``false_positive_rate`` that
    was asked for.

    Raises:
        InputError: α is outside (0, 1), or there are too few images for it.
    """
    from scipy.special import betaincinv  # here, since the import takes seconds (scipy.stats twice as long)

    above = check_enough(images, false_positive_rate)
    tail = (1 - CONFIDENCE) / 2
    low, high = betaincinv(above, images + 1 - above, [tail, 1 - tail])
    return float(low), float(high)


def check_enough(images: int, false_positive_rate: float) -> int:
    """Return l = ⌊(n + 1)α⌋ of n images and the rate α: the number of calibration scores at or above the threshold.

    Raises:
        InputError: α is outside (0, 1), or l is 0, so that no threshold guarantees the rate; names the number of images
            needed, and the lowest rate for the number given.
    """
    _check_rate(false_positive_rate)
    exact = Fraction(str(false_positive_rate))  # the decimal as written: in binary, 0.29 of 100 would be 28
    if above := math.floor((images + 1) * exact):
        return above
    wrong = f"a false-positive rate of {false_positive_rate:g} needs {math.ceil(1 / exact) - 1} normal images"
    lowest = math.ceil(10_000 / (images + 1)) / 10_000  # 1 / (n + 1), rounded up to four digits
    allowed = f"; {images} allow {lowest:g} or more" if images else ""
    raise InputError(f"{wrong} besides the prompt, not {images}{allowed}")


def _check_rate(false_positive_rate: float) -> None:
    if not 0 < false_positive_rate < 1:
        raise InputError(f"false_positive_rate={false_positive_rate} must be between 0 and 1, for example 0.01")


def distinct_images(prompts: Sequence[str | Path], normal: Sequence[str | Path]) -> tuple[list[Path], list[Path]]:
    """Separate normal images from repetitions of a prompt or of an earlier image, by their pixels.

    Raises:
        InputError: a file cannot be read; names it.
    """
    seen = {image_digest(prompt) for prompt in prompts}
    kept: list[Path] = []
    left_out: list[Path] = []
    for path in map(Path, normal):
        digest = image_digest(path)
        (left_out if digest in seen else kept).append(path)
        seen.add(digest)
    return kept, left_out


def calibration_file(checkpoint: str | Path) -> Path:
    """Return the path of a checkpoint's calibration, in the folder of the weights."""
    path = Path(checkpoint)
    return (path if path.is_dir() else path.parent) / CALIBRATION_NAME


def find_calibration(checkpoint: str | Path, *, given: str | Path | None = None) -> Calibration | None:
    """Read the calibration file that is given, else that of the checkpoint; None if it has none.

    Raises:
        InputError: the file given is missing, or the file is damaged.
    """
    path = Path(given) if given is not None else calibration_file(checkpoint)
    return None if given is None and not path.is_file() else read_calibration(path)


def write_calibration(path: str | Path, calibration: Calibration) -> Path:
    """Write a calibration as JSON, atomically, and return the path."""
    return write_json(path, calibration.model_dump(mode="json"))


def read_calibration(path: str | Path) -> Calibration:
    """Read a file of ``write_calibration``; ``Calibration.check_fit`` checks whether it applies.

    Raises:
        InputError: the file is missing, damaged, or no calibration.
    """
    values = read_json(path)
    if not isinstance(values, dict):
        raise InputError(f"{path} holds no calibration; give a file written by `metauas calibrate`")
    return Calibration.parse(values, origin=str(path))
