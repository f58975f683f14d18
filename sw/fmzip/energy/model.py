"""From counted DRAM activity to energy.

Nothing here is a measurement: currents are datasheet maxima, and every result is labelled
``modelled``. Ratios between two runs on one part mean more than the absolute values, and those mean
nothing without the name of the part.
"""

from dataclasses import dataclass, fields
from numbers import Integral
from typing import Any

from fmzip.energy.parts import Part

MODELLED = "modelled"
_PJ = 1e12


@dataclass(frozen=True, kw_only=True)
class Activity:
    """What a DRAM chip did in a window of time.

    The five times partition the window: their sum is its length. A refresh counts as precharge
    standby for as long as it takes, as a controller sees it, whose banks are all closed then;
    ``energy`` knows that the chip is active for the first tRFC - tRP of it.

    Members
    -------
    act, pre, ref, rd, wr : commands; rd and wr move one burst each; a precharge of n open banks
        counts n times, one of a closed bank not at all
    active_standby : clock cycles with CKE high and at least one bank open
    precharge_standby : clock cycles with CKE high and all banks closed
    active_powerdown, precharge_powerdown : the same with CKE low, clock cycles
    self_refresh : clock cycles in self refresh
    dq_toggles : changes of a data line, summed over all lines; None if not counted
    """

    act: int = 0
    pre: int = 0
    ref: int = 0
    rd: int = 0
    wr: int = 0
    active_standby: int = 0
    precharge_standby: int = 0
    active_powerdown: int = 0
    precharge_powerdown: int = 0
    self_refresh: int = 0
    dq_toggles: int | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None and field.name == "dq_toggles":
                continue
            if not isinstance(value, Integral):
                raise TypeError(f"{field.name} must be an integer, not {value!r}")
            if value < 0:
                raise ValueError(f"{field.name} must not be negative, not {value}")

    def __add__(self, other: "Activity") -> "Activity":
        """Both windows together; toggles are unknown where they are in either."""
        total: dict[str, Any] = {}
        for field in fields(self):
            a, b = getattr(self, field.name), getattr(other, field.name)
            total[field.name] = None if a is None or b is None else a + b
        return Activity(**total)

    @property
    def cycles(self) -> int:
        """Length of the window, clock cycles."""
        powerdown = self.active_powerdown + self.precharge_powerdown + self.self_refresh
        return self.active_standby + self.precharge_standby + powerdown


@dataclass(frozen=True)
class IoLoad:
    """Load of one data line of an unterminated (LVTTL) bus.

    Parameters
    ----------
    capacitance_f : F, of both chips' pins and the trace
    uncertainty : of the capacitance, relative
    """

    capacitance_f: float
    uncertainty: float


# DRAM pin 4 to 6 pF (datasheet), FPGA pin 8 pF and trace 5 to 10 pF (from memory): an estimate.
ESTIMATED_LOAD = IoLoad(capacitance_f=20e-12, uncertainty=0.5)


@dataclass(frozen=True, kw_only=True)
class Breakdown:
    """Energy of one activity, in pJ.

    Members
    -------
    part : name of the DRAM part
    act_pj, pre_pj, rd_pj, wr_pj, ref_pj : the commands, each above the standby of its time
    active_standby_pj, precharge_standby_pj, active_powerdown_pj, precharge_powerdown_pj,
    self_refresh_pj : background; precharge standby without the active part of refreshes, which is
        in active standby
    io_pj, io_uncertainty_pj : data lines, and its +- ; None where not modelled
    label : how the numbers came about
    """

    part: str
    act_pj: float
    pre_pj: float
    rd_pj: float
    wr_pj: float
    ref_pj: float
    active_standby_pj: float
    precharge_standby_pj: float
    active_powerdown_pj: float
    precharge_powerdown_pj: float
    self_refresh_pj: float
    io_pj: float | None = None
    io_uncertainty_pj: float | None = None
    label: str = MODELLED

    @property
    def commands_pj(self) -> float:
        """Activates, precharges, reads, writes and refreshes, pJ."""
        return self.act_pj + self.pre_pj + self.rd_pj + self.wr_pj + self.ref_pj

    @property
    def background_pj(self) -> float:
        """Standby, power-down and self refresh, pJ."""
        standby = self.active_standby_pj + self.precharge_standby_pj
        return (
            standby + self.active_powerdown_pj + self.precharge_powerdown_pj + self.self_refresh_pj
        )

    @property
    def total_pj(self) -> float:
        """Everything that is modelled, pJ; data lines only where ``io_pj`` is not None."""
        return self.commands_pj + self.background_pj + (self.io_pj or 0.0)


