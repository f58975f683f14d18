"""The encoder against the reference: same configuration and values in, same words out."""

import random

import numpy as np
import pytest
from amaranth.hdl import ResetInserter, Signal
from tests.codec_bench import (
    Case,
    abandon,
    beat_payloads,
    begin,
    check_encoder,
    frame_words,
    random_case,
    tile_beats,
    value_map,
)
from tests.stream_bench import PATTERNS, SHY, simulate, transfer

from fmzip.format import BLOCK_CODERS, Coder, Dtype, FrameConfig
from fmzip_hw.encoder import Encoder

# As small as they may be, so that they wrap around soon.
RING = {2: 256, 4: 512, 8: 1024}


def case(kind: str, config: FrameConfig) -> Case:
    return Case(kind, config, value_map(config, kind, np.random.default_rng(1)))


@pytest.mark.parametrize("lanes", [2, 4, 8])
@pytest.mark.parametrize("group", range(2))
def test_frame_after_frame_equals_the_reference_under_any_stalls(lanes: int, group: int) -> None:
    dut = Encoder(lanes, RING[lanes])

    async def bench(ctx):
        for seed in range(12 * group, 12 * group + 12):
            choice = random.Random(f"{seed} {lanes}")
            feed, drain = choice.choice([*PATTERNS]), choice.choice([*PATTERNS, SHY])
            await check_encoder(
                ctx, dut, random_case(1000 + seed, blocks=40), feed=feed, drain=drain
            )

    simulate(dut, bench)


@pytest.mark.parametrize("drain", [*PATTERNS, SHY])
def test_every_pair_of_stall_patterns_gives_the_same_words(drain: str) -> None:
    config = FrameConfig(12, 4, 8, tile_rows=2, tile_cols=5, coder=Coder.BITMAP, step=400)
    dut = Encoder(8, RING[8])

    async def bench(ctx):
        for feed in PATTERNS:
            await check_encoder(ctx, dut, case("mixed", config), feed=feed, drain=drain, quiet=8)

    simulate(dut, bench)


@pytest.mark.parametrize("lanes", [2, 4, 8])
def test_extreme_maps_equal_the_reference(lanes: int) -> None:
    dut = Encoder(lanes, RING[lanes])
    shapes = [(1, 1, 1), (8, 1, 1), (9, 1, 1), (1, 5, 3), (8, 6, 4)]

    async def bench(ctx):
        for shape in shapes:
            for dtype, zero in ((Dtype.UINT8, 0), (Dtype.INT8, -128), (Dtype.INT8, 127)):
                for kind in ("zero", "max", "random"):
                    for coder in BLOCK_CODERS:
                        config = FrameConfig(
                            *shape, dtype=dtype, zero_point=zero, tile_rows=shape[1],
                            tile_cols=shape[2], burst_log2=3, coder=coder, zero_bitmap=True,
                            step=128,
                        )  # fmt: skip
                        await check_encoder(ctx, dut, case(kind, config))

    simulate(dut, bench)


@pytest.mark.parametrize("kind", ["random", "blob", "zero"])
@pytest.mark.parametrize("lanes", [2, 8])
def test_tiles_may_be_as_large_as_the_buffers_allow(lanes: int, kind: str) -> None:
    dut = Encoder(lanes, RING[lanes])
    config = FrameConfig(
        16, 3, dut.max_blocks // 2, tile_rows=1, tile_cols=dut.max_blocks // 2,
        coder=Coder.BITMAP, zero_bitmap=True, step=128,
    )  # fmt: skip

    async def bench(ctx):
        await check_encoder(ctx, dut, case(kind, config), drain="late")

    simulate(dut, bench)


