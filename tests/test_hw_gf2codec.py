"""Encoder and decoder of the coder GF2 against the reference's tiles, and how long they take."""

from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Value
from tests.gf2_cases import frame, map_of, random_coding
from tests.plane_words import put
from tests.stream_bench import simulate, transfer

from fmzip import planeload
from fmzip.format import Dtype, FrameConfig, Transform
from fmzip.gf2 import PlaneCoding, Rule
from fmzip.reference import decode, encode
from fmzip.reference.beats import beat_count, from_beats, to_beats
from fmzip_hw.gf2codec import Gf2Decoder, Gf2Encoder
from fmzip_hw.planesize import PlaneSize

SIZE = PlaneSize(64, 64, 16)
MASK = (1 << 64) - 1


def case(
    seed: int, shape: tuple[int, int, int], transform: Transform, stored: int, **given: Any
) -> tuple[PlaneCoding, FrameConfig, np.ndarray, bytes]:
    rng = np.random.default_rng(seed)
    rule = given.pop("rule", Rule.POPCOUNT)
    coding = random_coding(rng, shape[0], transform, stored, rule)
    config = frame(coding, shape, transform, **given)
    values = map_of(rng, config)
    return coding, config, values, encode(values, config, coding)


def tile_words(data: bytes, config: FrameConfig) -> list[int]:
    return np.frombuffer(data[config.head_bytes :], "<u8").tolist()


def integers(beats: np.ndarray) -> list[int]:
    return [int.from_bytes(beat.tobytes(), "little") for beat in beats]


async def begin(ctx: Any, dut: Any, config: FrameConfig) -> None:
    ctx.set(Value.cast(dut.head), int.from_bytes(config.static_head(), "little"))
    await ctx.tick().repeat(8)
    ctx.set(dut.start, 1)
    await ctx.tick()
    ctx.set(dut.start, 0)


CASES = (
    case(1, (16, 3, 3), Transform.BITS, 16, burst_log2=5),
    case(2, (16, 2, 3), Transform.BITS, 13, rule=Rule.XOR, dtype=Dtype.INT8, zero_point=4),
    case(3, (3, 5, 7), Transform.BITS, 5),  # a beat is not full, nor is a byte of planes
    case(4, (8, 5, 3), Transform.BITS4, 29, dtype=Dtype.INT8, zero_point=-9, burst_log2=6),
    case(5, (3, 2, 3), Transform.BITS4, 8),
    case(6, (5, 1, 1), Transform.BITS, 1),
)

RUNS = (
    *((k, "never", "never") for k in range(len(CASES))),
    *((k, *stalls) for k in (2, 3) for stalls in (("random", "random"), ("bursts", "rare"))),
)


@pytest.mark.parametrize(("number", "feed", "drain"), RUNS)
def test_a_map_becomes_the_reference_s_tile(number: int, feed: str, drain: str) -> None:
    coding, config, values, data = CASES[number]
    given, words = integers(to_beats(values, config, 8)), tile_words(data, config)
    encoder = Gf2Encoder(SIZE)
    passes = -(-config.components // 8)

    async def encoding(ctx: Any) -> None:
        await put(ctx, encoder, planeload.encoder_words(coding.encoder, config.channels))
        for _ in range(2):  # a second map needs nothing but its start
            assert ctx.get(encoder.done)
            await begin(ctx, encoder, config)
            seen = await transfer(ctx, encoder, given, len(words), feed=feed, drain=drain, quiet=20)
            assert [word & MASK for word in seen.taken] == words
            assert [word >> 64 for word in seen.taken] == [0] * (len(words) - 1) + [1]
            if feed == drain == "never":
                assert seen.taken_at[-1] - seen.fed_at[0] <= len(given) * passes + 50

    simulate(encoder, encoding)


@pytest.mark.parametrize(("number", "feed", "drain"), RUNS)
def test_a_tile_becomes_the_reference_s_map(number: int, feed: str, drain: str) -> None:
    coding, config, _, data = CASES[number]
    expected, beats = decode(data, coding.tables), beat_count(config, 8)
    words = tile_words(data, config)
    decoder = Gf2Decoder(SIZE)
    words_of = -(-config.components // SIZE.adders)

    async def decoding(ctx: Any) -> None:
        await put(
            ctx, decoder, planeload.decoder_words(coding.tables, config.channels, SIZE.adders)
        )
        for _ in range(2):
            await begin(ctx, decoder, config)
            given = [*words[:-1], words[-1] | 1 << 64]
            seen = await transfer(ctx, decoder, given, beats, feed=feed, drain=drain, quiet=20)
            found = np.array([(word & MASK).to_bytes(8, "little") for word in seen.taken])
            found = np.frombuffer(found.tobytes(), np.uint8).reshape(-1, 8)
            np.testing.assert_array_equal(from_beats(found, config), expected)
            counts = [(word >> 64 & 0xFF).bit_count() for word in seen.taken]
            per_pixel = [min(8, config.channels - c) for c in range(0, config.channels, 8)]
            assert counts == per_pixel * (beats // len(per_pixel))
            assert [word >> 72 for word in seen.taken] == [0] * (beats - 1) + [1]
            assert not ctx.get(decoder.broken)
            if feed == drain == "never":
                assert seen.taken_at[-1] - seen.fed_at[0] <= beats * 8 * words_of + 100

    simulate(decoder, decoding)


@pytest.mark.parametrize("damage", ["short", "long", "padding", "bits"])
def test_a_tile_that_does_not_end_as_it_must_is_broken_and_stops_nothing(damage: str) -> None:
    coding, config, _, data = CASES[3]  # of 174 planes, and bursts of 8 words
    words = tile_words(data, config)
    beats = beat_count(config, 8)
    given = {
        "short": words[:1],
        "long": [*words, *[0] * 8],
        "padding": [*words[:-1], 1 << 63],
        "bits": [*words[:2], words[2] | 1 << 63, *words[3:]],
    }[damage]
    decoder = Gf2Decoder(SIZE)

    async def decoding(ctx: Any) -> None:
        await put(
            ctx, decoder, planeload.decoder_words(coding.tables, config.channels, SIZE.adders)
        )
        for bad in (given, words, given):
            await begin(ctx, decoder, config)
            fed = [*bad[:-1], bad[-1] | 1 << 64]
            await transfer(ctx, decoder, fed, beats, quiet=20)
            assert ctx.get(decoder.broken) == (bad is not words)

    simulate(decoder, decoding)
