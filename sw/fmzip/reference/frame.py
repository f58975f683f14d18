"""Encode a feature map into a frame and back: the definition that the gateware is held to."""

from dataclasses import dataclass
from itertools import pairwise
from zlib import crc32

import numpy as np

from fmzip.codings import AnyCoding, AnyTables
from fmzip.errors import FormatError
from fmzip.format import (
    BLOCK,
    SECTION_BYTES,
    SYMBOL_MAX,
    WIDTH_MAX,
    Coder,
    FrameConfig,
    TileMode,
    ceil_div,
    round_up,
)
from fmzip.reference import bitpack, dct, gf2frame, projframe, quantise, ransframe, sections, tiling
from fmzip.reference.bitpack import Packing
from fmzip.reference.head import Head, split_frame, write_head

_CHUNK = 4096  # blocks that go through the transform at once; keeps the temporaries in the cache


def packing_of(config: FrameConfig) -> Packing:
    """How the symbols of a frame are packed."""
    return Packing(config.coder, config.keep, unsigned_first=config.unipolar)


def symbols_of_lanes(lanes: np.ndarray, config: FrameConfig) -> np.ndarray:
    """Quantised symbols of planar blocks: uint8 or int8 [8, n] to int16 [8, n]."""
    out = np.empty(lanes.shape, np.int16)
    dropped = [k for k in range(BLOCK) if not config.keep >> k & 1]
    for start in range(0, lanes.shape[1], _CHUNK):
        part = slice(start, start + _CHUNK)
        values = lanes[:, part].astype(np.int32) - config.zero_point
        symbols = quantise.quantise(dct.forward(values), config.step)
        symbols[dropped] = 0
        out[:, part] = symbols
    return out


def lanes_of_symbols(
    symbols: np.ndarray, nonzero: np.ndarray | None, config: FrameConfig
) -> np.ndarray:
    """Values of planar symbols.

    Parameters
    ----------
    symbols : int16 [8, n]
    nonzero : bool [8, n], the zero bitmap, or None where the frame has none

    Returns
    -------
    uint8 or int8 [8, n], clamped to the range of the dtype
    """
    out = np.empty(symbols.shape, tiling.DTYPES[config.dtype])
    low, high = (limit - config.zero_point for limit in config.value_range)
    for start in range(0, symbols.shape[1], _CHUNK):
        part = slice(start, start + _CHUNK)
        values = dct.inverse(quantise.dequantise(symbols[:, part], config.step))
        if nonzero is not None:
            # In a unipolar map a value that is not zero is at least one above the zero point.
            np.maximum(values, 1 if config.unipolar else low, out=values)
            values *= nonzero[:, part]
        np.clip(values, low, high, out=values)
        values += config.zero_point
        out[:, part] = values
    return out


@dataclass(frozen=True)
class _Packed:
    """The coded tiles of a frame, section by section.

    Members
    -------
    widths : uint8 [n]
    parts : uint64 words of the bitmaps and of the values
    bounds : int64 [tiles + 1] each, words of each tile in ``parts``
    """

    widths: np.ndarray
    parts: tuple[np.ndarray, np.ndarray]
    bounds: tuple[np.ndarray, np.ndarray]


def _pack(lanes: np.ndarray, config: FrameConfig, starts: np.ndarray) -> _Packed:
    packing = packing_of(config)
    code, present, widths = bitpack.codes(symbols_of_lanes(lanes, config), packing)
    coded = widths > 0
    bitmap = np.zeros(widths.shape, np.uint64)
    bits = 0
    if config.zero_bitmap:
        bitmap |= np.packbits(lanes != config.zero_point, axis=0, bitorder="little")[0]
        bits += BLOCK
    if config.coder == Coder.BITMAP:
        for k in packing.kept:
            bitmap |= present[k].astype(np.uint64) << np.uint64(bits)
            bits += 1
    bitmap *= coded
    low, high = bitpack.join(code, present, widths)
    sizes = bitpack.counts(present).astype(np.int64) * widths
    bitmaps, bitmap_words = sections.put(bitmap, np.zeros_like(bitmap), coded * bits, starts)
    values, value_words = sections.put(low, high, sizes, starts)
    return _Packed(widths, (bitmaps, values), (bitmap_words, value_words))


def _nibbles(widths: np.ndarray) -> bytes:
    """The widths section of a tile: four bits per block, padded to the section size."""
    padded = np.zeros(round_up(len(widths), 2 * SECTION_BYTES), np.uint8)
    padded[: len(widths)] = widths
    return (padded[0::2] | padded[1::2] << 4).tobytes()


def encode(
    values: np.ndarray, config: FrameConfig,
    coding: AnyCoding | None = None,
) -> bytes:  # fmt: skip
    """Code a feature map.

    Parameters
    ----------
    values : uint8 or int8 [C, H, W], as ``config`` says
    coding : what the coders RANS, HUFFMAN and GF2 need

    Returns
    -------
    The frame, at most ``config.max_bytes`` long.

    Raises
    ------
    TypeError, ValueError : dtype, shape or tables differ from the configuration
    """
    tiling.check_values(values, config)
    if config.rans:
        payload, modes = ransframe.encode_tiles(values, config, coding)
    elif config.of_planes:
        payload, modes = gf2frame.encode_tiles(values, config, coding)
    elif config.huffman:
        payload, modes = projframe.encode_tiles(values, config, coding)
    else:
        payload, modes = _encode_tiles(values, config)
    offsets = np.concatenate(([0], np.cumsum([len(p) for p in payload])))
    tiles = b"".join(payload)
    return write_head(Head(config, offsets, np.array(modes, np.uint8), crc32(tiles))) + tiles


