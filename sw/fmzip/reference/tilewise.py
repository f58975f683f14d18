"""What all coders but WIDTH and BITMAP do in the same way: a frame tile by tile."""

from collections.abc import Callable
from typing import TypeVar

import numpy as np

from fmzip.errors import FormatError
from fmzip.format import FrameConfig, Tile, TileMode, ceil_div, round_up
from fmzip.reference.tiling import DTYPES

Content = TypeVar("Content")


def encode_each(
    config: FrameConfig, encode: Callable[[Tile], tuple[bytes, TileMode]]
) -> tuple[list[bytes], list[TileMode]]:
    """All tiles of a frame, padded to the burst, and how each is stored.

    Parameters
    ----------
    encode : a tile without padding, and how it is stored
    """
    payload, modes = [], []
    for tile in config.iter_tiles():
        data, mode = encode(tile)
        payload.append(data.ljust(round_up(len(data), config.burst_bytes), b"\0"))
        modes.append(mode)
    return payload, modes


def decode_each(
    tiles: list[bytes],
    modes: np.ndarray,
    config: FrameConfig,
    decode: Callable[[bytes, TileMode, Tile], Content],
    values_of: Callable[[Content, Tile], np.ndarray],
) -> np.ndarray:
    """Values of all tiles: uint8 or int8 [C, H, W].

    Parameters
    ----------
    decode : what is in a tile
    values_of : its values, [C, tile.rows, tile.cols]

    Raises
    ------
    FormatError : what ``decode`` raises, with the tile's number
    """
    # Read first: a damaged head may claim more than the tiles can hold.
    found = []
    for t, (tile, data) in enumerate(zip(config.iter_tiles(), tiles, strict=True)):
        try:
            found.append(decode(data, TileMode(modes[t]), tile))
        except FormatError as error:
            raise FormatError(f"tile {t}: {error}") from None
    values = np.empty((config.channels, config.height, config.width), DTYPES[config.dtype])
    for tile, content in zip(config.iter_tiles(), found, strict=True):
        values[:, tile.row_slice, tile.col_slice] = values_of(content, tile)
    return values


def check_padding(data: bytes, used: int, config: FrameConfig, what: str) -> None:
    """FormatError unless zeros up to the burst, and no more, follow so many bits of a tile."""
    rest = int.from_bytes(data[used // 8 :], "little") >> used % 8
    if rest or len(data) - ceil_div(used, 8) >= config.burst_bytes:
        raise FormatError(f"bits follow the {what}, expected padding to the burst")


def is_raw(coded_bytes: int, raw_bytes: int, config: FrameConfig) -> bool:
    """True where a tile is stored raw: coding it would not save a burst."""
    return ceil_div(raw_bytes, config.burst_bytes) <= ceil_div(coded_bytes, config.burst_bytes)


def stored_bytes(coded_bytes: int, raw_bytes: int, config: FrameConfig) -> int:
    """Size of a tile, padded to the burst."""
    kept = raw_bytes if is_raw(coded_bytes, raw_bytes, config) else coded_bytes
    return round_up(kept, config.burst_bytes)
