"""Memories: latency, enables, and the FIFO under every pair of stall patterns."""

import pytest
from tests.stream_bench import PATTERNS, SHY, run, simulate

from fmzip_hw.memory import BlockFifo, BlockRam


def test_block_ram_returns_a_word_two_cycles_after_its_address() -> None:
    dut = BlockRam(9, 64)

    async def bench(ctx):
        ctx.set(dut.w_en, 1)
        for k in range(64):
            ctx.set(dut.w_addr, k)
            ctx.set(dut.w_data, 7 * k % 512)
            await ctx.tick()
        ctx.set(dut.w_en, 0)
        ctx.set(dut.r_en, 1)
        ctx.set(dut.r_next, 1)
        read = []
        for k in [*range(64), 0, 0]:
            ctx.set(dut.r_addr, k)
            _, _, word = await ctx.tick().sample(dut.r_data)
            read.append(word)
        assert read[BlockRam.latency :] == [7 * k % 512 for k in range(64)]

    simulate(dut, bench)


def test_block_ram_holds_its_output_while_the_enables_are_low() -> None:
    dut = BlockRam(8, 16)

    async def bench(ctx):
        ctx.set(dut.w_en, 1)
        for k in range(16):
            ctx.set(dut.w_addr, k)
            ctx.set(dut.w_data, k + 100)
            await ctx.tick()
        ctx.set(dut.w_en, 0)
        for name, value in (("r_en", 1), ("r_next", 1), ("r_addr", 3)):
            ctx.set(getattr(dut, name), value)
        await ctx.tick()
        ctx.set(dut.r_en, 0)
        ctx.set(dut.r_addr, 5)
        await ctx.tick()
        ctx.set(dut.r_next, 0)
        await ctx.tick().repeat(3)
        assert ctx.get(dut.r_data) == 103

    simulate(dut, bench)


@pytest.mark.parametrize("drain", [*PATTERNS, SHY])
def test_fifo_keeps_order_and_loses_nothing(drain: str) -> None:
    for feed in PATTERNS:
        items = [(37 * k) % 251 for k in range(200)]
        seen = run(BlockFifo(8, 16), items, len(items), feed=feed, drain=drain, quiet=8)
        assert seen.taken == items, f"feed {feed}, drain {drain}"


def test_fifo_passes_one_item_per_cycle_after_its_latency() -> None:
    seen = run(BlockFifo(8, 16), list(range(100)), 100)
    assert {b - a for a, b in zip(seen.fed_at, seen.taken_at, strict=True)} == {BlockFifo.latency}
    assert seen.fed_at == list(range(100))


def test_fifo_holds_its_depth() -> None:
    seen = run(BlockFifo(8, 16), list(range(16)), 0, drain=None, deadline=60)
    assert len(seen.fed_at) == 16
