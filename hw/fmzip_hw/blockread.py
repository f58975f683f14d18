"""From sections to what is known of each block before its values are read."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from fmzip.format import BLOCK, OPTION_ZERO_BITMAP, WIDTH_BITS, WIDTH_MAX, Coder
from fmzip_hw.bitunpack import FieldUnpacker
from fmzip_hw.blockcode import kept_before
from fmzip_hw.layout import HeadLayout, beats_per_block
from fmzip_hw.multiply import small_product
from fmzip_hw.pipeline import register, register_flag
from fmzip_hw.sections import PER_WORD, SectionSplitter, bitmap_length
from fmzip_hw.sequence import TileSequencer
from fmzip_hw.stream import Slice


def block_layout(lanes: int) -> data.StructLayout:
    """What is known of a block whose values come next."""
    return data.StructLayout({
        "width": WIDTH_BITS,  # 8 in a raw tile
        "present": BLOCK,
        "nonzero": BLOCK,  # the zero bitmap; all set where there is none
        "raw": 1,
        "partial": 1,
        "last": 1,
        # Bits of the values of each beat.
        "lengths": data.ArrayLayout((lanes * WIDTH_MAX).bit_length(), beats_per_block(lanes)),
    })  # fmt: skip


class BlockReader(wiring.Component):
    """Reads the width and the bitmap of one block after the other.

    A block per cycle, but for two cycles between tiles and a few when a tile begins.

    Parameters
    ----------
    lanes : values per beat of the decoder
    splitter : where the sections come from

    Members
    -------
    head : In(HeadLayout), constant during a frame
    start : In(1), begin a frame
    tiles, widths, counts, bitmaps : In(streams), from the splitter
    o : Out(stream of block_layout)
    tail : Out(3), values of a partial block
    """

    def __init__(self, lanes: int, splitter: SectionSplitter):
        self.lanes = lanes
        self._fields = FieldUnpacker(2 * BLOCK, (1 << len(splitter.counts.payload)) - 1)
        super().__init__({
            "head": In(HeadLayout),
            "start": In(1),
            "tiles": In(splitter.tiles.signature),
            "widths": In(splitter.widths.signature),
            "counts": In(splitter.counts.signature),
            "bitmaps": In(splitter.bitmaps.signature),
            "o": Out(stream.Signature(block_layout(lanes))),
            "tail": Out(3),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        head = self.head
        m.submodules.sequencer = sequencer = TileSequencer()
        m.submodules.fields = fields = self._fields
        m.submodules.out = out = Slice(block_layout(self.lanes))  # cuts the way back
        wiring.connect(m, wiring.flipped(self.bitmaps), fields.i)
        wiring.connect(m, wiring.flipped(self.counts), fields.count)
        m.submodules.field = field = Slice(2 * BLOCK)  # cuts the way back to the FIFO
        wiring.connect(m, fields.o, field.i)
        wiring.connect(m, out.o, wiring.flipped(self.o))

        go = out.i.ready  # the stages behind `step` move on together

        # The current tile; the sequencer waits for it.
        is_raw, tile_valid = Signal(), Signal()
        step = Signal()
        m.d.comb += self.tiles.ready.eq(~tile_valid)
        with m.If(~tile_valid):
            m.d.sync += [is_raw.eq(self.tiles.payload), tile_valid.eq(self.tiles.valid)]
        with m.If(step & sequencer.last):
            m.d.sync += tile_valid.eq(0)

        has_bitmap = register(m, fields.length != 0)
        width, wants, width_valid, width_step = self._widths(m, sequencer.last, has_bitmap)
        # Two steps of logic, since all counters of the sequencer wait for it.
        ready = is_raw | (width_valid & (~wants | field.o.valid))
        m.d.comb += [
            sequencer.head.eq(head),
            sequencer.start.eq(self.start),
            sequencer.hold.eq(~tile_valid),
            sequencer.step.eq(step),
            fields.length.eq(bitmap_length(m, head)),
            step.eq(sequencer.valid & go & ready),
            width_step.eq(step & ~is_raw),
            field.o.ready.eq(step & wants & ~is_raw),
            self.tail.eq(sequencer.tail),
        ]
        facts = data.StructLayout({"width": WIDTH_BITS, "raw": 1, "partial": 1, "last": 1})
        block = Signal(facts)
        with m.If(go):
            m.d.sync += [
                block.width.eq(Mux(is_raw, 8, width)),
                block.raw.eq(is_raw),
                block.partial.eq(sequencer.partial),
                block.last.eq(sequencer.last),
            ]
        bits = register(m, field.o.payload, enable=go)
        self._present(m, block, bits, go, out)
        valid = step
        for stage in range(4):
            held = Signal(name=f"valid{stage}") if stage < 3 else out.i.valid
            with m.If(go):
                m.d.sync += held.eq(valid)
            valid = held
        return m

    def _widths(
        self, m: Module, last: Value, has_bitmap: Value
    ) -> tuple[Value, Value, Value, Signal]:
        """The next block's width, whether it has a bitmap, whether it is known, and its strobe."""
        word, following = Signal(PER_WORD * WIDTH_BITS), Signal(PER_WORD * WIDTH_BITS)
        word_valid, following_valid = Signal(), Signal()
        wants = Signal()  # the width is not 0, and so there is a bitmap
        taken = Signal(range(PER_WORD))
        at_end = Signal()  # taken == PER_WORD - 1
        step = Signal()
        advance = Signal()
        m.d.comb += [
            advance.eq(~word_valid | (step & at_end)),
            self.widths.ready.eq(~following_valid),
        ]
        # The step comes late: it only enables.
        over = ~word_valid | at_end
        rest = Mux(over, following, word >> WIDTH_BITS)
        with m.If(~word_valid | step):
            m.d.sync += [
                word.eq(rest),
                wants.eq(rest[:WIDTH_BITS].any() & has_bitmap),
                taken.eq(Mux(over, 0, taken + 1)),
                at_end.eq(~over & (taken == PER_WORD - 2)),
            ]
        with m.If(advance):
            m.d.sync += [word_valid.eq(following_valid), following_valid.eq(0)]
        # What a tile leaves of its last word is dropped a cycle later, before the next tile begins.
        with m.If(register_flag(m, step & last & ~at_end)):
            m.d.sync += word_valid.eq(0)
        with m.If(self.widths.ready):
            m.d.sync += [
                following.eq(self.widths.payload),
                following_valid.eq(self.widths.valid),
            ]
        return word[:WIDTH_BITS], wants, word_valid, step

    def _present(self, m: Module, block: data.View, field: Value, go: Value, out: Slice) -> None:
        """Presence flags and lengths of a block, in three cycles."""
        keep = self.head.keep
        is_bitmap = register(m, self.head.coder == Coder.BITMAP)
        has_zeros = register(m, self.head.options & OPTION_ZERO_BITMAP)[0]
        *slot, _ = kept_before(m, keep)
        flags = Mux(has_zeros, field[BLOCK:], field[:BLOCK])
        coded = Cat(
            keep[k] & (~is_bitmap | Array(flags[j] for j in range(k + 1))[slot[k]])
            for k in range(BLOCK)
        )
        in_tail = register(m, ((1 << self.tail) - 1)[:BLOCK])
        raw = Mux(block.partial, in_tail, (1 << BLOCK) - 1)
        some = block.width != 0
        all_set = (1 << BLOCK) - 1
        present = register(m, Mux(block.raw, raw, Mux(some, coded, 0)), enable=go)
        nonzero = Mux(has_zeros, Mux(some, field[:BLOCK], 0), all_set)
        nonzero = register(m, nonzero, enable=go)
        late = data.View(block.shape(), register(m, block, 2, enable=go))

        lanes = self.lanes
        result = out.i.payload
        for p in range(beats_per_block(lanes)):
            beat = present[p * lanes : (p + 1) * lanes]
            count = sum((beat[j] for j in range(lanes)), start=Value.cast(0))
            length = small_product(register(m, count, enable=go), late.width)
            with m.If(go):
                m.d.sync += result.lengths[p].eq(length)
        present, nonzero = register(m, present, enable=go), register(m, nonzero, enable=go)
        with m.If(go):
            m.d.sync += [result.present.eq(present), result.nonzero.eq(nonzero)]
            for name in block.shape().members:
                m.d.sync += result[name].eq(late[name])
