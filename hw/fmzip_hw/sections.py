"""Taking the words of a tile apart into its sections: the front of the decoder."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from fmzip.format import BLOCK, OPTION_ZERO_BITMAP, WIDTH_BITS, Coder
from fmzip_hw.bitunpack import WORD
from fmzip_hw.layout import HeadLayout, beats_per_block, check_lanes, word_layout
from fmzip_hw.memory import BlockFifo
from fmzip_hw.multiply import SerialProduct
from fmzip_hw.pipeline import register, register_flag
from fmzip_hw.sequence import TileWalker, blocks_per_pixel
from fmzip_hw.stream import Slice

PER_WORD = WORD // WIDTH_BITS  # widths in a word

_COUNT_CYCLES = 4  # from a word of widths to the number of those that are not 0

ValueWord = data.StructLayout({"data": WORD, "last": 1})


def bitmap_length(m: Module, head: data.View) -> Value:
    """Bits of a block's bitmap, constant during a frame."""
    count: Value = Mux(head.options & OPTION_ZERO_BITMAP, BLOCK, 0)
    is_bitmap = register(m, head.coder == Coder.BITMAP)
    for k in range(BLOCK):
        # One register each: a sum of nine terms in one cycle would be slow.
        count = register(m, count + (head.keep[k] & is_bitmap))
    return count[: (2 * BLOCK).bit_length()]


