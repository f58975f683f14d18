"""The CRC unit against zlib."""

import gc
import random
from zlib import crc32

import pytest
from tests.stream_bench import simulate

from fmzip_hw.crc import Crc32


@pytest.mark.parametrize("bits", [8, 16, 32, 64])
def test_it_equals_zlib_behind_every_word_and_knows_its_own_crc(bits: int) -> None:
    generator = random.Random(bits)
    dut, size = Crc32(bits), bits // 8

    async def feed(ctx, data: bytes) -> None:
        for k in range(0, len(data), size):
            ctx.set(dut.data, int.from_bytes(data[k : k + size], "little"))
            ctx.set(dut.valid, 1)
            await ctx.tick()
            ctx.set(dut.valid, 0)
            if generator.random() < 0.3:  # data without valid do not count
                ctx.set(dut.data, generator.getrandbits(bits))
                await ctx.tick()
            assert ctx.get(dut.crc) == crc32(data[: k + size])

    async def bench(ctx):
        assert ctx.get(dut.crc) == 0
        for _ in range(8):
            data = generator.randbytes(8 * generator.randrange(1, 6))
            await feed(ctx, data)
            assert not ctx.get(dut.match)
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            assert ctx.get(dut.crc) == crc32(b"")

            padded = data + bytes(-(len(data) + 4) % size)
            whole = padded + crc32(padded).to_bytes(4, "little")
            await feed(ctx, whole)
            assert ctx.get(dut.match)
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            await feed(ctx, bytes((whole[0] ^ 1,)) + whole[1:])
            assert not ctx.get(dut.match)
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)

    simulate(dut, bench)


def test_start_forgets_what_was_before() -> None:
    dut = Crc32(8)

    async def bench(ctx):
        ctx.set(dut.valid, 1)
        await ctx.tick().repeat(5)
        ctx.set(dut.valid, 0)
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        ctx.set(dut.valid, 1)
        ctx.set(dut.data, ord("a"))
        await ctx.tick()
        assert ctx.get(dut.crc) == crc32(b"a")

    simulate(dut, bench)


# Amaranth warns of components that nobody uses, here of the one that was not finished.
@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
@pytest.mark.parametrize("bits", [0, 7, 12])
def test_data_that_are_not_whole_bytes_are_refused(bits: int) -> None:
    with pytest.raises(ValueError, match=f"whole bytes, not {bits} bits"):
        Crc32(bits)
    gc.collect()
