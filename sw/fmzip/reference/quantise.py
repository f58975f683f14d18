"""Uniform quantiser with one step per frame.

The step is an integer in units of ``1 / STEP_PER_LSB`` LSB, the unit of the forward transform's
output. Division is a multiplication and an arithmetic shift, exactly as in the gateware.
"""

import numpy as np

from fmzip.format import DEQUANT_BITS, DEQUANT_SHIFT, QUANT_SHIFT, multiplier


def quantise(coefficients: np.ndarray, step: int) -> np.ndarray:
    """Symbols ``(coefficient * multiplier(step) + 2**22) >> 23``.

    Parameters
    ----------
    coefficients : int32 [8, n], |coefficients| <= 130,560
    step : 128 to 65535

    Returns
    -------
    int16 [8, n], -1020..1020; ties go towards plus infinity
    """
    wide = coefficients.astype(np.int64)  # the product has 34 bits
    wide *= multiplier(step)
    wide += 1 << (QUANT_SHIFT - 1)
    wide >>= QUANT_SHIFT
    return wide.astype(np.int16)


def dequantise(symbols: np.ndarray, step: int) -> np.ndarray:
    """Coefficients ``clamp((symbol * step + 2**4) >> 5)`` for the inverse transform.

    Parameters
    ----------
    symbols : int16 [8, n], -1023..1023
    step : 128 to 65535

    Returns
    -------
    int32 [8, n], -4096..4095, scaled by 2**2.5; ties go towards plus infinity
    """
    wide = symbols.astype(np.int32)  # the product has 27 bits
    wide *= step
    wide += 1 << (DEQUANT_SHIFT - 1)
    wide >>= DEQUANT_SHIFT
    limit = 1 << (DEQUANT_BITS - 1)
    return np.clip(wide, -limit, limit - 1, out=wide)
