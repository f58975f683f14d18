"""Values of positions to stored planes and back, a bit for a bit: ``docs/format.md``, 12.2 to 12.4.

Planes are rows of bits of a position, packed into bytes, the first in bit 0; a layer's rows are
masks of the same form. So a sum is the population count of an AND.
"""

import numpy as np

from fmzip.format import VALUE_PLANES, FrameConfig, Tile
from fmzip.gf2 import BinaryLayer, PlaneEncoder, PlaneTables, Rule
from fmzip.reference import huffman, project

_WORD_BYTES = 8


def planes_of(values: np.ndarray, config: FrameConfig, encoder: PlaneEncoder) -> np.ndarray:
    """Stored planes of a tile by position: uint8 [positions, bytes].

    Parameters
    ----------
    values : uint8 or int8 [C, rows, cols]
    """
    above = project.columns(values, config, 1) + (config.zero_point - config.value_range[0])
    top = encoder.top.astype(np.int32)[:, None]
    numbers = np.clip(above + encoder.bias.astype(np.int32)[:, None], 0, top)
    # Plane b of value v is bit 8 v + b: the bytes of the numbers as they are.
    return through(encoder.layer, np.ascontiguousarray(numbers.T.astype(np.uint8)))


def values_of(
    planes: np.ndarray, config: FrameConfig, tile: Tile, tables: PlaneTables
) -> np.ndarray:
    """Values of a tile of stored planes: uint8 or int8 [C, rows, cols].

    Parameters
    ----------
    planes : uint8 [positions, bytes]
    """
    sums = tables.sums
    matrix, offset = sums.matrix.astype(np.int64), sums.offset.astype(np.int64)
    if tables.layer is None:
        bits = unpacked(planes, tables.stored).astype(np.int64)
        found = bits @ matrix.T
    else:
        made = through(tables.layer, planes)
        bits = unpacked(made, matrix.size).astype(np.int64)
        found = (bits.reshape(len(bits), *matrix.shape) * matrix).sum(axis=2)
    above = np.clip((found + offset) >> sums.shift, 0, 255).T
    return project.from_columns(above + config.value_range[0] - config.zero_point, config, tile, 1)


def through(layer: BinaryLayer, planes: np.ndarray) -> np.ndarray:
    """Planes that a layer makes of others: uint8 [positions, bytes] to uint8 [positions, bytes]."""
    inputs = _words(planes)
    masks = [_words(part) for part in layer.signs]
    out = np.empty((len(planes), len(layer.weights)), np.uint8)
    for k, threshold in enumerate(layer.thresholds.tolist()):
        plus = _count(inputs, masks[0][k])
        if layer.rule == Rule.XOR:
            out[:, k] = plus & 1 ^ threshold
        else:
            out[:, k] = plus - _count(inputs, masks[1][k]) >= threshold
    return np.packbits(out, axis=1, bitorder="little")


def unpacked(planes: np.ndarray, count: int) -> np.ndarray:
    """Planes of positions, one a byte: uint8 [positions, count]."""
    return np.unpackbits(planes, axis=1, count=count, bitorder="little")


def _words(packed: np.ndarray) -> np.ndarray:
    """Bytes as words of 64 bits: uint64 [rows, words]."""
    rows, size = packed.shape
    padded = np.zeros((rows, -(-size // _WORD_BYTES) * _WORD_BYTES), np.uint8)
    padded[:, :size] = packed
    return padded.view("<u8")


def _count(inputs: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Ones of each row where a mask has one: int64 [rows]."""
    some = np.flatnonzero(mask)  # most words of most masks are empty
    return np.bitwise_count(inputs[:, some] & mask[some]).sum(axis=1, dtype=np.int64)


def symbols_of(planes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Symbols of the coder HUFFMAN: int16 [positions, components].

    Parameters
    ----------
    planes : uint8 [positions, bytes]
    sizes : uint8 [components], planes of each
    """
    bits = unpacked(planes, int(sizes.sum())).astype(np.int64)
    ends = np.cumsum(sizes, dtype=np.int64)
    significance = 1 << (np.arange(ends[-1]) - np.repeat(ends - sizes, sizes))
    return huffman.symbols_of(np.add.reduceat(bits * significance, ends - sizes, axis=1))


def planes_of_symbols(symbols: np.ndarray, sizes: np.ndarray) -> np.ndarray | None:
    """The inverse of ``symbols_of``; None where a symbol has more planes than its group."""
    numbers = huffman.numbers_of(symbols)
    if (numbers >> sizes.astype(np.int64)).any():
        return None
    parts = [numbers[:, k, None] >> np.arange(size) & 1 for k, size in enumerate(sizes.tolist())]
    return np.packbits(np.concatenate(parts, axis=1).astype(np.uint8), axis=1, bitorder="little")


def packed_tile(planes: np.ndarray, stored: int) -> bytes:
    """Planes of all positions behind each other: ``docs/format.md``, 12.6."""
    return np.packbits(unpacked(planes, stored), bitorder="little").tobytes()


def split_tile(data: bytes, positions: int, stored: int) -> np.ndarray:
    """The inverse of ``packed_tile``: uint8 [positions, bytes]."""
    bits = np.unpackbits(np.frombuffer(data, np.uint8), count=positions * stored, bitorder="little")
    return np.packbits(bits.reshape(positions, stored), axis=1, bitorder="little")


assert VALUE_PLANES == 8  # a value's planes are a byte
