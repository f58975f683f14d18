"""Tables over the bus: every word once, in order, and none before it is written."""

import random

from amaranth.hdl import Value
from amaranth.sim import Simulator
from tests.bus_bench import access, read, write
from tests.rans_bench import random_tables

from fmzip.format import TOKENS, Coder, FrameConfig, Transform
from fmzip.tables import Tables
from fmzip_hw.tablewindow import TableWindow


def expected(tables: Tables) -> dict[str, dict[int, int]]:
    """What the memories hold in the end, by name and address."""
    contexts = dict(enumerate(tables.contexts))
    token, entry, limit = {}, {}, {}
    for k in range(tables.statistics):
        of = tables.frequencies_of(k)
        limit[k] = tables.limit(k)
        start = 0
        for u in range(TOKENS):
            entry[k << 5 | u] = of[u] | (start & 0xFF) << 8
            token |= {k << 8 | slot: u for slot in range(start, start + of[u])}
            start += of[u]
    return {"context": contexts, "token": token, "entry": entry, "limit": limit}


def test_tables_arrive_whole_and_words_that_come_twice_do_no_harm() -> None:
    dut = TableWindow()
    held: dict[str, dict[int, int]] = {}

    async def watch(ctx):
        ports = [Value.cast(getattr(dut.writes, name)) for name in expected(tables)]
        sizes = [len(getattr(dut.writes, name).address) for name in expected(tables)]
        async for _, _, *seen in ctx.tick().sample(*ports):
            for name, bits, size in zip(expected(tables), seen, sizes, strict=True):
                if bits & 1:
                    mask = 0xFFFF if name == "entry" else 0xFFFF_FFFF
                    address = bits >> 1 & (1 << size) - 1
                    held.setdefault(name, {})[address] = bits >> 1 + size & mask

    async def bench(ctx):
        config = FrameConfig(8, 1, 1, transform=Transform.NIBBLES, coder=Coder.RANS)
        ctx.set(Value.cast(dut.head), int.from_bytes(config.static_head(), "little"))
        await ctx.tick()
        for n in range(0, 64, 4):  # an attempt that is given up
            await write(ctx, dut.bus, n, 0x07070707)
        data = tables.to_bytes()
        for n in range(0, len(data), 4):
            behind = n - len(tables.contexts)
            assert ctx.get(dut.whole) == (behind > 0 and behind % TOKENS == 0)
            word = int.from_bytes(data[n : n + 4], "little")
            _, cycles = await access(ctx, dut.bus, n, word, deadline=1200)
            assert cycles <= 270, "an access takes a few hundred cycles"
            if n % 12 == 0 and n:
                await write(ctx, dut.bus, n, 0x01010101)  # lost: it has been here
                await write(ctx, dut.bus, n + 8, 0x01010101)  # and so is one that is early
        assert ctx.get(dut.whole)
        assert await read(ctx, dut.bus, 0) == 0
        await ctx.tick().repeat(4)
        assert held == expected(tables)

    tables = random_tables(Transform.NIBBLES, random.Random(1), statistics=3)
    sim = Simulator(dut)
    sim.add_clock(1e-8)
    sim.add_testbench(watch, background=True)
    sim.add_testbench(bench)
    sim.run()