class WordJoiner(wiring.Component):
    """Joins words of 8 bits per lane to words of 64 bits.

    Parameters
    ----------
    lanes : 2, 4 or 8; with 8 it is a wire

    Members
    -------
    i : In(stream of word_layout(lanes)); tiles are whole numbers of 64-bit words
    o : Out(stream of word_layout(8))
    """

    def __init__(self, lanes: int):
        self.lanes = check_lanes(lanes)
        super().__init__({
            "i": In(stream.Signature(word_layout(lanes))),
            "o": Out(stream.Signature(word_layout(BLOCK))),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        beats = beats_per_block(self.lanes)
        if beats == 1:
            wiring.connect(m, wiring.flipped(self.i), wiring.flipped(self.o))
            return m
        size = 8 * self.lanes
        part = Signal(range(beats))
        lower = Signal(WORD - size)
        final = part == beats - 1
        m.d.comb += [
            self.o.payload.data.eq(Cat(lower, self.i.payload.data)),
            self.o.payload.last.eq(self.i.payload.last),
            self.o.payload.raw.eq(self.i.payload.raw),
            self.o.valid.eq(self.i.valid & final),
            self.i.ready.eq(self.o.ready | ~final),
        ]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += part.eq(part + 1)
            with m.If(~final):
                m.d.sync += lower.eq(Cat(lower, self.i.payload.data)[size:])
        return m


class SectionSplitter(wiring.Component):
    """Sends the words of each tile to the readers of its sections, through a FIFO each.

    A word per cycle, but for up to 14 cycles per coded tile. The words of a raw tile go where
    values go. A coded tile that ends too early is filled up with anything, and padding behind the
    widths counts for nothing, so that the readers always get what the shape of the tile makes them
    expect.

    Parameters
    ----------
    ring_blocks : blocks that the FIFOs hold; a tile may have 15/16 of it

    Members
    -------
    head : In(HeadLayout), constant during a frame
    start : In(1), begin a frame
    i : In(stream of word_layout(8))
    tiles : Out(stream of 1), one per tile: it is raw
    widths : Out(stream of 64)
    counts : Out(stream), one per coded tile with bitmaps: number of blocks that have one
    bitmaps : Out(stream of 64)
    values : Out(stream of ValueWord)
    """

    def __init__(self, ring_blocks: int):
        exact_log2(ring_blocks)
        self._ring_blocks = ring_blocks
        self._count = range(ring_blocks + 1)
        super().__init__({
            "head": In(HeadLayout),
            "start": In(1),
            "i": In(stream.Signature(word_layout(BLOCK))),
            "tiles": Out(stream.Signature(1)),
            "widths": Out(stream.Signature(WORD)),
            "counts": Out(stream.Signature(self._count)),
            "bitmaps": Out(stream.Signature(WORD)),
            "values": Out(stream.Signature(ValueWord)),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        ring = self._ring_blocks
        m.submodules.tiles = tiles = Slice(1)
        m.submodules.counts = counts = Slice(self.counts.payload.shape())
        m.submodules.widths = widths = BlockFifo(WORD, 2 * ring // PER_WORD)
        m.submodules.bitmaps = bitmaps = BlockFifo(WORD, ring // 4)
        m.submodules.values = values = BlockFifo(ValueWord, 512)
        for fifo, port in (
            (tiles, self.tiles),
            (counts, self.counts),
            (widths, self.widths),
            (bitmaps, self.bitmaps),
            (values, self.values),
        ):
            wiring.connect(m, fifo.o, wiring.flipped(port))

        blocks, blocks_valid, next_tile = self._blocks(m)
        per_block = bitmap_length(m, self.head)
        word = self.i.payload
        left = Signal(self._count)  # words of the section that are still to come
        ended = Signal()  # the tile's last word has come
        last = Signal()  # left == 1
        coded = Signal(self._count)
        bits = Signal(len(coded) + len(per_block))  # of all bitmaps
        addend = Signal.like(bits)
        factor = Signal.like(per_block)
        # Words of a section beyond the end of the tile are whatever the input shows.
        got = ended | self.i.valid
        real = Signal(PER_WORD)  # which widths of a word are those of blocks
        in_last = Signal(PER_WORD)  # the same in the last word of a tile
        m.d.sync += coded.eq(coded + self._nonzero(m, word.data, real))
        m.d.comb += [
            widths.i.payload.eq(word.data),
            bitmaps.i.payload.eq(word.data),
            values.i.payload.data.eq(word.data),
            values.i.payload.last.eq(word.last | ended),
            counts.i.payload.eq(coded),
            tiles.i.payload.eq(word.raw),
        ]

        with m.FSM():
            with m.State("tile"):
                words = (blocks + (PER_WORD - 1)) >> exact_log2(PER_WORD)
                rest = blocks[: exact_log2(PER_WORD)]
                m.d.sync += [
                    left.eq(words),
                    last.eq(words == 1),
                    in_last.eq(Cat((rest == 0) | (rest > k) for k in range(PER_WORD))),
                    ended.eq(0),
                    coded.eq(0),
                ]
                with m.If(self.i.valid & blocks_valid & tiles.i.ready):
                    m.d.comb += [tiles.i.valid.eq(1), next_tile.eq(1)]
                    m.next = "widths"
                    with m.If(word.raw):
                        m.next = "values"
            with m.State("widths"):
                m.d.comb += [
                    widths.i.valid.eq(got),
                    self.i.ready.eq(widths.i.ready & ~ended),
                ]
                with m.If(got & widths.i.ready):
                    m.d.comb += real.eq(Mux(last, in_last, (1 << PER_WORD) - 1))
                    m.d.sync += [ended.eq(ended | word.last), left.eq(left - 1), last.eq(left == 2)]
                    with m.If(last):
                        m.next = "count 1"
            # The last words are still being counted.
            for k in range(1, _COUNT_CYCLES + 1):
                with m.State(f"count {k}"):
                    m.next = f"count {k + 1}" if k < _COUNT_CYCLES else "load"
            with m.State("load"):
                m.d.sync += [bits.eq(0), factor.eq(per_block), addend.eq(coded)]
                m.next = "multiply"
            with m.State("multiply"):
                m.d.sync += [factor.eq(factor >> 1), addend.eq(addend << 1)]
                with m.If(factor[0]):
                    m.d.sync += bits.eq(bits + addend)
                with m.If(factor == 0):
                    m.next = "divide"
            with m.State("divide"):
                m.d.sync += left.eq((bits + (WORD - 1)) >> exact_log2(WORD))
                m.next = "offer"
            with m.State("offer"):
                m.d.sync += last.eq(left == 1)
                m.next = "bitmaps"
                with m.If(left == 0):
                    m.next = "values"
                with m.Else():
                    m.d.comb += counts.i.valid.eq(1)
                    with m.If(~counts.i.ready):
                        m.next = "offer"
            with m.State("bitmaps"):
                m.d.comb += [
                    bitmaps.i.valid.eq(got),
                    self.i.ready.eq(bitmaps.i.ready & ~ended),
                ]
                with m.If(got & bitmaps.i.ready):
                    m.d.sync += [ended.eq(ended | word.last), left.eq(left - 1), last.eq(left == 2)]
                    with m.If(last):
                        m.next = "values"
            with m.State("values"):
                m.d.comb += [
                    values.i.valid.eq(got),
                    self.i.ready.eq(values.i.ready & ~ended),
                ]
                with m.If(got & values.i.ready & (word.last | ended)):
                    m.next = "tile"
        return m

    @staticmethod
    def _nonzero(m: Module, word: Value, real: Value) -> Value:
        """How many of the real widths of a word are not 0, ``_COUNT_CYCLES`` later."""
        nibbles = [word[k : k + WIDTH_BITS] for k in range(0, WORD, WIDTH_BITS)]
        flags = register(m, Cat(nibble.any() for nibble in nibbles))
        flags = register(m, flags & register(m, real))
        sums: list[Value] = []
        for k in range(0, PER_WORD, 4):
            four = flags[k : k + 4]
            sums.append(register(m, sum((four[j] for j in range(1, 4)), start=four[0])))
        return register(m, sum(sums[1:], start=sums[0]))

    def _blocks(self, m: Module) -> tuple[Value, Value, Signal]:
        """Blocks of the next tile, whether they are known, and the strobe to go on to the next."""
        m.submodules.walker = walker = TileWalker()
        # Enough bits, since no tile has more blocks.
        m.submodules.product = product = SerialProduct(self._ring_blocks.bit_length())
        step = Signal()
        begun = register_flag(m, walker.valid)
        m.d.comb += [
            walker.head.eq(self.head),
            walker.start.eq(self.start),
            walker.step.eq(step),
            product.start.eq(walker.valid & ~begun),
            product.a.eq(walker.size.rows),
            product.b.eq(walker.size.cols),
            product.c.eq(register(m, blocks_per_pixel(self.head))),
        ]
        return product.o, walker.valid & begun & product.valid, step
