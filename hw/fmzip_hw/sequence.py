"""Counting blocks in wire order."""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2, exact_log2

from fmzip.format import BLOCK, TILE_BLOCKS_MAX
from fmzip_hw.layout import HeadLayout
from fmzip_hw.pipeline import register


def blocks_per_pixel(head: data.View, size: int = BLOCK) -> Value:
    """Blocks of ``size`` channels that a pixel has, the last one perhaps partial."""
    shift = exact_log2(size)
    return head.channels[shift:] + head.channels[:shift].any()


class DownCounter(wiring.Component):
    """Counts from ``first`` to 1 and starts over; ``last`` is a register, so it costs no time.

    Members
    -------
    first : In(width), the value that ``load`` and the step behind 1 set; not 0
    single : In(1), ``first`` is 1
    load : In(1), start over with ``first``
    step : In(1), one less
    last : Out(1), the count is 1
    next_last : Out(1), it is 1 behind a step
    count : Out(width)
    """

    def __init__(self, width: int):
        super().__init__({
            "first": In(width),
            "single": In(1),
            "load": In(1),
            "step": In(1),
            "last": Out(1),
            "next_last": Out(1),
            "count": Out(width),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        count = self.count
        m.d.comb += self.next_last.eq(Mux(self.last, self.single, count == 2))
        # The step comes late: it only enables.
        with m.If(self.load | self.step):
            m.d.sync += [
                count.eq(Mux(self.load | self.last, self.first, count - 1)),
                self.last.eq(Mux(self.load, self.single, self.next_last)),
            ]
        return m


# Enough for each side of a tile, since no tile has more blocks than a tile buffer holds.
SIDE_BITS = TILE_BLOCKS_MAX.bit_length()


def tile_size(bits: int) -> data.StructLayout:
    """Size of a tile in pixels, ``bits`` for each side."""
    return data.StructLayout({
        "cols": bits,
        "one_col": 1,
        "rows": bits,
        "one_row": 1,
        "end": 1,  # the last tile of its band
        "final": 1,  # and the band is the last one
    })  # fmt: skip


class TileWalker(wiring.Component):
    """Walks over the tiles of a frame in wire order: ``format.FrameConfig.iter_tiles``.

    Parameters
    ----------
    side_bits : enough for each side of a tile

    Members
    -------
    head : In(HeadLayout), constant from ``start`` to ``done``
    start : In(1), begin a frame
    step : In(1), on to the next tile; only while ``valid``. Behind the last one ``done`` rises
    valid : Out(1), ``size`` is that of the current tile; rises two cycles after ``step``
    size : Out(tile_size), of the current tile
    done : Out(1), no frame is under way
    """

    def __init__(self, side_bits: int = SIDE_BITS):
        self._size = tile_size(side_bits)
        super().__init__({
            "head": In(HeadLayout),
            "start": In(1),
            "step": In(1),
            "valid": Out(1),
            "size": Out(self._size),
            "done": Out(1, init=1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        head = self.head
        # Position and size of the next tile are worked out while the current one is there.
        cols_left = Signal(16)  # columns and rows of the next tile and those behind it
        rows_left = Signal(16)
        upcoming = Signal(self._size)
        end_of_row = cols_left <= head.tile_cols
        end_of_col = rows_left <= head.tile_rows
        m.d.sync += [
            upcoming.cols.eq(Mux(end_of_row, cols_left, head.tile_cols)),
            upcoming.rows.eq(Mux(end_of_col, rows_left, head.tile_rows)),
            upcoming.one_col.eq((cols_left == 1) | (head.tile_cols == 1)),
            upcoming.one_row.eq((rows_left == 1) | (head.tile_rows == 1)),
            upcoming.end.eq(end_of_row),
            upcoming.final.eq(end_of_row & end_of_col),
        ]
        with m.FSM():
            with m.State("idle"), m.If(self.start):
                m.d.sync += self.done.eq(0)
                m.next = "begin"
            with m.State("begin"):
                m.d.sync += [cols_left.eq(head.width), rows_left.eq(head.height)]
                m.next = "settle"
            with m.State("settle"):
                m.next = "take"
            with m.State("take"):
                m.d.sync += [self.size.eq(upcoming), self.valid.eq(1)]
                with m.If(upcoming.end):
                    m.d.sync += cols_left.eq(head.width)
                    m.d.sync += rows_left.eq(rows_left - head.tile_rows)
                with m.Else():
                    m.d.sync += cols_left.eq(cols_left - head.tile_cols)
                m.next = "tile"
            with m.State("tile"), m.If(self.step):
                m.d.sync += self.valid.eq(0)
                m.next = "take"
                with m.If(self.size.final):
                    m.d.sync += self.done.eq(1)
                    m.next = "idle"
        return m


class TileSequencer(wiring.Component):
    """Walks over the blocks of a frame in wire order: the twin of ``reference.tiling``.

    Two cycles pass between the last block of a tile and the first one of the next, more while
    ``hold`` is set.

    Members
    -------
    head : In(HeadLayout), shape and tile size; constant from ``start`` to ``done``. A tile has
        at most ``TILE_BLOCKS_MAX`` blocks
    start : In(1), begin a frame
    hold : In(1), do not begin the next tile yet
    step : In(1), the current block is done; only while ``valid``
    valid : Out(1), the outputs below describe the current block
    partial : Out(1), only the first ``tail`` of the block's 8 lanes have a channel
    tail : Out(3), constant during a frame
    last : Out(1), it is the last block of its tile
    done : Out(1), no frame is under way
    """

    head: In(HeadLayout)
    start: In(1)
    hold: In(1)
    step: In(1)
    valid: Out(1)
    partial: Out(1)
    tail: Out(ceil_log2(BLOCK))
    last: Out(1)
    done: Out(1)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.walker = walker = TileWalker()
        m.submodules.channel = channel = DownCounter(SIDE_BITS)
        m.submodules.col = col = DownCounter(SIDE_BITS)
        m.submodules.row = row = DownCounter(SIDE_BITS)
        load = Signal()
        turn = Signal()  # the block is the last one of its row of pixels
        per_pixel = register(m, blocks_per_pixel(self.head))
        tail = self.head.channels[: len(self.tail)]
        m.d.sync += self.tail.eq(tail)
        m.d.comb += [
            walker.head.eq(self.head),
            walker.start.eq(self.start),
            walker.step.eq(self.step & self.last),
            channel.first.eq(per_pixel),
            channel.single.eq(register(m, per_pixel == 1)),
            channel.step.eq(self.step),
            col.first.eq(walker.size.cols),
            col.single.eq(walker.size.one_col),
            col.step.eq(self.step & channel.last),
            row.first.eq(walker.size.rows),
            row.single.eq(walker.size.one_row),
            row.step.eq(self.step & turn),
            load.eq(~self.valid & walker.valid & ~self.hold),
            self.partial.eq(channel.last & register(m, tail.any())),
            self.done.eq(walker.done),
        ]
        for counter in (channel, col, row):
            m.d.comb += counter.load.eq(load)
        # Registers, since a step waits for what depends on them.
        next_turn = channel.next_last & Mux(channel.last, col.next_last, col.last)
        next_last = next_turn & Mux(turn, row.next_last, row.last)
        one_row = channel.single & col.single
        with m.If(load | self.step):
            m.d.sync += [
                turn.eq(Mux(load, one_row, next_turn)),
                self.last.eq(Mux(load, one_row & row.single, next_last)),
            ]
        with m.If(load):
            m.d.sync += self.valid.eq(1)
        with m.Elif(self.step & self.last):
            m.d.sync += self.valid.eq(0)
        return m
