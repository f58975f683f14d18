"""Streams of codes of varying width, the highest bit first, as the published formats have them."""

import numpy as np


def pack(codes: np.ndarray, widths: np.ndarray) -> bytes:
    """Codes one behind the other, the highest bit first, zeros up to a whole byte.

    Parameters
    ----------
    codes : integers [n], non-negative, below ``2**widths``
    widths : integers [n]; codes of width 0 are left out
    """
    if not len(codes):
        return b""
    widths = widths.astype(np.int64)
    ends = np.cumsum(widths)
    bits = np.zeros(int(ends[-1]), np.uint8)
    for k in range(int(widths.max())):  # bit k of each code, counted from its lowest
        has = widths > k
        bits[ends[has] - 1 - k] = (codes[has] >> k) & 1
    return np.packbits(bits).tobytes()


def text(data: bytes) -> str:
    """The bits of a stream as a text of 0 and 1, for regular expressions to take apart."""
    return (np.unpackbits(np.frombuffer(data, np.uint8)) + ord("0")).tobytes().decode("ascii")
