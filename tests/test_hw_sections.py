"""Taking tiles apart into sections, and the ring buffers that the encoder keeps them in."""

import random

import pytest
from amaranth.hdl import Value
from tests.codec_bench import Case, begin, frame_words, random_case
from tests.stream_bench import PATTERNS, run, simulate

from fmzip.format import Coder, ceil_div
from fmzip_hw.sectionmemory import SectionMemory
from fmzip_hw.sections import SectionSplitter, WordJoiner
from fmzip_hw.tilebuffer import TileBuffer, check_ring

WORD = (1 << 64) - 1


@pytest.mark.parametrize("lanes", [2, 4])
def test_joined_words_are_those_of_64_bits(lanes: int) -> None:
    case = random_case(7)
    expected = frame_words(case, 8)
    for drain in ("never", "random", "rare"):
        seen = run(WordJoiner(lanes), frame_words(case, lanes), len(expected), drain=drain)
        assert seen.taken == expected


def expected_sections(case: Case) -> dict[str, list[int]]:
    """The payloads of each output, from the words of the frame and the rules of the format."""
    config = case.config
    per_block = 8 * config.zero_bitmap
    per_block += bin(config.keep).count("1") if config.coder == Coder.BITMAP else 0
    out: dict[str, list[int]] = {k: [] for k in ("tiles", "widths", "counts", "bitmaps", "values")}
    words = iter(frame_words(case, 8))
    for tile in config.iter_tiles():
        blocks = tile.rows * tile.cols * config.blocks_per_pixel
        this = [next(words)]
        while not this[-1] >> 64 & 1:
            this.append(next(words))
        raw = this[0] >> 65 & 1
        out["tiles"].append(raw)
        if not raw:
            count = ceil_div(blocks, 16)
            widths, this = this[:count], this[count:]
            out["widths"] += [w & WORD for w in widths]
            coded = sum((w >> 4 * k & 15) != 0 for w in widths for k in range(16))
            count = ceil_div(coded * per_block, 64)
            bitmaps, this = this[:count], this[count:]
            out["bitmaps"] += [w & WORD for w in bitmaps]
            out["counts"] += [coded] if count else []
        out["values"] += [w & (1 << 65) - 1 for w in this] or [None]  # a word of anything
    return out


@pytest.mark.parametrize("patterns", [("never", "never"), ("random", "random"), ("rare", "never")])
def test_each_section_gets_its_words(patterns: tuple[str, str]) -> None:
    dut = SectionSplitter(1024)

    async def bench(ctx):
        for seed in range(10):
            case = random_case(7000 + seed)
            expected = expected_sections(case)
            await begin(ctx, dut, case.config)
            feed, drain = (PATTERNS[name]() for name in patterns)
            words, got = frame_words(case, 8), {name: [] for name in expected}
            ports = {name: getattr(dut, name) for name in expected}
            offering = False
            for _ in range(20_000):
                offering = offering or (bool(words) and next(feed))
                ctx.set(dut.i.valid, offering)
                if offering:
                    ctx.set(Value.cast(dut.i.payload), words[0])
                willing = next(drain)
                for port in ports.values():
                    ctx.set(port.ready, willing)
                _, _, ready, *out = await ctx.tick().sample(
                    dut.i.ready,
                    *(p.valid for p in ports.values()),
                    *(Value.cast(p.payload) for p in ports.values()),
                )
                if offering and ready:
                    words.pop(0)
                    offering = False
                if willing:
                    for name, valid, payload in zip(ports, out[:5], out[5:], strict=True):
                        if valid:
                            got[name].append(payload)
                if all(len(got[name]) == len(expected[name]) for name in expected):
                    break
            for name, payloads in expected.items():
                pairs = zip(got[name], payloads, strict=True)
                assert all(b is None or a == b for a, b in pairs), f"{case}: {name}"

    simulate(dut, bench)


def test_section_memory_drops_what_is_beyond_the_limit_and_reads_in_order() -> None:
    dut = SectionMemory(16, 64, limit=40, in_flight=8)

    async def bench(ctx):
        generator = random.Random(1)
        for size in (3, 40, 60, 0, 20, 40):
            kept = min(size, 40)
            items = [generator.getrandbits(16) for _ in range(size)]
            for item in items:
                ctx.set(dut.write, 1)
                ctx.set(dut.bits, item)
                await ctx.tick()
            ctx.set(dut.write, 0)
            ctx.set(dut.end, 1)
            await ctx.tick()
            ctx.set(dut.end, 0)
            assert ctx.get(dut.words) == kept
            read = []
            for k in range(kept + SectionMemory.read_latency):
                ctx.set(dut.select, k < kept)
                ctx.set(dut.drop, k < kept)
                _, _, word = await ctx.tick().sample(dut.read)
                read.append(word)
            assert read[SectionMemory.read_latency :] == items[:kept], f"{size} words"

    simulate(dut, bench)


def test_section_memory_tells_in_time_that_it_has_no_room() -> None:
    dut = SectionMemory(16, 64, limit=64, in_flight=8)

    async def bench(ctx):
        ctx.set(dut.write, 1)
        written = 0
        while ctx.get(dut.room):
            await ctx.tick()
            written += 1
        assert 64 - 8 < written <= 64 - 8 + 3

    simulate(dut, bench)


@pytest.mark.parametrize("lanes", [2, 4, 8])
def test_latency_of_the_tile_buffer_is_from_the_end_of_the_values_to_the_first_word(
    lanes: int,
) -> None:
    dut = TileBuffer(lanes, 128 * lanes)

    async def bench(ctx):
        ctx.set(dut.burst_log2, 3)
        for section in (dut.widths, dut.raw):
            ctx.set(section.write, 1)
            ctx.set(section.bits, 0x51)
            await ctx.tick().repeat(8 // lanes)
            ctx.set(section.write, 0)
        for section in (dut.widths, dut.raw, dut.bitmaps, dut.values):
            ctx.set(section.end, 1)
            if section is not dut.values:
                await ctx.tick()
                ctx.set(section.end, 0)
        ctx.set(dut.tile_taken, 1)
        for cycle in range(40):
            _, _, valid, data = await ctx.tick().sample(dut.o.valid, dut.o.payload.data)
            ctx.set(dut.values.end, 0)
            ctx.set(dut.tile_taken, 0)
            if valid:
                assert (cycle, data) == (TileBuffer.latency, 0x51)
                return
        raise AssertionError("no word came")

    simulate(dut, bench)


def test_buffers_that_are_too_small_are_refused() -> None:
    with pytest.raises(ValueError, match="ring_blocks must be at least 1024, not 512"):
        check_ring(8, 512)
