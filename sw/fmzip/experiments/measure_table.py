"""How the command line shows what ``fmzip measure`` does and finds."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.markup import escape
from rich.table import Table

from fmzip.experiments.measure import Progress as Report
from fmzip.experiments.progress import bar


@contextmanager
def picture_bar() -> Iterator[Report]:
    """A progress bar on stderr, in pictures, with the time left; a function that moves it."""
    with bar("pictures") as (progress, task):
        current = ""

        def report(what: str, done: int, total: int) -> None:
            nonlocal current
            if what != current:
                # The time left is that of this step, not of what went before.
                progress.reset(task, description=what, completed=done, total=total or None)
                current = what
            progress.update(task, completed=done, total=total or None)

        yield report


def measure_table(result: Mapping[str, Any]) -> Table:
    """A row for every codec, baseline and bound."""
    manifest, base = result["manifest"], result["baseline"]
    table = Table(
        title=escape(f"{manifest['network']}, {base['pictures']} pictures"),
        caption="bits: counted, with heads, index, padding and bursts of frames; energy: modelled",
    )
    table.add_column("codec")
    for name in (
        "bits/value", "ratio", "top-1 %", "drop, points", "95 %", "agree %", "KL, nats",
        "energy saved",
    ):  # fmt: skip
        table.add_column(name, justify="right")
    for name, row in result["codecs"].items():
        mark = " (bound)" if row["bound"] else ""
        if row["lossless"]:
            mark = " (lossless)"
        table.add_row(escape(name + mark), *_cells(row))
    return table


def _cells(row: Mapping[str, Any]) -> Iterator[str]:
    yield f"{row['bits_per_value']:.3f}"
    yield f"{row['ratio']:.2f}"
    if row["bound"]:
        yield from ("", "", "", "", "", "")
        return
    low, high = row["top1_drop_interval"]
    yield f"{row['top1']:.2f}"
    yield f"{row['top1_drop']:.2f}"
    yield f"{low:.2f} to {high:.2f}"
    yield f"{row['agreement']:.2f}"
    yield f"{row['kl']:.4f}"
    part = _first_part(row)
    yield f"{part['incremental']['saved']:.1%}" if part else ""


def _first_part(row: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The memory that the table speaks of: the first whose datasheet figures are verified."""
    parts = row["energy"]["parts"] if row["energy"] else []
    return next((part for part in parts if part["verified"]), None)


def measure_lines(result: Mapping[str, Any]) -> Iterator[str]:
    """What is to be said below the table."""
    manifest, base = result["manifest"], result["baseline"]
    yield (
        f"top-1 {base['float_top1']:.2f} % float, {base['int8_top1']:.2f} % int8 (the baseline of "
        f"drop, agreement and KL); scales, steps and masks made on "
        f"{manifest['calibration_pictures']} other pictures"
    )
    rows = [row for row in result["codecs"].values() if row["energy"]]
    part = _first_part(rows[0]) if rows else None
    if part:
        yield (
            f"energy saved: modelled, incremental, of one write and all reads of every map on "
            f"{part['part']}"
        )
    if any(row["bound"] for row in result["codecs"].values()):
        yield "a bound is no codec: nothing stores maps in that many bits"
    if manifest["stand_in"]:
        yield (
            "This network is a stand-in, a narrow ResNet-18 on scanned digits: give --model, "
            "--weights and --images for yours."
        )