@pytest.mark.parametrize("lanes", [2, 4, 8])
@pytest.mark.parametrize("kind", ["random", "sparse", "zero"])
def test_a_beat_per_cycle_but_for_the_tile_gap(lanes: int, kind: str) -> None:
    dut = Encoder(lanes, RING[lanes])
    cols = RING[lanes] // 16  # tiles of 512 beats
    config = FrameConfig(
        64, 4, cols, tile_cols=cols, coder=Coder.BITMAP, zero_bitmap=True, step=1500
    )

    async def bench(ctx):
        seen = await check_encoder(ctx, dut, case(kind, config))
        beats = tile_beats(config, lanes)
        gaps = np.diff(seen.fed_at) - 1
        ends = np.cumsum(beats)[:-1] - 1
        assert set(gaps[ends]) == {Encoder.tile_gap}
        assert not np.delete(gaps, ends).any(), "stalled within a tile"
        assert seen.fed_at[-1] - seen.fed_at[0] + 1 <= 1.02 * sum(beats)

    simulate(dut, bench)


@pytest.mark.parametrize("lanes", [2, 4, 8])
@pytest.mark.parametrize("kind", ["random", "sparse"])
def test_latency_is_from_the_last_beat_of_a_tile_to_its_first_word(lanes: int, kind: str) -> None:
    dut = Encoder(lanes, RING[lanes])
    config = FrameConfig(16, 3, 40, tile_cols=40, step=1500)

    async def bench(ctx):
        seen = await check_encoder(ctx, dut, case(kind, config))
        words = np.array([w >> 8 * lanes & 1 for w in frame_words(case(kind, config), lanes)])
        first = np.concatenate(([0], np.flatnonzero(words)[:-1] + 1))
        last_beat = np.cumsum(tile_beats(config, lanes)) - 1
        latency = np.array(seen.taken_at)[first] - np.array(seen.fed_at)[last_beat]
        assert set(latency) == {dut.latency}

    simulate(dut, bench)


@pytest.mark.parametrize("lanes", [2, 4, 8])
def test_short_tiles_take_min_tile_cycles(lanes: int) -> None:
    dut = Encoder(lanes, RING[lanes])
    config = FrameConfig(8, 12, 1)

    async def bench(ctx):
        seen = await check_encoder(ctx, dut, case("random", config))
        last_beat = np.cumsum(tile_beats(config, lanes)) - 1
        assert set(np.diff(np.array(seen.fed_at)[last_beat])) == {dut.min_tile}

    simulate(dut, bench)


def test_a_long_tile_followed_by_short_ones_keeps_their_sizes_apart() -> None:
    # 33 columns in tiles of 32: every second tile has one block.
    dut = Encoder(8, RING[8])
    config = FrameConfig(8, 6, 33, tile_cols=32, burst_log2=3, coder=Coder.BITMAP, step=300)

    async def bench(ctx):
        for kind in ("mixed", "sparse", "random"):
            await check_encoder(ctx, dut, case(kind, config))

    simulate(dut, bench)


@pytest.mark.parametrize("lanes", [2, 4, 8])
def test_tiles_that_end_with_a_partial_block_stay_apart(lanes: int) -> None:
    dut = Encoder(lanes, RING[lanes])

    async def bench(ctx):
        for channels in range(1, 10):
            for coder in BLOCK_CODERS:
                config = FrameConfig(
                    channels, 1, 90, tile_cols=30, burst_log2=3, coder=coder, step=128
                )
                await check_encoder(ctx, dut, case("sparse", config))

    simulate(dut, bench)


def test_under_backpressure_a_tile_of_max_blocks_is_held() -> None:
    dut = Encoder(8, RING[8])
    config = FrameConfig(8, 4, dut.max_blocks, tile_cols=dut.max_blocks)
    full = case("random", config)

    async def bench(ctx):
        await begin(ctx, dut, config)
        inputs = beat_payloads(full, 8)[: dut.max_blocks]
        await transfer(ctx, dut, inputs, 0, drain=None, deadline=2 * dut.max_blocks)

    simulate(dut, bench)


@pytest.mark.parametrize("lanes", [2, 8])
def test_reset_in_the_middle_of_a_frame_leaves_nothing_behind(lanes: int) -> None:
    dut, reset = Encoder(lanes, RING[lanes]), Signal()

    async def bench(ctx):
        for seed in range(6):
            broken = random_case(2000 + seed, blocks=200)
            await abandon(ctx, dut, broken, reset, beat_payloads(broken, lanes), 40 + 25 * seed)
            await check_encoder(ctx, dut, random_case(2100 + seed))

    simulate(ResetInserter(reset)(dut), bench)
