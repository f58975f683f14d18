"""An SDRAM's housekeeping: power-up, the refreshes that are owed, and its sleep."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from fmzip.sdram import POSTPONED_MAX, Cycles
from fmzip_hw.sdrambank import Timer

# From so many owed refreshes on, no further request is begun before they are made.
SOON = POSTPONED_MAX - 2
CALM_CYCLES = 8  # without a request, until an owed refresh is made on the side


class PowerUp(wiring.Component):
    """Wait, PRE of all banks, REF, MRS: one strobe each, then ``done``.

    Parameters
    ----------
    cycles : the part's timing

    Members
    -------
    prea, ref, mrs : Out(1), the command to give in this cycle
    done : Out(1), the chip may be used
    """

    def __init__(self, cycles: Cycles):
        self._cycles = cycles
        super().__init__({"prea": Out(1), "ref": Out(1), "mrs": Out(1), "done": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        t = self._cycles
        wait = Signal(range(max(t.power_up, t.rp, t.rfc, t.mrd) + 1), init=t.power_up)
        refreshes = Signal(range(t.power_up_refreshes + 1), init=t.power_up_refreshes)
        over = Signal()
        m.d.comb += over.eq(wait == 0)
        with m.If(~over):
            m.d.sync += wait.eq(wait - 1)
        with m.FSM():
            with m.State("precharge"):
                m.d.comb += self.prea.eq(over)
                with m.If(over):
                    m.d.sync += wait.eq(t.rp)
                    m.next = "refresh"
            with m.State("refresh"):
                m.d.comb += self.ref.eq(over)
                with m.If(over):
                    m.d.sync += [wait.eq(t.rfc), refreshes.eq(refreshes - 1)]
                    with m.If(refreshes == 1):
                        m.next = "mode"
            with m.State("mode"):
                m.d.comb += self.mrs.eq(over)
                with m.If(over):
                    m.d.sync += wait.eq(t.mrd)
                    m.next = "settle"
            with m.State("settle"):
                with m.If(over):
                    m.d.sync += self.done.eq(1)
        return m


class RefreshDebt(wiring.Component):
    """Counts the refreshes that are owed, and says when to make them.

    They are made all at once: when nobody has asked for ``CALM_CYCLES``, between two requests when
    ``SOON`` are owed, within a request when the most that a chip allows are. So no row stays open
    for longer than ``POSTPONED_MAX`` + 1 intervals, which is below the tRAS maximum of all parts.

    Parameters
    ----------
    cycles : the part's timing

    Members
    -------
    start : In(1), held low: nothing is owed yet
    ref : In(1), REF is given
    calm : In(1), nobody has asked for a while
    between : In(1), no request is under way
    left : Out, cycles until one more is owed
    owed : Out, how many
    soon : Out(1), begin no further request
    go : Out(1), make them now; falls when the last one is given
    late : Out(1), more are owed than a chip allows
    """

    def __init__(self, cycles: Cycles):
        self._cycles = cycles
        super().__init__({
            "start": In(1),
            "ref": In(1),
            "calm": In(1),
            "between": In(1),
            "left": Out(range(cycles.refi), init=cycles.refi - 1),
            "owed": Out(range(2 * POSTPONED_MAX)),
            "soon": Out(1),
            "go": Out(1),
            "late": Out(1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        interval = self._cycles.refi
        due = Signal()
        m.d.comb += [
            due.eq(self.start & (self.left == 0)),
            self.soon.eq(self.owed >= SOON),
            self.late.eq(self.owed > POSTPONED_MAX),
        ]
        with m.If(self.start):
            m.d.sync += self.left.eq(self.left - 1)
        with m.If(due):
            m.d.sync += self.left.eq(interval - 1)
        with m.If(due & ~self.ref & (self.owed != 2 * POSTPONED_MAX - 1)):
            m.d.sync += self.owed.eq(self.owed + 1)
        with m.Elif(self.ref & ~due & (self.owed != 0)):
            m.d.sync += self.owed.eq(self.owed - 1)
        with m.If(self.go):
            with m.If(self.ref & (self.owed <= 1) & ~due):
                m.d.sync += self.go.eq(0)
        with m.Elif(self.owed >= POSTPONED_MAX):
            m.d.sync += self.go.eq(1)
        with m.Elif(self.between & (self.soon | (self.calm & (self.owed != 0)))):
            m.d.sync += self.go.eq(1)
        return m


class Sleep(wiring.Component):
    """Takes CKE low when nothing has been asked for a while, and high again when needed.

    With rows open the chip wakes for each refresh, so it soon sleeps with all banks closed; then
    it wakes when ``SOON`` refreshes are owed.

    Parameters
    ----------
    cycles : the part's timing
    idle_cycles : without work, until the chip sleeps; at least ``CALM_CYCLES``

    Members
    -------
    idle : In(1), no request, and no refresh under way
    quiet : In(1), all times of the chip have passed
    wake : In(1), the chip is needed
    calm : Out(1), ``idle`` for ``CALM_CYCLES``
    cke : Out(1), the pin
    awake : Out(1), a command may be given in this cycle
    """

    def __init__(self, cycles: Cycles, idle_cycles: int):
        self._cycles, self._idle_cycles = cycles, idle_cycles
        super().__init__({
            "idle": In(1),
            "quiet": In(1),
            "wake": In(1),
            "calm": Out(1),
            "cke": Out(1, init=1),
            "awake": Out(1, init=1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # A command's pins come a cycle behind its decision, as those of CKE do.
        m.submodules.asleep = asleep = Timer(self._cycles.cke)
        m.submodules.leaving = leaving = Timer(self._cycles.xp)
        count = Signal(range(self._idle_cycles + 1))
        with m.If(~self.idle):
            m.d.sync += count.eq(0)
        with m.Elif(count != self._idle_cycles):
            m.d.sync += count.eq(count + 1)
        m.d.comb += self.calm.eq(count >= CALM_CYCLES)
        with m.If(self.cke):
            with m.If(~self.awake):
                m.d.sync += self.awake.eq(leaving.over)
            with m.Elif((count == self._idle_cycles) & self.idle & self.quiet & ~self.wake):
                m.d.comb += asleep.start.eq(1)
                m.d.sync += [self.cke.eq(0), self.awake.eq(0)]
        with m.Elif(self.wake & asleep.over):
            m.d.comb += leaving.start.eq(1)
            m.d.sync += self.cke.eq(1)
        return m
