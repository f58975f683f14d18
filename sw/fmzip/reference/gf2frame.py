"""The tiles of frames of bit planes: ``docs/format.md``, 12.6 and 12.7."""

import numpy as np

from fmzip.errors import FormatError
from fmzip.format import FrameConfig, Tile, TileMode, ceil_div, round_up
from fmzip.gf2 import PlaneCoding, PlaneTables
from fmzip.reference import gf2, huffman
from fmzip.reference.huffman import Codes
from fmzip.reference.tilewise import (
    check_padding,
    decode_each,
    encode_each,
    is_raw,
    stored_bytes,
)


def check_planes(config: FrameConfig, tables: object) -> PlaneTables:
    """What a frame is to be decoded with; ValueError where that is missing or another's."""
    if not isinstance(tables, PlaneTables):
        raise ValueError(f"the frame needs the binary layers {config.tables:#06x}")
    if tables.id != config.tables:
        raise ValueError(
            f"the binary layers have the id {tables.id:#06x}, the frame's is {config.tables:#06x}"
        )
    position = config.position_values
    if tables.values != position or tables.stored != config.components:
        raise ValueError(
            f"the binary layers are for {tables.values} values and {tables.stored} planes, a "
            f"position has {position} and {config.components}"
        )
    if config.huffman and tables.groups is None:
        raise ValueError("the binary layers have no codebooks, which coder huffman needs")
    return tables


def check_coding(config: FrameConfig, coding: object) -> PlaneCoding:
    """What a configuration is to be coded with; ValueError where that is missing or another's."""
    if not isinstance(coding, PlaneCoding):
        raise ValueError(f"coder {config.coder.name.lower()} needs binary layers")
    check_planes(config, coding.tables)
    return coding


def coded_tile_bytes(symbols: np.ndarray, config: FrameConfig, codes: Codes) -> int:
    """Size of a tile behind the coder HUFFMAN, padded to the burst.

    Parameters
    ----------
    symbols : int16 [positions, components]
    """
    coded = ceil_div(huffman.size_bits(symbols, codes), 8)
    raw = ceil_div(len(symbols) * config.components, 8)
    return stored_bytes(coded, raw, config)


def encode_tiles(
    values: np.ndarray, config: FrameConfig, coding: object
) -> tuple[list[bytes], list[TileMode]]:
    """All tiles of a frame, padded to the burst, and how each is stored."""
    coding = check_coding(config, coding)
    groups = coding.tables.groups if config.huffman else None
    codes = huffman.codes_of(groups) if groups is not None else None

    def encode(tile: Tile) -> tuple[bytes, TileMode]:
        part = values[:, tile.row_slice, tile.col_slice]
        planes = gf2.planes_of(part, config, coding.encoder)
        data = gf2.packed_tile(planes, config.components)
        if groups is None or codes is None:
            return data, TileMode.CODED
        coded = huffman.encode(gf2.symbols_of(planes, groups.sizes), codes)
        if is_raw(len(coded), len(data), config):
            return data, TileMode.RAW
        return coded, TileMode.CODED

    return encode_each(config, encode)


def decode_tiles(
    tiles: list[bytes], modes: np.ndarray, config: FrameConfig, tables: object
) -> np.ndarray:
    """Values of all tiles: uint8 or int8 [C, H, W].

    Raises
    ------
    ValueError : no binary layers, or others than the frame's
    FormatError : a tile is not one of such a frame
    """
    known = check_planes(config, tables)
    codes = None
    if config.huffman and known.groups is not None:
        codes = huffman.codes_of(known.groups)

    def decode(data: bytes, mode: TileMode, tile: Tile) -> np.ndarray:
        return _planes(data, mode, config, config.positions(tile.rows, tile.cols), known, codes)

    def values_of(planes: np.ndarray, tile: Tile) -> np.ndarray:
        return gf2.values_of(planes, config, tile, known)

    return decode_each(tiles, modes, config, decode, values_of)


def _planes(
    data: bytes, mode: TileMode, config: FrameConfig, positions: int, tables: PlaneTables,
    codes: Codes | None,
) -> np.ndarray:  # fmt: skip
    """Stored planes of a tile and its padding: uint8 [positions, bytes]."""
    stored = config.components
    if codes is None or mode == TileMode.RAW:
        size = ceil_div(positions * stored, 8)
        if len(data) != round_up(size, config.burst_bytes):
            raise FormatError(f"{len(data)} bytes, not {size} and padding to the burst")
        planes, used = gf2.split_tile(data[:size], positions, stored), positions * stored
    else:
        assert tables.groups is not None
        symbols, used = huffman.decode(data, positions, codes)
        made = gf2.planes_of_symbols(symbols, tables.groups.sizes)
        if made is None:
            raise FormatError("a symbol has more planes than its group")
        planes = made
    check_padding(data, used, config, "planes")
    return planes
