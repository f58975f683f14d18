"""Buffers of the encoder: a tile is held raw and coded until it is known which is smaller."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2, exact_log2

from fmzip.format import BLOCK
from fmzip_hw.layout import beats_per_block, check_lanes, word_layout
from fmzip_hw.memory import BlockRam
from fmzip_hw.pipeline import register, register_flag
from fmzip_hw.stream import CreditFifo, Slice

# What may still be on its way when a memory says that it has no room: beats in the pipeline.
_IN_FLIGHT = 24
_QUEUE = 2  # complete tiles that wait behind the one that is put out


class SectionMemory(wiring.Component):
    """Ring buffer for one section of several tiles, in words of its own size.

    Words beyond ``limit`` of a tile are dropped: such a tile will be stored raw.

    Parameters
    ----------
    width : bits of a word
    depth : words, a power of two
    limit : words of one tile that are kept

    Members
    -------
    write, bits : In, append a word
    end : In(1), the tile is complete; not with ``write``
    words : Out, words of the tile that ended last, from the cycle behind ``end``
    room : Out(1), what is in flight still fits
    select : In(1), read in this cycle
    read : Out(width), the word that was the oldest ``read_latency`` cycles ago if ``select`` was
        set, else 0
    drop : In, so many words are no longer needed: 1 behind each word that was read, or the words
        of a tile that is not read at all
    """

    read_latency = BlockRam.latency + 1

    def __init__(self, width: int, depth: int, limit: int):
        exact_log2(depth)
        self._width, self._depth, self._limit = width, depth, limit
        count = range(depth + 1)
        super().__init__({
            "write": In(1),
            "bits": In(width),
            "end": In(1),
            "words": Out(count),
            "room": Out(1, init=1),
            "select": In(1),
            "read": Out(width),
            "drop": In(count),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # Only complete tiles are read, so a word is never read while it is written.
        m.submodules.memory = memory = BlockRam(self._width, self._depth)
        # One bit more than the address: their difference is the number of words held.
        head = Signal.like(self.words)  # where the next word goes
        tail = Signal.like(self.words)  # the oldest word
        fill = Signal.like(self.words)
        count = Signal.like(self.words)  # words of the current tile
        at_limit = Signal()
        selected = register(m, self.select, memory.latency)
        kept = self.write & ~at_limit
        m.d.comb += [
            memory.w_addr.eq(head),
            memory.w_data.eq(self.bits),
            memory.w_en.eq(kept),
            memory.r_addr.eq(tail),
            memory.r_en.eq(1),
            memory.r_next.eq(1),
        ]
        m.d.sync += [
            tail.eq(tail + self.drop),
            fill.eq(head - tail),
            self.room.eq((fill <= self._depth - _IN_FLIGHT) | at_limit),
            self.read.eq(Mux(selected, memory.r_data, 0)),
        ]
        with m.If(kept):
            m.d.sync += [
                head.eq(head + 1),
                count.eq(count + 1),
                at_limit.eq(count == self._limit - 1),
            ]
        with m.If(self.end):
            m.d.sync += [self.words.eq(count), count.eq(0), at_limit.eq(0)]
        return m


class TileBuffer(wiring.Component):
    """Holds the sections of coded tiles and their raw values, and puts out the smaller of both.

    A tile is put out when it is complete: its words, padded to the burst. ``latency`` cycles pass
    from ``sections["values"].end`` to the first word. Tiles follow each other without a gap as
    long as they are no shorter than ``min_cycles``.

    Parameters
    ----------
    lanes : a word has 8 bits per lane
    ring_blocks : blocks that the ring buffers hold, a power of two; a tile may have 15/16 of it

    Members
    -------
    widths, bitmaps, values, raw : SectionMemory, for writing; raise ``end`` of ``values`` last
    half : In(1), with the end of ``values``: the last value word is at most half full
    burst_log2 : In(4), of the DRAM burst in bytes
    room : Out(1), another beat may enter the pipeline
    tile_taken : In(1), the last beat of a tile enters the pipeline
    full : Out(1), no further tile may begin
    o : Out(stream of word_layout)
    """

    latency = 9

    def __init__(self, lanes: int, ring_blocks: int):
        check_lanes(lanes)
        self.lanes = lanes
        beats = ring_blocks * beats_per_block(lanes)
        limit = beats * 15 // 16
        if beats // 32 < _IN_FLIGHT:
            raise ValueError(f"ring_blocks must be at least {32 * _IN_FLIGHT}")
        word = BLOCK * lanes
        self.widths = SectionMemory(word, max(64, beats // 8), beats // 8)
        self.bitmaps = SectionMemory(word, max(64, beats // 4), beats // 4)
        self.values = SectionMemory(2 * word, beats // 2, limit // 2)
        self.raw = SectionMemory(word, beats, beats)
        self._count = range(2 * beats)
        super().__init__({
            "half": In(1),
            "burst_log2": In(4),
            "room": Out(1),
            "tile_taken": In(1),
            "full": Out(1),
            "o": Out(stream.Signature(word_layout(lanes))),
        })  # fmt: skip

    @property
    def sections(self) -> dict[str, SectionMemory]:
        return {
            "widths": self.widths,
            "bitmaps": self.bitmaps,
            "values": self.values,
            "raw": self.raw,
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for name, section in self.sections.items():
            m.submodules[name] = section
        m.d.sync += self.room.eq(
            self.widths.room & self.bitmaps.room & self.values.room & self.raw.room
        )
        m.submodules.judge = judge = _Judge(self.lanes, self._count)
        m.submodules.queue = queue = Slice(judge.o.payload.shape())
        m.submodules.drain = drain = _Drain(self.lanes, self._count, self.sections)
        m.d.comb += [
            judge.start.eq(register_flag(m, self.values.end)),
            judge.widths.eq(self.widths.words),
            judge.bitmaps.eq(self.bitmaps.words),
            judge.values.eq(self.values.words),
            judge.raw.eq(self.raw.words),
            judge.half.eq(register(m, self.half)),
            judge.burst_log2.eq(self.burst_log2),
        ]
        tiles = Signal(range(_QUEUE + 2))  # taken, but not yet put out
        with m.If(self.tile_taken & ~drain.done):
            m.d.sync += tiles.eq(tiles + 1)
        with m.Elif(~self.tile_taken & drain.done):
            m.d.sync += tiles.eq(tiles - 1)
        m.d.comb += self.full.eq(tiles > _QUEUE)
        wiring.connect(m, judge.o, queue.i)
        wiring.connect(m, queue.o, drain.i)
        wiring.connect(m, drain.o, wiring.flipped(self.o))
        return m


def _plan_layout(count: range) -> data.StructLayout:
    """How a tile is put out: words of each section, and with padding, and of all."""
    sizes = {"widths": count, "bitmaps": count, "values": count, "raw": count}
    return data.StructLayout({
        "is_raw": 1,
        "used": data.StructLayout(sizes),  # words that the sections hold
        "value_words": count,  # as they are put out, two of a stored one
        "padded": data.StructLayout({"widths": count, "bitmaps": count}),  # to 64 bits
        "total": count,  # all of it, padded to the burst
    })  # fmt: skip


class _Judge(wiring.Component):
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
            "o": Out(stream.Signature(_plan_layout(count))),
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


class _Drain(wiring.Component):
    """Reads the sections of a tile in order and puts out one word per cycle."""

    def __init__(self, lanes: int, count: range, sections: dict[str, SectionMemory]):
        self.lanes = lanes
        self._count = count
        self._sections = sections
        super().__init__({
            "i": In(stream.Signature(_plan_layout(count))),
            "o": Out(stream.Signature(word_layout(lanes))),
            "done": Out(1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        word = BLOCK * self.lanes
        names = list(self._sections)  # widths, bitmaps, values, raw
        m.submodules.out = out = CreditFifo(word_layout(self.lanes), depth=16)
        wiring.connect(m, out.o, wiring.flipped(self.o))

        plan = Signal(_plan_layout(self._count), reset_less=True)
        section = Signal(range(len(names)))
        left = Signal(self._count)  # words of the tile that are still to come
        section_left = Signal(self._count)  # of the section, padding included
        own_left = Signal(self._count)  # of the section, without padding
        own = Signal()  # own_left != 0
        odd = Signal()
        issue = Signal()
        whole = Signal()  # the word that is read is used up
        skip = Signal()  # the sections that were not put out are dropped
        m.d.comb += out.reserve.eq(issue)
        m.d.sync += skip.eq(self.done)

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
