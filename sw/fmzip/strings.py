"""Byte strings of tables: what they are made of, and a reader that says what is wrong with one."""

import numpy as np

from fmzip.errors import FormatError


def nibbles(numbers: np.ndarray) -> bytes:
    """Numbers of 4 bits each, padded to a byte: uint8 [n]."""
    padded = np.zeros(len(numbers) + len(numbers) % 2, np.uint8)
    padded[: len(numbers)] = numbers
    return (padded[0::2] | padded[1::2] << 4).tobytes()


class Reader:
    """Takes a string from its beginning; FormatError where it ends too early or too late.

    Parameters
    ----------
    what : the tables, for messages
    data : the string
    """

    def __init__(self, what: str, data: bytes) -> None:
        self._what, self._data, self._at = what, data, 0

    def take(self, size: int) -> bytes:
        """So many bytes."""
        part = self._data[self._at : self._at + size]
        if len(part) != size:
            raise FormatError(f"{self._what}: {len(self._data)} bytes, it goes on behind them")
        self._at += size
        return part

    def numbers(self, count: int) -> list[int]:
        """Numbers of 2 bytes each, none of them 0."""
        found = np.frombuffer(self.take(2 * count), "<u2").tolist()
        if not found or 0 in found:
            raise FormatError(f"{self._what}: a size of 0")
        return found

    def nibbles(self, count: int) -> np.ndarray:
        """Numbers of 4 bits each: uint8 [count]."""
        both = np.frombuffer(self.take(-(-count // 2)), np.uint8)
        found = np.stack((both & 15, both >> 4), axis=1).ravel()
        if found[count:].any():
            raise FormatError(f"{self._what}: padding of the codebooks is not zero")
        return found[:count]

    def bits(self, rows: int, count: int) -> np.ndarray:
        """Rows of bits, each padded to a byte: uint8 [rows, count]."""
        size = -(-count // 8)
        packed = np.frombuffer(self.take(rows * size), np.uint8).reshape(rows, size)
        found = np.unpackbits(packed, axis=1, bitorder="little")
        if found[:, count:].any():
            raise FormatError(f"{self._what}: padding of a row of bits is not zero")
        return found[:, :count]

    def end(self) -> None:
        """Nothing may follow."""
        if self._at != len(self._data):
            raise FormatError(f"{self._what}: {len(self._data)} bytes, it has {self._at}")
