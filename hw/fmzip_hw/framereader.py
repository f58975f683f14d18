"""The frame reader: a frame's head checked, and then its tiles as words for the decoder."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from fmzip.format import INDEX_OFFSET_BITS, TileMode
from fmzip.regs import Fault
from fmzip_hw.crc import Crc32
from fmzip_hw.frameindex import INDEX_ITEM, ITEM_BYTES, WORD_BITS, HeadSize, IndexPort
from fmzip_hw.layout import HeadLayout, word_layout
from fmzip_hw.memory import BlockFifo
from fmzip_hw.memport import ADDRESS_BITS, PORT_BITS, ROW_WORDS, MemoryPort, to_row_end

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


class FrameReader(wiring.Component):
    """Reads a frame: checks its head, and puts out the words of its tiles.

    A word per cycle, but for three cycles between tiles, as long as the memory delivers them.
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

        item = Signal(range(2 * INDEX_ITEM + 4096))
        tile = Signal.like(head.tiles)
        payload = Signal(WORD_BITS)  # bursts of all tiles
        expected_crc = Signal(8 * ITEM_BYTES)
        value = Signal(8 * ITEM_BYTES)
        raw = Signal()
        left = Signal(WORD_BITS)  # words of the tile
        start = Signal(INDEX_OFFSET_BITS)  # of the tile
        m.d.comb += [
            size.head.eq(head),
            value.eq(reader.o.payload.word_select(item[0], 8 * ITEM_BYTES)),
            head_crc.data.eq(value),
            head_crc.start.eq(self.start),
            tiles_crc.data.eq(reader.o.payload),
            tiles_crc.start.eq(self.start),
            index.w_addr.eq(item - INDEX_ITEM),
            index.w_data.eq(value),
            index.r_addr.eq(tile),
        ]

        def give_up(fault: Fault) -> None:
            m.d.sync += [self.fault.eq(fault), self.done.eq(1)]
            m.next = "idle"

        with m.FSM():
            with m.State("idle"), m.If(self.start):
                m.d.comb += [reader.load.eq(1), reader.address.eq(self.base)]
                m.d.comb += reader.words.eq(size.words)
                m.d.sync += [self.done.eq(0), self.fault.eq(Fault.NONE), item.eq(0), start.eq(0)]
                m.next = "head"
            with m.State("head"), m.If(reader.o.valid):
                m.d.comb += [head_crc.valid.eq(1), reader.o.ready.eq(item[0])]
                m.d.sync += item.eq(item + 1)
                with m.If(item == (size.words << 1) - 1):
                    m.d.sync += item.eq(0)
                    m.next = "check"
                with m.Elif(item < INDEX_ITEM - 2):
                    with m.Switch(item):
                        for k in range(INDEX_ITEM - 2):
                            with m.Case(k):
                                known = head.as_value().word_select(k, 8 * ITEM_BYTES)
                                with m.If(value != known):
                                    give_up(Fault.HEAD_DIFFERS)
                with m.Elif(item == INDEX_ITEM - 2):
                    m.d.sync += payload.eq(value)
                with m.Elif(item == INDEX_ITEM - 1):
                    m.d.sync += expected_crc.eq(value)
                with m.Elif(item - INDEX_ITEM < head.tiles):
                    m.d.comb += index.w_en.eq(1)
            with m.State("check"):
                m.d.sync += tile.eq(0)
                with m.If(head_crc.match):
                    m.next = "load"
                with m.Else():
                    give_up(Fault.HEAD_CRC)
            with m.State("load"):
                m.d.comb += [
                    reader.load.eq(1),
                    reader.address.eq(self.base + size.words),
                    reader.words.eq(payload << size.shift),
                ]
                m.next = "entry"
            # The index memory takes a cycle; then the entry of a tile and the start of the next.
            with m.State("entry"):
                m.d.sync += tile.eq(tile + 1)
                m.next = "next entry"
            with m.State("next entry"):
                m.d.sync += raw.eq(index.r_data[INDEX_OFFSET_BITS:] == TileMode.RAW)
                m.next = "length"
                with m.If(index.r_data[:INDEX_OFFSET_BITS] != start):
                    give_up(Fault.INDEX)
            with m.State("length"):
                end = Mux(tile == head.tiles, payload, index.r_data[:INDEX_OFFSET_BITS])
                m.d.sync += [left.eq((end - start) << size.shift), start.eq(end)]
                m.next = "tile"
                # Behind the payload nothing has been asked for: waiting for it would not end.
                with m.If((end <= start) | (end > payload)):
                    give_up(Fault.INDEX)
            with m.State("tile"):
                m.d.comb += [
                    self.o.valid.eq(reader.o.valid),
                    reader.o.ready.eq(self.o.ready),
                    self.o.payload.data.eq(reader.o.payload),
                    self.o.payload.last.eq(left == 1),
                    self.o.payload.raw.eq(raw),
                ]
                with m.If(reader.o.valid & self.o.ready):
                    m.d.comb += tiles_crc.valid.eq(1)
                    m.d.sync += left.eq(left - 1)
                    with m.If(left == 1):
                        m.next = "entry"
                        with m.If(tile == head.tiles):
                            m.next = "end"
            with m.State("end"):
                m.d.sync += self.done.eq(1)
                m.next = "idle"
                with m.If(tiles_crc.crc != expected_crc):
                    give_up(Fault.TILES_CRC)
        return m
