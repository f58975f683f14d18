"""The decoder of the coder HUFFMAN: words of a frame's tiles in, values in wire order out."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from fmzip.format import BLOCK, COMPONENT_BITS, Dtype
from fmzip.regs import ProjectionKind
from fmzip_hw.huffread import HuffmanReader
from fmzip_hw.layout import HeadLayout, beat_layout, word_layout
from fmzip_hw.memory import BlockFifo, BlockRam
from fmzip_hw.pipeline import register, register_flag
from fmzip_hw.project import INPUT, RESULT, ProjectionEngine
from fmzip_hw.projectpositions import PositionSequencer, is_square
from fmzip_hw.projectsize import ProjectionSize
from fmzip_hw.projecttables import ProjectionWrite
from fmzip_hw.sequence import blocks_per_pixel

_SPARE = 8  # beats of the output's FIFO that are under way


class PositionSymbols(wiring.Component):
    """Holds the symbols of two positions: one is filled, the other one is read.

    Parameters
    ----------
    values : symbols of a position, at most; a power of two

    Members
    -------
    start : In(1), begin a frame
    free : Out(1), another position may be filled; begin : In(1), it will be; mark : In(1), with it
    i_valid, i, i_index : In, a symbol; i_last : In(1), the position's last one
    there : Out(1), a position can be read; o_mark : Out(1), what came with it
    taken : In(1), its reading begins; release : In(1), it ends
    address : In, a symbol of it; ``o`` : Out(11), ``read_latency`` cycles later
    """

    read_latency = ProjectionEngine.read_latency

    def __init__(self, values: int):
        self._values = values
        super().__init__({
            "start": In(1),
            "free": Out(1),
            "begin": In(1),
            "mark": In(1),
            "i_valid": In(1),
            "i": In(RESULT),
            "i_index": In(range(values)),
            "i_last": In(1),
            "there": Out(1),
            "o_mark": Out(1),
            "taken": In(1),
            "release": In(1),
            "address": In(range(values)),
            "o": Out(INPUT),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.memory = memory = BlockRam(COMPONENT_BITS, 2 * self._values)
        begin_page, page, begun_page, read_page = (Signal(name=n) for n in (
            "begin_page", "page", "begun_page", "read_page"))  # fmt: skip
        used, full, begun, marks = (Signal(2, name=n) for n in ("used", "full", "begun", "marks"))
        m.d.comb += [
            self.free.eq(~used.bit_select(begin_page, 1)),
            memory.w_en.eq(self.i_valid),
            memory.w_addr.eq(Cat(self.i_index, page)),
            memory.w_data.eq(self.i),
            memory.r_en.eq(1),
            memory.r_next.eq(1),
            memory.r_addr.eq(Cat(self.address, read_page)),
            self.there.eq((full & ~begun).bit_select(begun_page, 1)),
            self.o_mark.eq(marks.bit_select(begun_page, 1)),
            self.o.eq(register(m, memory.r_data.as_signed())),
        ]
        with m.If(self.begin):
            m.d.sync += [used.bit_select(begin_page, 1).eq(1), begin_page.eq(~begin_page)]
            m.d.sync += marks.bit_select(begin_page, 1).eq(self.mark)
        with m.If(self.i_valid & self.i_last):
            m.d.sync += [full.bit_select(page, 1).eq(1), page.eq(~page)]
        with m.If(self.taken):
            m.d.sync += [begun.bit_select(begun_page, 1).eq(1), begun_page.eq(~begun_page)]
        with m.If(self.release):
            for flags in (used, full, begun):
                m.d.sync += flags.bit_select(read_page, 1).eq(0)
            m.d.sync += read_page.eq(~read_page)
        with m.If(self.start):
            m.d.sync += [used.eq(0), full.eq(0), begun.eq(0)]
            m.d.sync += [begin_page.eq(0), page.eq(0), begun_page.eq(0), read_page.eq(0)]
        return m


class BeatGather(wiring.Component):
    """Values one by one, in wire order, into beats. Latency ``latency`` cycles, never stalls.

    Members
    -------
    head : In(HeadLayout), constant from ``start`` on
    start : In(1), begin a frame
    i_valid, i : In, a value less the zero point, not yet clamped
    i_last : In(1), the position's last one; i_mark : In(1), of the tile's last position
    put : Out(1), a beat; o : Out(beat_layout)
    """

    latency = 4

    head: In(HeadLayout)
    start: In(1)
    i_valid: In(1)
    i: In(RESULT)
    i_last: In(1)
    i_mark: In(1)
    put: Out(1)
    o: Out(beat_layout(BLOCK))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        head = self.head
        is_signed = register(m, head.dtype == Dtype.INT8)
        zero = register(m, Cat(head.zero_point, head.zero_point[-1] & is_signed).as_signed())
        wide = register(m, self.i + zero)
        low = register(m, Mux(is_signed, -128, 0))
        high = register(m, Mux(is_signed, 127, 255))
        byte = register(m, Mux(wide < low, low, Mux(wide > high, high, wide))[:8])
        valid = register_flag(m, self.i_valid, 2)
        last, mark = register(m, self.i_last, 2), register(m, self.i_last & self.i_mark, 2)
        # Only positions of one pixel may end with a beat that is not full.
        lane = Signal(range(BLOCK))
        beat = Signal(8 * BLOCK, reset_less=True)
        keep = Signal(BLOCK)
        ends = valid & (last | (lane == BLOCK - 1))
        with m.If(valid):
            m.d.sync += [
                beat.word_select(lane, 8).eq(byte),
                keep.eq(Mux(lane == 0, 1, (keep << 1) | 1)),
                lane.eq(Mux(last, 0, lane + 1)),
            ]
        with m.If(self.start):
            m.d.sync += lane.eq(0)
        m.d.comb += [
            self.put.eq(register_flag(m, register_flag(m, ends))),
            Cat(self.o.data).eq(register(m, beat)),
            self.o.keep.eq(register(m, keep)),
            self.o.last.eq(register(m, mark, 2)),
        ]
        return m


class ProjectionDecoder(wiring.Component):
    """Decodes a feature map: the tiles of ``fmzip.reference.projframe``.

    As fast as its multipliers, see ``ProjectionEngine``, or as the symbols come, see
    ``HuffmanReader``. Damaged words cannot stop it: once as many tiles have come as the shape has,
    it has put out as many beats. Limits are those of ``ProjectionEncoder``.

    Parameters
    ----------
    size : how large it is built

    Members
    -------
    head : In(HeadLayout), configuration; page : In(1); constant from ``start`` until the last beat
        has left
    write : In(ProjectionWrite), to the page that is not in use
    start : In(1), begin a frame
    i : In(stream of word_layout), the words of each tile, padding included
    o : Out(stream of beat_layout), values in wire order, position by position; a pixel's last beat
        may have fewer values. Pixels that a position lacks are there, too
    broken : Out(1), a tile did not end as it must; from then until the next ``start``
    """

    lanes = BLOCK

    def __init__(self, size: ProjectionSize) -> None:
        self._values = size.values
        self._engine = ProjectionEngine(size, ProjectionKind.INVERSE_BASE)
        super().__init__({
            "head": In(HeadLayout),
            "page": In(1),
            "write": In(ProjectionWrite),
            "start": In(1),
            "i": In(stream.Signature(word_layout(BLOCK))),
            "o": Out(stream.Signature(beat_layout(BLOCK))),
            "broken": Out(1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.sequencer = sequencer = PositionSequencer()
        m.submodules.reader = reader = HuffmanReader(self._values)
        m.submodules.symbols = symbols = PositionSymbols(self._values)
        m.submodules.engine = engine = self._engine
        m.submodules.gather = gather = BeatGather()
        depth = 4 * self._values // BLOCK
        m.submodules.out = out = BlockFifo(beat_layout(BLOCK), depth)
        wiring.connect(m, wiring.flipped(self.i), reader.i)
        wiring.connect(m, out.o, wiring.flipped(self.o))
        for part in (sequencer, reader, symbols, engine, gather):
            m.d.comb += part.start.eq(self.start)
        for part in (sequencer, reader, gather):
            m.d.comb += part.head.eq(self.head)
        for part in (reader, engine):
            m.d.comb += [part.page.eq(self.page), part.write.eq(self.write)]

        begin, last = Signal(), Signal()
        m.d.comb += begin.eq(
            reader.idle & sequencer.valid & symbols.free & ~register_flag(m, begin)
        )
        with m.If(begin):
            m.d.sync += last.eq(sequencer.last)
        room = self._room(m, depth, engine.taken, self.o.valid & self.o.ready)
        m.d.comb += [
            sequencer.step.eq(begin),
            reader.go.eq(begin),
            reader.last.eq(last),
            symbols.begin.eq(begin),
            symbols.mark.eq(sequencer.last),
            symbols.i_valid.eq(reader.o_valid),
            symbols.i.eq(reader.o),
            symbols.i_index.eq(reader.o_index),
            symbols.i_last.eq(reader.o_last),
            engine.there.eq(symbols.there & room),
            engine.mark.eq(symbols.o_mark),
            symbols.taken.eq(engine.taken),
            symbols.release.eq(engine.release),
            symbols.address.eq(engine.address),
            engine.input.eq(symbols.o),
            gather.i_valid.eq(engine.o_valid),
            gather.i.eq(engine.o),
            gather.i_last.eq(engine.o_last),
            gather.i_mark.eq(engine.o_mark),
            out.i.valid.eq(gather.put),
            out.i.payload.eq(gather.o),
            self.broken.eq(reader.broken),
        ]
        return m

    def _room(self, m: Module, depth: int, taken: Value, left: Value) -> Signal:
        """Whether the beats of another position fit into the output's FIFO."""
        per_pixel = register(m, blocks_per_pixel(self.head))
        square = register(m, is_square(self.head))
        beats = register(m, Mux(square, per_pixel << 2, per_pixel))
        beats = beats[: exact_log2(self._values // BLOCK) + 1]
        reserved = Signal(range(depth + 1))
        room = Signal()
        more, less = register(m, Mux(taken, beats, 0)), register_flag(m, left)
        m.d.sync += reserved.eq(reserved + more - less)
        # Seen late, but a position takes as many cycles as there are multipliers.
        m.d.sync += room.eq(reserved + (beats + _SPARE) <= depth)
        with m.If(self.start):
            m.d.sync += reserved.eq(0)
        return room
