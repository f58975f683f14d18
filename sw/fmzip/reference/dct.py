"""Integer DCT over blocks of eight values, forward and inverse.

Both follow the even/odd decomposition of ``format.DCT8``; they equal the plain matrix products
exactly, since nothing is rounded in between.

    forward   int32 [8, n], |t| <= 255   ->  int32 [8, n], |y| <= 130,560, scaled by 2**7.5
    inverse   int32 [8, n], 13 bits      ->  int32 [8, n], in units of one LSB
"""

from collections.abc import Sequence

import numpy as np

from fmzip.format import DCT8, INVERSE_SHIFT

_EVEN = [row[:4] for row in DCT8[0::2]]  # rows 0, 2, 4, 6 are symmetric
_ODD = [row[:4] for row in DCT8[1::2]]  # rows 1, 3, 5, 7 are antisymmetric


def _product(matrix: Sequence[tuple[int, ...]], rows: np.ndarray) -> np.ndarray:
    """``matrix @ rows``; NumPy's own integer matmul is several times slower on this shape."""
    out = np.empty_like(rows)
    term = np.empty_like(rows[0])
    for k, weights in enumerate(matrix):
        np.multiply(rows[0], weights[0], out=out[k])
        for weight, row in zip(weights[1:], rows[1:], strict=True):
            np.multiply(row, weight, out=term)
            out[k] += term
    return out


def forward(values: np.ndarray) -> np.ndarray:
    """Coefficients ``DCT8 @ values``.

    Parameters
    ----------
    values : int32 [8, n], value minus zero point, |values| <= 255

    Returns
    -------
    int32 [8, n], scaled by 2**7.5 relative to an orthonormal transform
    """
    low, high = values[:4], values[7:3:-1]
    out = np.empty_like(values)
    out[0::2] = _product(_EVEN, low + high)
    out[1::2] = _product(_ODD, low - high)
    return out


def inverse(coefficients: np.ndarray) -> np.ndarray:
    """Values ``(DCT8^T @ coefficients + 2**9) >> 10``; ties go towards plus infinity.

    Parameters
    ----------
    coefficients : int32 [8, n], -4096..4095, scaled by 2**2.5

    Returns
    -------
    int32 [8, n], not yet clamped
    """
    even = _product(list(zip(*_EVEN, strict=True)), coefficients[0::2])
    odd = _product(list(zip(*_ODD, strict=True)), coefficients[1::2])
    even += 1 << (INVERSE_SHIFT - 1)
    out = np.empty_like(coefficients)
    np.add(even, odd, out=out[:4])
    np.subtract(even[::-1], odd[::-1], out=out[4:])
    out >>= INVERSE_SHIFT
    return out
