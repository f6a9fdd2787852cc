"""The picture of a verdict: heat map, contours of the regions, and a caption."""

from collections.abc import Iterable

import cv2
import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image, ImageDraw, ImageFont

from metauas.eval.images.regions import Region
from metauas.plots import draw_contours, overlay

# green and vermilion that the colour-blind can tell apart (Okabe and Ito, 2008), dark enough for white letters
COLOURS = {"OK": (0, 118, 86), "DEFECTIVE": (184, 74, 0)}
_SMALLEST_FONT = 10  # pixels; smaller letters cannot be read
_WIDEST = 2 / 3  # of the image; a wider caption would hide too much


def fit_picture(image: UInt8[np.ndarray, "h w 3"], *, longest: int) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Resize an image to ``longest`` pixels on its longer side; small ones are enlarged, so that lines stay thin."""
    scale = longest / max(image.shape[:2])
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    flag = cv2.INTER_AREA if height < image.shape[0] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width, height), interpolation=flag))


def draw_verdict(
    image: UInt8[np.ndarray, "h w 3"],
    anomaly_map: Float32[np.ndarray, "h w"],
    *,
    regions: Iterable[Region],
    verdict: str,
    score: float,
) -> UInt8[np.ndarray, "h w 3"]:
    """Draw a map and the contours of its regions over the image, with a caption in the corner of the lowest scores.

    A small image has no caption.
    """
    contours = [contour for region in regions for contour in region.contours]
    drawn = draw_contours(overlay(image, anomaly_map), contours)
    return _captioned(drawn, anomaly_map, text=f"{verdict}  {score:.3f}", colour=COLOURS[verdict])


def _captioned(
    image: np.ndarray, anomaly_map: np.ndarray, *, text: str, colour: tuple[int, int, int]
) -> UInt8[np.ndarray, "h w 3"]:
    height, width = image.shape[:2]
    font_size = max(_SMALLEST_FONT, min(height, width) // 22)
    font, margin = ImageFont.load_default(font_size), font_size // 2
    canvas = Image.fromarray(image)
    draw = ImageDraw.Draw(canvas)
    box = (round(draw.textlength(text, font=font)) + 2 * margin, font_size + margin)
    if box[0] > _WIDEST * width or box[1] + 2 * margin > height:
        return image
    x, y = _quietest_corner(anomaly_map, box=box, margin=margin)
    draw.rounded_rectangle((x, y, x + box[0], y + box[1]), radius=margin, fill=colour)
    draw.text((x + box[0] / 2, y + box[1] / 2), text, font=font, fill="white", anchor="mm")
    return np.asarray(canvas)


def _quietest_corner(anomaly_map: np.ndarray, *, box: tuple[int, int], margin: int) -> tuple[int, int]:
    """Return the position (x, y) of a box in the corner with the lowest maximum of the map, preferring upper left."""
    height, width = anomaly_map.shape
    corners = [(x, y) for y in (margin, height - box[1] - margin) for x in (margin, width - box[0] - margin)]
    return min(corners, key=lambda at: float(anomaly_map[at[1] : at[1] + box[1], at[0] : at[0] + box[0]].max()))
