"""The board's inner bus: 32-bit words, one access at a time; and the host's way to the memory."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from fmzip.regs import PORT_BYTES, WINDOW_BYTES, WORD_BYTES
from fmzip_hw.memport import MemoryPort

WINDOW_BITS = exact_log2(WINDOW_BYTES)
WORD_SHIFT = exact_log2(WORD_BYTES)

# An access is held, with ``valid``, until the cycle in which ``ack`` is high; ``read`` is valid in
# that cycle.
Bus = wiring.Signature({
    "address": Out(32),  # in bytes
    "write": Out(1),
    "data": Out(32),
    "valid": Out(1),
    "ack": In(1),
    "read": In(32),
})  # fmt: skip


class BusSplitter(wiring.Component):
    """Selects a window by the upper four address bits; an address outside all reads as zero.

    Parameters
    ----------
    windows : first address of each

    Members
    -------
    bus : In(Bus)
    windows : Out(Bus) each
    """

    def __init__(self, windows: list[int]):
        self._starts = windows
        super().__init__({"bus": In(Bus), "windows": Out(Bus).array(len(windows))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bus = self.bus
        with m.Switch(bus.address[WINDOW_BITS:]):
            for k, start in enumerate(self._starts):
                with m.Case(start >> WINDOW_BITS):
                    m.d.comb += [
                        self.windows[k].valid.eq(bus.valid),
                        bus.ack.eq(self.windows[k].ack),
                        bus.read.eq(self.windows[k].read),
                    ]
            with m.Default():
                m.d.comb += bus.ack.eq(1)
        for window in self.windows:
            m.d.comb += [
                window.address.eq(bus.address[:WINDOW_BITS]),
                window.write.eq(bus.write),
                window.data.eq(bus.data),
            ]
        return m


class HostMemory(wiring.Component):
    """The host's accesses to the memory, for checks: pairs of words, the one at 8 k first.

    The first read of a pair fetches both halves, the second write of a pair stores both.

    Members
    -------
    bus : In(Bus)
    port : Out(MemoryPort)
    """

    def __init__(self) -> None:
        super().__init__({"bus": In(Bus), "port": Out(MemoryPort)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bus, port = self.bus, self.port
        lower, upper = Signal(32), Signal(32)
        second = bus.address[WORD_SHIFT]
        m.d.comb += [
            port.request.payload.address.eq(bus.address >> exact_log2(PORT_BYTES)),
            port.request.payload.words.eq(1),
            port.request.payload.write.eq(bus.write),
            port.w.payload.eq(Cat(lower, bus.data)),
        ]
        with m.FSM():
            with m.State("idle"), m.If(bus.valid):
                with m.If(second == bus.write):  # a whole word goes to or comes from the memory
                    m.d.comb += port.request.valid.eq(1)
                    with m.If(port.request.ready):
                        m.next = "move"
                with m.Else():
                    m.d.comb += [bus.ack.eq(1), bus.read.eq(upper)]
                    with m.If(bus.write):
                        m.d.sync += lower.eq(bus.data)
            with m.State("move"):
                m.d.comb += [port.w.valid.eq(bus.write), port.r.ready.eq(~bus.write)]
                m.d.comb += bus.read.eq(port.r.payload[:32])
                with m.If((port.w.valid & port.w.ready) | (port.r.valid & port.r.ready)):
                    m.d.comb += bus.ack.eq(1)
                    m.d.sync += upper.eq(port.r.payload[32:])
                    m.next = "idle"
        return m
