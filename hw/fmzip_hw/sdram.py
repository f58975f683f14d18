"""SDR SDRAM controller behind the memory port.

The chip is set to bursts of one column, and a column command is given in each cycle of a burst:
any number of columns, from any column on, and a burst can be left and taken up again in any cycle.
So a command RD or WR is a beat of 16 bits, and a part for ``fmzip.energy`` that is given what this
controller does has a burst length of 1.
"""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from fmzip.sdram import POSTPONED_MAX, Cycles, SdramPart
from fmzip_hw.memport import PORT_BITS, MemoryPort
from fmzip_hw.sdrambank import Bank, Timer
from fmzip_hw.sdramdata import ReadCollector
from fmzip_hw.sdrampins import DQ_BITS, Command, sdram_pins
from fmzip_hw.sdrampower import CALM_CYCLES, PowerUp, RefreshDebt, Sleep
from fmzip_hw.sdramqueue import WORD_BEATS, RequestQueue
from fmzip_hw.stream import Slice

_ALL_BANKS = 1 << 10  # A10 with PRE


class SdramController(wiring.Component):
    """Open-page controller: one column per cycle within a request, all pins registered.

    While a request moves its data, two cycles are taken to close and open the next one's row, if
    that lies in another bank; so of a row change only those are lost. Requests are served in order.
    Refreshes are postponed as ``RefreshDebt`` says; the one that is forced interrupts a request.
    Writing waits for the bus: one idle cycle lies behind the last read data. Within
    ``idle_cycles`` without work the chip sleeps.

    A word's lowest 16 bits are in its first column. Words are whole, so DQM is low but in power-up.

    Parameters
    ----------
    part : the chip
    clock_hz : clock of controller and chip; the chip's is inverted, or shifted
    cas : CAS latency, 2 or 3
    idle_cycles : without work, until CKE goes low
    read_delay : registers between chip and ``pins.dq_i``
    cycles : timing other than the part's own, for tests

    Members
    -------
    port : In(MemoryPort)
    pins : Out(``sdram_pins``)
    command, bank, all_banks : Out, the command trace: what the pins show in this cycle;
        ``all_banks`` makes a PRE a PREA
    open : Out(1), a bank is open; the command in this cycle counts
    asleep : Out(1), CKE is low
    keep_awake : In(1), CKE stays high
    closed : Out, banks that this cycle's PRE closes
    busy : Out(1), a request or its data are under way
    beat_valid, beat : Out, a beat that was read, ``read_delay`` + 1 cycles behind the chip's pins
    hit, miss, conflict : Out(1), one of them once for each request
    turnaround : Out(1), a write waits only for the bus
    owed : Out, refreshes that are postponed; ``late``: more than a chip allows
    ready : Out(1), power-up is over; requests wait for it
    """

    def __init__(
        self,
        part: SdramPart,
        clock_hz: float,
        cas: int = 3,
        *,
        idle_cycles: int = 32,
        read_delay: int = 0,
        cycles: Cycles | None = None,
    ):
        self._part, self._idle_cycles, self._read_delay = part, idle_cycles, read_delay
        self._cycles = part.cycles(clock_hz, cas) if cycles is None else cycles
        if idle_cycles < CALM_CYCLES:
            raise ValueError(f"idle_cycles must be at least {CALM_CYCLES}, not {idle_cycles}")
        # No row is open for longer than refreshes are apart, and those take a while to begin.
        if (POSTPONED_MAX + 1) * self._cycles.refi + 64 > self._cycles.ras_max:
            raise ValueError(f"{part.name}: tRAS maximum is less than {POSTPONED_MAX + 1} tREFI")
        super().__init__({
            "port": In(MemoryPort),
            "pins": Out(sdram_pins(part)),
            "command": Out(Command, init=Command.NOP),
            "bank": Out(part.bank_bits),
            "all_banks": Out(1),
            "open": Out(1),
            "asleep": Out(1),
            "keep_awake": In(1),
            "closed": Out(range((1 << part.bank_bits) + 1)),
            "busy": Out(1),
            "beat_valid": Out(1),
            "beat": Out(DQ_BITS),
            "hit": Out(1),
            "miss": Out(1),
            "conflict": Out(1),
            "turnaround": Out(1),
            "owed": Out(range(2 * POSTPONED_MAX)),
            "late": Out(1),
            "ready": Out(1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        t = self._cycles
        m.submodules.words = words = Slice(PORT_BITS)
        wiring.connect(m, wiring.flipped(self.port.w), words.i)
        m.submodules.queue = queue = RequestQueue(self._part)
        wiring.connect(m, wiring.flipped(self.port.request), queue.request)
        m.submodules.collector = collector = ReadCollector(DQ_BITS, t.cas + 1 + self._read_delay)
        wiring.connect(m, collector.o, wiring.flipped(self.port.r))
        m.submodules.power_up = power_up = PowerUp(t)
        m.submodules.debt = debt = RefreshDebt(t)
        m.submodules.sleep = sleep = Sleep(t, self._idle_cycles)
        banks = [Bank(t, self._part.row_bits) for _ in range(1 << self._part.bank_bits)]
        for k, bank in enumerate(banks):
            m.submodules[f"bank{k}"] = bank
        due = (debt.owed != 0) & self.open
        quiet = Cat(bank.may_act & bank.may_pre & bank.may_column for bank in banks).all()
        m.d.comb += [
            debt.start.eq(power_up.done),
            debt.calm.eq(sleep.calm),
            debt.between.eq(~queue.now.valid),
            queue.hold.eq(debt.soon | debt.go),
            sleep.idle.eq(power_up.done & ~queue.now.valid & ~queue.waiting & ~debt.go),
            sleep.wake.eq(self.keep_awake | queue.waiting | debt.soon | debt.go | due),
            sleep.quiet.eq(quiet & ~collector.busy & ~self.port.request.valid),
            collector.dq.eq(self.pins.dq_i),
            self.pins.cke.eq(sleep.cke),
            self.asleep.eq(~sleep.cke),
            self.busy.eq(queue.now.valid | queue.waiting | words.o.valid | collector.busy),
            self.beat_valid.eq(collector.beat_valid),
            self.beat.eq(collector.beat),
            self.open.eq(Cat(bank.open for bank in banks).any()),
            self.owed.eq(debt.owed),
            self.late.eq(debt.late),
            self.ready.eq(power_up.done),
        ]
        for name in ("hit", "miss", "conflict"):
            m.d.sync += getattr(self, name).eq(getattr(queue, name))
        give = _Commands()
        m.submodules.rrd = rrd = Timer(self._cycles.rrd)
        m.d.comb += rrd.start.eq(give.act_now | give.act_next)
        # Who decides is known a cycle early: it may be late, since neither sleep nor refresh begins
        # while a request could be given a command.
        serves, refreshes = Signal(), Signal()
        m.d.sync += [
            serves.eq(power_up.done & sleep.awake & ~debt.go),
            refreshes.eq(power_up.done & sleep.awake & debt.go),
        ]
        self._refresh(m, give, power_up, debt, refreshes, banks)
        self._look_ahead(m, give, queue, debt, banks, rrd)
        self._prepare(m, give, queue, banks, rrd)
        self._serve(m, give, queue, serves, words, collector)
        self._note(m, give, queue, banks)
        self._drive(m, give, queue, words)
        return m

    def _look_ahead(
        self,
        m: Module,
        give: "_Commands",
        queue: RequestQueue,
        debt: RefreshDebt,
        banks: list[Bank],
        rrd: Timer,
    ) -> None:
        """Whether the next request's row may be closed or opened in the next cycle."""
        now, next_ = queue.now, queue.next
        may_act = Array(bank.may_act for bank in banks)
        may_pre = Array(bank.may_pre for bank in banks)
        ahead = now.valid & now.opened & next_.valid & (next_.bank != now.bank) & ~debt.soon
        closed = ~next_.opened & ~next_.foreign
        # A cycle early: what allows them stays, unless the request moves on, or the banks are
        # refreshed, and then nothing is served for more than a cycle.
        pre = ahead & next_.foreign & may_pre[next_.bank] & ~give.pre_next & ~queue.move
        act = ahead & closed & may_act[next_.bank] & rrd.over & ~give.act_next & ~queue.move
        m.d.sync += [give.pre_ahead.eq(pre), give.act_ahead.eq(act), give.ahead.eq(pre | act)]

    def _refresh(
        self,
        m: Module,
        give: "_Commands",
        power_up: PowerUp,
        debt: RefreshDebt,
        refreshes: Signal,
        banks: list[Bank],
    ) -> None:
        """Power-up's commands; all banks are closed and refreshed while ``refreshes``."""
        may_prea, may_ref, alone = Signal(), Signal(), Signal()
        up = {name: Signal(name=f"up_{name}") for name in ("prea", "ref", "mrs")}
        m.d.sync += [
            *(strobe.eq(getattr(power_up, name)) for name, strobe in up.items()),
            alone.eq(refreshes),  # what was given before has reached the timers
            may_prea.eq(Cat(~bank.open | bank.may_pre for bank in banks).all()),
            may_ref.eq(Cat(bank.may_act for bank in banks).all() & ~give.prea & ~give.ref),
        ]
        mine = refreshes & alone
        m.d.comb += [
            debt.ref.eq(mine & ~self.open & may_ref),
            give.prea.eq(up["prea"] | (mine & self.open & may_prea)),
            give.ref.eq(up["ref"] | debt.ref),
            give.mrs.eq(up["mrs"]),
        ]

    def _prepare(
        self, m: Module, give: "_Commands", queue: RequestQueue, banks: list[Bank], rrd: Timer
    ) -> None:
        """Whether the request under way may be given a command in the next cycle.

        What allows it stays, unless a command is given that is named here, or the banks are
        refreshed, and then nothing is served for more than a cycle.
        """
        now, next_ = queue.now, queue.next
        may_act = Array(bank.may_act for bank in banks)
        may_pre = Array(bank.may_pre for bank in banks)
        may_column = Array(bank.may_column for bank in banks)
        closed = now.valid & ~now.opened & ~now.foreign
        m.d.sync += [
            give.act_ready.eq(
                closed & may_act[now.bank] & rrd.over & ~give.act_now & ~give.act_next
            ),
            give.pre_ready.eq(
                now.valid & ~now.opened & now.foreign & may_pre[now.bank] & ~give.pre_now
            ),
            give.column_ready.eq(
                now.valid & now.opened & may_column[now.bank] & ~(give.column & now.last)
            ),
        ]
        with m.If(queue.move):
            m.d.sync += give.column_ready.eq(next_.opened & may_column[next_.bank])

    def _serve(
        self,
        m: Module,
        give: "_Commands",
        queue: RequestQueue,
        serves: Signal,
        words: Slice,
        collector: ReadCollector,
    ) -> None:
        """Decide for the request under way, but first for the next one's row."""
        now = queue.now
        m.submodules.bus = bus = Timer(self._cycles.turn)
        beat = now.column[: exact_log2(WORD_BEATS)]
        first, last = beat == 0, Signal()  # of the word; requests begin with a word's first
        with m.If(give.column):
            m.d.sync += last.eq(beat == WORD_BEATS - 2)
        decides, moves = serves & ~give.ahead, Signal()
        m.d.comb += [
            give.pre_next.eq(serves & give.pre_ahead),
            give.act_next.eq(serves & give.act_ahead),
            give.pre_now.eq(decides & give.pre_ready),
            give.act_now.eq(decides & give.act_ready),
            moves.eq(decides & give.column_ready),
            give.write.eq(moves & now.write & words.o.valid & bus.over),
            give.read.eq(moves & ~now.write & (~first | collector.free)),
            give.column.eq(give.write | give.read),
            self.turnaround.eq(moves & now.write & words.o.valid & ~bus.over),
            bus.start.eq(give.read),
            collector.first.eq(first),
            collector.read.eq(give.read),
            words.o.ready.eq(give.write & last),
        ]

    def _note(self, m: Module, give: "_Commands", queue: RequestQueue, banks: list[Bank]) -> None:
        """Tell the queue and the banks what is given."""
        now, next_ = queue.now, queue.next
        m.d.comb += [
            queue.column.eq(give.column),
            queue.act_now.eq(give.act_now),
            queue.pre_now.eq(give.pre_now),
            queue.act_next.eq(give.act_next),
            queue.pre_next.eq(give.pre_next),
            queue.prea.eq(give.prea),
        ]
        open_banks = sum((bank.open for bank in banks), start=Const(0))
        m.d.sync += self.closed.eq(
            Mux(give.prea, open_banks, give.pre_now | give.pre_next),
        )
        for k, bank in enumerate(banks):
            is_now, is_next = now.bank == k, next_.bank == k
            m.d.comb += [
                queue.open[k].eq(bank.open),
                queue.rows[k].eq(bank.row),
                bank.act.eq((give.act_now & is_now) | (give.act_next & is_next)),
                bank.act_row.eq(Mux(give.act_now, now.row, next_.row)),
                bank.pre.eq((give.pre_now & is_now) | (give.pre_next & is_next) | give.prea),
                bank.wr.eq(give.write & is_now),
                bank.ref.eq(give.ref),
            ]

    def _drive(self, m: Module, give: "_Commands", queue: RequestQueue, words: Slice) -> None:
        """The pins, a cycle behind the decision."""
        now, next_, pins = queue.now, queue.next, self.pins
        command, address = Signal(Command, init=Command.NOP), Signal(len(pins.a))
        ahead = give.act_next | give.pre_next
        with m.If(give.act_now | give.act_next):
            m.d.comb += [command.eq(Command.ACT), address.eq(Mux(ahead, next_.row, now.row))]
        with m.Elif(give.column):
            m.d.comb += [
                command.eq(Mux(give.write, Command.WR, Command.RD)),
                address.eq(now.column),
            ]
        with m.Elif(give.pre_now | give.pre_next):
            m.d.comb += command.eq(Command.PRE)
        with m.Elif(give.prea):
            m.d.comb += [command.eq(Command.PRE), address.eq(_ALL_BANKS)]
        with m.Elif(give.ref):
            m.d.comb += command.eq(Command.REF)
        with m.Elif(give.mrs):
            m.d.comb += [command.eq(Command.MRS), address.eq(self._cycles.cas << 4)]
        bank = Mux(give.mrs, 0, Mux(ahead, next_.bank, now.bank))
        beat = now.column[: exact_log2(WORD_BEATS)]
        m.d.sync += [
            Cat(pins.we_n, pins.cas_n, pins.ras_n).eq(command),
            pins.a.eq(address),
            pins.ba.eq(bank),
            pins.dq_o.eq(words.o.payload.word_select(beat, DQ_BITS)),
            pins.dq_oe.eq(give.write),
            self.all_banks.eq(give.prea),
            self.bank.eq(bank),
            self.command.eq(command),
        ]
        with m.If(self.ready):
            m.d.sync += pins.dqm.eq(0)


class _Commands:
    """What is decided in a cycle: at most one of these."""

    def __init__(self) -> None:
        self.mrs, self.ref, self.prea = Signal(), Signal(), Signal()
        self.pre_now, self.act_now, self.write, self.read = (Signal() for _ in range(4))
        self.column = Signal()  # write or read
        self.pre_next, self.act_next = Signal(), Signal()
        # May be given in this cycle: registers.
        self.pre_ready, self.act_ready, self.column_ready = Signal(), Signal(), Signal()
        self.pre_ahead, self.act_ahead, self.ahead = Signal(), Signal(), Signal()
