"""Matrices and code lengths of the coder HUFFMAN, made once for a layer and loaded like weights.

See ``docs/format.md``, section 11. A projection turns the values of a position into components, and
back; both ways are products with integer matrices, an offset and a shift.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from fmzip.errors import FormatError
from fmzip.format import (
    CODE_BITS_MAX,
    CODEBOOK_BYTES,
    CODEBOOKS_MAX,
    HUFFMAN_ESCAPE,
    HUFFMAN_TOKENS,
    POSITION_SIDE,
    PROJECTION_BITS,
    PROJECTION_INPUTS_MAX,
    PROJECTION_SHIFT_MAX,
    Transform,
)
from fmzip.strings import Reader, nibbles

ENTRY_MAX = 2 ** (PROJECTION_BITS - 1) - 1


@dataclass(frozen=True, eq=False)
class Affine:
    """``out = (matrix @ in + offset) >> shift``, an arithmetic shift.

    Parameters
    ----------
    matrix : int16 [outputs, inputs], -2048 to 2047
    offset : int32 [outputs]; what rounds is in it
    shift : 0 to 31

    Raises
    ------
    FormatError : sizes that do not fit, or a number outside its range
    """

    matrix: np.ndarray
    offset: np.ndarray
    shift: int

    def __post_init__(self) -> None:
        outputs, inputs = self.matrix.shape
        if not 1 <= inputs <= PROJECTION_INPUTS_MAX or not 1 <= outputs <= PROJECTION_INPUTS_MAX:
            raise FormatError(
                f"projection: a matrix of {outputs} x {inputs}, the limit is "
                f"{PROJECTION_INPUTS_MAX} each"
            )
        if self.offset.shape != (outputs,):
            raise FormatError(f"projection: {len(self.offset)} offsets for {outputs} rows")
        if not 0 <= self.shift <= PROJECTION_SHIFT_MAX:
            raise FormatError(f"projection: shift must be 0 to 31, not {self.shift}")
        matrix = np.ascontiguousarray(self.matrix, np.int16)
        if matrix.min() < -ENTRY_MAX - 1 or matrix.max() > ENTRY_MAX:
            raise FormatError(f"projection: an entry has more than {PROJECTION_BITS} bits")
        object.__setattr__(self, "matrix", matrix)
        object.__setattr__(self, "offset", np.ascontiguousarray(self.offset, np.int32))

    def to_bytes(self) -> bytes:
        """Shift, offsets, then the entries row by row, 12 bits each, padded to a byte."""
        entries = (self.matrix.ravel() & 0xFFF).astype(np.uint32)
        pairs = np.zeros(entries.size + entries.size % 2, np.uint32)
        pairs[: entries.size] = entries
        packed = (pairs[0::2] | pairs[1::2] << 12).astype("<u4").view(np.uint8).reshape(-1, 4)
        data = packed[:, :3].tobytes()[: _matrix_bytes(entries.size)]
        return bytes([self.shift]) + self.offset.astype("<i4").tobytes() + data

    @staticmethod
    def size_bytes(outputs: int, inputs: int) -> int:
        """Size of ``to_bytes``."""
        return 1 + 4 * outputs + _matrix_bytes(outputs * inputs)

    @staticmethod
    def parse(data: bytes, outputs: int, inputs: int) -> "Affine":
        """The inverse of ``to_bytes``; FormatError where the size or a bit of padding is wrong."""
        if len(data) != Affine.size_bytes(outputs, inputs):
            raise FormatError(f"projection: {len(data)} bytes for {outputs} x {inputs}")
        count = outputs * inputs
        packed = np.frombuffer(data[1 + 4 * outputs :], np.uint8)
        triples = np.zeros(3 * (-(-count // 2)), np.uint8)
        triples[: len(packed)] = packed
        a, b, c = triples.astype(np.int32).reshape(-1, 3).T
        entries = np.stack((a | (b & 15) << 8, b >> 4 | c << 4), axis=1).ravel()
        if entries[count:].any():
            raise FormatError("projection: padding of a matrix is not zero")
        signed = (entries[:count] ^ 0x800) - 0x800
        offset = np.frombuffer(data[1 : 1 + 4 * outputs], "<i4")
        return Affine(signed.astype(np.int16).reshape(outputs, inputs), offset, data[0])


def _matrix_bytes(entries: int) -> int:
    return -(-entries * PROJECTION_BITS // 8)


def check_codebooks(what: str, lengths: np.ndarray, books: np.ndarray) -> None:
    """FormatError where these are no codebooks of the coder HUFFMAN.

    Parameters
    ----------
    what : they belong to, for messages
    lengths : uint8 [codebooks, 45]
    books : uint8 [components]
    """
    count = len(lengths)
    if not 1 <= count <= CODEBOOKS_MAX or lengths.shape[1:] != (HUFFMAN_TOKENS,):
        raise FormatError(f"{what}: {count} codebooks, must be 1 to {CODEBOOKS_MAX}")
    if books.max() >= count:
        raise FormatError(f"{what}: a component has codebook {books.max()}")
    if lengths.max() > CODE_BITS_MAX:
        raise FormatError(f"{what}: a code of {lengths.max()} bits")
    for k, of in enumerate(lengths):
        if not of[HUFFMAN_ESCAPE]:
            raise FormatError(f"{what}: codebook {k} has no escape")
        used = of[of > 0].astype(np.int64)
        if (1 << (CODE_BITS_MAX - used)).sum() > 1 << CODE_BITS_MAX:
            raise FormatError(f"{what}: codebook {k} is no prefix code")


@dataclass(frozen=True, eq=False)
class Projection:
    """What is needed besides a frame to decode it.

    Parameters
    ----------
    inverse : for each group of channels, components to values
    lengths : uint8 [codebooks, 45], bits of each token's code; 0 for none
    books : uint8 [components], codebook of each component

    Raises
    ------
    FormatError : sizes that do not fit, code lengths that are no prefix code, or no escape
    """

    inverse: tuple[Affine, ...]
    lengths: np.ndarray
    books: np.ndarray

    def __post_init__(self) -> None:
        object.__setattr__(self, "lengths", np.ascontiguousarray(self.lengths, np.uint8))
        object.__setattr__(self, "books", np.ascontiguousarray(self.books, np.uint8))
        if not self.inverse or len(self.books) != self.components:
            raise FormatError(f"projection: {len(self.books)} components have a codebook")
        if len({len(group.matrix) for group in self.inverse}) != 1:
            raise FormatError("projection: groups differ in their number of values")
        check_codebooks("projection", self.lengths, self.books)

    @property
    def components(self) -> int:
        """Symbols of a position."""
        return sum(group.matrix.shape[1] for group in self.inverse)

    @property
    def values(self) -> int:
        """Values of a position."""
        return sum(len(group.matrix) for group in self.inverse)

    @property
    def products(self) -> int:
        """Multiply-accumulates for all values of a position."""
        return sum(group.matrix.size for group in self.inverse)

    @property
    def id(self) -> int:
        """16 bits that stand for this projection in a frame's head."""
        return crc32(self.to_bytes()) & 0xFFFF

    @property
    def code_bytes(self) -> int:
        """Size of the codebooks and of what says which component has which."""
        return CODEBOOK_BYTES * len(self.lengths) + -(-len(self.books) // 2)

    def to_bytes(self) -> bytes:
        """The string that is loaded, see ``docs/format.md``, 11.4."""
        sizes = [group.matrix.shape[1] for group in self.inverse]
        head = np.array([len(sizes), self.values // len(sizes), *sizes], "<u2").tobytes()
        lengths = b"".join(map(nibbles, self.lengths))
        codes = bytes([len(self.lengths)]) + lengths + nibbles(self.books)
        return head + codes + b"".join(group.to_bytes() for group in self.inverse)


def parse_projection(data: bytes) -> Projection:
    """The projection of the string that ``Projection.to_bytes`` gives.

    Raises
    ------
    FormatError : see ``Projection``; too few bytes or too many
    """
    reader = Reader("projection", data)
    groups, outputs = reader.numbers(2)
    sizes = reader.numbers(groups)
    books = reader.take(1)[0]
    lengths = [reader.nibbles(HUFFMAN_TOKENS) for _ in range(books)]
    of = reader.nibbles(sum(sizes))
    inverse = [Affine.parse(reader.take(Affine.size_bytes(outputs, k)), outputs, k) for k in sizes]
    reader.end()
    return Projection(tuple(inverse), np.array(lengths).reshape(books, HUFFMAN_TOKENS), of)


@dataclass(frozen=True, eq=False)
class ProjectionCoding:
    """What the coder HUFFMAN needs beside a frame's configuration.

    Parameters
    ----------
    tables : for encoder and decoder
    forward : for the encoder: for each group of channels, values to symbols

    Raises
    ------
    FormatError : ``forward`` does not match the projection
    """

    tables: Projection
    forward: tuple[Affine, ...]

    def __post_init__(self) -> None:
        pairs: Sequence[tuple[Affine, Affine]]
        pairs = list(zip(self.forward, self.tables.inverse, strict=False))
        if len(self.forward) != len(self.tables.inverse) or any(
            f.matrix.shape != i.matrix.shape[::-1] for f, i in pairs
        ):
            raise FormatError("projection: the matrices forward and back do not match")

    @property
    def matrix_bytes(self) -> int:
        """Size of both matrices, offsets and shifts: loaded once, like weights."""
        return sum(len(a.to_bytes()) for a in (*self.forward, *self.tables.inverse))


def projection_transform(projection: Projection, channels: int) -> Transform:
    """The transform whose positions a projection takes; ValueError where there is none."""
    for transform in (Transform.PROJECTION, Transform.PROJECTION4):
        if projection.values == channels * POSITION_SIDE[transform] ** 2:
            return transform
    raise ValueError(f"the projection is for {projection.values} values, the map has {channels}")
