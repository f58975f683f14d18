"""Power of five configurations, in windows that the link is no part of: see docs/measuring.md."""

import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from math import ceil
from typing import Any

import numpy as np

from fmzip import energy
from fmzip.codings import AnyCoding
from fmzip.device import Device
from fmzip.experiments.meters import Counters, Meter, Reading
from fmzip.experiments.windows import priced_part, window_energy
from fmzip.format import FrameConfig
from fmzip.regs import Replay

WINDOW_S = 10.0
REPEATS = 5
_IDLE_BEATS = 1 << 20  # cycles of an idle pass
_SIMULATED_PASSES = 2  # a window on the virtual board: what it counts per pass is always the same
# Name: what a pass does, and whether CKE stays high.
CONFIGURATIONS = {
    "asleep": (Replay.IDLE, False),
    "awake": (Replay.IDLE, True),
    "raw": (Replay.RAW, False),
    "coded": (Replay.CODED, False),
    "codec": (Replay.CODEC, False),
}


@dataclass(frozen=True)
class Power:
    """What one configuration takes.

    Members
    -------
    power_w, spread_w : median over the windows, and the distance of their quartiles
    model_w : memory and codec by the model, from the counters of the last window
    passes, seconds : of each window
    windows : how many
    """

    power_w: float
    spread_w: float
    model_w: float
    passes: int
    seconds: float
    windows: int


def model_power(codec: str, clock_hz: float, lanes: int) -> Callable[[Counters], float]:
    """Mean power of memory, data lines and codec in a window, W, modelled from its counters."""
    part = priced_part(clock_hz)

    def power_w(counters: Counters) -> float:
        memory = window_energy(part, counters)
        written, read = (counters[f"{side}_beats"] * lanes for side in ("encoder", "decoder"))
        pj = memory.total_pj + memory.io_pj
        if written:
            bits = counters["codec_bits_out"] / written
            pj += energy.codec_energy(codec, written, read, bits).fpga_pj or 0.0
        return pj * 1e-12 / (memory.cycles / clock_hz)

    return power_w


def measure(
    device: Device,
    meter: Meter,
    model_w: Callable[[Counters], float],
    values: np.ndarray,
    config: FrameConfig,
    *,
    coding: AnyCoding | None = None,
    window_s: float = WINDOW_S,
    repeats: int = REPEATS,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> dict[str, Any]:
    """Windows of all configurations, there and back again so that drift cancels out (ABBA).

    Parameters
    ----------
    values, config : a map that the stage holds
    window_s : length of a window, s
    repeats : windows of each configuration

    Raises
    ------
    ValueError : a window that is no window, or the stage does not hold the map
    ToolError : the meter does not do its work
    """
    if not window_s > 0:
        raise ValueError(f"a window must be longer than 0 s, not {window_s:g}")
    if repeats < 1:
        raise ValueError(f"repeats must be at least 1, not {repeats}")
    beats = device.stage(values, config, coding=coding)
    simulated = device.tier == "simulated"
    passes, seconds = {}, {}
    for name, (kind, awake) in CONFIGURATIONS.items():
        moved = _IDLE_BEATS if kind is Replay.IDLE else beats
        if simulated:
            moved = min(moved, 1 << 15)
        cycles = device.replay(kind, moved, 1, awake=awake)["cycles"]
        full = ceil(window_s * device.clock_hz / cycles)
        seconds[name] = full * cycles / device.clock_hz
        passes[name] = _SIMULATED_PASSES if simulated else full
    readings: dict[str, list[Reading]] = {name: [] for name in CONFIGURATIONS}
    for turn in range(repeats):
        order = [*CONFIGURATIONS]
        for k, name in enumerate(reversed(order) if turn % 2 else order):
            progress(f"power, {name}", turn * len(order) + k, repeats * len(order))
            kind, awake = CONFIGURATIONS[name]
            moved = _IDLE_BEATS if kind is Replay.IDLE else beats
            silence = 0.0 if simulated else seconds[name]
            moved = min(moved, 1 << 15) if simulated else moved
            # CKE is high, or may go low, before the window begins.
            device.keep_awake(awake)

            def work(
                kind: Replay = kind, moved: int = moved, name: str = name, awake: bool = awake,
                silence: float = silence,
            ) -> Counters:  # fmt: skip
                return device.replay(kind, moved, passes[name], awake=awake, silence_s=silence)

            readings[name].append(meter.window(work, seconds[name]))
    device.keep_awake(False)
    found = {name: _power(seen, model_w, passes[name]) for name, seen in readings.items()}
    return {
        "meter": meter.name,
        "label": "measured" if (meter.label, device.tier) == ("measured",) * 2 else "simulated",
        "shape": list(values.shape),
        "window_s": window_s,
        "order": "ABBA",
        "configurations": {name: asdict(power) for name, power in found.items()},
    }


def _power(seen: list[Reading], model_w: Callable[[Counters], float], passes: int) -> Power:
    powers = [reading.power_w for reading in seen]
    quartiles = statistics.quantiles(powers, n=4) if len(powers) > 1 else [powers[0]] * 3
    return Power(
        power_w=statistics.median(powers),
        spread_w=quartiles[2] - quartiles[0],
        model_w=model_w(seen[-1].counters),
        passes=passes,
        seconds=seen[-1].seconds,
        windows=len(seen),
    )
