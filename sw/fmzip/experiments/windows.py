"""Windows of pure memory traffic: a map replayed on the board, without the codec and with it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fmzip import energy, reference
from fmzip.codings import AnyCoding
from fmzip.device import Device
from fmzip.errors import MismatchError
from fmzip.format import POSITION_SIDE, FrameConfig
from fmzip.reference.beats import beat_count, pixel_order
from fmzip.regs import COUNTER, Count, Replay

PART = "IS42S16160B-7"  # prices the traffic where the board's own part has no verified currents
KINDS = {"raw": Replay.RAW, "coded": Replay.CODED}


def bands(config: FrameConfig, device: Device) -> Iterator[tuple[int, int]]:
    """First row and end of each part of a map that the board's stage holds.

    Raises
    ------
    ValueError : it does not hold one row of tiles
    """
    per_row = beat_count(replace(config, height=1, tile_rows=1), device.lanes)
    per_row //= POSITION_SIDE.get(config.transform, 1)
    # With the coder GF2 a part is a tile, whatever its height.
    unit = POSITION_SIDE[config.transform] if config.gf2 else config.tile_rows
    rows = device.stage_beats // per_row // unit * unit
    if rows == 0:
        raise ValueError(
            f"a row of tiles has {per_row * unit} beats, the stage holds {device.stage_beats}"
        )
    for start in range(0, config.height, rows):
        yield start, min(start + rows, config.height)


def replay_map(
    device: Device,
    name: str,
    values: np.ndarray,
    config: FrameConfig,
    passes: int = 1,
    coding: AnyCoding | None = None,
) -> dict[str, dict[str, int]]:
    """Write and read a map without the codec and with it; counters of each, summed over its bands.

    Raises
    ------
    MismatchError : what the passes put out is not what the reference says
    """
    total: dict[str, dict[str, int]] = {kind: {} for kind in KINDS}
    for start, end in bands(config, device):
        band = np.ascontiguousarray(values[:, start:end])
        frame = replace(config, height=end - start, tile_rows=min(config.tile_rows, end - start))
        tables = None if coding is None else coding.tables
        back = reference.decode(reference.encode(band, frame, coding), tables)
        beats = device.stage(band, frame, coding=coding)
        # Lanes that hold no value, and pixels that the map lacks, hold anything.
        known = config.channels % device.lanes == 0 and pixel_order(frame)[2].all()
        for kind, replayed in (("raw", band), ("coded", back)):
            counters = device.replay(KINDS[kind], beats, passes)
            check = counters.pop("check")
            if known and check != device.check_of(replayed, frame):
                raise MismatchError(
                    f"{name}: what the {kind} passes over rows {start} to {end - 1} put out is "
                    f"not what the reference says"
                )
            total[kind] = add_counters(total[kind], counters)
    return total


def add_counters(one: Mapping[str, int], two: Mapping[str, int]) -> dict[str, int]:
    """Counters of both windows together."""
    total = {}
    for name, value in two.items():
        before, count = one.get(name, 0), COUNTER[name].kind
        if count is Count.SUM:
            total[name] = before + value
        elif count is Count.MAX:
            total[name] = max(before, value)
        else:
            total[name] = min(before, value) if before and value else before or value
    return total


@dataclass(frozen=True)
class WindowEnergy:
    """Energy of one window, pJ, modelled from its counters.

    Members
    -------
    cycles : length of the window
    traffic_pj : ACT, PRE, RD and WR above standby
    io_pj : data lines, from counted toggles and an estimated load
    total_pj : all of the device, refresh and standby included, without data lines
    """

    cycles: int
    traffic_pj: float
    io_pj: float
    total_pj: float


def priced_part(clock_hz: float) -> energy.Part:
    """The part that prices what was counted: at the board's clock, in its controller's bursts."""
    return replace(energy.load(PART, clock_hz), burst_length=1)


def window_energy(part: energy.Part, counters: Mapping[str, int]) -> WindowEnergy:
    """What a window's counters come to."""
    activity = energy.counted_activity(part, counters)
    found = energy.energy(part, activity, io_load=energy.ESTIMATED_LOAD)
    io_pj = found.io_pj or 0.0
    return WindowEnergy(
        activity.cycles, found.commands_pj - found.ref_pj, io_pj, found.total_pj - io_pj
    )


def sleep_pj(part: energy.Part, cycles: int) -> float:
    """Energy of so many cycles asleep with all banks closed, refreshes included."""
    refreshes = cycles // part.refi
    standby = refreshes * part.rfc
    activity = energy.Activity(
        ref=refreshes, precharge_standby=standby, precharge_powerdown=cycles - standby
    )
    return energy.energy(part, activity).total_pj


def compare(clock_hz: float, windows: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    """Energy of the passes without and with the codec, side by side."""
    part = priced_part(clock_hz)
    raw, coded = (window_energy(part, windows[kind]) for kind in ("raw", "coded"))
    # For as long as the longer of both takes: the other one sleeps for the rest.
    frame = max(raw.cycles, coded.cycles)
    fixed = [w.total_pj + sleep_pj(part, frame - w.cycles) for w in (raw, coded)]
    return {
        "label": energy.model.MODELLED,
        "what": "from the counters of one write and one read of every map; incremental: ACT, PRE, "
        "RD and WR; fixed time: the whole device, asleep when it is done",
        "part": part.name,
        "source": part.source,
        "raw_pj": raw.traffic_pj,
        "coded_pj": coded.traffic_pj,
        "saved": 1 - coded.traffic_pj / raw.traffic_pj,
        "raw_io_pj": raw.io_pj,
        "coded_io_pj": coded.io_pj,
        "io_load_f": energy.ESTIMATED_LOAD.capacitance_f,
        "fixed_cycles": frame,
        "raw_fixed_pj": fixed[0],
        "coded_fixed_pj": fixed[1],
        "fixed_saved": 1 - fixed[1] / fixed[0],
    }
