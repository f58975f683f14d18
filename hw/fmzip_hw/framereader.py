"""The frame reader: a frame's head checked, and then its tiles as words for the decoder."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from fmzip.format import INDEX_OFFSET_BITS, TileMode
from fmzip.regs import Fault
from fmzip_hw.crc import Crc32
from fmzip_hw.frameindex import (
    INDEX_ITEM,
    ITEM_BYTES,
    WORD_BITS,
    HeadSize,
    IndexMemory,
    IndexPort,
)
from fmzip_hw.layout import HeadLayout, word_layout
from fmzip_hw.memory import BlockFifo
from fmzip_hw.memport import ADDRESS_BITS, PORT_BITS, ROW_WORDS, MemoryPort, to_row_end
from fmzip_hw.pipeline import register, register_flag

_DEPTH = 4 * ROW_WORDS


class PortReader(wiring.Component):
    """Reads words from consecutive addresses ahead of their use, in requests of up to a row.

    Members
    -------
    load, address, words : In, read so many words from this address; only while ``idle``
    idle : Out(1), all words have been asked for
    o : Out(stream of 64)
    port : Out(MemoryPort)
    """

    def __init__(self) -> None:
        super().__init__({
            "load": In(1),
            "address": In(ADDRESS_BITS),
            "words": In(WORD_BITS),
            "idle": Out(1),
            "o": Out(stream.Signature(PORT_BITS)),
            "port": Out(MemoryPort),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.fifo = fifo = BlockFifo(PORT_BITS, _DEPTH)
        wiring.connect(m, wiring.flipped(self.port.r), fifo.i)
        wiring.connect(m, fifo.o, wiring.flipped(self.o))
        request = self.port.request
        address, left = Signal(ADDRESS_BITS), Signal(WORD_BITS)
        # The FIFO says that it is full four words early.
        room = Signal(range(_DEPTH), init=_DEPTH - 4)
        claimed = Mux(request.valid & request.ready, request.payload.words, 0)
        m.d.sync += room.eq(room - claimed + (self.o.valid & self.o.ready))
        row = to_row_end(address)
        with m.If(~request.valid):
            m.d.sync += [
                request.payload.address.eq(address),
                request.payload.words.eq(Mux(left >= row, row, left)),
                request.valid.eq((left != 0) & (room >= ROW_WORDS)),
            ]
        with m.Elif(request.ready):
            m.d.sync += [
                request.valid.eq(0),
                address.eq(address + request.payload.words),
                left.eq(left - request.payload.words),
            ]
        with m.If(self.load):
            m.d.sync += [address.eq(self.address), left.eq(self.words), request.valid.eq(0)]
        m.d.comb += self.idle.eq((left == 0) & ~request.valid)
        return m


Length = data.StructLayout({
    "words": WORD_BITS,
    "raw": 1,
    "last": 1,  # tile of the frame
    "bad": 1,  # the index does not ascend, or leaves the payload; no tile follows
})  # fmt: skip


class TileLengths(wiring.Component):
    """The tile index as lengths of tiles, ahead of their use; seven cycles for each.

    Members
    -------
    head : In(HeadLayout)
    shift : In(3), log2 of the words in a burst
    payload : In(32), bursts of all tiles
    start : In(1), begin with the first tile; only behind the last one of another frame
    index : Out(IndexPort), only read
    o : Out(stream of Length)
    """

    def __init__(self) -> None:
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
                    length.raw.eq(self.index.r_data[INDEX_OFFSET_BITS:] == TileMode.RAW),
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


class FrameReader(wiring.Component):
    """Reads a frame: checks its head, and puts out the words of its tiles.

    A word per cycle, but for a cycle between tiles, as long as the memory delivers them and a tile
    has at least eight words.
    Nothing is put out of a frame whose head is not intact; whether the tiles are is known at their
    end.

    Members
    -------
    head, base : In, configuration and address in words; constant from ``start`` until ``done``
    index : Out(IndexPort), used from ``start`` until ``done``
    start : In(1), begin a frame; only while ``done``
    port : Out(MemoryPort), only read
    o : Out(stream of word_layout(8))
    done : Out(1), the last word has left, or there is a fault
    fault : Out(8), see ``fmzip.regs.Fault``
    """

    def __init__(self) -> None:
        super().__init__({
            "head": In(HeadLayout),
            "base": In(ADDRESS_BITS),
            "index": Out(IndexPort),
            "start": In(1),
            "port": Out(MemoryPort),
            "o": Out(stream.Signature(word_layout(8))),
            "done": Out(1, init=1),
            "fault": Out(8),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        index, head = self.index, self.head
        m.submodules.size = size = HeadSize()
        m.submodules.reader = reader = PortReader()
        m.submodules.tiles_crc = tiles_crc = Crc32(PORT_BITS)
        m.submodules.head_crc = head_crc = Crc32(8 * ITEM_BYTES)
        wiring.connect(m, reader.port, wiring.flipped(self.port))

        m.submodules.lengths = lengths = TileLengths()

        item = Signal(range(2 * INDEX_ITEM + 4096))
        take = Signal()  # an item of the head is at hand
        known = Signal(8 * ITEM_BYTES)  # what it has to be
        payload = Signal(WORD_BITS)  # bursts of all tiles
        expected_crc = Signal(8 * ITEM_BYTES)
        differs = Signal()
        total = Signal(WORD_BITS)  # words of all tiles
        final = Signal()  # the last tile
        raw = Signal()
        left = Signal(WORD_BITS)  # words of the tile
        last = Signal()  # one word is left
        moved = Signal()
        first_tile = register(m, self.base + size.words)
        last_item = register(m, (size.words << 1) - 1)
        with m.Switch(item):
            for k in range(INDEX_ITEM - 2):
                with m.Case(k):
                    m.d.comb += known.eq(head.as_value().word_select(k, 8 * ITEM_BYTES))
        # A step behind the memory: no path goes from its output through a CRC, or to a decision.
        taken = register_flag(m, take)
        place = register(m, item)
        value = register(m, reader.o.payload.word_select(item[0], 8 * ITEM_BYTES))
        known = register(m, known)
        m.d.comb += [
            size.head.eq(head),
            lengths.head.eq(head),
            lengths.shift.eq(size.shift),
            lengths.payload.eq(payload),
            head_crc.data.eq(value),
            head_crc.valid.eq(taken),
            head_crc.start.eq(self.start),
            tiles_crc.data.eq(register(m, reader.o.payload)),
            tiles_crc.valid.eq(register_flag(m, moved)),
            tiles_crc.start.eq(self.start),
            index.w_addr.eq(place - INDEX_ITEM),
            index.w_data.eq(value),
            index.w_en.eq(taken & (place >= INDEX_ITEM) & (place - INDEX_ITEM < head.tiles)),
            index.r_addr.eq(lengths.index.r_addr),
            lengths.index.r_data.eq(index.r_data),
        ]
        with m.If(taken & (place < INDEX_ITEM - 2) & (value != known)):
            m.d.sync += differs.eq(1)
        with m.If(taken & (place == INDEX_ITEM - 2)):
            m.d.sync += payload.eq(value)
        with m.If(taken & (place == INDEX_ITEM - 1)):
            m.d.sync += expected_crc.eq(value)

        def give_up(fault: Fault) -> None:
            m.d.sync += [self.fault.eq(fault), self.done.eq(1)]
            m.next = "idle"

        with m.FSM():
            with m.State("idle"), m.If(self.start):
                m.d.comb += [reader.load.eq(1), reader.address.eq(self.base)]
                m.d.comb += reader.words.eq(size.words)
                m.d.sync += [self.done.eq(0), self.fault.eq(Fault.NONE), item.eq(0), differs.eq(0)]
                m.next = "head"
            with m.State("head"), m.If(reader.o.valid):
                m.d.comb += [take.eq(1), reader.o.ready.eq(item[0])]
                m.d.sync += item.eq(item + 1)
                with m.If(item == last_item):
                    m.next = "last item"
            with m.State("last item"):
                m.next = "check"
            with m.State("check"):
                m.d.sync += total.eq(payload << size.shift)
                m.next = "load"
                with m.If(differs):
                    give_up(Fault.HEAD_DIFFERS)
                with m.Elif(~head_crc.match):
                    give_up(Fault.HEAD_CRC)
            with m.State("load"):
                m.d.comb += [
                    reader.load.eq(1),
                    reader.address.eq(first_tile),
                    reader.words.eq(total),
                    lengths.start.eq(1),
                ]
                m.next = "entry"
            with m.State("entry"), m.If(lengths.o.valid):
                length = lengths.o.payload
                m.d.comb += lengths.o.ready.eq(1)
                m.d.sync += [
                    left.eq(length.words),
                    last.eq(length.words == 1),
                    raw.eq(length.raw),
                    final.eq(length.last),
                ]
                m.next = "tile"
                with m.If(length.bad):
                    give_up(Fault.INDEX)
            with m.State("tile"):
                m.d.comb += [
                    self.o.valid.eq(reader.o.valid),
                    reader.o.ready.eq(self.o.ready),
                    self.o.payload.data.eq(reader.o.payload),
                    self.o.payload.last.eq(last),
                    self.o.payload.raw.eq(raw),
                    moved.eq(reader.o.valid & self.o.ready),
                ]
                with m.If(moved):
                    m.d.sync += [left.eq(left - 1), last.eq(left == 2)]
                    with m.If(last):
                        m.next = "entry"
                        with m.If(final):
                            m.next = "last word"
            with m.State("last word"):
                m.next = "end"
            with m.State("end"):
                m.d.sync += self.done.eq(1)
                m.next = "idle"
                with m.If(tiles_crc.crc != expected_crc):
                    give_up(Fault.TILES_CRC)
        return m
