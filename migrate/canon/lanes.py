"""The hash of canon-1 over arrays: two independent 64-bit lanes, everything vectorised.

The bytes of a value become little-endian 64-bit words, the last one filled with zero bytes. Each
word goes through `_absorb`, the length and an avalanche end the value (`_finish`). The states of
all values of a block are one uint64 array of shape (2, n): row 0 is the low lane, row 1 the high.
docs/canon-1.md is the definition; `migrate.canon.reference` is the same in plain Python.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np
import numpy.typing as npt

U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

LONG = 1024  # bytes; a longer value is hashed by its SHA-256, so that one huge value costs no loop

_MULTIPLIERS = np.array([[0x9E3779B97F4A7C15], [0xC2B2AE3D27D4EB4F]], np.uint64)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


@lru_cache(maxsize=65536)
def seeds(tag: int, column: str) -> tuple[int, int]:
    """The two start states of a value of kind `tag` in `column`: column order cannot matter, columns cannot swap."""
    digest = hashlib.sha256(b"canon-1\0" + bytes([tag]) + column.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:16], "little")


def _start(tag: int, column: str, count: int) -> U64:
    state = np.empty((2, count), np.uint64)
    low, high = seeds(tag, column)
    state[0], state[1] = np.uint64(low), np.uint64(high)
    return state


def _absorb(state: U64, words: U64) -> None:
    """One word per value, in place. The shift before the product keeps top-bit differences apart in the lanes."""
    np.bitwise_xor(state, words, out=state)
    shifted = np.right_shift(state, np.uint64(29))
    np.bitwise_xor(state, shifted, out=state)
    np.multiply(state, _MULTIPLIERS, out=state)
    np.right_shift(state, np.uint64(32), out=shifted)
    np.bitwise_xor(state, shifted, out=state)


def mix(state: U64) -> None:
    """Avalanche in place (the finaliser of SplitMix64)."""
    shifted = np.right_shift(state, np.uint64(30))
    np.bitwise_xor(state, shifted, out=state)
    np.multiply(state, _MIX_1, out=state)
    np.right_shift(state, np.uint64(27), out=shifted)
    np.bitwise_xor(state, shifted, out=state)
    np.multiply(state, _MIX_2, out=state)
    np.right_shift(state, np.uint64(31), out=shifted)
    np.bitwise_xor(state, shifted, out=state)


def _finish(state: U64, lengths: U64 | np.uint64) -> None:
    np.add(state, lengths, out=state)
    mix(state)


def hash_empty(tag: int, column: str) -> U64:
    """The value without bytes (NULL has a tag of its own), shape (2, 1)."""
    state = _start(tag, column, 1)
    _finish(state, np.uint64(0))
    return state


def hash_words(tag: int, column: str, words: U64, length: int) -> U64:
    """Values of one word each, `length` significant bytes, shape (2, n)."""
    state = _start(tag, column, len(words))
    _absorb(state, words)
    _finish(state, np.uint64(length))
    return state


def hash_bytes(tag: int, column: str, data: Bytes, starts: I64, lengths: I64) -> U64:
    """Values `data[start : start + length]`, shape (2, n)."""
    long = np.flatnonzero(lengths > LONG)
    if not len(long):
        state = _absorb_bytes(tag, column, data, starts, lengths)
    else:  # long values come as the 32 bytes of their SHA-256, and with their own length at the end
        short = lengths.copy()
        short[long] = 0
        state = _absorb_bytes(tag, column, data, starts, short)
        view = memoryview(np.ascontiguousarray(data))
        ends = starts + lengths
        digests = b"".join(hashlib.sha256(view[starts[i] : ends[i]]).digest() for i in long)
        places = np.arange(len(long), dtype=np.int64) * 32
        whole = np.full(len(long), 32, np.int64)
        state[:, long] = _absorb_bytes(tag, column, np.frombuffer(digests, np.uint8), places, whole)
    _finish(state, lengths.view(np.uint64))
    return state


def _absorb_bytes(tag: int, column: str, data: Bytes, starts: I64, lengths: I64) -> U64:
    state = _start(tag, column, len(starts))
    words = (lengths + 7) >> 3
    longest = int(words.max(initial=0))
    if longest == 0:
        return state
    gather, origin = _unaligned(data, starts, lengths)
    starts = starts - origin
    if int(words.min()) == longest:
        _absorb_sorted(state, gather, starts, lengths, words)
        return state
    # Most words first: the values still in work at word j are then a prefix, and slices do the rest.
    order = np.argsort((longest - words).astype(np.uint16), kind="stable")
    _absorb_sorted(state, gather, starts[order], lengths[order], words[order])
    placed = np.empty_like(state)
    placed[0][order], placed[1][order] = state[0], state[1]
    return placed


def _absorb_sorted(state: U64, gather: U64, starts: I64, lengths: I64, words: I64) -> None:
    """`words` descends."""
    longest = int(words[0])
    more_than = np.searchsorted(-words, -np.arange(longest + 1), side="left")  # [j]: values of more than j words
    position = starts.copy()
    for j in range(longest - 1):  # word j is whole for values of more than j + 1 words
        count = int(more_than[j + 1])
        _absorb(state[:, :count], gather[position[:count]])
        position[:count] += 8
    count = int(more_than[0])
    tail = gather[starts[:count] + 8 * (words[:count] - 1)]
    unused = ((8 * words[:count] - lengths[:count]) << 3).view(np.uint64)  # 0..56 bits that belong to the neighbour
    np.left_shift(tail, unused, out=tail)
    np.right_shift(tail, unused, out=tail)
    _absorb(state[:, :count], tail)


def _unaligned(data: Bytes, starts: I64, lengths: I64) -> tuple[U64, int]:
    """The 8-byte words of the used window of `data`, one per byte position, and the window's origin."""
    origin, end = int(starts.min()), int((starts + lengths).max()) + 8
    window = data[origin:end]
    if len(window) < end - origin:  # a word may reach past the last byte
        padded = np.zeros(end - origin, np.uint8)
        padded[: len(window)] = window
        window = padded
    window = np.ascontiguousarray(window)
    return np.ndarray((len(window) - 7,), np.dtype("<u8"), buffer=window, strides=(1,)), origin
