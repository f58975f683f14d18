"""Extended bit-plane compression: zero runs, and bit planes of the differences of what is left."""

import re

import numpy as np

from fmzip.baselines.base import Baseline, bad
from fmzip.baselines.bits import pack, text
from fmzip.baselines.zeros import zero_gaps, zero_runs
from fmzip.format import ceil_div

_LONGEST = 16  # zeros of one run
_BLOCK = 8  # values of one block
_DELTAS = _BLOCK - 1
_PLANES = 9  # bits of a difference of two bytes
_ALL = (1 << _DELTAS) - 1
_HEAD_BYTES = 4

# Moves bit 0 of byte j to bit 56 + j, where a product with it puts it.
_GATHER = np.uint64(0x0102040810204080)

_ZNZ = re.compile("1|0([01]{4})")
_PLANE = re.compile("01|001[01]{3}|0000[01]|0001[01]{4}|1[01]{7}")


def _transpose(rows: np.ndarray) -> np.ndarray:
    """Transpose bit matrices, uint64 [n]: bit k of byte j becomes bit j of byte k.

    Source of the method: Warren, Hacker's Delight, 7-3.
    """
    for shift, mask in ((7, 0x00AA00AA00AA00AA), (14, 0x0000CCCC0000CCCC), (28, 0xF0F0F0F0)):
        by = np.uint64(shift)
        swap = (rows ^ (rows >> by)) & np.uint64(mask)
        rows = rows ^ swap ^ (swap << by)
    return rows


