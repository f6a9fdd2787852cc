"""Drawn assemblies: products of many equal parts, one of which may be missing, misplaced or wrong.

In gears, boards, connectors and blister packs, a fault looks like a normal place nearby. Only the comparison with the
same place of the prompt finds it. A faulty item is drawn without inpainting, so it has no artefacts.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float32

from metauas.synthesis.drawn.products import Piece, broken, draw_piece, turned
from metauas.synthesis.drawn.scenes import draw_ground
from metauas.synthesis.drawn.shapes import fill_polygon, on_circle, turn_points
from metauas.synthesis.pictures.picture import Picture

_SEATED = 0.4  # share of the rows with seats, such as pads and sockets
_TOOTHED = 0.2  # share of the assemblies with teeth of the body's material around it
_BROKEN = 0.25  # share of the removals that break a piece off the body instead
_MOST = 3  # parts that are removed at once


@dataclass(frozen=True)
class Places:
    """The places of the parts of a row in one item."""

    centres: np.ndarray  # (n, 2), (x, y) in shares of the side
    angles: np.ndarray  # (n,), radians
    sizes: np.ndarray  # (n,), factors; 0 for a missing part

    def jittered(self, rng: np.random.Generator, *, shift: float, turn: float) -> "Places":
        """Return another item's places."""
        return replace(
            self,
            centres=self.centres + rng.normal(0, shift, self.centres.shape),
            angles=self.angles + rng.normal(0, turn, self.angles.shape),
        )

    def without(self, index: int) -> "Places":
        """Return the places with one part missing."""
        sizes = self.sizes.copy()
        sizes[index] = 0
        return replace(self, sizes=sizes)

    def misplaced(self, rng: np.random.Generator, index: int, *, radius: float) -> "Places":
        """Return the places with one part moved, turned, and perhaps too large or too small."""
        centres, angles, sizes = self.centres.copy(), self.angles.copy(), self.sizes.copy()
        way = rng.uniform(0, 2 * np.pi)
        centres[index] += radius * rng.uniform(0.3, 1.2) * on_circle(way)
        angles[index] += rng.choice([-1, 1]) * rng.uniform(0, 1.2)
        sizes[index] *= rng.choice([1.0, 1.0, 0.6, 1.5])
        return replace(self, centres=centres, angles=angles, sizes=sizes)


@dataclass(frozen=True)
class Row:
    """Equal parts in a row, a grid or a ring."""

    part: Piece
    places: Places  # in the design
    radius: float  # of a part, share of the side
    seat: Piece | None  # under every part, also under a missing one


@dataclass(frozen=True)
class Item:
    """One item of an assembly."""

    ground: Float32[np.ndarray, "s s 3"]  # without body or parts
    base: Float32[np.ndarray, "s s 3"]  # the body on the ground, without parts
    body: Bool[np.ndarray, "s s"]
    rows: tuple[Row, ...]  # of the design
    places: tuple[Places, ...]  # of the item's parts, for each row

    def painted(self) -> tuple[Float32[np.ndarray, "s s 3"], list[np.ndarray]]:
        """Return the image, and the visible mask of each part."""
        image, size, seen = self.base, self.base.shape[0], list[np.ndarray]()
        for row, places in zip(self.rows, self.places, strict=True):
            if row.seat is not None:
                seats = _masks(row.seat, row.places, size=size)
                image = row.seat.laid(image, part=np.logical_or.reduce(seats))
            masks = _masks(row.part, places, size=size)
            cover = np.logical_or.reduce(masks)
            image = row.part.laid(image, part=cover)
            seen = [earlier & ~cover for earlier in seen] + masks
        return np.ascontiguousarray(image), seen

    def faulty(self, rng: np.random.Generator, kind: str) -> Float32[np.ndarray, "s s 3"]:
        """Return the item with parts missing or a piece broken off, or for an ``exchange`` with one misplaced."""
        if kind == "exchange":
            row, index = self._any_part(rng)
            wrong = self.places[row].misplaced(rng, index, radius=self.rows[row].radius)
            return self._with(row, wrong).painted()[0]
        if self.body.any() and rng.random() < _BROKEN:
            return broken(rng, self.painted()[0], ground=self.ground, body=self.body)
        item = self
        for _ in range(int(rng.integers(1, _MOST + 1))):
            row, index = item._any_part(rng)
            item = item._with(row, item.places[row].without(index))
        return item.painted()[0]

    def _with(self, row: int, places: Places) -> "Item":
        return replace(self, places=(*self.places[:row], places, *self.places[row + 1 :]))

    def _any_part(self, rng: np.random.Generator) -> tuple[int, int]:
        row = int(rng.integers(len(self.rows)))
        return row, int(rng.integers(len(self.places[row].sizes)))


