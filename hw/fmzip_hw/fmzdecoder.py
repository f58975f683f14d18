"""The decoder of the coder RANS: words of a frame's tiles in, values in wire order out."""

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from fmzip.format import BLOCK
from fmzip_hw.layout import HeadLayout, beat_layout, check_lanes, word_layout
from fmzip_hw.planes import PlaneScatter
from fmzip_hw.ransdecode import RansDecoder
from fmzip_hw.tables import ContextWrite, EntryWrite, TokenWrite


class FmzDecoder(wiring.Component):
    """Decodes a feature map, ``lanes`` values per cycle: tiles of ``fmzip.reference.ransframe``.

    How many cycles a tile takes is said of ``RansDecoder`` and ``PlaneScatter``. Damaged words
    cannot stop it: once as many tiles have come as the shape has, it has put out as many beats.

    Parameters
    ----------
    lanes : values per beat: 2, 4 or 8

    Members
    -------
    head : In(HeadLayout), configuration; constant from ``start`` until the last beat has left
    context, token, entry : In, writes to the tables from ``TableLoader``; not during a frame
    start : In(1), begin a frame
    i : In(stream of word_layout), the words of each tile, padding included
    o : Out(stream of beat_layout), values in wire order, position by position; a pixel's last beat
        may have fewer values. Pixels that a position lacks are there, too
    broken : Out(1), a tile did not end as it must; from then until the next ``start``. Known
        ``settle`` cycles behind the last beat
    """

    def __init__(self, lanes: int = BLOCK):
        self.lanes = check_lanes(lanes)
        self._rans = RansDecoder(lanes)
        self.settle = self._rans.settle - PlaneScatter.latency
        super().__init__({
            "head": In(HeadLayout),
            "context": In(ContextWrite),
            "token": In(TokenWrite),
            "entry": In(EntryWrite),
            "start": In(1),
            "i": In(stream.Signature(word_layout(lanes))),
            "o": Out(stream.Signature(beat_layout(lanes))),
            "broken": Out(1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.rans = rans = self._rans
        m.submodules.planes = planes = PlaneScatter(self.lanes)
        wiring.connect(m, wiring.flipped(self.i), rans.i)
        wiring.connect(m, rans.o, planes.i)
        wiring.connect(m, planes.o, wiring.flipped(self.o))
        for part in (rans, planes):
            m.d.comb += [part.head.eq(self.head), part.start.eq(self.start)]
        m.d.comb += [
            rans.context.eq(self.context),
            rans.token.eq(self.token),
            rans.entry.eq(self.entry),
            self.broken.eq(rans.broken),
        ]
        return m
