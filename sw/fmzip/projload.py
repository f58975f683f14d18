"""What a board is told of a projection: words for the memories behind ``regs.PROJECTIONS``.

Matrices are laid out for the multipliers: blocks of as many rows as there are of them, in a block
column by column.
"""

from collections.abc import Sequence

import numpy as np

from fmzip.format import (
    COMPONENT_BITS,
    HUFFMAN_ESCAPE,
    HUFFMAN_EXACT_BITS,
    HUFFMAN_TOKENS,
    ceil_div,
)
from fmzip.projection import Affine, Projection, ProjectionCoding
from fmzip.regs import (
    BLOCK_FIELDS,
    BOOK_NODES,
    CODE_FIELDS,
    NODE_BITS,
    NODE_FIELDS,
    PROJECTION_BLOCKS,
    PROJECTION_VALUES,
    ProjectionKind,
)

CODE_ADDRESS_BITS = 10  # book, token
NODE_ADDRESS_BITS = 13  # book, node, bits


def fields(layout: dict[str, int], **given: int) -> int:
    """A word of such fields, from its lowest bit on."""
    word, at = 0, 0
    for name, size in layout.items():
        word |= given[name] << at
        at += size
    return word


def following_bits(token: int) -> int:
    """Bits that follow the code of a token which is not an escape."""
    octave = (token - (1 << HUFFMAN_EXACT_BITS)) // 2 + HUFFMAN_EXACT_BITS
    return octave - 1 if token >> HUFFMAN_EXACT_BITS else 0


def blocks(affines: Sequence[Affine], multipliers: int) -> np.ndarray:
    """What the multipliers do, block by block: uint32 [blocks].

    Raises
    ------
    ValueError : more blocks, or larger positions, than a board's engine has
    """
    words, begin = [], 0
    for affine in affines:
        outputs, inputs = affine.matrix.shape
        if begin + inputs > PROJECTION_VALUES:
            raise ValueError(f"a board takes positions of up to {PROJECTION_VALUES} values")
        for row in range(0, outputs, multipliers):
            count = min(multipliers, outputs - row)
            words.append(fields(
                BLOCK_FIELDS, begin=begin, inputs=inputs - 1, outputs=count - 1,
                shift=affine.shift, last=0,
            ))  # fmt: skip
        begin += inputs
    if len(words) > PROJECTION_BLOCKS:
        raise ValueError(f"{len(words)} blocks of products, a board has {PROJECTION_BLOCKS}")
    words[-1] |= fields(BLOCK_FIELDS, begin=0, inputs=0, outputs=0, shift=0, last=1)
    return np.array(words, np.uint32)


def entries(affines: Sequence[Affine], multipliers: int) -> np.ndarray:
    """Pairs of entries in the order of their use: uint32 [rows * multipliers / 2]."""
    parts = []
    for affine in affines:
        outputs, inputs = affine.matrix.shape
        full = np.zeros((ceil_div(outputs, multipliers) * multipliers, inputs), np.uint32)
        full[:outputs] = affine.matrix.astype(np.int64) & 0xFFF
        parts.append(full.reshape(-1, multipliers, inputs).transpose(0, 2, 1).reshape(-1, 2))
    pairs = np.concatenate(parts)
    return pairs[:, 0] | pairs[:, 1] << 16


def offsets(affines: Sequence[Affine]) -> np.ndarray:
    """Offsets of all outputs: uint32 [outputs]."""
    return np.concatenate([a.offset for a in affines]).view(np.uint32)


def _codes(lengths: np.ndarray) -> dict[int, tuple[int, int]]:
    """Code, the first bit in bit 0, and length of each token that has one."""
    found, code, before = {}, 0, 0
    for token in sorted(np.flatnonzero(lengths).tolist(), key=lambda t: (lengths[t], t)):
        length = int(lengths[token])
        code <<= length - before
        found[token] = int(f"{code:0{length}b}"[::-1], 2), length
        code, before = code + 1, length
    return found


