"""Bit packing of symbols: widths, flags and values of all blocks at once.

A block's symbols share one width. For the ``bitmap`` coder the symbols that are zero are left out,
and the positive ones are lowered by one, since zero needs no code: +1 and -1 fit in one bit.
Where the map is unipolar, symbol 0 (the mean of the block) is coded without a sign.
"""

from dataclasses import dataclass

import numpy as np

from fmzip.format import BLOCK, WIDTH_MAX, Coder

_BIT_LENGTH = np.array([x.bit_length() for x in range(1 << (WIDTH_MAX + 1))], np.uint8)
_WORD = 64


@dataclass(frozen=True)
class Packing:
    """What decides how a block is packed.

    Parameters
    ----------
    coder : width or bitmap
    keep : bit k set: symbol k is stored
    unsigned_first : symbol 0 is never negative and is coded without a sign
    """

    coder: Coder
    keep: int
    unsigned_first: bool

    @property
    def kept(self) -> list[int]:
        return [k for k in range(BLOCK) if self.keep >> k & 1]


def codes(symbols: np.ndarray, packing: Packing) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Codes, presence and width of each block's symbols.

    Parameters
    ----------
    symbols : int16 [8, n], -1023..1023, zero where not kept

    Returns
    -------
    codes : int16 [8, n], two's complement
    present : bool [8, n], which codes are stored; nothing is where the width is 0
    widths : uint8 [n], 0..11; 0 where all symbols are zero
    """
    nonzero = symbols != 0
    if packing.coder == Coder.BITMAP:
        code = symbols - (symbols > 0)
        present = nonzero
    else:
        code = symbols
        present = np.empty_like(nonzero)
        for k in range(BLOCK):
            present[k] = packing.keep >> k & 1
    # Bits that a code needs: those of its magnitude and one for the sign; at least 1 if not zero.
    need = ((code ^ (code >> 15)) << 1) | nonzero
    if packing.unsigned_first:
        need[0] = code[0] | nonzero[0]
    widths = _BIT_LENGTH[np.bitwise_or.reduce(need, axis=0)]
    return code, present & (widths > 0), widths


def symbols_of(code: np.ndarray, present: np.ndarray, packing: Packing) -> np.ndarray:
    """Symbols of codes, the inverse of ``codes``: int16 [8, n], zero where not present."""
    if packing.coder == Coder.BITMAP:
        positive = code >= 0
        code = code + positive
    return np.where(present, code, 0).astype(np.int16)


def counts(present: np.ndarray) -> np.ndarray:
    """How many symbols of each block are stored: uint8 [n]."""
    return present.sum(axis=0, dtype=np.uint8)


def join(
    code: np.ndarray, present: np.ndarray, widths: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The stored codes of each block as one 128-bit number: low and high half, uint64 [n] each.

    The first stored code takes the lowest ``width`` bits, and so on: at most 8 * 11 bits.
    """
    wide = widths.astype(np.uint64)
    mask = (np.uint64(1) << wide) - np.uint64(1)
    low = np.zeros(widths.shape, np.uint64)
    high = np.zeros(widths.shape, np.uint64)
    offset = np.zeros(widths.shape, np.uint64)
    for row, there in zip(code, present, strict=True):
        field = row.astype(np.int64).view(np.uint64) & np.where(there, mask, np.uint64(0))
        low |= field << offset
        # A shift by 64 or more gives 0 in NumPy, so one of the two terms vanishes.
        high |= (field >> (np.uint64(_WORD) - offset)) | (field << (offset - np.uint64(_WORD)))
        offset += np.where(there, wide, np.uint64(0))
    return low, high


def split(
    low: np.ndarray, high: np.ndarray, present: np.ndarray, widths: np.ndarray, packing: Packing
) -> np.ndarray:
    """Codes of the 128-bit numbers that ``join`` makes: int16 [8, n], 0 where not present."""
    wide = widths.astype(np.uint64)
    unused = (_WORD - widths.astype(np.int64)).clip(max=_WORD - 1)
    out = np.zeros(present.shape, np.int16)
    offset = np.zeros(widths.shape, np.uint64)
    for k, there in enumerate(present):
        window = (
            (low >> offset)
            | (high << (np.uint64(_WORD) - offset))
            | (high >> (offset - np.uint64(_WORD)))
        )
        top = (window << unused.astype(np.uint64)).view(np.int64)  # the code's top bit is bit 63
        if k == 0 and packing.unsigned_first:
            value = (top.view(np.uint64) >> unused.astype(np.uint64)).astype(np.int64)
        else:
            value = top >> unused
        out[k] = np.where(there, value, 0)
        offset += np.where(there, wide, np.uint64(0))
    return out


def place(low: np.ndarray, high: np.ndarray, position: np.ndarray, words: int) -> np.ndarray:
    """Write the 128-bit numbers at ascending bit positions: uint64 [words].

    Parameters
    ----------
    low, high : uint64 [n], from ``join``; neighbours do not overlap
    position : int64 [n], not descending, in bits
    """
    out = np.zeros(words + 3, np.uint64)  # an empty number may stand behind the last word
    if not len(position):
        return out[:words]
    index = position >> 6
    shift = (position & 63).astype(np.uint64)
    back = np.uint64(_WORD) - shift
    first = np.flatnonzero(np.diff(index, prepend=-1))  # first number that begins in each word
    at = index[first]
    parts = (low << shift, (low >> back) | (high << shift), high >> back)
    for k, part in enumerate(parts):
        out[at + k] |= np.bitwise_or.reduceat(part, first)
    return out[:words]


def fetch(words: np.ndarray, position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Read 128 bits at each bit position: low and high half, uint64 [n]; the inverse of ``place``.

    Parameters
    ----------
    words : uint64 [m], with at least two words behind the last one that counts
    position : int64 [n], in bits
    """
    index = position >> 6
    shift = (position & 63).astype(np.uint64)
    back = np.uint64(_WORD) - shift
    first, second, third = words[index], words[index + 1], words[index + 2]
    return (first >> shift) | (second << back), (second >> shift) | (third << back)
