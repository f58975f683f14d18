"""The register file: the registers of ``fmzip.regs`` on the bus."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from fmzip.regs import MAP, MAP_WORDS, REGISTER, REGISTERS, WORD_BYTES, Access
from fmzip_hw.bus import WORD_SHIFT, Bus


class RegisterFile(wiring.Component):
    """Registers as signals: the host's writes come out, its reads are answered two cycles later.

    An address behind the last register reads as zero.

    Members
    -------
    bus : In(Bus)
    r : In, the values of all registers that are read only, by name
    w : Out, the values of all registers that are written, by name; of a strobe, for one cycle
    written : Out(1) each, by name: ``w`` has changed in the cycle before
    """

    def __init__(self) -> None:
        sizes = {r.name: 32 * r.words for r in MAP}
        read = [r.name for r in MAP if r.access == Access.READ]
        write = [r.name for r in MAP if r.access != Access.READ]
        super().__init__({
            "bus": In(Bus),
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
        for register in MAP:
            value = self._value(register.name)
            for k in range(register.words):
                number = (register.address - REGISTERS) // WORD_BYTES + k
                words.append(value[32 * k : 32 * k + 32])
                if register.access == Access.READ:
                    continue
                here = bus.valid & bus.write & bus.ack & inside & (address == number)
                with m.If(here):
                    m.d.sync += value[32 * k : 32 * k + 32].eq(bus.data)
                if register.access == Access.STROBE:
                    with m.Else():
                        m.d.sync += value[32 * k : 32 * k + 32].eq(0)
                if k == register.words - 1:
                    m.d.sync += getattr(self.written, register.name).eq(here)
        # Two steps, so that no path goes through a multiplexer of all words.
        columns = 8
        rows = [words[n : n + columns] for n in range(0, len(words), columns)]
        row = Signal(32 * columns)
        wait = Signal(range(3))
        with m.Switch(address[3:]):
            for n, cells in enumerate(rows):
                with m.Case(n):
                    m.d.sync += row.eq(Cat(cells))
            with m.Default():
                m.d.sync += row.eq(0)
        m.d.comb += bus.ack.eq(bus.valid & (wait == 2))
        m.d.sync += bus.read.eq(Mux(inside, row.word_select(address[:3], 32), 0))
        with m.If(bus.valid & ~bus.ack):
            m.d.sync += wait.eq(wait + 1)
        with m.Else():
            m.d.sync += wait.eq(0)
        return m
