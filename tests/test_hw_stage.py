"""The stage: beats from the host to the codec and back, a piece at a time."""

import random
from typing import Any

import pytest
from amaranth.hdl import Value
from tests.bus_bench import read, write
from tests.stream_bench import PATTERNS, SHY, simulate, transfer

from fmzip_hw.stage import Stage

DEPTH = 64


async def fill(ctx: Any, dut: Stage, beats: list[int], lanes: int) -> None:
    for k, beat in enumerate(beats):
        for part in range(2):
            await write(ctx, dut.bus, 8 * k + 4 * part, beat >> 32 * part & 0xFFFF_FFFF)


async def load(ctx: Any, dut: Stage, beats: int, *, writing: bool) -> None:
    ctx.set(dut.beats, beats)
    ctx.set(dut.writing, writing)
    ctx.set(dut.load, 1)
    await ctx.tick()
    ctx.set(dut.load, 0)


def beats_of(lanes: int, number: int, seed: int = 1) -> list[int]:
    generator = random.Random(seed)
    return [generator.getrandbits(8 * lanes) for _ in range(number)]


async def drain(ctx: Any, dut: Stage, count: int, pattern: str, quiet: int = 6) -> list[int]:
    """Take beats from ``o``; an offered one must be held, and none may follow the last."""
    got: list[int] = []
    willing_in, offered = PATTERNS["never" if pattern == SHY else pattern](), None
    payload = Value.cast(dut.o.payload)
    for _ in range(4000):
        willing = next(willing_in) and (pattern != SHY or offered is not None)
        ctx.set(dut.o.ready, willing)
        _, _, valid, value = await ctx.tick().sample(dut.o.valid, payload)
        assert offered is None or (valid and value == offered)
        offered = value if valid and not willing else None
        if valid and willing:
            got.append(value)
        if len(got) >= count and not valid:
            quiet -= 1
            if quiet == 0:
                return got
    raise AssertionError(f"{len(got)} of {count} beats")


@pytest.mark.parametrize("pattern", [*PATTERNS, SHY])
@pytest.mark.parametrize("lanes", [2, 4, 8])
def test_a_piece_goes_to_the_encoder_as_the_host_wrote_it(lanes: int, pattern: str) -> None:
    dut = Stage(lanes, DEPTH)

    async def bench(ctx):
        for number in (1, 2, 3, 17, DEPTH):
            beats = beats_of(lanes, number, number)
            await fill(ctx, dut, beats, lanes)
            await load(ctx, dut, number, writing=True)
            assert ctx.get(dut.busy)
            assert await drain(ctx, dut, number, pattern) == beats
            assert not ctx.get(dut.busy)

    simulate(dut, bench)


@pytest.mark.parametrize("feed", PATTERNS)
@pytest.mark.parametrize("lanes", [2, 4, 8])
def test_a_piece_from_the_decoder_is_what_the_host_reads(lanes: int, feed: str) -> None:
    dut = Stage(lanes, DEPTH)

    async def bench(ctx):
        for number in (1, 3, DEPTH):
            beats = beats_of(lanes, number, number)
            await load(ctx, dut, number, writing=False)
            assert ctx.get(dut.busy)
            await transfer(ctx, dut, beats, 0, feed=feed)
            assert not ctx.get(dut.busy)
            ctx.set(dut.i.valid, 1)  # more than the piece is not taken
            await ctx.tick().repeat(3)
            assert not ctx.get(dut.i.ready)
            ctx.set(dut.i.valid, 0)
            for k, beat in enumerate(beats):
                for part in range(-(-lanes // 4)):
                    word = await read(ctx, dut.bus, 8 * k + 4 * part)
                    assert word == beat >> 32 * part & 0xFFFF_FFFF

    simulate(dut, bench)


def test_a_beat_per_cycle_each_way() -> None:
    dut = Stage(8, DEPTH)

    async def bench(ctx):
        beats = beats_of(8, DEPTH)
        await load(ctx, dut, DEPTH, writing=False)
        seen = await transfer(ctx, dut, beats, 0)
        assert seen.fed_at == list(range(DEPTH))
        await load(ctx, dut, DEPTH, writing=True)
        ctx.set(dut.o.ready, 1)
        valid = []
        for _ in range(DEPTH + 4):
            _, _, v = await ctx.tick().sample(dut.o.valid)
            valid.append(v)
        first = valid.index(1)
        assert valid[first : first + DEPTH] == [1] * DEPTH
        assert sum(valid) == DEPTH

    simulate(dut, bench)


def test_what_the_host_writes_reads_back_and_a_moving_piece_is_not_disturbed() -> None:
    dut = Stage(8, DEPTH)

    async def bench(ctx):
        beats = beats_of(8, DEPTH)
        await fill(ctx, dut, beats, 8)
        for k in random.Random(1).sample(range(2 * DEPTH), 40):
            assert await read(ctx, dut.bus, 4 * k) == beats[k // 2] >> 32 * (k % 2) & 0xFFFF_FFFF
        await load(ctx, dut, DEPTH, writing=True)
        for k in range(4):
            await write(ctx, dut.bus, 8 * k, 0)
            await read(ctx, dut.bus, 8 * k)
        assert await drain(ctx, dut, DEPTH, "random") == beats

    simulate(dut, bench)


@pytest.mark.parametrize("writing", [True, False])
@pytest.mark.parametrize("moved", [0, 1, 2, 9])
def test_a_piece_that_is_stopped_leaves_nothing_behind(writing: bool, moved: int) -> None:
    dut = Stage(4, DEPTH)

    async def bench(ctx):
        old, new = beats_of(4, 20, 1), beats_of(4, 10, 2)
        await fill(ctx, dut, old, 4)
        await load(ctx, dut, 20, writing=writing)
        if writing:
            ctx.set(dut.o.ready, 1)
            await ctx.tick().repeat(moved + 1)
            ctx.set(dut.o.ready, 0)
        else:
            await transfer(ctx, dut, old[:moved], 0)
        ctx.set(dut.stop, 1)
        await ctx.tick()
        ctx.set(dut.stop, 0)
        assert not ctx.get(dut.busy)
        ctx.set(dut.o.ready, 1)
        ctx.set(dut.i.valid, 1)
        await ctx.tick().repeat(5)
        assert not ctx.get(dut.o.valid)
        assert not ctx.get(dut.i.ready)
        ctx.set(dut.o.ready, 0)
        ctx.set(dut.i.valid, 0)
        await fill(ctx, dut, new, 4)
        await load(ctx, dut, 10, writing=True)
        assert await drain(ctx, dut, 10, "alternate") == new

    simulate(dut, bench)
