"""From scores to decisions: the threshold that keeps false alarms below a wished rate, by normal images alone.

Split conformal prediction (Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World", 2005; for one-class
scores Laxhammar and Falkman, 2010): nothing is assumed of network, scores or images but that a new normal image is
exchangeable with those of the calibration.
"""

import hashlib
import json
import math
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field

from metauas.errors import InputError
from metauas.eval.images.files import segment_each
from metauas.files import read_json, write_json
from metauas.files.images import read_image
from metauas.model import MetaUAS, ScaleAverage
from metauas.progress import tqdm
from metauas.settings import Settings

CALIBRATION_NAME = "calibration.json"
CONFIDENCE = 0.95
_ANEW = "run `metauas calibrate` again, or give a threshold"
#: Choices of ``ModelConfig`` that say where weights come from, and leave the map as it is.
_IRRELEVANT = {"preset", "encoder_weights", "freeze_encoder"}

Share = Annotated[float, Field(ge=0, le=1)]


class Calibration(Settings):
    """A threshold for image scores, what it promises, and what it holds for.

    Attributes:
        threshold: images with a score above it are called defective; so are pixels.
        false_positive_rate: what was wished: a new normal image is called defective with at most this probability,
            averaged over calibrations.
        interval: where the rate of this very threshold lies with 95 % confidence.
        images: number of normal images that it rests upon.
        left_out: normal images that were not counted, because they are a prompt or another image again.
        size: side to which images were resized for the network, pixels.
        prompts: the normal images used as prompts.
        prompts_digest: of the prompts' pixels, in any order.
        weights_digest: of the network's configuration and weights.
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

    def check_fit(self, model: MetaUAS | ScaleAverage, *, prompts: Sequence[str | Path], size: int) -> None:
        """Refuse to decide on scores that this calibration knows nothing of.

        Raises:
            InputError: the network, a prompt or the size is another one.
        """
        if size != self.size:
            raise InputError(f"the calibration is for size {self.size}, not {size}; set size={self.size}, or {_ANEW}")
        if prompts_digest(prompts) != self.prompts_digest:
            own, given = (", ".join(map(str, paths)) for paths in (self.prompts, prompts))
            raise InputError(f"the calibration is for the prompt {own}, not {given}; give that one, or {_ANEW}")
        if network_digest(model) != self.weights_digest:
            raise InputError(f"the calibration is for other weights or scales than the network's; {_ANEW}")


def calibrate(
    model: MetaUAS | ScaleAverage,
    *,
    prompts: Sequence[str | Path],
    normal: Sequence[str | Path],
    false_positive_rate: float = 0.01,
    size: int = 256,
) -> Calibration:
    """Find the threshold that a new normal image exceeds with at most the wished probability.

    An image's score is the maximum of its map, so "no pixel above the threshold" and "the image is normal" are one
    statement: the same threshold gives the contours of the defective regions (``find_regions``).

    Args:
        model: the network, in evaluation mode.
        prompts: the normal images that queries will be compared with.
        normal: other normal images, none of them used in training. Those whose pixels are a prompt's, or those of
            another one, are left out: their scores would not be those of new images.
        false_positive_rate: share of normal images that may be called defective, in (0, 1).
        size: side to which images are resized for the network, pixels.

    Raises:
        InputError: a file that cannot be read, an invalid rate, or too few images for it; before any long work.
    """
    check_rate(false_positive_rate)
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
        size=size,
        prompts=tuple(map(str, prompts)),
        prompts_digest=prompts_digest(prompts),
        weights_digest=network_digest(model),
    )


def conformal_threshold(scores: Float[np.ndarray, " n"], false_positive_rate: float) -> float:
    """Return the ⌈(n + 1)(1 − α)⌉-th smallest of n normal scores, exactly as it is among them.

    A new exchangeable score is above it with probability at most α, ties or not; without ties it is so with
    probability ⌊(n + 1)α⌋ / (n + 1).

    Raises:
        InputError: n is too small, so that there is no such score.
    """
    check_enough(len(scores), false_positive_rate)
    above = _allowed(len(scores), false_positive_rate)
    return float(np.sort(scores)[len(scores) - above])


def rate_interval(images: int, false_positive_rate: float, *, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return where the false-positive rate of one calibration lies, with equal tails.

    Given its n images, the rate of new ones follows Beta(l, n + 1 − l) with l = ⌊(n + 1)α⌋ if scores have no ties,
    and is smaller with them (Vovk, "Conditional validity of inductive conformal predictors", 2012).

    Raises:
        InputError: too few images.
    """
    from scipy.special import betaincinv  # only now: it takes seconds; scipy.stats, with the same in it, twice as many

    check_enough(images, false_positive_rate)
    above = _allowed(images, false_positive_rate)
    tail = (1 - confidence) / 2
    low, high = betaincinv(above, images + 1 - above, [tail, 1 - tail])
    return float(low), float(high)


