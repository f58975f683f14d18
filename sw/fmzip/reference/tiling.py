"""Wire order: a map ``[C, H, W]`` as blocks of eight channels, tile after tile.

Within a tile the order is row by row, pixel by pixel, channel block by channel block. Blocks are
held *planar*, ``[8, n]``: row j is lane j of all blocks, so that every stage works on long rows.
"""

from itertools import pairwise

import numpy as np

from fmzip.format import BLOCK, FrameConfig

DTYPES = (np.dtype(np.uint8), np.dtype(np.int8))  # indexed by format.Dtype


def tile_starts(config: FrameConfig) -> np.ndarray:
    """Number of the first block of each tile, and behind it the total: int64 [tiles + 1]."""
    blocks = [t.rows * t.cols * config.blocks_per_pixel for t in config.iter_tiles()]
    return np.concatenate(([0], np.cumsum(blocks)))


def check_values(values: np.ndarray, config: FrameConfig) -> None:
    """TypeError or ValueError where a map's type or shape is not the configured one."""
    if not isinstance(values, np.ndarray):
        raise TypeError(f"values must be an array, not {type(values).__name__}")
    dtype = DTYPES[config.dtype]
    shape = (config.channels, config.height, config.width)
    if values.dtype != dtype:
        raise TypeError(f"values must be {dtype}, not {values.dtype}")
    if values.shape != shape:
        raise ValueError(f"shape must be {shape}, not {values.shape}")


def to_lanes(values: np.ndarray, config: FrameConfig) -> np.ndarray:
    """Planar blocks of a map.

    Parameters
    ----------
    values : uint8 or int8 [C, H, W]

    Returns
    -------
    same dtype [8, n]; lanes without a channel hold the zero point
    """
    per_pixel = config.blocks_per_pixel
    if config.channels % BLOCK:
        padded = np.full((per_pixel * BLOCK, *values.shape[1:]), config.zero_point, values.dtype)
        padded[: config.channels] = values
        values = padded
    # [channel block, lane, H, W] -> [lane, H, W, channel block]
    wire = values.reshape(per_pixel, BLOCK, *values.shape[1:]).transpose(1, 2, 3, 0)
    if config.tile_cols == config.width:
        return np.ascontiguousarray(wire).reshape(BLOCK, -1)
    strips = [
        wire[:, t.row : t.row + t.rows, t.col : t.col + t.cols].reshape(BLOCK, -1)
        for t in config.iter_tiles()
    ]
    return np.concatenate(strips, axis=1)


def from_lanes(lanes: np.ndarray, config: FrameConfig) -> np.ndarray:
    """The map ``[C, H, W]`` whose planar blocks are ``lanes``; the inverse of ``to_lanes``."""
    shape = (BLOCK, config.height, config.width, config.blocks_per_pixel)
    if config.tile_cols == config.width:
        wire = lanes.reshape(shape)
    else:
        wire = np.empty(shape, lanes.dtype)
        bounds = pairwise(tile_starts(config))
        for t, (start, stop) in zip(config.iter_tiles(), bounds, strict=True):
            wire[:, t.row : t.row + t.rows, t.col : t.col + t.cols] = lanes[:, start:stop].reshape(
                BLOCK, t.rows, t.cols, -1
            )
    values = wire.transpose(3, 0, 1, 2).reshape(-1, config.height, config.width)
    return np.ascontiguousarray(values[: config.channels])


def raw_bytes(lanes: np.ndarray, config: FrameConfig) -> bytes:
    """Bytes of a raw tile: its values in wire order, without the lanes that have no channel.

    Parameters
    ----------
    lanes : uint8 or int8 [8, blocks of the tile]
    """
    pixels = lanes.T.reshape(-1, config.blocks_per_pixel * BLOCK)
    return pixels[:, : config.channels].tobytes()


def raw_lanes(data: np.ndarray, config: FrameConfig) -> np.ndarray:
    """Planar blocks of a raw tile, the inverse of ``raw_bytes``.

    Parameters
    ----------
    data : uint8 or int8 [pixels of the tile * C]
    """
    pixels = data.reshape(-1, config.channels)
    padded = np.full(
        (len(pixels), config.blocks_per_pixel * BLOCK), config.zero_point, dtype=data.dtype
    )
    padded[:, : config.channels] = pixels
    return padded.reshape(-1, BLOCK).T
