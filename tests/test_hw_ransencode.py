"""The entropy encoder of the coder RANS against the reference: slots in, words of tiles out."""

import random
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import ResetInserter, Signal
from tests.codec_bench import Case, abandon, begin
from tests.rans_bench import (
    CONFIGS,
    SequencedEncoder,
    parted,
    positions_of,
    random_tables,
    rans_config,
)
from tests.stream_bench import PATTERNS, SHY, simulate, transfer

from fmzip.format import FrameConfig, TileMode, Transform, price, round_up
from fmzip.reference import ransframe
from fmzip.reference.rans import Model, model_of
from fmzip.tables import Tables

DEPTH = 256  # so that the buffers wrap around soon


async def write_tables(ctx: Any, dut: Any, tables: Tables) -> None:
    """The writes of a ``TableLoader``, several of them at once."""
    model = model_of(tables)
    entries = [
        {"frequency": f, "start": int(s), "price": price(f) if f else 0}
        for f, s in zip(
            model.frequencies.ravel().tolist(), model.cumulated.ravel() & 255, strict=True
        )
    ]
    of_port = {"context": tables.contexts, "entry": entries, "limit": model.limits.tolist()}
    for address in range(max(map(len, of_port.values()))):
        for name, content in of_port.items():
            write = {"en": address < len(content)}
            if address < len(content):
                write |= {"address": address, "data": content[address]}
            ctx.set(getattr(dut, name), write)
        await ctx.tick()
    for name in of_port:
        ctx.set(getattr(dut, name).en, 0)
    await ctx.tick().repeat(4)


def random_numbers(
    config: FrameConfig, rows: int, cols: int, rng: np.random.Generator, kind: str
) -> np.ndarray:
    """Numbers z of a tile: uint8 [K', C8, rows, cols]; 0 in channels that are not there."""
    shape = (4 if config.planes == 4 else 1, 8 * config.blocks_per_pixel, rows, cols)
    if kind == "zero":
        z = np.zeros(shape)
    elif kind == "noise":
        z = rng.integers(0, 256, shape)
    else:
        scales = {"small": [0.3, 1], "mixed": [0.3, 1, 4, 40]}[kind]
        z = rng.exponential(rng.choice(scales, (*shape[:2], 1, 1)), shape).clip(0, 255)
    z = z.astype(np.uint8)
    z[:, config.channels :] = 0
    return z


def payloads(z: np.ndarray, config: FrameConfig) -> list[int]:
    """The encoder's slots: with nibbles each twice, with all bits of z."""
    planes = np.concatenate((z, z)) if config.transform == Transform.NIBBLES else z
    grouped = planes.reshape(len(planes), -1, 8, *z.shape[2:]).transpose(3, 4, 0, 1, 2)
    return [int.from_bytes(slot.tobytes(), "little") for slot in grouped.reshape(-1, 8)]


def words_of(z: np.ndarray, config: FrameConfig, model: Model) -> list[int]:
    """The words of a tile."""
    text, mode = ransframe.encode_tile(z, config, model)
    text = text.ljust(round_up(len(text), config.burst_bytes), b"\0")
    words = [int.from_bytes(text[k : k + 8], "little") for k in range(0, len(text), 8)]
    raw = (mode == TileMode.RAW) << 65
    return [*(word | raw for word in words[:-1]), words[-1] | raw | 1 << 64]


def frame_of(
    config: FrameConfig, tables: Tables, seed: int, kinds: list[str]
) -> tuple[list[int], list[list[int]]]:
    """Slots of a frame, and the words of each tile."""
    rng = np.random.default_rng(seed)
    model = model_of(tables)
    slots, tiles = [], []
    for rows, cols in positions_of(config):
        z = random_numbers(config, rows, cols, rng, str(rng.choice(kinds)))
        slots += payloads(z, config)
        tiles.append(words_of(z, config, model))
    return slots, tiles