@dataclass(frozen=True)
class Assembly:
    """The design of all items."""

    ground: Float32[np.ndarray, "s s 3"]
    body: Piece | None
    rows: tuple[Row, ...]
    shift: float  # difference of the parts' places, in shares of the side
    turn: float  # difference of their angles, radians

    def item(self, rng: np.random.Generator) -> Item:
        """Draw one item."""
        size = self.ground.shape[0]
        ground = base = turned(rng, self.ground)
        home = np.zeros((size, size), bool)
        if self.body is not None:
            body = self.body.item(rng, shift=0.0, turn=0.0, wobble=0.0)
            home = body.mask(size=size)
            base = body.laid(ground, part=home)
        places = tuple(row.places.jittered(rng, shift=self.shift, turn=self.turn) for row in self.rows)
        return Item(ground=ground, base=base, body=home, rows=self.rows, places=places)


@dataclass(frozen=True)
class DrawnAssemblies:
    """Assemblies of random designs, with another item as sibling and with faulty items."""

    def draw(self, rng: np.random.Generator, *, size: int) -> Picture:
        """Return a picture (size, size, 3) of an item; its objects are the parts."""
        assembly = draw_assembly(rng, size=size)
        item = assembly.item(rng)
        image, masks = item.painted()
        sibling, _ = assembly.item(rng).painted()
        parts = tuple(mask for mask in masks if mask.any())
        return Picture(image=image, objects=parts, name="assembly", sibling=sibling, faulty=item.faulty)


def draw_assembly(rng: np.random.Generator, *, size: int) -> Assembly:
    """Draw a design for pictures of ``size`` pixels."""
    centre, radius = rng.uniform(0.46, 0.54, 2), rng.uniform(0.25, 0.46)
    body = draw_piece(rng, size=size, centre=centre, radius=radius, textured=0.4) if rng.random() < 0.85 else None
    rows = [_row(rng, size=size, centre=centre, reach=radius) for _ in range(int(rng.integers(1, 8)))]
    if body is not None and rng.random() < _TOOTHED:
        rows.append(_teeth(rng, body, reach=radius))
    return Assembly(
        ground=draw_ground(rng, size=size),
        body=body,
        rows=tuple(rows),
        shift=rng.uniform(0, 0.004),
        turn=rng.uniform(0, 0.04),
    )


def _row(rng: np.random.Generator, *, size: int, centre: np.ndarray, reach: float) -> Row:
    radius = rng.uniform(0.015, 0.07)
    part = draw_piece(rng, size=size, radius=radius, textured=0.15)
    seat = draw_piece(rng, size=size, radius=radius * rng.uniform(0.6, 1.4))
    draw = LAYOUTS[int(rng.integers(len(LAYOUTS)))]
    places = _places(*draw(rng, centre, reach, radius))
    return Row(part, places, radius, seat if rng.random() < _SEATED else None)


def _teeth(rng: np.random.Generator, body: Piece, *, reach: float) -> Row:
    """Return parts of the body's material around it."""
    radius = reach * rng.uniform(0.1, 0.25)
    round_body = np.linspace(0, 2 * np.pi, int(np.clip(2.2 * reach / radius, 5, 24)), endpoint=False)
    out = reach * on_circle(round_body)
    narrow = rng.uniform(0.5, 1.0)
    outline = radius * np.array([[-1, -narrow], [1, -narrow * 0.7], [1, narrow * 0.7], [-1, narrow]])
    return Row(replace(body, outline=outline), _places(body.centre + out, round_body), radius, None)


def _places(centres: np.ndarray, angles: np.ndarray) -> Places:
    return Places(centres=centres, angles=angles, sizes=np.ones(len(centres)))


def ring(rng: np.random.Generator, centre: np.ndarray, reach: float, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Return places around the middle, with each part turned outwards."""
    around = reach * rng.uniform(0.25, 0.9)
    most = max(3, int(np.pi * around / (1.2 * radius)))
    angles = np.linspace(0, 2 * np.pi, int(rng.integers(3, min(most, 18) + 1)), endpoint=False)
    return centre + around * on_circle(angles), angles


def grid(rng: np.random.Generator, centre: np.ndarray, reach: float, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Return places in one to four rows of up to eight, level, upright or at any angle."""
    columns, rows = int(rng.integers(2, 9)), int(rng.integers(1, 5))
    pitch = radius * rng.uniform(2.1, 3.5)
    x, y = np.meshgrid(np.arange(columns) - (columns - 1) / 2, np.arange(rows) - (rows - 1) / 2)
    angle = float(rng.choice([0, np.pi / 2, rng.uniform(0, np.pi)]))
    middle = centre + reach * rng.uniform(-0.5, 0.5, 2)
    places = turn_points(pitch * np.stack([x.ravel(), y.ravel()], axis=1), angle=angle) + middle
    return places, np.full(len(places), angle)


def single(rng: np.random.Generator, centre: np.ndarray, reach: float, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Return one place on the body."""
    return centre + reach * rng.uniform(-0.65, 0.65, (1, 2)), rng.uniform(0, 2 * np.pi, 1)


LAYOUTS = (ring, grid, single, single)


def _masks(piece: Piece, places: Places, *, size: int) -> list[Bool[np.ndarray, "size size"]]:
    """Return the mask of each piece, empty for a missing one."""
    return [
        fill_polygon((share * turn_points(piece.outline, angle=angle) + centre) * size, size=size)
        if share
        else np.zeros((size, size), bool)
        for centre, angle, share in zip(places.centres, places.angles, places.sizes, strict=True)
    ]
