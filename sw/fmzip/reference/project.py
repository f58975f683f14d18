"""Values of positions to symbols and back, with integer matrices: ``docs/format.md``, 11.2, 11.3.

A position's values are a column, group of channels by group, in a group pixel by pixel.
"""

import numpy as np

from fmzip.format import COMPONENT_MAX, POSITION_SIDE, FrameConfig, Tile, ceil_div
from fmzip.projection import Affine
from fmzip.reference.tiling import DTYPES

Affines = tuple[Affine, ...]


def columns(values: np.ndarray, config: FrameConfig, groups: int) -> np.ndarray:
    """Values of a tile by position, relative to the zero point: int32 [values, positions].

    Parameters
    ----------
    values : uint8 or int8 [C, rows, cols]
    """
    side = POSITION_SIDE[config.transform]
    channels, rows, cols = values.shape
    padding = (0, 0), (0, -rows % side), (0, -cols % side)
    full = np.pad(values, padding, mode="edge").astype(np.int32) - config.zero_point
    down, across = full.shape[1] // side, full.shape[2] // side
    split = full.reshape(groups, channels // groups, down, side, across, side)
    # group, row and column in the position, channel | position
    return split.transpose(0, 3, 5, 1, 2, 4).reshape(channels * side**2, down * across)


def from_columns(found: np.ndarray, config: FrameConfig, tile: Tile, groups: int) -> np.ndarray:
    """Values of a tile, the inverse of ``columns``, clamped: uint8 or int8 [C, rows, cols]."""
    side = POSITION_SIDE[config.transform]
    down, across = ceil_div(tile.rows, side), ceil_div(tile.cols, side)
    split = found.reshape(groups, side, side, config.channels // groups, down, across)
    full = split.transpose(0, 3, 4, 1, 5, 2).reshape(config.channels, down * side, across * side)
    values = np.clip(full[:, : tile.rows, : tile.cols] + config.zero_point, *config.value_range)
    return values.astype(DTYPES[config.dtype])


def symbols_of(values: np.ndarray, forward: Affines) -> np.ndarray:
    """Symbols of columns of values: int16 [positions, components]."""
    parts = _apply(forward, values)
    return np.clip(parts, -COMPONENT_MAX, COMPONENT_MAX).astype(np.int16).T


def values_of(symbols: np.ndarray, inverse: Affines) -> np.ndarray:
    """Columns of values of symbols, not clamped: int64 [values, positions]."""
    return _apply(inverse, symbols.T)


def _apply(affines: Affines, inputs: np.ndarray) -> np.ndarray:
    """All groups behind each other: int64 [outputs, positions]."""
    out, at = [], 0
    for affine in affines:
        rows = affine.matrix.shape[1]
        part = inputs[at : at + rows].astype(np.int64)
        at += rows
        sums = affine.matrix.astype(np.int64) @ part + affine.offset.astype(np.int64)[:, None]
        out.append(sums >> affine.shift)
    return np.concatenate(out)
