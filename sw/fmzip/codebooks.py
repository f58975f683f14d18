"""Codebooks of the coder HUFFMAN from counts: components are joined, and get code lengths.

Components of a projection differ in little but their spread, so they are put in the order of the
mean magnitude of their symbols and neighbours are joined, the pair that costs least first, as long
as that costs less than the bytes of a codebook, or there are too many.
"""

from itertools import pairwise

import numpy as np

from fmzip.format import (
    CODE_BITS_MAX,
    CODEBOOK_BYTES,
    CODEBOOKS_MAX,
    COMPONENT_BITS,
    HUFFMAN_ESCAPE,
    HUFFMAN_EXACT_BITS,
    HUFFMAN_TOKENS,
)

# Bits that follow the code of each token: int64 [45].
FOLLOWING_BITS = np.array([
    0 if t < 1 << HUFFMAN_EXACT_BITS
    else COMPONENT_BITS if t == HUFFMAN_ESCAPE
    else HUFFMAN_EXACT_BITS - 1 + (t - (1 << HUFFMAN_EXACT_BITS)) // 2
    for t in range(HUFFMAN_TOKENS)
])  # fmt: skip
_BOOK_BITS = 8 * CODEBOOK_BYTES


def count_tokens(tokens: np.ndarray) -> np.ndarray:
    """How often each token occurs: int64 [components, 45].

    Parameters
    ----------
    tokens : int64 [components, n], see ``reference.huffman.tokens_of``
    """
    components = len(tokens)
    index = tokens + HUFFMAN_TOKENS * np.arange(components)[:, None]
    counts = np.bincount(index.ravel(), minlength=components * HUFFMAN_TOKENS)
    return counts.reshape(components, HUFFMAN_TOKENS)


def make_codebooks(
    counts: np.ndarray, maps: int, most: int = CODEBOOKS_MAX
) -> tuple[np.ndarray, np.ndarray]:
    """Codebooks that give a short code for what was counted.

    Parameters
    ----------
    counts : int64 [components, 45]
    maps : how many maps were counted: a codebook must save its bytes in each of them
    most : codebooks that there may be

    Returns
    -------
    lengths : uint8 [codebooks, 45]
    books : uint8 [components], codebook of each component

    Raises
    ------
    ValueError : ``most`` is outside of 1 to 16, or nothing was counted
    """
    if not 1 <= most <= CODEBOOKS_MAX:
        raise ValueError(f"codebooks must be 1 to {CODEBOOKS_MAX}, not {most}")
    if not counts.sum():
        raise ValueError("no symbols were counted")
    # The number of a token grows with the magnitude.
    order = np.argsort(-(counts @ np.arange(HUFFMAN_TOKENS)), kind="stable")
    groups: list[list[int]] = [[k] for k in order.tolist()]
    joined = [counts[k].astype(np.float64) for k in order]
    cost = [_bits(row) for row in joined]
    more = [_bits(a + b) - _bits(a) - _bits(b) for a, b in pairwise(joined)]
    while len(groups) > 1:
        i = int(np.argmin(more))
        if len(groups) <= most and more[i] > _BOOK_BITS * maps:
            break
        groups[i] += groups.pop(i + 1)
        joined[i] = joined[i] + joined.pop(i + 1)
        cost[i] = _bits(joined[i])
        cost.pop(i + 1)
        more.pop(i)
        for k in (i - 1, i):
            if 0 <= k < len(more):
                more[k] = _bits(joined[k] + joined[k + 1]) - cost[k] - cost[k + 1]
    books = np.empty(len(counts), np.uint8)
    for book, members in enumerate(groups):
        books[members] = book
    return np.stack([code_lengths(row) for row in joined]), books


def _bits(counts: np.ndarray) -> float:
    """Bits of counts with ideal code lengths, escapes included."""
    some = counts[counts > 0]
    if not len(some):
        return 0.0
    return float(some @ np.log2(some.sum() / some) + COMPONENT_BITS * counts[HUFFMAN_ESCAPE])


def code_lengths(counts: np.ndarray) -> np.ndarray:
    """Lengths of the shortest prefix code of at most 15 bits: uint8 [45], 0 for no code.

    Every token that occurs has a code, and the escape has one in any case. Package-merge: Larmore
    and Hirschberg, J. ACM 37(3), 1990.

    Parameters
    ----------
    counts : [45]
    """
    wanted = counts.astype(np.float64)
    wanted[HUFFMAN_ESCAPE] = max(1.0, wanted[HUFFMAN_ESCAPE])
    coins: list[tuple[float, tuple[int, ...]]]
    coins = sorted((float(wanted[t]), (int(t),)) for t in np.flatnonzero(wanted))
    lengths = np.zeros(HUFFMAN_TOKENS, np.uint8)
    if len(coins) == 1:
        lengths[HUFFMAN_ESCAPE] = 1
        return lengths
    packages = coins[:0]
    for _ in range(CODE_BITS_MAX):
        row = sorted(packages + coins)
        packages = [(a[0] + b[0], a[1] + b[1]) for a, b in zip(row[0::2], row[1::2], strict=False)]
    for _, tokens in packages[: len(coins) - 1]:
        for token in tokens:
            lengths[token] += 1
    return lengths