def _allowed(images: int, false_positive_rate: float) -> int:
    """Return l = ⌊(n + 1)α⌋: how many of the n calibration scores are at or above the threshold."""
    # of the decimal that was written: in binary, 0.29 of 100 would be 28
    return math.floor((images + 1) * Fraction(str(false_positive_rate)))


def check_rate(false_positive_rate: float) -> None:
    """Check that a rate lies in (0, 1).

    Raises:
        InputError: it does not.
    """
    if not 0 < false_positive_rate < 1:
        raise InputError(f"false_positive_rate={false_positive_rate} must be between 0 and 1, for example 0.01")


def check_enough(images: int, false_positive_rate: float) -> None:
    """Check that (n + 1)α is at least 1: with fewer images no threshold can promise the rate.

    Raises:
        InputError: naming the number needed, and the lowest rate that there are enough images for.
    """
    check_rate(false_positive_rate)
    if _allowed(images, false_positive_rate) >= 1:
        return
    needed = math.ceil(1 / Fraction(str(false_positive_rate))) - 1
    wrong = f"a false-positive rate of {false_positive_rate:g} needs {needed} normal images besides the prompt"
    raise InputError(f"{wrong}, not {images}" + (f"; {images} allow {_lowest(images):g} or more" if images else ""))


def _lowest(images: int) -> float:
    """Return 1 / (n + 1), rounded upwards to what can be typed."""
    return math.ceil(10_000 / (images + 1)) / 10_000


def distinct_images(prompts: Sequence[str | Path], normal: Sequence[str | Path]) -> tuple[list[Path], list[Path]]:
    """Separate the normal images to be counted from repetitions of a prompt or of an earlier image.

    Raises:
        InputError: naming a file that cannot be read.
    """
    seen = {image_digest(prompt) for prompt in prompts}
    kept: list[Path] = []
    left_out: list[Path] = []
    for path in map(Path, normal):
        digest = image_digest(path)
        (left_out if digest in seen else kept).append(path)
        seen.add(digest)
    return kept, left_out


def prompts_digest(prompts: Sequence[str | Path]) -> str:
    """Return the SHA-256 of all prompts' pixels, in any order; of one prompt it is that of ``image_digest``.

    Raises:
        InputError: a file cannot be read.
    """
    digests = sorted(image_digest(prompt) for prompt in prompts)
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def image_digest(path: str | Path) -> str:
    """Return the SHA-256 of an image's size and pixels, whatever its file is called.

    Raises:
        InputError: the file cannot be read.
    """
    image = read_image(path)
    return hashlib.sha256(str(image.shape).encode() + image.tobytes()).hexdigest()


def network_digest(network: MetaUAS | ScaleAverage) -> str:
    """Return the SHA-256 of all that a map depends on: configuration, weights, scales; not the file they came from."""
    scales, model = (network.scales, network.model) if isinstance(network, ScaleAverage) else ((1.0,), network)
    config = model.config.model_dump(mode="json", exclude=_IRRELEVANT, exclude_defaults=True) | {"scales": scales}
    digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode())
    inputs = {"normalise.mean": model.normalise.mean, "normalise.std": model.normalise.std}
    for name, tensor in sorted((model.state_dict() | inputs).items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        # as bytes, since NumPy knows no bfloat16
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def calibration_file(checkpoint: str | Path) -> Path:
    """Return where a checkpoint's calibration lies: in its folder, beside the weights."""
    path = Path(checkpoint)
    return (path if path.is_dir() else path.parent) / CALIBRATION_NAME


def find_calibration(checkpoint: str | Path, *, given: str | Path | None = None) -> Calibration | None:
    """Read the calibration that was given, or else the checkpoint's own; None if it has none.

    Raises:
        InputError: the file is missing although given, or damaged.
    """
    path = Path(given) if given is not None else calibration_file(checkpoint)
    return None if given is None and not path.is_file() else read_calibration(path)


def write_calibration(path: str | Path, calibration: Calibration) -> Path:
    """Write a calibration as JSON, atomically, and return the path."""
    return write_json(path, calibration.model_dump(mode="json"))


def read_calibration(path: str | Path) -> Calibration:
    """Read what ``write_calibration`` wrote; ``Calibration.check_fit`` says whether it may be used.

    Raises:
        InputError: the file is missing, damaged, or something else.
    """
    values = read_json(path)
    if not isinstance(values, dict):
        raise InputError(f"{path} holds no calibration; give a file written by `metauas calibrate`")
    return Calibration.parse(values, origin=str(path))
