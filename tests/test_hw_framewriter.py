"""The frame writer: what is in memory behind it is the reference's frame."""

import random

import numpy as np
import pytest
from amaranth.hdl import Value
from tests.codec_bench import Case, frame_words, random_case, value_map
from tests.frame_bench import WithIndex, start
from tests.memory_bench import Memory, simulate_with
from tests.stream_bench import PATTERNS

from fmzip.format import Coder, FrameConfig
from fmzip.reference import encode
from fmzip.regs import ROW_BYTES
from fmzip_hw.framewriter import FrameWriter, PortWriter
from fmzip_hw.memport import ROW_WORDS


def _rows(start: int, end: int) -> list[tuple[bool, int, int]]:
    """Requests for the words from ``start`` to ``end``: one per row."""
    out = []
    while start < end:
        stop = min(end, start - start % ROW_WORDS + ROW_WORDS)
        out.append((True, start, stop - start))
        start = stop
    return out


async def _feed(ctx, i, words: list[int], pattern: str) -> None:
    """Feed a stream, with stalls."""
    willing = PATTERNS[pattern]()
    payload = Value.cast(i.payload)
    for word in words:
        while not next(willing):
            await ctx.tick()
        ctx.set(payload, word)
        ctx.set(i.valid, 1)
        await ctx.tick().until(i.ready)
        ctx.set(i.valid, 0)


@pytest.mark.parametrize("stalls", ["never", "random", "bursts", "rare"])
@pytest.mark.parametrize("feed", ["never", "random"])
def test_port_writer_writes_whole_rows_and_the_rest_when_it_is_told(feed: str, stalls: str) -> None:
    dut = PortWriter()
    memory = Memory(dut.port, stalls=stalls)
    generator = random.Random(1)

    async def bench(ctx):
        for address, count in ((0, 1), (5, 3), (ROW_WORDS - 1, 2), (1000, 300), (4096, ROW_WORDS)):
            memory.words.clear()
            memory.requests.clear()
            ctx.set(dut.address, address)
            ctx.set(dut.load, 1)
            await ctx.tick()
            ctx.set(dut.load, 0)
            data = [generator.getrandbits(64) for _ in range(count)]
            await _feed(ctx, dut.i, data, feed)
            ctx.set(dut.flush, 1)
            await ctx.tick().until(dut.empty)
            ctx.set(dut.flush, 0)
            await ctx.tick()
            assert memory.words == dict(enumerate(data, address))
            assert memory.requests == _rows(address, address + count)

    simulate_with(dut, bench, memory.serve)


async def _check(ctx, dut: FrameWriter, memory: Memory, case: Case, base: int, feed: str) -> None:
    memory.words.clear()
    memory.requests.clear()
    frame = encode(case.values, case.config)
    await start(ctx, dut, case.config, base)
    await _feed(ctx, dut.i, frame_words(case, 8), feed)
    await ctx.tick().until(dut.done)
    await ctx.tick()
    assert 8 * ctx.get(dut.words) == len(frame), case
    assert memory.bytes(base, len(frame)) == frame, case
    assert len(memory.words) == len(frame) // 8, "something else was written"
    tiles = base + case.config.head_bytes // 8
    asked = [*_rows(tiles, base + len(frame) // 8), *_rows(base, tiles)]
    assert memory.requests == asked, case


@pytest.mark.parametrize("stalls", ["never", "random", "bursts", "rare"])
def test_frame_after_frame_in_memory_equals_the_reference(stalls: str) -> None:
    dut = FrameWriter()
    memory = Memory(dut.port, stalls=stalls)

    async def bench(ctx):
        for seed in range(10):
            generator = random.Random(f"{seed} {stalls}")
            base = generator.randrange(1000) * ROW_BYTES // 8
            feed = generator.choice(["never", "random", "alternate", "bursts"])
            await _check(ctx, dut, memory, random_case(6000 + seed), base, feed)

    simulate_with(WithIndex(dut), bench, memory.serve)


@pytest.mark.parametrize("burst_log2", range(3, 9))
def test_every_burst_size_and_head_size_fits(burst_log2: int) -> None:
    dut = FrameWriter()
    memory = Memory(dut.port, stalls="random")

    async def bench(ctx):
        for tiles in (1, 2, 3, 7, 8, 9):
            config = FrameConfig(
                9, 1, 3 * tiles, tile_cols=3, burst_log2=burst_log2, coder=Coder.BITMAP
            )
            values = value_map(config, "mixed", np.random.default_rng(tiles))
            await _check(ctx, dut, memory, Case("mixed", config, values), 128, "never")

    simulate_with(WithIndex(dut), bench, memory.serve)


@pytest.mark.parametrize("tiles", [1023, 1024])
def test_the_index_may_be_as_long_as_the_board_allows(tiles: int) -> None:
    dut = FrameWriter()
    memory = Memory(dut.port)
    config = FrameConfig(8, 1, tiles, burst_log2=3)
    case = Case("mixed", config, value_map(config, "mixed", np.random.default_rng(1)))

    async def bench(ctx):
        await _check(ctx, dut, memory, case, 0, "never")

    simulate_with(WithIndex(dut), bench, memory.serve)


def test_it_takes_a_word_per_cycle_while_the_memory_does() -> None:
    dut = FrameWriter()
    memory = Memory(dut.port, latency=0)
    config = FrameConfig(64, 2, 40, tile_cols=40, step=128)
    case = Case("random", config, value_map(config, "random", np.random.default_rng(1)))

    async def bench(ctx):
        await start(ctx, dut, config, 0)
        for word in frame_words(case, 8):
            ctx.set(Value.cast(dut.i.payload), word)
            ctx.set(dut.i.valid, 1)
            _, _, ready = await ctx.tick().sample(dut.i.ready)
            assert ready

    simulate_with(WithIndex(dut), bench, memory.serve)
