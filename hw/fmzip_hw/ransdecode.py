"""The entropy decoder of the coder RANS: words of a frame's tiles in, slots of numbers z out."""

from amaranth.hdl import Module, Mux, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from fmzip.format import BLOCK, STATE_SETS
from fmzip_hw.contexts import ContextFormer
from fmzip_hw.layout import HeadLayout, absent_lanes, beats_per_block, word_layout
from fmzip_hw.memory import BlockFifo
from fmzip_hw.pipeline import register, register_flag
from fmzip_hw.ransescape import EscapeMerger
from fmzip_hw.ranslanes import WORDS_PER_SET, RansLanes
from fmzip_hw.ranstiles import TileReader
from fmzip_hw.slots import SlotSequencer, slot_layout
from fmzip_hw.stream import CreditFifo, Slice
from fmzip_hw.tables import ContextWrite, EntryWrite, TokenWrite

_WORDS = 512  # of 8 bytes that wait; as many may hold escapes, but for the first one


class RansDecoder(wiring.Component):
    """Decodes a feature map, a slot of ``lanes`` numbers z per cycle.

    ``loop - G`` cycles are lost behind each plane of fewer than ``loop`` groups, ``tile_gap``
    between tiles and one more for each word of the next tile's escapes but the first one, and some
    where escapes come close together, see ``EscapeMerger``. Damaged words cannot stop it: once as
    many tiles have come as the shape has, it has put out as many slots.

    Parameters
    ----------
    lanes : 2, 4 or 8; see ``slots`` for what a slot is with less than 8

    Members
    -------
    head : In(HeadLayout), configuration; constant from ``start`` until the last slot has left
    start : In(1), begin a frame
    context, token, entry : In, writes into the tables, see ``TableLoader``; not during a frame
    i : In(stream of word_layout), the words of each tile, padding included
    o : Out(stream of slot_layout), in wire order; what lanes of a raw tile without a channel hold
        is not defined
    broken : Out(1), states or escapes of a tile did not come out; from then until the next
        ``start``. Known ``settle`` cycles behind the last slot
    """

    loop = ContextFormer.latency + RansLanes.token_latency + 1

    def __init__(self, lanes: int = BLOCK) -> None:
        self._lanes = lanes
        parts = beats_per_block(lanes)
        # Words of states, of padding to a burst of 64 bytes, and of a section without escapes.
        self.tile_gap = 15 + (WORDS_PER_SET * STATE_SETS + 10) * parts
        self.settle = 30 + STATE_SETS * parts
        super().__init__({
            "head": In(HeadLayout),
            "start": In(1),
            "context": In(ContextWrite),
            "token": In(TokenWrite),
            "entry": In(EntryWrite),
            "i": In(stream.Signature(word_layout(lanes))),
            "o": Out(stream.Signature(slot_layout(lanes))),
            "broken": Out(1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        count = self._lanes
        layout, depth = word_layout(count), _WORDS * beats_per_block(count)
        m.submodules.words = words = BlockFifo(layout, depth)
        m.submodules.word = word = Slice(layout)  # cuts the way back to the FIFO
        m.submodules.escapes = escapes = BlockFifo(8 * count, depth)
        m.submodules.sequencer = sequencer = SlotSequencer(self.loop, lanes=count)
        m.submodules.lanes = lanes = RansLanes(count)
        m.submodules.slots = slots = CreditFifo(slot_layout(count), depth=64)
        m.submodules.merger = merger = EscapeMerger(count)
        m.submodules.reader = reader = TileReader(
            depth, ContextFormer.latency + RansLanes.byte_latency, count
        )
        wiring.connect(m, wiring.flipped(self.i), words.i)
        wiring.connect(m, words.o, word.i)
        wiring.connect(m, word.o, reader.i)
        wiring.connect(m, reader.escapes, escapes.i)
        wiring.connect(m, escapes.o, merger.words)
        wiring.connect(m, slots.o, merger.i)
        wiring.connect(m, merger.o, wiring.flipped(self.o))
        for name in ("begin", "load", "prime", "second", "check", "raw"):
            m.d.comb += getattr(lanes, name).eq(getattr(reader, name))
        m.d.comb += [
            lanes.word.eq(word.o.payload.data),
            sequencer.head.eq(self.head),
            sequencer.start.eq(self.start),
            sequencer.hold.eq(reader.hold),
            sequencer.whole.eq(reader.whole),
            sequencer.step.eq(reader.step),
            reader.begun.eq(sequencer.begun),
            reader.sets.eq(sequencer.sets),
            reader.ends.eq(sequencer.slot.ends_tile),
            reader.ready.eq(sequencer.valid),
            reader.free.eq(slots.free),
            reader.pop.eq(lanes.pop),
            reader.pushed.eq(self.i.valid & self.i.ready),
            reader.pushed_last.eq(self.i.payload.last),
        ]
        self._decode(m, sequencer, lanes)
        m.d.comb += reader.used.eq(self._put(m, sequencer, lanes, slots, reader.raw))
        with m.If(self.start):
            m.d.sync += self.broken.eq(0)
        with m.Elif(lanes.wrong | merger.wrong):
            m.d.sync += self.broken.eq(1)
        return m

    def _decode(self, m: Module, sequencer: SlotSequencer, lanes: RansLanes) -> None:
        """Slots to statistics, to tokens, and back to the contexts of later slots."""
        m.submodules.former = former = ContextFormer(
            ContextFormer.latency + RansLanes.token_latency, self._lanes
        )
        assert former.loop == self.loop
        tail = register(m, self.head.channels[: exact_log2(self._lanes)])
        m.d.comb += [
            former.head.eq(self.head),
            former.slot.eq(sequencer.slot),
            former.i_valid.eq(sequencer.step),
            former.tokens.eq(lanes.tokens),
            former.write.eq(self.context),
            lanes.i_valid.eq(register_flag(m, sequencer.step, former.latency)),
            lanes.absent.eq(register(m, absent_lanes(sequencer.slot.keep), former.latency)),
            lanes.tail.eq(register(m, ((1 << tail) - 1)[: self._lanes])),
            lanes.statistics.eq(former.o),
            lanes.token.eq(self.token),
            lanes.entry.eq(self.entry),
        ]

    def _put(
        self, m: Module, sequencer: SlotSequencer, lanes: RansLanes, slots: CreditFifo, raw: Value
    ) -> Value:
        """Tokens, or bytes of a raw tile, into their places; when bytes are taken for a slot."""
        # A tile's slots have left before the next tile's come, so either kind keeps its order.
        cycles = lanes.token_latency, lanes.byte_latency
        ends = register(m, sequencer.slot.ends_tile, ContextFormer.latency)
        early, late = (register_flag(m, lanes.i_valid, count) for count in cycles)
        last_early, last_late = (register(m, ends, count) for count in cycles)
        m.d.comb += [
            slots.reserve.eq(sequencer.step),
            slots.put.eq(register_flag(m, Mux(raw, late, early))),
            slots.payload.last.eq(register(m, Mux(raw, last_late, last_early))),
            slots.payload.raw.eq(register(m, raw)),
        ]
        for z, number, token in zip(slots.payload.z, lanes.bytes, lanes.tokens, strict=True):
            m.d.comb += z.eq(register(m, Mux(raw, number, token)))
        return late
