"""From float activations to the 8-bit integers that an accelerator stores, one scale per map.

The scale is static: it is made on calibration pictures and then fixed. A map that is never negative
is uint8 with zero point 0; any other is int8 with a zero point, so that zero is always exact.
Source of the scheme: Jacob et al., arXiv 1712.05877, section 2.1.
"""

from dataclasses import dataclass

import numpy as np

from fmzip.format import Dtype

METHODS = ("max", "percentile", "mse")

BINS = 2048  # of the histograms that percentile and mse work on
PERCENTILE = 99.99  # share of the values that keep their value, in percent; the rest is clamped
_MSE_SHRINK = np.linspace(0.2, 1.0, 81)  # ranges that mse tries, as a share of the full one

_TYPES = {Dtype.UINT8: np.uint8, Dtype.INT8: np.int8}


@dataclass(frozen=True)
class Scale:
    """How integers stand for activations: ``value = (integer - zero_point) * scale``.

    Parameters
    ----------
    scale : activation of one LSB, above 0; rounded to float32, so that a float32 program computes
        with the same number
    zero_point : the integer that stands for 0
    dtype : type of the integers

    Raises
    ------
    ValueError : the scale is not a positive number, or the zero point is not in the type's range
    """

    scale: float
    zero_point: int
    dtype: Dtype

    def __post_init__(self) -> None:
        rounded = float(np.float32(self.scale))
        if not 0 < rounded < np.inf:
            raise ValueError(f"scale must be a positive float32, not {self.scale}")
        object.__setattr__(self, "scale", rounded)
        low, high = self.limits
        if not low <= self.zero_point <= high:
            raise ValueError(f"zero_point must be {low} to {high}, not {self.zero_point}")

    @property
    def limits(self) -> tuple[int, int]:
        """Lowest and highest integer."""
        info = np.iinfo(_TYPES[self.dtype])
        return int(info.min), int(info.max)

    def quantise(self, values: np.ndarray) -> np.ndarray:
        """Nearest integers, ties to even, clamped: float32 of any shape to uint8 or int8."""
        codes = np.rint(values / np.float32(self.scale)) + self.zero_point
        return np.clip(codes, *self.limits).astype(_TYPES[self.dtype])

    def dequantise(self, codes: np.ndarray) -> np.ndarray:
        """Activations of integers: uint8 or int8 of any shape to float32."""
        return (codes.astype(np.float32) - self.zero_point) * np.float32(self.scale)


def from_range(low: float, high: float, signed: bool) -> Scale:
    """The scale that spreads the integers over ``low`` to ``high`` and holds 0 exactly.

    Parameters
    ----------
    low, high : smallest and largest activation; the range is widened to hold 0
    signed : the map can be negative, so int8 with a zero point; else uint8, and ``low`` is 0
    """
    low, high = min(low, 0.0) if signed else 0.0, max(high, 0.0)
    # A map that is 0 everywhere has no range; any scale stores it.
    scale = float(np.float32((high - low) / 255)) or 1.0
    if not signed:
        return Scale(scale, 0, Dtype.UINT8)
    zero_point = int(np.clip(np.rint(-128 - low / scale), -128, 127))
    return Scale(scale, zero_point, Dtype.INT8)


def histogram(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Counts of values in ``BINS`` equal bins over ``low`` to ``high``: int64 [BINS].

    Parameters
    ----------
    values : float32 of any shape, inside the range up to rounding
    """
    if high <= low:
        return np.bincount([0], [values.size], BINS).astype(np.int64)
    bins = ((values.ravel() - np.float32(low)) * np.float32(BINS / (high - low))).astype(np.int64)
    return np.bincount(np.clip(bins, 0, BINS - 1, out=bins), minlength=BINS)


def clip_range(
    counts: np.ndarray, low: float, high: float, method: str, signed: bool
) -> tuple[float, float]:
    """The part of a range that is worth its integers; values outside will be clamped.

    Parameters
    ----------
    counts : int64 [BINS], histogram over ``low`` to ``high``
    method : ``max`` keeps the range; ``percentile`` cuts ``100 - PERCENTILE`` percent (half of
        that at either end of a signed map); ``mse`` shrinks the range to the least squared error
    signed : see ``from_range``

    Raises
    ------
    ValueError : an unknown method
    """
    check_method(method)
    if method == "max" or high <= low:
        return low, high
    width = (high - low) / BINS
    if method == "percentile":
        ends = 2 if signed else 1
        cut = (100 - PERCENTILE) / 100 / ends * counts.sum()
        above = counts[::-1].cumsum()[::-1]  # values in this bin and all higher ones
        top = high - width * int(np.count_nonzero(above <= cut))
        bottom = low + width * int(np.count_nonzero(counts.cumsum() <= cut)) if signed else low
        return bottom, top
    centres = (low + width * (np.arange(BINS) + 0.5)).astype(np.float32)

    def error(shrink: float) -> float:
        scale = from_range(low * shrink, high * shrink, signed)
        return float(counts @ (scale.dequantise(scale.quantise(centres)) - centres) ** 2)

    best = min(_MSE_SHRINK[::-1], key=error)
    return low * best, high * best


def check_method(method: str) -> None:
    """Raise ValueError where ``method`` is not one of ``METHODS``."""
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, not {method!r}")
