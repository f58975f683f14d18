"""From what a board counted to the activity of its memory."""

from collections.abc import Mapping

from fmzip.energy.model import Activity
from fmzip.energy.parts import Part


def counted_activity(part: Part, counters: Mapping[str, int]) -> Activity:
    """Activity of an SDR SDRAM in the cycles that the bandwidth counter counted.

    Nothing is derived: each member is a counter. Where a part's datasheet does not say what it
    draws asleep with a row open (IDD3P), those cycles are taken for standby, which is more.

    Parameters
    ----------
    part : with a burst length of 1, as the board's controller uses it
    counters : by the names of ``fmzip.regs.COUNTERS``

    Raises
    ------
    ValueError : a part with another burst length, or one that is no SDR SDRAM
    """
    if part.kind != "SDR" or part.burst_length != 1:
        raise ValueError(
            f"{part.name}: counted are the beats of an SDR SDRAM, not {part.kind} bursts of "
            f"{part.burst_length}"
        )
    asleep = 0 if part.idd3p is None else counters["open_low_cycles"]
    return Activity(
        act=counters["act"],
        pre=counters["pre"],
        ref=counters["ref"],
        rd=counters["rd"],
        wr=counters["wr"],
        active_standby=counters["open_cycles"] + counters["open_low_cycles"] - asleep,
        precharge_standby=counters["closed_cycles"],
        active_powerdown=asleep,
        precharge_powerdown=counters["closed_low_cycles"],
        dq_toggles=counters["dq_write_toggles"] + counters["dq_read_toggles"],
    )