def energy(part: Part, activity: Activity, *, io_load: IoLoad | None = None) -> Breakdown:
    """Energy of an activity.

    The formulas of DRAMPower 4.1 (``MemoryPowerModel.cc``), whose printed components this
    reproduces. ACT + PRE equals Micron's and DRAMsim3's formula where tRC = tRAS + tRP::

        ACT  V (IDD0 - IDD3N) tRAS           active standby        V IDD3N T
        PRE  V (IDD0 - IDD2N) (tRC - tRAS)   precharge standby     V IDD2N T
        RD   V (IDD4R - IDD3N) BL/DR tCK     active power-down     V IDD3P T
        WR   V (IDD4W - IDD3N) BL/DR tCK     precharge power-down  V IDD2P T
        REF  V (IDD5 - IDD3N) tRFC           self refresh          V IDD6 T

    Of each refresh, tRFC - tRP are moved from precharge to active standby: see ``Activity``.

    Parameters
    ----------
    io_load : adds 1/2 C V^2 per toggle of a data line, for SDR parts; by default the data lines
        are not modelled, since their load is a property of the board. ``ESTIMATED_LOAD`` is a
        guess at one with a chip beside an FPGA
    """
    refreshing = activity.ref * (part.rfc - part.rp)
    if activity.precharge_standby < refreshing:
        raise ValueError(
            f"precharge_standby must contain the {activity.ref} refreshes, {refreshing} cycles or "
            f"more, not {activity.precharge_standby}"
        )
    cycle_pj = part.vdd_v * part.tck_s * _PJ  # pJ per ampere and cycle
    burst_pj = cycle_pj * part.burst_length / part.data_rate

    def state_pj(cycles: int, current: str, amps: float | None) -> float:
        if amps is not None:
            return cycle_pj * amps * cycles
        if cycles:
            raise ValueError(f"{part.name}: {current} is not known, so its state has no energy")
        return 0.0

    io_pj, io_uncertainty_pj = None, None
    if io_load is not None:
        io_pj = _io_pj(part, activity, io_load)
        io_uncertainty_pj = io_pj * io_load.uncertainty
    return Breakdown(
        part=part.name,
        act_pj=cycle_pj * (part.idd0 - part.idd3n) * part.ras * activity.act,
        pre_pj=cycle_pj * (part.idd0 - part.idd2n) * (part.rc - part.ras) * activity.pre,
        rd_pj=burst_pj * (part.idd4r - part.idd3n) * activity.rd,
        wr_pj=burst_pj * (part.idd4w - part.idd3n) * activity.wr,
        ref_pj=cycle_pj * (part.idd5 - part.idd3n) * part.rfc * activity.ref,
        active_standby_pj=cycle_pj * part.idd3n * (activity.active_standby + refreshing),
        precharge_standby_pj=cycle_pj * part.idd2n * (activity.precharge_standby - refreshing),
        active_powerdown_pj=state_pj(activity.active_powerdown, "idd3p", part.idd3p),
        precharge_powerdown_pj=state_pj(activity.precharge_powerdown, "idd2p", part.idd2p),
        self_refresh_pj=state_pj(activity.self_refresh, "idd6", part.idd6),
        io_pj=io_pj,
        io_uncertainty_pj=io_uncertainty_pj,
    )


def _io_pj(part: Part, activity: Activity, load: IoLoad) -> float:
    if part.kind != "SDR":
        raise ValueError(f"{part.name}: data lines of {part.kind} are terminated, no C V^2 model")
    if activity.dq_toggles is None:
        raise ValueError("io_load needs an activity with dq_toggles")
    return 0.5 * load.capacitance_f * part.vdd_v**2 * activity.dq_toggles * _PJ


def traffic_activity(part: Part, read_bytes: int, write_bytes: int, row_switches: int) -> Activity:
    """Commands of counted traffic, and no time: what the traffic adds to a chip that is on anyway.

    Parameters
    ----------
    read_bytes, write_bytes : bytes on the bus; each is rounded up to whole bursts
    row_switches : changes of the open row, one ACT and one PRE each
    """
    counts = {"read_bytes": read_bytes, "write_bytes": write_bytes, "row_switches": row_switches}
    for name, count in counts.items():
        if count < 0:
            raise ValueError(f"{name} must not be negative, not {count}")
    return Activity(
        act=row_switches,
        pre=row_switches,
        rd=-(-read_bytes // part.burst_bytes),
        wr=-(-write_bytes // part.burst_bytes),
    )


def incremental(part: Part, read_bytes: int, write_bytes: int, row_switches: int) -> Breakdown:
    """Energy of ``traffic_activity``: no background, no refresh, no data lines."""
    return energy(part, traffic_activity(part, read_bytes, write_bytes, row_switches))


def paper_bits_model(read_bits: float, write_bits: float) -> float:
    """Memory energy by the formula published with Chmiel et al. (arXiv 1905.10830), pJ.

    ``E = 1.5 V x {220 mA read, 180 mA write} x bits/16 x 4 / 1066 MHz`` as in
    ``FPGA/power/cnn_power.py`` of CompressTeam/TransformCodingInference: 77.4 pJ per bit read,
    63.3 pJ per bit written. The currents are IDD4R and IDD4W, maxima, of a 4 Gb DDR3-1066 x16 chip.
    The factor 4 is not derived there; without it, one chip at full rate takes 19.3 and 15.8.

    It is kept so that the published ratio can be set beside ours, and it is a ratio of bits: it
    leaves out activates, precharges, background, refresh, data lines and the codec's own energy,
    and does not take standby off the burst currents. The bits are entropies in that paper.
    """
    vdd_v, read_a, write_a, bus_bits, factor, rate_hz = 1.5, 0.220, 0.180, 16, 4, 1066e6
    per_bit_pj = vdd_v / bus_bits * factor / rate_hz * _PJ
    return per_bit_pj * (read_a * read_bits + write_a * write_bits)
