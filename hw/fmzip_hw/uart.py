"""UART: bytes on two pins, 8 data bits, no parity, one stop bit, no flow control."""

from fractions import Fraction

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

DIVISOR_MIN = 4  # cycles per bit, or the middle of a bit is not known well enough
_DENOMINATOR_MAX = 64  # keeps counters small; the rate is then off by less than 0.1 %
_DATA_BITS = 8
_FRAME_BITS = _DATA_BITS + 2  # with start and stop


class _BitClock:
    """Ticks once per bit. A fraction of a cycle is carried on, so that the mean rate is exact."""

    def __init__(self, m: Module, divisor: Fraction):
        self._size, step = divisor.numerator, divisor.denominator
        self.phase = Signal(range(self._size))  # in cycles / denominator
        self.tick = Signal()  # phase >= whole: a register, since all else waits for it
        whole = self._size - step
        m.d.sync += [
            self.phase.eq(Mux(self.tick, self.phase - whole, self.phase + step)),
            self.tick.eq(~self.tick & (self.phase >= whole - step)),
        ]

    def restart(self, m: Module, *, half: bool = False) -> None:
        """The next tick comes after a whole bit, or after half of one."""
        m.d.sync += self.phase.eq(self._size - self._size // 2 if half else 0)
        m.d.sync += self.tick.eq(0)


def _checked(divisor: Fraction | int) -> Fraction:
    if divisor < DIVISOR_MIN:
        raise ValueError(f"divisor must be at least {DIVISOR_MIN} cycles per bit, not {divisor}")
    return Fraction(divisor).limit_denominator(_DENOMINATOR_MAX)


class UartSender(wiring.Component):
    """Bytes to a pin; without gaps while there are bytes.

    Parameters
    ----------
    divisor : cycles per bit

    Members
    -------
    i : In(stream of 8)
    tx : Out(1), high while nothing is sent
    """

    def __init__(self, divisor: Fraction | int):
        self._divisor = _checked(divisor)
        super().__init__({"i": In(stream.Signature(8)), "tx": Out(1, init=1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        clock = _BitClock(m, self._divisor)
        left = Signal(range(_FRAME_BITS + 1))  # bits, with the one on the pin
        shift = Signal(_FRAME_BITS - 1, init=-1)  # behind the one on the pin
        last = (left == 1) & clock.tick
        m.d.comb += self.i.ready.eq((left == 0) | last)
        with m.If(clock.tick & (left != 0)):
            m.d.sync += [Cat(self.tx, shift).eq(Cat(shift, Const(1))), left.eq(left - 1)]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [
                self.tx.eq(0),
                shift.eq(Cat(self.i.payload, Const(1))),
                left.eq(_FRAME_BITS),
            ]
            with m.If(left == 0):
                clock.restart(m)
        return m


class UartReceiver(wiring.Component):
    """A pin to bytes, each sampled in the middle of its bits.

    The clocks of both sides may differ by 3 %. A byte without a stop bit is dropped, and the line
    must be high before the next one.

    Parameters
    ----------
    divisor : cycles per bit

    Members
    -------
    rx : In(1), not synchronous to the clock
    o : Out(stream of 8); a byte that is still offered when the next one is complete stays, and the
        next one is lost
    """

    def __init__(self, divisor: Fraction | int):
        self._divisor = _checked(divisor)
        super().__init__({"rx": In(1, init=1), "o": Out(stream.Signature(8))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        line: Value = Signal(init=1)
        m.submodules.synchronizer = FFSynchronizer(self.rx, line, init=1)
        clock = _BitClock(m, self._divisor)
        bits = Signal(range(_DATA_BITS))
        shift = Signal(_DATA_BITS)
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.FSM():
            with m.State("idle"), m.If(~line):
                clock.restart(m, half=True)
                m.next = "start"
            with m.State("start"), m.If(clock.tick):
                m.d.sync += bits.eq(0)
                m.next = "data"
                with m.If(line):  # a glitch
                    m.next = "idle"
            with m.State("data"), m.If(clock.tick):
                m.d.sync += [shift.eq(Cat(shift[1:], line)), bits.eq(bits + 1)]
                with m.If(bits == _DATA_BITS - 1):
                    m.next = "stop"
            with m.State("stop"), m.If(clock.tick):
                m.next = "break"
                with m.If(line):
                    m.next = "idle"
                    with m.If(~self.o.valid | self.o.ready):
                        m.d.sync += [self.o.payload.eq(shift), self.o.valid.eq(1)]
            with m.State("break"), m.If(line):
                m.next = "idle"
        return m


class Uart(wiring.Component):
    """Both directions of a serial line.

    It has no FIFOs: the link's bridge takes a byte whenever one comes, and buffers whole packets
    (``fmzip_hw.bridge``).

    Parameters
    ----------
    divisor : cycles per bit, at least ``DIVISOR_MIN``; ``Fraction(clock_hz, baud)`` is exact on
        average

    Members
    -------
    rx : In(1), from the host, not synchronous to the clock
    tx : Out(1), to the host
    o : Out(stream of 8), what was received; see ``UartReceiver``
    i : In(stream of 8), what is to be sent
    """

    def __init__(self, divisor: Fraction | int):
        self._sender, self._receiver = UartSender(divisor), UartReceiver(divisor)
        super().__init__({
            "rx": In(1, init=1),
            "tx": Out(1, init=1),
            "o": Out(stream.Signature(8)),
            "i": In(stream.Signature(8)),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.sender = sender = self._sender
        m.submodules.receiver = receiver = self._receiver
        wiring.connect(m, wiring.flipped(self.i), sender.i)
        wiring.connect(m, receiver.o, wiring.flipped(self.o))
        m.d.comb += [self.tx.eq(sender.tx), receiver.rx.eq(self.rx)]
        return m
