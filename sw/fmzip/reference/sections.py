"""The bitmaps and values of all tiles as sections: numbers of any length, one behind the other.

In every tile a section begins at a multiple of ``SECTION_BYTES``; here that is a word. Numbers
never cross from one tile into the next.
"""

import numpy as np

from fmzip.errors import FormatError
from fmzip.format import SECTION_BYTES
from fmzip.reference import bitpack

_BITS = 8 * SECTION_BYTES


def put(
    low: np.ndarray, high: np.ndarray, bits: np.ndarray, starts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Sections of numbers.

    Parameters
    ----------
    low, high : uint64 [n], the numbers, see ``bitpack.join``
    bits : int64 [n], their lengths
    starts : int64 [tiles + 1], number of the first block of each tile

    Returns
    -------
    words : uint64, the sections of all tiles
    bounds : int64 [tiles + 1], where each tile's section begins in ``words``
    """
    before = np.concatenate(([0], np.cumsum(bits, dtype=np.int64)))
    per_tile = before[starts]
    words = np.concatenate(([0], np.cumsum(-(-np.diff(per_tile) // _BITS))))
    shift = words[:-1] * _BITS - per_tile[:-1]
    position = before[:-1] + np.repeat(shift, np.diff(starts))
    return bitpack.place(low, high, position, int(words[-1])), words


def take(
    parts: list[bytes], bits: np.ndarray, starts: np.ndarray, name: str, slack: int
) -> tuple[np.ndarray, np.ndarray]:
    """128 bits at each number of a section: low and high half, uint64 [n]; the inverse of ``put``.

    Parameters
    ----------
    parts : of each tile, the section and what may follow it
    bits, starts : see ``put``
    name : of the section, for messages
    slack : less than so many bytes may follow a section

    Raises
    ------
    FormatError : a section does not fit its part, or is not followed by zeros alone
    """
    before = np.concatenate(([0], np.cumsum(bits, dtype=np.int64)))
    length = np.diff(before[starts])
    size = np.array([len(part) for part in parts])
    for t in np.flatnonzero(length > 8 * size)[:1]:
        raise FormatError(f"tile {t}: the {name} section runs past the end of the tile")
    used = -(-length // _BITS) * SECTION_BYTES
    for t in np.flatnonzero(size - used >= slack)[:1]:
        raise FormatError(f"tile {t}: {size[t] - used[t]} bytes follow the {name} section")
    begin = 8 * np.concatenate(([0], np.cumsum(size)))
    words = np.frombuffer(b"".join(parts) + bytes(3 * SECTION_BYTES), "<u8").astype(np.uint64)
    _check_padding(words, begin[:-1] + length, begin[1:] // _BITS, name)
    position = before[:-1] + np.repeat(begin[:-1] - before[starts[:-1]], np.diff(starts))
    return bitpack.fetch(words, position)


def _check_padding(words: np.ndarray, end: np.ndarray, stop: np.ndarray, name: str) -> None:
    """FormatError unless all bits from bit ``end`` to word ``stop`` are 0, for each tile."""
    inside = (end % _BITS).astype(np.uint64)
    rest = np.where(inside > 0, words[end // _BITS] >> inside, np.uint64(0))
    seen = np.concatenate(([0], np.cumsum(words != 0)))  # words before that are not zero
    wrong = (rest != 0) | (seen[stop] > seen[-(-end // _BITS)])
    for t in np.flatnonzero(wrong)[:1]:
        raise FormatError(f"tile {t}: padding of the {name} section is not zero")
