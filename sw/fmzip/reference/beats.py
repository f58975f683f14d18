"""The beats of a map between a board's memory of beats and its codec: ``docs/registers.md``."""

import numpy as np

from fmzip.format import BLOCK, POSITION_SIDE, FrameConfig, ceil_div, round_up
from fmzip.reference.tiling import DTYPES


def pixel_order(config: FrameConfig) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The pixels of a map in wire order, position by position where those have several pixels.

    Returns
    -------
    rows, cols : int64 [pixels]
    there : bool [pixels], False for a pixel that a position lacks: row and column are then those
        of the pixel that is sent in its place
    """
    side = POSITION_SIDE.get(config.transform, 1)
    rows, cols = [], []
    for t in config.iter_tiles():
        shape = ceil_div(t.rows, side), ceil_div(t.cols, side), side, side
        row, col, down, right = np.indices(shape).reshape(4, -1)
        rows.append(t.row + side * row + down)
        cols.append(t.col + side * col + right)
    row, col = np.concatenate(rows), np.concatenate(cols)
    there = (row < config.height) & (col < config.width)
    return np.minimum(row, config.height - 1), np.minimum(col, config.width - 1), there


def beat_count(config: FrameConfig, lanes: int) -> int:
    """Beats of a map."""
    side = POSITION_SIDE.get(config.transform, 1)
    pixels = round_up(config.height, side) * round_up(config.width, side)
    return pixels * ceil_div(config.channels, lanes)


def to_beats(values: np.ndarray, config: FrameConfig, lanes: int) -> np.ndarray:
    """Beats of a map ``[C, H, W]``: uint8 [beats, 8], of which the first ``lanes`` are values."""
    rows, cols, _ = pixel_order(config)
    pixels = np.zeros((len(rows), ceil_div(config.channels, lanes) * lanes), np.uint8)
    pixels[:, : config.channels] = values.view(np.uint8)[:, rows, cols].T
    beats = np.zeros((pixels.size // lanes, BLOCK), np.uint8)
    beats[:, :lanes] = pixels.reshape(-1, lanes)
    return beats


def from_beats(beats: np.ndarray, config: FrameConfig) -> np.ndarray:
    """The map ``[C, H, W]`` of beats, uint8 [beats, lanes]."""
    rows, cols, there = pixel_order(config)
    pixels = beats.reshape(len(rows), -1)[there, : config.channels]
    values = np.empty((config.channels, config.height, config.width), np.uint8)
    values[:, rows[there], cols[there]] = pixels.T
    return values.view(DTYPES[config.dtype])
