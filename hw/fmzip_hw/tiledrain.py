"""From complete tiles to words: which form is smaller, how long it is, and putting it out."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from fmzip.format import BLOCK
from fmzip_hw.layout import beats_per_block, word_layout
from fmzip_hw.pipeline import register, register_flag
from fmzip_hw.sectionmemory import SectionMemory
from fmzip_hw.stream import CreditFifo


def plan_layout(count: range) -> data.StructLayout:
    """How a tile is put out: words of each section, and with padding, and of all."""
    sizes = {"widths": count, "bitmaps": count, "values": count, "raw": count}
    return data.StructLayout({
        "is_raw": 1,
        "used": data.StructLayout(sizes),  # words that the sections hold
        "value_words": count,  # as they are put out, two of a stored one
        "padded": data.StructLayout({"widths": count, "bitmaps": count}),  # to 64 bits
        "total": count,  # all of it, padded to the burst
    })  # fmt: skip


class Judge(wiring.Component):
    """Decides between coded and raw, and adds up sizes; one tile at a time, in five cycles."""

    def __init__(self, lanes: int, count: range):
        self.lanes = lanes
        self._count = count
        super().__init__({
            "start": In(1),
            "widths": In(count),
            "bitmaps": In(count),
            "values": In(count),
            "raw": In(count),
            "half": In(1),
            "burst_log2": In(4),
            "o": Out(stream.Signature(plan_layout(count))),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan = self.o.payload
        coded, raw = Signal(self._count), Signal(self._count)
        values = Signal(self._count)
        burst_mask = Signal(self._count)
        per_section = beats_per_block(self.lanes) - 1  # words of a section unit, less one

        def up(value: Signal) -> Signal:
            return (value + per_section) & ~per_section

        m.d.sync += burst_mask.eq(((1 << self.burst_log2) - 1) >> ceil_log2(self.lanes))
        with m.FSM():
            with m.State("idle"), m.If(self.start):
                m.d.sync += [
                    plan.used.widths.eq(self.widths),
                    plan.used.bitmaps.eq(self.bitmaps),
                    plan.used.values.eq(self.values),
                    plan.used.raw.eq(self.raw),
                    plan.padded.widths.eq(up(self.widths)),
                    plan.padded.bitmaps.eq(up(self.bitmaps)),
                    plan.value_words.eq((self.values << 1) - self.half),
                    raw.eq(self.raw + burst_mask),
                ]
                m.next = "sum"
            with m.State("sum"):
                m.d.sync += [
                    coded.eq(plan.padded.widths + plan.padded.bitmaps),
                    values.eq(up(plan.value_words) + burst_mask),
                    raw.eq(raw & ~burst_mask),
                ]
                m.next = "total"
            with m.State("total"):
                m.d.sync += coded.eq(coded + values)
                m.next = "compare"
            with m.State("compare"):
                coded_bursts = coded & ~burst_mask
                is_raw = raw <= coded_bursts
                m.d.sync += [
                    plan.is_raw.eq(is_raw),
                    plan.total.eq(Mux(is_raw, raw, coded_bursts)),
                    self.o.valid.eq(1),
                ]
                m.next = "offer"
            with m.State("offer"), m.If(self.o.ready):
                m.d.sync += self.o.valid.eq(0)
                m.next = "idle"
        return m


class Drain(wiring.Component):
    """Reads the sections of a tile in order and puts out one word per cycle."""

    def __init__(self, lanes: int, count: range, sections: dict[str, SectionMemory]):
        self.lanes = lanes
        self._count = count
        self._sections = sections
        super().__init__({
            "i": In(stream.Signature(plan_layout(count))),
            "o": Out(stream.Signature(word_layout(lanes))),
            "done": Out(1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        word = BLOCK * self.lanes
        names = list(self._sections)  # widths, bitmaps, values, raw
        m.submodules.out = out = CreditFifo(word_layout(self.lanes), depth=16)
        wiring.connect(m, out.o, wiring.flipped(self.o))

        plan = Signal(plan_layout(self._count), reset_less=True)
        section = Signal(range(len(names)))
        left = Signal(self._count)  # words of the tile that are still to come
        section_left = Signal(self._count)  # of the section, padding included
        own_left = Signal(self._count)  # of the section, without padding
        own = Signal()  # own_left != 0
        odd = Signal()
        issue = Signal()
        whole = Signal()  # the word that is read is used up
        skip = Signal()  # the sections that will not be put out are dropped
        m.d.comb += out.reserve.eq(issue)
        m.d.sync += skip.eq(self.i.valid & self.i.ready)

        with m.FSM():
            with m.State("idle"):
                m.d.comb += self.i.ready.eq(1)
                m.d.sync += [
                    plan.eq(self.i.payload),
                    left.eq(self.i.payload.total),
                    section.eq(Mux(self.i.payload.is_raw, names.index("raw"), 0)),
                ]
                with m.If(self.i.valid):
                    m.next = "enter"
            with m.State("enter"):
                m.d.sync += odd.eq(0)
                m.next = "run"
                with m.Switch(section):
                    for k, name in enumerate(names):
                        used = plan.value_words if name == "values" else plan.used[name]
                        # The last section takes what is left, the padding to the burst.
                        padded = plan.padded[name] if name in plan.padded.shape().members else left
                        with m.Case(k):
                            m.d.sync += [
                                own_left.eq(used),
                                own.eq(used != 0),
                                section_left.eq(padded),
                            ]
                with m.If((section == names.index("bitmaps")) & (plan.padded.bitmaps == 0)):
                    m.d.sync += section.eq(names.index("values"))
                    m.next = "enter"
            with m.State("run"):
                m.d.comb += [issue.eq(out.free), whole.eq(odd | (own_left == 1))]
                with m.If(issue):
                    m.d.sync += [
                        left.eq(left - 1),
                        section_left.eq(section_left - 1),
                        odd.eq(~odd),
                    ]
                    with m.If(own):
                        m.d.sync += [own_left.eq(own_left - 1), own.eq(own_left != 1)]
                    with m.If(left == 1):
                        m.d.comb += self.done.eq(1)
                        m.next = "idle"
                    with m.Elif(section_left == 1):
                        m.d.sync += section.eq(section + 1)
                        m.next = "enter"

        for k, (name, memory) in enumerate(self._sections.items()):
            reads = own & (section == k)
            m.d.comb += memory.select.eq(reads)
            m.d.comb += memory.drop.eq(issue & reads & (whole if name == "values" else 1))
            with m.If(skip & (plan.is_raw != (name == "raw"))):
                m.d.comb += memory.drop.eq(plan.used[name])

        # Memories that are not selected read as zero, so no multiplexer is needed.
        cycles = SectionMemory.read_latency
        values = self._sections["values"].read
        bits = Mux(register(m, odd, cycles), values[word:], values[:word])
        for name, memory in self._sections.items():
            if name != "values":
                bits = bits | memory.read
        m.d.sync += [
            out.put.eq(register_flag(m, issue, cycles)),
            out.payload.data.eq(bits),
            out.payload.last.eq(register(m, left == 1, cycles)),
            out.payload.raw.eq(register(m, plan.is_raw, cycles)),
        ]
        return m