async def check(
    ctx: Any, dut: Any, config: FrameConfig, tables: Tables, seed: int,
    kinds: tuple[str, ...] = ("zero", "small", "small", "mixed", "noise"), **options: Any,
) -> Any:  # fmt: skip
    """Code a frame and compare it with the reference, tile by tile."""
    slots, tiles = frame_of(config, tables, seed, list(kinds))
    slots, tiles = parted(slots, dut.lanes), [parted(tile, dut.lanes) for tile in tiles]
    await begin(ctx, dut, config)
    options = {"deadline": 20_000} | options
    seen = await transfer(ctx, dut, slots, sum(map(len, tiles)), **options)
    at = 0
    for number, tile in enumerate(tiles):
        assert seen.taken[at : at + len(tile)] == tile, f"{config}, seed {seed}: tile {number}"
        at += len(tile)
    assert ctx.get(dut.done)
    return seen


def code_frames(seed: int, lanes: int = 8, configs: list[FrameConfig] = CONFIGS) -> None:
    """A frame of each configuration, with random tables and stalls."""
    dut = SequencedEncoder(DEPTH, lanes)

    async def bench(ctx):
        for number, config in enumerate(configs):
            choice = random.Random(f"{number} {seed}")
            tables = random_tables(config.transform, choice)
            await write_tables(ctx, dut, tables)
            feed, drain = choice.choice([*PATTERNS]), choice.choice([*PATTERNS, SHY])
            await check(ctx, dut, config, tables, seed, feed=feed, drain=drain)

    simulate(dut, bench)


def test_frames_equal_the_reference_under_any_stalls() -> None:
    code_frames(1)


@pytest.mark.parametrize("lanes", [4, 2])
def test_frames_equal_the_reference_with_fewer_lanes(lanes: int) -> None:
    code_frames(1, lanes, [CONFIGS[k] for k in {4: (1, 6, 8), 2: (4, 6)}[lanes]])


@pytest.mark.soak
@pytest.mark.parametrize("lanes", [8, 4, 2])
@pytest.mark.parametrize("seed", range(2, 22))
def test_many_frames_equal_the_reference_under_any_stalls(seed: int, lanes: int) -> None:
    code_frames(seed, lanes)


@pytest.mark.parametrize(("kind", "lanes"), [("zero", 8), ("noise", 8), ("zero", 4), ("zero", 2)])
def test_a_slot_per_cycle_but_for_the_gap_between_tiles(kind: str, lanes: int) -> None:
    dut = SequencedEncoder(DEPTH, lanes)
    config = rans_config(Transform.BYPASS, 64, 3, 30, 1, 30)  # as large as the buffers allow
    tables = random_tables(Transform.BYPASS, random.Random(3))

    async def bench(ctx):
        await write_tables(ctx, dut, tables)
        seen = await check(ctx, dut, config, tables, 1, (kind,))
        gaps = np.diff(seen.fed_at) - 1
        assert max(gaps) <= dut.tile_gap
        if kind == "zero":  # others have escapes, which go one by one
            assert np.count_nonzero(gaps) == 2, "stalled within a tile"

    simulate(dut, bench)


def test_tiles_may_be_as_large_as_the_buffers_allow() -> None:
    dut = SequencedEncoder(DEPTH)
    config = rans_config(Transform.WHT4, 20, 6, 40, 2, 40, zero_point=128)
    tables = random_tables(Transform.WHT4, random.Random(1))

    async def bench(ctx):
        await write_tables(ctx, dut, tables)
        await check(ctx, dut, config, tables, 1, drain="late")

    simulate(dut, bench)


def test_after_a_reset_within_a_frame_the_next_one_is_coded() -> None:
    inner = SequencedEncoder(DEPTH)
    reset = Signal()
    dut = ResetInserter(reset)(inner)
    config = CONFIGS[1]
    tables = random_tables(config.transform, random.Random(1))

    async def bench(ctx):
        await write_tables(ctx, inner, tables)
        slots, _ = frame_of(config, tables, 5, ["mixed"])
        for cycles in (3, 130, 240):
            case = Case("abandoned", config, np.zeros(0))
            await abandon(ctx, inner, case, reset, slots, cycles)
            await check(ctx, inner, config, tables, cycles)

    simulate(dut, bench)
