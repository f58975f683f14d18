"""The link bridge: requests of the host to accesses on the bus, and replies back."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from fmzip.protocol import (
    HELLO,
    HELLO_WORDS,
    MAX_WORDS,
    NO_SESSION,
    PROTOCOL_VERSION,
    REPLY,
    SEQUENCES,
    Op,
    first_sequence,
    max_packet,
    tag_of,
)
from fmzip.regs import ident
from fmzip_hw.bus import Bus
from fmzip_hw.cobs import CobsDecoder, CobsEncoder, PacketByte
from fmzip_hw.packets import PacketReceiver, PacketSender, RequestHead
from fmzip_hw.pipeline import register
from fmzip_hw.stream import Slice


class Bridge(wiring.Component):
    """Serves the packets of ``fmzip.protocol``: every write once, in the order of their numbers.

    Intact requests wait in a FIFO, whose size the host knows and keeps to; so ``i`` is taken at
    once, which a UART needs: a byte per cycle, but for one cycle behind each packet. A word is
    written in one cycle, and read in four, unless the bus takes longer.

    Parameters
    ----------
    clock_hz, build, part : what ``HELLO`` tells the host; see ``fmzip.protocol``
    fifo_bytes : size of the FIFO, a power of two

    Members
    -------
    i, o : In and Out(stream of 8), the link's bytes
    bus : Out(Bus)
    """

    def __init__(
        self,
        *,
        clock_hz: int = 0,
        build: int = 0,
        part: str = "",
        fifo_bytes: int = 4096,
    ):
        name = part.encode("ascii")
        size = 4 * {field: words for field, words, _ in HELLO}["part"]
        if len(name) > size:
            raise ValueError(f"part must have at most {size} characters, not {part!r}")
        if fifo_bytes < max_packet():
            raise ValueError(f"fifo_bytes must be at least {max_packet()}, not {fifo_bytes}")
        self._hello = {
            "version": PROTOCOL_VERSION,
            "ident": ident(),
            "build": build,
            "clock_hz": clock_hz,
            "fifo_bytes": fifo_bytes,
            "part": int.from_bytes(name, "little"),
        }
        self._receiver = PacketReceiver(fifo_bytes // 4)
        super().__init__({
            "i": In(stream.Signature(8)),
            "o": Out(stream.Signature(8)),
            "bus": Out(Bus),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.decoder = decoder = CobsDecoder()
        m.submodules.receiver = receiver = self._receiver
        m.submodules.sender = sender = PacketSender()
        m.submodules.taken = taken = Slice(PacketByte)  # between the bytes and their CRC
        m.submodules.slice = part = Slice(PacketByte)  # between one ready and the other
        m.submodules.cut = cut = Slice(32)  # between the bus and the FIFO
        m.submodules.encoder = encoder = CobsEncoder()
        wiring.connect(m, wiring.flipped(self.i), decoder.i)
        wiring.connect(m, decoder.o, taken.i)
        wiring.connect(m, taken.o, receiver.i)
        wiring.connect(m, receiver.o, cut.i)
        wiring.connect(m, sender.o, part.i)
        wiring.connect(m, part.o, encoder.i)
        m.submodules.sent = sent = Slice(8)  # between the run memory and the UART's clock of bits
        wiring.connect(m, encoder.o, sent.i)
        wiring.connect(m, sent.o, wiring.flipped(self.o))

        request, reply, bus = cut.o, sender.i, self.bus
        head = Signal(RequestHead)
        address = Signal(32)
        left = Signal(range(max(HELLO_WORDS, MAX_WORDS) + 1))  # words
        more = Signal()  # left != 0
        is_open, session = Signal(), Signal(32)
        expected = Signal(range(SEQUENCES))  # number of the next request
        execute = Signal()  # not a duplicate of a write
        answer = Signal()  # no request before it is missing
        ahead = Signal(range(SEQUENCES))
        known = Signal()  # the request is one of this session
        other = Signal()  # HELLO: of another session than the one that is open
        # Known a cycle late, while the address is taken.
        is_write, is_hello = (register(m, head.op == op) for op in (Op.WRITE, Op.HELLO))
        word, have = Signal(32), Signal()  # for the reply, read ahead
        # Compared in front of the state that judges: wide words, and many registers wait for them.
        m.d.sync += [
            ahead.eq(head.sequence - expected),
            known.eq(is_open & (head.tag == tag_of(session))),
            other.eq(~is_open | (session != address)),
        ]
        m.d.comb += [
            bus.address.eq(address),
            bus.write.eq(is_write),
            bus.data.eq(request.payload),
        ]
        with m.FSM():
            with m.State("head"):
                m.d.comb += request.ready.eq(1)
                m.d.sync += head.eq(request.payload)
                with m.If(request.valid):
                    m.next = "address"
            with m.State("address"):
                m.d.comb += request.ready.eq(1)
                m.d.sync += address.eq(request.payload)
                with m.If(request.valid):
                    m.next = "compare"
            with m.State("compare"):
                m.next = "judge"
            with m.State("judge"):
                m.d.sync += [
                    left.eq(head.count),
                    more.eq((head.count != 0) | is_hello),
                    execute.eq(known & (ahead == 0)),
                    answer.eq(~is_open | (known & ((ahead == 0) | ahead[-1]))),
                ]
                m.next = "write"
                with m.If(is_hello):
                    m.d.sync += [left.eq(HELLO_WORDS), head.count.eq(HELLO_WORDS), answer.eq(1)]
                    # The same number again is a duplicate, and changes nothing.
                    with m.If(other):
                        m.d.sync += [is_open.eq(1), session.eq(address)]
                        m.d.sync += expected.eq(first_sequence(address))
                with m.Elif(known & (ahead == 0)):
                    m.d.sync += expected.eq(expected + 1)
            with m.State("write"):
                with m.If(is_write & more):
                    m.d.comb += [
                        bus.valid.eq(execute & request.valid),
                        request.ready.eq(bus.ack | ~execute),
                    ]
                    with m.If(request.valid & request.ready):
                        m.d.sync += [left.eq(left - 1), more.eq(left != 1), address.eq(address + 4)]
                with m.Elif(answer):
                    m.next = "reply"
                with m.Else():
                    m.next = "head"
            with m.State("reply"):
                served = is_open | is_hello
                words = served & more
                m.d.comb += [
                    reply.valid.eq(1),
                    reply.payload.word.eq(
                        Cat(
                            Mux(served, head.op | REPLY, NO_SESSION | REPLY),
                            head.sequence,
                            Mux(served, head.count, 0),
                            head.tag,
                        )
                    ),
                    reply.payload.last.eq(~words),
                ]
                with m.If(reply.ready):
                    m.next = "head"
                    with m.If(words):
                        m.next = "read"
            with m.State("read"):
                m.d.comb += [
                    bus.valid.eq(~is_hello & ~have),
                    reply.valid.eq(have),
                    reply.payload.word.eq(word),
                    reply.payload.last.eq(~more),
                ]
                with m.If(~have & (bus.ack | is_hello)):
                    m.d.sync += [
                        word.eq(Mux(is_hello, self._hello_word(left, session), bus.read)),
                        have.eq(1),
                        left.eq(left - 1),
                        more.eq(left != 1),
                        address.eq(address + 4),
                    ]
                with m.If(have & reply.ready):
                    m.d.sync += have.eq(0)
                    with m.If(~more):
                        m.next = "head"
        return m

    def _hello_word(self, left: Value, session: Value) -> Value:
        """The next word of the reply to HELLO, by the number of those that are left."""
        words: list[Value] = []
        for name, count, _ in HELLO:
            for k in range(count):
                value = self._hello.get(name, 0) >> 32 * k & 0xFFFF_FFFF
                words.append(session if name == "session" else Const(value, 32))
        return Array([Const(0, 32), *reversed(words)])[left[: HELLO_WORDS.bit_length()]]
