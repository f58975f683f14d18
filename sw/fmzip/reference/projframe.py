"""The tiles of a frame of the coder HUFFMAN: ``docs/format.md``, 11.6 and 11.7."""

import numpy as np

from fmzip.errors import FormatError
from fmzip.format import COMPONENT_BITS, FrameConfig, Tile, TileMode, ceil_div, round_up
from fmzip.projection import Projection, ProjectionCoding
from fmzip.reference import huffman, project
from fmzip.reference.huffman import Codes
from fmzip.reference.tilewise import (
    check_padding,
    decode_each,
    encode_each,
    is_raw,
    stored_bytes,
)


def check_projection(config: FrameConfig, tables: object) -> Projection:
    """What a frame is to be decoded with; ValueError where that is missing or another's."""
    if not isinstance(tables, Projection):
        raise ValueError(f"the frame needs the projection {config.tables:#06x}")
    if tables.id != config.tables:
        raise ValueError(
            f"the projection has the id {tables.id:#06x}, the frame's is {config.tables:#06x}"
        )
    position = config.position_values
    if tables.values != position or tables.components != config.components:
        raise ValueError(
            f"the projection is for {tables.values} values and {tables.components} components, "
            f"a position has {position} and {config.components}"
        )
    if config.channels % len(tables.inverse):
        raise ValueError(
            f"the projection has {len(tables.inverse)} groups, the map {config.channels} channels"
        )
    return tables


def check_projecting(config: FrameConfig, coding: object) -> ProjectionCoding:
    """What a configuration is to be coded with; ValueError where that is missing or another's."""
    if not isinstance(coding, ProjectionCoding):
        raise ValueError("coder huffman needs a projection")
    check_projection(config, coding.tables)
    return coding


def tile_bytes(symbols: np.ndarray, config: FrameConfig, codes: Codes) -> int:
    """Size of a tile of symbols, int16 [positions, components], padded to the burst."""
    coded, raw = ceil_div(huffman.size_bits(symbols, codes), 8), huffman.raw_bytes(symbols.size)
    return stored_bytes(coded, raw, config)


def encode_tile(symbols: np.ndarray, config: FrameConfig, codes: Codes) -> tuple[bytes, TileMode]:
    """A tile without padding to the burst, and how it is stored."""
    data = huffman.encode(symbols, codes)
    if is_raw(len(data), huffman.raw_bytes(symbols.size), config):
        return huffman.encode_raw(symbols), TileMode.RAW
    return data, TileMode.CODED


def encode_tiles(
    values: np.ndarray, config: FrameConfig, coding: object
) -> tuple[list[bytes], list[TileMode]]:
    """All tiles of a frame, padded to the burst, and how each is stored."""
    coding = check_projecting(config, coding)
    codes = huffman.codes_of(coding.tables)

    def encode(tile: Tile) -> tuple[bytes, TileMode]:
        part = values[:, tile.row_slice, tile.col_slice]
        columns = project.columns(part, config, len(coding.forward))
        return encode_tile(project.symbols_of(columns, coding.forward), config, codes)

    return encode_each(config, encode)


def decode_tiles(
    tiles: list[bytes], modes: np.ndarray, config: FrameConfig, tables: object
) -> np.ndarray:
    """Values of all tiles: uint8 or int8 [C, H, W].

    Raises
    ------
    ValueError : no projection, or another than the frame's
    FormatError : a tile is not one of such a frame
    """
    projection = check_projection(config, tables)
    codes = huffman.codes_of(projection)

    def decode(data: bytes, mode: TileMode, tile: Tile) -> np.ndarray:
        return decode_tile(data, mode, config, config.positions(tile.rows, tile.cols), codes)

    def values_of(symbols: np.ndarray, tile: Tile) -> np.ndarray:
        columns = project.values_of(symbols, projection.inverse)
        return project.from_columns(columns, config, tile, len(projection.inverse))

    return decode_each(tiles, modes, config, decode, values_of)


def decode_tile(
    data: bytes, mode: TileMode, config: FrameConfig, positions: int, codes: Codes
) -> np.ndarray:
    """Symbols of a tile and its padding: int16 [positions, components].

    Raises
    ------
    FormatError : it is not one of such a frame
    """
    if mode == TileMode.RAW:
        size = huffman.raw_bytes(positions * config.components)
        if len(data) != round_up(size, config.burst_bytes):
            raise FormatError(f"raw, but not {size} bytes and zeros")
        used = positions * config.components * COMPONENT_BITS
        symbols = huffman.decode_raw(data, positions * config.components).reshape(positions, -1)
    else:
        symbols, used = huffman.decode(data, positions, codes)
    check_padding(data, used, config, "symbols")
    return symbols
