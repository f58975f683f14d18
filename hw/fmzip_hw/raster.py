"""Raster order to wire order and back: a buffer of two bands of rows, in block RAM.

An accelerator puts out rows of pixels, all channels of a pixel one behind the other. Where tiles
are whole rows, and positions single pixels, that is the codecs' wire order. Where a tile has a part
of its rows' pixels, or a position 2 x 2 pixels, a band of ``tile_rows`` rows is gathered; the next
one comes while it leaves.
"""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, ShapeLike, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2, exact_log2

from fmzip.format import POSITION_SIDE, Transform
from fmzip_hw.layout import HeadLayout, beat_layout, check_lanes
from fmzip_hw.memory import BlockRam
from fmzip_hw.multiply import SerialProduct
from fmzip_hw.pipeline import register, register_flag
from fmzip_hw.sequence import blocks_per_pixel
from fmzip_hw.stream import CreditFifo

_SIDE_BITS = 16  # of the sides of a map


def _walk(place_bits: int) -> dict[str, Any]:
    return {
        "head": In(HeadLayout),
        "beats": In(_SIDE_BITS),
        "row": In(place_bits),
        "start": In(1),
        "step": In(1),
        "place": Out(place_bits),
        "copy": Out(1),
        "ends_band": Out(1),
        "ends_frame": Out(1),
    }


class _Bands:
    """``rows`` of the band that is walked over; ``last``: it is the frame's last one."""

    def __init__(self, m: Module, head: Any, start: Value, step: Value):
        self.rows = Signal(_SIDE_BITS)
        self.last = Signal()
        left = Signal(_SIDE_BITS)

        def begin(rest: Value) -> None:
            last = rest <= head.tile_rows
            m.d.sync += [left.eq(rest), self.last.eq(last)]
            m.d.sync += self.rows.eq(Mux(last, rest, head.tile_rows))

        with m.If(start):
            begin(head.height)
        with m.Elif(step):
            begin((left - self.rows)[:_SIDE_BITS])


class RasterWalk(wiring.Component):
    """Places of a band's beats in raster order: one behind the other.

    Members
    -------
    head : In(HeadLayout); beats : In, in a pixel; row : In, beats in a row; constant
    start : In(1), begin a frame
    step : In(1), a beat moves
    place, copy : Out, of the beat that moved ``latency`` cycles ago: where it lies, and whether it
        is a copy of a pixel at the border; in this order there is none
    ends_band, ends_frame : Out(1), the beat that moves in this cycle is the last one
    """

    latency = 2

    def __init__(self, place_bits: int):
        self._bits = place_bits
        super().__init__(_walk(place_bits))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        place, col, row = Signal(self._bits), Signal(self._bits), Signal(_SIDE_BITS)
        bands = _Bands(m, self.head, self.start, self.step & self.ends_band)
        ends_row = col == register(m, self.row - 1)[: self._bits]
        m.d.comb += [
            self.ends_band.eq(ends_row & (row == bands.rows - 1)),
            self.ends_frame.eq(self.ends_band & bands.last),
            self.place.eq(register(m, place, self.latency)),
        ]
        with m.If(self.step):
            m.d.sync += [
                place.eq(Mux(self.ends_band, 0, place + 1)),
                col.eq(Mux(ends_row, 0, col + 1)),
                row.eq(Mux(self.ends_band, 0, row + ends_row)),
            ]
        with m.If(self.start):
            m.d.sync += [place.eq(0), col.eq(0), row.eq(0)]
        return m


