"""A general compressor, a bound, and the alternative without a codec."""

import math
import threading
from typing import Any

import numpy as np

from fmzip.baselines.base import Baseline, bad
from fmzip.errors import FmzipError
from fmzip.format import ceil_div


class Zstd(Baseline):
    """zstd at level 19, a frame of its own for each map; its zero point is of no use to it.

    Software for a processor: windows of the whole map, two passes of matching. What it reaches is
    not for an accelerator, but a mark for what is there to be found.
    """

    name = "zstd"
    source = "Zstandard, RFC 8878, level 19, one frame per map without checksum"
    _LEVEL = 19

    def __init__(self) -> None:
        self._tools = threading.local()  # contexts are expensive, and not to be shared by threads

    def _tool(self, name: str) -> Any:
        if not hasattr(self._tools, name):
            try:
                import zstandard
            except ImportError:
                raise FmzipError(
                    "zstd needs the Python package zstandard: pip install 'fmzip[measure]'"
                ) from None
            self._tools.compress = zstandard.ZstdCompressor(level=self._LEVEL).compress
            self._tools.expand = zstandard.ZstdDecompressor().decompress
            self._tools.error = zstandard.ZstdError
        return getattr(self._tools, name)

    def _encode(self, words: np.ndarray, zero: int) -> bytes:
        stream: bytes = self._tool("compress")(words.data)
        return stream

    def _decode(self, data: bytes, n: int, zero: int) -> np.ndarray:
        try:
            words = np.frombuffer(self._tool("expand")(data), np.uint8)
        except self._tool("error") as error:
            raise bad(self.name, f"is damaged: {error}") from None
        if len(words) != n:
            raise bad(self.name, f"holds {len(words)} values, not {n}")
        return words.copy()

    def _size_bytes(self, words: np.ndarray, zero: int) -> int:
        return len(self._encode(words, zero))


class Entropy(Baseline):
    """Zeroth-order entropy of one map's values: a bound, not a code.

    No code that looks at one value at a time, whatever its tables, stores the map in less. The
    tables, which would be the map's own, are not counted; codes that look at neighbours can be
    below it, as zstd is.
    """

    name = "entropy"
    source = "zeroth-order entropy of each map, tables not counted: a bound"
    bound = True

    def bits(self, values: np.ndarray, zero_point: int = 0) -> float:
        """Bits of one map: ``sum(count * log2(n / count))``."""
        counts = np.bincount(np.ascontiguousarray(values).reshape(-1).view(np.uint8))
        counts = counts[counts > 0].astype(np.float64)
        n = counts.sum()
        return math.fsum(counts * (math.log2(n) - np.log2(counts)))

    def _no_code(self) -> TypeError:
        return TypeError("entropy is a bound: it has bits, but no stream and no bytes on a bus")

    def _encode(self, words: np.ndarray, zero: int) -> bytes:
        raise self._no_code()

    def _decode(self, data: bytes, n: int, zero: int) -> np.ndarray:
        raise self._no_code()

    def _size_bytes(self, words: np.ndarray, zero: int) -> int:
        raise self._no_code()


_LEVELS = 16
FULL_STEP = 255 / (_LEVELS - 1)  # 17: the whole range of a byte in 16 levels


def _levels(zero: int, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Level of each word, and word of each level: uint8 [256], uint8 [16]; zero stays exact."""
    of_zero = min(round(zero / step), _LEVELS - 1)
    words, levels = np.arange(256), np.arange(_LEVELS)
    level = np.clip(np.rint((words - zero) / step) + of_zero, 0, _LEVELS - 1)
    word = np.clip(np.rint((levels - of_zero) * step) + zero, 0, 255)
    return level.astype(np.uint8), word.astype(np.uint8)


def bits4_step(counts: np.ndarray, dtype: np.dtype | type, zero_point: int) -> float:
    """The step for ``Bits4`` that gives the least squared error on calibration pictures.

    Parameters
    ----------
    counts : [256], how often each stored value occurs, from the type's lowest
    dtype, zero_point : of the stored values
    """
    zero = zero_point - int(np.iinfo(dtype).min)

    def error(step: float) -> float:
        level, word = _levels(zero, step)
        return float(counts @ (word[level].astype(np.float64) - np.arange(256)) ** 2)

    return min((FULL_STEP * k / 100 for k in range(100, 4, -1)), key=error)


class Bits4(Baseline):
    """4 bits in place of 8, two values to a byte: what costs no codec.

    Level ``round((value - zero point) / step)`` and that of zero, clamped to 16 levels.

    Parameters
    ----------
    step : in LSB of the map; by default the whole range is kept. ``bits4_step`` finds one that cuts
        rare values off, which is how a network would be quantised to 4 bits

    Raises
    ------
    ValueError : the step is not above 0 and at most the default
    """

    name = "bits4"
    source = "plain quantisation to 4 bits, one step per layer, no training"
    lossless = False

    def __init__(self, step: float = FULL_STEP) -> None:
        if not 0 < step <= FULL_STEP:
            raise ValueError(f"step must be above 0 and at most {FULL_STEP:g}, not {step}")
        self.step = step

    def _encode(self, words: np.ndarray, zero: int) -> bytes:
        levels = np.zeros(2 * ceil_div(len(words), 2), np.uint8)
        levels[: len(words)] = _levels(zero, self.step)[0][words]
        return (levels[::2] | levels[1::2] << 4).tobytes()

    def _decode(self, data: bytes, n: int, zero: int) -> np.ndarray:
        pairs = np.frombuffer(data, np.uint8)
        if len(pairs) != ceil_div(n, 2):
            raise bad(self.name, f"has {len(pairs)} bytes, {n} values have {ceil_div(n, 2)}")
        levels = np.stack((pairs & 15, pairs >> 4), axis=1).reshape(-1)[:n]
        return _levels(zero, self.step)[1][levels]

    def _size_bytes(self, words: np.ndarray, zero: int) -> int:
        return ceil_div(len(words), 2)
