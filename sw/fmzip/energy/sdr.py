"""Currents of SDR SDRAM: from those that a datasheet prints to those that the formulas need."""

from collections.abc import Mapping

SDR_CURRENTS = ("idd1", "idd2n", "idd2ns", "idd3n", "idd3ns", "idd4", "idd5")
SDR_OPTIONAL = ("idd2p", "idd3p", "idd6")


def sdr_currents(
    raw: Mapping[str, float],
    *,
    clock_hz: float,
    clock_max_hz: float,
    clock_standby_hz: float,
    rc_s: float,
) -> dict[str, float]:
    """Currents of a ``Part`` from those that an SDR datasheet prints.

    SDR datasheets test standby at a slow clock and with a stopped one (IDD2NS, IDD3NS), give one
    burst current for reads and writes, and no IDD0 but IDD1: one activate, one single-beat access
    and one precharge per tRC. The mapping is ours; that a current grows linearly with the clock is
    an assumption. With ``fs = clock_standby_hz`` and ``fmax = clock_max_hz``::

        IDD2N(f) = IDD2NS + (IDD2N - IDD2NS) f / fs          IDD3N(f) likewise
        IDD4(f)  = IDD3N(f) + (IDD4 - IDD3N(fmax)) f / fmax
        IDD0(f)  = IDD1 - (IDD4(f) - IDD3N(f)) / (f tRC)

    IDD1 and IDD5 are not scaled, so well below fmax the energies of ACT, PRE and REF come out too
    high: their standby share is that of fmax, and cycles round tRC up.

    Parameters
    ----------
    raw : the currents of ``SDR_CURRENTS``, and those of ``SDR_OPTIONAL`` that are known; A
    clock_hz : f, the clock of use
    clock_max_hz : clock of the tests of IDD1 and IDD4, the grade's fastest
    clock_standby_hz : clock of the tests of IDD2N and IDD3N
    rc_s : tRC in the test of IDD1, s

    Returns
    -------
    idd0, idd2n, idd3n, idd4r, idd4w, idd5 and, where known, idd2p, idd3p, idd6; A
    """

    def standby(name: str, f_hz: float) -> float:
        stopped = raw[name + "s"]
        return stopped + (raw[name] - stopped) * f_hz / clock_standby_hz

    idd3n = standby("idd3n", clock_hz)
    burst = (raw["idd4"] - standby("idd3n", clock_max_hz)) * clock_hz / clock_max_hz
    return {
        "idd0": raw["idd1"] - burst / (clock_hz * rc_s),
        "idd2n": standby("idd2n", clock_hz),
        "idd3n": idd3n,
        "idd4r": idd3n + burst,
        "idd4w": idd3n + burst,
        "idd5": raw["idd5"],
        **{name: raw[name] for name in SDR_OPTIONAL if name in raw},
    }
