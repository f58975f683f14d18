"""Bits per value and speed of the baselines' size functions on one core.

``python bench/baselines.py [--json FILE]``. Maps are those of ``bench/reference.py``; times are
processor time of ``bus_bytes`` (of ``bits`` where it is a bound), best of N.
"""

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from reference import best_of, environment, load  # beside this file; it uses one core
from rich.console import Console
from rich.table import Table

from fmzip.baselines import BASELINES, Baseline


@dataclass(frozen=True)
class Row:
    """What one baseline does with all maps."""

    baseline: str
    bound: bool
    lossless: bool
    bits_per_value: float
    mvalues_per_s: float


def measure(maps: list[tuple[np.ndarray, int]], repeats: int) -> list[Row]:
    values = sum(m.size for m, _ in maps)

    def bits(baseline: Baseline) -> float:
        if baseline.bound:
            return sum(baseline.bits(m, zero_point) for m, zero_point in maps)
        return sum(8 * baseline.bus_bytes(m, zero_point) for m, zero_point in maps)

    rows = []
    for baseline in BASELINES.values():
        seconds, total = best_of(repeats, lambda b=baseline: bits(b))  # type: ignore[misc]
        kind = baseline.bound, baseline.lossless
        rows.append(Row(baseline.name, *kind, total / values, values / seconds / 1e6))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file")
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="best of N")
    options = parser.parse_args()
    if options.repeats < 1:
        parser.error("--repeats must be at least 1")
    name, samples = load()
    maps = [(s.values, next(iter(s.configs.values())).zero_point) for s in samples]
    rows = measure(maps, options.repeats)
    values = sum(m.size for m, _ in maps)
    where = environment()
    table = Table(
        title=f"Baselines on one core: {len(maps)} maps of {name}, {values} values",
        caption=f"measured on this machine, processor time, best of {options.repeats}; whole "
        f"bursts of 32 bytes; {', '.join(f'{k} {v}' for k, v in where.items())}",
    )
    table.add_column("baseline")
    table.add_column("bits per value", justify="right")
    table.add_column("sizes, Mvalue/s", justify="right")
    table.add_column("kind")
    for r in rows:
        kind = "bound" if r.bound else "lossless" if r.lossless else "requantised"
        table.add_row(r.baseline, f"{r.bits_per_value:.3f}", f"{r.mvalues_per_s:.1f}", kind)
    Console(width=None if sys.stdout.isatty() else 100).print(table)
    if options.json:
        figures = {
            "maps": name,
            "values": values,
            "best_of": options.repeats,
            "environment": where,
            "rows": [asdict(r) for r in rows],
        }
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
