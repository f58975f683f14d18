"""The UART: what is on its pins, bit by bit, and what it makes of lines that are off or broken."""

import gc
import random
from fractions import Fraction
from typing import Any

import pytest
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from tests.stream_bench import PATTERNS, SHY, run, simulate

from fmzip_hw.uart import DIVISOR_MIN, Uart, UartReceiver, UartSender

DATA = [0x00, 0xFF, 0x55, 0xAA, 0x01, 0x80, *random.Random(1).randbytes(20)]


class Loop(wiring.Component):
    """A UART whose pins are joined."""

    def __init__(self, divisor: Fraction | int):
        self._uart = Uart(divisor)
        super().__init__({"i": In(stream.Signature(8)), "o": Out(stream.Signature(8))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.uart = uart = self._uart
        wiring.connect(m, wiring.flipped(self.i), uart.i)
        wiring.connect(m, uart.o, wiring.flipped(self.o))
        m.d.comb += uart.rx.eq(uart.tx)
        return m


def frame(byte: int) -> list[int]:
    """Start bit, data from the lowest bit on, stop bit."""
    return [0, *(byte >> k & 1 for k in range(8)), 1]


def received(line: list[int], divisor: Fraction | int, *, eager: bool = True) -> list[int]:
    """What a receiver makes of a pin's level in each cycle, and of a quiet line behind that."""
    got: list[int] = []
    dut = UartReceiver(divisor)

    async def bench(ctx: Any) -> None:
        ctx.set(dut.rx, 1)
        ctx.set(dut.o.ready, eager)
        await ctx.tick().repeat(5)
        for level in line + [1] * 400:
            ctx.set(dut.rx, level)
            _, _, valid, byte = await ctx.tick().sample(dut.o.valid, dut.o.payload)
            if valid and eager:
                got.append(byte)
        if not eager and ctx.get(dut.o.valid):
            got.append(ctx.get(dut.o.payload))

    simulate(dut, bench)
    return got


def sampled(bits: list[int], cycles: float, offset: float = 0.0) -> list[int]:
    """A line's level in each cycle, where a bit lasts ``cycles`` cycles."""
    count = int(len(bits) * cycles)
    return [bits[min(len(bits) - 1, max(0, int((k + offset) / cycles)))] for k in range(count)]


@pytest.mark.parametrize("divisor", [4, 5, 8, Fraction(25, 3), Fraction(100, 3)])
def test_bytes_come_back_over_joined_pins(divisor: Fraction | int) -> None:
    assert run(Loop(divisor), DATA, len(DATA), quiet=20).taken == DATA


@pytest.mark.parametrize("feed", [*PATTERNS])
@pytest.mark.parametrize("drain", ["never", "alternate", "random", "bursts", SHY])
def test_bytes_pass_under_stalls_that_are_shorter_than_a_byte(feed: str, drain: str) -> None:
    assert run(Loop(4), DATA, len(DATA), feed=feed, drain=drain, quiet=20).taken == DATA


@pytest.mark.parametrize("divisor", [4, 7, 16])
def test_each_bit_lasts_the_divisor_and_bytes_follow_without_a_gap(divisor: int) -> None:
    dut, levels = UartSender(divisor), []

    async def bench(ctx: Any) -> None:
        async def watch(cycles: int) -> None:
            for _ in range(cycles):
                _, _, level = await ctx.tick().sample(dut.tx)
                levels.append(level)

        await watch(10)
        for byte in DATA:
            ctx.set(dut.i.payload, byte)
            ctx.set(dut.i.valid, 1)
            while True:
                _, _, level, ready = await ctx.tick().sample(dut.tx, dut.i.ready)
                levels.append(level)
                if ready:
                    break
        ctx.set(dut.i.valid, 0)
        await watch(20 * divisor)

    simulate(dut, bench)
    begin = levels.index(0)
    bits = [bit for byte in DATA for bit in frame(byte) for _ in range(divisor)]
    assert levels[begin : begin + len(bits)] == bits
    assert set(levels[:begin] + levels[begin + len(bits) :]) == {1}


def test_the_mean_rate_of_a_fractional_divisor_is_exact() -> None:
    divisor, count = Fraction(100, 3), 32
    seen = run(Loop(divisor), [0x55] * count, count)
    # The first byte finds the sender idle; each of the next ones is taken in the last cycle of
    # the one before.
    assert seen.fed_at[-1] - seen.fed_at[1] == divisor * 10 * (count - 2)


def test_a_divisor_with_many_digits_is_rounded_and_bytes_pass() -> None:
    assert run(Loop(Fraction(133_333_333, 12_000_000)), DATA, len(DATA)).taken == DATA


@pytest.mark.parametrize("offset", [0.0, 0.3, 0.7])
@pytest.mark.parametrize("error", [-0.03, -0.01, 0.01, 0.03])
@pytest.mark.parametrize("divisor", [8, Fraction(100, 3)])
def test_a_sender_that_is_off_by_three_percent_is_understood(
    divisor: Fraction | int, error: float, offset: float
) -> None:
    bits = [bit for byte in DATA for bit in frame(byte)]
    assert received(sampled(bits, float(divisor) * (1 + error), offset), divisor) == DATA


def test_a_glitch_is_no_start_bit() -> None:
    line = [*[0] * 3, *[1] * 40, *sampled(frame(0x5A), 8)]
    assert received(line, 8) == [0x5A]


def test_a_byte_without_stop_bit_is_dropped_and_the_line_must_rest_before_the_next() -> None:
    broken = sampled([*frame(0x33)[:-1], 0], 8)
    assert received([*broken, *[0] * 200, *[1] * 8, *sampled(frame(0x5A), 8)], 8) == [0x5A]


def test_a_byte_that_nobody_takes_stays_and_the_next_is_lost() -> None:
    line = [level for byte in (0x11, 0x22, 0x33) for level in sampled(frame(byte), 8)]
    assert received(line, 8, eager=False) == [0x11]


# Amaranth warns of components that nobody uses, here of those that were not finished.
@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
@pytest.mark.parametrize("divisor", [3, 0, -1, Fraction(7, 2)])
@pytest.mark.parametrize("make", [Uart, UartSender, UartReceiver])
def test_too_few_cycles_per_bit_are_refused(make: Any, divisor: Fraction | int) -> None:
    with pytest.raises(ValueError, match=f"at least {DIVISOR_MIN} cycles per bit, not {divisor}"):
        make(divisor)
    gc.collect()
