"""What a board is told of a projection: read back as the gateware reads it."""

import numpy as np
import pytest
from tests.projection_cases import random_affine, random_coding
from tests.test_hw_huffcode import symbols_of

from fmzip import projload, regs
from fmzip.format import HUFFMAN_ESCAPE, HUFFMAN_TOKENS, Transform
from fmzip.projection import Projection
from fmzip.reference import huffman


def field(layout: dict[str, int], name: str, word: int) -> int:
    low = 0
    for known, size in layout.items():
        if known == name:
            return word >> low & (1 << size) - 1
        low += size
    raise KeyError(name)


def test_trees_decode_what_the_reference_encodes() -> None:
    rng = np.random.default_rng(1)
    projection = random_coding(rng, 16, Transform.PROJECTION, 1, 4).tables
    nodes = projload.nodes(projection).reshape(-1, regs.BOOK_NODES, 1 << regs.NODE_BITS)
    codes = huffman.codes_of(projection)
    for book, lengths in enumerate(projection.lengths):
        canonical = huffman.canonical(lengths)
        for token in np.flatnonzero(lengths):
            bits, used, node = int(canonical[token]), 0, 0
            while True:
                word = int(nodes[book, node, bits & 15])
                length = field(regs.NODE_FIELDS, "length", word) + 1
                used, bits = used + length, bits >> length
                if field(regs.NODE_FIELDS, "leaf", word):
                    break
                node = field(regs.NODE_FIELDS, "payload", word)
                assert node, "no code"
            assert (field(regs.NODE_FIELDS, "payload", word), used) == (token, lengths[token])
    assert codes.books.tolist() == projection.books.tolist()


@pytest.mark.parametrize("seed", range(20))
def test_no_book_has_more_nodes_than_there_is_room_for(seed: int) -> None:
    rng = np.random.default_rng(seed)
    # Leaves are split at random, the deep ones rather, until there are as many as tokens.
    lengths = [1, 1]
    while len(lengths) < HUFFMAN_TOKENS:
        open_ = [k for k, length in enumerate(lengths) if length < 15]
        deep = max(open_, key=lambda k: (lengths[k] % 4 != 0, rng.random()))
        k = deep if seed % 2 else int(rng.choice(open_))
        lengths[k] += 1
        lengths.append(lengths[k])
    inverse = (random_affine(rng, 1, 1, 8),)
    tables = Projection(inverse, np.array([lengths], np.uint8), np.zeros(1, np.uint8))
    used = projload.nodes(tables).reshape(regs.BOOK_NODES, -1).any(axis=1).sum()
    assert used <= 20


def test_sizes_of_codes_are_the_references() -> None:
    rng = np.random.default_rng(3)
    projection = random_coding(rng, 8, Transform.PROJECTION, 1, 3).tables
    words = projload.codes(projection).reshape(-1, 64)
    codes = huffman.codes_of(projection)
    symbols = symbols_of(rng, 50, 4).ravel()
    numbers = huffman.numbers_of(symbols)
    for book in range(len(words)):
        for u, token in zip(numbers.tolist(), huffman.tokens_of(numbers).tolist(), strict=True):
            word = int(words[book, token])
            assert field(regs.CODE_FIELDS, "size", word) == codes.bits[book, u]
            assert field(regs.CODE_FIELDS, "escape", word) == codes.escaped[book, u]
        escape = int(words[book, HUFFMAN_ESCAPE])
        assert field(regs.CODE_FIELDS, "size", escape) == projection.lengths[book, 44] + 11


def test_entries_lie_in_the_order_of_their_use() -> None:
    rng = np.random.default_rng(4)
    affines = [random_affine(rng, 10, 3, 8), random_affine(rng, 5, 3, 8)]
    pairs = projload.entries(affines, 8)
    assert len(pairs) == 4 * projload.rows_of(affines, 8) == 4 * 3 * 3
    flat = np.stack((pairs & 0xFFF, pairs >> 16), axis=1).reshape(3, 3, 8)
    signed = (flat.astype(np.int64) ^ 0x800) - 0x800
    np.testing.assert_array_equal(signed[0], affines[0].matrix[:8].T)
    np.testing.assert_array_equal(signed[1, :, :2], affines[0].matrix[8:].T)
    np.testing.assert_array_equal(signed[2, :, :5], affines[1].matrix.T)
    assert not signed[1, :, 2:].any()
    blocks = [int(word) for word in projload.blocks(affines, 8)]
    begins = [field(regs.BLOCK_FIELDS, "begin", word) for word in blocks]
    assert begins == [0, 0, 3]
    assert [field(regs.BLOCK_FIELDS, "last", word) for word in blocks] == [0, 0, 1]


def test_positions_and_blocks_have_a_limit() -> None:
    rng = np.random.default_rng(10)
    with pytest.raises(ValueError, match="up to 1024 values"):
        projload.blocks([random_affine(rng, 1, 205, 8)] * 5, 8)
    with pytest.raises(ValueError, match="257 blocks of products, a board has 256"):
        projload.blocks([random_affine(rng, 2048, 1, 8), random_affine(rng, 1, 1, 8)], 8)
