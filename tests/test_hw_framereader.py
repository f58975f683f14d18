"""The frame reader: words of intact frames, and the right fault for any other."""

import random
from zlib import crc32

import numpy as np
import pytest
from amaranth.hdl import Value
from tests.codec_bench import Case, frame_words, random_case, value_map
from tests.frame_bench import WithIndex, start
from tests.memory_bench import Memory, simulate_with
from tests.stream_bench import PATTERNS

from fmzip.format import CRC_BYTES, FIELD, INDEX_BYTES, INDEX_OFFSET, Coder, FrameConfig
from fmzip.reference import encode
from fmzip.regs import ROW_BYTES, Fault
from fmzip_hw.framereader import FrameReader

BASE = 3 * ROW_BYTES


async def _drain(ctx, dut: FrameReader, pattern: str, deadline: int = 30_000) -> list[int]:
    """Words until the reader is done; an offered one must be held."""
    got: list[int] = []
    willing_in, offered = PATTERNS[pattern](), None
    payload = Value.cast(dut.o.payload)
    for _ in range(deadline):
        willing = next(willing_in)
        ctx.set(dut.o.ready, willing)
        _, _, valid, value, done = await ctx.tick().sample(dut.o.valid, payload, dut.done)
        assert offered is None or (valid and value == offered)
        offered = value if valid and not willing else None
        if valid and willing:
            got.append(value)
        if done:
            ctx.set(dut.o.ready, 0)
            return got
    raise AssertionError(f"{len(got)} words, and not done after {deadline} cycles")


