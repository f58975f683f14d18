"""An SDR SDRAM that checks how it is used: every timing, bank state, refresh, order of power-up.

Written from the datasheets' figures, apart from the controller, so that the two check each other.
A violation raises with one line that names the rule, the cycle and the bank. Cells keep their data
as long as a chip guarantees it: a row that was neither refreshed nor opened within the refresh
window has lost it. Burst length 1 to 8, sequential; no auto-precharge, no clock suspend.
"""

import random
from collections import Counter
from typing import NamedTuple

from fmzip.errors import FmzipError
from fmzip.sdram import POSTPONED_MAX, SdramPart

# Commands by RAS#, CAS#, WE# as bits 2 to 0.
_COMMANDS = ("MRS", "REF", "PRE", "ACT", "WR", "RD", "BST", "NOP")
_LONG_AGO = -(1 << 60)


class SdramViolationError(FmzipError):
    """The chip was used against its datasheet."""


class Pins(NamedTuple):
    """The chip's inputs at a clock edge; ``dq_oe``: the controller drives ``dq``."""

    cke: int = 1
    cs_n: int = 0
    ras_n: int = 1
    cas_n: int = 1
    we_n: int = 1
    ba: int = 0
    a: int = 0
    dqm: int = 0
    dq: int = 0
    dq_oe: int = 0


class _Bank:
    """What one bank remembers; cycles are of the last command of a kind."""

    def __init__(self) -> None:
        self.row: int | None = None
        self.cells: list[int] = []
        self.act = self.pre = self.write = _LONG_AGO


class _Burst(NamedTuple):
    write: bool
    bank: int
    column: int
    start: int


