"""The bit packer: every bit of a section comes out once, where it belongs."""

from typing import Any

from amaranth.asserts import AnyConst
from amaranth.hdl import Assert, Assume, Module, ResetSignal, Signal
from amaranth.lib import wiring

from fmzip_sim.formal.streams import free

_COUNT_BITS = 8


class EveryBit(wiring.Component):
    """Around a ``BitPacker``: bit number n of the first section, whichever n is.

    At the end as many words have come out as hold the bits, and the bits behind the last are 0.
    """

    def __init__(self, dut: Any):
        self.dut = dut
        super().__init__({})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.dut = dut = self.dut
        m.d.comb += Assume(~ResetSignal())
        free(m, dut)
        number = Signal(_COUNT_BITS)
        taken, written = Signal(_COUNT_BITS), Signal(_COUNT_BITS)
        bit, known, ended = Signal(), Signal(), Signal()
        length = dut.i_length
        m.d.comb += [
            number.eq(AnyConst(_COUNT_BITS)),
            Assume(length <= dut.field_bits),
            Assume(dut.i_bits >> length == 0),
            Assume(~ended | ~(dut.i_valid | dut.i_last)),  # one section
        ]
        in_field, in_word = number - taken, number - written
        with m.If(dut.i_valid):
            m.d.sync += taken.eq(taken + length)
            with m.If((number >= taken) & (in_field < length)):
                m.d.sync += [bit.eq(dut.i_bits.bit_select(in_field[:4], 1)), known.eq(1)]
        with m.If(dut.i_last):
            m.d.sync += ended.eq(1)
        with m.If(dut.o_valid):
            m.d.sync += written.eq(written + dut.word_bits)
            with m.If((number >= written) & (in_word < dut.word_bits)):
                found = dut.o_bits.bit_select(in_word[:4], 1)
                m.d.comb += Assert(found == (bit & known))
        with m.If(dut.done):
            total = written + (dut.o_valid * dut.word_bits)
            m.d.comb += [Assert(total >= taken), Assert(total < taken + dut.word_bits)]
        # Never stalls: a word is not later than the latency.
        m.d.comb += Assert(written <= taken + dut.word_bits)
        return m
