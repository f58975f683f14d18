"""The board's inner bus: 32-bit words, one access at a time; and the host's way to the memory."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
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

    An access waits in a register on its way, and so does the answer: three cycles more.

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
        going = Signal(len(self._starts) + 1)  # to each window; the last bit: to none
        address = Signal(WINDOW_BITS)
        data, write = Signal.like(bus.data), Signal()
        top = Signal(len(bus.address) - WINDOW_BITS)
        acks = Cat(Cat(window.ack for window in self.windows), Const(1))
        m.d.sync += bus.ack.eq((going & acks).any())
        idle = Signal(init=1)  # no access is going
        begins = Signal()  # one has come, and goes to its window
        m.d.sync += begins.eq(bus.valid & idle & ~begins & ~bus.ack)
        with m.If(idle):
            m.d.sync += [address.eq(bus.address), data.eq(bus.data), write.eq(bus.write)]
            m.d.sync += top.eq(bus.address[WINDOW_BITS:])
        with m.If(begins):
            m.d.sync += idle.eq(0)
            with m.Switch(top):
                for k, start in enumerate(self._starts):
                    with m.Case(start >> WINDOW_BITS):
                        m.d.sync += going.eq(1 << k)
                with m.Default():
                    m.d.sync += going.eq(1 << len(self._starts))
        with m.Elif((going & acks).any()):
            m.d.sync += [going.eq(0), idle.eq(1)]
        read: Value = Const(0, len(bus.read))
        for k, window in enumerate(self.windows):
            read = read | Mux(going[k], window.read, 0)
            m.d.comb += [
                window.valid.eq(going[k]),
                window.address.eq(address),
                window.write.eq(write),
                window.data.eq(data),
            ]
        m.d.sync += bus.read.eq(read)
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
