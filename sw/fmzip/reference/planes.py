"""From values to symbols of the coder RANS and back: ``docs/format.md``, 10.1 to 10.3.

Numbers z of a tile are ``uint8 [K', C8, rows, cols]``: coefficient, channel (padded to whole groups
of 8), row and column of the position. In a frame they stand as slots, ``uint8 [n, 8]``.
"""

import numpy as np

from fmzip.format import (
    BLOCK,
    POSITION_SIDE,
    RANS_FRACTION_BITS,
    FrameConfig,
    Tile,
    Transform,
    rans_multiplier,
)
from fmzip.reference.compiled import compiled
from fmzip.reference.tiling import DTYPES
from fmzip.tables import Diffusion

_ROUND = 1 << (RANS_FRACTION_BITS - 1)
# Signs of the pixels of a position (upper left, upper right, lower left, lower right) in each
# coefficient, and at once those of the coefficients in each pixel: the matrix is symmetric.
WHT4 = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]], np.int32)


@compiled
def _quantise(y, multiplier, rounding, left, above, corner, low, high, out):  # type: ignore[no-untyped-def]
    """Numbers z of coefficients: int32 [C, rows, cols] to uint8, see 10.2."""
    channels, rows, cols = y.shape
    errors = np.zeros(cols + 1, np.int64)  # of the row above; behind column x, of this row
    spread = left + above + corner > 0
    for c in range(channels):
        errors[:] = 0
        for row in range(rows):
            beside = 0  # error to the left
            diagonal = 0  # and the one above that
            for x in range(cols):
                v = (np.int64(y[c, row, x]) * multiplier + 128) >> 8
                if spread:
                    v += (left * beside + above * errors[x] - corner * diagonal + 8) >> 4
                q = (v + rounding) >> 8
                q = min(max(q, low), high)
                if spread:
                    diagonal = errors[x]
                    beside = min(max(v - (q << 8), -256), 255)
                    errors[x] = beside
                if low < 0:
                    q = 2 * q if q >= 0 else -2 * q - 1
                out[c, row, x] = q


def numbers(values: np.ndarray, config: FrameConfig, diffusion: Diffusion) -> np.ndarray:
    """Numbers z of one tile.

    Parameters
    ----------
    values : uint8 or int8 [C, H, W], the tile's pixels

    Returns
    -------
    uint8 [K', C8, rows, cols]
    """
    coefficients = _forward(values, config)
    out = np.empty(coefficients.shape, np.uint8)
    for k, plane in enumerate(coefficients):
        low, high = (0, 255) if unsigned(config, k) else (-128, 127)
        _quantise(
            plane, rans_multiplier(config.step, config.transform), diffusion.rounding,
            diffusion.left, diffusion.above, diffusion.corner, low, high, out[k],
        )  # fmt: skip
    return out


def unsigned(config: FrameConfig, coefficient: int) -> bool:
    """True where no symbol of a coefficient is negative."""
    return config.unipolar and coefficient == 0


def _forward(values: np.ndarray, config: FrameConfig) -> np.ndarray:
    """Coefficients Y: int32 [K', C8, rows, cols]."""
    padded = np.zeros((config.blocks_per_pixel * BLOCK, *values.shape[1:]), np.int32)
    padded[: config.channels] = values
    padded[: config.channels] -= config.zero_point
    if config.transform != Transform.WHT4:
        return padded[None]
    odd = [side % 2 for side in values.shape[1:]]
    if any(odd):
        padded = np.pad(padded, ((0, 0), (0, odd[0]), (0, odd[1])), "edge")
    a, b, c, d = (padded[:, y::2, x::2] for y in (0, 1) for x in (0, 1))
    upper, lower, upper_odd, lower_odd = a + b, c + d, a - b, c - d
    return np.stack((upper + lower, upper_odd + lower_odd, upper - lower, upper_odd - lower_odd))


def values_of(z: np.ndarray, config: FrameConfig, tile: Tile) -> np.ndarray:
    """The pixels of a tile: uint8 or int8 [C, tile.rows, tile.cols]; the inverse of ``numbers``."""
    q = z[:, : config.channels].astype(np.int32)
    for k in range(len(q)):
        if not unsigned(config, k):
            odd = q[k] & 1
            q[k] = (q[k] >> 1) ^ -odd
    side = POSITION_SIDE[config.transform]
    if side == 1:
        pixels = q[0]
    else:
        pixels = np.empty((config.channels, side * q.shape[2], side * q.shape[3]), np.int32)
        upper, lower, upper_odd, lower_odd = q[0] + q[2], q[0] - q[2], q[1] + q[3], q[1] - q[3]
        pixels[:, 0::2, 0::2] = upper + upper_odd
        pixels[:, 0::2, 1::2] = upper - upper_odd
        pixels[:, 1::2, 0::2] = lower + lower_odd
        pixels[:, 1::2, 1::2] = lower - lower_odd
        pixels = pixels[:, : tile.rows, : tile.cols]
    shift = 6 if side == 1 else 7
    pixels = (pixels * config.step + (1 << (shift - 1))) >> shift
    pixels += config.zero_point
    return np.clip(pixels, *config.value_range).astype(DTYPES[config.dtype])


def to_slots(z: np.ndarray, config: FrameConfig) -> np.ndarray:
    """Symbols in the order of a frame: uint8 [n, 8]."""
    if config.transform == Transform.NIBBLES:
        z = np.concatenate((z >> 4, z & 15))
    planes, channels, rows, cols = z.shape
    grouped = z.reshape(planes, channels // BLOCK, BLOCK, rows, cols)
    return np.ascontiguousarray(grouped.transpose(3, 4, 0, 1, 2)).reshape(-1, BLOCK)


def from_slots(slots: np.ndarray, config: FrameConfig, rows: int, cols: int) -> np.ndarray:
    """Numbers z of slots; the inverse of ``to_slots``."""
    grouped = slots.reshape(rows, cols, -1, config.blocks_per_pixel, BLOCK)
    z = grouped.transpose(2, 3, 4, 0, 1)
    if config.transform == Transform.NIBBLES:
        z = z[:1] << 4 | z[1:]
    return np.ascontiguousarray(z).reshape(len(z), -1, rows, cols)
