"""The SDRAM controller's commands against a chip's timing table; written apart from it."""

from dataclasses import replace
from typing import Any

from amaranth.hdl import Array, Assert, Assume, Cat, Module, Mux, ResetSignal, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from fmzip.sdram import PARTS, POSTPONED_MAX, Cycles, SdramPart
from fmzip_hw.sdrampins import Command
from fmzip_sim.formal.inner import opened
from fmzip_sim.formal.streams import surround

_WAIT = 24  # cycles within which a refresh that was decided is made, the chip asleep or not
_IDLE_CYCLES = 8


def small(name: str) -> SdramPart:
    """A part with two banks, and as many address lines as A10 needs; its timing is its own."""
    return replace(PARTS[name], bank_bits=1, row_bits=11)


def short(name: str, clock_hz: float, cas: int) -> Cycles:
    """A part's own cycles, but that power-up is short and has one refresh; see ``PowerUpOrder``."""
    return replace(PARTS[name].cycles(clock_hz, cas), power_up=2, power_up_refreshes=1)


class Since(wiring.Component):
    """Counts the cycles behind an event, up to ``most``, where it begins."""

    def __init__(self, most: int):
        self._most = most
        super().__init__({"event": In(1), "cycles": Out(range(most + 1), init=most)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        with m.If(self.event):
            m.d.sync += self.cycles.eq(1)
        with m.Elif(self.cycles != self._most):
            m.d.sync += self.cycles.eq(self.cycles + 1)
        return m


class Timing(wiring.Component):
    """Around an ``SdramController``: what its pins command is what the chip allows.

    Requests, their data and ``keep_awake`` are free. Distances are those of ``Cycles``, counted on
    the pins; a refresh is never later than the chip lets it be, and no row is open for longer.

    Parameters
    ----------
    get : gives the controller's module
    part : name of the chip
    clock_hz : its clock
    cas : CAS latency
    """

    def __init__(self, get: Any, part: str, clock_hz: float, cas: int):
        self._cycles, self._part = short(part, clock_hz, cas), small(part)
        self._dut = get.SdramController(
            self._part, clock_hz, cas, idle_cycles=_IDLE_CYCLES, cycles=self._cycles
        )
        super().__init__({})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.dut = inside = opened(self._dut)
        surround(m, self._dut)
        request = self._dut.port.request
        m.d.comb += Assume(~request.valid | (request.payload.words != 0))
        rules = [*self._commands(m, inside.submodules), *self._refresh(m, inside.submodules)]
        rules += _invariants(inside.submodules, self._banks(inside.submodules))
        for number, (when, rule) in enumerate(rules):
            kept = Signal(name=f"rule{number}")
            m.d.comb += [kept.eq(rule | ~Value.cast(when).bool()), Assert(kept)]
        return m

    def _banks(self, inside: Any) -> list[Any]:
        return [getattr(inside, f"bank{k}") for k in range(1 << self._part.bank_bits)]

    def _given(self, command: Any) -> Value:
        pins = self._dut.pins
        return (Cat(pins.we_n, pins.cas_n, pins.ras_n) == command) & ~pins.cs_n

    def _since(self, m: Module, name: str, event: Value, most: int) -> Signal:
        m.submodules[name] = counter = Since(most)
        m.d.comb += counter.event.eq(event)
        return counter.cycles

    def _commands(self, m: Module, inside: Any) -> list[tuple[Any, Any]]:
        """What must hold when a command is given, as pairs of a condition and a rule."""
        t, pins, given = self._cycles, self._dut.pins, self._given
        act, read, write = given(Command.ACT), given(Command.RD), given(Command.WR)
        columns, whole = read | write, given(Command.REF) | given(Command.MRS)
        any_, prea = ~given(Command.NOP), given(Command.PRE) & pins.a[10]
        refreshes = Signal(range(t.power_up_refreshes + 1))
        precharged, mode = Signal(), Signal()
        with m.If(given(Command.REF) & (refreshes != t.power_up_refreshes)):
            m.d.sync += refreshes.eq(refreshes + 1)
        with m.If(prea):
            m.d.sync += precharged.eq(1)
        with m.If(given(Command.MRS)):
            m.d.sync += mode.eq(1)
        ready = precharged & (refreshes == t.power_up_refreshes)
        power_up = inside.power_up
        rules = [
            (any_, self._since(m, "ref", given(Command.REF), t.rfc) >= t.rfc),
            (any_, self._since(m, "mrs", given(Command.MRS), t.mrd) >= t.mrd),
            (any_, pins.cke),
            (any_, self._since(m, "low", ~pins.cke, t.xp + 1) > t.xp),
            (any_, precharged | prea),
            (given(Command.MRS), ready),
            (act | power_up.done, ready & mode),
            (act, self._since(m, "act", act, t.rrd) >= t.rrd),
            (write, self._since(m, "rd", read, t.turn) >= t.turn),
            (1, write == pins.dq_oe),
            (columns, ~pins.a[10] & (pins.dqm == 0)),
            (inside.sleep.awake, pins.cke),
            (power_up.done, ~(power_up.prea | power_up.ref | power_up.mrs)),
        ]
        for k, bank in enumerate(self._banks(inside)):
            mine = pins.ba == k
            opens, closes = act & mine, given(Command.PRE) & (mine | pins.a[10])
            is_open = Signal(name=f"open{k}")
            with m.If(opens):
                m.d.sync += is_open.eq(1)
            with m.Elif(closes):
                m.d.sync += is_open.eq(0)
            act_since = self._since(m, f"act{k}", opens, max(t.rc, t.ras, t.rcd))
            pre_since = self._since(m, f"pre{k}", closes & is_open, t.rp)
            write_since = self._since(m, f"wr{k}", write & mine, t.wr)
            rules += [
                (opens | whole, ~is_open & (pre_since >= t.rp)),
                (opens | given(Command.REF), act_since >= t.rc),
                (columns & mine, is_open & (act_since >= t.rcd)),
                (closes & is_open, (act_since >= t.ras) & (write_since >= t.wr)),
                (~pins.cke & is_open, write_since >= t.wr),
                (1, bank.open == (opens | (is_open & ~closes))),
            ]
        return rules

    def _refresh(self, m: Module, inside: Any) -> list[tuple[Any, Any]]:
        """One that was decided is made soon, so never are more than a chip allows postponed."""
        t, debt, done = self._cycles, inside.debt, inside.power_up.done
        waited = Signal(range(_WAIT + 2))
        with m.If(~debt.go | debt.ref):
            m.d.sync += waited.eq(0)
        with m.Elif(waited <= _WAIT):
            m.d.sync += waited.eq(waited + 1)
        most = (POSTPONED_MAX + 1) * t.refi
        behind = Signal(range(most + 2))  # cycles since the last one
        with m.If(debt.ref | ~done):
            m.d.sync += behind.eq(0)
        with m.Elif(behind <= most):
            m.d.sync += behind.eq(behind + 1)
        rules = [
            (1, waited <= _WAIT),
            (1, (debt.owed <= POSTPONED_MAX) & (debt.left < t.refi)),
            (~done, (debt.owed == 0) & ~debt.go & (debt.left == t.refi - 1)),
            (debt.owed == POSTPONED_MAX, t.refi - 1 - debt.left <= waited + 1),
            (debt.owed == POSTPONED_MAX, debt.go | (debt.left == t.refi - 1)),
            (1, behind <= debt.owed * t.refi + t.refi - debt.left),
            (1, behind <= most),
        ]
        for k, bank in enumerate(self._banks(inside)):
            age = Signal(range(most + 2), name=f"age{k}")  # of an open row
            with m.If(~bank.open):
                m.d.sync += age.eq(0)
            with m.Elif(age <= most):
                m.d.sync += age.eq(age + 1)
            rules.append((bank.open, age <= behind))
        return rules


def _invariants(inside: Any, banks: list[Any]) -> list[tuple[Any, Any]]:
    """What the controller believes of its banks is so: induction needs it."""
    now, next_ = inside.queue.now, inside.queue.next
    rules = []
    for slot in (now, next_):
        open_ = Array(bank.open for bank in banks)[slot.bank]
        same = Array(bank.row for bank in banks)[slot.bank] == slot.row
        rules += [
            (slot.valid, slot.opened == (open_ & same)),
            (slot.valid, slot.foreign == (open_ & ~same)),
        ]
    other = now.opened | (now.bank != next_.bank)
    return [*rules, (now.valid & next_.valid, other), (next_.valid, inside.queue.waiting)]


class PowerUpOrder(wiring.Component):
    """Around a ``PowerUp``: PRE, the refreshes and MRS, each once and not too early, and the end.

    Parameters
    ----------
    get : gives its module
    part : name of the chip; its first wait is shortened to ``wait`` cycles
    """

    wait = 10

    def __init__(self, get: Any, part: str):
        self._cycles = replace(PARTS[part].cycles(100e6, 2), power_up=self.wait)
        self._dut = get.PowerUp(self._cycles)
        super().__init__({})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += Assume(~ResetSignal())
        m.submodules.dut = dut = self._dut
        t = self._cycles
        longest = self.wait + t.rp + (t.power_up_refreshes + 1) * (t.rfc + 1) + t.mrd
        now, since = Signal(range(2 * longest)), Signal(range(2 * longest))
        step = Signal(range(t.power_up_refreshes + 3))  # strobes that were given
        m.d.sync += [now.eq(now + (now <= longest)), since.eq(since + (since <= longest))]
        strobe = dut.prea | dut.ref | dut.mrs
        with m.If(strobe):
            m.d.sync += [step.eq(step + 1), since.eq(1)]
        refreshing = (step > 0) & (step <= t.power_up_refreshes)
        refreshed = step == t.power_up_refreshes + 1
        m.d.comb += [
            Assert(~dut.prea | ((step == 0) & (now >= t.power_up))),
            Assert(~dut.ref | (refreshing & (since >= Mux(step == 1, t.rp, t.rfc)))),
            Assert(~dut.mrs | (refreshed & (since >= t.rfc))),
            Assert(~dut.done | ((step == t.power_up_refreshes + 2) & (since >= t.mrd))),
            Assert(dut.done | (now <= longest)),
        ]
        return m
