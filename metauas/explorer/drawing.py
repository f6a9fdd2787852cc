"""The explorer's pictures as JPEG bytes, and their alternative texts."""

import io

import cv2
import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from metauas.eval.images.drawing import fit_picture
from metauas.explorer.session import LONGEST, Answer, peak
from metauas.files.images import to_uint8
from metauas.plots import MAP_COLOURS, draw_contours, overlay

_QUALITY = 88
_DIMMED = 0.45  # brightness of the prompt without attention


def draw_map(answer: Answer) -> UInt8[np.ndarray, "h w 3"]:
    """Draw the map from 0 (dark) to 1 (bright)."""
    return to_uint8(np.asarray(plt.get_cmap(MAP_COLOURS)(answer.picture_map)[..., :3]))


def draw_found(answer: Answer, *, threshold: float) -> UInt8[np.ndarray, "h w 3"]:
    """Draw the query with its map as a glow and the contours of the regions above the threshold."""
    contours = [contour for region in answer.regions(threshold) for contour in region.contours]
    return draw_contours(overlay(answer.picture, answer.picture_map), contours)


def draw_look(answer: Answer, weights: Float[Tensor, "h w"]) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Draw the prompt, dimmed, with a glow on the positions of high attention."""
    prompt = fit_picture(to_uint8(answer.question.moved_prompt[0]), longest=LONGEST)
    height, width = prompt.shape[:2]
    relative = (weights / weights.max()).numpy()
    share = cv2.resize(relative, (width, height), interpolation=cv2.INTER_LINEAR)[..., None]
    heat = plt.get_cmap(MAP_COLOURS)(0.35 + 0.65 * share[..., 0])[..., :3]
    return to_uint8(_DIMMED * (1 - share) * prompt / 255 + share * (0.4 * prompt / 255 + 0.6 * heat))


def to_jpeg(image: UInt8[np.ndarray, "h w 3"]) -> bytes:
    """Return the bytes of a JPEG file."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="JPEG", quality=_QUALITY)
    return buffer.getvalue()


def describe_map(answer: Answer) -> str:
    """Return the highest score of the map and its place, in words."""
    place = _place(*peak(answer.map))
    return f"Anomaly map, dark where normal and bright where anomalous: highest, {answer.score:.2f}, {place}."


def describe_found(answer: Answer, *, threshold: float) -> str:
    """Return the regions above the threshold, in words."""
    regions = answer.regions(threshold)
    if not regions:
        return f"Query with its map: no region is above {threshold:.2f}."
    count = f"{len(regions)} region is" if len(regions) == 1 else f"{len(regions)} regions are"
    first, (height, width) = regions[0], answer.picture.shape[:2]
    place = _place((first.x + first.width / 2) / width, (first.y + first.height / 2) / height)
    area = sum(region.share for region in regions)
    return (
        f"Query with its map: {count} above {threshold:.2f}, {area:.1%} of the picture; the one with the highest score "
        f"lies {place}."
    )


def describe_look(weights: Float[Tensor, "h w"], *, point: tuple[float, float]) -> str:
    """Return the place of the highest attention in the prompt and its share, in words."""
    share = float(weights.max() / weights.sum())
    return (
        f"Prompt: the point {_place(*point)} of the query looks most {_place(*peak(weights))} of the prompt, "
        f"with {share:.0%} of its attention."
    )


def _place(x: float, y: float) -> str:
    return f"{x:.0%} from the left and {y:.0%} from the top"
