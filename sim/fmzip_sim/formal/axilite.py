"""Handshakes of an AXI4-Lite subordinate."""

from typing import Any

from amaranth.hdl import Assert, Assume, Cat, Module, ResetSignal, Signal
from amaranth.lib import wiring

from fmzip_sim.formal.streams import Stream, free, held

_ANSWER = 8  # cycles within which an access is answered whose target acknowledges at once


class Handshakes(wiring.Component):
    """Around an ``AxiLite``: what it offers is held, and each access has one answer.

    Offered responses and data are held; valid does not wait for ready; an answer comes only to an
    access, never more than one at a time is under way, and it comes within a bound.
    """

    def __init__(self, dut: Any, prefix: str):
        self.dut, self._prefix = dut, prefix
        super().__init__({})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.dut = dut = self.dut
        m.d.comb += Assume(~ResetSignal())
        free(m, dut)
        began = Signal()
        m.d.sync += began.eq(1)

        def channel(name: str, *payload: str, inward: bool) -> Stream:
            parts = [getattr(dut, f"{self._prefix}_{name}{p}") for p in payload]
            valid, ready = (getattr(dut, f"{self._prefix}_{name}{p}") for p in ("valid", "ready"))
            stream = Stream(name, Cat(parts), valid, ready, inward)
            held(m, stream, began, assume=inward)
            return stream

        address = channel("aw", "addr", "prot", inward=True)
        data = channel("w", "data", "strb", inward=True)
        answer = channel("b", "resp", inward=False)
        read = channel("ar", "addr", "prot", inward=True)
        found = channel("r", "data", "resp", inward=False)
        m.d.comb += Assume(~dut.write | dut.write_ack)  # the register file takes no time
        for name, asked, got in (("aw", address, answer), ("w", data, answer), ("ar", read, found)):
            open_ = Signal(2, name=f"{name}_open")
            came, left = asked.valid & asked.ready, got.valid & got.ready
            m.d.sync += open_.eq(open_ + came - left)
            m.d.comb += [Assert(open_ <= 1 + got.valid), Assert(~got.valid | (open_ != 0))]
        pairs = (("write", [address, data], answer), ("read", [read], found))
        for name, parts, got in pairs:
            waits = Signal(range(_ANSWER + 2), name=f"{name}_waits")
            wanted = Cat(part.valid for part in parts).all() & ~got.valid
            with m.If(wanted):
                m.d.sync += waits.eq(waits + 1)
            with m.Else():
                m.d.sync += waits.eq(0)
            m.d.comb += Assert(waits <= _ANSWER)
        return m
