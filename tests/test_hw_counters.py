"""The counters: nothing lost, nothing counted twice, and one instant in every snapshot."""

import random
from typing import Any

import pytest
from tests.stream_bench import simulate

from fmzip.regs import COUNTER_BITS, COUNTERS, Count
from fmzip_hw.counters import PERIOD, Counters

SUMS = [c for c in COUNTERS if c.kind is Count.SUM]
EXTREMES = [c for c in COUNTERS if c.kind is not Count.SUM]


async def _free(ctx: Any, dut: Counters, given: "_Given | None" = None) -> None:
    """Until a strobe may be given; events go on."""
    while True:
        held = ctx.get(dut.hold)
        if given is not None:
            given.change(ctx, dut)
        await ctx.tick()
        if not held:
            return


async def _values(ctx: Any, dut: Counters) -> dict[str, int]:
    while ctx.get(dut.hold):
        await ctx.tick()
    seen = {}
    for k, counter in enumerate(COUNTERS):
        ctx.set(dut.address, k)
        await ctx.tick().repeat(2)
        seen[counter.name] = ctx.get(dut.value)
    return seen


async def _strobe(ctx: Any, dut: Counters, *, snapshot: int = 1, clear: int = 0) -> None:
    ctx.set(dut.snapshot, snapshot)
    ctx.set(dut.clear, clear)
    await ctx.tick()
    ctx.set(dut.snapshot, 0)
    ctx.set(dut.clear, 0)


class _Given:
    """Random events, and what they come to."""

    def __init__(self, seed: int):
        self._generator = random.Random(seed)
        self.cycles: list[dict[str, int]] = []

    def change(self, ctx: Any, dut: Counters, *, silent: bool = False) -> None:
        now = {}
        for counter in COUNTERS:
            few = self._generator.choice([0, 1, counter.most])
            amount = 0 if silent else min(few, counter.most)
            ctx.set(getattr(dut.events, counter.name), amount)
            now[counter.name] = amount
        self.cycles.append(now)

    def of(self, start: int, end: int) -> dict[str, int]:
        """What cycles from ``start`` to ``end`` count to."""
        found = {}
        for counter in COUNTERS:
            amounts = [now[counter.name] for now in self.cycles[start:end] if now[counter.name]]
            fold = {Count.SUM: sum, Count.MIN: min, Count.MAX: max}[counter.kind]
            found[counter.name] = fold(amounts) if amounts else 0
        return found


