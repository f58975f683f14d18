"""Walking over the slots of the coder ``rans`` against a walk over positions and planes."""

import random
from typing import NamedTuple

import pytest
from amaranth.hdl import Value
from tests.codec_bench import begin
from tests.rans_bench import positions_of, rans_config
from tests.stream_bench import simulate

from fmzip.format import FrameConfig, Transform
from fmzip_hw.slots import SlotSequencer

CONFIGS = [
    rans_config(Transform.BYPASS, 1, 1, 1),
    rans_config(Transform.BYPASS, 20, 5, 7, 2, 3),
    rans_config(Transform.NIBBLES, 9, 3, 4, 3, 2),
    rans_config(Transform.NIBBLES, 70, 3, 4, 2, 1),
    rans_config(Transform.WHT4, 16, 5, 7, 2, 4),
    rans_config(Transform.WHT4, 3, 2, 3, 2, 2),
    rans_config(Transform.WHT4, 8, 7, 12, 4, 12),
]


class Seen(NamedTuple):
    """A slot as the sequencer describes it."""

    plane: int
    group: int
    index: int
    here: int
    first_row: int
    first: int
    last: int
    one_col: int
    two_cols: int
    keep: int
    ends_position: int
    ends_row: int
    ends_tile: int


def slots_of(
    config: FrameConfig, rows: int, cols: int, planes: int
) -> list[tuple[Seen, int | None, int | None]]:
    """The slots of a tile of positions; with each `ahead`, None with one column, and `sets`."""
    groups = config.blocks_per_pixel
    size = planes * groups
    total = rows * cols * size
    tail = config.channels - 8 * (groups - 1)
    out = []
    for n in range(total):
        position, index = divmod(n, size)
        row, col = divmod(position, cols)
        plane, group = divmod(index, groups)
        ends = index == size - 1
        ahead = (col + 1) % cols * size + index if cols > 1 else None
        slot = Seen(
            plane, group, index, col * size + index, row == 0, col == 0, col == cols - 1,
            cols == 1, cols == 2, (1 << (tail if group == groups - 1 else 8)) - 1,
            ends, ends and col == cols - 1, n == total - 1,
        )  # fmt: skip
        out.append((slot, ahead, min(total, 10)))
    return out


def parts_of(
    slots: list[tuple[Seen, int | None, int | None]], lanes: int
) -> list[tuple[Seen, int | None, int | None]]:
    """The same in parts of so many lanes."""
    parts, out = 8 // lanes, []
    for slot, ahead, sets in slots:
        for part in range(parts):
            group, index, here = (n * parts + part for n in (slot.group, slot.index, slot.here))
            keep = slot.keep >> lanes * part & (1 << lanes) - 1
            ends = [e and part == parts - 1 for e in slot[-3:]]
            one = Seen(slot.plane, group, index, here, *slot[4:9], keep, *ends)
            out.append((one, None if ahead is None else ahead * parts + part, sets))
    return out


@pytest.mark.parametrize(("loop", "lanes"), [(1, 8), (8, 8), (13, 8), (8, 4), (8, 2)])
def test_slots_come_in_wire_order_and_the_same_group_no_sooner_than_the_loop(
    loop: int, lanes: int
) -> None:
    dut = SlotSequencer(loop, lanes=lanes)

    async def bench(ctx):
        generator = random.Random(loop)
        for config in CONFIGS:
            tiles = []
            for rows, cols in positions_of(config):
                whole = generator.random() < 0.3
                planes = 1 if whole and config.planes == 2 else config.planes
                slots = parts_of(slots_of(config, rows, cols, planes), lanes)
                if whole:  # then the rest is not defined
                    slots = [(slot, None, None) for slot, _, _ in slots]
                tiles.append((whole, slots))
            await begin(ctx, dut, config)
            seen, at = [], []
            now = 0
            while not ctx.get(dut.done):
                ends = [n for n, one in enumerate(seen) if one[0].ends_tile]
                ctx.set(dut.whole, len(ends) < len(tiles) and tiles[len(ends)][0])
                step = ctx.get(dut.valid) and generator.random() < 0.8
                if step:
                    slot = ctx.get(dut.slot)
                    assert ctx.get(dut.begun)
                    one = Seen(*(slot[name] for name in Seen._fields))
                    seen.append((one, slot.ahead, ctx.get(dut.sets)))
                    at.append(now)
                ctx.set(dut.step, step)
                ctx.set(dut.hold, generator.random() < 0.3)
                await ctx.tick()
                ctx.set(dut.step, 0)
                now += 1
            expected = [slot for _, slots in tiles for slot in slots]
            assert len(seen) == len(expected), config
            for n, (got, want) in enumerate(zip(seen, expected, strict=True)):
                assert got[0] == want[0], f"{config}: slot {n}"
                assert want[1] in (None, got[1]), f"{config}: slot {n}: ahead"
                assert want[2] in (None, got[2]), f"{config}: slot {n}: sets"
            groups = config.blocks_per_pixel * 8 // lanes
            closest = min((b - a for a, b in zip(at, at[groups:], strict=False)), default=loop)
            assert closest >= loop, config

    simulate(dut, bench)


@pytest.mark.parametrize(("channels", "gap"), [(64, 0), (128, 0), (40, 3), (8, 7)])
def test_a_slot_per_cycle_but_for_tiles_and_planes_of_few_groups(channels: int, gap: int) -> None:
    dut = SlotSequencer(8)
    config = rans_config(Transform.WHT4, channels, 8, 8, 4, 8)

    async def bench(ctx):
        await begin(ctx, dut, config)
        valid = []
        while not ctx.get(dut.done):
            valid.append(ctx.get(dut.valid))
            ctx.set(dut.step, valid[-1])
            await ctx.tick()
        pattern = "".join(map(str, valid)).strip("0")
        plane = "1" * config.blocks_per_pixel
        tile = ("0" * gap).join([plane] * (4 * 2 * 4))
        assert pattern == ("0" * max(2, gap)).join([tile] * 2)

    simulate(dut, bench)


def test_reset_values_offer_nothing() -> None:
    dut = SlotSequencer(8)

    async def bench(ctx):
        for _ in range(20):
            assert not ctx.get(dut.valid)
            assert ctx.get(dut.done)
            await ctx.tick()
        assert not ctx.get(Value.cast(dut.begun))

    simulate(dut, bench)
