"""What frame writer and frame reader share: sizes of a head, and the memory of its tile index."""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from fmzip.format import INDEX_BYTES, INDEX_OFFSET, Coder
from fmzip.regs import MAX_TILES, PORT_BYTES
from fmzip_hw.layout import HeadLayout
from fmzip_hw.memory import BlockRam
from fmzip_hw.pipeline import register, register_flag

ITEM_BYTES = INDEX_BYTES  # the head is handled in items of 32 bits
INDEX_ITEM = INDEX_OFFSET // ITEM_BYTES
WORD_BITS = 32  # enough for the words of the largest frame
HEAD_WORDS = range(MAX_TILES)  # enough for the words of the largest head
_PORT_LOG2 = PORT_BYTES.bit_length() - 1


def burst_shift(head: Value) -> Value:
    """log2 of the port's words in a burst, 0 to 5."""
    return (head.burst_log2 - _PORT_LOG2)[:3]


class HeadSize(wiring.Component):
    """Sizes of the head, constant from four cycles after the configuration is.

    Parameters
    ----------
    bare : there are heads without an index, those of the coder GF2

    Members
    -------
    head : In(HeadLayout)
    words : Out, words of the head, padded to the burst
    shift : Out(3), log2 of the words in a burst
    indexed : Out, tiles that have an item
    fits : Out(1), the tile index fits into ``IndexMemory``
    """

    def __init__(self, bare: bool = False) -> None:
        self._bare = bare
        super().__init__({
            "head": In(HeadLayout),
            "words": Out(HEAD_WORDS),
            "shift": Out(3),
            "indexed": Out(HeadLayout["tiles"].shape),
            "fits": Out(1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        mask = Signal.like(self.words)
        tiles = self.head.tiles
        m.d.comb += self.indexed.eq(tiles)
        if self._bare:
            m.d.comb += self.indexed.eq(Mux(self.head.coder == Coder.GF2, 0, tiles))
        # One item per tile and one for the CRC, two items in a word.
        words = register(m, (self.indexed[: MAX_TILES.bit_length()] + (INDEX_ITEM + 1 + 1)) >> 1)
        padded = register(m, words + mask)
        m.d.sync += [
            self.shift.eq(burst_shift(self.head)),
            mask.eq((1 << self.shift) - 1),
            self.words.eq(padded & ~mask),
            self.fits.eq(tiles <= MAX_TILES),
        ]
        return m


IndexPort = wiring.Signature({
    "w_en": Out(1),
    "w_addr": Out(range(MAX_TILES)),
    "w_data": Out(8 * ITEM_BYTES),
    "r_addr": Out(range(MAX_TILES)),
    "r_data": In(8 * ITEM_BYTES),  # ``IndexMemory.latency`` cycles behind its address
})  # fmt: skip


class IndexMemory(wiring.Component):
    """Tile index of the frame in work: an item of 32 bits per tile.

    An item may be read from the second cycle behind its writing on.

    Members
    -------
    users : In(IndexPort), frame writer and frame reader
    select : In(1), which of them has the memory
    """

    latency = BlockRam.latency

    def __init__(self) -> None:
        super().__init__({"users": In(IndexPort).array(2), "select": In(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.ram = ram = BlockRam(8 * ITEM_BYTES, MAX_TILES)
        m.d.comb += [ram.r_en.eq(1), ram.r_next.eq(1)]
        enable, address = Signal(), Signal.like(ram.w_addr)
        data = Signal.like(ram.w_data)
        with m.Switch(self.select):
            for k, user in enumerate(self.users):
                m.d.comb += user.r_data.eq(ram.r_data)
                with m.Case(k):
                    m.d.comb += [
                        enable.eq(user.w_en),
                        address.eq(user.w_addr),
                        data.eq(user.w_data),
                        ram.r_addr.eq(user.r_addr),
                    ]
        m.d.comb += [
            ram.w_en.eq(register_flag(m, enable)),
            ram.w_addr.eq(register(m, address)),
            ram.w_data.eq(register(m, data)),
        ]
        return m