class SdramChip:
    """The chip, one clock edge per ``step``.

    Parameters
    ----------
    part : its datasheet
    clock_hz : its clock
    strict : a violation raises; else it is only noted, and the chip goes on

    Members
    -------
    violations : lines about all violations
    trace : (cycle, command, bank) of all commands but NOP; PREA is a PRE of all banks
    lost : (bank, row) of rows that were opened when their data was gone
    counts : times, commands and activity of DQ by the names of ``fmzip.regs.COUNTERS``, of the
        cycles that were to be counted
    """

    def __init__(self, part: SdramPart, clock_hz: float, *, strict: bool = True, seed: int = 1):
        self.part, self.period_ns, self.strict = part, 1e9 / clock_hz, strict
        self.cycle = 0
        self.violations: list[str] = []
        self.trace: list[tuple[int, str, int]] = []
        self.lost: list[tuple[int, int]] = []
        self.counts: Counter[str] = Counter()
        self._counted = False
        self._beat = 0  # that was on DQ last
        self.banks = [_Bank() for _ in range(1 << part.bank_bits)]
        self.mode: tuple[int, int] | None = None  # CAS latency, burst length
        self.refreshes = 0
        self._columns = 1 << part.column_bits
        self._garbage = random.Random(seed)
        self._rows: dict[tuple[int, int], list[int]] = {}
        self._charged: dict[tuple[int, int], int] = {}  # cycle in which a row was last opened
        self._row_refreshed = [0] * (1 << part.row_bits)
        self._precharged = False  # the PRE of all banks at power-up has been
        self._ref = self._mrs = self._any_act = self._self_end = _LONG_AGO
        self._act_bank = -1
        self._schedule = 0.0  # cycle at which as many refreshes as there were were due
        self._late = False  # reported since the last refresh
        self._cke = True
        self._cke_since = 0
        self._sleep: str | None = None
        self._burst: _Burst | None = None
        # Beats by the cycle in which they are driven, and whether they count.
        self._out: dict[int, tuple[int, bool]] = {}
        self._drives: int | None = None
        self._driven = _LONG_AGO  # last cycle in which the chip drove
        self._mask = 0  # DQM of the cycle before
        self._refi = part.refi_ns / self.period_ns

    # Rules

    def _fail(self, rule: str, what: str, bank: int | None = None) -> None:
        where = "" if bank is None else f", bank {bank}"
        line = f"SDRAM {self.part.name}: {rule}: cycle {self.cycle}{where}: {what}"
        self.violations.append(line)
        if self.strict:
            raise SdramViolationError(line)

    def _apart(
        self, rule: str, since: int, ns: float, clocks: int = 0, bank: int | None = None
    ) -> None:
        """At least so much time has passed since a cycle."""
        passed = self.cycle - since
        if passed < clocks or passed * self.period_ns < ns - 1e-3:
            least = f"{ns:g} ns" if ns else f"{clocks} cycles"
            self._fail(rule, f"after {passed} cycles, needs {least}", bank)

    def _idle(self, command: str) -> None:
        """All banks are closed, and their tRP is over."""
        for k, bank in enumerate(self.banks):
            if bank.row is not None:
                self._fail("bank state", f"{command} with the bank open", k)
            self._apart("tRP", bank.pre, self.part.rp_ns, bank=k)

    def _busy(self, command: str) -> None:
        """No command within those that take all banks."""
        part = self.part
        self._apart("tRFC", self._ref, part.rfc_ns)
        self._apart("tMRD", self._mrs, part.mrd_ns, part.mrd_clocks)
        self._apart("tXSR", self._self_end, part.xsr_ns)
        if self.cycle * self.period_ns < part.power_up_ns - 1e-3:
            self._fail("power-up", f"{command} within the first {part.power_up_ns:g} ns")
        if not self._precharged and command != "PREA":
            self._fail("power-up", f"{command} before all banks were precharged")

    # Commands

    def _do_act(self, k: int, a: int) -> None:
        part, bank = self.part, self.banks[k]
        if self.mode is None or self.refreshes < part.power_up_refreshes:
            needs = f"MRS and {part.power_up_refreshes} REF"
            self._fail("power-up", f"ACT before {needs}", k)
        if bank.row is not None:
            self._fail("bank state", "ACT with the bank open", k)
        self._apart("tRP", bank.pre, part.rp_ns, bank=k)
        self._apart("tRC", bank.act, part.rc_ns, bank=k)
        if self._act_bank != k:
            self._apart("tRRD", self._any_act, part.rrd_ns, part.rrd_clocks, bank=k)
        row = a & (1 << part.row_bits) - 1
        bank.row, bank.act = row, self.cycle
        self._any_act, self._act_bank = self.cycle, k
        cells = self._rows.get((k, row))
        alive = max(self._row_refreshed[row], self._charged.get((k, row), 0))
        if cells is not None and (self.cycle - alive) * self.period_ns > part.refresh_window_ns:
            self.lost.append((k, row))
            cells = None
        if cells is None:
            cells = [self._garbage.getrandbits(16) for _ in range(self._columns)]
            self._rows[k, row] = cells
        bank.cells = cells
        self._charged[k, row] = self.cycle

    def _do_column(self, write: bool, k: int, a: int) -> None:
        bank = self.banks[k]
        name = "WR" if write else "RD"
        if a >> 10 & 1:
            self._fail("auto-precharge", f"{name} with A10 high is not modelled", k)
        if bank.row is None:
            self._fail("bank state", f"{name} with the bank closed", k)
            return
        self._apart("tRCD", bank.act, self.part.rcd_ns, bank=k)
        self._burst = _Burst(write, k, a & self._columns - 1, self.cycle)

    def _do_pre(self, k: int, a: int) -> None:
        part = self.part
        everything = a >> 10 & 1
        for j in range(len(self.banks)) if everything else (k,):
            bank = self.banks[j]
            if bank.row is not None:
                self._apart("tRAS", bank.act, part.ras_ns, bank=j)
                self._apart("tWR", bank.write, part.wr_ns, part.wr_clocks, bank=j)
                bank.row, bank.pre = None, self.cycle
            if self._burst is not None and self._burst.bank == j:
                if self._burst.write:
                    self._fail("burst", "PRE within a write burst", j)
                self._burst = None
        self._precharged = self._precharged or bool(everything)

    def _do_ref(self) -> None:
        self._idle("REF")
        for k, bank in enumerate(self.banks):
            self._apart("tRC", bank.act, self.part.rc_ns, bank=k)
        self._row_refreshed[self.refreshes % len(self._row_refreshed)] = self.cycle
        self.refreshes += 1
        self._ref, self._late = self.cycle, False
        # Up to as many may come early as may come late.
        self._schedule = min(self._schedule + self._refi, self.cycle + POSTPONED_MAX * self._refi)

    def _do_mrs(self, ba: int, a: int) -> None:
        self._idle("MRS")
        cas, burst = a >> 4 & 7, 1 << (a & 7)
        if ba or cas not in self.part.clock_min_ns or burst > 8 or a & ~0x277:
            self._fail("mode", f"MRS of {a:#x} is not one that the part knows or is modelled")
            return
        if self.period_ns < self.part.clock_min_ns[cas] - 0.01:
            self._fail("tCK", f"CAS latency {cas} needs {self.part.clock_min_ns[cas]:g} ns")
        if self.mode is None:
            self._schedule = self.cycle
        self.mode, self._mrs = (cas, burst), self.cycle

    # Clock edges

    def _check_refresh(self) -> None:
        due = self._schedule + (POSTPONED_MAX + 1) * self._refi
        if self.mode is not None and self.cycle > due and not self._late:
            self._late = True
            self._fail("refresh", f"more than {POSTPONED_MAX} are postponed")

    def _check_open(self) -> None:
        for k, bank in enumerate(self.banks):
            if bank.row is None:
                continue
            if (self.cycle - bank.act) * self.period_ns > self.part.ras_max_ns:
                self._fail("tRAS max", f"row {bank.row} is open for too long", k)
                bank.act = self.cycle

    def _clock_enable(self, pins: Pins, command: str) -> bool:
        """Follow CKE; returns whether commands are taken."""
        part = self.part
        if pins.cke == self._cke:
            if not pins.cke:
                return False
        elif pins.cke:
            self._apart("tCKE", self._cke_since, 0, part.cke_clocks)
            self._cke, self._cke_since = True, self.cycle
            if self._sleep == "REF":
                self._self_end = self.cycle
                self._row_refreshed = [self.cycle] * len(self._row_refreshed)
                self._schedule = float(self.cycle)
            self._sleep = None
        else:
            if command not in ("NOP", "REF"):
                self._fail("CKE", f"{command} with CKE falling")
            if self._burst is not None or self._out or self._drives is not None:
                self._fail("CKE", "low within a burst: clock suspend is not modelled")
            self._apart("tCKE", self._cke_since, 0, part.cke_clocks)
            for k, bank in enumerate(self.banks):
                if bank.row is not None:
                    self._apart("tWR", bank.write, part.wr_ns, part.wr_clocks, bank=k)
            if command == "REF":
                self._busy("REF")
                self._do_ref()
                self.trace.append((self.cycle, "REF", 0))
            self._cke, self._cke_since, self._sleep = False, self.cycle, command
            return False
        if command != "NOP":
            self._apart("tXP", self._cke_since if self._cke_since else _LONG_AGO, 0, part.xp_clocks)
        return True

    def _data(self, pins: Pins) -> None:
        """One beat of the burst under way, and the data bus."""
        if pins.dq_oe and (self._drives is not None or self._driven == self.cycle - 1):
            self._fail("data bus", "driven by the controller on or right behind read data")
        burst = self._burst
        if burst is None:
            return
        assert self.mode is not None
        cas, length = self.mode
        beat = self.cycle - burst.start
        column = burst.column & ~(length - 1) | burst.column + beat & length - 1
        bank = self.banks[burst.bank]
        if not burst.write:
            self._out[self.cycle + cas] = (bank.cells[column], self._counted)
        else:
            if not pins.dq_oe:
                self._fail("data bus", "not driven in a write", burst.bank)
            mask = (0, 0xFF, 0xFF00, 0xFFFF)[pins.dqm]
            bank.cells[column] = bank.cells[column] & mask | pins.dq & ~mask
            bank.write = self.cycle
            self._note_beat("write", pins.dq, self._counted)
        if beat == length - 1:
            self._burst = None

    def _note_beat(self, way: str, beat: int, counts: bool) -> None:
        if counts:
            self.counts[f"dq_{way}_toggles"] += (beat ^ self._beat).bit_count()
            self.counts[f"dq_{way}_ones"] += beat.bit_count()
        self._beat = beat

    def _note_time(self, pins: Pins, command: str, closed: int) -> None:
        """What this cycle adds to the counts."""
        state = "open" if any(bank.row is not None for bank in self.banks) else "closed"
        self.counts["cycles"] += 1
        self.counts[f"{state}_cycles" if pins.cke else f"{state}_low_cycles"] += 1
        if command in ("ACT", "REF", "RD", "WR"):
            self.counts[command.lower()] += 1
        self.counts["pre"] += closed

    def step(self, pins: Pins, counted: bool = True) -> int | None:
        """Take the pins of a cycle; returns what the chip drives in the next, None for nothing."""
        self._counted = counted
        before = sum(bank.row is not None for bank in self.banks)
        command = "NOP" if pins.cs_n else _COMMANDS[pins.ras_n * 4 + pins.cas_n * 2 + pins.we_n]
        if self._sleep != "REF":
            self._check_refresh()
            if self.cycle & 15 == 0 or command != "NOP":
                self._check_open()
        if self._clock_enable(pins, command) and command != "NOP":
            name = "PREA" if command == "PRE" and pins.a >> 10 & 1 else command
            self._busy(name)
            self.trace.append((self.cycle, name, pins.ba))
            match command:
                case "ACT":
                    self._do_act(pins.ba, pins.a)
                case "RD" | "WR":
                    self._do_column(command == "WR", pins.ba, pins.a)
                case "PRE":
                    self._do_pre(pins.ba, pins.a)
                case "REF":
                    self._do_ref()
                case "MRS":
                    self._do_mrs(pins.ba, pins.a)
                case "BST":
                    self._burst = None
        self._data(pins)
        if counted:
            after = sum(bank.row is not None for bank in self.banks)
            self._note_time(pins, command, before - after if command == "PRE" else 0)
        if self._drives is not None:
            self._driven = self.cycle
        self.cycle += 1
        self._drives, beat_counts = self._out.pop(self.cycle, (None, False))
        if self._drives is not None:
            self._note_beat("read", self._drives, beat_counts)
        if self._mask == 3:  # DQM acts on reads two cycles later
            self._drives = None
        self._mask = pins.dqm
        return self._drives

    def rest(self, cycles: int) -> None:
        """So many cycles without a command, at once; nothing is checked in them."""
        self.cycle += cycles
