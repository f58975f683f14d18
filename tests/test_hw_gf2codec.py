"""Encoder and decoder of the coder GF2 against the reference's tiles, and how long they take."""

from typing import Any

import numpy as np
import pytest
from tests.gf2_cases import frame, map_of, random_coding
from tests.stream_bench import simulate, transfer
from tests.test_hw_gf2 import layer_words, put, sum_words

from fmzip.format import Dtype, Transform
from fmzip.gf2 import PlaneCoding, Rule
from fmzip.reference import decode, encode
from fmzip_hw.gf2 import RANGES
from fmzip_hw.gf2codec import Gf2Decoder, Gf2Encoder

STALLS = (("never", "never"), ("random", "random"), ("bursts", "rare"))


def range_words(coding: PlaneCoding) -> list[tuple[int, int, int]]:
    pairs = zip(coding.encoder.bias.tolist(), coding.encoder.top.tolist(), strict=True)
    return [(RANGES, v, (bias & 0x1FF) | top << 16) for v, (bias, top) in enumerate(pairs)]


def tile_words(data: bytes, head_bytes: int, parts: int) -> list[int]:
    tile = data[head_bytes : head_bytes + parts]
    padded = tile + bytes(-len(tile) % 8)
    return np.frombuffer(padded, "<u8").tolist()


@pytest.mark.parametrize(("feed", "drain"), STALLS)
@pytest.mark.parametrize("rule", [Rule.POPCOUNT, Rule.XOR])
def test_a_map_becomes_the_reference_s_tile_and_comes_back(
    rule: Rule, feed: str, drain: str
) -> None:
    rng = np.random.default_rng(rule)
    dtype = Dtype.INT8 if rule == Rule.XOR else Dtype.UINT8
    coding = random_coding(rng, 16, Transform.BITS, 24, rule)
    config = frame(coding, (16, 3, 5), Transform.BITS, dtype=dtype, zero_point=4)
    values = map_of(rng, config)
    frame_bytes = encode(values, config, coding)
    beats = values.transpose(1, 2, 0).reshape(-1, 8).view(np.uint8)
    given = [int.from_bytes(beat.tobytes(), "little") for beat in beats]
    positions = 15
    parts = positions * 3
    words = tile_words(frame_bytes, config.head_bytes, parts)
    encoder, decoder = Gf2Encoder(16, 32), Gf2Decoder(16, 32)

    async def begin(ctx: Any, dut: Any, settings: dict[str, int]) -> None:
        for name, value in settings.items():
            ctx.set(getattr(dut, name), value)
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)

    async def encoding(ctx: Any) -> None:
        await put(ctx, encoder, layer_words(coding.encoder.layer, 8) + range_words(coding))
        for _ in range(2):  # a second map needs nothing but its start
            await begin(ctx, encoder, {
                "xor": int(rule == Rule.XOR), "is_signed": int(dtype == Dtype.INT8), "words": 1,
                "passes": 2, "parts": parts - 1,
            })  # fmt: skip
            seen = await transfer(ctx, encoder, given, len(words), feed=feed, drain=drain, quiet=20)
            assert [word & (1 << 64) - 1 for word in seen.taken] == words
            assert [word >> 64 & 1 for word in seen.taken] == [0] * (len(words) - 1) + [1]
            if feed == drain == "never":
                # 2 eights of values times 3 eights of planes.
                assert seen.taken_at[-1] - seen.fed_at[0] <= positions * 6 + 40

    simulate(encoder, encoding)
    expected = decode(frame_bytes, coding.tables).transpose(1, 2, 0).reshape(-1, 8).view(np.uint8)

    async def decoding(ctx: Any) -> None:
        await put(ctx, decoder, sum_words(coding.tables.sums, 8))
        for _ in range(2):
            await begin(ctx, decoder, {
                "shift": coding.tables.sums.shift, "is_signed": int(dtype == Dtype.INT8),
                "words": 2, "passes": 15, "parts": parts - 1, "beats": len(beats) - 1,
            })  # fmt: skip
            seen = await transfer(
                ctx, decoder, [*words, 0], len(beats), feed=feed, drain=drain, quiet=20
            )
            found = [(word & (1 << 64) - 1).to_bytes(8, "little") for word in seen.taken]
            assert found == [beat.tobytes() for beat in expected]
            assert [word >> 72 for word in seen.taken] == [0] * (len(beats) - 1) + [1]
            if feed == drain == "never":
                assert seen.taken_at[-1] - seen.fed_at[0] <= positions * 16 * 3 + 40

    simulate(decoder, decoding)
