"""SDR SDRAM parts as one table: geometry, timing in ns, and the same in clock cycles.

Standard library only. The controller takes its cycle counts from here; the chip model checks the
nanoseconds by itself. A figure without a first-hand source is named in its part's ``unverified``.
"""

from dataclasses import dataclass
from math import ceil, floor

POSTPONED_MAX = 8  # refreshes that may be owed at a time, for all parts


@dataclass(frozen=True)
class Cycles:
    """Timing of a part at one clock, in cycles between two commands; rounded to the safe side."""

    cas: int  # RD to its data
    rcd: int  # ACT to RD, WR
    ras: int  # ACT to PRE
    rp: int  # PRE to ACT, REF, MRS
    rc: int  # ACT to ACT, REF, same bank
    rrd: int  # ACT to ACT, other bank
    wr: int  # last data written to PRE
    rfc: int  # REF to anything
    mrd: int  # MRS to anything
    turn: int  # RD to WR: its data, and an idle cycle of the bus behind them
    cke: int  # CKE low
    xp: int  # CKE high to a command
    refi: int  # average from REF to REF, at most
    ras_max: int  # ACT to PRE, at most
    power_up: int  # power and clock to the first command
    power_up_refreshes: int


@dataclass(frozen=True)
class SdramPart:
    """An SDR SDRAM of 16 bits: what its datasheet says.

    Times are minima in ns unless they say otherwise; where a datasheet gives clocks, these are in
    ``*_clocks``, and both hold.

    Members
    -------
    clock_min_ns : shortest clock period by CAS latency
    unverified : names of the members that are not from the source
    """

    name: str
    column_bits: int
    clock_min_ns: dict[int, float]
    rc_ns: float
    ras_ns: float
    ras_max_ns: float
    rp_ns: float
    rcd_ns: float
    rfc_ns: float
    xsr_ns: float
    source: str
    rrd_ns: float = 0
    wr_ns: float = 0
    mrd_ns: float = 0
    rrd_clocks: int = 1
    wr_clocks: int = 1
    mrd_clocks: int = 1
    cke_clocks: int = 1
    xp_clocks: int = 1
    row_bits: int = 13
    bank_bits: int = 2
    refresh_window_ns: float = 64e6  # all rows, at most
    power_up_ns: float = 200e3
    power_up_refreshes: int = 8
    unverified: tuple[str, ...] = ()

    @property
    def row_bytes(self) -> int:
        return 2 << self.column_bits

    @property
    def size_bytes(self) -> int:
        return self.row_bytes << self.row_bits + self.bank_bits

    @property
    def refi_ns(self) -> float:
        """Average time from refresh to refresh, at most."""
        return self.refresh_window_ns / (1 << self.row_bits)

    def cycles(self, clock_hz: float, cas: int) -> Cycles:
        """Timing at a clock; ValueError if the part is too slow for it with this CAS latency."""
        if cas not in self.clock_min_ns:
            raise ValueError(f"CAS latency must be one of {[*self.clock_min_ns]}, not {cas}")
        # A clock of 143 MHz means a period of 7 ns: 0.1 % are let pass.
        if clock_hz * self.clock_min_ns[cas] > 1.001e9:
            raise ValueError(
                f"{self.name} with CAS latency {cas} takes a clock of up to "
                f"{1e3 / self.clock_min_ns[cas]:.1f} MHz, not {clock_hz / 1e6:g} MHz"
            )

        def least(ns: float, clocks: int = 1) -> int:
            return max(clocks, ceil(ns * clock_hz / 1e9 - 1e-6))

        return Cycles(
            cas=cas,
            rcd=least(self.rcd_ns),
            ras=least(self.ras_ns),
            rp=least(self.rp_ns),
            rc=least(self.rc_ns),
            rrd=least(self.rrd_ns, self.rrd_clocks),
            wr=least(self.wr_ns, self.wr_clocks),
            rfc=least(self.rfc_ns),
            mrd=least(self.mrd_ns, self.mrd_clocks),
            turn=cas + 2,
            cke=self.cke_clocks,
            xp=self.xp_clocks,
            refi=floor(self.refi_ns * clock_hz / 1e9 + 1e-6),
            ras_max=floor(self.ras_max_ns * clock_hz / 1e9 + 1e-6),
            power_up=least(self.power_up_ns),
            power_up_refreshes=self.power_up_refreshes,
        )


