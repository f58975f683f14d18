"""The entropy coder RANS on the slots of one tile: ``docs/format.md``, 10.4 to 10.7."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from fmzip.errors import FormatError
from fmzip.format import (
    BLOCK,
    CLASS_STARTS,
    ESCAPE,
    PRICE_PER_BIT,
    STATE_BYTES,
    STATE_MIN,
    STATE_SETS,
    TOKENS,
    FrameConfig,
    Transform,
    price,
)
from fmzip.reference import planes
from fmzip.reference.compiled import compiled
from fmzip.tables import Tables

_TOP = len(CLASS_STARTS) - 1
_MAGNITUDE_CLASS = np.searchsorted(CLASS_STARTS, np.arange(256), "right").astype(np.uint8) - 1
# Class of a symbol: of itself, and of the magnitude that it stands for where it has a sign.
SYMBOL_CLASSES = np.stack((_MAGNITUDE_CLASS, _MAGNITUDE_CLASS[(np.arange(256) + 1) >> 1]))
_PRICES = np.array([0] + [price(f) for f in range(1, 256)], np.int64)
_ESCAPE_PRICE = 8 * PRICE_PER_BIT
(
    _BYTES_SHORT,
    _ESCAPES_SHORT,
    _STATES_WRONG,
    _ESCAPES_LEFT,
    _NO_NIBBLE,
    _NO_ESCAPE,
) = range(-1, -7, -1)
_FAULTS = {
    _BYTES_SHORT: "its bytes end before its symbols",
    _ESCAPES_SHORT: "its escapes end before its symbols",
    _STATES_WRONG: "its states do not come out",
    _ESCAPES_LEFT: "escapes are left over",
    _NO_NIBBLE: "a nibble is above 15",
    _NO_ESCAPE: "an escape is a token of its statistic",
}


@dataclass(frozen=True)
class Model:
    """Tables in the form that the kernels use.

    Members
    -------
    contexts : uint8, statistic of each context
    frequencies, cumulated : int64 [statistics, 32]
    limits : uint8 [statistics]
    tokens : uint8 [statistics, 256], token of the low byte of a state
    """

    contexts: np.ndarray
    frequencies: np.ndarray
    cumulated: np.ndarray
    limits: np.ndarray
    tokens: np.ndarray


@lru_cache(maxsize=256)
def model_of(tables: Tables) -> Model:
    """The model of tables."""
    frequencies = np.frombuffer(tables.frequencies, np.uint8).reshape(-1, TOKENS).astype(np.int64)
    tokens = np.stack([np.repeat(np.arange(TOKENS, dtype=np.uint8), f) for f in frequencies])
    limits = np.array([tables.limit(k) for k in range(tables.statistics)], np.uint8)
    cumulated = np.cumsum(frequencies, axis=1) - frequencies
    contexts = np.frombuffer(tables.contexts, np.uint8)
    return Model(contexts, frequencies, cumulated, limits, tokens)


@dataclass(frozen=True)
class Layout:
    """Where the slots of a tile stand.

    Members
    -------
    groups : of 8 channels, G
    count : planes, K
    cols : positions in a row
    nibbles : the transform is ``nibbles``
    kinds : uint8 [K], row of ``SYMBOL_CLASSES`` of each plane
    """

    groups: int
    count: int
    cols: int
    nibbles: bool
    kinds: np.ndarray


def layout_of(config: FrameConfig, cols: int) -> Layout:
    """Layout of a tile with so many positions in a row."""
    nibbles = config.transform == Transform.NIBBLES
    count = config.planes
    signed = [not nibbles and not planes.unsigned(config, k) for k in range(count)]
    return Layout(config.blocks_per_pixel, count, cols, nibbles, np.array(signed, np.uint8))


@compiled
def _context(classes, t, lane, k, groups, count, cols, row, col):  # type: ignore[no-untyped-def]
    """Context of a lane of slot t, from the classes of the slots before: 10.4."""
    position = groups * count
    above = t - position * cols
    if row == 0:
        west = classes[t - position, lane] if col > 0 else 0
        north = west
        near = west
        far = west
    else:
        north = classes[above, lane]
        west = classes[t - position, lane] if col > 0 else north
        near = classes[above - position, lane] if col > 0 else north
        far = classes[above + position, lane] if col < cols - 1 else north
    if k == 0:
        x = (near + far + 1) >> 1
    elif k < 3:
        x = classes[t - k * groups, lane]
    else:
        zero = classes[t - 3 * groups, lane]
        x = min(7, classes[t - 2 * groups, lane] + classes[t - groups, lane] + ((zero + 1) >> 1))
    return 512 * k + 64 * west + 8 * north + x


@compiled
def tokens_kernel(  # type: ignore[no-untyped-def]
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
):
    """Fill statistics, tokens [n, 8] and escapes of a tile's symbols; how many escapes, price."""
    slots = symbols.shape[0]
    classes = np.empty((slots, 8), np.int64)
    taken = 0
    cost = 0
    row = 0
    col = 0
    k = 0
    group = 0
    for t in range(slots):
        for lane in range(8):
            statistic = contexts[_context(classes, t, lane, k, groups, count, cols, row, col)]
            symbol = symbols[t, lane]
            if symbol > limits[statistic]:
                escapes[taken] = symbol
                taken += 1
                cost += 128
                token = 31
                class_ = 7
            else:
                token = np.int64(symbol)
                class_ = np.int64(of_symbol[kinds[k], symbol])
                if nibbles and k == 1 and classes[t - groups, lane] != 0:
                    class_ = 7
            classes[t, lane] = class_
            statistics[t, lane] = statistic
            tokens[t, lane] = token
            cost += prices[frequencies[statistic, token]]
        group += 1
        if group == groups:
            group = 0
            k += 1
            if k == count:
                k = 0
                col += 1
                if col == cols:
                    col = 0
                    row += 1
    return taken, cost


