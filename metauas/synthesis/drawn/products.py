"""Drawn products: two items of one design differ in outline, grain and inclusions, as real items do.

Two views of one item would teach a network to look for equal pixels. Inclusions are chips, seeds, pores or threads.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float32

from metauas.synthesis.changes.local_region import crack_region
from metauas.synthesis.changes.objects import dilate
from metauas.synthesis.drawn.scenes import draw_ground, lay, plain_colour, slanting_light
from metauas.synthesis.drawn.shapes import draw_shape, fill_polygon, random_outline, turn_points
from metauas.synthesis.drawn.textures import draw_texture
from metauas.synthesis.pictures.picture import Picture

_BODILESS = 0.2  # share of designs that are loose pieces on a ground
_TEXTURED = 0.6  # share of bodies with a texture
_STREWN = 0.5  # share of designs with inclusions
_BREAKING = 0.6  # share of the products that break where they could lose or exchange a fixture
_FIXTURES = 5  # pieces in fixed places, at most
_GAPS = 0.5  # share of gaps in broken bodies; from the others, a piece of the rim is gone
_NARROW = 1 / 32  # largest extra width of a gap over a crack, on either side, in shares of the side


@dataclass(frozen=True)
class Piece:
    """A part of a design."""

    outline: np.ndarray  # (n, 2) points about (0, 0), in shares of the side
    centre: np.ndarray  # (x, y) in shares of the side
    surface: Float32[np.ndarray, "..."]  # its material, an image (size, size, 3) or a colour (3,)
    light: Float32[np.ndarray, "s s"]  # factor of the light on it
    rim: float  # darkening of its edge

    def item(self, rng: np.random.Generator, *, shift: float, turn: float, wobble: float) -> "Piece":
        """Return another item's piece: moved, turned (radians), its outline bent, its grain turned."""
        angle = rng.normal(0, turn)
        outline = turn_points(_bent(rng, self.outline, strength=wobble), angle=angle)
        return replace(
            self, outline=outline, centre=self.centre + rng.normal(0, shift, 2), surface=turned(rng, self.surface)
        )

    def mask(self, *, size: int) -> Bool[np.ndarray, "size size"]:
        """Return its mask."""
        return fill_polygon((self.outline + self.centre) * size, size=size)

    def laid(
        self, image: Float32[np.ndarray, "s s 3"], *, part: Bool[np.ndarray, "s s"]
    ) -> Float32[np.ndarray, "s s 3"]:
        """Return ``image`` with the piece's material on ``part``, which may have many copies of it."""
        return lay(image, part=part, surface=self.surface, light=self.light, rim=self.rim, softness=0.6)


@dataclass(frozen=True)
class Inclusions:
    """Copies of a small ``piece``, ``count`` on average, at random places of the body."""

    piece: Piece
    count: float

    def laid(
        self, rng: np.random.Generator, image: Float32[np.ndarray, "s s 3"], *, home: Bool[np.ndarray, "s s"]
    ) -> Float32[np.ndarray, "s s 3"]:
        """Return ``image`` with one item's inclusions on ``home``."""
        size, mask, places = home.shape[0], np.zeros_like(home), np.argwhere(home)
        for y, x in places[rng.integers(len(places), size=rng.poisson(self.count) if len(places) else 0)]:
            one = self.piece.item(rng, shift=0.0, turn=np.pi, wobble=0.3)
            mask |= replace(one, centre=np.array([x, y]) / size).mask(size=size)
        return self.piece.laid(image, part=mask & home)


@dataclass(frozen=True)
class Item:
    """One item of a product."""

    image: Float32[np.ndarray, "s s 3"]
    fixtures: tuple[np.ndarray, ...]  # visible mask of each
    ground: Float32[np.ndarray, "s s 3"]
    home: Bool[np.ndarray, "s s"]  # mask of the body; True everywhere without a body
    widest: float = _NARROW  # as in ``broken``

    def faulty(self, rng: np.random.Generator, kind: str) -> Float32[np.ndarray, "s s 3"]:
        """Return the broken item, for any kind of change."""
        return broken(rng, self.image, ground=self.ground, body=self.home, widest=self.widest)


@dataclass(frozen=True)
class Design:
    """The design of all items of a product."""

    ground: Float32[np.ndarray, "s s 3"]
    body: Piece | None  # the large piece
    fixtures: tuple[Piece, ...]  # in fixed places
    inclusions: tuple[Inclusions, ...]  # at random places of every item
    shift: float  # difference of the fixtures' places, in shares of the side
    turn: float  # difference of their angles, radians
    wobble: float  # difference of the outlines, in shares of the outline

    def item(self, rng: np.random.Generator) -> Item:
        """Draw one item."""
        size, masks = self.ground.shape[0], list[np.ndarray]()
        image = ground = turned(rng, self.ground)
        home = np.ones((size, size), bool)
        if self.body is not None:
            body = self.body.item(rng, shift=0.0, turn=0.0, wobble=self.wobble)
            home = body.mask(size=size)
            image = body.laid(image, part=home)
        for kind in self.inclusions:
            image = kind.laid(rng, image, home=home)
        for fixture in self.fixtures:
            piece = fixture.item(rng, shift=self.shift, turn=self.turn, wobble=self.wobble / 2)
            part = piece.mask(size=size)
            image = piece.laid(image, part=part)
            masks = [earlier & ~part for earlier in masks] + [part]
        return Item(np.ascontiguousarray(image), tuple(masks), ground=ground, home=home)


