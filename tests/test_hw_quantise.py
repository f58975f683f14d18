"""Quantiser and dequantiser against the arithmetic of the format."""

import random

import numpy as np
import pytest
from tests.stream_bench import join, pipeline, split

from fmzip.format import STEP_MAX, STEP_MIN, FrameConfig, multiplier
from fmzip.reference.quantise import dequantise, quantise
from fmzip_hw.dct import COEFFICIENT_BITS
from fmzip_hw.quantise import DECODED_BITS, SYMBOL_BITS, Dequantiser, Quantiser

STEPS = (STEP_MIN, 129, 724, 4096, 30001, STEP_MAX)


@pytest.mark.parametrize("step", STEPS)
def test_symbols_equal_the_reference(step: int) -> None:
    generator = random.Random(step)
    top = 130_560
    ties = [k * step // 2 + d for k in range(-6, 7) for d in (-1, 0, 1)]
    values = [-top, top, 0, 1, -1, *(t for t in ties if abs(t) <= top)]
    values += [generator.randint(-top, top) for _ in range(300)]
    values += [0] * (len(values) % 2)
    got = pipeline(
        Quantiser(2),
        [{"i": join(values[k : k + 2], COEFFICIENT_BITS)} for k in range(0, len(values), 2)],
        ["o"],
        Quantiser.latency,
        {"multiplier": multiplier(step)},
    )
    symbols = [s for (out,) in got for s in split(out, SYMBOL_BITS, 2)]
    assert symbols == quantise(np.array(values, np.int32), step).tolist()


@pytest.mark.parametrize("step", STEPS)
def test_coefficients_equal_the_reference_and_are_clamped(step: int) -> None:
    symbols = [*range(-1024, 1025, 3), -1023, 1023, 1024, 0, 1, -1]
    symbols += [0] * (len(symbols) % 2)
    head = int.from_bytes(FrameConfig(8, 1, 1, step=step).static_head(), "little")
    got = pipeline(
        Dequantiser(2),
        [{"i": join(symbols[k : k + 2], DECODED_BITS)} for k in range(0, len(symbols), 2)],
        ["o"],
        Dequantiser.latency,
        {"head": head},
    )
    coefficients = [c for (out,) in got for c in split(out, 13, 2)]
    assert coefficients == dequantise(np.array(symbols, np.int16), step).tolist()
