"""States of the rANS encoder against the two lines of the format that advance them."""

import random

import numpy as np
import pytest
from amaranth.hdl import Value
from tests.stream_bench import join, simulate, split

from fmzip.format import STATE_MIN, STATE_SETS
from fmzip_hw.ransstate import QUOTIENT_SHIFTS, DivisorLayout, RansStates, reciprocal


@pytest.mark.parametrize("first", range(1, 256, 51))
def test_the_product_is_the_quotient_of_every_state_and_frequency(first: int) -> None:
    for frequency in range(first, first + 51):
        select, factor = reciprocal(frequency)
        assert factor < 1 << 18
        state = np.arange(256 * frequency, dtype=np.uint64)
        quotient = (state * np.uint64(factor)) >> np.uint64(QUOTIENT_SHIFTS[select][0])
        assert np.array_equal(quotient, state // np.uint64(frequency))


@pytest.mark.parametrize("frequency", [0, 256])
def test_other_frequencies_have_no_reciprocal(frequency: int) -> None:
    with pytest.raises(ValueError, match="frequency must be 1 to 255"):
        reciprocal(frequency)


def divisor_of(frequency: int, cumulative: int) -> int:
    select, factor = reciprocal(frequency)
    return DivisorLayout.const({
        "frequency": frequency, "start": cumulative, "select": select, "reciprocal": factor,
    }).as_bits()  # fmt: skip


@pytest.mark.parametrize(("chance", "lanes"), [(1.0, 8), (0.7, 8), (1.0, 4), (1.0, 2)])
def test_states_advance_and_put_out_bytes_as_the_format_says(chance: float, lanes: int) -> None:
    choice = random.Random(1)
    dut = RansStates(lanes)
    sets = STATE_SETS * 8 // lanes

    async def bench(ctx):
        states = [[STATE_MIN] * lanes for _ in range(sets)]
        expected, slots = [], 0
        for n in range(1500):
            fresh = slots < sets or choice.random() < 0.002
            taken = choice.random() < chance  # else the states are only read
            low = choice.choice([1, 1, 100, 255])
            symbols = []
            for _ in range(lanes):
                frequency = min(choice.choice([1, low, choice.randint(1, 255)]), 255)
                symbols.append((frequency, choice.randint(0, 256 - frequency) & 255))
            ctx.set(dut.set, slots % sets)
            ctx.set(dut.valid, taken)
            ctx.set(dut.fresh, fresh)
            divisors = join([divisor_of(*s) for s in symbols], DivisorLayout.size)
            ctx.set(Value.cast(dut.divisors), divisors)
            _, _, put, seen = await ctx.tick().sample(dut.put, Value.cast(dut.states))
            at = slots % sets
            old = [STATE_MIN] * lanes if fresh else states[at]
            puts = [taken and x >= 256 * f for x, (f, _) in zip(old, symbols, strict=True)]
            expected.append((join(puts, 1), old))
            if n >= RansStates.latency:
                assert (put, split(seen, 16, lanes, signed=False)) == expected[n - 2], (
                    f"slot {n - 2}"
                )
            if taken:
                lesser = [x >> 8 if p else x for x, p in zip(old, puts, strict=True)]
                states[at] = [
                    256 * (x // f) + x % f + cumulative
                    for x, (f, cumulative) in zip(lesser, symbols, strict=True)
                ]
                assert all(256 <= x < 65536 for x in states[at])
                slots += 1

    simulate(dut, bench)