class WireWalk(wiring.Component):
    """Places of a band's beats in wire order: tile by tile, position by position.

    Members as of ``RasterWalk``.
    """

    latency = 2

    def __init__(self, place_bits: int):
        self._bits = place_bits
        super().__init__(_walk(place_bits))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bits, head = self._bits, self.head
        double = register(m, head.transform == Transform.WHT4)
        assert POSITION_SIDE[Transform.WHT4] == 2
        bands = _Bands(m, head, self.start, self.step & self.ends_band)
        # Beat of the pixel; pixel of the position; position, as its first pixel, and the tile's
        # first and last column. What is called `_at` is a place.
        beat, right, lower = Signal(_SIDE_BITS), Signal(), Signal()
        top, top_at = Signal(_SIDE_BITS), Signal(bits)
        left, left_at = Signal(_SIDE_BITS), Signal(bits)
        first, first_at, end = Signal(_SIDE_BITS), Signal(bits), Signal(_SIDE_BITS)
        side, across = Signal(2), Signal(bits)  # of a position: pixels, and their beats
        down = Signal(bits)  # beats of its rows
        m.d.sync += [
            side.eq(Mux(double, 2, 1)),
            across.eq(self.beats << double),
            down.eq(self.row << double),
        ]
        ends_pixel = beat == register(m, self.beats - 1)[:_SIDE_BITS]
        ends_position = ends_pixel & ((right & lower) | ~double)
        next_left, next_top = left + side, top + side
        ends_row = ends_position & (next_left >= end)
        ends_tile = ends_row & (next_top >= bands.rows)
        m.d.comb += [
            self.ends_band.eq(ends_tile & (end == head.width)),
            self.ends_frame.eq(self.ends_band & bands.last),
        ]
        next_end = end + head.tile_cols
        cut = next_end > head.width
        with m.If(self.step):
            m.d.sync += beat.eq(Mux(ends_pixel, 0, beat + 1))
            with m.If(ends_pixel & double):
                m.d.sync += [right.eq(~right), lower.eq(lower ^ right)]
            with m.If(ends_position):
                m.d.sync += [left.eq(next_left), left_at.eq(left_at + across)]
            with m.If(ends_row):
                m.d.sync += [left.eq(first), left_at.eq(first_at)]
                m.d.sync += [top.eq(next_top), top_at.eq(top_at + down)]
            with m.If(ends_tile):
                m.d.sync += [
                    left.eq(end), left_at.eq(left_at + across),
                    first.eq(end), first_at.eq(left_at + across),
                    end.eq(Mux(cut, head.width, next_end)), top.eq(0), top_at.eq(0),
                ]  # fmt: skip
        with m.If(self.start | (self.step & self.ends_band)):
            m.d.sync += [
                left.eq(0), left_at.eq(0), first.eq(0), first_at.eq(0), end.eq(head.tile_cols),
                top.eq(0), top_at.eq(0),
            ]  # fmt: skip
        with m.If(self.start):
            m.d.sync += [beat.eq(0), right.eq(0), lower.eq(0)]
        # Beyond the border the last pixel is looked up again.
        beyond_right = right & (left + 1 == head.width)
        beyond_bottom = lower & (top + 1 == bands.rows)
        row_at = register(m, top_at + Mux(lower & ~beyond_bottom, self.row, 0))
        pixel_at = register(m, left_at + Mux(right & ~beyond_right, self.beats, 0) + beat)
        m.d.comb += [
            self.place.eq(register(m, row_at + pixel_at)),
            self.copy.eq(register(m, beyond_right | beyond_bottom, self.latency)),
        ]
        return m


