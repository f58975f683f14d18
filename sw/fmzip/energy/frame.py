"""What a DRAM chip does in one frame time, planned from traffic where no board counts it."""

import math
from dataclasses import replace

from fmzip.energy.model import Activity, traffic_activity
from fmzip.energy.parts import Part


def busy_activity(part: Part, read_bytes: int, write_bytes: int, row_switches: int) -> Activity:
    """The commands of traffic and the time they take, one bank at a time, without refreshes.

    Bursts follow each other without gaps, as a controller with row-sized requests gets them. A row
    switch costs tRP with all banks closed, and again as much until the first burst: tRCD is not in
    a part's data, and about tRP.
    """
    commands = traffic_activity(part, read_bytes, write_bytes, row_switches)
    bursts = (commands.rd + commands.wr) * part.burst_length // part.data_rate
    return replace(
        commands,
        active_standby=bursts + row_switches * part.rp,
        precharge_standby=row_switches * part.rp,
    )


def frame_activity(
    part: Part,
    read_bytes: int,
    write_bytes: int,
    row_switches: int,
    frame_s: float,
    *,
    power_down: bool,
) -> Activity:
    """Activity over a whole frame time.

    Parameters
    ----------
    read_bytes, write_bytes, row_switches : see ``traffic_activity``
    frame_s : length of the window; it is stretched where the traffic takes longer
    power_down : between traffic and refreshes all banks are closed and CKE is low; without it, CKE
        is high and the last row stays open, as most simple controllers leave it

    Returns
    -------
    Activity, with a refresh every tREFI
    """
    if not 0 < frame_s < math.inf:
        raise ValueError(f"frame_s must be above 0 s, not {frame_s}")
    busy = busy_activity(part, read_bytes, write_bytes, row_switches)
    cycles = round(frame_s * part.clock_hz)
    # Refreshes take time in which there is no traffic, and that time has refreshes, too.
    least = math.ceil(busy.cycles / (1 - part.rfc / part.refi))
    cycles = max(cycles, least)
    refreshes = cycles // part.refi
    idle = cycles - busy.cycles - refreshes * part.rfc
    return replace(
        busy,
        ref=refreshes,
        active_standby=busy.active_standby + (0 if power_down else idle),
        precharge_standby=busy.precharge_standby + refreshes * part.rfc,
        precharge_powerdown=idle if power_down else 0,
    )
