"""The transforms against plain products with the matrix of the format."""

import random

from tests.stream_bench import join, pipeline, split

from fmzip.format import DCT8, INVERSE_SHIFT
from fmzip_hw.dct import COEFFICIENT_BITS, RESULT_BITS, VALUE_BITS, ForwardDct, InverseDct


def blocks(low: int, high: int, seed: int) -> list[list[int]]:
    """Extremes that no sum can exceed (each row's signs), and random blocks."""
    extremes = [[high if w > 0 else low for w in row] for row in DCT8]
    extremes += [[low if w > 0 else high for w in row] for row in DCT8]
    columns = [list(column) for column in zip(*DCT8, strict=True)]
    extremes += [[high if w > 0 else low for w in column] for column in columns]
    extremes += [[low if w > 0 else high for w in column] for column in columns]
    generator = random.Random(seed)
    return [*extremes, *([generator.randint(low, high) for _ in range(8)] for _ in range(400))]


def test_forward_is_the_product_with_the_matrix() -> None:
    inputs = blocks(-255, 255, seed=1)
    got = pipeline(
        ForwardDct(), [{"i": join(b, VALUE_BITS)} for b in inputs], ["o"], ForwardDct.latency
    )
    for block, (out,) in zip(inputs, got, strict=True):
        expected = [sum(w * v for w, v in zip(row, block, strict=True)) for row in DCT8]
        assert split(out, COEFFICIENT_BITS, 8) == expected, block


def test_inverse_is_the_rounded_product_plus_the_zero_point() -> None:
    inputs = blocks(-4096, 4095, seed=2)
    for zero in (0, 255, 100):
        got = pipeline(
            InverseDct(),
            [{"i": join(b, 13)} for b in inputs],
            ["o"],
            InverseDct.latency,
            {"zero": zero},
        )
        for block, (out,) in zip(inputs, got, strict=True):
            sums = [sum(DCT8[k][j] * block[k] for k in range(8)) for j in range(8)]
            expected = [(s + (1 << INVERSE_SHIFT - 1) >> INVERSE_SHIFT) + zero for s in sums]
            assert split(out, RESULT_BITS, 8) == expected, block
