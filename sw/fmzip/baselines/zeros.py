"""Methods that leave zeros out and store the other values as they are."""

import re

import numpy as np

from fmzip.baselines.base import Baseline, bad
from fmzip.baselines.bits import pack, text
from fmzip.format import ceil_div, round_up

_GROUP = 32  # values that share a bitmap in cDMA


def zero_gaps(words: np.ndarray, zero: int) -> np.ndarray:
    """Zeros before each value that is not zero, and behind the last: int64 [nonzeros + 1]."""
    at = np.flatnonzero(words != zero)
    gaps = np.empty(len(at) + 1, np.int64)
    gaps[:-1] = at
    gaps[-1] = len(words)
    gaps[1:] -= at + 1
    return gaps


def zero_runs(words: np.ndarray, zero: int, longest: int) -> tuple[np.ndarray, np.ndarray]:
    """The zeros of a row in runs of at most ``longest``: where each begins, and its length."""
    gaps = zero_gaps(words, zero)
    begin = np.concatenate(([0], np.flatnonzero(words != zero) + 1))  # of each gap
    parts = (gaps + longest - 1) // longest
    which = np.repeat(np.arange(len(gaps)), parts)
    part = np.arange(len(which)) - np.repeat(np.cumsum(parts) - parts, parts)
    return begin[which] + part * longest, np.minimum(gaps[which] - part * longest, longest)


class Zvc(Baseline):
    """Zero-value compression: 32 flags, bit 0 for the first of 32 values, then those not zero.

    The last group has 32 flags, too. At worst one bit in 8 is added.
    """

    name = "zvc"
    source = (
        "zero-value compression of cDMA, Rhu et al., HPCA 2018, arXiv 1705.01626 "
        "(a bitmap for 32 values and what is not zero; here of bytes)"
    )

    def _encode(self, words: np.ndarray, zero: int) -> bytes:
        flags = np.zeros((ceil_div(len(words), _GROUP), _GROUP), bool)
        flags.reshape(-1)[: len(words)] = words != zero
        counts = flags.sum(axis=1)
        bitmap_bytes = _GROUP // 8
        first = np.cumsum(counts) - counts + bitmap_bytes * np.arange(len(counts))
        is_bitmap = np.zeros(bitmap_bytes * len(counts) + int(counts.sum()), bool)
        for k in range(bitmap_bytes):
            is_bitmap[first + k] = True
        out = np.empty(len(is_bitmap), np.uint8)
        out[is_bitmap] = np.packbits(flags, axis=1, bitorder="little").reshape(-1)
        out[~is_bitmap] = words[words != zero]
        return out.tobytes()

    def _decode(self, data: bytes, n: int, zero: int) -> np.ndarray:
        stream = np.frombuffer(data, np.uint8)
        bitmap_bytes = _GROUP // 8
        out = np.full(round_up(n, _GROUP), zero, np.uint8)
        at = 0
        for begin in range(0, n, _GROUP):
            flags = np.unpackbits(stream[at : at + bitmap_bytes], bitorder="little")
            here = begin + np.flatnonzero(flags)
            at += bitmap_bytes
            values = stream[at : at + len(here)]
            at += len(here)
            if at > len(stream) or (len(here) and here[-1] >= n):
                raise bad(self.name, f"does not hold {n} values")
            out[here] = values
        if at != len(stream):
            raise bad(self.name, f"goes on for {len(stream) - at} bytes behind its {n} values")
        return out[:n]

    def _size_bytes(self, words: np.ndarray, zero: int) -> int:
        return _GROUP // 8 * ceil_div(len(words), _GROUP) + int(np.count_nonzero(words != zero))