class _BandBuffer(wiring.Component):
    """What both directions share: a beat in and a beat out per cycle, a band apart."""

    def __init__(self, write: type, read: type, shape: ShapeLike, lanes: int, depth: int):
        exact_log2(depth)
        self.lanes, self.depth = check_lanes(lanes), depth
        self._shape, self._walks = shape, (write, read)
        super().__init__({
            "head": In(HeadLayout),
            "start": In(1),
            "i": In(stream.Signature(shape)),
            "o": Out(stream.Signature(shape)),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bits = ceil_log2(self.depth // 2)
        write, read = (walk(bits) for walk in self._walks)
        m.submodules.write, m.submodules.read = write, read
        m.submodules.ram = ram = BlockRam(len(Value.cast(self.i.payload)), self.depth)
        m.submodules.out = out = CreditFifo(self._shape, depth=32)
        m.submodules.product = product = SerialProduct(max(bits, _SIDE_BITS))
        wiring.connect(m, out.o, wiring.flipped(self.o))

        beats = register(m, blocks_per_pixel(self.head, self.lanes))
        m.d.comb += [product.a.eq(beats), product.b.eq(self.head.width), product.c.eq(1)]
        # The factors are there a cycle behind the configuration, the walks begin when all is.
        m.d.comb += product.start.eq(register_flag(m, self.start, 2))
        begin = Signal()
        known = register_flag(m, product.valid)
        m.d.comb += begin.eq(product.valid & ~known)
        ready = register_flag(m, begin, 4)
        writing, reading = Signal(), Signal()
        put, take = Signal(), Signal()
        for walk, step in ((write, put), (read, take)):
            m.d.comb += [
                walk.head.eq(self.head),
                walk.beats.eq(beats),
                walk.row.eq(product.o),
                walk.start.eq(register_flag(m, begin, 2)),
                walk.step.eq(step),
            ]
        # A half may change hands from one cycle to the next: both ways to the memory are equally
        # long.
        assert write.latency == read.latency
        whole = Signal(range(3))  # bands that are in the memory
        filling, draining = Signal(), Signal()  # which half
        filled, drained = put & write.ends_band, take & read.ends_band
        m.d.comb += [
            self.i.ready.eq(writing & (whole != 2)),
            put.eq(self.i.valid & self.i.ready),
            take.eq(reading & (whole != 0) & out.free),
        ]
        m.d.sync += [
            whole.eq(whole + filled - drained),
            filling.eq(filling ^ filled),
            draining.eq(draining ^ drained),
        ]
        with m.If(put & write.ends_frame):
            m.d.sync += writing.eq(0)
        with m.If(take & read.ends_frame):
            m.d.sync += reading.eq(0)
        with m.If(ready):
            m.d.sync += [writing.eq(1), reading.eq(1)]
        halves = [
            register(m, half, walk.latency) for half, walk in ((filling, write), (draining, read))
        ]
        arrives = read.latency + ram.latency
        m.d.comb += [
            ram.w_en.eq(register_flag(m, put, write.latency) & ~write.copy),
            ram.w_addr.eq(Cat(write.place, halves[0])),
            ram.w_data.eq(register(m, self.i.payload, write.latency)),
            ram.r_en.eq(1),
            ram.r_next.eq(1),
            ram.r_addr.eq(Cat(read.place, halves[1])),
            out.reserve.eq(take),
            out.put.eq(register_flag(m, take, arrives)),
        ]
        self._payload(m, out.payload, ram.r_data, register(m, take & read.ends_frame, arrives))
        return m

    def _payload(self, m: Module, payload: Any, stored: Value, last: Value) -> None:
        m.d.comb += Value.cast(payload).eq(stored)


class RasterToWire(_BandBuffer):
    """Beats in raster order in, in wire order out: in front of an encoder.

    A beat per cycle each way; the first one leaves when a band is there.
    Where a position reaches beyond the map its pixels are copies, so more beats leave than come.

    Parameters
    ----------
    lanes : values per beat
    depth : beats of two bands, a power of two; a band has ``tile_rows * width`` pixels

    Members
    -------
    head : In(HeadLayout), configuration; constant from ``start`` until the last beat has left
    start : In(1), begin a frame; only when the one before has left
    i, o : streams of lanes x 8
    """

    def __init__(self, lanes: int = 8, depth: int = 4096):
        super().__init__(RasterWalk, WireWalk, data.ArrayLayout(8, lanes), lanes, depth)


class WireToRaster(_BandBuffer):
    """Beats in wire order in, in raster order out: behind a decoder; copies are dropped.

    Parameters and members as of ``RasterToWire``, but that the streams are of beat_layout(lanes);
    ``last`` ends the frame.
    """

    def __init__(self, lanes: int = 8, depth: int = 4096):
        super().__init__(WireWalk, RasterWalk, beat_layout(lanes), lanes, depth)

    def _payload(self, m: Module, payload: Any, stored: Value, last: Value) -> None:
        m.d.comb += [Value.cast(payload).eq(stored), payload.last.eq(last)]