def _encode_tiles(values: np.ndarray, config: FrameConfig) -> tuple[list[bytes], list[TileMode]]:
    """All tiles of a frame, padded to the burst, and how each is stored."""
    lanes = tiling.to_lanes(values, config)
    starts = tiling.tile_starts(config)
    packed = _pack(lanes, config, starts)
    payload, modes = [], []
    for t, (tile, (start, stop)) in enumerate(
        zip(config.iter_tiles(), pairwise(starts), strict=True)
    ):
        coded = [_nibbles(packed.widths[start:stop])]
        for words, bounds in zip(packed.parts, packed.bounds, strict=True):
            coded.append(words[bounds[t] : bounds[t + 1]].astype("<u8").tobytes())
        data = b"".join(coded)
        raw_size = tile.rows * tile.cols * config.channels
        # Equal sizes: raw, since it is exact at the same cost.
        raw = ceil_div(raw_size, config.burst_bytes) <= ceil_div(len(data), config.burst_bytes)
        if raw:
            data = tiling.raw_bytes(lanes[:, start:stop], config)
        payload.append(data.ljust(round_up(len(data), config.burst_bytes), b"\0"))
        modes.append(TileMode.RAW if raw else TileMode.CODED)
    return payload, modes


def decode(frame: bytes, tables: AnyTables | None = None) -> np.ndarray:
    """Decode a frame: uint8 or int8 [C, H, W].

    Parameters
    ----------
    tables : those that the frame names, where its coder is RANS, HUFFMAN or GF2

    Raises
    ------
    FormatError : the bytes are not one intact frame
    ValueError : it needs other tables
    TypeError : not bytes at all
    """
    head, tiles = split_frame(bytes(memoryview(frame)))
    parts = [tiles[start:stop] for start, stop in pairwise(head.offsets)]
    if head.config.of_planes:
        return gf2frame.decode_tiles(parts, head.modes, head.config, tables)
    if head.config.huffman:
        return projframe.decode_tiles(parts, head.modes, head.config, tables)
    if head.config.rans:
        return ransframe.decode_tiles(parts, head.modes, head.config, tables)
    return _decode_tiles(head, tiles)


def _decode_tiles(head: Head, tiles: bytes) -> np.ndarray:
    config = head.config
    starts = tiling.tile_starts(config)
    widths, bitmap_part, value_part = [], [], []
    raw: dict[int, np.ndarray] = {}
    for t, tile in enumerate(config.iter_tiles()):
        data = tiles[head.offsets[t] : head.offsets[t + 1]]
        blocks = int(starts[t + 1] - starts[t])
        if head.modes[t] == TileMode.RAW:
            raw_size = tile.rows * tile.cols * config.channels
            if len(data) != round_up(raw_size, config.burst_bytes) or any(data[raw_size:]):
                raise FormatError(f"tile {t}: raw, but not {raw_size} bytes and zeros")
            raw[t] = np.frombuffer(data[:raw_size], tiling.DTYPES[config.dtype])
            widths.append(np.zeros(blocks, np.uint8))
            bitmap_part.append(b"")
            value_part.append(b"")
            continue
        width_bytes = round_up(ceil_div(blocks, 2), SECTION_BYTES)
        if len(data) < width_bytes:
            raise FormatError(f"tile {t}: {len(data)} bytes cannot hold {blocks} widths")
        nibbles = np.frombuffer(data[:width_bytes], np.uint8)
        both = np.stack((nibbles & 15, nibbles >> 4), axis=1).ravel()
        if both.max() > WIDTH_MAX or both[blocks:].any():
            raise FormatError(f"tile {t}: a width is {both.max()}, the limit is {WIDTH_MAX}")
        widths.append(both[:blocks])
        bits = int(np.count_nonzero(both)) * config.bitmap_bits
        bitmap_bytes = round_up(ceil_div(bits, 8), SECTION_BYTES)
        bitmap_part.append(data[width_bytes : width_bytes + bitmap_bytes])
        value_part.append(data[width_bytes + bitmap_bytes :])
    lanes = _unpack(np.concatenate(widths), bitmap_part, value_part, config, starts)
    for t, exact in raw.items():
        lanes[:, starts[t] : starts[t + 1]] = tiling.raw_lanes(exact, config)
    return tiling.from_lanes(lanes, config)


def _unpack(
    widths: np.ndarray,
    bitmap_part: list[bytes],
    value_part: list[bytes],
    config: FrameConfig,
    starts: np.ndarray,
) -> np.ndarray:
    packing = packing_of(config)
    slack = config.burst_bytes
    coded = widths > 0
    bits = config.bitmap_bits
    nonzero = None
    present = np.zeros((BLOCK, len(widths)), bool)
    present[packing.kept] = coded
    if bits:
        low, _ = sections.take(bitmap_part, coded * bits, starts, "bitmaps", slack)
        bitmap = np.where(coded, low & np.uint64((1 << bits) - 1), np.uint64(0)).astype("<u2")
        flags = np.unpackbits(bitmap.view(np.uint8).reshape(-1, 2), axis=1, bitorder="little").T
        if config.zero_bitmap:
            nonzero = flags[:BLOCK].astype(bool)
        if config.coder == Coder.BITMAP:
            present[packing.kept] = flags[BLOCK * config.zero_bitmap : bits]
    sizes = bitpack.counts(present).astype(np.int64) * widths
    low, high = sections.take(value_part, sizes, starts, "values", slack)
    code = bitpack.split(low, high, present, widths, packing)
    symbols = bitpack.symbols_of(code, present, packing)
    if np.abs(symbols).max(initial=0) > SYMBOL_MAX:
        raise FormatError(f"a symbol lies outside +-{SYMBOL_MAX}")
    return lanes_of_symbols(symbols, nonzero, config)
