"""The decoder of the coder HUFFMAN against the reference: whole frames, damaged ones, its rate."""

import random

import pytest
from amaranth.hdl import ResetInserter, Signal, Value
from tests.codec_bench import frame_words, tile_beats
from tests.huffman_bench import (
    ProjectionCase,
    begin,
    check_decoder,
    load_decoder,
    projection_case,
)
from tests.stream_bench import simulate, transfer

from fmzip_hw.projectdecoder import ProjectionDecoder
from fmzip_hw.projectsize import ProjectionSize
from fmzip_sim.patterns import PATTERNS, SHY

STALLS = ["never", "random", "bursts", "rare"]
VALUES = 64


def test_frame_after_frame_is_decoded() -> None:
    dut = ProjectionDecoder(ProjectionSize(8, 16384, VALUES))

    async def bench(ctx):
        for n in range(6):
            case = projection_case(7100 + n, 350)
            page = n % 2
            await load_decoder(ctx, dut, case, page, page * 1024, 8, VALUES)
            await check_decoder(ctx, dut, case, page, feed=STALLS[n % 3], drain=STALLS[n % 4])

    simulate(dut, bench)


def test_a_coded_tile_behind_a_raw_one_has_its_own_codebooks() -> None:
    dut = ProjectionDecoder(ProjectionSize(8, 16384, VALUES))
    case = projection_case(8467, 200)
    modes = [word >> 65 for word in frame_words(case.case, 8, case.frame) if word >> 64 & 1]
    assert modes == [1, 0]

    async def bench(ctx):
        await load_decoder(ctx, dut, case, 0, 0, 8, VALUES)
        await check_decoder(ctx, dut, case, 0)

    simulate(dut, bench)


@pytest.mark.soak
def test_many_frames_with_stalls_are_decoded() -> None:
    dut = ProjectionDecoder(ProjectionSize(16, 16384, VALUES))

    async def bench(ctx):
        for seed in range(9000, 9100):
            case, draw, page = projection_case(seed, 600), random.Random(seed), seed % 2
            await load_decoder(ctx, dut, case, page, page * 512, 16, VALUES)
            stalls = {"feed": draw.choice([*PATTERNS]), "drain": draw.choice([*PATTERNS, SHY])}
            await check_decoder(ctx, dut, case, page, **stalls)

    simulate(dut, bench)


async def survives(ctx, dut, case: ProjectionCase, words: list[int]) -> bool:
    """Whether damaged words are decoded to as many beats as there have to be, and noticed."""
    await begin(ctx, dut, case.config, 0)
    beats = sum(tile_beats(case.config, 8))
    # What is behind the last value is dropped before another frame begins, two cycles a word.
    await transfer(ctx, dut, words, beats, quiet=240, deadline=100_000)
    return not ctx.get(dut.broken)


async def damage(ctx, dut, seeds: range) -> None:
    found = set()
    for seed in seeds:
        draw = random.Random(seed)
        case = projection_case(8200 + seed, 200)
        await load_decoder(ctx, dut, case, 0, 0, 8, VALUES)
        words = frame_words(case.case, 8, case.frame)
        tiles: list[list[int]] = [[]]
        for word in words:
            tiles[-1].append(word & (1 << 64) - 1)
            if word >> 64 & 1:
                tiles[-1].append(word >> 65)
                tiles.append([])
        damaged = []
        for *tile, raw in tiles[:-1]:
            for _ in range(draw.randrange(3)):
                tile[draw.randrange(len(tile))] ^= 1 << draw.randrange(64)
            if draw.random() < 0.2:
                tile = tile[: draw.randint(1, len(tile))]
            if draw.random() < 0.2:
                tile += [draw.getrandbits(64) for _ in range(draw.randint(1, 80))]
            if draw.random() < 0.1:
                raw ^= 1
            damaged += [word | raw << 65 for word in tile]
            damaged[-1] |= 1 << 64
        found.add(await survives(ctx, dut, case, damaged))
        assert await survives(ctx, dut, case, words)
    assert False in found


def test_damaged_words_cannot_stop_it() -> None:
    dut = ProjectionDecoder(ProjectionSize(8, 16384, VALUES))

    async def bench(ctx):
        await damage(ctx, dut, range(3))

    simulate(dut, bench)


@pytest.mark.soak
def test_hundreds_of_damaged_frames_cannot_stop_it() -> None:
    dut = ProjectionDecoder(ProjectionSize(8, 16384, VALUES))

    async def bench(ctx):
        await damage(ctx, dut, range(3, 300))

    simulate(dut, bench)


def test_a_frame_that_is_abandoned_leaves_nothing_behind() -> None:
    reset = Signal()
    dut = ProjectionDecoder(ProjectionSize(8, 16384, VALUES))
    case = projection_case(7107, 400)

    async def bench(ctx):
        await load_decoder(ctx, dut, case, 0, 0, 8, VALUES)
        words = frame_words(case.case, 8, case.frame)
        assert len(words) > 30
        for cycles in (30, 200, 500):
            await begin(ctx, dut, case.config, 0)
            source, ready = iter(words), True
            ctx.set(dut.o.ready, 1)
            for _ in range(cycles):
                if ready:
                    word = next(source, None)
                    ctx.set(dut.i.valid, word is not None)
                    ctx.set(Value.cast(dut.i.payload), word or 0)
                _, _, ready = await ctx.tick().sample(dut.i.ready)
            ctx.set(dut.i.valid, 0)
            ctx.set(reset, 1)
            await ctx.tick()
            ctx.set(reset, 0)
            await check_decoder(ctx, dut, case, 0)

    simulate(ResetInserter(reset)(dut), bench)