def _planes(nonzero: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Blocks of values as bit planes of their differences (DBP), and what changes (DBX).

    Parameters
    ----------
    nonzero : uint8 [n], n at least 1; the last block is filled up with its last value

    Returns
    -------
    base : uint8 [blocks], first value of each
    dbp, dbx : uint8 [9, blocks], bit j for difference j; row 0 is the highest plane
    """
    blocks = ceil_div(len(nonzero), _BLOCK)
    values = np.empty((blocks, _BLOCK), np.uint8)
    row = values.reshape(-1)
    row[: len(nonzero)], row[len(nonzero) :] = nonzero, nonzero[-1]
    low = np.zeros((blocks, _BLOCK), np.uint8)
    np.subtract(values[:, 1:], values[:, :-1], out=low[:, :_DELTAS])
    fell = np.zeros((blocks, _BLOCK), np.uint8)
    fell[:, :_DELTAS] = values[:, 1:] < values[:, :-1]
    sign = (fell.reshape(-1).view("<u8") * _GATHER) >> np.uint64(56)
    plane = _transpose(low.reshape(-1).view("<u8"))
    change = plane ^ ((plane >> np.uint64(8)) | (sign << np.uint64(56)))
    dbp = np.empty((_PLANES, blocks), np.uint8)
    dbx = np.empty((_PLANES, blocks), np.uint8)
    dbp[0] = dbx[0] = sign
    dbp[1:] = plane.astype("<u8").view(np.uint8).reshape(blocks, 8).T[::-1]
    dbx[1:] = change.astype("<u8").view(np.uint8).reshape(blocks, 8).T[::-1]
    return values[:, 0], dbp, dbx


def _plane_codes() -> tuple[np.ndarray, np.ndarray]:
    """Code and width of each change of a plane that is not zero, where DBP is not zero either."""
    codes, widths = np.zeros(_ALL + 1, np.int64), np.full(_ALL + 1, 8)
    for change in range(1, _ALL + 1):
        first = (change & -change).bit_length() - 1  # difference 0 stands leftmost in the stream
        if change == _ALL:
            codes[change], widths[change] = 0b00000, 5
        elif change == 0b11 << first:
            codes[change] = 0b00010_000 | first
        elif change == 1 << first:
            codes[change] = 0b00011_000 | first
        else:
            codes[change] = 1 << 7 | int(f"{change:07b}"[::-1], 2)
    return codes, widths


def _run_bits() -> np.ndarray:
    """Bits of a block without its short codes, by the planes that do not change: int64 [512].

    A run of planes without change costs 2 bits for one and 6 for more, any other plane 8.
    """
    costs = np.empty(1 << _PLANES, np.int64)
    for zeros in range(1 << _PLANES):
        runs = re.findall("1+", f"{zeros:b}")
        costs[zeros] = 8 + 8 * (_PLANES - zeros.bit_count())
        costs[zeros] += sum(2 if len(run) == 1 else 6 for run in runs)
    return costs


_CODES, _WIDTHS = _plane_codes()
_RUN_BITS = _run_bits()


def bpc_encode(nonzero: np.ndarray) -> bytes:
    """Bit-plane stream of uint8 [n]."""
    if not len(nonzero):
        return b""
    base, dbp, dbx = _planes(nonzero)
    codes = np.empty((1 + _PLANES, len(base)), np.int64)
    widths = np.full(codes.shape, 8)
    codes[0] = base
    codes[1:], widths[1:] = _CODES[dbx], _WIDTHS[dbx]
    still = (dbp == 0) & (dbx != _ALL)
    codes[1:][still], widths[1:][still] = 0b00001, 5
    run = np.zeros(len(base), np.int64)  # planes without change from here on down
    for k in reversed(range(_PLANES)):
        zero = dbx[k] == 0
        run = np.where(zero, run + 1, 0)
        begins = zero & (dbx[k - 1] != 0) if k else zero
        codes[1 + k][zero] = np.where(run == 1, 0b01, 0b001_000 | (run - 2))[zero]
        widths[1 + k][zero] = np.where(begins, np.where(run == 1, 2, 6), 0)[zero]
    return pack(codes.T.reshape(-1), widths.T.reshape(-1))


def bpc_bits(nonzero: np.ndarray) -> int:
    """Size of ``bpc_encode`` in bits, before it is filled up to a byte.

    With blocks of 8, all codes of a plane take 8 bits but two, which take 5.
    """
    if not len(nonzero):
        return 0
    _, dbp, dbx = _planes(nonzero)
    zeros = np.zeros(dbx.shape[1], np.uint16)
    for k in range(_PLANES):
        zeros |= (dbx[k] == 0).astype(np.uint16) << np.uint16(k)
    short = int(np.count_nonzero((dbx == _ALL) | ((dbp == 0) & (dbx != 0))))
    return int(_RUN_BITS[zeros].sum()) - 3 * short


def bpc_decode(name: str, data: bytes, n: int) -> np.ndarray:
    """The n values of a bit-plane stream: uint8 [n]."""
    bits = text(data)
    blocks = ceil_div(n, _BLOCK)
    base = np.zeros(blocks, np.uint8)
    planes = np.zeros((blocks, _PLANES), np.uint8)
    position = 0
    for block in range(blocks):
        base[block] = int(bits[position : position + 8] or "0", 2)
        position += 8
        plane = k = 0
        while k < _PLANES:
            token = _PLANE.match(bits, position)
            if token is None:
                raise bad(name, f"ends before its {n} values that are not zero")
            position, code = token.end(), token[0]
            again = 1
            if code[0] == "1":
                plane ^= int(code[:0:-1], 2)
            elif code == "01":
                pass
            elif code[:3] == "001":
                again = int(code[3:], 2) + 2
            elif code == "00000":
                plane ^= _ALL
            elif code == "00001":
                plane = 0
            else:
                plane ^= (0b11 if code[:5] == "00010" else 0b1) << int(code[5:], 2) & _ALL
            if k + again > _PLANES:
                raise bad(name, f"has more than {_PLANES} planes in a block")
            planes[block, k : k + again] = plane
            k += again
    if ceil_div(position, 8) != len(data):
        raise bad(name, f"goes on behind its {n} values that are not zero")
    delta = np.unpackbits(planes[:, :0:-1, None], axis=2, bitorder="little")  # [blocks, 8, j]
    delta = np.packbits(delta, axis=1, bitorder="little")[:, 0, :_DELTAS]
    values = np.concatenate((base[:, None], delta), axis=1)
    return np.cumsum(values, axis=1, dtype=np.uint8).reshape(-1)[:n]


class Ebpc(Baseline):
    """Extended bit-plane compression with blocks of 8 bytes, two streams.

    ``head`` 4 bytes, little-endian: length of the first stream, so that both can be read at a time.

    ``zeros`` for each value ``1`` if it is not zero; ``0`` and 4 bits for 1 to 16 zeros.

    ``values`` those that are not zero, in blocks of 8: the first one, then 9 planes of the 7
    differences, the highest plane first, each as its change (XOR) from the plane above:
    ``01`` no change; ``001`` and 3 bits: no change in 2 to 9 planes; ``00000`` all bits change;
    ``00001`` the plane itself is zero; ``00010`` and 3 bits: two neighbours change; ``00011`` and 3
    bits: one changes; ``1`` and 7 bits: any other.

    Ours: the head; that the last block is filled up with its last value; that signed maps are coded
    as words, with the zero point for a zero.
    """

    name = "ebpc"
    source = (
        "extended bit-plane compression, Cavigelli, Rutishauser and Benini, JETCAS 2019, arXiv "
        "1908.11645 (block of 8, zero runs to 16), both streams and a head of 4 bytes"
    )

    def _encode(self, words: np.ndarray, zero: int) -> bytes:
        runs_at, runs = zero_runs(words, zero, _LONGEST)
        flags = words != zero
        codes, widths = np.ones(len(words), np.int64), flags.astype(np.int64)
        codes[runs_at], widths[runs_at] = runs - 1, 5
        zeros = pack(codes, widths)
        return len(zeros).to_bytes(_HEAD_BYTES, "little") + zeros + bpc_encode(words[flags])

    def _decode(self, data: bytes, n: int, zero: int) -> np.ndarray:
        split = _HEAD_BYTES + int.from_bytes(data[:_HEAD_BYTES], "little")
        if len(data) < split:
            raise bad(self.name, "ends in its zero runs")
        flags, position = np.zeros(n, bool), 0
        at = 0
        bits = text(data[_HEAD_BYTES:split])
        while at < n:
            token = _ZNZ.match(bits, position)
            if token is None:
                raise bad(self.name, f"ends before the zero runs of its {n} values")
            position = token.end()
            if token[1] is None:
                flags[at] = True
                at += 1
            else:
                at += int(token[1], 2) + 1
        if at > n or ceil_div(position, 8) != split - _HEAD_BYTES:
            raise bad(self.name, f"has zero runs for other than {n} values")
        out = np.full(n, zero, np.uint8)
        out[flags] = bpc_decode(self.name, data[split:], int(flags.sum()))
        return out

    def _size_bytes(self, words: np.ndarray, zero: int) -> int:
        gaps = zero_gaps(words, zero)
        runs = int(((gaps + (_LONGEST - 1)) // _LONGEST).sum())
        zeros = ceil_div(len(gaps) - 1 + 5 * runs, 8)
        return _HEAD_BYTES + zeros + ceil_div(bpc_bits(words[words != zero]), 8)
