"""The encoder of the coder RANS: values in wire order in, words of a frame's tiles out."""

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from fmzip.format import BLOCK, MULTIPLIER_BITS
from fmzip_hw.diffuse import DiffusionLayout
from fmzip_hw.layout import HeadLayout, word_layout
from fmzip_hw.planes import PlaneCoder
from fmzip_hw.positions import WORD
from fmzip_hw.ransencode import RansEncoder
from fmzip_hw.tables import ContextWrite, EntryWrite, LimitWrite


class FmzEncoder(wiring.Component):
    """Codes a feature map, 8 values per cycle: the tiles of ``fmzip.reference.ransframe``.

    How many cycles a tile takes is said of ``PlaneCoder`` and ``RansEncoder``.

    Members
    -------
    head : In(HeadLayout), configuration; constant from ``start`` until the last word has left
    multiplier : In(17), ``format.rans_multiplier``; diffusion : In(DiffusionLayout); constant, too
    context, entry, limit : In, writes to the tables from ``TableLoader``; while nothing is coded
    start : In(1), begin a frame; only while ``done``
    i : In(stream of 8 x 8), values in wire order, position by position; a pixel's last beat may
        have fewer values. Pixels that a position lacks are there, too: copies of others
    take : Out, how many lanes of the next beat are values; the others are ignored
    o : Out(stream of word_layout), the words of each tile, padded to the burst
    done : Out(1), all values of the frame have been taken
    """

    lanes = BLOCK

    head: In(HeadLayout)
    multiplier: In(MULTIPLIER_BITS)
    diffusion: In(DiffusionLayout)
    context: In(ContextWrite)
    entry: In(EntryWrite)
    limit: In(LimitWrite)
    start: In(1)
    i: In(stream.Signature(WORD))
    take: Out(range(BLOCK + 1))
    o: Out(stream.Signature(word_layout(BLOCK)))
    done: Out(1)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.planes = planes = PlaneCoder()
        m.submodules.rans = rans = RansEncoder()
        wiring.connect(m, wiring.flipped(self.i), planes.i)
        wiring.connect(m, planes.o, rans.i)
        wiring.connect(m, rans.o, wiring.flipped(self.o))
        for part in (planes, rans):
            m.d.comb += [part.head.eq(self.head), part.start.eq(self.start)]
        m.d.comb += [
            planes.multiplier.eq(self.multiplier),
            planes.diffusion.eq(self.diffusion),
            self.take.eq(planes.take),
            self.done.eq(planes.done & rans.done),
            rans.context.eq(self.context),
            rans.entry.eq(self.entry),
            rans.limit.eq(self.limit),
        ]
        return m
