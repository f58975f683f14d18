"""The frame writer: coded words into memory, and then the head that makes them a frame."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from fmzip_hw.framecompose import FrameComposer, FrameWord
from fmzip_hw.frameindex import WORD_BITS, IndexPort
from fmzip_hw.layout import HeadLayout, word_layout
from fmzip_hw.memory import BlockFifo
from fmzip_hw.memport import ADDRESS_BITS, PORT_BITS, ROW_WORDS, MemoryPort, to_row_end
from fmzip_hw.pipeline import register, register_flag
from fmzip_hw.stream import Slice

_DEPTH = 4 * ROW_WORDS


class PortWriter(wiring.Component):
    """Collects words and writes them to consecutive addresses, in requests of up to a row.

    Members
    -------
    load, address : In, continue at this address; only while ``empty``
    i : In(stream of 64), words
    flush : In(1), no more words follow for now: write what is left of a row, too
    empty : Out(1), the memory has taken all words; a cycle late
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
        m.submodules.words = words = Slice(PORT_BITS)  # between the FIFO's and the memory's ready
        wiring.connect(m, wiring.flipped(self.i), fifo.i)
        wiring.connect(m, fifo.o, words.i)
        request = self.port.request
        address = Signal(ADDRESS_BITS)
        level = Signal(range(_DEPTH + 8))  # words that no request has claimed yet
        owed = Signal(range(_DEPTH + 8))  # words that were claimed and have not moved
        owes = Signal()  # owed != 0
        entered = Signal()
        m.d.sync += entered.eq(self.i.valid & self.i.ready)

        # A cycle late, for the way to the memory; the next request waits for it.
        granted = register_flag(m, request.valid & request.ready)
        claimed = Mux(granted, request.payload.words, 0)
        moved = self.port.w.valid & self.port.w.ready
        m.d.sync += [
            level.eq(level + entered - claimed),
            owed.eq(owed + claimed - moved),
            owes.eq(granted | (owes & ~(moved & (owed == 1)))),
        ]
        row = to_row_end(address)
        with m.If(self.load):
            m.d.sync += address.eq(self.address)
        # An offered request is held: it is made in one cycle and offered from the next. The last
        # word is waited for, or it would need a request of its own.
        rest = self.flush & (level != 0) & ~entered
        with m.If(~request.valid & ~granted):
            m.d.sync += [
                request.payload.write.eq(1),
                request.payload.address.eq(address),
                request.payload.words.eq(Mux(level >= row, row, level)),
                request.valid.eq(~self.load & ((level >= row) | rest)),
            ]
        with m.If(request.valid & request.ready):
            m.d.sync += request.valid.eq(0)
        with m.If(granted):
            m.d.sync += address.eq(address + request.payload.words)
        m.d.comb += [
            self.port.w.payload.eq(words.o.payload),
            self.port.w.valid.eq(words.o.valid & owes),
            words.o.ready.eq(self.port.w.ready & owes),
        ]
        nothing = (level == 0) & ~owes & ~entered & ~request.valid & ~granted
        m.d.sync += self.empty.eq(nothing & ~(self.i.valid & self.i.ready))
        return m


class FrameWriter(wiring.Component):
    """Writes a frame: its tiles as they come, then its head, in requests of up to a row.

    Takes a word per cycle as long as the memory does.

    Parameters
    ----------
    bare : there are heads without an index, see ``HeadSize``

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

    def __init__(self, bare: bool = False) -> None:
        self._composer = FrameComposer(bare)
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
        m.submodules.composer = composer = self._composer
        m.submodules.writer = writer = PortWriter()
        m.submodules.cut = cut = Slice(FrameWord)  # between the FIFO and the tile index
        wiring.connect(m, wiring.flipped(self.i), composer.i)
        wiring.connect(m, composer.index, wiring.flipped(self.index))
        wiring.connect(m, composer.o, cut.i)
        wiring.connect(m, writer.port, wiring.flipped(self.port))
        words = cut.o
        moved, ended = Signal(), Signal()
        passing = Signal()  # a register, since the codec's memory waits for it
        first_tile = register(m, self.base + composer.first)
        m.d.comb += [
            composer.head.eq(self.head),
            composer.start.eq(self.start),
            self.words.eq(composer.words),
            writer.i.payload.eq(words.payload.data),
            writer.i.valid.eq(words.valid & passing),
            words.ready.eq(writer.i.ready & passing),
            moved.eq(words.valid & words.ready),
            ended.eq(moved & words.payload.last),
        ]
        with m.If(ended):
            m.d.sync += passing.eq(0)

        with m.FSM():
            with m.State("idle"), m.If(self.start):
                m.d.comb += [writer.load.eq(1), writer.address.eq(first_tile)]
                m.d.sync += [self.done.eq(0), passing.eq(1)]
                m.next = "tiles"
            with m.State("tiles"), m.If(ended):
                m.next = "flush tiles"
            with m.State("flush tiles"):
                m.d.comb += [writer.flush.eq(1), writer.address.eq(self.base)]
                with m.If(writer.empty):
                    m.d.comb += writer.load.eq(1)
                    m.d.sync += passing.eq(1)
                    m.next = "head"
            with m.State("head"), m.If(ended):
                m.next = "flush head"
            with m.State("flush head"):
                m.d.comb += writer.flush.eq(1)
                with m.If(writer.empty):
                    m.d.sync += self.done.eq(1)
                    m.next = "idle"
        return m
