"""Engines of the coder GF2 against the reference: planes, values, cycles, the stream contract."""

from typing import Any

import numpy as np
import pytest
from tests.gf2_cases import random_layer
from tests.plane_words import put
from tests.stream_bench import simulate, transfer

from fmzip import planeload
from fmzip.gf2 import PlaneEncoder, PlaneTables, Rule
from fmzip.projection import Affine
from fmzip.reference import gf2
from fmzip_hw.gf2 import WORD_PLANES, LayerEngine, SumEngine

STALLS = (("never", "never"), ("random", "random"), ("bursts", "rare"))


def words_of(planes: np.ndarray, width: int) -> list[int]:
    """Planes [positions, n] as words of a stream."""
    count = -(-planes.shape[1] // width)
    padded = np.zeros((len(planes), count * width), np.uint8)
    padded[:, : planes.shape[1]] = planes
    rows = padded.reshape(-1, width)
    return [int("".join(map(str, row[::-1])), 2) for row in rows.tolist()]


@pytest.mark.parametrize(
    ("rule", "feed", "drain"),
    [(Rule.POPCOUNT, "never", "never"), (Rule.XOR, "never", "never"), (Rule.XOR, "bursts", "rare")],
)
def test_planes_of_a_layer_are_the_reference_s(rule: Rule, feed: str, drain: str) -> None:
    rng = np.random.default_rng(rule)
    rows, values, outputs, positions = 8, 19, 22, 6
    inputs = 8 * values
    layer = random_layer(rng, rule, outputs, inputs)
    planes = rng.integers(0, 2, (positions, inputs), np.uint8)
    packed = np.packbits(planes, axis=1, bitorder="little")
    made = gf2.unpacked(gf2.through(layer, packed), outputs)
    encoder = PlaneEncoder(np.zeros(values), np.zeros(values), layer)
    words, passes = 3, 3
    dut = LayerEngine(rows, 256, 32)

    async def bench(ctx: Any) -> None:
        await put(ctx, dut, planeload.encoder_words(encoder, values))
        ctx.set(dut.xor, rule == Rule.XOR)
        ctx.set(dut.words, words - 1)
        ctx.set(dut.passes, passes - 1)
        seen = await transfer(
            ctx, dut, words_of(planes, WORD_PLANES), passes * positions, feed=feed, drain=drain,
            quiet=20,
        )  # fmt: skip
        found = [[word >> k & 1 for word in seen.taken[p * passes : (p + 1) * passes]
                  for k in range(rows)][:outputs] for p in range(positions)]  # fmt: skip
        np.testing.assert_array_equal(found, made)
        if feed == drain == "never":
            # A result each ``words`` cycles from the first to the last one: no gap anywhere.
            assert np.diff(seen.taken_at).tolist() == [words] * (passes * positions - 1)

    simulate(dut, bench)


@pytest.mark.parametrize(("feed", "drain"), STALLS)
def test_values_of_planes_are_the_reference_s(feed: str, drain: str) -> None:
    rng = np.random.default_rng(5)
    lanes, stored, values, positions, shift = 8, 37, 6, 9, 3
    sums = Affine(
        rng.integers(-900, 900, (values, stored)), rng.integers(-999, 3000, values), shift
    )
    sums.matrix[0] = -2048  # clamped on both sides
    sums.matrix[1] = 2047
    planes = rng.integers(0, 2, (positions, stored), np.uint8)
    expected = np.clip((planes @ sums.matrix.T.astype(int) + sums.offset) >> shift, 0, 255)
    words = 5
    expected = np.pad(expected, ((0, 0), (0, 2)))  # two values that are nothing
    dut = SumEngine(lanes, 64, 8)

    async def bench(ctx: Any) -> None:
        await put(ctx, dut, planeload.decoder_words(PlaneTables(stored, sums), values, lanes))
        ctx.set(dut.shift, shift)
        ctx.set(dut.words, words - 1)
        ctx.set(dut.passes, 7)
        seen = await transfer(
            ctx, dut, words_of(planes, lanes), 8 * positions, feed=feed, drain=drain, quiet=20
        )
        assert seen.taken == expected.ravel().tolist()
        if feed == drain == "never":
            assert np.diff(seen.taken_at).tolist() == [words] * (8 * positions - 1)

    simulate(dut, bench)
