"""Beats into memory and back as they are: what the codec is compared with."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from fmzip_hw.frameindex import WORD_BITS
from fmzip_hw.framereader import PortReader
from fmzip_hw.framewriter import PortWriter
from fmzip_hw.memport import ADDRESS_BITS, PORT_BITS, MemoryPort
from fmzip_hw.sections import WordJoiner


class RawPath(wiring.Component):
    """Writes words of beats to consecutive addresses, or reads them, in requests of up to a row.

    Parameters
    ----------
    lanes : values per beat

    Members
    -------
    base, words : In, first address, and how many words of 64 bits; constant while ``busy``
    write, read : In(1), begin; only while not ``busy``
    i : In(stream of lanes x 8), beats to write; the first is in the lowest bits of a word
    o : Out(stream of 64), words that were read
    busy : Out(1)
    port : Out(MemoryPort)
    """

    def __init__(self, lanes: int):
        self._joiner = WordJoiner(lanes)
        super().__init__({
            "base": In(ADDRESS_BITS),
            "words": In(WORD_BITS),
            "write": In(1),
            "read": In(1),
            "i": In(stream.Signature(data.ArrayLayout(8, lanes))),
            "o": Out(stream.Signature(PORT_BITS)),
            "busy": Out(1),
            "port": Out(MemoryPort),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.joiner = joiner = self._joiner
        m.submodules.writer = writer = PortWriter()
        m.submodules.reader = reader = PortReader()
        port = self.port
        left, some = Signal(WORD_BITS), Signal()  # some: left != 0
        writing = Signal()
        wiring.connect(m, reader.o, wiring.flipped(self.o))
        m.d.comb += [
            joiner.i.payload.data.eq(self.i.payload),
            writer.i.payload.eq(joiner.o.payload.data),
            writer.address.eq(self.base),
            reader.address.eq(self.base),
            reader.words.eq(self.words),
            port.request.payload.eq(reader.port.request.payload),
            port.request.valid.eq(reader.port.request.valid),
            reader.port.request.ready.eq(port.request.ready & ~writing),
            writer.port.request.ready.eq(port.request.ready & writing),
            port.w.payload.eq(writer.port.w.payload),
            port.w.valid.eq(writer.port.w.valid),
            writer.port.w.ready.eq(port.w.ready),
            reader.port.r.payload.eq(port.r.payload),
            reader.port.r.valid.eq(port.r.valid),
            port.r.ready.eq(reader.port.r.ready),
        ]
        with m.If(writing):
            m.d.comb += [
                port.request.payload.eq(writer.port.request.payload),
                port.request.valid.eq(writer.port.request.valid),
            ]
        with m.FSM() as fsm:
            m.d.comb += self.busy.eq(~fsm.ongoing("idle"))
            with m.State("idle"):
                m.d.sync += [left.eq(self.words), some.eq(self.words != 0)]
                with m.If(self.write):
                    m.d.comb += writer.load.eq(1)
                    m.d.sync += writing.eq(1)
                    m.next = "write"
                with m.Elif(self.read):
                    m.d.comb += reader.load.eq(1)
                    m.d.sync += writing.eq(0)
                    m.next = "read"
            with m.State("write"):
                m.d.comb += [
                    writer.i.valid.eq(joiner.o.valid & some),
                    joiner.o.ready.eq(writer.i.ready & some),
                    joiner.i.valid.eq(self.i.valid),
                    self.i.ready.eq(joiner.i.ready),
                    writer.flush.eq(~some),
                ]
                with m.If(writer.i.valid & writer.i.ready):
                    m.d.sync += [left.eq(left - 1), some.eq(left != 1)]
                with m.Elif(~some & writer.empty):
                    m.next = "idle"
            with m.State("read"):
                with m.If(self.o.valid & self.o.ready):
                    m.d.sync += left.eq(left - 1)
                    with m.If(left == 1):
                        m.next = "idle"
        return m
