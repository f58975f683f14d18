"""Tables of the coder RANS from maps: contexts are counted, joined, and given frequencies.

1. Count the symbols of calibration maps in each context.
2. Join contexts, the pair that costs least first, until there are few enough (agglomerative
   clustering by code length).
3. For each statistic choose which tokens it has, and integer frequencies of the others: those that
   give the shortest code, escapes included.
"""

import numpy as np

from fmzip.format import CONTEXTS, ESCAPE, STATISTICS_MAX, TOKENS, TOTAL_BITS, FrameConfig
from fmzip.reference import planes, rans
from fmzip.reference.compiled import compiled
from fmzip.tables import Tables

_TOTAL = 1 << TOTAL_BITS
_ESCAPE_BITS = 8
_PRIOR = 0.02  # of each token: what calibration did not show can still happen


def empty_counts(config: FrameConfig) -> np.ndarray:
    """Counts of nothing yet: int64 [contexts, 32]."""
    return np.zeros((CONTEXTS * config.planes, TOKENS), np.int64)


def count(z: np.ndarray, config: FrameConfig, into: np.ndarray) -> None:
    """Count the symbols of a tile in their contexts; those above 30 count as escapes.

    Parameters
    ----------
    z : see ``reference.planes``
    into : int64 [contexts, 32]
    """
    symbols = planes.to_slots(z, config)
    layout = rans.layout_of(config, z.shape[3])
    # One statistic for each context, so that statistics are contexts.
    contexts = np.arange(len(into), dtype=np.int64)
    limits = np.full(len(into), ESCAPE - 1, np.uint8)
    _count(
        symbols, layout.groups, layout.count, layout.cols, layout.nibbles, layout.kinds,
        rans.SYMBOL_CLASSES, contexts, limits, into,
    )  # fmt: skip


@compiled
def _count(  # type: ignore[no-untyped-def]
    symbols, groups, count, cols, nibbles, kinds, of_symbol, contexts, limits, into
):
    frequencies = np.zeros((into.shape[0], 32), np.int64)
    prices = np.zeros(1, np.int64)
    statistics = np.empty(symbols.shape, np.int64)
    tokens = np.empty(symbols.shape, np.uint8)
    escapes = np.empty(symbols.size, np.uint8)
    rans.tokens_kernel(
        symbols,
        groups,
        count,
        cols,
        nibbles,
        kinds,
        of_symbol,
        contexts,
        limits,
        frequencies,
        prices,
        statistics,
        tokens,
        escapes,
    )
    for t in range(symbols.shape[0]):
        for lane in range(8):
            into[statistics[t, lane], tokens[t, lane]] += 1


def code_bits(counts: np.ndarray) -> float:
    """Bits that the counted symbols need with ideal code lengths for each context, and no tables.

    A bound, not a size: cross-entropy of the symbols with their own contexts, 8 bits for each
    escape included.
    """
    return float(_lengths(counts.astype(np.float64)).sum() + _ESCAPE_BITS * counts[:, ESCAPE].sum())


