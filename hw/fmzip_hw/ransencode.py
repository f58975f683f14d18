"""The entropy encoder of the coder RANS: slots of numbers z in, words of a frame's tiles out."""

from amaranth.hdl import Module
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from fmzip.format import BLOCK, ESCAPES_MAX
from fmzip_hw.layout import HeadLayout, word_layout
from fmzip_hw.memory import BlockFifo
from fmzip_hw.ransdrain import RansDrain
from fmzip_hw.ransforward import ForwardPass
from fmzip_hw.ransreverse import BackwardPass
from fmzip_hw.tables import ContextWrite, EntryWrite, LimitWrite


class RansEncoder(wiring.Component):
    """Codes the slots of a frame, one per cycle: ``fmzip.reference.ransframe.encode_tiles``.

    A tile goes forward once, to find statistics and size, and backward once, to be coded; the
    passes of two tiles overlap. A tile takes as many cycles as it has slots and ``tile_gap`` more;
    about as many as it has escapes or words, if that is more. A tile whose planes have fewer
    groups of channels than the loop of contexts has cycles takes that many cycles for each plane.

    Parameters
    ----------
    depth : slots that the buffers hold, a power of two; a tile may have 15/16 of it

    Members
    -------
    head : In(HeadLayout), constant from ``start`` until the last word has left
    start : In(1), begin a frame; only while ``done``
    context, entry, limit : In, writes to the tables from ``TableLoader``; while nothing is coded
    i : In(stream of 8 x 8), z of the slots, 0 in lanes without a channel. With nibbles the slots of
        both planes have all of z: bits 4 to 7 are the symbol of plane 0, 0 to 3 that of plane 1
    o : Out(stream of word_layout), the words of each tile, padded to the burst
    done : Out(1), all slots of the frame have been taken
    """

    tile_gap = max(ForwardPass.tile_gap, BackwardPass.tile_gap) + 1

    def __init__(self, depth: int = 8192):
        self._depth = depth
        super().__init__({
            "head": In(HeadLayout),
            "start": In(1),
            "context": In(ContextWrite),
            "entry": In(EntryWrite),
            "limit": In(LimitWrite),
            "i": In(stream.Signature(data.ArrayLayout(8, BLOCK))),
            "o": Out(stream.Signature(word_layout(BLOCK))),
            "done": Out(1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.forward = forward = ForwardPass()
        m.submodules.backward = backward = BackwardPass(self._depth)
        m.submodules.drain = drain = RansDrain(self._depth, BackwardPass.in_flight)
        # The escapes of a tile are only put out when it has been coded.
        m.submodules.escapes = escapes = BlockFifo(8, 2 * (ESCAPES_MAX + 1))
        wiring.connect(m, wiring.flipped(self.i), forward.i)
        wiring.connect(m, forward.escapes, escapes.i)
        wiring.connect(m, escapes.o, drain.escapes)
        wiring.connect(m, drain.o, wiring.flipped(self.o))
        m.d.comb += [
            forward.start.eq(self.start),
            forward.context.eq(self.context),
            forward.entry.eq(self.entry),
            forward.limit.eq(self.limit),
            backward.entry.eq(self.entry),
            forward.room.eq(backward.room),
            backward.enter.eq(forward.enter),
            backward.write.eq(forward.write),
            backward.slot.eq(forward.slot),
            backward.tile.payload.eq(forward.tile.payload),
            backward.tile.valid.eq(forward.tile.valid & ~drain.full),
            forward.tile.ready.eq(backward.tile.ready),
            drain.taken.eq(backward.tile.ready),
            backward.hold.eq(drain.hold),
            drain.write.eq(backward.o_write),
            drain.bits.eq(backward.o_bits),
            drain.done.eq(backward.o_done),
            drain.offset.eq(backward.o_offset),
            drain.tile.eq(backward.ended),
            self.done.eq(forward.done),
        ]
        m.d.comb += [part.head.eq(self.head) for part in (forward, backward, drain)]
        return m
