"""Packets of the link: received ones into a FIFO of words, words into packets to send."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from fmzip.protocol import COUNT_BITS, CRC_BYTES, MAX_WORDS, REQUEST_HEAD, TAG_BITS, Op
from fmzip_hw.cobs import PacketByte
from fmzip_hw.crc import Crc32
from fmzip_hw.memory import BlockRam

RequestHead = data.StructLayout({"op": 8, "sequence": 8, "count": COUNT_BITS, "tag": TAG_BITS})
# A word of a packet to send; behind the last one comes the CRC.
ReplyWord = data.StructLayout({"word": 32, "last": 1})

_HEAD_WORDS = REQUEST_HEAD // 4
_CRC_WORDS = CRC_BYTES // 4
_LONGEST = _HEAD_WORDS + MAX_WORDS + _CRC_WORDS


class PacketReceiver(wiring.Component):
    """Requests into a FIFO of words. What comes out is intact and sane; all else is dropped.

    Takes a byte per cycle, but for two cycles behind each packet, and never waits for ``o``: a
    packet that finds no room is dropped.

    Parameters
    ----------
    depth : words that it holds, a power of two

    Members
    -------
    i : In(stream of PacketByte)
    o : Out(stream of 32), of each request a ``RequestHead``, the address, and the data
    """

    def __init__(self, depth: int):
        exact_log2(depth)
        self._depth = depth
        super().__init__({"i": In(stream.Signature(PacketByte)), "o": Out(stream.Signature(32))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.ram = ram = BlockRam(32, self._depth)
        m.submodules.crc = crc = Crc32(8)
        byte = self.i.payload
        place = Signal(range(2 * self._depth))  # of the next word; one bit more than its address
        head = Signal.like(place)  # begin of the packet: what lies before may be read
        tail = Signal.like(place)
        size = Signal(range(_LONGEST + 2))  # words of the packet so far
        number = Signal(range(4))  # of the next byte in its word
        part = Signal(24)
        lost = Signal()  # a word found no room
        whole = Signal()  # the packet ended where it may
        intact = Signal()  # and it is a request
        full = Signal()
        word = Cat(part, byte.data)
        m.d.comb += [
            crc.data.eq(byte.data),
            ram.w_addr.eq(place),
            ram.w_data.eq(word),
        ]
        sane = self._sane(m, ram.w_en, word, size)
        # One cycle late; words are four cycles apart.
        m.d.sync += full.eq((place ^ tail) == self._depth)
        with m.FSM():
            with m.State("receive"):
                m.d.comb += self.i.ready.eq(1)
                with m.If(self.i.valid & byte.end):
                    m.d.sync += whole.eq(~byte.bad & (number == 0) & ~lost)
                    m.next = "check"
                with m.Elif(self.i.valid):
                    m.d.comb += crc.valid.eq(1)
                    m.d.sync += [part.eq(word[8:]), number.eq(number + 1)]
                    with m.If((number == 3) & full):
                        m.d.sync += lost.eq(1)
                    with m.Elif(number == 3):
                        m.d.comb += ram.w_en.eq(1)
                        m.d.sync += [place.eq(place + 1), size.eq(size + (size != _LONGEST + 1))]
            with m.State("check"):
                m.d.sync += intact.eq(whole & crc.match & sane)
                m.next = "end"
            with m.State("end"):
                m.d.comb += crc.start.eq(1)
                m.d.sync += [size.eq(0), number.eq(0), lost.eq(0)]
                m.next = "receive"
                with m.If(intact):
                    m.d.sync += [head.eq(place - _CRC_WORDS), place.eq(place - _CRC_WORDS)]
                with m.Else():
                    m.d.sync += place.eq(head)

        fetched, some = Signal(), Signal()
        m.d.comb += [
            some.eq(tail != head),
            ram.r_addr.eq(tail),
            ram.r_next.eq(~self.o.valid | self.o.ready),
            ram.r_en.eq(~fetched | ram.r_next),
            self.o.payload.eq(ram.r_data),
        ]
        with m.If(ram.r_en):
            m.d.sync += [fetched.eq(some), tail.eq(tail + some)]
        with m.If(ram.r_next):
            m.d.sync += self.o.valid.eq(fetched)
        return m

    def _sane(self, m: Module, put: Value, word: Value, size: Value) -> Value:
        """The packet's words are those of a request; valid one cycle behind its last byte."""
        head, aligned = Signal(RequestHead), Signal()
        with m.If(put & (size == 0)):
            m.d.sync += head.eq(word)
        with m.If(put & (size == 1)):
            m.d.sync += aligned.eq(word[:2] == 0)
        is_write = head.op == Op.WRITE
        expected = Signal.like(size)
        possible = Signal()
        m.d.sync += [
            expected.eq(_HEAD_WORDS + _CRC_WORDS + Mux(is_write, head.count, 0)),
            possible.eq(
                ((head.op == Op.HELLO) & (head.count == 0))
                | ((is_write | (head.op == Op.READ)) & (head.count <= MAX_WORDS) & aligned)
            ),
        ]
        return possible & (size == expected)


class PacketSender(wiring.Component):
    """Words to packets with their CRC-32: four cycles per word, and five behind the last one.

    Members
    -------
    i : In(stream of ReplyWord)
    o : Out(stream of PacketByte)
    """

    def __init__(self) -> None:
        super().__init__({
            "i": In(stream.Signature(ReplyWord)),
            "o": Out(stream.Signature(PacketByte)),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.crc = crc = Crc32(8)
        shift, last = Signal(32), Signal()
        left = Signal(range(5))  # bytes in `shift`
        number = Signal(range(4))
        out = self.o.payload
        with m.FSM():
            with m.State("words"):
                m.d.comb += [
                    out.data.eq(shift[:8]),
                    crc.data.eq(out.data),
                    crc.valid.eq(self.o.valid & self.o.ready),
                    self.o.valid.eq(left != 0),
                    self.i.ready.eq((left == 0) | ((left == 1) & self.o.ready & ~last)),
                ]
                with m.If(self.o.valid & self.o.ready):
                    m.d.sync += [left.eq(left - 1), shift.eq(shift >> 8)]
                    with m.If((left == 1) & last):
                        m.next = "crc"
                with m.If(self.i.valid & self.i.ready):
                    m.d.sync += [
                        left.eq(4),
                        shift.eq(self.i.payload.word),
                        last.eq(self.i.payload.last),
                    ]
            with m.State("crc"):
                m.d.comb += [out.data.eq(crc.crc.word_select(number, 8)), self.o.valid.eq(1)]
                with m.If(self.o.ready):
                    m.d.sync += number.eq(number + 1)
                    with m.If(number == CRC_BYTES - 1):
                        m.next = "end"
            with m.State("end"):
                m.d.comb += [out.end.eq(1), self.o.valid.eq(1), crc.start.eq(1)]
                with m.If(self.o.ready):
                    m.next = "words"
        return m
