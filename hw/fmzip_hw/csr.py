"""The register file: the registers of ``fmzip.regs`` on the bus."""

from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from fmzip.regs import (
    COUNTER,
    COUNTER_BITS,
    COUNTERS,
    MAP,
    MAP_WORDS,
    REGISTER,
    REGISTERS,
    WORD_BYTES,
    Access,
)
from fmzip_hw.bus import WORD_SHIFT, Bus
from fmzip_hw.pipeline import register, register_flag


class RegisterFile(wiring.Component):
    """Registers as signals: the host's writes come out, its reads are answered three cycles later.

    A register has its value two cycles behind the one in which a write ends.

    An address behind the last register reads as zero. The counters, which are last, are in a memory
    of their own.

    Members
    -------
    bus : In(Bus)
    hold : In(1), accesses are not ended in this cycle
    counter, counter_value : number of a counter, and its value two cycles later
    r : In, the values of all registers that are read only, by name
    w : Out, the values of all registers that are written, by name; of a strobe, for one cycle
    written : Out(1) each, by name: ``w`` has changed in the cycle before
    """

    def __init__(self) -> None:
        sizes = {r.name: 32 * r.words for r in MAP}
        read = [r.name for r in MAP if r.access == Access.READ and r.name not in COUNTER]
        write = [r.name for r in MAP if r.access != Access.READ]
        super().__init__({
            "bus": In(Bus),
            "hold": In(1),
            "counter": Out(range(len(COUNTERS))),
            "counter_value": In(COUNTER_BITS),
            "r": In(wiring.Signature({name: Out(sizes[name]) for name in read})),
            "w": Out(wiring.Signature({name: Out(sizes[name]) for name in write})),
            "written": Out(wiring.Signature({name: Out(1) for name in write})),
        })  # fmt: skip

    def _value(self, name: str) -> Value:
        if REGISTER[name].access == Access.READ:
            return Value.cast(getattr(self.r, name))
        return Value.cast(getattr(self.w, name))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bus = self.bus
        address = bus.address[WORD_SHIFT : WORD_SHIFT + (MAP_WORDS - 1).bit_length()]
        inside = Signal()  # a cycle late, and an access takes longer
        m.d.sync += inside.eq(bus.address < WORD_BYTES * MAP_WORDS)
        words: list[Value] = []
        write, data = Signal(), register(m, bus.data)
        m.d.comb += write.eq(bus.valid & bus.write & bus.ack & inside)
        first = (REGISTER[COUNTERS[0].name].address - REGISTERS) // WORD_BYTES
        for entry in MAP[: -len(COUNTERS)]:
            value = self._value(entry.name)
            for k in range(entry.words):
                number = (entry.address - REGISTERS) // WORD_BYTES + k
                words.append(value[32 * k : 32 * k + 32])
                if entry.access == Access.READ:
                    continue
                # Both a cycle late: an access takes longer.
                here = register_flag(m, write & register(m, address == number))
                with m.If(here):
                    m.d.sync += value[32 * k : 32 * k + 32].eq(data)
                if entry.access == Access.STROBE:
                    with m.Else():
                        m.d.sync += value[32 * k : 32 * k + 32].eq(0)
                if k == entry.words - 1:
                    m.d.sync += getattr(self.written, entry.name).eq(here)
        # Two steps, so that no path goes through a multiplexer of all words.
        columns = 8
        rows = [words[n : n + columns] for n in range(0, len(words), columns)]
        row = Signal(32 * columns)
        wait = Signal(range(4))
        with m.Switch(address[3:]):
            for n, cells in enumerate(rows):
                with m.Case(n):
                    m.d.sync += row.eq(Cat(cells))
            with m.Default():
                m.d.sync += row.eq(0)
        counted = Signal(len(address))  # word of a counter
        in_counters = Signal()
        m.d.sync += in_counters.eq(address >= first)
        m.d.comb += [
            counted.eq(address - first),
            self.counter.eq(counted[1:]),
            bus.ack.eq(bus.valid & (wait == 3) & ~self.hold),
        ]
        with m.If(~inside):
            m.d.sync += bus.read.eq(0)
        with m.Elif(in_counters):
            value = Cat(self.counter_value, Const(0, 64 - COUNTER_BITS))
            m.d.sync += bus.read.eq(value.word_select(counted[0], 32))
        with m.Else():
            m.d.sync += bus.read.eq(row.word_select(address[:3], 32))
        with m.If(bus.ack | ~bus.valid):
            m.d.sync += wait.eq(0)
        with m.Elif(wait != 3):
            m.d.sync += wait.eq(wait + 1)
        return m
