"""Frames of the coder HUFFMAN, and loading a codec with their projections, for gateware tests."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from amaranth.hdl import Value
from tests.codec_bench import Case, beat_payloads, frame_words, tile_beats, wire_beats
from tests.projection_cases import fitting_coding, frame, map_of, random_coding
from tests.stream_bench import Transfer, transfer
from tests.test_hw_project import put

from fmzip import projload
from fmzip.format import BLOCK, Dtype, FrameConfig, Transform, round_up
from fmzip.projection import ProjectionCoding
from fmzip.reference import decode, encode


@dataclass(frozen=True)
class ProjectionCase:
    """A map, and how it is coded."""

    values: np.ndarray
    config: FrameConfig
    coding: ProjectionCoding

    @property
    def frame(self) -> bytes:
        return encode(self.values, self.config, self.coding)

    @property
    def case(self) -> Case:
        return Case("projection", self.config, self.values)

    def beats(self) -> list[int]:
        """The decoder's: data, keep, last; copies of pixels are what the decoder makes of them."""
        ends = set(np.cumsum(tile_beats(self.config, BLOCK)) - 1)
        back = decode(self.frame, self.coding.tables)
        payloads = []
        for n, beat in enumerate(wire_beats(Case("", self.config, back), BLOCK)):
            data = int.from_bytes(bytes(beat), "little")
            payloads.append(data | ((1 << len(beat)) - 1) << 64 | (n in ends) << 72)
        return payloads


def projection_case(seed: int, values: int = 900) -> ProjectionCase:
    """Everything drawn at random; maps of about so many values."""
    rng = np.random.default_rng(seed)
    square = bool(rng.integers(2))
    transform = Transform.PROJECTION4 if square else Transform.PROJECTION
    channels = int(rng.choice([8, 16] if square else [1, 3, 8, 12, 21, 32]))
    groups = 1 if square else int(rng.choice([g for g in (1, 2, 3, 4) if channels % g == 0]))
    pixels = max(1, values // channels)
    height = int(rng.integers(1, 8))
    width = max(1, min(9, pixels // height))
    if square:
        height, width = round_up(height, 2), round_up(width, 2)
    dtype = Dtype(int(rng.integers(2)))
    low, high = (-128, 127) if dtype == Dtype.INT8 else (0, 255)
    make = fitting_coding if rng.random() < 0.6 else random_coding
    coding = make(rng, channels, transform, groups)
    side = 2 if square else 1
    config = frame(
        coding, (channels, height, width), transform, dtype=dtype,
        zero_point=int(rng.choice([low, 0, int(rng.integers(low, high + 1))])),
        tile_rows=round_up(int(rng.integers(1, height + 1)), side),
        tile_cols=min(width, round_up(int(rng.integers(1, width + 1)), side)),
        burst_log2=int(rng.integers(3, 8)),
    )  # fmt: skip
    return ProjectionCase(map_of(rng, config, float(rng.choice([3.0, 12.0, 60.0]))), config, coding)


async def load_encoder(
    ctx: Any, dut: Any, case: ProjectionCase, page: int, row: int, multipliers: int, values: int
) -> None:
    for kind, address, words in projload.encoder_words(case.coding, page, row, multipliers, values):
        await put(ctx, dut.write, kind, address, words.tolist())


async def load_decoder(
    ctx: Any, dut: Any, case: ProjectionCase, page: int, row: int, multipliers: int, values: int
) -> None:
    for kind, address, words in projload.decoder_words(
        case.coding.tables, page, row, multipliers, values
    ):
        await put(ctx, dut.write, kind, address, words.tolist())


async def begin(ctx: Any, dut: Any, config: FrameConfig, page: int) -> None:
    ctx.set(Value.cast(dut.head), int.from_bytes(config.static_head(), "little"))
    ctx.set(dut.page, page)
    ctx.set(dut.start, 1)
    await ctx.tick()
    ctx.set(dut.start, 0)


async def check_encoder(
    ctx: Any, dut: Any, case: ProjectionCase, page: int, **options: Any
) -> Transfer:
    """Code a frame and compare it with the reference; also which lanes the encoder takes."""
    words = frame_words(case.case, BLOCK, case.frame)
    await begin(ctx, dut, case.config, page)
    inputs = beat_payloads(case.case, BLOCK)
    seen = await transfer(ctx, dut, inputs, len(words), watch=dut.take, deadline=200_000, **options)
    assert seen.taken == words, f"{case.config}"
    assert seen.watched == [len(beat) for beat in wire_beats(case.case, BLOCK)]
    assert ctx.get(dut.done)
    return seen


async def check_decoder(
    ctx: Any, dut: Any, case: ProjectionCase, page: int, **options: Any
) -> Transfer:
    """Decode a frame and compare it with the reference."""
    beats = case.beats()
    await begin(ctx, dut, case.config, page)
    words = frame_words(case.case, BLOCK, case.frame)
    seen = await transfer(ctx, dut, words, len(beats), deadline=200_000, **options)
    for n, (got, expected) in enumerate(zip(seen.taken, beats, strict=True)):
        keep = expected >> 64 & 0xFF
        mask = sum(0xFF << 8 * k for k in range(BLOCK) if keep >> k & 1)
        assert (got & mask, got >> 64) == (expected & mask, expected >> 64), f"beat {n}"
    assert not ctx.get(dut.broken)
    return seen
