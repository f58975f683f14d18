"""Positions of the coder HUFFMAN: counting them, and the values of one in front of its products."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from fmzip.format import BLOCK, Dtype, Transform
from fmzip_hw.layout import HeadLayout
from fmzip_hw.memory import BlockRam
from fmzip_hw.pipeline import register
from fmzip_hw.positions import WORD
from fmzip_hw.project import INPUT, ProjectionEngine
from fmzip_hw.sequence import TileWalker, blocks_per_pixel

_SIDE_BITS = 16
_SETTLE = 3


def is_square(head: Value) -> Value:
    """Positions have 2 x 2 pixels."""
    return head.transform == Transform.PROJECTION4


class PositionSequencer(wiring.Component):
    """Walks over the positions of a frame in wire order; some cycles pass between tiles.

    Members
    -------
    head : In(HeadLayout), constant from ``start`` on
    start : In(1), begin a frame
    hold : In(1), do not begin the next tile yet
    step : In(1), the position is done; only while ``valid``, not in two cycles in a row
    valid : Out(1), there is a position
    last : Out(1), it is the last one of its tile
    done : Out(1), no frame is under way
    """

    head: In(HeadLayout)
    start: In(1)
    hold: In(1)
    step: In(1)
    valid: Out(1)
    last: Out(1)
    done: Out(1)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.walker = walker = TileWalker(_SIDE_BITS)
        square = register(m, is_square(self.head))

        def positions(side: Value) -> Signal:
            return register(m, Mux(square, (side >> 1) + side[0], side))

        cols, rows = positions(walker.size.cols), positions(walker.size.rows)
        cols_left, rows_left = Signal(_SIDE_BITS), Signal(_SIDE_BITS)
        settling = Signal(range(_SETTLE + 1))
        one_col, one_row = cols_left == 1, rows_left == 1
        m.d.comb += [
            walker.head.eq(self.head),
            walker.start.eq(self.start),
            walker.step.eq(self.step & self.last),
            self.done.eq(walker.done),
        ]
        m.d.sync += self.last.eq(one_col & one_row)  # a step takes two cycles
        with m.If(self.start | ~walker.valid):
            m.d.sync += [settling.eq(0), self.valid.eq(0)]
        with m.Elif(self.step & self.last):
            m.d.sync += [settling.eq(0), self.valid.eq(0)]
        with m.Elif(self.step):
            m.d.sync += cols_left.eq(Mux(one_col, cols, cols_left - 1))
            with m.If(one_col):
                m.d.sync += rows_left.eq(rows_left - 1)
        with m.Elif(~self.valid):
            m.d.sync += [cols_left.eq(cols), rows_left.eq(rows)]
            with m.If(settling != _SETTLE):
                m.d.sync += settling.eq(settling + 1)
            with m.Elif(~self.hold):
                m.d.sync += self.valid.eq(1)
        return m


class PositionValues(wiring.Component):
    """Holds the values of two positions: one is filled beat by beat, the other one is read.

    A beat per cycle, but for a cycle behind each position.

    Parameters
    ----------
    values : of a position, at most; a power of two

    Members
    -------
    head : In(HeadLayout), constant from ``start`` on
    start : In(1), begin a frame
    hold : In(1), do not begin the next tile yet
    i : In(stream of 8 x 8), values in wire order; a pixel's last beat may have fewer
    take : Out, how many lanes of the next beat are values; the others are ignored
    done : Out(1), all values of the frame have been taken
    tile_taken : Out(1), strobe: all values of a tile have been taken
    there : Out(1), a position can be read; last : Out(1), it is its tile's last one
    taken : In(1), its reading begins; release : In(1), it ends
    address : In, a value of it; ``o`` : Out(11), less the zero point, ``read_latency`` later
    """

    read_latency = ProjectionEngine.read_latency

    def __init__(self, values: int):
        self._words = values // BLOCK
        exact_log2(self._words)
        super().__init__({
            "head": In(HeadLayout),
            "start": In(1),
            "hold": In(1),
            "i": In(stream.Signature(WORD)),
            "take": Out(range(BLOCK + 1)),
            "done": Out(1),
            "tile_taken": Out(1),
            "there": Out(1),
            "last": Out(1),
            "taken": In(1),
            "release": In(1),
            "address": In(range(values)),
            "o": Out(INPUT),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.sequencer = sequencer = PositionSequencer()
        m.submodules.memory = memory = BlockRam(8 * BLOCK, 2 * self._words)
        head = self.head
        tail = register(m, head.channels[: exact_log2(BLOCK)])
        per_pixel = register(m, blocks_per_pixel(head))
        last_of_pixel = register(m, per_pixel - 1)
        pixels = register(m, Mux(is_square(head), 3, 0))
        group, pixel, word = Signal.like(per_pixel), Signal(2), Signal(range(self._words))
        last_group = Signal()
        page, read_page, begun_page = Signal(), Signal(), Signal()
        full, lasts = Signal(2), Signal(2)
        begun = Signal(2)  # their reading has begun
        pause = Signal()
        beat, whole = Signal(), Signal()
        m.d.comb += [
            sequencer.head.eq(head),
            sequencer.start.eq(self.start),
            sequencer.hold.eq(self.hold),
            sequencer.step.eq(whole),
            self.done.eq(sequencer.done),
            last_group.eq(group == last_of_pixel),
            self.take.eq(Mux(last_group & tail.any(), tail, BLOCK)),
            self.i.ready.eq(sequencer.valid & ~full.bit_select(page, 1) & ~pause),
            beat.eq(self.i.valid & self.i.ready),
            whole.eq(beat & last_group & (pixel == pixels)),
            self.tile_taken.eq(whole & sequencer.last),
            memory.w_en.eq(beat),
            memory.w_addr.eq(Cat(word, page)),
            memory.w_data.eq(self.i.payload),
            memory.r_en.eq(1),
            memory.r_next.eq(1),
            memory.r_addr.eq(Cat(self.address[exact_log2(BLOCK) :], read_page)),
            self.there.eq((full & ~begun).bit_select(begun_page, 1)),
            self.last.eq(lasts.bit_select(begun_page, 1)),
        ]
        m.d.sync += pause.eq(whole)
        with m.If(beat):
            m.d.sync += [group.eq(Mux(last_group, 0, group + 1)), word.eq(word + 1)]
            with m.If(last_group):
                m.d.sync += pixel.eq(pixel + 1)
        with m.If(whole):
            m.d.sync += [pixel.eq(0), word.eq(0), page.eq(~page)]
            m.d.sync += [full.bit_select(page, 1).eq(1)]
            m.d.sync += lasts.bit_select(page, 1).eq(sequencer.last)
        with m.If(self.release):
            m.d.sync += full.bit_select(read_page, 1).eq(0)
            m.d.sync += begun.bit_select(read_page, 1).eq(0)
            m.d.sync += read_page.eq(~read_page)
        with m.If(self.taken):
            m.d.sync += [begun.bit_select(begun_page, 1).eq(1), begun_page.eq(~begun_page)]
        with m.If(self.start):
            m.d.sync += [group.eq(0), pixel.eq(0), word.eq(0), full.eq(0), begun.eq(0)]
            m.d.sync += [page.eq(0), read_page.eq(0), begun_page.eq(0)]

        signed = register(m, head.dtype == Dtype.INT8)
        zero = head.zero_point
        zero = register(m, Cat(zero, zero[-1] & signed).as_signed())
        lane = register(m, self.address[: exact_log2(BLOCK)], memory.latency)
        byte = memory.r_data.word_select(lane, 8)
        m.d.sync += self.o.eq(Cat(byte, byte[-1] & signed).as_signed() - zero)
        assert self.read_latency == memory.latency + 1
        return m
