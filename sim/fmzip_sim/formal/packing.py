"""The bit packer: it writes what a packer writes that is too slow to be built."""

from typing import Any

from amaranth.hdl import Assert, Assume, Cat, Module, Mux, ResetSignal, Signal
from amaranth.lib import wiring

from fmzip_hw.pipeline import register, register_flag
from fmzip_sim.formal.inner import opened, signals
from fmzip_sim.formal.streams import free


class SameWords(wiring.Component):
    """Around a ``BitPacker`` with units of one bit: fields one behind the other, and no bit else.

    Beside it fields are appended in one cycle, and what is written then is compared. Induction
    needs the state of both, as far apart as the packer's latency.
    """

    def __init__(self, dut: Any):
        self.dut = dut
        super().__init__({})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        dut = self.dut
        m.submodules.dut = inside = opened(dut)
        m.d.comb += Assume(~ResetSignal())
        free(m, dut)
        # At most so many bits are held, the lowest first.
        held, count = Signal(dut.word_bits), Signal(dut.residue.shape())
        ending, began = Signal(), Signal(2)
        m.d.sync += [ending.eq(dut.i_last), began.eq(Cat(dut.i_last, began[0]))]
        m.d.comb += [
            Assume(dut.i_length <= dut.field_bits),
            Assume(dut.i_bits >> dut.i_length == 0),
            Assume(~began.any() | ~(dut.i_valid | dut.i_last)),
        ]
        field = Mux(dut.i_valid, dut.i_bits, 0)
        joined = Signal(2 * dut.word_bits)
        total = Signal(len(count) + 1)
        full = total[-1]
        m.d.comb += [
            joined.eq(held | (field << count)),
            total.eq(count + Mux(dut.i_valid, dut.i_length, 0)),
        ]
        m.d.sync += [
            held.eq(Mux(ending, 0, Mux(full, joined[dut.word_bits :], joined))),
            count.eq(Mux(ending, 0, total)),
        ]
        # What is written now, and the word of the packer.
        latency = dut.latency
        valid = register_flag(m, Mux(ending, count != 0, full), latency)
        word = register(m, joined[: dut.word_bits], latency)
        m.d.comb += [
            Assert(dut.o_valid == valid),
            Assert(~valid | (dut.o_bits == word)),
            Assert(dut.done == register_flag(m, ending, latency)),
            Assert(~dut.done | (dut.residue == register(m, count, latency))),
        ]
        own = signals(inside)
        m.d.comb += [
            Assert(own["position"] == Mux(ending, 0, count)),
            Assert(Mux(own["fresh"], 0, own["held"]) == register(m, held, latency - 1)),
        ]
        return m
