"""Binary layers of the coder GF2, made once for a layer of a network and loaded like weights.

See ``docs/format.md``, section 12. An encoder makes stored planes of the bit planes of a position;
a decoder may make other planes of them, and adds up integers where planes are 1.
"""

from dataclasses import dataclass
from enum import IntEnum
from zlib import crc32

import numpy as np

from fmzip.errors import FormatError
from fmzip.format import (
    BIT_TRANSFORMS,
    CODEBOOK_BYTES,
    GROUP_PLANES_MAX,
    HUFFMAN_TOKENS,
    POSITION_SIDE,
    PROJECTION_INPUTS_MAX,
    STORED_PLANES_MAX,
    THRESHOLD_BITS,
    VALUE_PLANES,
    Transform,
)
from fmzip.projection import Affine, check_codebooks
from fmzip.strings import Reader, nibbles

_THRESHOLD_MAX = 2 ** (THRESHOLD_BITS - 1) - 1


class Rule(IntEnum):
    """How a plane is made of others."""

    NONE = 0  # planes stay as they are
    POPCOUNT = 1  # 1 where the sum of planes with weight 1, less those with -1, is the threshold
    XOR = 2  # the sum over GF(2) of some planes and a constant


@dataclass(frozen=True, eq=False)
class BinaryLayer:
    """Planes of planes, see ``Rule``.

    Parameters
    ----------
    rule : POPCOUNT or XOR
    weights : int8 [outputs, inputs], -1 to 1; 0 or 1 with XOR
    thresholds : int16 [outputs]; with XOR the constants, 0 or 1

    Raises
    ------
    FormatError : sizes that do not fit, or a number outside its range
    """

    rule: Rule
    weights: np.ndarray
    thresholds: np.ndarray

    def __post_init__(self) -> None:
        if self.rule not in (Rule.POPCOUNT, Rule.XOR):
            raise FormatError(f"binary layer: rule {int(self.rule)}")
        most = VALUE_PLANES * PROJECTION_INPUTS_MAX
        outputs, inputs = self.weights.shape
        if not 1 <= outputs <= most or not 1 <= inputs <= most:
            raise FormatError(f"binary layer: {outputs} x {inputs}, the limit is {most} each")
        if self.thresholds.shape != (outputs,):
            raise FormatError(f"binary layer: {len(self.thresholds)} thresholds for {outputs}")
        low, high = (-1, 1) if self.rule == Rule.POPCOUNT else (0, 1)
        if self.weights.min() < low or self.weights.max() > high:
            raise FormatError(f"binary layer: weights must be {low} to {high}")
        low, high = (-_THRESHOLD_MAX - 1, _THRESHOLD_MAX) if low else (0, 1)
        if self.thresholds.min() < low or self.thresholds.max() > high:
            raise FormatError(f"binary layer: thresholds must be {low} to {high}")
        object.__setattr__(self, "weights", np.ascontiguousarray(self.weights, np.int8))
        object.__setattr__(self, "thresholds", np.ascontiguousarray(self.thresholds, np.int16))

    @property
    def signs(self) -> tuple[np.ndarray, ...]:
        """Which inputs have the weight 1, and with POPCOUNT, which -1: uint8 [outputs, bytes]."""
        found = [np.packbits(self.weights == 1, axis=1, bitorder="little")]
        if self.rule == Rule.POPCOUNT:
            found.append(np.packbits(self.weights == -1, axis=1, bitorder="little"))
        return tuple(found)

    def to_bytes(self) -> bytes:
        """Thresholds, then rows of weights, each padded to a byte."""
        rows = b"".join(part.tobytes() for part in self.signs)
        if self.rule == Rule.XOR:
            return np.packbits(self.thresholds == 1, bitorder="little").tobytes() + rows
        return self.thresholds.astype("<i2").tobytes() + rows

    @staticmethod
    def read(reader: Reader, rule: Rule, outputs: int, inputs: int) -> "BinaryLayer":
        """The inverse of ``to_bytes``; FormatError where it is not one."""
        if rule == Rule.XOR:
            thresholds = reader.bits(1, outputs)[0].astype(np.int16)
            return BinaryLayer(rule, reader.bits(outputs, inputs).astype(np.int8), thresholds)
        thresholds = np.frombuffer(reader.take(2 * outputs), "<i2")
        plus, minus = reader.bits(outputs, inputs), reader.bits(outputs, inputs)
        if (plus & minus).any():
            raise FormatError("binary layer: a weight is 1 and -1")
        return BinaryLayer(rule, plus.astype(np.int8) - minus.astype(np.int8), thresholds)


