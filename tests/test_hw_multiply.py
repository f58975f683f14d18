"""Multipliers: signed products with registers, small ones in logic, and the serial one."""

import random

from amaranth.hdl import Module, Signal, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from tests.stream_bench import pipeline, simulate

from fmzip_hw.multiply import Multiplier, SerialProduct, small_product


def test_a_signed_by_unsigned_product_is_exact_at_the_limits() -> None:
    pairs = [(a, b) for a in (-(1 << 17), -1, 0, 1, (1 << 17) - 1) for b in (0, 1, 65536, 131071)]
    dut = Multiplier(signed(18), unsigned(17))
    got = pipeline(dut, [{"a": a, "b": b} for a, b in pairs], ["o"], Multiplier.latency)
    assert [o for (o,) in got] == [a * b for a, b in pairs]


class Small(wiring.Component):
    a: In(4)
    b: In(5)
    o: Out(9)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.o.eq(small_product(self.a, self.b))
        m.d.sync += Signal().eq(1)
        return m


def test_a_small_product_is_exact_for_all_factors() -> None:
    pairs = [(a, b) for a in range(16) for b in range(32)]
    got = pipeline(Small(), [{"a": a, "b": b} for a, b in pairs], ["o"], 0)
    assert [o for (o,) in got] == [a * b for a, b in pairs]


def test_the_serial_product_is_right_and_in_time() -> None:
    bits = 11
    dut = SerialProduct(bits)
    generator = random.Random(1)
    triples = [(1, 1, 1), (1920, 1, 1), (1, 1920, 1), (1, 1, 1920), (12, 16, 10)]
    triples += [tuple(generator.randint(1, 12) for _ in range(3)) for _ in range(40)]

    async def bench(ctx):
        for a, b, c in triples:
            ctx.set(dut.a, a)
            ctx.set(dut.b, b)
            ctx.set(dut.c, c)
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            for _ in range(3 * bits):
                await ctx.tick()
                if ctx.get(dut.valid):
                    break
            assert ctx.get(dut.valid), f"{a} * {b} * {c}: late"
            assert ctx.get(dut.o) == a * b * c

    simulate(dut, bench)
