"""Encoder and decoder cores of whole frames: the reference's frames, and no frame stops them."""

import random
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from amaranth.hdl import Value
from tests.codec_bench import Case, expected_beats, random_case, value_map
from tests.codec_bench import beat_payloads as payloads_of
from tests.core_bench import NULL, composed, configure, load, packet, run_core, strobe, words_of
from tests.plane_bench import decoded_beats, plane_case, with_tables
from tests.stream_bench import simulate

from fmzip.format import BLOCK, INDEX_OFFSET, Coder, FrameConfig, TileMode
from fmzip.ipregs import CoreFault
from fmzip.reference import encode, parse_head
from fmzip_hw.framecores import FrameDecoder, FrameEncoder

STALLS = ["never", "random", "bursts", "rare"]


def frame_of(case: Case) -> bytes:
    return encode(case.values, case.config, case.coding)


def beats_of(case: Case, lanes: int = BLOCK) -> list[int]:
    """What a decoder core puts out: data, keep, last of the frame."""
    if case.coding is not None:
        beats = decoded_beats(case, case.coding.diffusion, lanes)
    else:
        beats = expected_beats(case, lanes)
    last = 1 << 9 * lanes
    return [b & ~last for b in beats[:-1]] + [beats[-1] | last]


def kept(beats: list[int], lanes: int = BLOCK) -> list[int]:
    """The beats with 0 in the lanes that are not kept."""
    out = []
    for beat in beats:
        keep = beat >> 8 * lanes
        mask = sum(0xFF << 8 * k for k in range(lanes) if keep >> k & 1)
        out.append(beat & mask | keep << 8 * lanes)
    return out


def cases_of(codec: str, count: int) -> list[Case]:
    if codec == "dctcm":
        return [random_case(8000 + seed) for seed in range(count)]
    return [with_tables(*plane_case(8000 + seed, 24), seed) for seed in range(count)]


# The codec fmz takes minutes in this simulator; in `make test` it runs as Verilog.
FMZ = [pytest.param("fmz", lanes, marks=pytest.mark.soak) for lanes in (8, 4, 2)]
CORES = [("dctcm", 8), ("dctcm", 4), ("dctcm", 2), *FMZ]
CODECS = ["dctcm", pytest.param("fmz", marks=pytest.mark.soak)]


@pytest.mark.parametrize(("codec", "lanes"), CORES)
def test_frame_after_frame_comes_out_as_the_reference_has_it(codec: str, lanes: int) -> None:
    core = FrameEncoder(codec, lanes)

    async def bench(ctx):
        for n, case in enumerate(cases_of(codec, 4)):
            configure(ctx, core, case)
            if case.coding is not None:
                await load(ctx, core, case)
            await strobe(ctx, core.start)
            stalls = {"feed": STALLS[n % 3], "drain": STALLS[n % 4]}
            got, _ = await run_core(ctx, core, payloads_of(case, lanes), **stalls)
            assert got == composed(frame_of(case), case.config), case
            assert ctx.get(core.fault) == CoreFault.NONE
            await ctx.tick()
            assert 8 * ctx.get(core.words) == len(frame_of(case))
            assert 8 * ctx.get(core.first) == case.config.head_bytes

    simulate(core, bench)


@pytest.mark.parametrize(("codec", "lanes"), CORES)
def test_frame_after_frame_is_decoded(codec: str, lanes: int) -> None:
    core = FrameDecoder(codec, lanes)

    async def bench(ctx):
        for n, case in enumerate(cases_of(codec, 4)):
            configure(ctx, core, case)
            if case.coding is not None:
                await load(ctx, core, case)
            await strobe(ctx, core.start)
            words = packet(words_of(frame_of(case)))
            stalls = {"feed": STALLS[n % 3], "drain": STALLS[n % 4]}
            got, fed = await run_core(ctx, core, words, **stalls)
            assert kept(got, lanes) == beats_of(case, lanes), case
            assert (fed, ctx.get(core.fault)) == (len(words), CoreFault.NONE)

    simulate(core, bench)