# Asked of every chip, from memory: power-up of 100 to 200 us, two to eight refreshes, CKE of a
# clock each way. The slowest of each is the default.
_POWER_UP = ("power_up_ns", "power_up_refreshes", "cke_clocks", "xp_clocks")

_PARTS = (
    SdramPart(
        name="IS42S16160B-7",
        column_bits=9,
        clock_min_ns={2: 10, 3: 7},
        rc_ns=67.5,
        ras_ns=45,
        ras_max_ns=120e3,
        rp_ns=20,
        rcd_ns=20,
        rrd_ns=14,
        wr_ns=14,
        mrd_ns=15,
        rfc_ns=67.5,
        xsr_ns=70,
        source="ISSI IS42S16160B Rev. D (2008), grade -7; tRC covers REF to REF",
        unverified=_POWER_UP,
    ),
    SdramPart(
        name="IS42S16160G-7",
        column_bits=9,
        clock_min_ns={2: 10, 3: 7},
        rc_ns=67.5,
        ras_ns=45,
        ras_max_ns=100e3,
        rp_ns=21,
        rcd_ns=21,
        rrd_ns=15,
        wr_ns=15,
        mrd_ns=15,
        rfc_ns=67.5,
        xsr_ns=75,
        source="no datasheet at hand: the slowest figure of the other 256 Mbit parts of grade -7",
        unverified=(
            "rc_ns", "ras_ns", "ras_max_ns", "rp_ns", "rcd_ns", "rrd_ns", "wr_ns", "mrd_ns",
            "rfc_ns", "xsr_ns", "clock_min_ns", *_POWER_UP,
        ),
    ),
    SdramPart(
        name="MT48LC16M16A2-7E",
        column_bits=9,
        clock_min_ns={2: 7.5, 3: 7},
        rc_ns=60,
        ras_ns=37,
        ras_max_ns=120e3,
        rp_ns=15,
        rcd_ns=15,
        rrd_ns=14,
        wr_ns=14,
        mrd_clocks=2,
        rfc_ns=66,
        xsr_ns=67,
        source="Micron 256Mb: x4, x8, x16 SDRAM, table 12, grade -7E",
        unverified=("mrd_clocks", "xsr_ns", *_POWER_UP),
    ),
    SdramPart(
        name="MT48LC16M16A2-75",
        column_bits=9,
        clock_min_ns={2: 10, 3: 7.5},
        rc_ns=66,
        ras_ns=44,
        ras_max_ns=120e3,
        rp_ns=20,
        rcd_ns=20,
        rrd_ns=15,
        wr_ns=15,
        mrd_clocks=2,
        rfc_ns=66,
        xsr_ns=75,
        source="Micron 256Mb: x4, x8, x16 SDRAM, table 12, grade -75",
        unverified=("mrd_clocks", "xsr_ns", *_POWER_UP),
    ),
    SdramPart(
        name="AS4C32M16SB-7",
        column_bits=10,
        clock_min_ns={2: 10, 3: 7},
        rc_ns=63,
        ras_ns=42,
        ras_max_ns=120e3,
        rp_ns=21,
        rcd_ns=21,
        rrd_ns=14,
        wr_ns=14,
        mrd_ns=14,
        rfc_ns=63,
        xsr_ns=64.5,
        source="Alliance AS4C32M16SB Rev. 1.0 (2016), table 16, grade -7; tXSR is tRC + tIS",
        unverified=_POWER_UP,
    ),
    SdramPart(
        name="W9825G6JH-6",
        column_bits=9,
        clock_min_ns={2: 7.5, 3: 6},
        rc_ns=60,
        ras_ns=42,
        ras_max_ns=100e3,
        rp_ns=15,
        rcd_ns=15,
        rrd_clocks=2,
        wr_clocks=2,
        mrd_clocks=2,
        rfc_ns=60,
        xsr_ns=72,
        source="Winbond W9825G6JH Rev. A04 (2011), section 9.5, grade -6; tRC covers REF to REF",
        unverified=_POWER_UP,
    ),
)  # fmt: skip
PARTS = {part.name: part for part in _PARTS}