async def _check(ctx, dut: FrameReader, memory: Memory, case: Case, base: int, drain: str) -> None:
    frame = encode(case.values, case.config)
    memory.words.clear()
    memory.requests.clear()
    memory.load(base // 8, frame)
    await start(ctx, dut, case.config, base // 8)
    assert await _drain(ctx, dut, drain) == frame_words(case, 8), case
    assert ctx.get(dut.fault) == Fault.NONE
    places = [k for _, start, count in memory.requests for k in range(start, start + count)]
    assert places == list(range(base // 8, (base + len(frame)) // 8)), "each word once, in order"


@pytest.mark.parametrize("stalls", ["never", "random", "bursts", "rare"])
def test_frame_after_frame_gives_the_words_of_its_tiles(stalls: str) -> None:
    dut = FrameReader()
    memory = Memory(dut.port, stalls=stalls)

    async def bench(ctx):
        for seed in range(10):
            generator = random.Random(f"{seed} {stalls}")
            base = generator.randrange(1000) * ROW_BYTES
            drain = generator.choice(["never", "random", "alternate", "bursts"])
            await _check(ctx, dut, memory, random_case(7000 + seed), base, drain)

    simulate_with(WithIndex(dut), bench, memory.serve)


@pytest.mark.parametrize("burst_log2", range(3, 9))
def test_every_burst_size_and_head_size_is_read(burst_log2: int) -> None:
    dut = FrameReader()
    memory = Memory(dut.port, stalls="random")

    async def bench(ctx):
        for tiles in (1, 2, 3, 7, 8, 9):
            config = FrameConfig(
                9, 1, 3 * tiles, tile_cols=3, burst_log2=burst_log2, coder=Coder.BITMAP
            )
            values = value_map(config, "mixed", np.random.default_rng(tiles))
            await _check(ctx, dut, memory, Case("mixed", config, values), BASE, "never")

    simulate_with(WithIndex(dut), bench, memory.serve)


@pytest.mark.parametrize("tiles", [1023, 1024])
def test_the_index_may_be_as_long_as_the_board_allows(tiles: int) -> None:
    dut = FrameReader()
    memory = Memory(dut.port)
    config = FrameConfig(8, 1, tiles, burst_log2=3)
    case = Case("mixed", config, value_map(config, "mixed", np.random.default_rng(1)))

    async def bench(ctx):
        await _check(ctx, dut, memory, case, BASE, "never")

    simulate_with(WithIndex(dut), bench, memory.serve)


def test_a_reader_that_nobody_drains_asks_for_no_more_than_it_has_room_for() -> None:
    dut = FrameReader()
    memory = Memory(dut.port)
    config = FrameConfig(64, 8, 60, tile_cols=30, step=128)
    case = Case("random", config, value_map(config, "random", np.random.default_rng(1)))

    async def bench(ctx):
        memory.load(0, encode(case.values, config))
        await start(ctx, dut, config, 0)
        await ctx.tick().repeat(2000)
        asked = sum(words for _, _, words in memory.requests)
        assert 256 <= asked <= 640
        assert await _drain(ctx, dut, "never") == frame_words(case, 8)

    simulate_with(WithIndex(dut), bench, memory.serve)


# Faults ------------------------------------------------------------------------------------------

CONFIG = FrameConfig(24, 4, 15, tile_rows=2, tile_cols=5, coder=Coder.BITMAP, step=1000)
CASE = Case("blob", CONFIG, value_map(CONFIG, "blob", np.random.default_rng(1)))
FRAME = encode(CASE.values, CONFIG)
CRC_AT = CONFIG.head_bytes - CRC_BYTES


def _put(frame: bytes, at: int, data: bytes) -> bytes:
    return frame[:at] + data + frame[at + len(data) :]


def _signed(frame: bytes) -> bytes:
    """With a head whose CRC is right."""
    return _put(frame, CRC_AT, crc32(frame[:CRC_AT]).to_bytes(4, "little"))


def _entry(tile: int, value: int) -> bytes:
    return _signed(_put(FRAME, INDEX_OFFSET + INDEX_BYTES * tile, value.to_bytes(4, "little")))


def _bursts(value: int) -> bytes:
    return _signed(_put(FRAME, FIELD["payload_bursts"].offset, value.to_bytes(4, "little")))


def _flip(at: int) -> bytes:
    return _put(FRAME, at, bytes((FRAME[at] ^ 0x10,)))


PAYLOAD = int.from_bytes(FRAME[FIELD["payload_bursts"].offset :][:4], "little")
DAMAGED: dict[str, tuple[bytes, Fault]] = {
    **{
        f"{f.name} differs": (_flip(f.offset + f.size - 1), Fault.HEAD_DIFFERS)
        for f in FIELD.values()
        if f.offset < FIELD["payload_bursts"].offset
    },
    "nothing there": (bytes(len(FRAME)), Fault.HEAD_DIFFERS),
    "payload flipped": (_flip(FIELD["payload_bursts"].offset), Fault.HEAD_CRC),
    "tiles crc flipped": (_flip(FIELD["tiles_crc"].offset), Fault.HEAD_CRC),
    "index flipped": (_flip(INDEX_OFFSET + 9), Fault.HEAD_CRC),
    "mode flipped": (_flip(INDEX_OFFSET + 3), Fault.HEAD_CRC),
    "padding flipped": (_flip(INDEX_OFFSET + INDEX_BYTES * CONFIG.tiles), Fault.HEAD_CRC),
    "head crc flipped": (_flip(CRC_AT + 1), Fault.HEAD_CRC),
    "first word of the tiles flipped": (_flip(CONFIG.head_bytes), Fault.TILES_CRC),
    "last byte flipped": (_flip(len(FRAME) - 1), Fault.TILES_CRC),
    "wrong tiles crc": (_signed(_flip(FIELD["tiles_crc"].offset + 3)), Fault.TILES_CRC),
    "first tile not at zero": (_entry(0, 1), Fault.INDEX),
    "second tile at zero": (_entry(1, 0), Fault.INDEX),
    "last tile at zero": (_entry(CONFIG.tiles - 1, 0), Fault.INDEX),
    "last tile at the end": (_entry(CONFIG.tiles - 1, PAYLOAD), Fault.INDEX),
    "second tile behind the end": (_entry(1, PAYLOAD + 1), Fault.INDEX),
    "second tile far away": (_entry(1, (1 << 30) - 1), Fault.INDEX),
    "no payload": (_bursts(0), Fault.INDEX),
    "payload ends early": (_bursts(3), Fault.INDEX),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_a_damaged_frame_is_refused_with_its_fault(what: str) -> None:
    assert CONFIG.head_bytes - CRC_BYTES > INDEX_OFFSET + INDEX_BYTES * CONFIG.tiles
    frame, fault = DAMAGED[what]
    dut = FrameReader()
    memory = Memory(dut.port)

    async def bench(ctx):
        memory.load(BASE // 8, frame)
        await start(ctx, dut, CONFIG, BASE // 8)
        words = await _drain(ctx, dut, "never")
        assert ctx.get(dut.fault) == fault
        if fault in (Fault.HEAD_DIFFERS, Fault.HEAD_CRC):
            assert words == [], "nothing is put out of a frame whose head is not intact"
        assert ctx.get(dut.done)

    simulate_with(WithIndex(dut), bench, memory.serve)


def test_a_frame_whose_tiles_were_damaged_is_followed_by_a_good_one() -> None:
    dut = FrameReader()
    memory = Memory(dut.port)

    async def bench(ctx):
        memory.load(BASE // 8, DAMAGED["last byte flipped"][0])
        await start(ctx, dut, CONFIG, BASE // 8)
        await _drain(ctx, dut, "never")
        assert ctx.get(dut.fault) == Fault.TILES_CRC
        await _check(ctx, dut, memory, CASE, 0, "never")

    simulate_with(WithIndex(dut), bench, memory.serve)
