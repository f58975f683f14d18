"""The link bridge: packets of the host to accesses on the bus, and replies back."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from fmzip.protocol import CRC_BYTES, MAX_WORDS, REPLY, REPLY_HEAD, REQUEST_HEAD, Op
from fmzip_hw.bus import Bus
from fmzip_hw.cobs import CobsDecoder, CobsEncoder
from fmzip_hw.crc import Crc32

_Header = data.StructLayout({"op": 8, "sequence": 8, "count": 16, "address": 32})
assert _Header.size == 8 * REQUEST_HEAD


class Bridge(wiring.Component):
    """Serves the packets of ``fmzip.protocol``, one at a time.

    A packet is executed only if all of it is intact; others are dropped without a reply. About
    five cycles per word. While a packet is executed, ``i`` waits.

    Members
    -------
    i, o : In and Out(stream of 8), the link's bytes
    bus : Out(Bus)
    """

    def __init__(self) -> None:
        super().__init__({
            "i": In(stream.Signature(8)),
            "o": Out(stream.Signature(8)),
            "bus": Out(Bus),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.decoder = decoder = CobsDecoder()
        m.submodules.encoder = encoder = CobsEncoder()
        m.submodules.crc_in = crc_in = Crc32(8)
        m.submodules.crc_out = crc_out = Crc32(8)
        wiring.connect(m, wiring.flipped(self.i), decoder.i)
        wiring.connect(m, encoder.o, wiring.flipped(self.o))
        longest = REQUEST_HEAD + 4 * MAX_WORDS + CRC_BYTES
        m.submodules.buffer = buffer = Memory(shape=8, depth=2048, init=[])
        write, read = buffer.write_port(), buffer.read_port()

        header = Signal(_Header)
        size = Signal(range(longest + 2))  # bytes of the packet so far
        place = Signal(range(longest + 2))  # of the next byte that is executed
        left = Signal(16)  # words
        word = Signal(32)
        byte = Signal(range(4))
        out = encoder.i.payload
        # All replies begin with four bytes of the request.
        reply = Cat(header.op | REPLY, header.sequence, header.count)
        is_write = Signal()
        m.d.comb += [
            write.addr.eq(size),
            write.data.eq(decoder.o.payload.data),
            read.addr.eq(place),
            crc_in.data.eq(decoder.o.payload.data),
            crc_out.data.eq(out.data),
            is_write.eq(header.op == Op.WRITE),
            self.bus.address.eq(header.address),
            self.bus.write.eq(is_write),
            self.bus.data.eq(word),
        ]
        expected = Signal.like(size)
        m.d.sync += expected.eq(REQUEST_HEAD + CRC_BYTES + Mux(is_write, header.count << 2, 0))
        sane = Signal()
        m.d.sync += sane.eq(
            (is_write | (header.op == Op.READ))
            & (header.count <= MAX_WORDS)
            & (header.address[:2] == 0)
        )

        with m.FSM():
            with m.State("receive"):
                m.d.comb += decoder.o.ready.eq(1)
                with m.If(decoder.o.valid & decoder.o.payload.end):
                    m.d.sync += place.eq(REQUEST_HEAD)
                    m.next = "check"
                    with m.If(decoder.o.payload.bad):
                        m.next = "forget"
                with m.Elif(decoder.o.valid):
                    m.d.comb += [write.en.eq(1), crc_in.valid.eq(1)]
                    with m.If(size != longest + 1):
                        m.d.sync += size.eq(size + 1)
                    with m.If(size < REQUEST_HEAD):
                        m.d.sync += header.eq(Cat(header.as_value()[8:], decoder.o.payload.data))
            with m.State("check"):  # `sane` and `expected` are a cycle behind the header
                m.d.comb += crc_out.start.eq(1)
                m.d.sync += [left.eq(header.count), byte.eq(0)]
                m.next = "forget"
                with m.If((size == expected) & sane & crc_in.match):
                    m.next = "head"
            with m.State("forget"):
                m.d.comb += crc_in.start.eq(1)
                m.d.sync += size.eq(0)
                m.next = "receive"
            with m.State("head"):
                m.d.comb += [
                    out.data.eq(reply.word_select(byte, 8)),
                    encoder.i.valid.eq(1),
                    crc_out.valid.eq(encoder.i.ready),
                ]
                with m.If(encoder.i.ready):
                    m.d.sync += byte.eq(byte + 1)
                    with m.If(byte == REPLY_HEAD - 1):
                        m.next = "word"
            with m.State("word"):
                with m.If(left == 0):
                    m.next = "crc"
                with m.Elif(is_write):
                    m.d.sync += place.eq(place + 1)
                    m.next = "gather"
                with m.Else():
                    m.next = "access"
            with m.State("gather"):  # the four bytes of a word; the memory is a cycle behind
                m.d.sync += [word.eq(Cat(word[8:], read.data)), byte.eq(byte + 1)]
                with m.If(byte == 3):
                    m.next = "access"
                with m.Else():
                    m.d.sync += place.eq(place + 1)
            with m.State("access"):
                m.d.comb += self.bus.valid.eq(1)
                with m.If(self.bus.ack):
                    m.d.sync += [left.eq(left - 1), header.address.eq(header.address + 4)]
                    m.next = "word"
                    with m.If(~is_write):
                        m.d.sync += word.eq(self.bus.read)
                        m.next = "send"
            with m.State("send"):
                m.d.comb += [
                    out.data.eq(word[:8]),
                    encoder.i.valid.eq(1),
                    crc_out.valid.eq(encoder.i.ready),
                ]
                with m.If(encoder.i.ready):
                    m.d.sync += [byte.eq(byte + 1), word.eq(word >> 8)]
                    with m.If(byte == 3):
                        m.next = "word"
            with m.State("crc"):
                m.d.comb += [
                    out.data.eq(crc_out.crc.word_select(byte, 8)),
                    encoder.i.valid.eq(1),
                ]
                with m.If(encoder.i.ready):
                    m.d.sync += byte.eq(byte + 1)
                    with m.If(byte == 3):
                        m.next = "end"
            with m.State("end"):
                m.d.comb += [out.end.eq(Const(1)), encoder.i.valid.eq(1)]
                with m.If(encoder.i.ready):
                    m.next = "forget"
        return m
