"""What the head of a frame of bit planes says of its positions, and counting them."""

from amaranth.hdl import Cat, Module, Mux
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from fmzip.format import BLOCK, Transform
from fmzip_hw.layout import HeadLayout
from fmzip_hw.pipeline import register, register_flag
from fmzip_hw.planesize import PlaneSize
from fmzip_hw.sequence import DownCounter, blocks_per_pixel

_SIDE_BITS = 16


def shape_layout(size: PlaneSize) -> data.StructLayout:
    """Sizes of a position: eights are counted less 1."""
    return data.StructLayout({
        "groups": range(size.values // BLOCK),  # beats of a pixel
        "pixels": 2,  # less 1
        "words": range(size.values // BLOCK),  # beats of a position
        "passes": range(size.stored // BLOCK),  # eights of stored planes
        "tail": range(BLOCK),  # values in a pixel's last beat; 0 for all
        "final": range(BLOCK),  # planes in the last eight, less 1
        "cols": _SIDE_BITS,  # positions of a row, not less 1
        "rows": _SIDE_BITS,
    })  # fmt: skip


class PlaneShape(wiring.Component):
    """Sizes of a position, from the head, and a start when they are known.

    Parameters
    ----------
    size : how large it is built; what does not fit is cut off

    Members
    -------
    head : In(HeadLayout), constant from ``start`` on
    start : In(1), begin a frame
    o : Out(shape_layout); begin : Out(1), strobe: it is that of the frame
    pending : Out(1), from the cycle behind ``start`` until ``begin``
    """

    _settle = 4  # two registers here, one in front of a counter, and one to spare

    def __init__(self, size: PlaneSize) -> None:
        self._size = size
        super().__init__({
            "head": In(HeadLayout),
            "start": In(1),
            "o": Out(shape_layout(size)),
            "begin": Out(1),
            "pending": Out(1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        head, o = self.head, self.o
        square = register(m, head.transform == Transform.BITS4)
        per_pixel = register(m, blocks_per_pixel(head))
        bits = exact_log2(BLOCK)
        before = register(m, head.step - 1)  # of stored planes
        later = [self.start]
        for _ in range(self._settle):
            later.append(register_flag(m, later[-1]))
        m.d.comb += [
            self.begin.eq(later[-1]),
            self.pending.eq(Cat(later[1:]).any()),
            o.groups.eq(register(m, per_pixel - 1)),
            o.pixels.eq(Mux(square, 3, 0)),
            o.words.eq(register(m, Mux(square, per_pixel << 2, per_pixel) - 1)),
            o.passes.eq(before >> bits),
            o.tail.eq(head.channels),
            o.final.eq(before),
            o.cols.eq(register(m, Mux(square, (head.width >> 1) + head.width[0], head.width))),
            o.rows.eq(register(m, Mux(square, (head.height >> 1) + head.height[0], head.height))),
        ]
        return m


class PlanePositions(wiring.Component):
    """Counts the positions of a frame.

    Members
    -------
    cols, rows : In, constant from ``start`` on
    start : In(1), begin with the first position
    step : In(1), on to the next one
    last : Out(1), it is the last one
    """

    cols: In(_SIDE_BITS)
    rows: In(_SIDE_BITS)
    start: In(1)
    step: In(1)
    last: Out(1)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.col = col = DownCounter(_SIDE_BITS)
        m.submodules.row = row = DownCounter(_SIDE_BITS)
        for counter, first in ((col, self.cols), (row, self.rows)):
            m.d.comb += [
                counter.first.eq(first),
                counter.single.eq(register(m, first == 1)),
                counter.load.eq(self.start),
            ]
        m.d.comb += [
            col.step.eq(self.step),
            row.step.eq(self.step & col.last),
            self.last.eq(col.last & row.last),
        ]
        return m
