"""The decoder against the reference: the words of a frame in, the values that it means out."""

import random

import numpy as np
import pytest
from amaranth.hdl import ResetInserter, Signal
from tests.codec_bench import (
    Case,
    abandon,
    begin,
    check_decoder,
    frame_words,
    random_case,
    tile_beats,
    value_map,
)
from tests.stream_bench import PATTERNS, SHY, simulate, transfer

from fmzip.format import BLOCK_CODERS, Coder, Dtype, FrameConfig
from fmzip_hw.decoder import Decoder

# As small as they may be, so that they wrap around soon.
RING = {2: 256, 4: 512, 8: 1024}


def case(kind: str, config: FrameConfig) -> Case:
    return Case(kind, config, value_map(config, kind, np.random.default_rng(1)))


@pytest.mark.parametrize("lanes", [2, 4, 8])
@pytest.mark.parametrize("group", range(2))
def test_frame_after_frame_equals_the_reference_under_any_stalls(lanes: int, group: int) -> None:
    dut = Decoder(lanes, RING[lanes])

    async def bench(ctx):
        for seed in range(12 * group, 12 * group + 12):
            choice = random.Random(f"{seed} {lanes}")
            feed, drain = choice.choice([*PATTERNS]), choice.choice([*PATTERNS, SHY])
            await check_decoder(
                ctx, dut, random_case(3000 + seed, blocks=40), feed=feed, drain=drain
            )

    simulate(dut, bench)


@pytest.mark.parametrize("drain", [*PATTERNS, SHY])
def test_every_pair_of_stall_patterns_gives_the_same_values(drain: str) -> None:
    config = FrameConfig(12, 4, 8, tile_rows=2, tile_cols=5, coder=Coder.BITMAP, step=400)
    dut = Decoder(8, RING[8])

    async def bench(ctx):
        for feed in PATTERNS:
            await check_decoder(ctx, dut, case("mixed", config), feed=feed, drain=drain, quiet=8)

    simulate(dut, bench)


@pytest.mark.parametrize("lanes", [2, 4, 8])
def test_extreme_maps_equal_the_reference(lanes: int) -> None:
    dut = Decoder(lanes, RING[lanes])
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
                        await check_decoder(ctx, dut, case(kind, config))

    simulate(dut, bench)


@pytest.mark.parametrize("kind", ["random", "blob", "zero"])
@pytest.mark.parametrize("lanes", [2, 8])
def test_tiles_may_be_as_large_as_the_buffers_allow(lanes: int, kind: str) -> None:
    dut = Decoder(lanes, RING[lanes])
    config = FrameConfig(
        16, 3, dut.max_blocks // 2, tile_rows=1, tile_cols=dut.max_blocks // 2,
        coder=Coder.BITMAP, zero_bitmap=True, step=128,
    )  # fmt: skip

    async def bench(ctx):
        await check_decoder(ctx, dut, case(kind, config), drain="late")

    simulate(dut, bench)


@pytest.mark.parametrize("lanes", [2, 4, 8])
@pytest.mark.parametrize("coder", BLOCK_CODERS)
@pytest.mark.parametrize("kind", ["random", "sparse", "zero"])
def test_a_beat_per_cycle_but_for_the_tile_gap(lanes: int, coder: Coder, kind: str) -> None:
    dut = Decoder(lanes, RING[lanes])
    cols = RING[lanes] // 16  # tiles of 512 beats
    config = FrameConfig(64, 4, cols, tile_cols=cols, coder=coder, zero_bitmap=True, step=1500)

    async def bench(ctx):
        seen = await check_decoder(ctx, dut, case(kind, config))
        beats = tile_beats(config, lanes)
        # The values of a coded tile come last, so the first two tiles may wait for their words.
        first = sum(beats[:2])
        gaps = (np.diff(seen.taken_at) - 1)[first - 1 :]
        ends = np.cumsum([0, *beats[2:-1]])
        assert max(gaps[ends]) <= Decoder.tile_gap
        assert not np.delete(gaps, ends).any(), "stalled within a tile"
        assert seen.taken_at[-1] - seen.taken_at[first - 1] <= 1.02 * sum(beats[2:])

    simulate(dut, bench)


@pytest.mark.parametrize("lanes", [2, 4, 8])
def test_latency_is_from_the_first_word_of_a_raw_tile_to_its_first_beat(lanes: int) -> None:
    dut = Decoder(lanes, RING[lanes])
    config = FrameConfig(8, 3, 40, tile_cols=40)
    raw = case("random", config)

    async def bench(ctx):
        # Pauses, so that the tile's size is known, and nothing is still on its way.
        seen = await check_decoder(ctx, dut, raw, feed="late")
        assert seen.taken_at[0] - seen.fed_at[0] == dut.latency

    simulate(dut, bench)


@pytest.mark.parametrize("lanes", [2, 4, 8])
def test_damaged_words_cannot_stop_it(lanes: int) -> None:
    dut = Decoder(lanes, RING[lanes])
    per_word = 8 // lanes

    async def bench(ctx):
        for seed in range(10):
            config = random_case(4000 + seed).config
            noise = random.Random(f"{seed} {lanes}")
            words = []
            for _ in range(config.tiles):
                raw = noise.random() < 0.3
                density = noise.choice([0, 1, 1])
                for left in reversed(range(per_word * noise.choice([1, 2, 5, 30, 200]))):
                    word = noise.getrandbits(8 * lanes) * density
                    words.append(word | (left == 0) << 8 * lanes | raw << 8 * lanes + 1)
            beats = sum(tile_beats(config, lanes))
            await begin(ctx, dut, config)
            seen = await transfer(ctx, dut, words, beats, feed="random", drain="random", quiet=60)
            lasts = [n + 1 for n, beat in enumerate(seen.taken) if beat >> 9 * lanes & 1]
            assert lasts == np.cumsum(tile_beats(config, lanes)).tolist()
            # And it has recovered by the next frame.
            await check_decoder(ctx, dut, random_case(4100 + seed))

    simulate(dut, bench)


@pytest.mark.parametrize("lanes", [2, 8])
def test_reset_in_the_middle_of_a_frame_leaves_nothing_behind(lanes: int) -> None:
    dut, reset = Decoder(lanes, RING[lanes]), Signal()

    async def bench(ctx):
        for seed in range(6):
            broken = random_case(5000 + seed, blocks=200)
            await abandon(ctx, dut, broken, reset, frame_words(broken, lanes), 20 + 15 * seed)
            await check_decoder(ctx, dut, random_case(5100 + seed))

    simulate(ResetInserter(reset)(dut), bench)