@compiled
def _encode(statistics, tokens, frequencies, cumulated, states, out):  # type: ignore[no-untyped-def]
    """Fill ``out`` from its end, and ``states`` [10, 8]; where the bytes begin."""
    place = out.shape[0]
    for t in range(tokens.shape[0] - 1, -1, -1):
        for lane in range(7, -1, -1):
            statistic = statistics[t, lane]
            token = tokens[t, lane]
            f = frequencies[statistic, token]
            x = states[t % 10, lane]
            if x >= f << 8:
                place -= 1
                out[place] = x & 255
                x >>= 8
            states[t % 10, lane] = ((x // f) << 8) + x % f + cumulated[statistic, token]
    return place


@compiled
def _decode(  # type: ignore[no-untyped-def]
    groups,
    count,
    cols,
    nibbles,
    kinds,
    of_symbol,
    contexts,
    limits,
    frequencies,
    cumulated,
    of_slot,
    states,
    data,
    escapes,
    symbols,
):
    """Fill ``symbols`` [n, 8] from states, bytes and escapes; bytes that were taken, or a fault."""
    slots = symbols.shape[0]
    classes = np.empty((slots, 8), np.int64)
    place = 0
    taken = 0
    row = 0
    col = 0
    k = 0
    group = 0
    for t in range(slots):
        for lane in range(8):
            statistic = contexts[_context(classes, t, lane, k, groups, count, cols, row, col)]
            x = states[t % 10, lane]
            low = x & 255
            token = of_slot[statistic, low]
            x = frequencies[statistic, token] * (x >> 8) + low - cumulated[statistic, token]
            if x < 256:
                if place == data.shape[0]:
                    return -1
                x = x << 8 | data[place]
                place += 1
            states[t % 10, lane] = x
            if token == 31:
                if taken == escapes.shape[0]:
                    return -2
                symbol = escapes[taken]
                taken += 1
                if symbol <= limits[statistic]:
                    return -6
                class_ = 7
            else:
                symbol = token
                class_ = np.int64(of_symbol[kinds[k], symbol])
                if nibbles and k == 1 and classes[t - groups, lane] != 0:
                    class_ = 7
            if nibbles and symbol > 15:
                return -5
            classes[t, lane] = class_
            symbols[t, lane] = symbol
        group += 1
        if group == groups:
            group = 0
            k += 1
            if k == count:
                k = 0
                col += 1
                if col == cols:
                    col = 0
                    row += 1
    if taken != escapes.shape[0]:
        return -4
    for index in range(min(slots, 10)):
        for lane in range(8):
            if states[index, lane] != 256:
                return -3
    return place


@dataclass(frozen=True)
class Tokens:
    """The symbols of a tile, ready to be coded.

    Members
    -------
    statistics, tokens : uint8 [n, 8]
    escapes : uint8, symbols that are not tokens, in order
    price_bytes : what the tile is taken to need, see 10.8
    """

    statistics: np.ndarray
    tokens: np.ndarray
    escapes: np.ndarray
    price_bytes: int


def tokens_of(symbols: np.ndarray, layout: Layout, model: Model) -> Tokens:
    """Statistic and token of each symbol.

    Parameters
    ----------
    symbols : uint8 [n, 8], the slots of a tile
    """
    statistics, tokens = np.empty(symbols.shape, np.uint8), np.empty(symbols.shape, np.uint8)
    escapes = np.empty(symbols.size, np.uint8)
    taken, cost = tokens_kernel(
        symbols, layout.groups, layout.count, layout.cols, layout.nibbles, layout.kinds,
        SYMBOL_CLASSES, model.contexts, model.limits, model.frequencies, _PRICES, statistics,
        tokens, escapes,
    )  # fmt: skip
    sets = min(len(symbols), STATE_SETS)
    size = -(-int(cost) // _ESCAPE_PRICE) + STATE_BYTES * BLOCK * sets + 8
    return Tokens(statistics, tokens, escapes[:taken].copy(), size)


def encode(found: Tokens, model: Model) -> tuple[np.ndarray, np.ndarray]:
    """States, int64 [sets, 8], and bytes, uint8, of a tile."""
    states = np.full((min(len(found.tokens), STATE_SETS), BLOCK), STATE_MIN, np.int64)
    out = np.empty(found.tokens.size, np.uint8)  # no symbol puts out more than a byte
    place = _encode(found.statistics, found.tokens, model.frequencies, model.cumulated, states, out)
    return states, out[place:]


def decode(
    slots: int, layout: Layout, model: Model,
    states: np.ndarray, data: np.ndarray, escapes: np.ndarray,
) -> tuple[np.ndarray, int]:  # fmt: skip
    """Symbols of a tile, uint8 [slots, 8], and how many bytes of ``data`` they took.

    Parameters
    ----------
    states : [sets, 8]
    data : uint8, the bytes of the tile and what follows them
    escapes : uint8

    Raises
    ------
    FormatError : they are not those of such a tile
    """
    if (states < STATE_MIN).any():
        raise FormatError(f"a state is {states.min()}, the lowest is {STATE_MIN}")
    symbols = np.empty((slots, BLOCK), np.uint8)
    used = _decode(
        layout.groups, layout.count, layout.cols, layout.nibbles, layout.kinds, SYMBOL_CLASSES,
        model.contexts, model.limits, model.frequencies, model.cumulated, model.tokens,
        states.astype(np.int64), data, escapes, symbols,
    )  # fmt: skip
    if used < 0:
        raise FormatError(_FAULTS[used])
    return symbols, used


assert (TOKENS, ESCAPE, _TOP, STATE_SETS, STATE_MIN, _ESCAPE_PRICE) == (32, 31, 7, 10, 256, 128), (
    "the kernels are written for these numbers"
)
