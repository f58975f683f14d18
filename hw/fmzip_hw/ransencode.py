"""The entropy encoder of the coder RANS: slots of numbers z in, words of a frame's tiles out."""

from amaranth.hdl import Module
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from fmzip.format import BLOCK, ESCAPES_MAX, STATE_SETS
from fmzip_hw.layout import HeadLayout, beats_per_block, word_layout
from fmzip_hw.memory import BlockFifo
from fmzip_hw.ransdrain import RansDrain
from fmzip_hw.ransforward import ForwardPass
from fmzip_hw.ransreverse import BackwardPass
from fmzip_hw.slots import place_layout
from fmzip_hw.stream import Slice
from fmzip_hw.tables import ContextWrite, EntryWrite, LimitWrite

RING_SLOTS = 8192  # of the tile buffers, as built by default


class RansEncoder(wiring.Component):
    """Codes the slots of a frame, one per cycle: ``fmzip.reference.ransframe.encode_tiles``.

    A tile goes forward once, to find statistics and size, and backward once, to be coded; the
    passes of two tiles overlap. Slots come without stalls, the same number of cycles behind
    ``enter``; those of the same group in two planes or positions ``loop`` cycles apart, or more. A
    tile takes as many cycles as it has slots and ``tile_gap`` more, with those from ``enter`` to
    the slot; about as many as it has escapes or words, if that is more.

    Parameters
    ----------
    depth : slots of 8 that the buffers hold, a power of two; a tile may have 15/16 of it
    lanes : 2, 4 or 8; see ``slots`` for what a slot is with less than 8

    Members
    -------
    head : In(HeadLayout), constant from ``start`` until the last word has left
    context, entry, limit : In, writes to the tables from ``TableLoader``; while nothing is coded
    free : Out(1), a slot may enter; enter : In(1), one does; ends : In(1), it is the tile's last
    i_valid : In(1), a slot is there
    z : In(lanes x 8), its numbers, 0 in lanes without a channel. With nibbles the slots of both
        planes have all of z: bits 4 to 7 are the symbol of plane 0, 0 to 3 that of plane 1
    place, sets : In(place_layout), In(4), see ``SlotSequencer``
    coming : In(place_layout), ``place`` of the next cycle, if there is a slot then
    o : Out(stream of word_layout), the words of each tile, padded to the burst
    """

    loop = ForwardPass.loop

    def __init__(self, depth: int = RING_SLOTS, lanes: int = BLOCK):
        self._depth, self._lanes = depth * beats_per_block(lanes), lanes
        self._forward, self._backward = ForwardPass(lanes), BackwardPass(self._depth, lanes)
        self.tile_gap = max(self._forward.tile_gap, self._backward.tile_gap) + 1
        super().__init__({
            "head": In(HeadLayout),
            "context": In(ContextWrite),
            "entry": In(EntryWrite),
            "limit": In(LimitWrite),
            "free": Out(1),
            "enter": In(1),
            "ends": In(1),
            "i_valid": In(1),
            "z": In(data.ArrayLayout(8, lanes)),
            "place": In(place_layout(lanes)),
            "coming": In(place_layout(lanes)),
            "sets": In(range(STATE_SETS + 1)),
            "o": Out(stream.Signature(word_layout(lanes))),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.forward = forward = self._forward
        m.submodules.backward = backward = self._backward
        m.submodules.drain = drain = RansDrain(self._depth, backward.in_flight, self._lanes)
        # The escapes of a tile are only put out when it has been coded.
        m.submodules.escapes = escapes = BlockFifo(8, 2 * (ESCAPES_MAX + 1))
        wiring.connect(m, forward.escapes, escapes.i)
        # Whether an escape is taken is known late, and the memory is far away.
        m.submodules.escape = escape = Slice(8)
        wiring.connect(m, escapes.o, escape.i)
        wiring.connect(m, escape.o, drain.escapes)
        wiring.connect(m, drain.o, wiring.flipped(self.o))
        m.d.comb += [
            forward.enter.eq(self.enter),
            forward.ends.eq(self.ends),
            forward.i_valid.eq(self.i_valid),
            forward.z.eq(self.z),
            forward.place.eq(self.place),
            forward.coming.eq(self.coming),
            forward.sets.eq(self.sets),
            self.free.eq(forward.free),
            forward.context.eq(self.context),
            forward.entry.eq(self.entry),
            forward.limit.eq(self.limit),
            backward.entry.eq(self.entry),
            forward.room.eq(backward.room),
            backward.enter.eq(self.enter),
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
        ]
        m.d.comb += [part.head.eq(self.head) for part in (forward, backward, drain)]
        return m
