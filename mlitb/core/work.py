"""Work orders: the pure function from (seed, cursor, shards) to the order of vectors.

Rules of this file:
- Mirrored line by line by static/js/work.js; tests/golden/work.json holds both together. Change neither alone.
- Only uint32 arithmetic: products and sums modulo 2³², so that numpy and JavaScript (Math.imul, >>>) agree.
- The permutation is counter-based: any position in O(1), nothing stored, nothing drawn.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

U32 = 0xFFFF_FFFF
GOLDEN = 0x9E37_79B9
"""2³² / golden ratio: spreads small counters over all bits."""

ROUNDS = 6
"""Mixing rounds of the permutation: with fewer, neighbours stay neighbours in small ranges (see its tests)."""


def mix(value: int) -> int:
    """Scramble a uint32 bijectively (the finaliser of MurmurHash3, Appleby)."""
    value &= U32
    value ^= value >> 16
    value = value * 0x85EB_CA6B & U32
    value ^= value >> 13
    value = value * 0xC2B2_AE35 & U32
    return value ^ value >> 16


def keyed(*parts: int) -> int:
    """Make one uint32 of several numbers, so that any change of any of them gives an unrelated one."""
    state = 0
    for part in parts:
        state = mix(state + GOLDEN + (part & U32))
    return state


def permutation(seed: int, turn: int, size: int) -> NDArray[np.uint32]:
    """Permute 0 … size-1 for the `turn`-th time round; a bijection for every seed and turn."""
    return at(seed, turn, size, np.arange(size, dtype=np.uint32))


def at(seed: int, turn: int, size: int, positions: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Look up some positions of the permutation; each costs less than two scrambles on average.

    Positions are scrambled within the next power of two and walked on until they fall below `size` (Black and Rogaway's
    cycle walking), which keeps it a bijection.
    """
    if size <= 1:
        return np.zeros_like(positions)
    bits = (size - 1).bit_length()
    keys = [keyed(seed, turn, i) for i in range(2 * ROUNDS)]
    values = _scramble(positions, keys, bits)
    while (outside := values >= size).any():
        values[outside] = _scramble(values[outside], keys, bits)
    return values


def _scramble(values: NDArray[np.uint32], keys: list[int], bits: int) -> NDArray[np.uint32]:
    mask, shift = np.uint32((1 << bits) - 1), np.uint32((bits + 1) // 2)
    for add, multiply in zip(keys[::2], keys[1::2], strict=True):
        values = (values + np.uint32(add)) * np.uint32(multiply | 1) & mask
        values = values ^ values >> shift
    return values


@dataclass(frozen=True, slots=True)
class Piece:
    """The vectors offset, offset + step, … of one shard: what one holder has of it."""

    hash: str
    count: int
    offset: int = 0
    step: int = 1

    @property
    def size(self) -> int:
        """Count its vectors."""
        return members(self.count, self.offset, self.step)


@dataclass(frozen=True, slots=True)
class Vector:
    """One data vector of an order: which piece, which image of the shard, and its 32-bit key."""

    piece: int
    index: int
    key: int


@dataclass(frozen=True)
class Stream:
    """The endless stream of vectors over a list of pieces, in an order that `seed` decides."""

    pieces: Sequence[Piece]
    seed: int

    @cached_property
    def size(self) -> int:
        """Count the vectors once round."""
        return sum(piece.size for piece in self.pieces)

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        return np.cumsum([0, *(piece.size for piece in self.pieces)])

    def take(self, cursor: int, count: int) -> Iterator[Vector]:
        """Yield the first `count` vectors of an order with this cursor; an order never holds more than once round."""
        assert 0 <= count <= self.size, f"{count} vectors of {self.size}"
        if not count:
            return
        turn, start = divmod(cursor, self.size)
        positions = (np.arange(count, dtype=np.int64) + start) % self.size
        for number in at(self.seed, turn, self.size, positions.astype(np.uint32)):
            yield self._vector(int(number))

    def walk(self, cursor: int, count: int) -> Iterator[Vector]:
        """Yield `count` vectors of the stream from a cursor on, reshuffled at each time round: for local steps."""
        while count:
            here = min(count, self.size - cursor % self.size)
            yield from self.take(cursor, here)
            cursor, count = cursor + here, count - here

    def _vector(self, number: int) -> Vector:
        place = int(np.searchsorted(self._starts, number, side="right")) - 1
        piece = self.pieces[place]
        index = piece.offset + piece.step * (number - int(self._starts[place]))
        return Vector(place, index, vector_key(piece.hash, index))


def members(count: int, offset: int, step: int) -> int:
    """Count the vectors offset, offset + step, … below `count`."""
    return max(0, (count - offset + step - 1) // step)


def vector_key(shard: str, index: int) -> int:
    """Give a vector's 32-bit key, which keys dropout and augmentation wherever it is computed."""
    return int(shard[:8], 16) + index & U32


def micro_batch_of(until_ms: float, ms_per_vector: float) -> int:
    """Choose 16, 4 or 1 vectors: the most that take at most 5 % of the budget, so that a trainer stops in time."""
    most = MICRO_BATCH_SHARE * until_ms
    if 16 * ms_per_vector <= most:
        return 16
    return 4 if 4 * ms_per_vector <= most else 1


MICRO_BATCH_SHARE = 0.05
