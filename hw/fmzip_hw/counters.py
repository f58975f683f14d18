"""The DRAM bandwidth counter: events, counted in parallel, read as one consistent snapshot."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from fmzip.regs import COUNTER_BITS, COUNTERS

EVENT_BITS = 11  # largest amount that one cycle adds: the bytes of a row


class Counters(wiring.Component):
    """One counter per entry of ``fmzip.regs.COUNTERS``; each saturates and then sets ``overflow``.

    An event is counted two cycles after it is given.

    Members
    -------
    events : In, amount to add in this cycle, by name
    snapshot : In(1), copy all counters to ``values``
    clear : In(1), set counters and ``overflow`` to zero, behind a snapshot in the same cycle
    values : Out(48) each, by name
    overflow : Out(1), a counter has saturated
    """

    def __init__(self) -> None:
        names = [name for name, _ in COUNTERS]
        super().__init__({
            "events": In(wiring.Signature({n: Out(EVENT_BITS) for n in names})),
            "values": Out(wiring.Signature({n: Out(COUNTER_BITS) for n in names})),
            "snapshot": In(1),
            "clear": In(1),
            "overflow": Out(1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        fulls = []
        for name, _ in COUNTERS:
            event = Signal(EVENT_BITS, name=f"event_{name}")
            count = Signal(COUNTER_BITS, name=f"count_{name}")
            total = Signal(COUNTER_BITS + 1, name=f"total_{name}")
            m.d.comb += total.eq(count + event)
            m.d.sync += event.eq(getattr(self.events, name))
            # A cycle late: the carry is at hand at its end.
            full = Signal(name=f"full_{name}")
            m.d.sync += count.eq(Mux(full, (1 << COUNTER_BITS) - 1, total))
            with m.If(total[-1]):
                m.d.sync += full.eq(1)
            fulls.append(full)
            with m.If(self.snapshot):
                m.d.sync += getattr(self.values, name).eq(count)
            with m.If(self.clear):
                # What arrives in this cycle belongs to the time behind the snapshot.
                m.d.sync += [count.eq(event), full.eq(0)]
        with m.If(Cat(fulls).any()):
            m.d.sync += self.overflow.eq(1)
        with m.If(self.clear):
            m.d.sync += self.overflow.eq(0)
        return m
