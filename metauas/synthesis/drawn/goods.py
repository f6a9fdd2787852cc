"""Drawn goods: baked, grown or cast things that differ in outline, relief, creases and inclusions.

On biscuits, nuts, fruits and castings, a large dark spot may be a normal chip or crease. On a broken item, the ground
shows in a gap or in the place of a missing piece.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from metauas.synthesis.changes.local_region import crack_region
from metauas.synthesis.drawn.products import Inclusions, Item, Piece, draw_piece
from metauas.synthesis.drawn.scenes import draw_ground, lay, slanting_light
from metauas.synthesis.drawn.shapes import OUTLINES, blob, ellipse, random_outline, turn_points
from metauas.synthesis.drawn.surfaces import Surface, draw_surface
from metauas.synthesis.pictures.picture import Picture

_ROUND = 0.8  # share of the goods that are ellipses or blobs
_ANY_TURN = 0.5  # share of the goods that lie turned by any angle
_LARGEST_CHIP = 0.07  # radius, share of the side
_WIDEST = 1 / 12  # largest extra width of a gap over a crack, on either side, in shares of the side


@dataclass(frozen=True)
class Creases:
    """Shallow cracks of a normal item."""

    count: float  # mean number
    depth: float  # share of the light that they lose
    blur: float  # Gaussian sigma of their edges, pixels

    def creased(
        self, rng: np.random.Generator, image: Float32[np.ndarray, "s s 3"], *, home: Bool[np.ndarray, "s s"]
    ) -> Float32[np.ndarray, "s s 3"]:
        """Return ``image`` with one item's creases on ``home``."""
        size, dark = image.shape[0], np.zeros(home.shape, np.float32)
        for _ in range(rng.poisson(self.count)):
            dark += rng.uniform(0.3, 1.0) * crack_region(rng, size, lengths=(0.1, 0.5), widest=1 / 60)
        dark = np.minimum(cv2.GaussianBlur(dark, (0, 0), self.blur), 1.0) * home
        light = (1 - np.float32(self.depth) * dark).astype(np.float32)
        return image * cv2.merge([light, light, light])


@dataclass(frozen=True)
class Sort:
    """The design of all items of one sort of goods."""

    ground: Float32[np.ndarray, "s s 3"]
    body: Piece  # outline, place and light of an item
    surface: Surface  # its material
    bend: float  # difference of the outlines, in shares of the outline
    turn: float  # largest turn, radians to either side
    creases: Creases
    inclusions: tuple[Inclusions, ...]  # at random places of every item

    def item(self, rng: np.random.Generator) -> Item:
        """Draw one item."""
        size = self.ground.shape[0]
        bent = self.body.item(rng, shift=0.01, turn=0.0, wobble=self.bend)
        piece = replace(bent, outline=turn_points(bent.outline, angle=rng.uniform(-1, 1) * self.turn))
        home = piece.mask(size=size)
        skin = self.creases.creased(rng, self.surface.alike(rng).draw(rng, size=size), home=home)
        image = lay(self.ground, part=home, surface=skin, light=self.body.light, rim=self.body.rim, softness=0.8)
        for chips in self.inclusions:
            image = chips.laid(rng, image, home=home)
        return Item(np.ascontiguousarray(image), (), ground=self.ground, home=home, widest=_WIDEST)


@dataclass(frozen=True)
class DrawnGoods:
    """Goods of random sorts, with another item as sibling; every item can be broken."""

    def draw(self, rng: np.random.Generator, *, size: int) -> Picture:
        """Return a picture (size, size, 3) of an item without objects."""
        sort = draw_sort(rng, size=size)
        item, sibling = sort.item(rng), sort.item(rng).image
        return Picture(image=item.image, name="goods", sibling=sibling, faulty=item.faulty)


def draw_sort(rng: np.random.Generator, *, size: int) -> Sort:
    """Draw a sort for pictures of ``size`` pixels."""
    shapes = (ellipse, blob) if rng.random() < _ROUND else OUTLINES
    outline = random_outline(rng, shapes=shapes, narrowest=0.6)
    surface = draw_surface(rng)
    return Sort(
        ground=draw_ground(rng, size=size),
        body=Piece(
            outline=outline * rng.uniform(0.25, 0.45),
            centre=rng.uniform(0.44, 0.56, 2),
            surface=surface.tone,
            light=slanting_light(rng, size=size, strongest=0.5),
            rim=float(rng.uniform(0, 2)),
        ),
        surface=surface,
        bend=rng.uniform(0, 0.3),
        turn=np.pi if rng.random() < _ANY_TURN else 0.1,
        creases=Creases(
            count=rng.choice([0.0, rng.uniform(1, 8)]),  # half of the sorts have none
            depth=rng.uniform(0.1, 0.5),
            blur=rng.uniform(0.5, 1.5),
        ),
        inclusions=tuple(_chips(rng, size=size) for _ in range(int(rng.integers(0, 3)))),
    )


def _chips(rng: np.random.Generator, *, size: int) -> Inclusions:
    """Return inclusions of one size; large ones are few."""
    radius = float(np.exp(rng.uniform(np.log(0.008), np.log(_LARGEST_CHIP))))
    count = rng.uniform(2, 12) if radius > _LARGEST_CHIP / 3 else rng.uniform(3, 40)
    return Inclusions(draw_piece(rng, size=size, radius=radius, textured=0.2), count=count)
