"""The frame writer: coded words into memory, and then the head that makes them a frame."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from fmzip.format import INDEX_OFFSET_BITS
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


class PortWriter(wiring.Component):
    """Collects words and writes them to consecutive addresses, in requests of up to a row.

    Members
    -------
    load, address : In, continue at this address; only while ``empty``
    i : In(stream of 64), words
    flush : In(1), no more words follow for now: write what is left of a row, too
    empty : Out(1), the memory has taken all words
    port : Out(MemoryPort)
    """

    def __init__(self) -> None:
        super().__init__({
            "load": In(1),
            "address": In(ADDRESS_BITS),
            "i": In(stream.Signature(PORT_BITS)),
            "flush": In(1),
            "empty": Out(1),
            "port": Out(MemoryPort),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.fifo = fifo = BlockFifo(PORT_BITS, _DEPTH)
        wiring.connect(m, wiring.flipped(self.i), fifo.i)
        request = self.port.request
        address = Signal(ADDRESS_BITS)
        level = Signal(range(_DEPTH + 8))  # words that no request has claimed yet
        owed = Signal(range(_DEPTH + 8))  # words that were claimed and have not moved
        entered = Signal()
        m.d.sync += entered.eq(self.i.valid & self.i.ready)

        asked = request.valid & request.ready
        claimed = Mux(asked, request.payload.words, 0)
        moved = self.port.w.valid & self.port.w.ready
        m.d.sync += [
            level.eq(level + entered - claimed),
            owed.eq(owed + claimed - moved),
        ]
        row = to_row_end(address)
        with m.If(self.load):
            m.d.sync += address.eq(self.address)
        # An offered request is held: it is made in one cycle and offered from the next. The last
        # word is waited for, or it would need a request of its own.
        rest = self.flush & (level != 0) & ~entered
        with m.If(~request.valid):
            m.d.sync += [
                request.payload.write.eq(1),
                request.payload.address.eq(address),
                request.payload.words.eq(Mux(level >= row, row, level)),
                request.valid.eq(~self.load & ((level >= row) | rest)),
            ]
        with m.Elif(request.ready):
            m.d.sync += [request.valid.eq(0), address.eq(address + request.payload.words)]
        m.d.comb += [
            self.port.w.payload.eq(fifo.o.payload),
            self.port.w.valid.eq(fifo.o.valid & (owed != 0)),
            fifo.o.ready.eq(self.port.w.ready & (owed != 0)),
            self.empty.eq((level == 0) & (owed == 0) & ~entered & ~request.valid),
        ]
        return m


class FrameWriter(wiring.Component):
    """Writes a frame: its tiles as they come, then its head, in requests of up to a row.

    Takes a word per cycle as long as the memory does.

    Members
    -------
    head, base : In, configuration and address in words; constant from ``start`` until ``done``
    index : Out(IndexPort), used from ``start`` until ``done``
    start : In(1), begin a frame; only while ``done``
    i : In(stream of word_layout(8)), the words of all tiles
    port : Out(MemoryPort), only written
    done : Out(1), the whole frame is in memory
    words : Out(32), size of the frame, valid with ``done``
    """

    def __init__(self) -> None:
        super().__init__({
            "head": In(HeadLayout),
            "base": In(ADDRESS_BITS),
            "index": Out(IndexPort),
            "start": In(1),
            "i": In(stream.Signature(word_layout(8))),
            "port": Out(MemoryPort),
            "done": Out(1, init=1),
            "words": Out(WORD_BITS),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        index, head = self.index, self.head
        m.submodules.size = size = HeadSize()
        m.submodules.writer = writer = PortWriter()
        m.submodules.tiles_crc = tiles_crc = Crc32(PORT_BITS)
        m.submodules.head_crc = head_crc = Crc32(8 * ITEM_BYTES)
        wiring.connect(m, writer.port, wiring.flipped(self.port))

        tile = Signal.like(head.tiles)
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
        first_tile = register(m, self.base + size.words)
        last_item = register(m, (size.words << 1) - 1)
        last_tile = register(m, head.tiles - 1)
        bursts = register(m, position >> size.shift)
        taken = Signal()
        m.d.comb += [
            size.head.eq(head),
            taken.eq(self.i.valid & self.i.ready),
            # A step late, so that no path goes from the memory of the codec through the CRC.
            tiles_crc.data.eq(register(m, self.i.payload.data)),
            tiles_crc.valid.eq(register_flag(m, taken)),
            tiles_crc.start.eq(self.start),
            head_crc.data.eq(value),
            head_crc.start.eq(self.start),
            index.w_addr.eq(tile),
            index.w_data.eq(tile_start >> size.shift | self.i.payload.raw << INDEX_OFFSET_BITS),
            index.r_addr.eq(item - INDEX_ITEM),
        ]
        assert IndexMemory.latency == 2  # from "read" by way of "put" to "read"
        with m.Switch(item):
            with m.Case(INDEX_ITEM - 2):
                m.d.comb += known.eq(bursts)
            with m.Case(INDEX_ITEM - 1):
                m.d.comb += known.eq(tiles_crc.crc)
            for k in range(INDEX_ITEM - 2):
                with m.Case(k):
                    m.d.comb += known.eq(head.as_value().word_select(k, 8 * ITEM_BYTES))
        rest = Mux(inside, index.r_data, Mux(final, head_crc.crc, 0))

        with m.FSM():
            with m.State("idle"), m.If(self.start):
                m.d.comb += [writer.load.eq(1), writer.address.eq(first_tile)]
                m.d.sync += [self.done.eq(0), tile.eq(0), position.eq(0), tile_start.eq(0)]
                m.next = "tiles"
            with m.State("tiles"):
                m.d.comb += [
                    writer.i.payload.eq(self.i.payload.data),
                    writer.i.valid.eq(self.i.valid),
                    self.i.ready.eq(writer.i.ready),
                ]
                with m.If(taken):
                    m.d.sync += position.eq(position + 1)
                    with m.If(self.i.payload.last):
                        m.d.comb += index.w_en.eq(1)
                        m.d.sync += [tile.eq(tile + 1), tile_start.eq(position + 1)]
                        with m.If(tile == last_tile):
                            m.next = "flush tiles"
            with m.State("flush tiles"):
                m.d.comb += [writer.flush.eq(1), writer.address.eq(self.base)]
                m.d.sync += [item.eq(0), some.eq(0), final.eq(0)]
                with m.If(writer.empty):
                    m.d.comb += writer.load.eq(1)
                    m.next = "read"
            with m.State("read"):
                m.d.sync += [
                    read_inside.eq(item - INDEX_ITEM < head.tiles),
                    read_final.eq(item == last_item),
                    read_known.eq(known),
                    value.eq(Mux(before_index, read_known, rest)),
                ]
                m.next = "put"
            with m.State("put"):
                whole = some & chosen[0]
                m.d.comb += [writer.i.payload.eq(Cat(lower, value)), writer.i.valid.eq(whole)]
                with m.If(~whole | writer.i.ready):
                    m.d.comb += head_crc.valid.eq(some)
                    m.d.sync += [
                        lower.eq(value),
                        item.eq(item + 1),
                        chosen.eq(item),
                        some.eq(1),
                        inside.eq(read_inside),
                        final.eq(read_final),
                        before_index.eq(item < INDEX_ITEM),
                    ]
                    m.next = "read"
                    with m.If(final):
                        m.next = "flush head"
            with m.State("flush head"):
                m.d.comb += writer.flush.eq(1)
                m.d.sync += self.words.eq(position + size.words)
                with m.If(writer.empty):
                    m.d.sync += self.done.eq(1)
                    m.next = "idle"
        return m
