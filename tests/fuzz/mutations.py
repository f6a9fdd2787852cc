"""Damaging files as disks, networks and enemies do: bytes flipped, cut, repeated, swapped, and numbers made extreme."""

from collections.abc import Callable, Sequence

import numpy as np

_EXTREMES = (
    0,
    1,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    2**63 - 1,
    2**63,
    2**64 - 1,
)
_TOKENS = (
    b"../../x", b"/etc/passwd", b"\x00", b"-1", b"1e999", b"NaN", b"null", b"[", b"]", b"{", b"}", b'"', b"\n", b",",
    b":", b"a" * 300, b"999999999999999999999", b"\xff\xfe", b"!!python/object/apply:os.system", b"cos\nsystem\n",
    b"*a", b"&a ",
)  # fmt: skip

Mutation = Callable[[bytearray, np.random.Generator], None]


def mutate(content: bytes, *, others: Sequence[bytes], rng: np.random.Generator) -> bytes:
    """Return ``content`` with one to six of the damages below done to it; ``others`` lend their bytes."""
    damaged = bytearray(content)
    for _ in range(int(rng.choice((1, 1, 1, 2, 3, 6)))):
        mutation = _MUTATIONS[int(rng.integers(len(_MUTATIONS)))]
        mutation(damaged, rng)
        if rng.random() < 0.05 and others:
            _splice(damaged, others[int(rng.integers(len(others)))], rng)
    return bytes(damaged)


def _place(data: bytearray, rng: np.random.Generator) -> int:
    """A place, every other time among the first bytes, where headers are."""
    return int(rng.integers(min(len(data), 64) if rng.random() < 0.5 else len(data))) if data else 0


def _flip_bit(data: bytearray, rng: np.random.Generator) -> None:
    if data:
        data[_place(data, rng)] ^= 1 << int(rng.integers(8))


def _flip_bytes(data: bytearray, rng: np.random.Generator) -> None:
    for _ in range(int(rng.integers(1, 16))):
        if data:
            data[_place(data, rng)] = int(rng.integers(256))


def _extreme(data: bytearray, rng: np.random.Generator) -> None:
    width = int(rng.choice((1, 2, 4, 8)))
    value = _EXTREMES[int(rng.integers(len(_EXTREMES)))] % 2 ** (8 * width)
    at = _place(data, rng)
    data[at : at + width] = value.to_bytes(width, "little" if rng.random() < 0.5 else "big")


def _cut_end(data: bytearray, rng: np.random.Generator) -> None:
    del data[int(rng.integers(len(data) + 1)) :]


def _cut_out(data: bytearray, rng: np.random.Generator) -> None:
    at = _place(data, rng)
    del data[at : at + int(rng.integers(1, 33))]


def _repeat(data: bytearray, rng: np.random.Generator) -> None:
    at = _place(data, rng)
    data[at:at] = data[at : at + int(rng.integers(1, 65))] * int(rng.integers(1, 9))


def _insert_token(data: bytearray, rng: np.random.Generator) -> None:
    at = _place(data, rng)
    data[at:at] = _TOKENS[int(rng.integers(len(_TOKENS)))]


def _replace_number(data: bytearray, rng: np.random.Generator) -> None:
    """Replace the digits around a place, if there are any, by a token."""
    at = _place(data, rng)
    end = at
    while end < len(data) and data[end : end + 1].isdigit():
        end += 1
    if end > at:
        data[at:end] = _TOKENS[int(rng.integers(len(_TOKENS)))]


def _splice(data: bytearray, other: bytes, rng: np.random.Generator) -> None:
    at, start = _place(data, rng), int(rng.integers(len(other) + 1))
    data[at:] = other[start:]


_MUTATIONS: tuple[Mutation, ...] = (
    _flip_bit, _flip_bit, _flip_bytes, _extreme, _extreme, _cut_end, _cut_out, _repeat, _insert_token, _replace_number,
)  # fmt: skip
