"""Codes, widths and bitmaps against the reference's packing."""

import numpy as np
import pytest
from amaranth.hdl import Value
from tests.stream_bench import join, simulate, split

from fmzip.format import BLOCK, BLOCK_CODERS, Coder, FrameConfig
from fmzip.reference.bitpack import codes
from fmzip.reference.frame import packing_of
from fmzip_hw.blockcode import BlockCoder


@pytest.mark.parametrize("lanes", [2, 4, 8])
@pytest.mark.parametrize("coder", BLOCK_CODERS)
@pytest.mark.parametrize("zero_point", [0, 5])
def test_codes_widths_and_bitmaps_equal_the_reference(
    lanes: int, coder: Coder, zero_point: int
) -> None:
    generator = np.random.default_rng(lanes)
    beats = BLOCK // lanes
    n = 150
    scale = 2.0 ** generator.uniform(-1, 9.9, n)
    symbols = np.clip(generator.normal(0, scale, (BLOCK, n)).round(), -1020, 1020).astype(np.int16)
    symbols[:, ::10] = 0
    symbols[0, 1], symbols[1, 1] = 1020, -1020
    if zero_point == 0:
        symbols[0] = abs(symbols[0])
    nonzero = generator.integers(0, 256, n)

    for keep in (0xFF, 0x81, 0x36):
        config = FrameConfig(
            8, 1, 1, coder=coder, zero_bitmap=True, zero_point=zero_point, keep=keep
        )
        kept = np.array([keep >> k & 1 for k in range(BLOCK)], bool)
        given = np.where(kept[:, None], symbols, 0).astype(np.int16)
        code, present, widths = codes(given, packing_of(config))
        dut = BlockCoder(lanes)

        async def bench(ctx, dut=dut, config=config, kept=kept, code=code, present=present,
                        widths=widths):  # fmt: skip
            ctx.set(Value.cast(dut.head), int.from_bytes(config.static_head(), "little"))
            await ctx.tick().repeat(16)
            beat_no = block_no = 0
            for cycle in range(n * beats + dut.latency + 2):
                block, beat = divmod(cycle, beats)
                there = block < n
                ctx.set(dut.i_valid, there)
                ctx.set(dut.i_final, there and beat == beats - 1)
                ctx.set(dut.i_last, block == n - 1 and beat == beats - 1)
                if there:
                    lanes_of = symbols[beat * lanes : (beat + 1) * lanes, block]
                    ctx.set(Value.cast(dut.symbols), join(lanes_of, 11))
                    ctx.set(dut.nonzero, int(nonzero[block]))
                await ctx.tick()
                if ctx.get(dut.block_valid):
                    assert cycle + 1 - dut.block_latency == block_no * beats + beats - 1
                    assert ctx.get(dut.width) == widths[block_no], f"block {block_no}"
                    bitmap = int(nonzero[block_no])
                    flags = [int(p) for p in present[kept, block_no]]
                    if coder == Coder.BITMAP:
                        bitmap |= join(flags, 1) << BLOCK
                    length = BLOCK + (len(flags) if coder == Coder.BITMAP else 0)
                    if widths[block_no] == 0:
                        bitmap = length = 0
                    assert ctx.get(dut.bitmap) == bitmap, f"block {block_no}"
                    assert ctx.get(dut.bitmap_length) == length
                    block_no += 1
                if ctx.get(dut.o_valid):
                    block, beat = divmod(beat_no, beats)
                    part = slice(beat * lanes, (beat + 1) * lanes)
                    width = int(widths[block])
                    assert ctx.get(dut.width) == width
                    flags = present[part, block]
                    got = split(ctx.get(Value.cast(dut.codes)), 11, lanes, signed=False)
                    mask = (1 << width) - 1
                    for lane in np.flatnonzero(flags):
                        expected = int(code[part, block][lane]) & mask
                        assert got[lane] & mask == expected, f"block {block}, lane {lane}"
                    if width:
                        assert ctx.get(dut.present) == join(flags, 1), f"block {block}"
                    beat_no += 1
            assert (beat_no, block_no) == (n * beats, n)

        simulate(dut, bench)
