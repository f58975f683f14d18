"""The encoder of the coder RANS: values in wire order in, words of a frame's tiles out."""

from amaranth.hdl import Module
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from fmzip.format import BLOCK, MULTIPLIER_BITS
from fmzip_hw.diffuse import Diffuser, DiffusionLayout
from fmzip_hw.layout import HeadLayout, check_lanes, word_layout
from fmzip_hw.planes import PlaneCoder
from fmzip_hw.ransencode import RING_SLOTS, RansEncoder
from fmzip_hw.tables import ContextWrite, EntryWrite, LimitWrite


class FmzEncoder(wiring.Component):
    """Codes a feature map, ``lanes`` values per cycle: the tiles of ``fmzip.reference.ransframe``.

    How many cycles a tile takes is said of ``PlaneCoder`` and ``RansEncoder``.

    Parameters
    ----------
    lanes : values per beat: 2, 4 or 8
    ring_slots : slots of the tile buffers, a power of two; a tile may have 15/16 of it

    Members
    -------
    head : In(HeadLayout), configuration; constant from ``start`` until the last word has left
    multiplier : In(17), ``format.rans_multiplier``; diffusion : In(DiffusionLayout); constant, too
    context, entry, limit : In, writes to the tables from ``TableLoader``; while nothing is coded
    start : In(1), begin a frame; only while ``done``
    i : In(stream of lanes x 8), values in wire order, position by position; a pixel's last beat may
        have fewer values. Pixels that a position lacks are there, too: copies of others
    take : Out, how many lanes of the next beat are values; the others are ignored
    o : Out(stream of word_layout), the words of each tile, padded to the burst
    done : Out(1), all values of the frame have been taken
    """

    def __init__(self, lanes: int = BLOCK, ring_slots: int = RING_SLOTS):
        self.lanes = check_lanes(lanes)
        self._rans = RansEncoder(ring_slots, lanes)
        super().__init__({
            "head": In(HeadLayout),
            "multiplier": In(MULTIPLIER_BITS),
            "diffusion": In(DiffusionLayout),
            "context": In(ContextWrite),
            "entry": In(EntryWrite),
            "limit": In(LimitWrite),
            "start": In(1),
            "i": In(stream.Signature(data.ArrayLayout(8, lanes))),
            "take": Out(range(lanes + 1)),
            "o": Out(stream.Signature(word_layout(lanes))),
            "done": Out(1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.planes = planes = PlaneCoder(self.lanes)
        m.submodules.rans = rans = self._rans
        wiring.connect(m, wiring.flipped(self.i), planes.i)
        wiring.connect(m, rans.o, wiring.flipped(self.o))
        assert rans.loop <= Diffuser.loop
        m.d.comb += [
            planes.head.eq(self.head),
            planes.start.eq(self.start),
            planes.free.eq(rans.free),
            rans.head.eq(self.head),
            rans.enter.eq(planes.leave),
            rans.ends.eq(planes.ends),
            rans.i_valid.eq(planes.o_valid),
            rans.z.eq(planes.o),
            rans.place.eq(planes.slot),
            rans.coming.eq(planes.coming),
            rans.sets.eq(planes.sets),
            planes.multiplier.eq(self.multiplier),
            planes.diffusion.eq(self.diffusion),
            self.take.eq(planes.take),
            self.done.eq(planes.done),
            rans.context.eq(self.context),
            rans.entry.eq(self.entry),
            rans.limit.eq(self.limit),
        ]
        return m
