"""The hash of canon-1 over arrays: two independent 64-bit lanes, everything vectorised.

The bytes of a value become little-endian 64-bit words, the last one filled with zero bytes. Each
word goes through `_absorb`, the length and an avalanche end the value (`_finish`). The states of
all values of a block are one uint64 array of shape (2, n): row 0 is the low lane, row 1 the high.
docs/canon-1.md is the definition; `migrate.canon.reference` is the same in plain Python.
"""

from __future__ import annotations

import hashlib
import threading
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.compute

U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
Arrow = Any  # an Arrow array; its type is known only at run time, which the stubs cannot follow
pc: Any = pyarrow.compute

LONG = 1024  # bytes; a longer value is hashed by its SHA-256, so that one huge value costs no loop

_MULTIPLIERS = np.array([[0x9E3779B97F4A7C15], [0xC2B2AE3D27D4EB4F]], np.uint64)
_27, _29, _30, _31, _32 = (np.uint64(bits) for bits in (27, 29, 30, 31, 32))
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


@lru_cache(maxsize=65536)
def seeds(tag: int, column: str) -> tuple[int, int]:
    """The two start states of a value of kind `tag` in `column`: column order cannot matter, columns cannot swap."""
    digest = hashlib.sha256(b"canon-1\0" + bytes([tag]) + column.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:16], "little")


class _Scratch(threading.local):
    """Working memory of a thread, kept: fresh pages for every block would cost more than the arithmetic."""

    def __init__(self) -> None:
        self.memory = np.empty((2, 32_768), np.uint64)

    def like(self, state: U64) -> U64:
        """Of the shape of `state`; its content is anybody's."""
        if self.memory.shape[1] < state.shape[1]:
            self.memory = np.empty((2, state.shape[1]), np.uint64)
        return self.memory[:, : state.shape[1]]


_scratch = _Scratch()


def _start(tag: int, column: str, state: U64) -> None:
    low, high = seeds(tag, column)
    state[0], state[1] = np.uint64(low), np.uint64(high)


def _absorb(state: U64, words: U64) -> None:
    """One word per value, in place. The shift before the product keeps top-bit differences apart in the lanes."""
    np.bitwise_xor(state, words, out=state)
    shifted = np.right_shift(state, _29, out=_scratch.like(state))
    np.bitwise_xor(state, shifted, out=state)
    np.multiply(state, _MULTIPLIERS, out=state)
    np.right_shift(state, _32, out=shifted)
    np.bitwise_xor(state, shifted, out=state)


def mix(state: U64) -> None:
    """Avalanche of a uint64[2, n] in place (the finaliser of SplitMix64)."""
    shifted = np.right_shift(state, _30, out=_scratch.like(state))
    np.bitwise_xor(state, shifted, out=state)
    _avalanche(state)


def _avalanche(state: U64) -> None:
    np.multiply(state, _MIX_1, out=state)
    shifted = np.right_shift(state, _27, out=_scratch.like(state))
    np.bitwise_xor(state, shifted, out=state)
    np.multiply(state, _MIX_2, out=state)
    np.right_shift(state, _31, out=shifted)
    np.bitwise_xor(state, shifted, out=state)


def _finish(state: U64, lengths: U64 | np.uint64) -> None:
    np.add(state, lengths, out=state)
    _avalanche(state)  # the last word, or the seed, is mixed already as far as the first shift of `mix` would


def hash_empty(tag: int, column: str) -> U64:
    """The value without bytes (NULL has a tag of its own), uint64[2, 1]."""
    state = np.empty((2, 1), np.uint64)
    _start(tag, column, state)
    _finish(state, np.uint64(0))
    return state


def hash_words(tag: int, column: str, words: U64, length: int, out: U64) -> None:
    """Values of one word each, `length` significant bytes, into `out` uint64[2, n]."""
    _start(tag, column, out)
    _absorb(out, words)
    _finish(out, np.uint64(length))


def hash_bytes(tag: int, column: str, data: Bytes, starts: I64, lengths: I64, out: U64) -> None:
    """Values `data[start : start + length]`, into `out` uint64[2, n]."""
    long = np.flatnonzero(lengths > LONG)
    if not len(long):
        _absorb_bytes(tag, column, data, starts, lengths, out)
    else:  # long values come as the 32 bytes of their SHA-256, and with their own length at the end
        short = lengths.copy()
        short[long] = 0
        _absorb_bytes(tag, column, data, starts, short, out)
        view = np.ascontiguousarray(data).data
        ends = starts + lengths
        digests = b"".join(hashlib.sha256(view[starts[i] : ends[i]]).digest() for i in long)
        places = np.arange(len(long), dtype=np.int64) * 32
        whole = np.full(len(long), 32, np.int64)
        state = np.empty((2, len(long)), np.uint64)
        _absorb_bytes(tag, column, np.frombuffer(digests, np.uint8), places, whole, state)
        out[:, long] = state
    _finish(out, lengths.view(np.uint64))


def _absorb_bytes(tag: int, column: str, data: Bytes, starts: I64, lengths: I64, out: U64) -> None:
    _start(tag, column, out)
    words = (lengths + 7) >> 3
    longest = int(words.max(initial=0))
    if longest == 0:
        return
    gather, origin = _unaligned(data, starts, lengths)
    starts = starts - origin
    if int(words.min()) == longest:
        _absorb_sorted(out, gather, starts, lengths, words)
        return
    # Most words first: the values still in work at word j are then a prefix, and slices do the rest.
    order = np.argsort((longest - words).astype(np.uint8), kind="stable")
    lengths = lengths[order]
    _absorb_sorted(out, gather, starts[order], lengths, (lengths + 7) >> 3)
    sorted_ = _scratch.like(out)
    np.copyto(sorted_, out)
    out[0][order], out[1][order] = sorted_[0], sorted_[1]


def _absorb_sorted(state: U64, gather: U64, position: I64, lengths: I64, words: I64) -> None:
    """`words` descends; `position`, where the values start in `gather`, is used up."""
    more_than = len(words) - np.cumsum(np.bincount(words))  # [j]: values of more than j words
    for count in more_than[1:-1].tolist():  # word j is whole for the values of more than j + 1 words
        _absorb(state[:, :count], gather[position[:count]])
        position[:count] += 8
    count = int(more_than[0])
    tail = gather[position[:count]]
    unused = ((-lengths[:count] & 7) << 3).view(np.uint64)  # 0..56 bits that belong to the neighbour
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
