"""Engines of the coder GF2 against the reference: planes, values, cycles, the stream contract."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from tests.gf2_cases import random_layer
from tests.stream_bench import simulate, transfer

from fmzip.gf2 import BinaryLayer, Rule
from fmzip.projection import Affine
from fmzip.reference import gf2
from fmzip_hw.gf2 import PART_BITS, WORD_PLANES, LayerEngine, SumEngine

STALLS = (("never", "never"), ("random", "random"), ("bursts", "rare"))


async def put(ctx: Any, dut: Any, words: Sequence[tuple[int, int, int]]) -> None:
    for kind, address, word in words:
        fields = {"en": 1, "kind": kind, "address": address, "data": word}
        ctx.set(dut.write, fields)
        await ctx.tick()
    ctx.set(dut.write.en, 0)
    await ctx.tick().repeat(3)


def layer_words(layer: BinaryLayer, rows: int) -> list[tuple[int, int, int]]:
    """What is written for a layer, see ``LayerEngine``."""
    outputs, inputs = layer.weights.shape
    words, passes = -(-inputs // WORD_PLANES), -(-outputs // rows)
    padded = np.zeros((passes * rows, words * WORD_PLANES), np.int8)
    padded[:outputs, :inputs] = layer.weights
    found = []
    for p in range(passes):
        for w in range(words):
            for r in range(rows):
                own = padded[p * rows + r, w * WORD_PLANES : (w + 1) * WORD_PLANES]
                for part in range(4):
                    half = own[PART_BITS * (part & 1) :][:PART_BITS]
                    sign = 1 if part < 2 else -1
                    word = int(sum(1 << k for k in np.flatnonzero(half == sign)))
                    found.append((0, ((p * words + w) * rows + r) * 4 + part, word))
    found += [(1, k, int(t) & 0xFFFF) for k, t in enumerate(layer.thresholds)]
    return found


def sum_words(sums: Affine, lanes: int) -> list[tuple[int, int, int]]:
    """What is written for integers and offsets, see ``SumEngine``."""
    values, stored = sums.matrix.shape
    integers = np.zeros((values, -(-stored // lanes) * lanes), np.int64)
    integers[:, :stored] = sums.matrix
    pairs = integers.reshape(-1, 2) & 0xFFF
    table = [(0, k, int(a | b << 16)) for k, (a, b) in enumerate(pairs.tolist())]
    return table + [(1, v, int(o) & 0xFFFFFFFF) for v, o in enumerate(sums.offset.tolist())]


def words_of(planes: np.ndarray, width: int) -> list[int]:
    """Planes [positions, n] as words of a stream."""
    count = -(-planes.shape[1] // width)
    padded = np.zeros((len(planes), count * width), np.uint8)
    padded[:, : planes.shape[1]] = planes
    rows = padded.reshape(-1, width)
    return [int("".join(map(str, row[::-1])), 2) for row in rows.tolist()]


@pytest.mark.parametrize(("feed", "drain"), STALLS)
@pytest.mark.parametrize("rule", [Rule.POPCOUNT, Rule.XOR])
def test_planes_of_a_layer_are_the_reference_s(rule: Rule, feed: str, drain: str) -> None:
    rng = np.random.default_rng(rule)
    rows, inputs, outputs, positions = 4, 150, 22, 12
    layer = random_layer(rng, rule, outputs, inputs)
    planes = rng.integers(0, 2, (positions, inputs), np.uint8)
    packed = np.packbits(planes, axis=1, bitorder="little")
    made = gf2.unpacked(gf2.through(layer, packed), outputs)
    words, passes = 3, 6
    dut = LayerEngine(rows, 256, 32)

    async def bench(ctx: Any) -> None:
        await put(ctx, dut, layer_words(layer, rows))
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
    dut = SumEngine(lanes, 64, 8)

    async def bench(ctx: Any) -> None:
        await put(ctx, dut, sum_words(sums, lanes))
        ctx.set(dut.shift, shift)
        ctx.set(dut.words, words - 1)
        ctx.set(dut.passes, values - 1)
        seen = await transfer(
            ctx, dut, words_of(planes, lanes), values * positions, feed=feed, drain=drain, quiet=20
        )
        assert seen.taken == expected.ravel().tolist()
        if feed == drain == "never":
            assert np.diff(seen.taken_at).tolist() == [words] * (values * positions - 1)

    simulate(dut, bench)