@dataclass(frozen=True, eq=False)
class Groups:
    """How stored planes become symbols of the coder HUFFMAN.

    Parameters
    ----------
    sizes : uint8 [components], planes of each, one behind the other, 1 to 5
    lengths : uint8 [codebooks, 45], bits of each token's code; 0 for none
    books : uint8 [components], codebook of each component

    Raises
    ------
    FormatError : sizes that do not fit, or code lengths that are no prefix code
    """

    sizes: np.ndarray
    lengths: np.ndarray
    books: np.ndarray

    def __post_init__(self) -> None:
        for name in ("sizes", "lengths", "books"):
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), np.uint8))
        if not len(self.sizes) or not 1 <= self.sizes.min() <= self.sizes.max() <= GROUP_PLANES_MAX:
            raise FormatError(f"planes: a group must have 1 to {GROUP_PLANES_MAX} of them")
        if len(self.books) != len(self.sizes):
            raise FormatError(f"planes: {len(self.books)} groups have a codebook")
        check_codebooks("planes", self.lengths, self.books)

    @property
    def code_bytes(self) -> int:
        """Size of what is needed for the codes: with every map."""
        components = -(-len(self.sizes) // 2)
        return CODEBOOK_BYTES * len(self.lengths) + 2 * components

    def to_bytes(self) -> bytes:
        lengths = b"".join(map(nibbles, self.lengths))
        head = len(self.sizes).to_bytes(2, "little") + nibbles(self.sizes)
        return head + bytes([len(self.lengths)]) + lengths + nibbles(self.books)

    @staticmethod
    def read(reader: Reader, components: int) -> "Groups":
        sizes = reader.nibbles(components)
        books = reader.take(1)[0]
        lengths = [reader.nibbles(HUFFMAN_TOKENS) for _ in range(books)]
        of = np.array(lengths).reshape(books, HUFFMAN_TOKENS)
        return Groups(sizes, of, reader.nibbles(components))


@dataclass(frozen=True, eq=False)
class PlaneTables:
    """What is needed besides a frame to decode it.

    Parameters
    ----------
    stored : planes of a position in the frame
    sums : integers that are added up, [values, planes]: of all stored planes, or of the own planes
        of a value that ``layer`` makes
    layer : makes the planes of each value of the stored ones; None where these are added up
    groups : of the coder HUFFMAN; None where there is none

    Raises
    ------
    FormatError : sizes that do not fit, or a number outside its range
    """

    stored: int
    sums: Affine
    layer: BinaryLayer | None = None
    groups: Groups | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.stored <= STORED_PLANES_MAX:
            raise FormatError(f"planes: {self.stored} stored, must be 1 to {STORED_PLANES_MAX}")
        values, own = self.sums.matrix.shape
        if self.layer is None:
            if own != self.stored:
                raise FormatError(f"planes: {self.stored} stored, integers for {own}")
        elif own > VALUE_PLANES or self.layer.weights.shape != (values * own, self.stored):
            rows, cols = self.layer.weights.shape
            raise FormatError(f"planes: a layer of {rows} x {cols}, {self.stored} stored")
        if self.groups is not None and int(self.groups.sizes.sum()) != self.stored:
            raise FormatError(f"planes: groups of {int(self.groups.sizes.sum())} in all")

    @property
    def values(self) -> int:
        """Values of a position."""
        return len(self.sums.matrix)

    @property
    def rule(self) -> Rule:
        """That of the layer."""
        return Rule.NONE if self.layer is None else self.layer.rule

    @property
    def id(self) -> int:
        """16 bits that stand for these tables in a frame's head."""
        return crc32(self.to_bytes()) & 0xFFFF

    @property
    def code_bytes(self) -> int:
        """Size of codebooks and groups; 0 where the planes are not coded further."""
        return 0 if self.groups is None else self.groups.code_bytes

    def to_bytes(self) -> bytes:
        """The string that is loaded, see ``docs/format.md``, 12.5."""
        values, own = self.sums.matrix.shape
        head = np.array([values, self.stored], "<u2").tobytes()
        head += bytes([self.rule, 0 if self.layer is None else own])
        layer = b"" if self.layer is None else self.layer.to_bytes()
        groups = bytes(2) if self.groups is None else self.groups.to_bytes()
        return head + layer + self.sums.to_bytes() + groups


def parse_planes(data: bytes) -> PlaneTables:
    """The tables of the string that ``PlaneTables.to_bytes`` gives.

    Raises
    ------
    FormatError : see ``PlaneTables``; too few bytes or too many
    """
    reader = Reader("planes", data)
    values, stored = reader.numbers(2)
    rule, own = reader.take(2)
    layer = None
    if rule not in list(Rule) or (rule == Rule.NONE) != (own == 0) or own > VALUE_PLANES:
        raise FormatError(f"planes: rule {rule} with {own} planes of a value")
    if stored > STORED_PLANES_MAX or values > PROJECTION_INPUTS_MAX:
        raise FormatError(f"planes: {values} values, {stored} stored")
    if rule != Rule.NONE:
        layer = BinaryLayer.read(reader, Rule(rule), values * own, stored)
    own = own or stored
    sums = Affine.parse(reader.take(Affine.size_bytes(values, own)), values, own)
    components = int.from_bytes(reader.take(2), "little")
    groups = Groups.read(reader, components) if components else None
    reader.end()
    return PlaneTables(stored, sums, layer, groups)


@dataclass(frozen=True, eq=False)
class PlaneEncoder:
    """How stored planes are made of values.

    ``u = clamp(value - lowest + bias, 0, top)`` of each value, then ``layer`` of the planes of all.

    Parameters
    ----------
    bias : int16 [values], -255 to 255
    top : uint8 [values]
    layer : [stored, 8 * values]; plane b of value v is input 8 v + b

    Raises
    ------
    FormatError : sizes that do not fit, or a number outside its range
    """

    bias: np.ndarray
    top: np.ndarray
    layer: BinaryLayer

    def __post_init__(self) -> None:
        object.__setattr__(self, "bias", np.ascontiguousarray(self.bias, np.int16))
        object.__setattr__(self, "top", np.ascontiguousarray(self.top, np.uint8))
        if not len(self.bias) == len(self.top) or self.layer.weights.shape[1] != (
            VALUE_PLANES * len(self.bias)
        ):
            raise FormatError(f"planes: an encoder of {len(self.bias)} values, another layer")
        if np.abs(self.bias).max() > 255:
            raise FormatError("planes: a bias must be -255 to 255")

    def to_bytes(self) -> bytes:
        """Rule, number of stored planes, biases, tops, layer."""
        sizes = np.array([len(self.bias), len(self.layer.weights)], "<u2").tobytes()
        numbers = self.bias.astype("<i2").tobytes() + self.top.tobytes()
        return sizes + bytes([self.layer.rule]) + numbers + self.layer.to_bytes()

    @staticmethod
    def parse(data: bytes) -> "PlaneEncoder":
        """The inverse of ``to_bytes``; FormatError where it is not one."""
        reader = Reader("encoder of planes", data)
        values, stored = reader.numbers(2)
        rule = reader.take(1)[0]
        if rule not in (Rule.POPCOUNT, Rule.XOR):
            raise FormatError(f"encoder of planes: rule {rule}")
        bias = np.frombuffer(reader.take(2 * values), "<i2")
        top = np.frombuffer(reader.take(values), np.uint8)
        layer = BinaryLayer.read(reader, Rule(rule), stored, VALUE_PLANES * values)
        reader.end()
        return PlaneEncoder(bias, top, layer)


@dataclass(frozen=True, eq=False)
class PlaneCoding:
    """What bit planes need beside a frame's configuration.

    Parameters
    ----------
    tables : for encoder and decoder
    encoder : what the encoder needs

    Raises
    ------
    FormatError : they do not match
    """

    tables: PlaneTables
    encoder: PlaneEncoder

    def __post_init__(self) -> None:
        stored = len(self.encoder.layer.weights)
        if stored != self.tables.stored or len(self.encoder.bias) != self.tables.values:
            raise FormatError(
                f"planes: an encoder of {len(self.encoder.bias)} values and {stored} planes, "
                f"tables of {self.tables.values} and {self.tables.stored}"
            )


def planes_transform(tables: PlaneTables, channels: int) -> Transform:
    """The transform whose positions tables are for; ValueError where there is none."""
    for transform in BIT_TRANSFORMS:
        if tables.values == channels * POSITION_SIDE[transform] ** 2:
            return transform
    raise ValueError(f"the planes are of {tables.values} values, the map has {channels}")
