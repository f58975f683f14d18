"""Canonical Huffman codes of symbols: ``docs/format.md``, 11.5 and 11.6."""

from dataclasses import dataclass

import numpy as np

from fmzip.errors import FormatError
from fmzip.format import (
    CODE_BITS_MAX,
    COMPONENT_BITS,
    COMPONENT_MAX,
    HUFFMAN_ESCAPE,
    HUFFMAN_EXACT_BITS,
    HUFFMAN_TOKENS,
    ceil_div,
)
from fmzip.gf2 import Groups
from fmzip.projection import Projection
from fmzip.reference import bitpack
from fmzip.reference.compiled import compiled

_NUMBERS = np.arange(2 * COMPONENT_MAX + 1)
_OCTAVES = np.array([max(0, int(u).bit_length() - 1) for u in _NUMBERS])
_EXACT = 1 << HUFFMAN_EXACT_BITS
_MASK = (1 << CODE_BITS_MAX) - 1
_SHORT, _UNKNOWN, _NEEDLESS, _OUTSIDE = range(1, 5)
_WRONG = {
    _SHORT: "its bits end before its symbols",
    _UNKNOWN: "bits that are no code",
    _NEEDLESS: "an escape of a symbol that has a code",
    _OUTSIDE: f"a symbol outside +-{COMPONENT_MAX}",
}


@dataclass(frozen=True, eq=False)
class Codes:
    """Codes of all numbers u in a projection's codebooks.

    Members
    -------
    bits : int64 [books, 2047], length of the code of a number, with all that follows the token
    code : uint64 [books, 2047], the code and what follows it, the first bit in bit 0
    escaped : bool [books, 2047], which numbers are coded as escapes
    table : int16 [books, 2**15], by the next 15 bits: token and length, ``16 * token + length``; 0
        where they are no code
    books : uint8 [components]
    """

    bits: np.ndarray
    code: np.ndarray
    escaped: np.ndarray
    table: np.ndarray
    books: np.ndarray


def numbers_of(symbols: np.ndarray) -> np.ndarray:
    """Number u of each symbol: int64, 0 to 2046."""
    wide = symbols.astype(np.int64)
    return np.where(wide < 0, -2 * wide - 1, 2 * wide)


def symbols_of(numbers: np.ndarray) -> np.ndarray:
    """Symbol of each number: int16."""
    return np.where(numbers & 1, -((numbers + 1) >> 1), numbers >> 1).astype(np.int16)


def tokens_of(numbers: np.ndarray) -> np.ndarray:
    """Token of each number: int64."""
    octave = np.maximum(_OCTAVES[numbers], HUFFMAN_EXACT_BITS)
    half = numbers >> (octave - 1) & 1
    return np.where(numbers < _EXACT, numbers, _EXACT + 2 * (octave - HUFFMAN_EXACT_BITS) + half)


def canonical(lengths: np.ndarray) -> np.ndarray:
    """Codes of one codebook, the first bit in bit 0: uint64 [45].

    Parameters
    ----------
    lengths : uint8 [45], of a prefix code
    """
    codes = np.zeros(HUFFMAN_TOKENS, np.uint64)
    code, before = 0, 0
    for token in sorted(np.flatnonzero(lengths), key=lambda t: (lengths[t], t)):
        length = int(lengths[token])
        code <<= length - before
        codes[token] = int(f"{code:0{length}b}"[::-1], 2)
        code, before = code + 1, length
    return codes


def codes_of(projection: Projection | Groups) -> Codes:
    """All codes of a projection, or of groups of bit planes."""
    books = len(projection.lengths)
    bits = np.zeros((books, len(_NUMBERS)), np.int64)
    code = np.zeros((books, len(_NUMBERS)), np.uint64)
    escaped = np.zeros((books, len(_NUMBERS)), bool)
    table = np.zeros((books, 1 << CODE_BITS_MAX), np.int16)
    for k, lengths in enumerate(projection.lengths):
        of = canonical(lengths)
        for token in np.flatnonzero(lengths):
            length = int(lengths[token])
            table[k, int(of[token]) :: 1 << length] = 16 * token + length
        tokens = tokens_of(_NUMBERS)
        follow = np.where(_NUMBERS < _EXACT, 0, _OCTAVES - 1)
        escaped[k] = lengths[tokens] == 0
        tokens[escaped[k]] = HUFFMAN_ESCAPE
        follow[escaped[k]] = COMPONENT_BITS
        sizes = lengths[tokens].astype(np.int64)
        own = (_NUMBERS & ((1 << follow) - 1)).astype(np.uint64)
        code[k] = of[tokens] | own << sizes.astype(np.uint64)
        bits[k] = sizes + follow
    return Codes(bits, code, escaped, table, projection.books)


