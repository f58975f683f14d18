"""The tiles of frames of bit planes: ``docs/format.md``, 12.6 and 12.7."""

import numpy as np

from fmzip.errors import FormatError
from fmzip.format import FrameConfig, TileMode, ceil_div, round_up
from fmzip.gf2 import PlaneCoding, PlaneTables
from fmzip.reference import gf2, huffman
from fmzip.reference.huffman import Codes
from fmzip.reference.projframe import is_raw
from fmzip.reference.tiling import DTYPES


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
    return round_up(raw if is_raw(coded, raw, config) else coded, config.burst_bytes)


def encode_tiles(
    values: np.ndarray, config: FrameConfig, coding: object
) -> tuple[list[bytes], list[TileMode]]:
    """All tiles of a frame, padded to the burst, and how each is stored."""
    coding = check_coding(config, coding)
    groups = coding.tables.groups if config.huffman else None
    codes = huffman.codes_of(groups) if groups is not None else None
    payload, modes = [], []
    for tile in config.iter_tiles():
        part = values[:, tile.row_slice, tile.col_slice]
        planes = gf2.planes_of(part, config, coding.encoder)
        data, mode = gf2.packed_tile(planes, config.components), TileMode.CODED
        if groups is not None and codes is not None:
            coded = huffman.encode(gf2.symbols_of(planes, groups.sizes), codes)
            if is_raw(len(coded), len(data), config):
                mode = TileMode.RAW
            else:
                data = coded
        payload.append(data.ljust(round_up(len(data), config.burst_bytes), b"\0"))
        modes.append(mode)
    return payload, modes


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
    # Read first: a damaged head may claim more than the tiles can hold.
    found = []
    for t, (tile, data) in enumerate(zip(config.iter_tiles(), tiles, strict=True)):
        positions = config.positions(tile.rows, tile.cols)
        try:
            found.append(_planes(data, TileMode(modes[t]), config, positions, known, codes))
        except FormatError as error:
            raise FormatError(f"tile {t}: {error}") from None
    values = np.empty((config.channels, config.height, config.width), DTYPES[config.dtype])
    for tile, planes in zip(config.iter_tiles(), found, strict=True):
        values[:, tile.row_slice, tile.col_slice] = gf2.values_of(planes, config, tile, known)
    return values


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
    rest = int.from_bytes(data[used // 8 :], "little") >> used % 8
    if rest or len(data) - ceil_div(used, 8) >= config.burst_bytes:
        raise FormatError("bits follow the planes, expected padding to the burst")
    return planes
