"""What the bandwidth counter needs and nobody else knows: read latency, and activity of DQ."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from fmzip.regs import DQ_BITS, LATENCY_BINS, LATENCY_MAX
from fmzip_hw.memport import ROW_WORDS
from fmzip_hw.pipeline import register, register_flag

_OUTSTANDING = 32  # read requests whose words have not come: fewer than any memory here takes


class LatencyMeter(wiring.Component):
    """Cycles from a read request to the first of its words, as the memory port's user sees them.

    Members
    -------
    asked, words : In, a read request of so many words is accepted in this cycle
    came : In(1), a word that was read is taken in this cycle
    counted : In(1), the word belongs to a request that counts
    latency : Out(16), of the request whose first word came three cycles ago; 0 for none
    bins : Out, one bit for each of the histogram's bins
    """

    def __init__(self) -> None:
        super().__init__({
            "asked": In(1),
            "words": In(range(ROW_WORDS + 1)),
            "came": In(1),
            "counted": In(1),
            "latency": Out(LATENCY_MAX.bit_length()),
            "bins": Out(len(LATENCY_BINS) + 1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        size = len(self.latency)
        note = data.StructLayout({"time": size + 1, "words": range(ROW_WORDS + 1)})
        m.submodules.notes = notes = SyncFIFO(width=note.size, depth=_OUTSTANDING)
        now = Signal(size + 1)
        left = Signal(range(ROW_WORDS + 1))  # words of the request under way
        oldest = data.View(note, notes.r_data)
        first = Signal()
        asked, words = register_flag(m, self.asked), register(m, self.words)
        came, counted = register_flag(m, self.came), register(m, self.counted)
        m.d.sync += now.eq(now + 1)
        m.d.comb += [
            notes.w_data.eq(Cat(now, words)),
            notes.w_en.eq(asked),
            first.eq(came & (left == 0)),
            notes.r_en.eq(first),
        ]
        with m.If(first):
            m.d.sync += left.eq(oldest.words - 1)
        with m.Elif(came):
            m.d.sync += left.eq(left - 1)
        took = register(m, (now - oldest.time)[: size + 1])
        valid = register_flag(m, first & counted)
        short = Mux(took[-1], LATENCY_MAX, took[:-1])
        m.d.sync += self.latency.eq(Mux(valid, short, 0))
        starts, ends = (0, *LATENCY_BINS), (*LATENCY_BINS, LATENCY_MAX + 1)
        for k, (start, end) in enumerate(zip(starts, ends, strict=True)):
            m.d.sync += self.bins[k].eq(valid & (short >= start) & (short < end))
        return m


class DqMeter(wiring.Component):
    """Toggles and ones of the data bus, beat by beat, reads and writes in the order of the bus.

    Members
    -------
    write, w_beat : In, a beat is written in this cycle, and what it is
    read, r_beat : In, a beat was read; not in the cycle of one that is written
    w_counted, r_counted : In(1), the beat counts; one that does not is the next one's past, too
    write_toggles, write_ones, read_toggles, read_ones : Out(5), three cycles later
    """

    def __init__(self) -> None:
        amount = range(DQ_BITS + 1)
        super().__init__({
            "write": In(1),
            "w_beat": In(DQ_BITS),
            "read": In(1),
            "r_beat": In(DQ_BITS),
            "w_counted": In(1),
            "r_counted": In(1),
            **{f"{w}_{n}": Out(amount) for w in ("write", "read") for n in ("toggles", "ones")},
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        beat, before = Signal(DQ_BITS), Signal(DQ_BITS)
        m.d.comb += beat.eq(Mux(self.write, self.w_beat, self.r_beat))
        with m.If(self.write | self.read):
            m.d.sync += before.eq(beat)
        counted = {
            "write": register_flag(m, self.write & self.w_counted, 2),
            "read": register_flag(m, self.read & ~self.write & self.r_counted, 2),
        }
        for name, lines in (("toggles", beat ^ before), ("ones", beat)):
            # In two steps: the ones of each four lines, and their sum.
            lines = register(m, lines)
            parts = [register(m, _ones(lines[k : k + 4])) for k in range(0, DQ_BITS, 4)]
            total = (parts[0] + parts[1]) + (parts[2] + parts[3])
            for which, flag in counted.items():
                m.d.sync += getattr(self, f"{which}_{name}").eq(Mux(flag, total, 0))
        return m


def _ones(lines: Value) -> Value:
    return (lines[0] + lines[1]) + (lines[2] + lines[3])
