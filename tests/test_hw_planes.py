"""Values to slots of numbers and back, against the reference's transforms of the coder RANS."""

import random
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import ResetInserter, Signal
from tests.codec_bench import Case, abandon, beat_payloads, begin, tile_beats, value_map, wire_beats
from tests.plane_bench import (
    QueuedCoder,
    coder_slots,
    decoded_beats,
    decoder_slots,
    plane_case,
)
from tests.stream_bench import PATTERNS, SHY, Transfer, simulate, transfer

from fmzip.format import (
    BLOCK,
    POSITION_SLOTS_MAX,
    ROW_SLOTS_MAX,
    Coder,
    Dtype,
    FrameConfig,
    Transform,
)
from fmzip.tables import Diffusion
from fmzip_hw.diffuse import Diffuser
from fmzip_hw.planes import PlaneScatter

STRONG = Diffusion(128, left=15, above=15, corner=15)


def case(kind: str, channels: int, height: int, width: int, **options: Any) -> Case:
    options = {"tile_rows": height, "tile_cols": width, "step": 300} | options
    config = FrameConfig(channels, height, width, coder=Coder.RANS, **options)
    return Case(kind, config, value_map(config, kind, np.random.default_rng(1)))


async def check_coder(
    ctx: Any, dut: QueuedCoder, case: Case, diffusion: Diffusion, **options: Any
) -> Transfer:
    """A frame through the coder: its slots, and which lanes it takes."""
    ctx.set(dut.diffusion, asdict(diffusion))
    await begin(ctx, dut, case.config)
    slots = coder_slots(case, diffusion, dut.lanes)
    inputs = beat_payloads(case, dut.lanes)
    seen = await transfer(ctx, dut, inputs, len(slots), watch=dut.take, **options)
    for n, (got, slot) in enumerate(zip(seen.taken, slots, strict=True)):
        expected = int.from_bytes(slot.tobytes(), "little")
        assert got == expected, f"{case}, {diffusion}: slot {n}: {got:#x}, not {expected:#x}"
    assert seen.watched == [len(beat) for beat in wire_beats(case, dut.lanes)], f"{case}: take"
    assert ctx.get(dut.done), f"{case}: done"
    return seen


async def check_scatter(
    ctx: Any, dut: PlaneScatter, case: Case, diffusion: Diffusion, raw: list[bool], **options: Any
) -> Transfer:
    """Slots through the way back: its beats; what lanes without a channel hold does not matter."""
    await begin(ctx, dut, case.config)
    beats = decoded_beats(case, diffusion, dut.lanes)
    inputs = decoder_slots(case, diffusion, raw, dut.lanes)
    seen = await transfer(ctx, dut, inputs, len(beats), **options)
    for n, (got, expected) in enumerate(zip(seen.taken, beats, strict=True)):
        keep = expected >> 8 * dut.lanes
        taken = (keep & (1 << dut.lanes) - 1).bit_count()
        known = (1 << 8 * taken) - 1 | (2 << dut.lanes) - 1 << 8 * dut.lanes
        assert got & known == expected, f"{case}: beat {n}: {got & known:#x}, not {expected:#x}"
    return seen


def coded(case: Case) -> list[bool]:
    return [False] * case.config.tiles


# Parts of seeds, and lanes.
GROUPS = [(range(6), 8), (range(6, 12), 8), (range(12, 15), 4), (range(15, 18), 2)]


@pytest.mark.parametrize(("seeds", "lanes"), GROUPS)
def test_slots_equal_the_reference_under_any_stalls_frame_after_frame(
    seeds: range, lanes: int
) -> None:
    dut = QueuedCoder(lanes)

    async def bench(ctx):
        for seed in seeds:
            choice = random.Random(f"{seed}")
            feed, drain = choice.choice([*PATTERNS]), choice.choice([*PATTERNS, SHY])
            await check_coder(ctx, dut, *plane_case(seed), feed=feed, drain=drain)

    simulate(dut, bench)


@pytest.mark.parametrize(("seeds", "lanes"), GROUPS)
def test_values_equal_the_reference_under_any_stalls_frame_after_frame(
    seeds: range, lanes: int
) -> None:
    dut = PlaneScatter(lanes)

    async def bench(ctx):
        for seed in seeds:
            (case, diffusion), choice = plane_case(seed), random.Random(f"{seed}")
            feed, drain = choice.choice([*PATTERNS]), choice.choice([*PATTERNS, SHY])
            raw = [choice.random() < 0.3 for _ in coded(case)]
            await check_scatter(ctx, dut, case, diffusion, raw, feed=feed, drain=drain)

    simulate(dut, bench)


@pytest.mark.parametrize(
    ("dtype", "zero"), [(Dtype.UINT8, 0), (Dtype.UINT8, 255), (Dtype.INT8, -128), (Dtype.INT8, 127)]
)
def test_errors_at_the_ends_of_the_range_are_passed_on_as_the_reference_does(
    dtype: Dtype, zero: int
) -> None:
    dut = QueuedCoder()

    async def bench(ctx):
        for rounding in (0, 128, 255):
            for kind in ("random", "max"):
                extreme = case(kind, 16, 5, 5, transform=Transform.BYPASS, step=64, dtype=dtype,
                               zero_point=zero)  # fmt: skip
                await check_coder(ctx, dut, extreme, Diffusion(rounding, 15, 15, 3))
                await check_coder(ctx, dut, extreme, Diffusion(rounding, 2, 1, 15))

    simulate(dut, bench)


