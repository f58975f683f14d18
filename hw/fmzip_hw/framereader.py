"""The frame reader: a frame's head checked, and then its tiles as words for the decoder."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from fmzip_hw.frameindex import WORD_BITS, IndexPort
from fmzip_hw.frameparse import FrameParser
from fmzip_hw.layout import HeadLayout, word_layout
from fmzip_hw.memory import BlockFifo
from fmzip_hw.memport import ADDRESS_BITS, PORT_BITS, ROW_WORDS, MemoryPort, to_row_end
from fmzip_hw.pipeline import register, register_flag
from fmzip_hw.stream import Slice

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
        m.submodules.ahead = ahead = Slice(PORT_BITS)  # between the FIFO's and the user's ready
        wiring.connect(m, fifo.o, ahead.i)
        wiring.connect(m, ahead.o, wiring.flipped(self.o))
        request = self.port.request
        address, left = Signal(ADDRESS_BITS), Signal(WORD_BITS)
        # The FIFO says that it is full four words early.
        room = Signal(range(_DEPTH), init=_DEPTH - 4)
        # A cycle late, for the way to the memory; the next request waits for it.
        granted = register_flag(m, request.valid & request.ready)
        claimed = Mux(granted, request.payload.words, 0)
        taken = Signal()
        m.d.sync += [taken.eq(self.o.valid & self.o.ready), room.eq(room - claimed + taken)]
        row = to_row_end(address)
        with m.If(~request.valid & ~granted):
            m.d.sync += [
                request.payload.address.eq(address),
                request.payload.words.eq(Mux(left >= row, row, left)),
                request.valid.eq((left != 0) & (room >= ROW_WORDS)),
            ]
        with m.If(request.valid & request.ready):
            m.d.sync += request.valid.eq(0)
        with m.If(granted):
            m.d.sync += [
                address.eq(address + request.payload.words),
                left.eq(left - request.payload.words),
            ]
        with m.If(self.load):
            m.d.sync += [address.eq(self.address), left.eq(self.words), request.valid.eq(0)]
        m.d.comb += self.idle.eq((left == 0) & ~request.valid & ~granted)
        return m


class FrameReader(wiring.Component):
    """Reads a frame: checks its head, and puts out the words of its tiles.

    A word per cycle, but for a cycle between tiles, as long as the memory delivers them and a tile
    has at least eight words.
    Nothing is put out of a frame whose head is not intact; whether the tiles are is known at their
    end.

    Parameters
    ----------
    bare : there are heads without an index, see ``HeadSize``

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

    def __init__(self, bare: bool = False) -> None:
        self._parser = FrameParser(bare)
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
        m.submodules.parser = parser = self._parser
        m.submodules.reader = reader = PortReader()
        wiring.connect(m, reader.port, wiring.flipped(self.port))
        wiring.connect(m, reader.o, parser.i)
        wiring.connect(m, parser.o, wiring.flipped(self.o))
        wiring.connect(m, parser.index, wiring.flipped(self.index))
        first_tile = register(m, self.base + parser.first)
        m.d.comb += [
            parser.head.eq(self.head),
            parser.start.eq(self.start),
            self.done.eq(parser.done),
            self.fault.eq(parser.fault),
            reader.load.eq(self.start | parser.load),
            reader.address.eq(Mux(parser.load, first_tile, self.base)),
            reader.words.eq(Mux(parser.load, parser.rest, parser.first)),
        ]
        return m
