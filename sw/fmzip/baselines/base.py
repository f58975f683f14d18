"""What all baselines share: the map as a row of words, checks, and sizes on the bus."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from fmzip.errors import FormatError
from fmzip.format import DEFAULT_BURST_BYTES, round_up

_TYPES = (np.dtype(np.uint8), np.dtype(np.int8))


class Baseline(ABC):
    """A method that stores a feature map.

    Maps are uint8 or int8 [C, H, W]. Inside, they are a row of words: the values in channel-first
    order, int8 raised by 128, so that order and zero are kept and one code does for both types.

    Members
    -------
    name : what the command line calls it
    source : where it comes from, and what is ours
    lossless : ``decode`` gives back what ``encode`` was given
    bound : a limit of coding that nothing decodes; it has ``bits``, but no ``encode``
    """

    name: str
    source: str
    lossless: bool = True
    bound: bool = False

    def encode(self, values: np.ndarray, zero_point: int = 0) -> bytes:
        """The stream of one map.

        Parameters
        ----------
        values : uint8 or int8 [C, H, W]
        zero_point : the stored value that means zero

        Raises
        ------
        ValueError : not such a map, or a zero point outside its type
        TypeError : this is a bound
        """
        return self._encode(*_words(values, zero_point))

    def decode(
        self, data: bytes, shape: Sequence[int], dtype: np.dtype | type, zero_point: int = 0
    ) -> np.ndarray:
        """The map of a stream: ``dtype`` [C, H, W].

        Raises
        ------
        FormatError : the stream is not one of such a map
        """
        kind = np.dtype(dtype)
        _check(tuple(shape), kind, zero_point)
        words = self._decode(data, math.prod(shape), zero_point - int(np.iinfo(kind).min))
        if kind == np.int8:
            words = (words ^ 0x80).view(np.int8)
        return words.reshape(shape)

    def bits(self, values: np.ndarray, zero_point: int = 0) -> float:
        """Size of the stream before it is rounded to bursts; of a bound, its bits."""
        return 8.0 * self._size_bytes(*_words(values, zero_point))

    def bus_bytes(
        self, values: np.ndarray, zero_point: int = 0, burst_bytes: int = DEFAULT_BURST_BYTES
    ) -> int:
        """Bytes on the bus: the length of ``encode`` in whole bursts, found without encoding."""
        return round_up(self._size_bytes(*_words(values, zero_point)), burst_bytes)

    @abstractmethod
    def _encode(self, words: np.ndarray, zero: int) -> bytes:
        """The stream of uint8 [n], n at least 1."""

    @abstractmethod
    def _decode(self, data: bytes, n: int, zero: int) -> np.ndarray:
        """uint8 [n] of a stream."""

    @abstractmethod
    def _size_bytes(self, words: np.ndarray, zero: int) -> int:
        """``len(_encode(words, zero))``, fast."""


def bad(name: str, problem: str) -> FormatError:
    """The error for a stream that cannot be decoded."""
    return FormatError(f"{name}: the stream {problem}")


def _check(shape: tuple[int, ...], dtype: np.dtype, zero_point: int) -> None:
    if dtype not in _TYPES:
        raise ValueError(f"values must be uint8 or int8, not {dtype}")
    if len(shape) != 3 or not all(side >= 1 for side in shape):
        raise ValueError(f"shape must be [C, H, W], 1 or more each, not {list(shape)}")
    info = np.iinfo(dtype)
    if not info.min <= zero_point <= info.max:
        raise ValueError(f"zero_point must be {info.min} to {info.max}, not {zero_point}")


def _words(values: np.ndarray, zero_point: int) -> tuple[np.ndarray, int]:
    """Words uint8 [n], and the word that means zero."""
    _check(values.shape, values.dtype, zero_point)
    words: np.ndarray = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
    if values.dtype == np.int8:
        words = words ^ 0x80
    return words, zero_point - int(np.iinfo(values.dtype).min)