@pytest.mark.parametrize("codec", CODECS)
def test_a_tile_is_decoded_by_itself(codec: str) -> None:
    core = FrameDecoder(codec)
    case = next(c for c in cases_of(codec, 40) if c.config.tiles >= 3)

    async def bench(ctx):
        frame, config = frame_of(case), case.config
        head = parse_head(frame)
        whole = beats_of(case)
        if case.coding is not None:
            configure(ctx, core, case)
            await load(ctx, core, case)
        at = 0
        for number, tile in enumerate(config.iter_tiles()):
            start, stop = (config.head_bytes + int(o) for o in head.offsets[number : number + 2])
            alone = replace(
                config, height=tile.rows, width=tile.cols, tile_rows=tile.rows, tile_cols=tile.cols
            )
            configure(ctx, core, case, alone)
            raw = head.modes[number] == TileMode.RAW
            await strobe(ctx, core.tile, *([core.raw] if raw else []))
            got = kept((await run_core(ctx, core, packet(words_of(frame[start:stop]))))[0])
            assert ctx.get(core.fault) == CoreFault.NONE
            last = 1 << 9 * BLOCK
            expected = [b & ~last for b in whole[at : at + len(got)]]
            assert [*got[:-1], got[-1] & ~last] == expected
            assert got[-1] & last
            at += len(got)
        assert at == len(whole)

    simulate(core, bench)


CONFIG = FrameConfig(24, 4, 6, tile_rows=2, tile_cols=3, coder=Coder.BITMAP, step=1000)
CASE = Case("mixed", CONFIG, value_map(CONFIG, "mixed", np.random.default_rng(1)))


def broken_cases(codec: str) -> tuple[Case, list[tuple[list[int], CoreFault, bool]]]:
    """Packets, their fault, and whether values come out."""
    case = CASE if codec == "dctcm" else next(c for c in cases_of(codec, 40) if c.config.tiles >= 3)
    frame = frame_of(case)
    words, head = words_of(frame), case.config.head_bytes // BLOCK
    rng = random.Random(1)
    found = []
    for cut in sorted(
        {1, head - 1, head, head + 1, len(words) - 1, *rng.sample(range(1, len(words)), 6)}
    ):
        found.append((packet(words[:cut]), CoreFault.SHORT, cut >= head + 1))
    found.append((packet([*words, 0]), CoreFault.LONG, True))
    found.append((packet([*words, *words]), CoreFault.LONG, True))
    found.append(([*words, NULL, NULL | 1 << 8 * BLOCK], CoreFault.NONE, True))
    nulls = [w for word in words for w in (NULL, word)]
    found.append(([*nulls, NULL | 1 << 8 * BLOCK], CoreFault.NONE, True))
    found.append(([*words[:-1], NULL | 1 << 8 * BLOCK], CoreFault.SHORT, True))
    found.append((packet([words[0] ^ 1, *words[1:]]), CoreFault.HEAD_DIFFERS, False))
    found.append((packet([*words[:4], words[4] ^ 1, *words[5:]]), CoreFault.HEAD_CRC, False))
    found.append((packet([*words[:-1], words[-1] ^ 1 << 63]), CoreFault.TILES_CRC, True))
    return case, found


@pytest.mark.parametrize("codec", CODECS)
def test_no_packet_stops_the_decoder_and_a_good_frame_follows(codec: str) -> None:
    core = FrameDecoder(codec)
    case, broken = broken_cases(codec)

    async def bench(ctx):
        configure(ctx, core, case)
        if case.coding is not None:
            await load(ctx, core, case)
        whole, good = beats_of(case), packet(words_of(frame_of(case)))
        for n, (words, fault, some) in enumerate(broken):
            await strobe(ctx, core.start)
            got, fed = await run_core(ctx, core, words, drain=STALLS[n % 4])
            assert ctx.get(core.fault) == fault, (n, words)
            assert fed == len(words)
            assert len(got) == (len(whole) if some else 0), f"{n}: {fault.name}"
            if some:
                ends = [k for k, beat in enumerate(got) if beat >> 9 * BLOCK]
                assert ends == [len(whole) - 1]
            await strobe(ctx, core.start)
            got, _ = await run_core(ctx, core, good)
            assert (kept(got), ctx.get(core.fault)) == (whole, CoreFault.NONE), f"behind {n}"

    simulate(core, bench)