class Rle(Baseline):
    """Zero run length: ``1`` and a value that is not zero, or ``0`` and 5 bits for 1 to 32 zeros.

    The runs have the width of Eyeriss's. Its pairs are ``rle-pairs``; without a flag they spend a
    run on every value that is not zero, which costs more as soon as zeros are not the rule.
    """

    name = "rle"
    source = (
        "zero run length with the 5-bit runs of Eyeriss (Chen et al., ISCA 2016), and a flag in "
        "place of a run where there is none"
    )
    _RUN_BITS = 5
    _TOKEN = re.compile(r"1[01]{8}|0[01]{5}")

    def _encode(self, words: np.ndarray, zero: int) -> bytes:
        runs_at, runs = zero_runs(words, zero, 1 << self._RUN_BITS)
        codes = 0x100 | words.astype(np.int64)
        widths = np.where(words != zero, 9, 0)
        codes[runs_at], widths[runs_at] = runs - 1, 1 + self._RUN_BITS
        return pack(codes, widths)

    def _decode(self, data: bytes, n: int, zero: int) -> np.ndarray:
        bits = text(data)
        out = np.full(n, zero, np.uint8)
        at = position = 0
        while at < n:
            token = self._TOKEN.match(bits, position)
            if token is None:
                raise bad(self.name, f"ends before its {n} values")
            position = token.end()
            code = int(token[0][1:], 2)
            if token[0][0] == "1":
                out[at] = code
                at += 1
            else:
                at += code + 1
        if at > n or ceil_div(position, 8) != len(data):
            raise bad(self.name, f"does not hold {n} values")
        return out

    def _size_bytes(self, words: np.ndarray, zero: int) -> int:
        gaps = zero_gaps(words, zero)
        longest = 1 << self._RUN_BITS
        runs = int(((gaps + (longest - 1)) >> self._RUN_BITS).sum())
        return ceil_div(9 * (len(gaps) - 1) + (1 + self._RUN_BITS) * runs, 8)


class RlePairs(Baseline):
    """Run-length coding of Eyeriss: pairs of 5 bits for 0 to 31 zeros and the value behind them.

    Eyeriss puts three pairs with 16-bit values, and a flag, into 64 bits. A pair with an 8-bit
    value has 13 bits; four of them would leave 11 of the 64 unused, so here they are packed without
    gaps. Longer runs, and zeros at the end, are pairs whose value is zero. A dense map grows by
    13/8.
    """

    name = "rle-pairs"
    source = (
        "run-length compression of Eyeriss, Chen et al., ISCA 2016 (5-bit run and value; here of "
        "8 bits, without gaps)"
    )
    _PAIR_BITS = 13

    def _encode(self, words: np.ndarray, zero: int) -> bytes:
        gaps = zero_gaps(words, zero)
        fill = gaps >> 5  # pairs of 31 zeros and a value that is zero
        last = (gaps & 31).copy()
        level = np.empty(len(gaps), np.int64)
        level[:-1] = words[words != zero]
        level[-1] = zero  # the zeros behind the last value: one of them is the pair's value
        last[-1] -= 1
        codes = np.full(int(fill.sum()) + len(gaps), 31 << 8 | zero, np.int64)
        codes[np.cumsum(fill + 1) - 1] = last << 8 | level
        if last[-1] < 0:
            codes = codes[:-1]
        return pack(codes, np.full(len(codes), self._PAIR_BITS))

    def _decode(self, data: bytes, n: int, zero: int) -> np.ndarray:
        pairs = 8 * len(data) // self._PAIR_BITS
        bits = np.unpackbits(np.frombuffer(data, np.uint8))[: pairs * self._PAIR_BITS]
        codes = bits.reshape(pairs, self._PAIR_BITS) @ (1 << np.arange(self._PAIR_BITS)[::-1])
        ends = np.cumsum((codes >> 8) + 1)
        # Seven bits of padding are no pair, so the last one ends the map.
        if not len(ends) or ends[-1] != n or ceil_div(pairs * self._PAIR_BITS, 8) != len(data):
            raise bad(self.name, f"does not hold {n} values")
        out = np.full(n, zero, np.uint8)
        out[ends - 1] = codes & 0xFF
        return out

    def _size_bytes(self, words: np.ndarray, zero: int) -> int:
        gaps = zero_gaps(words, zero)
        pairs = int((gaps[:-1] >> 5).sum()) + len(gaps) - 1 + ceil_div(int(gaps[-1]), 32)
        return ceil_div(self._PAIR_BITS * pairs, 8)
