"""The way of data that was read from an SDRAM: columns to words."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from fmzip_hw.memport import PORT_BITS
from fmzip_hw.pipeline import register, register_flag
from fmzip_hw.sdrambank import Timer
from fmzip_hw.stream import CreditFifo


class ReadCollector(wiring.Component):
    """Takes columns as they come, and gives words; a place is reserved before a word is read.

    Parameters
    ----------
    dq_bits : bits of a column
    delay : cycles from the decision to read to the column's arrival at ``dq``
    depth : words that are held under backpressure, less two

    Members
    -------
    free : Out(1), the first column of a word may be read
    read : In(1), it is decided to read a column; ``first`` of a word
    dq : In(dq_bits), as at the pin
    busy : Out(1), columns are still to come
    beat_valid, beat : Out, a column, one cycle behind ``dq``
    o : Out(stream of words)
    """

    def __init__(self, dq_bits: int, delay: int, depth: int = 16):
        self._dq_bits, self._delay, self._depth = dq_bits, delay, depth
        super().__init__({
            "free": Out(1),
            "read": In(1),
            "first": In(1),
            "dq": In(dq_bits),
            "busy": Out(1),
            "beat_valid": Out(1),
            "beat": Out(dq_bits),
            "o": Out(stream.Signature(PORT_BITS)),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.fifo = fifo = CreditFifo(PORT_BITS, self._depth)
        wiring.connect(m, fifo.o, wiring.flipped(self.o))
        m.submodules.to_come = to_come = Timer(self._delay + 1)
        columns = PORT_BITS // self._dq_bits
        valid = register_flag(m, self.read, self._delay + 1)
        beat = register(m, self.dq)
        count = Signal(exact_log2(columns))
        word = Signal(PORT_BITS)
        m.d.comb += [
            self.free.eq(fifo.free),
            fifo.reserve.eq(self.read & self.first),
            to_come.start.eq(self.read),
            self.busy.eq(~to_come.over),
            self.beat_valid.eq(valid),
            self.beat.eq(beat),
            fifo.payload.eq(Cat(word[self._dq_bits :], beat)),
            fifo.put.eq(valid & (count == columns - 1)),
        ]
        with m.If(valid):
            m.d.sync += [word.eq(fifo.payload), count.eq(count + 1)]
        return m
