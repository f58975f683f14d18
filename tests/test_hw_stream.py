"""Register slice and credit FIFO."""

import random

import pytest
from tests.stream_bench import PATTERNS, SHY, run, simulate

from fmzip_hw.stream import CreditFifo, Slice


@pytest.mark.parametrize("drain", [*PATTERNS, SHY])
def test_slice_keeps_order_and_loses_nothing(drain: str) -> None:
    for feed in PATTERNS:
        items = [(37 * k) % 251 for k in range(150)]
        seen = run(Slice(8), items, len(items), feed=feed, drain=drain, quiet=4)
        assert seen.taken == items, f"feed {feed}, drain {drain}"


def test_slice_passes_one_item_per_cycle_after_its_latency() -> None:
    seen = run(Slice(8), list(range(50)), 50)
    assert {b - a for a, b in zip(seen.fed_at, seen.taken_at, strict=True)} == {Slice.latency}
    assert seen.fed_at == list(range(50))


def test_slice_holds_two_items() -> None:
    assert len(run(Slice(8), [1, 2], 0, drain=None, deadline=10).fed_at) == 2


@pytest.mark.parametrize("rate", [0.2, 0.6, 1.0])
@pytest.mark.parametrize("delay", [0, 3, 20])
def test_what_has_a_reserved_place_finds_it_however_long_the_pipeline(
    rate: float, delay: int
) -> None:
    dut = CreditFifo(16, 32)

    async def bench(ctx):
        generator = random.Random(1)
        pipe, sent, taken, reserved = [None] * delay, [], [], 0
        for _ in range(1500):
            _, _, valid, payload, ready = await ctx.tick().sample(
                dut.o.valid, dut.o.payload, dut.o.ready
            )
            if valid and ready:
                taken.append(payload)
            reserve = ctx.get(dut.free) and len(sent) + reserved < 400 and generator.random() < 0.9
            ctx.set(dut.reserve, reserve)
            reserved += reserve
            pipe.append(reserve)
            arrived = pipe.pop(0)
            ctx.set(dut.put, bool(arrived))
            if arrived:
                ctx.set(dut.payload, len(sent))
                sent.append(len(sent))
                reserved -= 1
            ctx.set(dut.o.ready, generator.random() < rate)
        assert len(sent) > 100
        assert taken == sent[: len(taken)]
        assert len(sent) - len(taken) <= 32

    simulate(dut, bench)


def test_credit_fifo_offers_what_was_put_after_its_latency() -> None:
    dut = CreditFifo(8, 16)

    async def bench(ctx):
        ctx.set(dut.reserve, 1)
        await ctx.tick()
        ctx.set(dut.reserve, 0)
        ctx.set(dut.put, 1)
        ctx.set(dut.payload, 77)
        await ctx.tick()
        ctx.set(dut.put, 0)
        for cycle in range(1, CreditFifo.latency + 1):
            assert ctx.get(dut.o.valid) == (cycle == CreditFifo.latency)
            if ctx.get(dut.o.valid):
                assert ctx.get(dut.o.payload) == 77
            await ctx.tick()

    simulate(dut, bench)
