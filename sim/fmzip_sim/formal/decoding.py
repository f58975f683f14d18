"""The way back: fields come out as they lie in the words, and no frame stops the parser."""

from typing import Any

from amaranth.asserts import AnyConst
from amaranth.hdl import Assert, Assume, Module, Mux, ResetSignal, Signal
from amaranth.lib import wiring

from fmzip_sim.formal.streams import free, surround

_COUNT_BITS = 6


class EveryField(wiring.Component):
    """Around a ``FieldUnpacker``: bit number n of the first section comes out in its field.

    Where its words are there and its fields are taken, one comes within ``patience`` cycles.
    """

    def __init__(self, dut: Any, word_bits: int, patience: int):
        self._dut, self._word_bits, self._patience = dut, word_bits, patience
        super().__init__({})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.dut = dut = self._dut
        surround(m, dut, constant=("length", "count_payload"))
        number, length = Signal(_COUNT_BITS), dut.length
        read, written = Signal(_COUNT_BITS), Signal(_COUNT_BITS)  # bits of words, and of fields
        fields, asked = Signal.like(dut.count.payload), Signal()
        bit, known = Signal(), Signal()
        waits = Signal(range(self._patience + 2))
        m.d.comb += [
            number.eq(AnyConst(_COUNT_BITS)),
            Assume((length >= 2) & (length <= len(dut.o.payload))),
            Assume(dut.count.payload * length < 1 << _COUNT_BITS),
            Assume(~asked | ~dut.count.valid),  # one section
            Assume(read < (1 << _COUNT_BITS) - self._word_bits),
        ]
        with m.If(dut.count.valid & dut.count.ready):
            m.d.sync += asked.eq(1)
        with m.If(dut.i.valid & dut.i.ready):
            m.d.sync += read.eq(read + self._word_bits)
            with m.If((number >= read) & (number - read < self._word_bits)):
                place = (number - read)[: (self._word_bits - 1).bit_length()]
                m.d.sync += [bit.eq(dut.i.payload.bit_select(place, 1)), known.eq(1)]
        with m.If(dut.o.valid):
            inside = (number >= written) & (number - written < length)
            found = dut.o.payload.bit_select((number - written)[:2], 1)
            m.d.comb += [
                Assert(asked & (fields < dut.count.payload)),
                Assert(~inside | (known & (found == bit))),
            ]
            with m.If(dut.o.ready):
                m.d.sync += [written.eq(written + length), fields.eq(fields + 1)]
        ready = asked & (fields != dut.count.payload) & dut.i.valid & ~dut.o.valid
        m.d.sync += waits.eq(Mux(ready, waits + (waits <= self._patience), 0))
        m.d.comb += Assert(waits <= self._patience)
        return m


class NeverHangs(wiring.Component):
    """Around a ``FrameParser``: of any words it takes one within ``patience`` cycles, or ends.

    Words are offered and taken in every cycle.
    """

    def __init__(self, dut: Any, patience: int):
        self._dut, self._patience = dut, patience
        super().__init__({})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.dut = dut = self._dut
        m.d.comb += Assume(~ResetSignal())
        free(m, dut, constant=("head",))
        waits = Signal(range(self._patience + 2))
        m.d.comb += [
            Assume(dut.i.valid),
            Assume(dut.o.ready),
            Assume(~dut.start | dut.done),
        ]
        still = ~dut.done & ~dut.i.ready
        m.d.sync += waits.eq(Mux(still, waits + (waits <= self._patience), 0))
        m.d.comb += Assert(waits <= self._patience)
        return m
