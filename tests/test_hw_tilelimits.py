"""What the buffers hold: the check in gateware against the rule of the format's limits."""

import random

import pytest
from amaranth.hdl import Value
from tests.stream_bench import simulate

from fmzip.format import (
    PLANES,
    POSITION_SIDE,
    POSITION_SLOTS_MAX,
    ROW_SLOTS_MAX,
    TILE_BLOCKS_MAX,
    TILE_SLOTS_MAX,
    Transform,
)
from fmzip_hw.tilelimits import TileLimits

RANS = (Transform.BYPASS, Transform.NIBBLES, Transform.WHT4)
# Channels, rows and columns of the tile, transform: at the limits, and far beyond them.
BLOCKS = [
    (8, 30, 64), (9, 30, 32), (8, 1, 1920), (8, 1, 1921), (8, 64, 64), (8, 256, 256),
    (15360, 1, 1), (15361, 1, 1), (65535, 1, 1), (65535, 65535, 65535), (1, 65535, 1),
]  # fmt: skip
SLOTS = [
    (8, 60, 128, Transform.BYPASS), (8, 61, 128, Transform.BYPASS), (8, 2, 2048, Transform.BYPASS),
    (8, 1, 2049, Transform.BYPASS), (8, 60, 64, Transform.NIBBLES), (8, 61, 64, Transform.NIBBLES),
    (8, 61, 120, Transform.WHT4), (8, 63, 120, Transform.WHT4), (8, 3, 1024, Transform.WHT4),
    (4096, 1, 1, Transform.NIBBLES), (4104, 1, 1, Transform.NIBBLES), (2048, 1, 2, Transform.WHT4),
    (2056, 1, 2, Transform.WHT4), (65535, 65535, 65535, Transform.WHT4),
]  # fmt: skip


def fits(channels: int, rows: int, cols: int, transform: Transform) -> bool:
    blocks = -(-channels // 8)
    if transform not in RANS:
        return 0 < blocks * rows * cols <= TILE_BLOCKS_MAX
    side = POSITION_SIDE[transform]
    position = PLANES[transform] * blocks
    row = position * -(-cols // side)
    tile = row * -(-rows // side)
    return position <= POSITION_SLOTS_MAX and row <= ROW_SLOTS_MAX and 0 < tile <= TILE_SLOTS_MAX


def near(rng: random.Random, most: int) -> tuple[int, int, int]:
    """Three factors whose product is not far from a limit."""
    rows = rng.choice([0, 1, 2, 7, rng.randrange(1, 200)])
    blocks = rng.randrange(1, 300)
    cols = rng.choice([0, max(1, most // max(1, rows * blocks)) + rng.randrange(-2, 3)])
    return max(0, 8 * blocks - rng.randrange(8)), rows, max(0, cols)


@pytest.mark.parametrize("rans", [False, True])
def test_what_fits_is_told_in_time(rans: bool) -> None:
    dut = TileLimits(rans=rans)
    rng = random.Random(5)
    if rans:
        cases = [*SLOTS, *((*near(rng, TILE_SLOTS_MAX // 2), rng.choice(RANS)) for _ in range(80))]
    else:
        cases = [
            (*size, Transform.DCT8)
            for size in (*BLOCKS, *(near(rng, TILE_BLOCKS_MAX) for _ in range(80)))
        ]
    told = [fits(*case) for case in cases]
    assert 10 < sum(told) < len(cases) - 10

    async def bench(ctx):
        for case, taken in zip(cases, told, strict=True):
            channels, rows, cols, transform = case
            values = {
                "channels": channels, "tile_rows": rows, "tile_cols": cols, "height": 9, "width": 9,
                "transform": transform,
            }  # fmt: skip
            for name, value in values.items():
                ctx.set(Value.cast(dut.head[name]), value)
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            cycles = 1
            while not ctx.get(dut.known):
                await ctx.tick()
                cycles += 1
                assert cycles < 50
            assert ctx.get(dut.fits) == taken, case
            assert not taken or cycles <= TileLimits.cycles, case

    simulate(dut, bench)


@pytest.mark.parametrize("side", ["channels", "height", "width", "tile_rows", "tile_cols"])
def test_no_side_may_be_zero(side: str) -> None:
    dut = TileLimits(rans=False)

    async def bench(ctx):
        for name in ("channels", "height", "width", "tile_rows", "tile_cols"):
            ctx.set(Value.cast(dut.head[name]), 0 if name == side else 1)
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        await ctx.tick().repeat(40)
        assert (ctx.get(dut.known), ctx.get(dut.fits)) == (1, 0)

    simulate(dut, bench)
