"""From surface to picture: pose, light, lens and sensor."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from metauas.eval.miniature.surface import SPAN, Colour, Surface, mottle, rgb
from metauas.files.images import to_uint8


@dataclass(frozen=True)
class Setting:
    """How one category is photographed.

    Attributes:
        turn: largest rotation to either side in degrees; 180 is any pose.
        shift: largest shift in units (half the side of the picture).
        zoom: largest relative change of scale.
        backdrop: its RGB colour.
        weave: strength of the backdrop's grain.
    """

    turn: float = 8.0
    shift: float = 0.0
    zoom: float = 0.06
    backdrop: Colour = (0.5, 0.5, 0.5)
    weave: float = 0.02


@dataclass(frozen=True)
class View:
    """One exposure: a pose, a lamp and the state of the camera."""

    size: int
    angle: float
    shift: tuple[float, float]
    scale: float
    lamp: tuple[float, float, float]
    fall_off: tuple[float, float]
    gain: float
    gamma: float
    cast: Colour
    blur: float
    noise: float
    backdrop: Float[np.ndarray, "size size 3"]


def draw_view(rng: np.random.Generator, *, setting: Setting, size: int) -> View:
    """Draw pose, lamp and camera for one image of ``size`` pixels."""
    azimuth = np.radians(rng.uniform(205, 250))  # from the upper left, as in most workshops
    rise = rng.uniform(1.3, 1.9)
    right, down = rng.uniform(-setting.shift, setting.shift, size=2).tolist()
    red, green, blue = (1 + rng.normal(0, 0.008, size=3)).tolist()
    slope_x, slope_y = rng.uniform(-0.07, 0.07, size=2).tolist()
    return View(
        size=size,
        angle=float(np.radians(rng.uniform(-setting.turn, setting.turn))),
        shift=(right, down),
        scale=1 + rng.uniform(-setting.zoom, setting.zoom),
        lamp=(float(2 * np.cos(azimuth)), float(2 * np.sin(azimuth)), 2 * rise),
        fall_off=(slope_x, slope_y),
        gain=rng.uniform(0.92, 1.06),
        gamma=rng.uniform(0.93, 1.07),
        cast=(red, green, blue),
        blur=rng.uniform(0.45, 0.7) * size / 256,
        noise=rng.uniform(0.007, 0.014),
        backdrop=draw_backdrop(rng, setting=setting, size=size),
    )


def draw_backdrop(rng: np.random.Generator, *, setting: Setting, size: int) -> Float[np.ndarray, "size size 3"]:
    """Draw a backdrop with uneven brightness and a fine grain."""
    canvas = round(size * SPAN)  # one picture pixel per canvas pixel
    broad = mottle(rng, pixels=size, canvas=canvas, units=0.8)
    fine = mottle(rng, pixels=size, canvas=canvas, units=0.02)
    level = rng.uniform(0.93, 1.05) * (1 + 0.012 * broad + setting.weave * fine)
    return np.asarray(level[..., None] * rgb(setting.backdrop), dtype=np.float32)


def photograph(surface: Surface, view: View) -> Float[np.ndarray, "size size 3"]:
    """Return the picture in [0, 1] of a sensor without noise."""
    seen = posed(surface, view)
    lit = illuminate(seen, view)
    alpha = seen.alpha[..., None]
    scene = lit * alpha + view.backdrop * cast_shadow(seen.alpha, view)[..., None] * (1 - alpha)
    scene = np.asarray(cv2.GaussianBlur(scene, (0, 0), view.blur)) if view.blur > 0.2 else scene
    x, y = _positions(view.size)
    exposure = view.gain * (1 + view.fall_off[0] * x + view.fall_off[1] * y)
    linear = np.clip(scene * exposure[..., None] * rgb(view.cast), 0, 1)
    return np.asarray(cv2.pow(linear, view.gamma))


def develop(
    rng: np.random.Generator, picture: Float[np.ndarray, "h w 3"], *, noise: float
) -> UInt8[np.ndarray, "h w 3"]:
    """Add sensor noise, stronger in bright pixels (photon noise), and round to bytes."""
    grain = rng.standard_normal(picture.shape, dtype=np.float32) * np.float32(noise)
    return to_uint8(picture + grain * np.sqrt(0.3 + 0.7 * picture))


def posed(surface: Surface, view: View) -> Surface:
    """Rotate, shift and scale a surface from its canvas into the picture."""
    cos, sin = np.cos(view.angle) / view.scale, np.sin(view.angle) / view.scale
    to_canvas = (surface.canvas / (2 * SPAN)) * np.array([[cos, sin], [-sin, cos]])
    corner = np.full(2, 1 / view.size - 1) - view.shift  # units of the first pixel's centre
    offset = to_canvas @ corner + (surface.canvas - 1) / 2
    matrix = np.c_[to_canvas * 2 / view.size, offset]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP

    def warp(maps: Float[np.ndarray, "h w c"]) -> Float[np.ndarray, "h2 w2 c"]:
        return np.asarray(cv2.warpAffine(maps, matrix, (view.size, view.size), flags=flags))

    relief = warp(np.dstack([surface.height, surface.gloss, surface.alpha]))
    return Surface(warp(surface.albedo), relief[..., 0], relief[..., 1], relief[..., 2])


def illuminate(seen: Surface, view: View) -> Float[np.ndarray, "h w 3"]:
    """Shade by one near lamp (Lambert) with half ambient light, and add Blinn's highlights."""
    slope_y, slope_x = np.gradient(seen.height * np.float32(view.size / 2))  # a pixel is 2 / size units wide
    x, y = _positions(view.size)
    steep = 1 / np.sqrt(1 + slope_x**2 + slope_y**2)
    to_lamp = [view.lamp[0] - x, view.lamp[1] - y, np.full_like(x, view.lamp[2])]
    far = np.sqrt(to_lamp[0] ** 2 + to_lamp[1] ** 2 + to_lamp[2] ** 2)
    lx, ly, lz = (part / far for part in to_lamp)
    facing = np.clip((lz - slope_x * lx - slope_y * ly) * steep, 0, None)
    halfway = np.sqrt(2 + 2 * lz)  # length of lamp direction + view direction (0, 0, 1)
    mirror = np.clip((1 + lz - slope_x * lx - slope_y * ly) * steep / halfway, 0, 1)
    broad = mirror**8
    lambert = 0.45 + 0.55 * facing / lz
    highlights = seen.gloss * (0.18 * broad + 0.75 * broad**8)
    return np.asarray(seen.albedo * lambert[..., None] + highlights[..., None])


def cast_shadow(alpha: Float[np.ndarray, "h w"], view: View) -> Float[np.ndarray, "h w"]:
    """Return the share of light on the backdrop (H, W): lower next to the product, on the side away from the lamp."""
    away = -np.array(view.lamp[:2]) * 0.018 * view.size / 2
    moved = cv2.warpAffine(alpha, np.array([[1, 0, away[0]], [0, 1, away[1]]]), alpha.shape[::-1])
    soft = cv2.GaussianBlur(np.asarray(moved), (0, 0), 0.035 * view.size / 2)
    return np.asarray(1 - 0.45 * np.asarray(soft))


def _positions(size: int) -> tuple[Float[np.ndarray, "n n"], Float[np.ndarray, "n n"]]:
    axis = ((np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1).astype(np.float32)
    x, y = np.meshgrid(axis, axis)
    return x, y