@pytest.mark.parametrize("clear", [0, 1])
def test_snapshots_and_clears_lose_and_double_no_event(clear: int) -> None:
    dut, given, generator = Counters(), _Given(1), random.Random(2)

    async def bench(ctx):
        start = 0
        for _ in range(7):
            for _ in range(generator.randrange(2 * PERIOD)):
                given.change(ctx, dut)
                await ctx.tick()
            await _free(ctx, dut, given)
            given.change(ctx, dut)
            await _strobe(ctx, dut, clear=clear)
            # Events are counted a cycle after they are given.
            end = len(given.cycles) - 1
            for _ in range(PERIOD // 2):
                given.change(ctx, dut)
                await ctx.tick()
            given.change(ctx, dut, silent=True)
            assert await _values(ctx, dut) == given.of(start, end)
            start = end if clear else 0
            # The cycles in which the values were read, without events.
            given.cycles += [dict.fromkeys(given.cycles[0], 0)] * 4

    simulate(dut, bench)


@pytest.mark.parametrize("late", [0, 1])
def test_a_strobe_beside_the_copy_of_a_period_is_one_strobe(late: int) -> None:
    dut = Counters()

    async def bench(ctx):
        for wait in range(PERIOD - 10, PERIOD + 2):
            await _free(ctx, dut)
            await _strobe(ctx, dut, clear=1)  # the period begins anew
            for counter in COUNTERS:
                ctx.set(getattr(dut.events, counter.name), 1)
            await ctx.tick().repeat(10)
            for counter in COUNTERS:
                ctx.set(getattr(dut.events, counter.name), 0)
            await ctx.tick().repeat(wait - 10)
            await _free(ctx, dut)
            for _ in range(late):
                await ctx.tick()
            await _strobe(ctx, dut, clear=1)
            seen = await _values(ctx, dut)
            assert {c.name: seen[c.name] for c in SUMS} == {c.name: 10 for c in SUMS}, wait
            await _free(ctx, dut)
            await _strobe(ctx, dut, clear=1)
            assert not any((await _values(ctx, dut)).values()), wait

    simulate(dut, bench)


def test_counters_at_full_rate_lose_nothing_between_two_copies() -> None:
    dut = Counters()

    async def bench(ctx):
        for counter in COUNTERS:
            ctx.set(getattr(dut.events, counter.name), counter.most)
        await ctx.tick().repeat(5 * PERIOD)
        cycles = 5 * PERIOD
        while ctx.get(dut.hold):
            await ctx.tick()
            cycles += 1
        await ctx.tick()
        await _strobe(ctx, dut)
        seen = await _values(ctx, dut)
        cycles += 1  # that behind them; what is given with the strobe is not counted yet
        assert {c.name: seen[c.name] for c in SUMS} == {c.name: c.most * cycles for c in SUMS}
        assert all(seen[c.name] == c.most for c in EXTREMES)

    simulate(dut, bench)


def test_a_snapshot_stays_until_the_next_one() -> None:
    dut = Counters()

    async def bench(ctx):
        for counter in COUNTERS:
            ctx.set(getattr(dut.events, counter.name), 1)
        await ctx.tick().repeat(50)
        await _strobe(ctx, dut)
        first = await _values(ctx, dut)
        assert len({first[c.name] for c in SUMS}) == 1
        await ctx.tick().repeat(3 * PERIOD)
        assert await _values(ctx, dut) == first

    simulate(dut, bench)


def test_a_clear_without_a_snapshot_leaves_what_was_caught() -> None:
    dut = Counters()

    async def bench(ctx):
        ctx.set(dut.events.pre, 4)
        await ctx.tick()
        ctx.set(dut.events.pre, 0)
        await ctx.tick().repeat(2)
        for snapshot, clear, value in ((1, 0, 4), (0, 1, 4), (1, 0, 0)):
            await _free(ctx, dut)
            await _strobe(ctx, dut, snapshot=snapshot, clear=clear)
            assert (await _values(ctx, dut))["pre"] == value

    simulate(dut, bench)


def test_a_counter_saturates_says_so_and_goes_on_after_a_clear(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # So narrow that the end can be reached in a simulation.
    monkeypatch.setattr("fmzip_hw.counters.COUNTER_BITS", 12)
    dut, end = Counters(), (1 << 12) - 1

    async def add(ctx: Any, total: int) -> None:
        for amount in [64] * (total // 64) + [total % 64]:
            ctx.set(dut.events.codec_bits_in, amount)
            await ctx.tick()
        ctx.set(dut.events.codec_bits_in, 0)
        await ctx.tick().repeat(2)

    async def seen(ctx: Any, clear: int = 0) -> tuple[int, int]:
        await _free(ctx, dut)
        await _strobe(ctx, dut, clear=clear)
        values = await _values(ctx, dut)
        return values["codec_bits_in"], ctx.get(dut.overflow)

    async def bench(ctx):
        await add(ctx, end)  # exactly to the end
        assert await seen(ctx) == (end, 0)
        await add(ctx, 3)
        assert await seen(ctx) == (end, 1)
        assert await seen(ctx, clear=1) == (end, 1), "it is kept until a clear"
        assert await seen(ctx) == (0, 0)
        await add(ctx, 5)
        assert await seen(ctx) == (5, 0)

    simulate(dut, bench)


def test_a_strobe_is_held_back_only_while_counters_are_brought_up_to_date() -> None:
    dut = Counters()

    async def bench(ctx):
        held = 0
        for _ in range(8 * PERIOD):
            held += ctx.get(dut.hold)
            await ctx.tick()
        assert held <= 8 * 64

    simulate(dut, bench)


def test_counters_are_wide_enough_for_a_day_at_full_rate() -> None:
    most = max(c.most for c in SUMS if c.name != "latency")
    assert 86_400 * 50_000_000 * most < 1 << COUNTER_BITS
    # A word comes at least every eight bytes; no request is longer under way than all before it.
    assert 1 << COUNTER_BITS > 86_400 * 100_000_000 * 16
