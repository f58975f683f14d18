"""The counters: nothing lost, nothing counted twice, and one instant in every snapshot."""

import random

import pytest
from tests.stream_bench import simulate

from fmzip.regs import COUNTER_BITS, COUNTERS
from fmzip_hw.counters import EVENT_BITS, Counters

NAMES = [name for name, _ in COUNTERS]


def _values(ctx, dut) -> dict[str, int]:
    return {name: ctx.get(getattr(dut.values, name)) for name in NAMES}


@pytest.mark.parametrize("clear_too", [False, True])
def test_snapshots_and_clears_lose_and_double_no_event(clear_too: bool) -> None:
    dut, generator = Counters(), random.Random(1)

    async def bench(ctx):
        given = dict.fromkeys(NAMES, 0)
        seen = dict.fromkeys(NAMES, 0)
        for _ in range(60):
            for _ in range(generator.randrange(4)):
                for name in NAMES:
                    amount = generator.choice([0, 1, generator.getrandbits(EVENT_BITS)])
                    ctx.set(getattr(dut.events, name), amount)
                    given[name] += amount
                await ctx.tick()
            if generator.random() < 0.5:  # else the snapshot falls among events
                for name in NAMES:
                    ctx.set(getattr(dut.events, name), 0)
            else:
                for name in NAMES:
                    given[name] += ctx.get(getattr(dut.events, name))
            ctx.set(dut.snapshot, 1)
            ctx.set(dut.clear, clear_too)
            await ctx.tick()
            ctx.set(dut.snapshot, 0)
            ctx.set(dut.clear, 0)
            for name in NAMES:
                ctx.set(getattr(dut.events, name), 0)
            if clear_too:
                seen = {name: seen[name] + v for name, v in _values(ctx, dut).items()}
        await ctx.tick().repeat(2)
        ctx.set(dut.snapshot, 1)
        await ctx.tick()
        last = _values(ctx, dut)
        assert {n: seen[n] + last[n] for n in NAMES} == given
        assert not ctx.get(dut.overflow)

    simulate(dut, bench)


def test_a_snapshot_is_of_one_cycle_and_stays() -> None:
    dut = Counters()

    async def bench(ctx):
        for name in NAMES:
            ctx.set(getattr(dut.events, name), 1)
        for wait in (7, 1, 2, 30):
            await ctx.tick().repeat(wait)
            ctx.set(dut.snapshot, 1)
            await ctx.tick()
            ctx.set(dut.snapshot, 0)
            first = _values(ctx, dut)
            assert len(set(first.values())) == 1
            await ctx.tick().repeat(5)
            assert _values(ctx, dut) == first

    simulate(dut, bench)


def test_a_clear_without_a_snapshot_leaves_the_values() -> None:
    dut = Counters()

    async def bench(ctx):
        ctx.set(dut.events.cycles, 5)
        await ctx.tick()
        ctx.set(dut.events.cycles, 0)
        await ctx.tick().repeat(2)
        for snapshot, clear, value in ((1, 0, 5), (0, 1, 5), (1, 0, 0)):
            ctx.set(dut.snapshot, snapshot)
            ctx.set(dut.clear, clear)
            await ctx.tick()
            assert ctx.get(dut.values.cycles) == value

    simulate(dut, bench)


def test_a_counter_saturates_says_so_and_goes_on_after_a_clear(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # So narrow that the end can be reached in a simulation.
    monkeypatch.setattr("fmzip_hw.counters.COUNTER_BITS", 12)
    dut, end = Counters(), (1 << 12) - 1

    async def snapshot(ctx, clear: int = 0) -> int:
        ctx.set(dut.snapshot, 1)
        ctx.set(dut.clear, clear)
        await ctx.tick()
        ctx.set(dut.snapshot, 0)
        ctx.set(dut.clear, 0)
        return ctx.get(dut.values.read_bytes)

    async def bench(ctx):
        # Exactly to the end is no overflow.
        for amount in (2047, 2047, 1):
            ctx.set(dut.events.read_bytes, amount)
            await ctx.tick()
        ctx.set(dut.events.read_bytes, 0)
        await ctx.tick().repeat(2)
        assert await snapshot(ctx) == end
        assert not ctx.get(dut.overflow)
        ctx.set(dut.events.read_bytes, 3)
        await ctx.tick()
        ctx.set(dut.events.read_bytes, 0)
        await ctx.tick().repeat(9)
        assert await snapshot(ctx) == end
        assert ctx.get(dut.overflow), "overflow is kept"
        assert await snapshot(ctx, clear=1) == end
        assert not ctx.get(dut.overflow)
        assert await snapshot(ctx) == 0

    simulate(dut, bench)


def test_counters_are_wide_enough_for_a_day_at_full_rate() -> None:
    assert 1 << COUNTER_BITS > 86_400 * 100_000_000 * 8


def test_an_event_is_counted_two_cycles_later() -> None:
    dut = Counters()

    async def bench(ctx):
        ctx.set(dut.events.cycles, 1)
        ctx.set(dut.snapshot, 1)
        seen = []
        for _ in range(5):
            await ctx.tick()
            seen.append(ctx.get(dut.values.cycles))
        assert seen == [0, 0, 1, 2, 3]

    simulate(dut, bench)
