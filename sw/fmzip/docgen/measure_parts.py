"""Generated parts of docs/results.md and the README: runs of ``fmzip measure`` in docs/results."""

from collections.abc import Callable
from typing import Any

from fmzip.docgen.result_parts import RESULTS, load_result
from fmzip.errors import FmzipError

PART = "IS42S16160B-7"  # the memory whose savings the tables show


def measured() -> str:
    """A table per run, the largest network's run first."""
    runs = [load_result(path.name) for path in sorted(RESULTS.glob("measure-*.json"))]
    if not runs:
        raise FmzipError(f"{RESULTS}: no measure-*.json; make results writes them")
    return "\n\n".join(_section(run) for run in runs)


def _section(run: dict[str, Any]) -> str:
    codecs = list(dict.fromkeys(name.split("@")[0] for name in run["codecs"]))
    shown = ", ".join(codecs[:4]) + (" and others" if len(codecs) > 4 else "")
    heading = f"### {_network(run)}: {shown}"
    return f"{heading}\n\n{_title(run)}\n\n{_table(run)}\n\n{_made_with(run)}"


def _network(run: dict[str, Any]) -> str:
    """Its name, without the file of a user's model."""
    return str(run["manifest"]["network"]).split(":")[-1]


def headline() -> str:
    """The runs on ResNet-18, for the README: the project's codec, then all others."""
    own, others = load_result("measure-resnet18-fmz.json"), load_result("measure-resnet18.json")
    return f"{_title(own)}:\n\n{_table(own)}\n\nThe others, same pictures:\n\n{_table(others)}"


def _title(run: dict[str, Any]) -> str:
    base = run["baseline"]
    return (
        f"{_network(run)}, {base['pictures']} pictures: top-1 "
        f"{base['float_top1']:.1f} % float, {base['int8_top1']:.1f} % int8"
    )


def _table(run: dict[str, Any]) -> str:
    lines = [
        "| codec | bits per value | ratio | top-1 drop, points (95 %) | agreement | KL, nats "
        "| DRAM energy saved |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, found in run["codecs"].items():
        bits, ratio = f"{found['bits_per_value']:.3f}", f"{found['ratio']:.2f}"
        if found["bound"]:
            lines.append(f"| {name} (a bound, not a codec) | {bits} | {ratio} | | | | |")
            continue
        if found["lossless"]:
            quality = "none, lossless | 100 % | 0"
        else:
            low, high = found["top1_drop_interval"]
            quality = (
                f"{found['top1_drop']:.1f} ({low:.1f} to {high:.1f}) "
                f"| {found['agreement']:.1f} % | {found['kl']:.4f}"
            )
        lines.append(f"| `{name}` | {bits} | {ratio} | {quality} | {_saved(found)} |")
    return "\n".join(lines)


def _saved(found: dict[str, Any]) -> str:
    for part in found["energy"]["parts"]:
        if part["part"] == PART:
            return f"{part['incremental']['saved']:.1%}"
    return ""


def codec_rows(
    what: str, member: str, costs: Callable[[dict[str, Any]], tuple[str, ...]]
) -> list[tuple[str, ...]]:
    """Network, codec and costs of each codec of all runs whose configuration has a member.

    Raises
    ------
    FmzipError : there is none of ``what``
    """
    rows = [
        (run["manifest"]["network"], f"`{name}`", *costs(found))
        for run in (load_result(path.name) for path in sorted(RESULTS.glob("measure-*.json")))
        for name, found in run["codecs"].items()
        if member in found["config"]
    ]
    if not rows:
        raise FmzipError(f"{RESULTS}: no run of {what}; make results writes them")
    return rows


LOGIC = (
    "logic, mJ on an FPGA", "in cells", "memory saves, mJ", "pays above, pJ a bit, FPGA", "cells",
)  # fmt: skip


def logic(found: dict[str, Any]) -> tuple[str, ...]:
    """What a codec's logic costs and its memory saves, see ``LOGIC``."""
    own = found["energy"]["codec"]
    part = next(p for p in found["energy"]["parts"] if p["part"] == PART)
    saved = part["incremental"]["raw_pj"] - part["incremental"]["coded_pj"]
    return (
        f"{own['fpga_pj'] / 1e9:.2f}",
        f"{own['cells_pj'] / 1e9:.3f}",
        f"{saved / 1e9:.3f}",
        f"{part['break_even_fpga_pj_per_bit']:.0f}",
        f"{part['break_even_pj_per_bit']:.0f}",
    )


def _made_with(run: dict[str, Any]) -> str:
    manifest = run["manifest"]
    config = manifest["config"]
    return (
        f"`{manifest['command']}`, commit {manifest.get('commit', 'unknown')}, seed "
        f"{manifest['seed']}; scales ({config['scales']}), steps and masks made on "
        f"{manifest['calibration_pictures']} other pictures."
    )