LARGE = [
    (BLOCK * POSITION_SLOTS_MAX - 3, 2, Transform.BYPASS),
    (BLOCK * POSITION_SLOTS_MAX // 2 - 3, 2, Transform.NIBBLES),
    (BLOCK * POSITION_SLOTS_MAX // 4 - 3, 4, Transform.WHT4),
    (8 * BLOCK, ROW_SLOTS_MAX // 8, Transform.BYPASS),
]


@pytest.mark.parametrize(
    "lanes", [8, *(pytest.param(lanes, marks=pytest.mark.soak) for lanes in (4, 2))]
)
@pytest.mark.parametrize(("channels", "width", "transform"), LARGE)
def test_positions_and_rows_may_be_as_large_as_the_format_says(
    channels: int, width: int, transform: Transform, lanes: int
) -> None:
    side = 2 if transform == Transform.WHT4 else 1
    rows = 2 if width > 4 else side
    large = case("blob", channels, rows, width, transform=transform)
    diffusion = STRONG if transform == Transform.BYPASS else Diffusion()
    coder = QueuedCoder(lanes)

    async def bench_coder(ctx):
        await check_coder(ctx, coder, large, diffusion)

    simulate(coder, bench_coder)
    if width > 4:
        return  # the way back holds no rows
    scatter = PlaneScatter(lanes)

    async def bench_scatter(ctx):
        await check_scatter(ctx, scatter, large, diffusion, coded(large))

    simulate(scatter, bench_scatter)


@pytest.mark.parametrize("transform", [Transform.BYPASS, Transform.NIBBLES, Transform.WHT4])
def test_a_slot_per_cycle_from_eight_groups_on(transform: Transform) -> None:
    dut = QueuedCoder()
    side = 2 if transform == Transform.WHT4 else 1
    even = case("blob", 64, 4 * side, 6 * side, transform=transform)
    diffusion = STRONG if transform == Transform.BYPASS else Diffusion()

    async def bench(ctx):
        seen = await check_coder(ctx, dut, even, diffusion)
        assert set(np.diff(seen.taken_at)) == {1}
        per_position = tile_beats(even.config, BLOCK)[0] // 24
        assert seen.taken_at[0] - seen.fed_at[per_position - 1] == dut.latency
        if transform == Transform.NIBBLES:  # each beat leaves twice; two positions are held
            assert np.diff(seen.fed_at[2 * per_position :]).mean() >= 1.9
        else:
            assert set(np.diff(seen.fed_at)) == {1}

    simulate(dut, bench)


def test_slots_of_fewer_groups_wait_for_the_errors() -> None:
    dut = QueuedCoder()
    narrow = case("blob", 24, 3, 10, transform=Transform.BYPASS)

    async def bench(ctx):
        seen = await check_coder(ctx, dut, narrow, STRONG)
        assert set(np.diff(seen.taken_at[::3])) == {Diffuser.loop}

    simulate(dut, bench)


@pytest.mark.parametrize("transform", [Transform.BYPASS, Transform.NIBBLES, Transform.WHT4])
def test_slots_in_or_beats_out_every_cycle(transform: Transform) -> None:
    dut = PlaneScatter()
    side = 2 if transform == Transform.WHT4 else 1
    even = case("blob", 72, 2 * side, 5 * side, transform=transform)

    async def bench(ctx):
        seen = await check_scatter(ctx, dut, even, Diffusion(), coded(even))
        per_position = len(seen.fed_at) // 10
        assert set(np.diff(seen.fed_at)) == {1}
        beats = len(seen.taken_at) // 10
        ends = np.array(seen.fed_at)[per_position - 1 :: per_position]
        assert set(np.array(seen.taken_at)[::beats] - ends) == {dut.latency}
        if transform != Transform.NIBBLES:
            assert set(np.diff(seen.taken_at)) == {1}

    simulate(dut, bench)


def test_reset_in_the_middle_of_a_frame_leaves_nothing_behind() -> None:
    coder, scatter, reset = QueuedCoder(), PlaneScatter(), Signal()

    async def bench_coder(ctx):
        for seed in range(3):
            broken, _ = plane_case(100 + seed, 200)
            await abandon(ctx, coder, broken, reset, beat_payloads(broken, BLOCK), 30 + 25 * seed)
            await check_coder(ctx, coder, *plane_case(200 + seed))

    async def bench_scatter(ctx):
        for seed in range(3):
            broken, diffusion = plane_case(100 + seed, 200)
            slots = decoder_slots(broken, diffusion, coded(broken))
            await abandon(ctx, scatter, broken, reset, slots, 30 + 25 * seed)
            after, diffusion = plane_case(200 + seed)
            await check_scatter(ctx, scatter, after, diffusion, coded(after))

    simulate(ResetInserter(reset)(coder), bench_coder)
    simulate(ResetInserter(reset)(scatter), bench_scatter)
