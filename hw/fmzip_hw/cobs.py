"""COBS framing of byte streams, both ways: packets without a zero byte, ended by one.

S. Cheshire and M. Baker, Consistent Overhead Byte Stuffing, IEEE/ACM Trans. Networking 7(2), 1999.
"""

from amaranth.hdl import Module, Signal, ValueLike
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from fmzip.protocol import COBS_RUN, DELIMITER

# A byte, or, with ``end``, the end of a packet; ``bad`` then says that it is not one.
PacketByte = data.StructLayout({"data": 8, "end": 1, "bad": 1})


class CobsDecoder(wiring.Component):
    """Bytes to packets: a byte per cycle, no latency. Empty packets are passed, too.

    Members
    -------
    i : In(stream of 8)
    o : Out(stream of PacketByte)
    """

    def __init__(self) -> None:
        super().__init__({"i": In(stream.Signature(8)), "o": Out(stream.Signature(PacketByte))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        left = Signal(8)  # bytes until the next code
        zero = Signal()  # a zero comes before the next code's bytes
        byte = self.i.payload
        delimiter = byte == DELIMITER
        is_code = (left == 0) & ~delimiter
        # A code byte is consumed without output, or stands for the zero that the last run implied.
        m.d.comb += [
            self.o.payload.end.eq(delimiter),
            self.o.payload.bad.eq(delimiter & (left != 0)),
            self.o.valid.eq(self.i.valid & (~is_code | zero)),
            self.i.ready.eq(self.o.ready | (is_code & ~zero)),
        ]
        with m.If(~is_code):
            m.d.comb += self.o.payload.data.eq(byte)
        with m.If(self.i.valid & self.i.ready):
            with m.If(delimiter):
                m.d.sync += [left.eq(0), zero.eq(0)]
            with m.Elif(is_code):
                m.d.sync += [left.eq(byte - 1), zero.eq(byte != COBS_RUN + 1)]
            with m.Else():
                m.d.sync += left.eq(left - 1)
        return m


class CobsEncoder(wiring.Component):
    """Packets to bytes: a byte per cycle, but for a cycle or two at ends and long runs.

    Holds up to two runs under backpressure.

    Members
    -------
    i : In(stream of PacketByte); ``bad`` is ignored
    o : Out(stream of 8)
    """

    def __init__(self) -> None:
        super().__init__({"i": In(stream.Signature(PacketByte)), "o": Out(stream.Signature(8))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.memory = memory = Memory(shape=8, depth=2 * (COBS_RUN + 2), init=[])
        port, read = memory.write_port(), memory.read_port()
        write = Signal(data.StructLayout({"addr": len(port.addr), "data": 8, "en": 1}))
        m.d.sync += [port.addr.eq(write.addr), port.data.eq(write.data), port.en.eq(write.en)]
        code = Signal(range(memory.depth))  # where the code of the current run goes
        head = Signal.like(code, init=1)  # where the next byte goes
        published, shown = Signal.like(code), Signal.like(code)  # what may be sent ends here
        run = Signal(8, init=1)  # the code: bytes of the run and one
        tail = Signal.like(code)
        used = Signal(range(memory.depth + 1), init=1)
        room = Signal(init=1)
        pushes, pops = Signal(), Signal()
        # Two cycles late, and behind the last byte come a code and a delimiter.
        m.d.sync += room.eq(used < memory.depth - 8)
        push, pop = Signal(), Signal()
        m.d.sync += [pushes.eq(push), pops.eq(pop), shown.eq(published)]
        close, end = Signal(), Signal()

        def put(where: Signal, byte: ValueLike) -> None:
            m.d.comb += [write.addr.eq(where), write.data.eq(byte), write.en.eq(1), push.eq(1)]

        def new_run() -> None:
            put(code, run)
            m.d.sync += [code.eq(head), head.eq(head + 1), run.eq(1), published.eq(head)]

        with m.If(end):  # the delimiter takes the place that was kept for a code
            put(code, DELIMITER)
            m.d.sync += [code.eq(head), head.eq(head + 1), published.eq(head), end.eq(0)]
        with m.Elif(close):  # the longest run, with no zero behind it
            new_run()
            m.d.sync += close.eq(0)
        with m.Elif(self.i.valid & room):
            m.d.comb += self.i.ready.eq(1)
            with m.If(self.i.payload.end):
                new_run()
                m.d.sync += end.eq(1)
            with m.Elif(self.i.payload.data == 0):
                new_run()
            with m.Else():
                put(head, self.i.payload.data)
                m.d.sync += [head.eq(head + 1), run.eq(run + 1), close.eq(run == COBS_RUN)]

        fetched = Signal()
        m.d.comb += [
            read.en.eq(~fetched | self.o.ready),
            read.addr.eq(tail),
            pop.eq(read.en & (tail != shown)),
            self.o.payload.eq(read.data),
            self.o.valid.eq(fetched),
        ]
        with m.If(read.en):
            m.d.sync += fetched.eq(pop)
        with m.If(pop):
            m.d.sync += tail.eq(tail + 1)
        m.d.sync += used.eq(used + pushes - pops)
        return m
