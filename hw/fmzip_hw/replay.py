"""Passes over what is in the stage, again and again, while the link is silent."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from fmzip.regs import Replay as Kind
from fmzip.regs import bits
from fmzip_hw.memport import PORT_BITS
from fmzip_hw.pipeline import register, register_flag

CHECK_BITS = 32
_SETTLE = 4  # cycles from a strobe until what it has begun is busy


class Replay(wiring.Component):
    """Repeats a pass: the stage's beats into memory, and back from there into nothing.

    ``busy`` is the window of a measurement: it begins with the first pass and ends with the last.
    All that is put out goes into a check sum, which is that of the last pass and must be the same
    in all. A reset gives up.

    Members
    -------
    start, kind, passes, beats : In, begin so many passes; of ``IDLE``, ``beats`` are cycles
    path_busy, raw_busy : In(1), what a strobe has begun is not over
    fault : In(1), the frame in memory was refused: that ends it
    item, item_valid : In, a beat or word that is put out in this cycle
    load, write, read, loop, raw_write, raw_read : Out(1), strobes: for the stage, for the codec's
        way to the memory and from it, for the codec alone, and for the way without codec
    busy, raw : Out(1), passes are being made; without codec
    done : Out, passes that were completed
    differs : Out(1), passes have put out different things, or there was a fault
    check : Out(32), see ``fmzip.regs.replay_check``
    """

    def __init__(self) -> None:
        fields = {name: bits("replay", name).size for name in ("passes", "kind")}
        super().__init__({
            "start": In(1),
            "kind": In(fields["kind"]),
            "passes": In(fields["passes"]),
            "beats": In(bits("replay_beats", "beats").size),
            "path_busy": In(1),
            "raw_busy": In(1),
            "fault": In(1),
            "item": In(PORT_BITS),
            "item_valid": In(1),
            **{name: Out(1) for name in ("load", "write", "read", "loop", "raw_write", "raw_read")},
            "busy": Out(1),
            "raw": Out(1),
            "done": Out(fields["passes"]),
            "differs": Out(1),
            "check": Out(CHECK_BITS),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        kind = Signal.like(self.kind)
        left = Signal.like(self.beats)
        second = Signal()  # the pass reads what it has written
        settle = Signal(range(_SETTLE + 1))
        first_check = Signal(CHECK_BITS)
        settled = settle == _SETTLE
        # What takes long to compare is compared a cycle early; it stays.
        over = settled & register_flag(m, settled & ~self.path_busy & ~self.raw_busy)
        fault = register_flag(m, self.fault)
        none_left = (settle != 0) & register_flag(m, left < 2)
        final = register_flag(m, register(m, self.done + 1) == self.passes)
        same = register_flag(m, self.check == first_check)
        start = register_flag(m, self.start) & register_flag(m, self.passes != 0)
        with m.If(self.item_valid):
            folded = self.item[:CHECK_BITS] ^ self.item[CHECK_BITS:]
            m.d.sync += self.check.eq(Cat(self.check[-1], self.check[:-1]) ^ folded)
        with m.FSM():
            with m.State("idle"), m.If(start):
                m.d.sync += [
                    kind.eq(self.kind),
                    self.raw.eq(self.kind == Kind.RAW),
                    self.busy.eq(1),
                    self.done.eq(0),
                    self.differs.eq(0),
                    second.eq(0),
                ]
                m.next = "begin"
            with m.State("begin"):
                m.d.comb += [
                    self.write.eq((kind == Kind.CODED) & ~second),
                    self.read.eq((kind == Kind.CODED) & second),
                    self.loop.eq(kind == Kind.CODEC),
                    self.raw_write.eq((kind == Kind.RAW) & ~second),
                    self.raw_read.eq((kind == Kind.RAW) & second),
                    self.load.eq((kind != Kind.IDLE) & ~second),
                ]
                m.d.sync += [settle.eq(0), left.eq(self.beats), self.check.eq(0)]
                m.next = "work"
            with m.State("work"):
                with m.If(settle != _SETTLE):
                    m.d.sync += settle.eq(settle + 1)
                with m.If(left != 0):
                    m.d.sync += left.eq(left - 1)
                with m.If(over & fault):
                    m.d.sync += [self.differs.eq(1), self.busy.eq(0), self.raw.eq(0)]
                    m.next = "idle"
                with m.Elif(Mux(kind == Kind.IDLE, none_left, over)):
                    m.next = "end"
            with m.State("end"):
                m.d.sync += second.eq(~second)
                m.next = "begin"
                with m.If(second | (kind == Kind.IDLE) | (kind == Kind.CODEC)):
                    m.d.sync += [self.done.eq(self.done + 1), second.eq(0)]
                    with m.If(self.done == 0):
                        m.d.sync += first_check.eq(self.check)
                    with m.Elif(~same):
                        m.d.sync += self.differs.eq(1)
                    with m.If(final):
                        m.d.sync += [self.busy.eq(0), self.raw.eq(0)]
                        m.next = "idle"
        return m