@pytest.mark.parametrize("build", [FrameEncoder, FrameDecoder])
def test_what_does_not_fit_is_refused_and_nothing_moves(build: type) -> None:
    core = build("dctcm", 8)
    many = FrameConfig(8, 1, 1025)

    async def bench(ctx):
        configure(ctx, core, CASE, many)
        await strobe(ctx, core.start)
        assert (ctx.get(core.busy), ctx.get(core.fault)) == (0, CoreFault.CONFIG)
        configure(ctx, core, CASE)
        ctx.set(Value.cast(core.head.coder), Coder.RANS)
        await strobe(ctx, core.start)
        assert (ctx.get(core.busy), ctx.get(core.fault)) == (0, CoreFault.CONFIG)
        if build is FrameDecoder:
            configure(ctx, core, CASE)
            await strobe(ctx, core.tile)
            assert (ctx.get(core.busy), ctx.get(core.fault)) == (0, CoreFault.CONFIG)

    simulate(core, bench)


@pytest.mark.parametrize("build", [FrameEncoder, FrameDecoder])
def test_a_tile_that_is_too_large_is_refused_and_a_good_frame_follows(build: type) -> None:
    core = build("dctcm", 8)
    largest = FrameConfig(8, 30, 64, tile_rows=30, tile_cols=64)
    larger = FrameConfig(8, 64, 64, tile_rows=64, tile_cols=64)
    if build is FrameEncoder:
        inputs, outputs = payloads_of(CASE, 8), composed(frame_of(CASE), CONFIG)
    else:
        inputs, outputs = packet(words_of(frame_of(CASE))), beats_of(CASE)

    async def bench(ctx):
        for config, taken in ((largest, True), (larger, False)):
            configure(ctx, core, CASE, config)
            await strobe(ctx, core.start)
            assert ctx.get(core.busy)
            await ctx.tick().repeat(60)
            assert ctx.get(core.busy) == taken
            assert taken or ctx.get(core.fault) == CoreFault.CONFIG
            await strobe(ctx, core.abort)
        configure(ctx, core, CASE)
        await strobe(ctx, core.start)
        got, _ = await run_core(ctx, core, inputs)
        assert (got, ctx.get(core.fault)) == (outputs, CoreFault.NONE)

    simulate(core, bench)


@pytest.mark.parametrize("build", [FrameEncoder, FrameDecoder])
def test_an_abort_at_any_time_leaves_nothing_behind(build: type) -> None:
    core = build("dctcm", 8)
    if build is FrameEncoder:
        inputs, outputs = payloads_of(CASE, 8), composed(frame_of(CASE), CONFIG)
    else:
        inputs, outputs = packet(words_of(frame_of(CASE))), beats_of(CASE)

    async def bench(ctx):
        configure(ctx, core, CASE)
        for stop in (0, 5, 40, 60, 100, 150):
            await strobe(ctx, core.start)
            await run_core(ctx, core, inputs, stop=stop)
            await strobe(ctx, core.abort)
            assert not ctx.get(core.busy)
            await strobe(ctx, core.start)
            got, _ = await run_core(ctx, core, inputs)
            assert got == outputs, f"behind an abort after {stop} cycles"

    simulate(core, bench)


def test_offsets_are_where_the_tests_flip_bits() -> None:
    assert INDEX_OFFSET // BLOCK == 5
    assert all(b > a for a, b in pairwise(parse_head(frame_of(CASE)).offsets.tolist()))
