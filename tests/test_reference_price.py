"""The price of the coder RANS: a bound of what its states put out, whatever tables and symbols."""

from itertools import cycle, islice
from math import log2

import numpy as np
import pytest

from fmzip.format import (
    PRICE_MARGIN,
    STATE_MIN,
    STATE_SETS,
    Coder,
    FrameConfig,
    TileMode,
    Transform,
    price,
)
from fmzip.reference import decode, encode, parse_head, rans
from fmzip.reference.ransframe import SYMBOLS_PER_BYTE
from fmzip.tables import Coding, Tables

FREQUENCIES = range(1, 256)
STATES = np.arange(STATE_MIN, 1 << 16)


def test_the_price_is_the_logarithm_to_the_nearest_sixteenth_and_half_a_bit() -> None:
    assert [price(f) for f in FREQUENCIES] == [round(16 * (8.5 - log2(f))) for f in FREQUENCIES]


def largest_excess(margin: int, rounds: int = 20) -> int | None:
    """Most 1/16 bits that a state, from 256 on, can put out above the price; None if unbounded.

    Longest paths over all states: in each, any token of any frequency and any place in its
    statistic may be coded, as no tables and no map would let an adversary choose.
    """
    ways = []
    for f in FREQUENCIES:
        out = STATE_MIN * f <= STATES
        left = np.where(out, STATES >> 8, STATES)
        ways.append((out * 128 - price(f) + PRICE_MARGIN - margin, left // f * 256 + left % f))
    excess = np.zeros(1 << 16, np.int32)
    for _ in range(rounds):
        # Highest excess in 2**k places from each one on: tokens of a frequency f may start at 0 to
        # 256 - f, which leads to as many states in a row.
        peaks = [excess]
        for k in range(8):
            peaks.append(peaks[-1].copy())
            np.maximum(peaks[k][: -1 << k], peaks[k][1 << k :], out=peaks[-1][: -1 << k])
        best = excess[STATE_MIN:].copy()
        for f, (gain, to) in zip(FREQUENCIES, ways, strict=True):
            k = (257 - f).bit_length() - 1
            reached = np.maximum(peaks[k][to], peaks[k][to + 257 - f - (1 << k)])
            np.maximum(best, gain + reached, out=best)
        if (best == excess[STATE_MIN:]).all():
            return int(excess[STATE_MIN])
        excess[STATE_MIN:] = best
    return None


def test_no_sequence_of_tokens_puts_out_more_than_its_price() -> None:
    assert largest_excess(PRICE_MARGIN) == 0


def test_a_smaller_margin_would_not_do() -> None:
    assert largest_excess(PRICE_MARGIN - 1) is None


@pytest.mark.parametrize("high", [15, 30])
def test_symbols_that_take_turns_cost_more_than_they_are_worth_but_not_more_than_the_price(
    high: int,
) -> None:
    # Token 0 leads each state from 495 to 4111, token `high` puts a byte out and leads it back.
    frequencies = [30] + [1] * (high - 1) + [16]
    frequencies[1] += 255 - sum(frequencies)
    frequencies += [0] * (31 - len(frequencies)) + [1]
    tables = Tables(bytes(512), bytes(frequencies))
    config = FrameConfig(
        8, 1, 8000, transform=Transform.BYPASS, coder=Coder.RANS, step=64, tables=tables.id
    )
    model = rans.model_of(tables)
    turns = list(islice(cycle([0] * STATE_SETS + [high] * STATE_SETS), config.width))
    symbols = np.repeat(np.array(turns, np.uint8)[:, None], 8, axis=1)
    found = rans.tokens_of(symbols, rans.layout_of(config, config.width), model)
    states, data = rans.encode(found, model)
    worth = sum(8 - log2(frequencies[token]) for token in (0, high)) / 2 / 8 * symbols.size
    assert 1.12 * worth < len(data) <= found.price_bytes - 2 * states.size - 8


def test_no_state_gives_more_symbols_for_a_byte_than_a_reader_expects() -> None:
    # The smallest step of a state is that of token 0 with a frequency of 255, wherever it stands.
    smallest = STATES // 255 * 256 + STATES % 255
    for f in FREQUENCIES:
        assert (STATES // f * 256 + STATES % f >= smallest).all()
    assert (np.diff(smallest) > 0).all()
    x, steps = STATE_MIN, 0
    while x < 255 * STATE_MIN:
        x, steps = x + x // 255, steps + 1
    assert steps + 1 == SYMBOLS_PER_BYTE


def test_a_tile_with_as_few_bytes_as_symbols_allow_is_decoded() -> None:
    tables = Tables(bytes(512), bytes([255] + [0] * 30 + [1]))
    # Not a byte beside the states, and as few bytes as there can be.
    for width in (15_000, 15_620, 65_535):
        config = FrameConfig(
            8, 1, width, tile_cols=width, transform=Transform.BYPASS, coder=Coder.RANS,
            burst_log2=3, step=64, tables=tables.id,
        )  # fmt: skip
        values = np.zeros((8, 1, width), np.uint8)
        frame = encode(values, config, Coding(tables))
        assert parse_head(frame).modes.tolist() == [TileMode.CODED]
        assert len(frame) < config.head_bytes + 168 + 8 * width / 1500
        assert (decode(frame, tables) == 0).all()
