"""The tiles of a frame of the coder RANS: ``docs/format.md``, 10.7 and 10.8."""

import numpy as np

from fmzip.errors import FormatError
from fmzip.format import (
    BLOCK,
    ESCAPES_MAX,
    POSITION_SIDE,
    SECTION_BYTES,
    STATE_BYTES,
    STATE_SETS,
    FrameConfig,
    Tile,
    TileMode,
    Transform,
    ceil_div,
    round_up,
)
from fmzip.reference import planes, rans
from fmzip.reference.rans import Model, Tokens
from fmzip.reference.tilewise import decode_each, encode_each
from fmzip.tables import Coding, Tables

_COUNT_BYTES = 2  # of the escapes
_LANES_BYTES = BLOCK * STATE_BYTES
# Most symbols for each byte that a state takes, and with the last of its bytes: the steps from 256
# up to 256 * 255 where each is ``x + x // 255``, of token 0 with a frequency of 255, the smallest
# that there is, and the one that puts the byte out.
SYMBOLS_PER_BYTE = 1563


def check_tables(config: FrameConfig, tables: Tables) -> None:
    """ValueError where tables are not those of a configuration."""
    if tables.planes != config.planes:
        raise ValueError(
            f"tables are for {tables.planes} planes, transform "
            f"{config.transform.name.lower()} has {config.planes}"
        )
    if tables.id != config.tables:
        raise ValueError(
            f"tables have the id {tables.id:#06x}, the frame's is {config.tables:#06x}"
        )


def checked_tables(config: FrameConfig, tables: object) -> Tables:
    """What a frame is to be decoded with; ValueError where that is missing or another's."""
    if not isinstance(tables, Tables):
        raise ValueError(f"the frame needs the tables {config.tables:#06x}")
    check_tables(config, tables)
    return tables


def check_coding(config: FrameConfig, coding: object) -> Coding:
    """What a configuration is to be coded with; ValueError where that is missing or another's."""
    if not isinstance(coding, Coding):
        raise ValueError("coder rans needs tables")
    check_tables(config, coding.tables)
    if coding.diffusion.spreads and config.transform != Transform.BYPASS:
        raise ValueError("errors are diffused with transform bypass only")
    return coding


def numbers(values: np.ndarray, config: FrameConfig, coding: Coding, tile: Tile) -> np.ndarray:
    """Numbers z of a tile, see ``planes``."""
    part = values[:, tile.row_slice, tile.col_slice]
    return planes.numbers(part, config, coding.diffusion)


def tokens(z: np.ndarray, config: FrameConfig, model: Model) -> tuple[Tokens, bool]:
    """Tokens of a tile, and whether it is stored raw."""
    found = rans.tokens_of(planes.to_slots(z, config), rans.layout_of(config, z.shape[3]), model)
    raw = len(z) * config.channels * z.shape[2] * z.shape[3]
    return found, found.price_bytes >= raw or len(found.escapes) > ESCAPES_MAX


def tile_bytes(z: np.ndarray, config: FrameConfig, model: Model) -> int:
    """Size of a tile without padding to the burst."""
    found, raw = tokens(z, config, model)
    if raw:
        return len(z) * config.channels * z.shape[2] * z.shape[3]
    states, data = rans.encode(found, model)
    escapes = round_up(_COUNT_BYTES + len(found.escapes), SECTION_BYTES)
    return escapes + states.size * STATE_BYTES + len(data)


def encode_tile(z: np.ndarray, config: FrameConfig, model: Model) -> tuple[bytes, TileMode]:
    """A tile without padding to the burst, and how it is stored."""
    found, raw = tokens(z, config, model)
    if raw:
        # [K', C, rows, cols] -> rows, cols, K', C
        order = z[:, : config.channels].transpose(2, 3, 0, 1)
        return order.tobytes(), TileMode.RAW
    return coded_tile(found, model), TileMode.CODED