@dataclass(frozen=True)
class DrawnProducts:
    """Products of random designs, with another item as sibling; some can be broken."""

    def draw(self, rng: np.random.Generator, *, size: int) -> Picture:
        """Return a picture (size, size, 3) of an item; its objects are the fixtures."""
        design = draw_design(rng, size=size)
        item, sibling = design.item(rng), design.item(rng).image
        objects = tuple(mask for mask in item.fixtures if mask.any())
        faulty = item.faulty if design.body is not None and rng.random() < _BREAKING else None
        return Picture(image=item.image, objects=objects, name="product", sibling=sibling, faulty=faulty)


def draw_design(rng: np.random.Generator, *, size: int) -> Design:
    """Draw a design for pictures of ``size`` pixels."""
    body = None
    if rng.random() >= _BODILESS:
        centre = rng.uniform(0.44, 0.56, 2)
        body = draw_piece(rng, size=size, centre=centre, radius=rng.uniform(0.22, 0.45), textured=_TEXTURED)
    fixtures = [
        draw_piece(rng, size=size, centre=_on(rng, body), radius=rng.uniform(0.03, 0.14), textured=0.3)
        for _ in range(int(rng.integers(0, _FIXTURES + 1)))
    ]
    kinds = int(rng.integers(1, 3)) if rng.random() < _STREWN else 0
    return Design(
        ground=draw_ground(rng, size=size),
        body=body,
        fixtures=tuple(fixtures),
        inclusions=tuple(
            Inclusions(count=rng.uniform(3, 30), piece=draw_piece(rng, size=size, radius=rng.uniform(0.008, 0.04)))
            for _ in range(kinds)
        ),
        shift=rng.uniform(0, 0.008),
        turn=rng.uniform(0, 0.08),
        wobble=rng.uniform(0, 0.2),
    )


def broken(
    rng: np.random.Generator,
    image: Float32[np.ndarray, "s s 3"],
    *,
    ground: Float32[np.ndarray, "s s 3"],
    body: Bool[np.ndarray, "s s"],
    widest: float = _NARROW,
) -> Float32[np.ndarray, "s s 3"]:
    """Return ``image`` with ``ground``, perhaps in the shade, in place of a part of ``body``.

    Gaps are wider than cracks by up to ``widest`` of the side, on either side.
    """
    size, gone = image.shape[0], np.zeros_like(body)
    if rng.random() < _GAPS:
        gone = dilate(crack_region(rng, size), pixels=int(rng.integers(0, 2 + round(size * widest))))
    if not (gone & body).any():
        gone = _bite(rng, body)
    light = np.full((size, size), rng.choice([1.0, rng.uniform(0.4, 1.0)]), np.float32)
    return lay(image, part=gone & dilate(body, pixels=1), surface=ground, light=light, rim=0.0, softness=0.6)


def _bite(rng: np.random.Generator, body: Bool[np.ndarray, "s s"]) -> Bool[np.ndarray, "s s"]:
    size = body.shape[0]
    rim = np.argwhere(dilate(~body, pixels=1) & body)
    y, x = rim[int(rng.integers(len(rim)))] if len(rim) else (size // 2, size // 2)
    return draw_shape(rng, size=size, centre=(float(x), float(y)), radius=size * rng.uniform(0.03, 0.14))


def turned(rng: np.random.Generator, surface: Float32[np.ndarray, "..."]) -> Float32[np.ndarray, "..."]:
    """Return a square image turned by quarters and perhaps mirrored; a colour (3,) is returned as it is."""
    if surface.ndim == 1:
        return surface
    quarter = np.rot90(surface, int(rng.integers(4)))
    return np.ascontiguousarray(quarter[::-1] if rng.random() < 0.5 else quarter)


def draw_piece(
    rng: np.random.Generator, *, size: int, radius: float, centre: np.ndarray | None = None, textured: float = 0.0
) -> Piece:
    """Draw a piece of any outline about ``radius`` large (share of the side), ``textured`` in that share of cases.

    By default, its centre is (0, 0).
    """
    is_textured = rng.random() < textured
    return Piece(
        outline=random_outline(rng) * radius,
        centre=np.zeros(2) if centre is None else centre,
        surface=draw_texture(rng, size=size) if is_textured else plain_colour(rng),
        light=slanting_light(rng, size=size, strongest=0.6),
        rim=float(rng.uniform(0, 2)),
    )


def _on(rng: np.random.Generator, body: Piece | None) -> np.ndarray:
    """A place on the body, or anywhere."""
    if body is None:
        return rng.uniform(0.15, 0.85, 2)
    corner = body.outline[int(rng.integers(len(body.outline)))]
    return np.asarray(body.centre + corner * rng.uniform(0, 0.8))


def _bent(rng: np.random.Generator, outline: np.ndarray, *, strength: float) -> np.ndarray:
    """Scale each point's distance from the middle by a smooth factor around 1."""
    waves = np.linspace(0, 2 * np.pi, len(outline), endpoint=False)
    bend = sum(rng.normal(0, strength / k) * np.cos(k * waves + rng.uniform(0, 2 * np.pi)) for k in (1, 2, 3))
    return np.asarray(outline * (1 + np.clip(bend, -0.4, 0.4))[:, None])
