"""The explorer's pictures as JPEG bytes, and their alternative texts."""

import io

import cv2
import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float, Float32, UInt8
from PIL import Image
from torch import Tensor

from metauas.explorer.session import Answer, peak
from metauas.files.images import to_uint8
from metauas.plots import MAP_COLOURS, draw_contours, overlay

LONGEST = 480  # pixels of a shown picture's longer side; small ones are enlarged, so that lines stay thin
_QUALITY = 88
_DIMMED = 0.45  # brightness of the prompt without attention


def fitted(size: tuple[int, int]) -> tuple[int, int]:
    """Return the size (height, width) at which a picture of ``size`` is shown."""
    scale = LONGEST / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def shown(image: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Return an image at the size in which it is shown."""
    height, width = fitted((image.shape[0], image.shape[1]))
    flag = cv2.INTER_AREA if height < image.shape[0] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width, height), interpolation=flag))


def draw_map(answer: Answer) -> UInt8[np.ndarray, "h w 3"]:
    """Draw the map from 0 (dark) to 1 (bright)."""
    query = answer.question.query
    return _coloured(answer.enlarged(fitted((query.shape[0], query.shape[1]))))


def draw_found(answer: Answer, *, threshold: float) -> UInt8[np.ndarray, "h w 3"]:
    """Draw the query with its map as a glow and the contours of the regions above the threshold."""
    query = shown(answer.question.query)
    size = (query.shape[0], query.shape[1])
    contours = [c for region in answer.regions(threshold, size=size) for c in region.contours]
    return draw_contours(overlay(query, answer.enlarged(size)), contours)


def draw_look(answer: Answer, weights: Float[Tensor, "h w"]) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Draw the prompt, dimmed, with a glow on the positions of high attention."""
    prompt = shown(to_uint8(answer.question.moved_prompt[0]))
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
    row, column = np.unravel_index(int(answer.map.argmax()), answer.map.shape)
    height, width = answer.map.shape
    place = _place((column + 0.5) / width, (row + 0.5) / height)
    return f"Anomaly map, dark where normal and bright where anomalous: highest, {answer.score:.2f}, {place}."


def describe_found(answer: Answer, *, threshold: float) -> str:
    """Return the regions above the threshold, in words."""
    query = answer.question.query
    height, width = fitted((query.shape[0], query.shape[1]))
    regions = answer.regions(threshold, size=(height, width))
    if not regions:
        return f"Query with its map: no region is above {threshold:.2f}."
    count = f"{len(regions)} region is" if len(regions) == 1 else f"{len(regions)} regions are"
    first = regions[0]
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


def _coloured(values: Float32[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    return to_uint8(np.asarray(plt.get_cmap(MAP_COLOURS)(values)[..., :3]))