def size_bits(symbols: np.ndarray, codes: Codes) -> int:
    """Bits of symbols: int16 [positions, components]."""
    return int(_size(symbols, codes.books, codes.bits))


@compiled
def _size(symbols, books, bits):  # type: ignore[no-untyped-def]
    total = 0
    for p in range(symbols.shape[0]):
        for k in range(symbols.shape[1]):
            symbol = np.int64(symbols[p, k])
            total += bits[books[k], 2 * symbol if symbol >= 0 else -2 * symbol - 1]
    return total


def encode(symbols: np.ndarray, codes: Codes) -> bytes:
    """Code symbols, int16 [positions, components], position by position."""
    numbers = numbers_of(symbols)
    lengths = codes.bits[codes.books, numbers].ravel()
    return _packed(codes.code[codes.books, numbers].ravel(), lengths)


def raw_bytes(symbols: int) -> int:
    """Size of so many symbols of a raw tile."""
    return ceil_div(symbols * COMPONENT_BITS, 8)


def encode_raw(symbols: np.ndarray) -> bytes:
    """The symbols of a raw tile, int16 [positions, components]."""
    numbers = numbers_of(symbols).ravel()
    return _packed(numbers.astype(np.uint64), np.full(numbers.shape, COMPONENT_BITS, np.int64))


def _packed(numbers: np.ndarray, lengths: np.ndarray) -> bytes:
    """Numbers of so many bits each behind each other, padded to a byte."""
    ends = np.cumsum(lengths)
    total = int(ends[-1])
    words = bitpack.place(numbers, np.zeros_like(numbers), ends - lengths, ceil_div(total, 64))
    return words.astype("<u8").tobytes()[: ceil_div(total, 8)]


def decode_raw(data: bytes, symbols: int) -> np.ndarray:
    """Symbols of a raw tile: int16 [symbols].

    Raises
    ------
    FormatError : a symbol that none is
    """
    flags = np.unpackbits(np.frombuffer(data[: raw_bytes(symbols)], np.uint8), bitorder="little")
    rows = flags[: symbols * COMPONENT_BITS].reshape(symbols, COMPONENT_BITS)
    numbers = rows.astype(np.int64) @ (1 << np.arange(COMPONENT_BITS))
    if numbers.max() >= len(_NUMBERS):
        raise FormatError(_WRONG[_OUTSIDE])
    return symbols_of(numbers)


def decode(data: bytes, positions: int, codes: Codes) -> tuple[np.ndarray, int]:
    """Symbols and the number of bits that they took: int16 [positions, components].

    Raises
    ------
    FormatError : the bytes are not such symbols
    """
    components = len(codes.books)
    if positions * components > 8 * len(data):
        raise FormatError(f"{len(data)} bytes cannot hold {positions * components} symbols")
    numbers = np.empty((positions, components), np.int64)
    padded = np.frombuffer(data + bytes(5), np.uint8)
    wrong, used = _decode(
        padded, 8 * len(data), codes.table, codes.escaped, codes.books, numbers,
        (_EXACT, HUFFMAN_EXACT_BITS, HUFFMAN_ESCAPE, COMPONENT_BITS, len(_NUMBERS), _MASK),
    )  # fmt: skip
    if wrong:
        raise FormatError(_WRONG[int(wrong)])
    return symbols_of(numbers), int(used)


@compiled
def _decode(data, bits, table, escaped, books, numbers, limits):  # type: ignore[no-untyped-def]
    exact, exact_bits, escape, escape_bits, count, mask = limits
    at = 0
    for p in range(numbers.shape[0]):
        for k in range(numbers.shape[1]):
            if at >= bits:
                return 1, at
            byte = at >> 3
            window = np.int64(0)
            for b in range(5):
                window |= np.int64(data[byte + b]) << (8 * b)
            window >>= at & 7
            entry = np.int64(table[books[k], window & mask])
            if entry == 0:
                return 2, at
            token = entry >> 4
            length = entry & 15
            window >>= length
            if token == escape:
                number = window & ((1 << escape_bits) - 1)
                length += escape_bits
                if number >= count:
                    return 4, at
                if not escaped[books[k], number]:
                    return 3, at
            elif token >= exact:
                octave = exact_bits + ((token - exact) >> 1)
                follow = octave - 1
                top = 2 + ((token - exact) & 1)
                number = (top << follow) | (window & ((1 << follow) - 1))
                length += follow
                if number >= count:
                    return 4, at
            else:
                number = token
            at += length
            if at > bits:
                return 1, at
            numbers[p, k] = number
    return 0, at
