"""The frame parser: a frame's words in, its head checked, the words of its tiles out."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from fmzip.format import BLOCK, INDEX_OFFSET_BITS, Coder, TileMode
from fmzip.regs import Fault
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

Length = data.StructLayout({
    "words": WORD_BITS,
    "raw": 1,
    "last": 1,  # tile of the frame
    "bad": 1,  # the index does not ascend, or leaves the payload; no tile follows
})  # fmt: skip


class TileLengths(wiring.Component):
    """The tile index as lengths of tiles, ahead of their use; seven cycles for each.

    Parameters
    ----------
    bare : there are heads without an index, see ``HeadSize``: all words are those of one tile

    Members
    -------
    head : In(HeadLayout)
    shift : In(3), log2 of the words in a burst
    payload : In(32), bursts of all tiles
    start : In(1), begin with the first tile; only behind the last one of another frame
    index : Out(IndexPort), only read
    o : Out(stream of Length)
    """

    def __init__(self, bare: bool = False) -> None:
        self._bare = bare
        super().__init__({
            "head": In(HeadLayout),
            "shift": In(3),
            "payload": In(WORD_BITS),
            "start": In(1),
            "index": Out(IndexPort),
            "o": Out(stream.Signature(Length)),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        tile = Signal.like(self.head.tiles)
        begin, end, size = Signal(WORD_BITS), Signal(WORD_BITS), Signal(WORD_BITS)
        wrong, outside = Signal(), Signal()
        offset = self.index.r_data[:INDEX_OFFSET_BITS]
        raw = self.index.r_data[INDEX_OFFSET_BITS:] == TileMode.RAW
        if self._bare:
            indexed = register_flag(m, self.head.coder != Coder.GF2)
            offset, raw = Mux(indexed, offset, 0), indexed & raw
        length = self.o.payload
        m.d.comb += self.index.r_addr.eq(tile)
        assert IndexMemory.latency == 2  # from "fetch" to "begin", and from "next" to "end"
        with m.FSM():
            with m.State("idle"):
                m.d.sync += [tile.eq(0), begin.eq(0)]
                with m.If(self.start):
                    m.next = "fetch"
            with m.State("fetch"):
                m.d.sync += tile.eq(tile + 1)
                m.next = "next"
            with m.State("next"):
                m.d.sync += length.last.eq(tile == self.head.tiles)
                m.next = "begin"
            with m.State("begin"):
                m.d.sync += [
                    length.raw.eq(raw),
                    wrong.eq(offset != begin),
                ]
                m.next = "end"
            with m.State("end"):
                m.d.sync += end.eq(Mux(length.last, self.payload, offset))
                m.next = "size"
            with m.State("size"):
                m.d.sync += [
                    size.eq(end - begin),
                    begin.eq(end),
                    # Behind the payload nothing is asked for: waiting for it would not end.
                    outside.eq((end <= begin) | (end > self.payload)),
                ]
                m.next = "words"
            with m.State("words"):
                m.d.sync += [
                    length.words.eq(size << self.shift),
                    length.bad.eq(wrong | outside),
                    self.o.valid.eq(1),
                ]
                m.next = "offer"
            with m.State("offer"), m.If(self.o.ready):
                m.d.sync += self.o.valid.eq(0)
                m.next = "fetch"
                with m.If(length.last | length.bad):
                    m.next = "idle"
        return m


class FrameParser(wiring.Component):
    """Checks a frame's head, which must be the configured one, and passes the words of its tiles.

    A word per cycle, but for a cycle between tiles, as long as a tile has at least eight words.
    Nothing is put out of a frame whose head is not intact; whether the tiles are is known at their
    end.

    Parameters
    ----------
    bare : there are heads without an index, see ``HeadSize``

    Members
    -------
    head : In(HeadLayout), configuration; constant from ``start`` until ``done``
    index : Out(IndexPort), used from ``start`` until ``done``
    start : In(1), begin a frame; only while ``done``
    i : In(stream of 64), the words of the head, then those of the tiles
    o : Out(stream of word_layout(8))
    first : Out, words of the head, constant from four cycles behind the configuration on
    load, rest : Out, strobe: the head is intact, and so many words of tiles follow
    ending : Out(1), the word that ``i`` offers is the last one of the frame
    done : Out(1), the last word has left, or there is a fault
    fault : Out(8), see ``fmzip.regs.Fault``; until the next ``start``
    """

    def __init__(self, bare: bool = False) -> None:
        self._bare = bare
        super().__init__({
            "head": In(HeadLayout),
            "index": Out(IndexPort),
            "start": In(1),
            "i": In(stream.Signature(8 * BLOCK)),
            "o": Out(stream.Signature(word_layout(BLOCK))),
            "first": Out(HEAD_WORDS),
            "load": Out(1),
            "rest": Out(WORD_BITS),
            "ending": Out(1),
            "done": Out(1, init=1),
            "fault": Out(8),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        index, head = self.index, self.head
        m.submodules.size = size = HeadSize(self._bare)
        m.submodules.tiles_crc = tiles_crc = Crc32(8 * BLOCK)
        m.submodules.head_crc = head_crc = Crc32(8 * ITEM_BYTES)

        m.submodules.lengths = lengths = TileLengths(self._bare)

        item = Signal(range(2 * INDEX_ITEM + 4096))
        take = Signal()  # an item of the head is at hand
        known = Signal(8 * ITEM_BYTES)  # what it has to be
        payload = Signal(WORD_BITS)  # bursts of all tiles
        expected_crc = Signal(8 * ITEM_BYTES)
        differs = Signal()
        final = Signal()  # the last tile
        raw = Signal()
        left = Signal(WORD_BITS)  # words of the tile
        last = Signal()  # one word is left
        # Words of a tile pass. That nothing else goes on then is said where it matters to a proof.
        passing = Signal()
        in_head = Signal()  # items are taken; a register, since the memory waits for it
        moved = Signal()
        last_item = register(m, (size.words << 1) - 1)
        index_end = register(m, size.indexed + INDEX_ITEM)  # its item
        # Only looked at in front of the payload's size.
        place_bits = (INDEX_ITEM - 3).bit_length()
        m.d.comb += known.eq(head.as_value().word_select(item[:place_bits], len(known)))
        # A step behind the memory: no path goes from its output through a CRC, or to a decision.
        taken = register_flag(m, take)
        place = register(m, item)
        value = register(m, self.i.payload.word_select(item[0], 8 * ITEM_BYTES))
        known = register(m, known)
        m.d.comb += [
            size.head.eq(head),
            self.first.eq(size.words),
            lengths.head.eq(head),
            lengths.shift.eq(size.shift),
            lengths.payload.eq(payload),
            head_crc.data.eq(value),
            head_crc.valid.eq(taken),
            head_crc.start.eq(self.start),
            tiles_crc.data.eq(register(m, self.i.payload)),
            tiles_crc.valid.eq(register_flag(m, moved)),
            tiles_crc.start.eq(self.start),
            index.w_addr.eq(place - INDEX_ITEM),
            index.w_data.eq(value),
            index.w_en.eq(taken & (place >= INDEX_ITEM) & (place < index_end)),
            index.r_addr.eq(lengths.index.r_addr),
            lengths.index.r_data.eq(index.r_data),
        ]
        wrong = register(m, value != known)
        with m.If(register_flag(m, taken & (place < INDEX_ITEM - 2)) & wrong):
            m.d.sync += differs.eq(1)
        with m.If(taken & (place == INDEX_ITEM - 2)):
            m.d.sync += payload.eq(value)
        with m.If(taken & (place == INDEX_ITEM - 1)):
            m.d.sync += expected_crc.eq(value)

        m.d.comb += [
            moved.eq(passing & self.i.valid & self.o.ready),
            self.o.valid.eq(passing & self.i.valid),
            self.o.payload.data.eq(self.i.payload),
            self.o.payload.last.eq(last),
            self.o.payload.raw.eq(raw),
            self.i.ready.eq(Mux(passing, self.o.ready, in_head & item[0])),
            take.eq(in_head & ~passing & self.i.valid),
            self.ending.eq(passing & last & final),
        ]

        matches = register_flag(m, head_crc.match)
        whole = register_flag(m, tiles_crc.crc == expected_crc)

        def give_up(fault: Fault) -> None:
            m.d.sync += [self.fault.eq(fault), self.done.eq(1)]
            m.next = "idle"

        with m.FSM():
            with m.State("idle"), m.If(self.start):
                m.d.sync += [self.done.eq(0), self.fault.eq(Fault.NONE), item.eq(0), differs.eq(0)]
                m.d.sync += in_head.eq(1)
                m.next = "head"
            with m.State("head"), m.If(take):
                m.d.sync += item.eq(item + 1)
                with m.If(item == last_item):
                    m.d.sync += in_head.eq(0)
                    m.next = "last item"
            with m.State("last item"):
                m.next = "sum"
            with m.State("sum"):
                m.next = "check"
            with m.State("check"):
                m.d.sync += self.rest.eq(payload << size.shift)
                m.next = "load"
                with m.If(differs):
                    give_up(Fault.HEAD_DIFFERS)
                with m.Elif(~matches):
                    give_up(Fault.HEAD_CRC)
            with m.State("load"):
                m.d.comb += [self.load.eq(1), lengths.start.eq(1)]
                m.next = "entry"
            with m.State("entry"), m.If(lengths.o.valid & ~passing):
                length = lengths.o.payload
                m.d.comb += lengths.o.ready.eq(1)
                m.d.sync += [
                    left.eq(length.words),
                    last.eq(length.words == 1),
                    raw.eq(length.raw),
                    final.eq(length.last),
                    passing.eq(~length.bad),
                ]
                m.next = "tile"
                with m.If(length.bad):
                    give_up(Fault.INDEX)
            with m.State("tile"), m.If(moved):
                m.d.sync += [left.eq(left - 1), last.eq(left == 2)]
                with m.If(last):
                    m.d.sync += passing.eq(0)
                    m.next = "entry"
                    with m.If(final):
                        m.next = "last word"
            with m.State("last word"):
                m.next = "last sum"
            with m.State("last sum"):
                m.next = "end"
            with m.State("end"):
                m.d.sync += self.done.eq(1)
                m.next = "idle"
                with m.If(~whole):
                    give_up(Fault.TILES_CRC)
        return m
