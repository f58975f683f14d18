"""The frame composer: words of tiles in, and behind them the head that makes them a frame."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from fmzip.format import BLOCK, INDEX_OFFSET_BITS
from fmzip_hw.crc import Crc32
from fmzip_hw.frameindex import (
    HEAD_WORDS,
    INDEX_ITEM,
    ITEM_BYTES,
    WORD_BITS,
    HeadSize,
    IndexMemory,
    IndexPort,
)
from fmzip_hw.layout import HeadLayout, word_layout
from fmzip_hw.pipeline import register, register_flag

FrameWord = data.StructLayout({
    "data": 8 * BLOCK,
    "last": 1,  # ends the tiles, or the head
    "head": 1,  # 0: a word of the tiles, 1: of the head
})  # fmt: skip


class FrameComposer(wiring.Component):
    """Passes the words of tiles on, and puts out the head behind them, when it is known.

    The tiles pass as wires; a word of the head takes four cycles. In memory the head comes first:
    ``first`` words of it.

    Parameters
    ----------
    bare : there are heads without an index, see ``HeadSize``

    Members
    -------
    head : In(HeadLayout), configuration; constant from ``start`` until ``done``
    index : Out(IndexPort), used from ``start`` until ``done``
    start : In(1), begin a frame; only while ``done``
    i : In(stream of word_layout(8)), the words of all tiles
    o : Out(stream of FrameWord)
    done : Out(1), the last word of the head has left
    first : Out, words of the head, constant from four cycles behind the configuration on
    words : Out(32), size of the frame, from the cycle behind ``done`` on
    """

    def __init__(self, bare: bool = False) -> None:
        self._size = HeadSize(bare)
        super().__init__({
            "head": In(HeadLayout),
            "index": Out(IndexPort),
            "start": In(1),
            "i": In(stream.Signature(word_layout(BLOCK))),
            "o": Out(stream.Signature(FrameWord)),
            "done": Out(1, init=1),
            "first": Out(HEAD_WORDS),
            "words": Out(WORD_BITS),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        index, head = self.index, self.head
        m.submodules.size = size = self._size
        m.submodules.tiles_crc = tiles_crc = Crc32(8 * BLOCK)
        m.submodules.head_crc = head_crc = Crc32(8 * ITEM_BYTES)

        in_tiles = Signal()  # a register, since the codec's memory waits for it
        tile = Signal.like(head.tiles)
        final_tile = Signal()  # tile == head.tiles - 1
        position = Signal(WORD_BITS)  # words of tiles so far
        tile_start = Signal(WORD_BITS)
        # Items of the head go through three steps: the index memory is read, the item is chosen, it
        # is put out. One is put while the next but one is read.
        item = Signal(range(2 * INDEX_ITEM + 4096))
        read_inside, read_final = Signal(), Signal()
        chosen, inside, final = Signal.like(item), Signal(), Signal()
        some = Signal()  # an item has been chosen
        before_index = Signal()
        known, read_known = Signal(8 * ITEM_BYTES), Signal(8 * ITEM_BYTES)
        value = Signal(8 * ITEM_BYTES)
        lower = Signal(8 * ITEM_BYTES)
        last_item = register(m, (size.words << 1) - 1)
        index_end = register(m, size.indexed + INDEX_ITEM)  # its item
        entry = Signal(len(index.r_addr))  # item - INDEX_ITEM
        only_tile = register(m, head.tiles == 1)
        before_last = register(m, head.tiles - 2)
        bursts = register(m, position >> size.shift)
        taken = Signal()
        m.d.comb += [
            size.head.eq(head),
            self.first.eq(size.words),
            taken.eq(self.i.valid & self.i.ready),
            # A step late, so that no path goes from the memory of the codec through the CRC.
            tiles_crc.data.eq(register(m, self.i.payload.data)),
            tiles_crc.valid.eq(register_flag(m, taken)),
            tiles_crc.start.eq(self.start),
            head_crc.data.eq(value),
            head_crc.start.eq(self.start),
            index.w_addr.eq(tile),
            index.w_data.eq(tile_start >> size.shift | self.i.payload.raw << INDEX_OFFSET_BITS),
            index.r_addr.eq(entry),
            self.i.ready.eq(in_tiles & self.o.ready),
        ]
        assert IndexMemory.latency == 2  # from "read" by way of "put" to "read"
        # Only looked at in front of the index.
        items = Cat(head.as_value(), bursts, tiles_crc.crc)
        m.d.comb += known.eq(items.word_select(item[: (INDEX_ITEM - 1).bit_length()], len(known)))
        rest = Mux(inside, index.r_data, Mux(final, head_crc.crc, 0))

        with m.FSM():
            with m.State("idle"), m.If(self.start):
                m.d.sync += [self.done.eq(0), tile.eq(0), position.eq(0), tile_start.eq(0)]
                m.d.sync += [in_tiles.eq(1), final_tile.eq(only_tile)]
                m.next = "tiles"
            with m.State("tiles"):
                m.d.comb += [
                    self.o.payload.data.eq(self.i.payload.data),
                    self.o.payload.last.eq(self.i.payload.last & final_tile),
                    self.o.valid.eq(self.i.valid),
                ]
                m.d.sync += [item.eq(0), entry.eq(-INDEX_ITEM), some.eq(0), final.eq(0)]
                with m.If(taken):
                    m.d.sync += position.eq(position + 1)
                    with m.If(self.i.payload.last):
                        m.d.comb += index.w_en.eq(1)
                        m.d.sync += [tile.eq(tile + 1), tile_start.eq(position + 1)]
                        m.d.sync += final_tile.eq(tile == before_last)
                        with m.If(final_tile):
                            m.d.sync += in_tiles.eq(0)
                            m.next = "settle"
            with m.State("settle"):
                m.next = "sum"  # the last entry reaches the memory, and the last word the CRC
            with m.State("sum"):
                m.next = "read"
            with m.State("read"):
                m.d.sync += [
                    read_inside.eq(item < index_end),  # or in front of the index
                    read_final.eq(item == last_item),
                    read_known.eq(known),
                    value.eq(Mux(before_index, read_known, rest)),
                ]
                m.next = "put"
            with m.State("put"):
                whole = some & chosen[0]
                m.d.comb += [
                    self.o.payload.data.eq(Cat(lower, value)),
                    self.o.payload.head.eq(1),
                    self.o.payload.last.eq(final),
                    self.o.valid.eq(whole),
                ]
                with m.If(~whole | self.o.ready):
                    m.d.comb += head_crc.valid.eq(some)
                    m.d.sync += [
                        lower.eq(value),
                        item.eq(item + 1),
                        entry.eq(entry + 1),
                        chosen.eq(item),
                        some.eq(1),
                        inside.eq(read_inside),
                        final.eq(read_final),
                        before_index.eq(item < INDEX_ITEM),
                    ]
                    m.next = "read"
                    with m.If(final):
                        m.d.sync += [self.done.eq(1), self.words.eq(position + size.words)]
                        m.next = "idle"
        return m
