"""The decoder: words of a frame's tiles in, values in wire order out."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from fmzip_hw.bitunpack import CodeSplitter, ValueReader
from fmzip_hw.blockcode import unipolar
from fmzip_hw.blockread import BlockReader, block_layout
from fmzip_hw.layout import (
    HeadLayout,
    beat_layout,
    beats_per_block,
    check_lanes,
    tail_of,
    word_layout,
)
from fmzip_hw.pipeline import register, register_flag
from fmzip_hw.reconstruct import BlockNotes, Reconstructor
from fmzip_hw.sections import SectionSplitter, WordJoiner
from fmzip_hw.stream import CreditFifo

# From the first word of a raw tile to the take of its first beat.
_TO_FIRST_BLOCK = 8


def part_of(value: Value, phase: Value, size: int) -> Value:
    """The part of ``size`` bits whose number is ``phase``; all of it where there is only one."""
    return value if size == len(value) else value.word_select(phase, size)


class Decoder(wiring.Component):
    """Decodes a feature map, ``lanes`` values per cycle: the tiles of ``fmzip.reference.decode``.

    A beat per cycle, but for ``tile_gap`` cycles between tiles, as long as words come early enough:
    a word per cycle is enough behind the first tile of a frame. A partial block of fewer beats
    takes as long as a full one. ``latency`` cycles pass from the first word of a raw tile to its
    first beat; the first word of a frame is taken some 40 cycles after ``start``. Holds words of up
    to ``max_blocks`` blocks under backpressure. Damaged words cannot stop it: once as many tiles
    have come as the shape has, it has put out as many beats.

    Parameters
    ----------
    lanes : values per beat: 2, 4 or 8
    ring_blocks : blocks that the FIFOs hold, a power of two; a tile may have 15/16 of it

    Members
    -------
    head : In(HeadLayout), configuration; constant from ``start`` until the last beat has left
    start : In(1), begin a frame
    i : In(stream of word_layout), the words of each tile, padding included
    o : Out(stream of beat_layout), values in wire order; a partial block's last beat has fewer
    """

    tile_gap = 2

    def __init__(self, lanes: int = 8, ring_blocks: int = 2048):
        self.lanes = check_lanes(lanes)
        self.max_blocks = ring_blocks * 15 // 16
        self._splitter = SectionSplitter(ring_blocks)
        self._values = ValueReader(lanes)
        self._codes = CodeSplitter(lanes)
        self._rebuild = Reconstructor(lanes)
        beats = beats_per_block(lanes)
        self.latency = (
            _TO_FIRST_BLOCK
            + self._values.latency
            + self._codes.latency
            + self._rebuild.latency
            + 1
            + CreditFifo.latency
            # Of several beats, the words and the values of a block are gathered; and only a word
            # that is whole makes the splitter look at it, which it does for a cycle.
            + (2 * (beats - 1) + 1 if beats > 1 else 0)
        )
        super().__init__({
            "head": In(HeadLayout),
            "start": In(1),
            "i": In(stream.Signature(word_layout(lanes))),
            "o": Out(stream.Signature(beat_layout(lanes))),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        beats = beats_per_block(self.lanes)
        m.submodules.joiner = joiner = WordJoiner(self.lanes)
        m.submodules.splitter = splitter = self._splitter
        m.submodules.blocks = blocks = BlockReader(self.lanes, splitter)
        m.submodules.values = values = self._values
        m.submodules.out = out = CreditFifo(beat_layout(self.lanes), depth=64)
        wiring.connect(m, wiring.flipped(self.i), joiner.i)
        wiring.connect(m, joiner.o, splitter.i)
        wiring.connect(m, splitter.values, values.i)
        for name in ("tiles", "widths", "counts", "bitmaps"):
            wiring.connect(m, getattr(splitter, name), getattr(blocks, name))
        for part in (splitter, blocks):
            m.d.comb += [part.head.eq(self.head), part.start.eq(self.start)]

        # A block is held while its beats are taken.
        block = Signal(block_layout(self.lanes))
        block_valid = Signal()
        phase = Signal(range(max(beats, 2)))
        final = phase == beats - 1
        take = Signal()
        m.d.comb += [
            # The next beat is loaded when this one is taken: of this block, or of the next.
            values.load.eq(Mux(block_valid & ~final, take, blocks.o.valid & blocks.o.ready)),
            values.length.eq(
                Mux(block_valid & ~final, block.lengths[phase + 1], blocks.o.payload.lengths[0])
                if beats > 1
                else blocks.o.payload.lengths[0]
            ),
            take.eq(block_valid & values.ready & out.free),
            values.take.eq(take),
            values.end.eq(block.last & final),
            out.reserve.eq(take),
            blocks.o.ready.eq(~block_valid | (take & final)),
        ]
        with m.If(take):
            m.d.sync += phase.eq(Mux(final, 0, phase + 1))
        with m.If(blocks.o.ready):
            m.d.sync += [block.eq(blocks.o.payload), block_valid.eq(blocks.o.valid)]

        self._read_codes(m, block, phase, take)
        self._put_beats(m, blocks.tail, out)
        # Beats without any value, in a partial block, are not put out.
        empty = out.o.valid & ~out.o.payload.keep[0] if beats > 1 else 0
        m.d.comb += [
            self.o.payload.eq(out.o.payload),
            self.o.valid.eq(out.o.valid & ~empty),
            out.o.ready.eq(self.o.ready | empty),
        ]
        return m

    def _read_codes(self, m: Module, block: Value, phase: Value, take: Value) -> None:
        """The beat that is taken, through the splitting of its bits, to the reconstruction."""
        m.submodules.codes = codes = self._codes
        m.submodules.rebuild = rebuild = self._rebuild
        present = part_of(block.present, phase, self.lanes)
        early = self._values.latency - codes.lead
        signs = register(m, unipolar(self.head))  # the first code of a block has none
        unsigned = Mux(block.raw, (1 << self.lanes) - 1, signs & (phase == 0))
        m.d.comb += [
            codes.bits.eq(self._values.bits),
            codes.present.eq(register(m, present, early)),
            codes.width.eq(register(m, block.width, early)),
            codes.unsigned.eq(register(m, unsigned, early)),
        ]
        cycles = self._values.latency + codes.latency
        m.d.comb += [
            rebuild.head.eq(self.head),
            rebuild.i_valid.eq(register_flag(m, take, cycles)),
            rebuild.phase.eq(register(m, phase, cycles)),
            rebuild.present.eq(register(m, present, cycles)),
            Cat(rebuild.codes).eq(Cat(codes.o)),
        ]
        for name in rebuild.notes.shape().members:
            m.d.comb += rebuild.notes[name].eq(register(m, block[name], cycles))

    def _put_beats(self, m: Module, tail: Value, out: CreditFifo) -> None:
        """The values of a block, beat by beat, into their reserved places."""
        rebuild = self._rebuild
        beats, lanes = beats_per_block(self.lanes), self.lanes
        tail_beats, tail_values = tail_of(m, tail, lanes)
        in_tail = register(m, ((1 << tail_values) - 1)[:lanes])
        values = Signal(rebuild.o.shape().size)
        notes = Signal(BlockNotes)
        phase = Signal(range(max(beats, 2)))
        busy = Signal()
        # The next block comes no sooner than this one has left.
        with m.If(rebuild.o_valid):
            m.d.sync += [values.eq(Cat(rebuild.o)), notes.eq(rebuild.o_notes)]
            m.d.sync += [phase.eq(0), busy.eq(1)]
        with m.Elif(busy):
            m.d.sync += [phase.eq(phase + 1), busy.eq(phase != beats - 1)]
        ending = Mux(notes.partial, tail_beats, beats - 1)
        m.d.comb += [
            out.put.eq(busy),
            Cat(out.payload.data).eq(part_of(values, phase, 8 * lanes)),
            out.payload.last.eq(notes.last & (phase == ending)),
            out.payload.keep.eq((1 << lanes) - 1),
        ]
        with m.If(phase > ending):
            m.d.comb += out.payload.keep.eq(0)
        with m.Elif(notes.partial & (phase == ending)):
            m.d.comb += out.payload.keep.eq(in_tail)
