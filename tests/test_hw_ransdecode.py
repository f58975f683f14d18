"""The entropy decoder of the coder RANS against the reference: words of tiles in, slots out."""

import random
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Elaboratable, Module, ResetInserter, Signal
from tests.codec_bench import Case, abandon, begin
from tests.rans_bench import (
    CONFIGS,
    Stream,
    load_tables,
    positions_of,
    random_stream,
    random_symbols,
    random_tables,
    rans_config,
)
from tests.stream_bench import PATTERNS, SHY, Transfer, simulate, transfer

from fmzip.format import ESCAPES_MAX, PLANES, FrameConfig, Transform
from fmzip_hw.ransdecode import RansDecoder
from fmzip_hw.tables import TableLoader


class Decoder(Elaboratable):
    """A decoder and what loads its tables."""

    def __init__(self, lanes: int = 8):
        self.loader, self.decoder, self.lanes = TableLoader(), RansDecoder(lanes), lanes

    def elaborate(self, platform):
        m = Module()
        m.submodules.loader, m.submodules.decoder = self.loader, self.decoder
        for name in ("context", "token", "entry"):
            m.d.comb += getattr(self.decoder, name).eq(getattr(self.loader, name))
        return m


async def check(
    ctx: Any, dut: Any, config: FrameConfig, stream: Stream, **options: Any
) -> Transfer:
    """Decode a frame and compare its slots."""
    await begin(ctx, dut, config)
    seen = await transfer(ctx, dut, stream.words, len(stream.slots), quiet=dut.settle, **options)
    for n, (got, slot, mask) in enumerate(zip(seen.taken, stream.slots, stream.masks, strict=True)):
        assert got & mask == slot, f"{config}: slot {n}: {got & mask:#x}, not {slot:#x}"
    assert not ctx.get(dut.broken), f"{config}: broken"
    return seen


@pytest.mark.parametrize(
    ("transform", "lanes"),
    [*((transform, 8) for transform in PLANES), (Transform.BYPASS, 2), (Transform.NIBBLES, 4)],
)
def test_frame_after_frame_equals_the_reference_under_any_stalls(
    transform: Transform, lanes: int
) -> None:
    top = Decoder(lanes)
    configs = [config for config in CONFIGS if config.transform == transform]
    configs = configs[: 8 if lanes == 8 else 3]

    async def bench(ctx):
        rng = random.Random(transform)
        tables = random_tables(transform, rng, statistics=4)
        await load_tables(ctx, top.loader, tables, configs[0])
        for config in configs:
            for seed in range(2):
                stream = random_stream(config, tables, seed).parted(lanes)
                feed, drain = rng.choice([*PATTERNS]), rng.choice([*PATTERNS, SHY])
                await check(ctx, top.decoder, config, stream, feed=feed, drain=drain)

    simulate(top, bench)


@pytest.mark.parametrize(
    ("channels", "lost", "lanes"),
    [
        (64, 0, 8),
        (128, 0, 8),
        (24, RansDecoder.loop - 3, 8),
        (32, 0, 4),
        (24, RansDecoder.loop - 6, 4),
        (16, 0, 2),
    ],
)
def test_a_slot_per_cycle_but_for_planes_of_few_groups(
    channels: int, lost: int, lanes: int
) -> None:
    top = Decoder(lanes)
    config = rans_config(Transform.BYPASS, channels, 8, 8, 4, 8)
    rng = random.Random(1)
    tables = random_tables(Transform.BYPASS, rng, statistics=1, limit=14)

    async def bench(ctx):
        await load_tables(ctx, top.loader, tables, config)
        stream = Stream()
        for rows, cols in positions_of(config):
            slots = rows * cols * config.blocks_per_pixel
            z = np.array([[rng.randrange(15) for _ in range(8)] for _ in range(slots)], np.uint8)
            stream.add(config, tables, rows, cols, z, raw=False)
        seen = await check(ctx, top.decoder, config, stream.parted(lanes))
        gaps = np.diff(seen.taken_at) - 1
        groups = config.blocks_per_pixel * 8 // lanes
        border = 4 * 8 * groups - 1  # between the tiles
        assert 0 < gaps[border] <= top.decoder.tile_gap
        ends = np.arange(len(gaps)) % groups == groups - 1
        assert not gaps[~ends].any()
        ends[border] = False
        assert {*gaps[ends].tolist()} == {lost}

    simulate(top, bench)


