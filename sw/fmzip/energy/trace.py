"""Activity of a DRAM command trace in the format of DRAMPower: one ``cycle,command,bank`` a line.

Commands are ACT, RD, WR, PRE, PREA (precharge all) and REF; PREA and REF ignore their bank. The
order of commands is checked, and that a refresh gets its time; other timings are the business of
the chip model.
"""

import re
from collections import Counter
from collections.abc import Iterable

from fmzip.energy.model import Activity
from fmzip.energy.parts import Part
from fmzip.errors import FmzipError

_LINE = re.compile(r"\s*(\d+)\s*,\s*(\w+)\s*,\s*(\d+)\s*", re.ASCII)
_COMMANDS = ("ACT", "RD", "WR", "PRE", "PREA", "REF")


class _Replay:
    """Banks, and the time spent up to the last command.

    Parameters
    ----------
    part : gives the number of banks and the length of a refresh
    """

    def __init__(self, part: Part) -> None:
        self.part = part
        self.open: set[int] = set()
        self.count: Counter[str] = Counter()
        self.last = -1  # cycle of the last command
        self.last_command = ""
        self.refreshed = 0  # cycle at which the last refresh is over
        self.active = 0
        self.precharged = 0

    def spend(self, end: int) -> None:
        """Book the cycles from the last command to ``end``."""
        cycles = end - max(self.last, 0)
        if self.open:
            self.active += cycles
        else:
            self.precharged += cycles

    def step(self, cycle: int, command: str, bank: int) -> str | None:
        """Execute one command; returns what is wrong with it, if anything is."""
        if command not in _COMMANDS:
            return f"unknown command, expected one of {', '.join(_COMMANDS)}"
        if bank >= self.part.banks:
            return f"expected a bank in 0 to {self.part.banks - 1}"
        if cycle <= self.last:
            return f"expected a cycle behind {self.last}, that of the command before"
        if cycle < self.refreshed:
            return f"expected nothing before cycle {self.refreshed}, the end of the refresh"
        if command == "ACT" and bank in self.open:
            return f"expected bank {bank} closed, it is open"
        if command in ("RD", "WR") and bank not in self.open:
            return f"expected bank {bank} open, it is closed"
        if command == "REF" and self.open:
            return f"expected all banks closed, {sorted(self.open)} are open"
        self.spend(cycle)
        self.last, self.last_command = cycle, command
        closed = {bank} & self.open if command == "PRE" else set(self.open)
        if command == "ACT":
            self.open.add(bank)
        elif command in ("PRE", "PREA"):
            self.open -= closed
            self.count["PRE"] += len(closed)
        elif command == "REF":
            self.refreshed = cycle + self.part.rfc
        if command not in ("PRE", "PREA"):
            self.count[command] += 1
        return None

    def earliest_end(self) -> int:
        """First cycle at which the window can end: the active part of a refresh is inside."""
        return max(self.last, self.refreshed - self.part.rp, 0)


def activity_of_trace(part: Part, lines: Iterable[str], end: int | None = None) -> Activity:
    """Activity of a command trace, from cycle 0 to its end.

    Parameters
    ----------
    part : the DRAM part, whose clock the cycles are in
    lines : the trace; blank lines are skipped
    end : cycle at which the window ends. By default as in DRAMPower 4.1: tRP - 1 cycles after a
        last PRE or PREA, tRFC - tRP cycles after a last REF. An END or NOP line is not accepted:
        DRAMPower counts precharge standby twice for it

    Returns
    -------
    Activity, with refreshes in precharge standby
    """
    replay = _Replay(part)
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise _error(number, line, 'expected "cycle,command,bank"')
        problem = replay.step(int(match[1]), match[2], int(match[3]))
        if problem is not None:
            raise _error(number, line, problem)
    earliest = replay.earliest_end()
    if end is None:
        if replay.open:
            raise FmzipError(
                f"trace ends with banks {sorted(replay.open)} open: precharge them, or give the end"
            )
        end = earliest
        if replay.last_command in ("PRE", "PREA"):
            end += part.rp - 1
    elif end < earliest:
        raise ValueError(f"end must be at least {earliest}, not {end}")
    replay.spend(end)
    return Activity(
        act=replay.count["ACT"],
        pre=replay.count["PRE"],
        ref=replay.count["REF"],
        rd=replay.count["RD"],
        wr=replay.count["WR"],
        active_standby=replay.active,
        precharge_standby=replay.precharged,
    )


def _error(number: int, line: str, problem: str) -> FmzipError:
    text = line.strip()
    return FmzipError(f"trace line {number}, {text[:40]!r}: {problem}")
