"""The datasheet of an SDRAM part as a C++ header, for the chip model of ``sdram_chip.h``."""

from fmzip.sdram import POSTPONED_MAX, SdramPart

# Members of ``SdramPart`` that the model reads, by the type of their constants.
_WHOLE = (
    "row_bits", "column_bits", "bank_bits", "rrd_clocks", "wr_clocks", "mrd_clocks", "cke_clocks",
    "xp_clocks", "power_up_refreshes",
)  # fmt: skip
_TIMES = (
    "rc_ns", "ras_ns", "ras_max_ns", "rp_ns", "rcd_ns", "rfc_ns", "rrd_ns", "wr_ns", "mrd_ns",
    "refresh_window_ns", "power_up_ns",
)  # fmt: skip
_CAS_MAX = 3
_NEVER_NS = 1e9  # shortest period with a CAS latency that a part does not have


def _constant(name: str) -> str:
    return "k" + "".join(word.capitalize() for word in name.split("_"))


def chip_header(part: SdramPart, clock_hz: float) -> str:
    """Text of ``sdram_part.h``: the part's own figures, and the period of the clock."""
    periods = [part.clock_min_ns.get(cas, _NEVER_NS) for cas in range(_CAS_MAX + 1)]
    lines = [
        "#pragma once",
        "namespace part {",
        f'constexpr const char *kName = "{part.name}";',
        f"constexpr double kPeriodNs = {1e9 / clock_hz!r};",
        f"constexpr unsigned kPostponedMax = {POSTPONED_MAX};",
        f"constexpr double kClockMinNs[] = {{{', '.join(repr(float(ns)) for ns in periods)}}};",
        *(f"constexpr unsigned {_constant(n)} = {getattr(part, n)};" for n in _WHOLE),
        *(f"constexpr double {_constant(n)} = {float(getattr(part, n))!r};" for n in _TIMES),
        "}  // namespace part",
    ]
    return "\n".join(lines) + "\n"
