"""DRAM parts: geometry, timings and currents, one JSON file each in ``parts/``.

A file holds what the datasheet prints (ns or clock cycles, mA), a ``Part`` what the formulas need
(clock cycles, A). ``verified`` is true only where every value was read in the maker's datasheet.
"""

import math
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

from fmzip.energy.sdr import SDR_CURRENTS, SDR_OPTIONAL, sdr_currents
from fmzip.energy.table import Table, read_table
from fmzip.errors import FmzipError

_GEOMETRY = ("data_rate", "burst_length", "bus_bits", "row_bytes", "banks")
_TIMINGS = ("rc", "ras", "rp", "rfc", "refi")
_CURRENTS = ("idd0", "idd2n", "idd3n", "idd4r", "idd4w", "idd5")
_OPTIONAL = ("idd2p", "idd3p", "idd6")  # of states that a controller need not enter
# A command's energy is what it draws above standby: with these, none is negative.
_NOT_BELOW = (
    ("idd3n", "idd2n"),
    ("idd0", "idd3n"),
    ("idd4r", "idd3n"),
    ("idd4w", "idd3n"),
    ("idd5", "idd3n"),
    ("rc", "ras"),
    ("rfc", "rp"),
)


@dataclass(frozen=True, kw_only=True)
class Part:
    """One DRAM chip at one clock.

    Members
    -------
    name, kind, organisation : e.g. "IS42S16160B-7"; "SDR", "DDR3" or "DDR3L"; "16Mx16"
    vdd_v : supply, V
    clock_hz : the clock that cycles are counted in, Hz
    data_rate : transfers per clock and pin, 1 or 2
    burst_length : transfers of one RD or WR command; where a controller programs an SDR part
        otherwise than its file says, use ``dataclasses.replace``
    bus_bits, row_bytes, banks : width of the data bus, size of one row, number of banks
    rc, ras, rp, rfc, refi : tRC, tRAS, tRP, tRFC and tREFI in clock cycles
    idd0 ... idd6 : supply currents at ``clock_hz``, A; idd2p, idd3p, idd6 are None where unknown
    source, verified, notes : where the values are from; whether all are the datasheet's own
    """

    name: str
    kind: str
    organisation: str
    vdd_v: float
    clock_hz: float
    data_rate: int
    burst_length: int
    bus_bits: int
    row_bytes: int
    banks: int
    rc: int
    ras: int
    rp: int
    rfc: int
    refi: int
    idd0: float
    idd2n: float
    idd3n: float
    idd4r: float
    idd4w: float
    idd5: float
    idd2p: float | None = None
    idd3p: float | None = None
    idd6: float | None = None
    source: str
    verified: bool
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("vdd_v", "clock_hz", *_GEOMETRY, *_TIMINGS, *_CURRENTS, *_OPTIONAL):
            value = getattr(self, name)
            if not (value is None and name in _OPTIONAL) and not 0 < value < math.inf:
                raise ValueError(f"{name} must be positive, not {value}")
        for name, floor in _NOT_BELOW:
            if getattr(self, name) < getattr(self, floor):
                raise ValueError(f"{name} must not be below {floor}")

    @property
    def tck_s(self) -> float:
        """Clock period, s."""
        return 1 / self.clock_hz

    @property
    def burst_bytes(self) -> int:
        """Bytes that one RD or WR command moves."""
        return self.burst_length * self.bus_bits // 8


def names() -> list[str]:
    """Names of the parts that ``load`` knows."""
    files = (file.name for file in _folder().iterdir())
    return sorted(name.removesuffix(".json") for name in files if name.endswith(".json"))


def load(name: str, clock_hz: float | None = None) -> Part:
    """A part by its name, in upper or lower case.

    Parameters
    ----------
    name : one of ``names()``
    clock_hz : clock of an SDR part, where it is not run at that of its file; see ``sdr_currents``
    """
    for known in names():
        if known.lower() == name.lower():
            return read_part(_folder() / f"{known}.json", clock_hz)
    raise ValueError(f"no DRAM part {name!r}; known are {', '.join(names())}")


def read_part(file: Traversable, clock_hz: float | None = None) -> Part:
    """A part from a file, such as a ``Path``, of the form of those in ``parts/``."""
    table = read_table(file)
    kind = table.text("kind")
    own_hz = max_hz = min_hz = 1e9 / table.number("tck_ns")
    if kind == "SDR":
        max_hz, min_hz = 1e9 / table.number("tck_min_ns"), 0.0
        if own_hz > max_hz:
            table.fail("tck_ns", "must not be below tck_min_ns")
    if clock_hz is None:
        clock_hz = own_hz
    # 1 ppm: a clock of 142857143 Hz is meant to be one of 7 ns.
    elif not min_hz * (1 - 1e-6) < clock_hz < max_hz * (1 + 1e-6):
        allowed = f"{min_hz:.0f} to {max_hz:.0f}"
        raise ValueError(f"clock_hz of {file.name} must be in {allowed}, not {clock_hz}")
    if kind == "SDR":
        timing, current = _sdr(table, clock_hz, max_hz)
    else:
        timings = table.table("timing_cycles")
        timing = {key: timings.integer(key) for key in _TIMINGS}
        timings.end()
        current = table.table("idd_ma").numbers(_CURRENTS, _OPTIONAL)
    values: dict[str, Any] = {key: table.integer(key) for key in _GEOMETRY}
    values |= timing | {key: ma * 1e-3 for key, ma in current.items()}
    organisation, vdd_v = table.text("organisation"), table.number("vdd_v")
    source, verified = table.text("source"), table.flag("verified")
    notes = table.texts("notes")
    table.end()
    try:
        return Part(
            name=file.name.removesuffix(".json"),
            kind=kind,
            organisation=organisation,
            vdd_v=vdd_v,
            clock_hz=clock_hz,
            source=source,
            verified=verified,
            notes=notes,
            **values,
        )
    except ValueError as error:
        raise FmzipError(f"{file.name}: {error}") from error


def _sdr(
    table: Table, clock_hz: float, clock_max_hz: float
) -> tuple[dict[str, int], dict[str, float]]:
    """Timings in cycles of ``clock_hz``, and currents in mA at ``clock_hz``, of an SDR part."""
    ns = table.table("timing_ns").numbers(_TIMINGS)
    # 1e-6 cycle: 45 ns are 6 cycles of 7.5 ns, not 7, whatever the last bit of the quotient says.
    timing = {key: math.ceil(ns[key] * 1e-9 * clock_hz - 1e-6) for key in _TIMINGS}
    timing["refi"] = math.floor(ns["refi"] * 1e-9 * clock_hz + 1e-6)  # a maximum
    current = sdr_currents(
        table.table("idd_ma").numbers(SDR_CURRENTS, SDR_OPTIONAL),
        clock_hz=clock_hz,
        clock_max_hz=clock_max_hz,
        clock_standby_hz=1e9 / table.number("tck_standby_ns"),
        rc_s=ns["rc"] * 1e-9,
    )
    return timing, current


def _folder() -> Traversable:
    return resources.files("fmzip.energy") / "parts"
