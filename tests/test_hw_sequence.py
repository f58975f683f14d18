"""Walking over tiles and blocks against ``FrameConfig.iter_tiles``."""

import random

from amaranth.hdl import Value
from tests.stream_bench import simulate

from fmzip.format import BLOCK, FrameConfig
from fmzip_hw.sequence import TileSequencer, TileWalker

CONFIGS = [
    FrameConfig(1, 1, 1),
    FrameConfig(8, 3, 2),
    FrameConfig(20, 5, 7, tile_rows=2, tile_cols=3),
    FrameConfig(16, 4, 4, tile_rows=4, tile_cols=4),
    FrameConfig(9, 6, 5, tile_rows=5, tile_cols=4),
    FrameConfig(64, 1, 9, tile_cols=9),
]


async def begin(ctx, dut, config):
    ctx.set(Value.cast(dut.head), int.from_bytes(config.static_head(), "little"))
    ctx.set(dut.start, 1)
    await ctx.tick()
    ctx.set(dut.start, 0)


def test_walker_visits_the_tiles_in_wire_order() -> None:
    dut = TileWalker()

    async def bench(ctx):
        for config in CONFIGS:
            await begin(ctx, dut, config)
            seen = []
            while not ctx.get(dut.done):
                step = ctx.get(dut.valid)
                if step:
                    seen.append((ctx.get(dut.size.rows), ctx.get(dut.size.cols)))
                ctx.set(dut.step, step)
                await ctx.tick()
                ctx.set(dut.step, 0)
            assert seen == [(t.rows, t.cols) for t in config.iter_tiles()], config

    simulate(dut, bench)


def test_sequencer_tells_partial_and_last_blocks() -> None:
    dut = TileSequencer()

    async def bench(ctx):
        generator = random.Random(1)
        for config in CONFIGS:
            await begin(ctx, dut, config)
            seen = []
            while not ctx.get(dut.done):
                step = ctx.get(dut.valid) and generator.random() < 0.7
                if step:
                    tail = ctx.get(dut.tail) if ctx.get(dut.partial) else BLOCK
                    seen.append((tail, ctx.get(dut.last)))
                ctx.set(dut.step, step)
                ctx.set(dut.hold, generator.random() < 0.3)
                await ctx.tick()
                ctx.set(dut.step, 0)
            expected = []
            for tile in config.iter_tiles():
                pixels = tile.rows * tile.cols
                sizes = [min(BLOCK, config.channels - k) for k in range(0, config.channels, BLOCK)]
                expected += [(size, 0) for size in sizes * pixels]
                expected[-1] = (expected[-1][0], 1)
            assert seen == expected, config

    simulate(dut, bench)


def test_two_cycles_pass_between_tiles() -> None:
    dut = TileSequencer()

    async def bench(ctx):
        await begin(ctx, dut, FrameConfig(8, 4, 3, tile_cols=3))
        ctx.set(dut.step, 0)
        valid = []
        for _ in range(40):
            ctx.set(dut.step, ctx.get(dut.valid))
            valid.append(ctx.get(dut.valid))
            await ctx.tick()
        pattern = "".join(map(str, valid)).strip("0")
        assert pattern == "00".join(["111"] * 4)

    simulate(dut, bench)
