"""For other tools: a table of action energies as Accelergy reads it, and a DRAMPower trace."""

import json
from collections.abc import Iterable, Iterator, Sequence

from fmzip.energy.model import Activity, energy
from fmzip.energy.parts import Part
from fmzip.energy.per_bit import PerBit

_ERT_VERSION = "0.3"


def action_energies(part: Part | PerBit) -> dict[str, float]:
    """Energy of each action of a memory, pJ.

    ``read`` and ``write`` move one burst (of a ``PerBit``: one bit), ``activate`` opens and closes
    a row. Of a ``Part``, all are above standby, which is ``standby_open`` and ``standby_closed``
    for each clock cycle; ``refresh`` goes with tRFC cycles of ``standby_closed``.
    """
    if isinstance(part, PerBit):
        return {"read": part.read_pj_per_bit, "write": part.write_pj_per_bit}
    idle = part.rfc
    actions = {
        "read": Activity(rd=1),
        "write": Activity(wr=1),
        "activate": Activity(act=1, pre=1),
        "refresh": Activity(ref=1, precharge_standby=idle),
        "standby_open": Activity(active_standby=1),
        "standby_closed": Activity(precharge_standby=1),
    }
    if part.idd2p is not None:
        actions["powerdown"] = Activity(precharge_powerdown=1)
    if part.idd6 is not None:
        actions["self_refresh"] = Activity(self_refresh=1)
    pj = {name: energy(part, activity).total_pj for name, activity in actions.items()}
    pj["refresh"] -= idle * pj["standby_closed"]
    return pj


def accelergy_table(parts: Sequence[Part | PerBit], system: str = "system") -> str:
    """An energy reference table (ERT) in the form of Accelergy 0.3, YAML; energies in pJ.

    One table a memory, named ``system.NAME``. Where the figures are from, and what a read moves,
    stands in comments: Accelergy has no field for it.
    """
    lines = ["ERT:", f"  version: {_ERT_VERSION}", "  tables:"]
    for part in parts:
        unit = "1 bit" if isinstance(part, PerBit) else f"{8 * part.burst_bytes} bits"
        lines += [
            f"  # {part.kind}, modelled; read and write move {unit}; "
            f"{'' if part.verified else 'not '}verified",
            f"  # {part.source}",
            f"  - name: {json.dumps(f'{system}.{part.name}')}",
            "    actions:",
        ]
        for name, pj in action_energies(part).items():
            lines += [f"    - name: {name}", "      arguments: null", f"      energy: {pj:.10g}"]
    return "\n".join(lines) + "\n"


def command_trace(part: Part, transfers: Iterable[tuple[str, int]]) -> Iterator[str]:
    """Commands that move maps, in DRAMPower's format: ``cycle,command,bank`` lines, one by one.

    A controller with one open row: each transfer begins a new row, rows go around the banks, a
    refresh is due every tREFI and waits for the row that is open. tRC, tRAS, tRP and tRFC are kept,
    tRCD and the time from the last burst to the precharge are taken to be tRP, which a part's data
    do not hold. ``activity_of_trace`` reads it back.

    Parameters
    ----------
    transfers : ("read" or "write", bytes), in order; bytes are rounded up to whole bursts

    Raises
    ------
    ValueError : another direction, or a negative size
    """
    per_row = part.row_bytes // part.burst_bytes
    burst_cycles = max(1, part.burst_length // part.data_rate)
    cycle = row = 0
    due = part.refi
    for direction, size in transfers:
        if direction not in ("read", "write"):
            raise ValueError(f"a transfer must be read or write, not {direction!r}")
        if size < 0:
            raise ValueError(f"a transfer must not be negative, not {size} bytes")
        command = "RD" if direction == "read" else "WR"
        bursts = -(-size // part.burst_bytes)
        while bursts:
            while cycle >= due:
                yield f"{cycle},REF,0"
                cycle += part.rfc
                due += part.refi
            bank, opened = row % part.banks, cycle
            yield f"{cycle},ACT,{bank}"
            cycle += part.rp
            for _ in range(min(bursts, per_row)):
                yield f"{cycle},{command},{bank}"
                cycle += burst_cycles
            bursts -= min(bursts, per_row)
            cycle = max(cycle + part.rp, opened + part.ras)
            yield f"{cycle},PRE,{bank}"
            cycle = max(cycle + part.rp, opened + part.rc)
            row += 1