def coded_tile(found: Tokens, model: Model) -> bytes:
    """A coded tile without padding to the burst; it has at most ``ESCAPES_MAX`` escapes."""
    states, data = rans.encode(found, model)
    escapes = len(found.escapes).to_bytes(_COUNT_BYTES, "little") + found.escapes.tobytes()
    escapes = escapes.ljust(round_up(len(escapes), SECTION_BYTES), b"\0")
    return escapes + states.astype("<u2").tobytes() + data.tobytes()


def encode_tiles(
    values: np.ndarray, config: FrameConfig, coding: object
) -> tuple[list[bytes], list[TileMode]]:
    """All tiles of a frame, padded to the burst, and how each is stored."""
    coding = check_coding(config, coding)
    model = rans.model_of(coding.tables)

    def encode(tile: Tile) -> tuple[bytes, TileMode]:
        return encode_tile(numbers(values, config, coding, tile), config, model)

    return encode_each(config, encode)


def decode_tiles(
    tiles: list[bytes], modes: np.ndarray, config: FrameConfig, tables: object
) -> np.ndarray:
    """Values of all tiles: uint8 or int8 [C, H, W].

    Raises
    ------
    ValueError : no tables, or others than the frame's
    FormatError : a tile is not one of such a frame
    """
    model = rans.model_of(checked_tables(config, tables))

    def decode(data: bytes, mode: TileMode, tile: Tile) -> np.ndarray:
        return decode_tile(data, mode, config, tile, model)

    def values_of(z: np.ndarray, tile: Tile) -> np.ndarray:
        return planes.values_of(z, config, tile)

    return decode_each(tiles, modes, config, decode, values_of)


def decode_tile(
    data: bytes, mode: TileMode, config: FrameConfig, tile: Tile, model: Model
) -> np.ndarray:
    """Numbers z of a tile and its padding, see ``planes``.

    Raises
    ------
    FormatError : it is not one of such a frame
    """
    side = POSITION_SIDE[config.transform]
    rows, cols = ceil_div(tile.rows, side), ceil_div(tile.cols, side)
    if mode == TileMode.RAW:
        size = config.raw_bytes(tile.rows, tile.cols)
        if len(data) != round_up(size, config.burst_bytes) or any(data[size:]):
            raise FormatError(f"raw, but not {size} bytes and zeros")
        order = np.frombuffer(data[:size], np.uint8).reshape(rows, cols, -1, config.channels)
        z = np.zeros((order.shape[2], config.blocks_per_pixel * BLOCK, rows, cols), np.uint8)
        z[:, : config.channels] = order.transpose(2, 3, 0, 1)
        return z
    slots = rows * cols * config.planes * config.blocks_per_pixel
    count = int.from_bytes(data[:_COUNT_BYTES], "little")
    escapes_end = round_up(_COUNT_BYTES + count, SECTION_BYTES)
    states_end = escapes_end + _LANES_BYTES * min(slots, STATE_SETS)
    if len(data) < states_end:
        raise FormatError(f"{len(data)} bytes, with {count} escapes it has at least {states_end}")
    if any(data[_COUNT_BYTES + count : escapes_end]):
        raise FormatError("padding of the escapes is not zero")
    if count > ESCAPES_MAX:
        raise FormatError(f"{count} escapes, a coded tile has at most {ESCAPES_MAX}")
    # What claims more symbols than bytes and states can give must not take memory for them.
    most = (len(data) - states_end + BLOCK * STATE_SETS) * SYMBOLS_PER_BYTE
    if BLOCK * slots > most:
        raise FormatError(f"{len(data)} bytes cannot hold {BLOCK * slots} symbols")
    escapes = np.frombuffer(data[_COUNT_BYTES : _COUNT_BYTES + count], np.uint8)
    states = np.frombuffer(data[escapes_end:states_end], "<u2").reshape(-1, BLOCK)
    stream = np.frombuffer(data[states_end:], np.uint8)
    symbols, used = rans.decode(slots, rans.layout_of(config, cols), model, states, stream, escapes)
    padding = stream[used:]
    if len(padding) >= config.burst_bytes or padding.any():
        raise FormatError(f"{len(padding)} bytes follow the symbols, expected padding to the burst")
    return planes.from_slots(symbols, config, rows, cols)