def codes(projection: Projection) -> np.ndarray:
    """The encoder's codes of each book, in 64 words: uint32 [books * 64]."""
    words = np.zeros((len(projection.lengths), 64), np.uint32)
    for book, lengths in enumerate(projection.lengths):
        known = _codes(lengths)
        for token in range(HUFFMAN_TOKENS):
            escape = token == HUFFMAN_ESCAPE or token not in known
            code, length = known[HUFFMAN_ESCAPE if escape else token]
            size = length + (COMPONENT_BITS if escape else following_bits(token))
            words[book, token] = fields(
                CODE_FIELDS, code=code, length=length, size=size, escape=int(escape)
            )
    return words.ravel()


def nodes(projection: Projection) -> np.ndarray:
    """The decoder's tree of each book: uint32 [books * 32 * 16].

    A node looks at the next 4 bits; node 0 is the root, so a payload of 0 that is no token says
    that these bits are no code.
    """
    words = np.zeros((len(projection.lengths), BOOK_NODES, 1 << NODE_BITS), np.uint32)
    for book, lengths in enumerate(projection.lengths):
        known: dict[int, int] = {1: 0}  # node of the bits before it, with a 1 above them
        for token, (code, length) in _codes(lengths).items():
            node, done = 0, 0
            while length - done > NODE_BITS:
                word = code >> done & (1 << NODE_BITS) - 1
                done += NODE_BITS
                prefix = 1 << done | code & (1 << done) - 1
                follows = known.setdefault(prefix, len(known))
                words[book, node, word] = fields(
                    NODE_FIELDS, length=NODE_BITS - 1, payload=follows, leaf=0
                )
                node = follows
            leaf = fields(NODE_FIELDS, length=length - done - 1, payload=token, leaf=1)
            words[book, node, code >> done :: 1 << (length - done)] = leaf
    return words.ravel()


Words = tuple[ProjectionKind, int, np.ndarray]  # memory, first address, what is written from there


def _engine_words(
    affines: Sequence[Affine], first: ProjectionKind, page: int, row: int, multipliers: int,
    values: int,
) -> list[Words]:  # fmt: skip
    return [
        (ProjectionKind(first), page, np.array([row], np.uint32)),
        (ProjectionKind(first + 1), page * PROJECTION_BLOCKS, blocks(affines, multipliers)),
        (ProjectionKind(first + 2), page * values, offsets(affines)),
        (ProjectionKind(first + 3), row * multipliers // 2, entries(affines, multipliers)),
    ]


def encoder_words(
    coding: ProjectionCoding, page: int, row: int, multipliers: int, values: int
) -> list[Words]:
    """What an encoder is told.

    Parameters
    ----------
    page : of all memories but that of the entries, 0 or 1
    row : of that one, where the entries begin
    multipliers, values : of the board
    """
    tables = coding.tables
    book_words = tables.books.astype(np.uint32)
    code_words = codes(tables)
    return [
        (ProjectionKind.CODES, page << CODE_ADDRESS_BITS, code_words),
        (ProjectionKind.FORWARD_BOOKS, page * values, book_words),
        *_engine_words(
            coding.forward, ProjectionKind.FORWARD_BASE, page, row, multipliers, values
        ),
    ]  # fmt: skip


def decoder_words(
    projection: Projection, page: int, row: int, multipliers: int, values: int
) -> list[Words]:
    """What a decoder is told, see ``encoder_words``."""
    return [
        (ProjectionKind.NODES, page << NODE_ADDRESS_BITS, nodes(projection)),
        (ProjectionKind.INVERSE_BOOKS, page * values, projection.books.astype(np.uint32)),
        *_engine_words(
            projection.inverse, ProjectionKind.INVERSE_BASE, page, row, multipliers, values
        ),
    ]


def rows_of(affines: Sequence[Affine], multipliers: int) -> int:
    """Rows of entries that a matrix takes."""
    return sum(ceil_div(len(a.matrix), multipliers) * a.matrix.shape[1] for a in affines)
