"""Counting blocks in wire order."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from fmzip.format import BLOCK
from fmzip_hw.layout import HeadLayout
from fmzip_hw.pipeline import register


class DownCounter(wiring.Component):
    """Counts from ``first`` to 1 and starts over; ``last`` is a register, so it costs no time.

    Members
    -------
    first : In(width), the value that ``load`` and the step behind 1 set; not 0
    single : In(1), ``first`` is 1
    load : In(1), start over with ``first``
    step : In(1), one less
    last : Out(1), the count is 1
    """

    def __init__(self, width: int):
        super().__init__({
            "first": In(width),
            "single": In(1),
            "load": In(1),
            "step": In(1),
            "last": Out(1),
        })  # fmt: skip
        self._count = Signal(width)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        count = self._count
        with m.If(self.load | (self.step & self.last)):
            m.d.sync += [count.eq(self.first), self.last.eq(self.single)]
        with m.Elif(self.step):
            m.d.sync += [count.eq(count - 1), self.last.eq(count == 2)]
        return m


_TileSize = data.StructLayout({
    "cols": 16,
    "one_col": 1,
    "rows": 16,
    "one_row": 1,
    "end": 1,  # the last tile of its band
    "final": 1,  # and the band is the last one
})  # fmt: skip


class TileSequencer(wiring.Component):
    """Walks over the blocks of a frame in wire order: the twin of ``reference.tiling``.

    Two cycles pass between the last block of a tile and the first one of the next, more while
    ``hold`` is set.

    Members
    -------
    head : In(HeadLayout), shape and tile size; constant from ``start`` to ``done``
    start : In(1), begin a frame
    hold : In(1), do not begin the next tile yet
    step : In(1), the current block is done; only while ``valid``
    valid : Out(1), the outputs below describe the current block
    partial : Out(1), only the first ``tail`` of the block's 8 lanes have a channel
    tail : Out(3), constant during a frame
    last : Out(1), it is the last block of its tile
    final : Out(1), its tile is the last of the frame
    rows, cols : Out(16), size of the current tile in pixels
    blocks_per_pixel : Out(14), constant during a frame
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
    final: Out(1)
    rows: Out(16)
    cols: Out(16)
    blocks_per_pixel: Out(14)
    done: Out(1, init=1)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        head = self.head
        m.submodules.channel = channel = DownCounter(14)
        m.submodules.col = col = DownCounter(16)
        m.submodules.row = row = DownCounter(16)
        load = Signal()
        first = Signal()  # the next tile is the first one of the frame

        tail = head.channels[: len(self.tail)]
        m.d.sync += [
            self.tail.eq(tail),
            self.blocks_per_pixel.eq(head.channels[len(tail) :] + tail.any()),
        ]
        m.d.comb += [
            channel.first.eq(self.blocks_per_pixel),
            channel.single.eq(register(m, self.blocks_per_pixel == 1)),
            channel.step.eq(self.step),
            col.step.eq(self.step & channel.last),
            row.step.eq(self.step & channel.last & col.last),
            self.last.eq(channel.last & col.last & row.last),
            self.partial.eq(channel.last & register(m, tail.any())),
        ]
        for counter in (channel, col, row):
            m.d.comb += counter.load.eq(load)

        # Position and size of the next tile are worked out while the current one runs.
        cols_left = Signal(16)  # columns and rows that the next tile and those behind it have
        rows_left = Signal(16)
        next_size = Signal(_TileSize)
        size = Signal.like(next_size)
        end_of_row = cols_left <= head.tile_cols
        end_of_col = rows_left <= head.tile_rows
        m.d.sync += [
            next_size.cols.eq(Mux(end_of_row, cols_left, head.tile_cols)),
            next_size.rows.eq(Mux(end_of_col, rows_left, head.tile_rows)),
            next_size.one_col.eq((cols_left == 1) | (head.tile_cols == 1)),
            next_size.one_row.eq((rows_left == 1) | (head.tile_rows == 1)),
            next_size.end.eq(end_of_row),
            next_size.final.eq(end_of_row & end_of_col),
        ]
        with m.If(first):
            m.d.sync += [cols_left.eq(head.width), rows_left.eq(head.height)]
        with m.Elif(load & size.end):
            m.d.sync += [cols_left.eq(head.width), rows_left.eq(rows_left - head.tile_rows)]
        with m.Elif(load):
            m.d.sync += cols_left.eq(cols_left - head.tile_cols)
        m.d.comb += [
            col.first.eq(size.cols),
            col.single.eq(size.one_col),
            row.first.eq(size.rows),
            row.single.eq(size.one_row),
            self.cols.eq(size.cols),
            self.rows.eq(size.rows),
            self.final.eq(size.final),
        ]

        with m.FSM():
            with m.State("idle"), m.If(self.start):
                m.d.sync += [first.eq(1), self.done.eq(0)]
                m.next = "begin"
            with m.State("begin"):
                m.d.sync += first.eq(0)
                m.next = "settle"
            with m.State("settle"):
                m.next = "gap"
            with m.State("gap"):
                m.d.sync += size.eq(next_size)
                m.next = "load"
            with m.State("load"):
                m.d.comb += load.eq(~self.hold)
                with m.If(load):
                    m.d.sync += self.valid.eq(1)
                    m.next = "run"
            with m.State("run"), m.If(self.step & self.last):
                m.d.sync += self.valid.eq(0)
                m.next = "gap"
                with m.If(size.final):
                    m.d.sync += self.done.eq(1)
                    m.next = "idle"
        return m
