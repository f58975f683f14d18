"""The DRAM bandwidth counter: events, counted in parallel, read as one consistent snapshot.

A counter of 48 bits costs as many registers and an adder, and once more for its snapshot. So only
the lowest bits count in registers of their own: every ``PERIOD`` cycles, and at a snapshot, all of
them are copied to a chain at once and start again, and then one counter per cycle is brought up to
date in a block RAM.
"""

from amaranth.hdl import Array, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from fmzip.regs import COUNTER_BITS, COUNTERS, Count, Counter
from fmzip_hw.memory import BlockRam
from fmzip_hw.pipeline import register, register_flag

PERIOD = 128  # cycles from one copy to the next, at most
_AHEAD = 4  # cycles by which ``hold`` is set before a copy
_WRITE = 5  # cycles from a counter's place in the chain to its new value in memory


def low_bits(counter: Counter) -> int:
    """Bits in which a counter cannot end between two copies."""
    if counter.kind is Count.SUM:
        return (counter.most * PERIOD).bit_length()
    return counter.most.bit_length()


class Counters(wiring.Component):
    """One counter per entry of ``fmzip.regs.COUNTERS``; each saturates and then sets ``overflow``.

    An event is counted one cycle after it is given. ``snapshot`` and ``clear`` are for all
    counters in one cycle, and must be given within two cycles behind one in which ``hold`` is low.

    Members
    -------
    events : In, amount to add in this cycle, by name; of an extreme, a value, 0 for none
    snapshot : In(1), catch all counters
    clear : In(1), set counters to zero, behind a snapshot in the same cycle
    address, value : the caught counter with this number, two cycles later, while ``hold`` is low
    overflow : Out(1), at the snapshot a counter had reached its end since the clear before it
    hold : Out(1), ``value`` may be about to change, and a strobe has to wait
    """

    def __init__(self) -> None:
        super().__init__({
            "events": In(wiring.Signature({c.name: Out(c.most.bit_length()) for c in COUNTERS})),
            "snapshot": In(1),
            "clear": In(1),
            "address": In(range(len(COUNTERS))),
            "value": Out(COUNTER_BITS),
            "overflow": Out(1),
            "hold": Out(1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        timer = Signal(range(PERIOD))
        copy = Signal()
        # Registers, since they reach the lowest bits of all counters.
        snapshot, clear = register_flag(m, self.snapshot), register_flag(m, self.clear)
        m.d.sync += copy.eq(self.snapshot | self.clear | ((timer == PERIOD - 2) & ~copy))
        m.d.sync += timer.eq(Mux(copy, 0, timer + 1))
        # The widest come first: each place of the chain is as wide as what passes through it.
        order = sorted(range(len(COUNTERS)), key=lambda k: -low_bits(COUNTERS[k]))
        behind: Value = Const(0)
        for k in reversed(order):
            held = Signal(low_bits(COUNTERS[k]), name=f"held_{COUNTERS[k].name}")
            m.d.sync += held.eq(Mux(copy, self._low(m, COUNTERS[k], copy, clear), behind))
            behind = held
        self._update(m, order, timer, copy, snapshot, clear, behind)
        return m

    def _low(self, m: Module, counter: Counter, copy: Signal, clear: Signal) -> Signal:
        """The lowest bits of a counter, which count since the last copy."""
        given = getattr(self.events, counter.name)
        event = Signal(len(given), name=f"event_{counter.name}")
        low = Signal(low_bits(counter), name=f"low_{counter.name}")
        m.d.sync += event.eq(given)
        if counter.kind is Count.SUM:
            m.d.sync += low.eq(Mux(copy, 0, low) + event)
            return low
        beyond = event > low if counter.kind is Count.MAX else event < low
        with m.If(clear | ((event != 0) & (beyond | (low == 0)))):
            m.d.sync += low.eq(event)
        return low

    def _update(
        self,
        m: Module,
        order: list[int],
        timer: Signal,
        copy: Signal,
        strobe: Signal,
        clearing: Signal,
        amount: Value,
    ) -> None:
        """One counter per cycle: what came since the last copy, to what was before."""
        m.submodules.live = live = BlockRam(COUNTER_BITS, len(order))
        # No address lies behind the end of a power of two.
        m.submodules.caught = caught = BlockRam(COUNTER_BITS, 1 << len(self.address))
        snapshot, clear = Signal(), Signal()
        with m.If(copy):
            m.d.sync += [snapshot.eq(strobe), clear.eq(clearing)]
        # The host's reads of what was caught take as long again.
        end = len(order) + _WRITE + live.latency + 2
        assert end + _AHEAD < PERIOD
        step = Signal(range(end + 1), init=end)
        with m.If(copy):
            m.d.sync += step.eq(0)
        with m.Elif(step != end):
            m.d.sync += step.eq(step + 1)
        begun = copy | self.snapshot | self.clear
        m.d.sync += self.hold.eq(begun | (step != end) | (timer >= PERIOD - 1 - _AHEAD))

        inside = register_flag(m, step < len(order))
        number = register(m, Array(Const(k, range(len(order))) for k in order)[step])
        adds = register(m, Array(Const(COUNTERS[k].kind is Count.SUM, 1) for k in order)[step])
        amount = register(m, amount)
        total = Signal(COUNTER_BITS + 1)
        old = Mux(register(m, adds, live.latency), live.r_data, 0)
        m.d.sync += total.eq(old + register(m, amount, live.latency))
        place, valid = (register(m, v, live.latency + 1) for v in (number, inside))
        ended = total[-1] & valid
        value = Mux(total[-1], (1 << COUNTER_BITS) - 1, total[:-1])
        m.d.comb += [
            live.r_addr.eq(number),
            live.r_en.eq(1),
            live.r_next.eq(1),
            live.w_addr.eq(place),
            live.w_en.eq(valid),
            live.w_data.eq(Mux(clear, 0, value)),
            caught.w_addr.eq(place),
            caught.w_en.eq(valid & snapshot),
            caught.w_data.eq(value),
            caught.r_addr.eq(self.address),
            caught.r_en.eq(1),
            caught.r_next.eq(1),
            self.value.eq(caught.r_data),
        ]
        over = Signal()  # since the last clear
        with m.If(ended):
            m.d.sync += over.eq(1)
        with m.If(step == len(order) + _WRITE):
            with m.If(snapshot):
                m.d.sync += self.overflow.eq(over)
            with m.If(clear):
                m.d.sync += over.eq(0)