@pytest.mark.parametrize("lanes", [8, 4, 2])
def test_a_tile_may_have_as_many_escapes_as_the_format_allows(lanes: int) -> None:
    top = Decoder(lanes)
    config = rans_config(Transform.BYPASS, 64, 9, 8, 8, 8)
    rng = random.Random(1)
    tables = random_tables(Transform.BYPASS, rng, statistics=1, limit=0)
    z = np.array([[rng.randrange(1, 256) for _ in range(8)] for _ in range(512)], np.uint8)
    z[rng.randrange(512), 3] = 0
    stream = Stream()
    stream.add(config, tables, 8, 8, z, raw=False)
    assert stream.words[0] & 0xFFFF == ESCAPES_MAX
    # The escapes of the tile behind it come while some of its own are still waiting.
    stream.add(config, tables, 1, 8, z[:64], raw=False)

    async def bench(ctx):
        await load_tables(ctx, top.loader, tables, config)
        await check(ctx, top.decoder, config, stream.parted(lanes))

    simulate(top, bench)


def test_a_damaged_tile_is_noticed() -> None:
    top = Decoder()
    config = rans_config(Transform.BYPASS, 64, 4, 4)
    rng = random.Random(1)
    tables = random_tables(Transform.BYPASS, rng, statistics=1, limit=5)
    z = random_symbols(config, 4, 4, np.random.default_rng(1))
    z[3, 3] = 77
    good = Stream()
    good.add(config, tables, 4, 4, z, raw=False)
    escapes = 1 + (int(good.words[0]) & 0xFFFF) // 8
    places = [rng.randrange(64 * (len(good.words) - 1)) for _ in range(6)]
    places += [0, 1, 9, 15, 64 * escapes + 13, 64 * escapes + 8]

    async def bench(ctx):
        await load_tables(ctx, top.loader, tables, config)
        for place in places:
            words = list(good.words)
            words[place // 64] ^= 1 << place % 64
            await begin(ctx, top.decoder, config)
            await transfer(ctx, top.decoder, words, len(good.slots), quiet=top.decoder.settle)
            in_escapes = 16 <= place < 64 * escapes
            assert in_escapes or ctx.get(top.decoder.broken), f"bit {place}"
        await check(ctx, top.decoder, config, good)

    simulate(top, bench)


def test_damaged_words_cannot_stop_it() -> None:
    top = Decoder()
    dut = top.decoder

    async def bench(ctx):
        rng = random.Random(1)
        tables = random_tables(Transform.BYPASS, rng, statistics=2)
        configs = [config for config in CONFIGS if config.transform == Transform.BYPASS]
        await load_tables(ctx, top.loader, tables, configs[0])
        for seed in range(5):
            config = rng.choice(configs)
            words = []
            for _ in positions_of(config):
                raw = rng.random() < 0.3
                for left in reversed(range(rng.choice([1, 2, 5, 30, 200]))):
                    # Mostly few escapes, so that the rest of the tile is reached.
                    word = rng.getrandbits(64) & rng.choice([(1 << 64) - 1, ~0xFFF])
                    words.append(word | (left == 0) << 64 | raw << 65)
            slots = sum(r * c for r, c in positions_of(config)) * config.blocks_per_pixel
            await begin(ctx, dut, config)
            seen = await transfer(
                ctx, dut, words, slots, feed="random", drain="random", quiet=top.decoder.settle
            )
            ends = np.cumsum([r * c for r, c in positions_of(config)]) * config.blocks_per_pixel
            lasts = [n + 1 for n, slot in enumerate(seen.taken) if slot >> 64 & 1]
            assert lasts == ends.tolist()
            # And it has recovered by the next frame.
            config = rng.choice(configs)
            await check(ctx, dut, config, random_stream(config, tables, seed))

    simulate(top, bench)


def test_reset_in_the_middle_of_a_frame_leaves_nothing_behind() -> None:
    top, reset = Decoder(), Signal()
    config = rans_config(Transform.BYPASS, 64, 4, 8)

    async def bench(ctx):
        rng = random.Random(1)
        tables = random_tables(Transform.BYPASS, rng, statistics=1, limit=3)
        await load_tables(ctx, top.loader, tables, config)
        stream = random_stream(config, tables, 1, raw=0)
        case = Case("reset", config, np.empty(0))
        for cycles in (5, 30, 60, 90, 150, 250):
            await abandon(ctx, top.decoder, case, reset, stream.words, cycles)
            await check(ctx, top.decoder, config, stream)

    simulate(ResetInserter(reset)(top), bench)