def _lengths(counts: np.ndarray) -> np.ndarray:
    """Bits of counts [..., 32] with their own distribution: [...]."""
    total = counts.sum(axis=-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        bits = np.where(counts > 0, counts * np.log2(total / counts), 0.0)
    return bits.sum(axis=-1)


def make_tables(counts: np.ndarray, statistics: int = STATISTICS_MAX) -> Tables:
    """Tables that give a short code for what was counted.

    Parameters
    ----------
    counts : int64 [contexts, 32]
    statistics : most that there may be, 1 to 32

    Raises
    ------
    ValueError : a number outside its range, or nothing was counted
    """
    if not 1 <= statistics <= STATISTICS_MAX:
        raise ValueError(f"statistics must be 1 to {STATISTICS_MAX}, not {statistics}")
    if not counts.sum():
        raise ValueError("no symbols were counted")
    groups = _join(counts.astype(np.float64), statistics)
    joined = np.zeros((groups.max() + 1, TOKENS), np.int64)
    np.add.at(joined, groups, counts)
    frequencies = np.stack([_frequencies(row) for row in joined])
    return Tables(bytes(groups.astype(np.uint8)), frequencies.astype(np.uint8).tobytes())


def _join(counts: np.ndarray, most: int) -> np.ndarray:
    """Statistic of each context: int64 [contexts]; those without symbols take the commonest."""
    seen = np.flatnonzero(counts.sum(axis=1))
    owner = np.full(len(counts), -1)
    owner[seen] = _merge(counts[seen], min(most, len(seen)))
    common = np.bincount(owner[seen], counts[seen].sum(axis=1)).argmax()
    owner[owner < 0] = common
    return owner


@compiled
def _bits(counts):  # type: ignore[no-untyped-def]
    total = 0.0
    bits = 0.0
    for k in range(counts.shape[0]):
        c = counts[k]
        if c > 0:
            total += c
            bits -= c * np.log2(c)
    return bits + total * np.log2(total) if total > 0 else 0.0


@compiled
def _merge(counts, most):  # type: ignore[no-untyped-def]
    """Join rows of counts [n, 32] until ``most`` are left: group of each row, int64 [n]."""
    n = counts.shape[0]
    counts = counts.copy()
    owner = np.arange(n)
    alive = np.ones(n, np.bool_)
    bits = np.empty(n)
    for i in range(n):
        bits[i] = _bits(counts[i])
    # Of each row, the later one that is cheapest to join it with.
    best = np.full(n, np.inf)
    mate = np.zeros(n, np.int64)
    for i in range(n):
        for j in range(i + 1, n):
            cost = _bits(counts[i] + counts[j]) - bits[i] - bits[j]
            if cost < best[i]:
                best[i] = cost
                mate[i] = j
    for _ in range(n - most):
        i = np.argmin(best)
        j = mate[i]
        counts[i] += counts[j]
        bits[i] = _bits(counts[i])
        alive[j] = False
        best[j] = np.inf
        for k in range(n):
            if owner[k] == j:
                owner[k] = i
        for k in range(n):
            if not alive[k]:
                continue
            if k == i or mate[k] == j or mate[k] == i:
                best[k] = np.inf
                for other in range(k + 1, n):
                    if alive[other]:
                        cost = _bits(counts[k] + counts[other]) - bits[k] - bits[other]
                        if cost < best[k]:
                            best[k] = cost
                            mate[k] = other
            elif k < i:
                cost = _bits(counts[k] + counts[i]) - bits[k] - bits[i]
                if cost < best[k]:
                    best[k] = cost
                    mate[k] = i
    number = np.cumsum(alive) - 1
    return number[owner]


def _frequencies(counts: np.ndarray) -> np.ndarray:
    """Frequencies of 32 tokens that add up to 256, for the shortest code: int64 [32]."""
    best = None
    for limit in range(ESCAPE):
        kept = counts.astype(np.float64) + _PRIOR
        kept[ESCAPE] += kept[limit + 1 : ESCAPE].sum()
        kept[limit + 1 : ESCAPE] = 0
        frequencies = _apportion(kept)
        some = frequencies > 0
        bits = (kept[some] * (TOTAL_BITS - np.log2(frequencies[some]))).sum()
        bits += _ESCAPE_BITS * kept[ESCAPE]
        if best is None or bits < best[0]:
            best = bits, frequencies
    assert best is not None
    return best[1]


def _apportion(weights: np.ndarray) -> np.ndarray:
    """Integers that add up to 256, at least 1 where a weight is, for the shortest code."""
    ideal = weights * (_TOTAL / weights.sum())
    frequencies = np.where(weights > 0, np.maximum(np.rint(ideal), 1), 0).astype(np.int64)
    while (missing := _TOTAL - int(frequencies.sum())) != 0:
        step = 1 if missing > 0 else -1
        may = (frequencies > 0) & (frequencies + step >= 1)
        gain = np.full(len(weights), -np.inf)
        gain[may] = weights[may] * np.log2((frequencies[may] + step) / frequencies[may])
        frequencies[gain.argmax()] += step
    return frequencies
