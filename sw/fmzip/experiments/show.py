"""How the command line shows what an experiment found."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.table import Table

from fmzip.experiments.hil import HilResult
from fmzip.experiments.hil import Progress as Report
from fmzip.experiments.progress import bar
from fmzip_boards.area import AreaRow


@contextmanager
def progress_bar() -> Iterator[Report]:
    """A progress bar on stderr, in values, with the time left; a function that moves it."""
    with bar("values") as (progress, task):

        def report(what: str, done: int, total: int) -> None:
            progress.update(task, description=what, completed=done, total=total or None)

        yield report


def hil_table(result: HilResult) -> Table:
    """The layers of a run and their total."""
    title = f"{result.network}, {result.pictures} pictures, {result.codec}, {result.tier}"
    table = Table(title=title, caption="bytes: counted on the memory port; error: over variance")
    table.add_column("map")
    for name in (
        "shape",
        "values",
        "raw bytes",
        "coded bytes",
        "ratio",
        "stalls",
        "error",
        "exact",
    ):
        table.add_column(name, justify="right")

    def add(name: str, shape: str, values: int, raw: int, coded: int, stalls: int, error: str,
            exact: bool, last: bool = False) -> None:  # fmt: skip
        table.add_row(
            name, shape, f"{values:,}", f"{raw:,}", f"{coded:,}", f"{raw / coded:.3f}",
            f"{stalls:,}", error, "yes" if exact else "NO", end_section=last,
        )  # fmt: skip

    layers = result.layers
    for layer in layers:
        add(
            layer.name, "x".join(map(str, layer.shape)), layer.values, layer.raw_bytes,
            layer.coded_bytes, layer.encoder_stalls + layer.decoder_stalls,
            f"{layer.relative_error:.5f}", layer.bit_exact, layer is layers[-1],
        )  # fmt: skip
    add(
        "total", "", sum(la.values for la in layers), sum(la.raw_bytes for la in layers),
        sum(la.coded_bytes for la in layers),
        sum(la.encoder_stalls + la.decoder_stalls for la in layers), "",
        all(la.bit_exact for la in layers),
    )  # fmt: skip
    return table


def hil_lines(result: HilResult) -> list[str]:
    """What is to be said below the table."""
    count, energy = result.counters, result.energy()
    coded = sum(layer.coded_bytes for layer in result.layers)
    values = sum(layer.values for layer in result.layers)

    def per_beat(name: str) -> str:
        beats = count[f"{name}_beats"]
        cycles = sum(getattr(layer, f"{name}_cycles") for layer in result.layers)
        waited = (beats + count[f"{name}_stalls"]) / beats
        return f"{name} {waited:.4f}, {cycles / beats:.4f} from begin to end of a frame"

    lines = [
        f"{8 * coded / values:.3f} bits per value on the bus, head, index and padding included "
        f"(counted)",
        *(_window_line(kind, seen, result.tier) for kind, seen in result.windows.items()),
        f"cycles per beat: {per_beat('encoder')}; {per_beat('decoder')} "
        f"({result.tier}; a beat is 8 values at 8 lanes)",
        f"memory energy of one write and one read of every map on {energy['part']}: "
        f"{energy['raw_pj'] / 1e6:.2f} uJ raw, {energy['coded_pj'] / 1e6:.2f} uJ coded, "
        f"{energy['saved']:.1%} saved (modelled from counted commands; incremental)",
        f"the whole device for the same time, asleep when it is done: "
        f"{energy['raw_fixed_pj'] / 1e6:.2f} uJ raw, {energy['coded_fixed_pj'] / 1e6:.2f} uJ "
        f"coded, {energy['fixed_saved']:.1%} saved; data lines, estimated at 20 pF: "
        f"{energy['raw_io_pj'] / 1e6:.2f} and {energy['coded_io_pj'] / 1e6:.2f} uJ besides",
    ]
    if result.power is not None:
        lines += _power_lines(result.power)
    if result.stand_in:
        lines.append(
            "This network is a stand-in, a narrow ResNet-18 on scanned digits: give --model, "
            "--weights and --images for yours."
        )
    return lines


def _power_lines(power: dict[str, Any]) -> list[str]:
    shape = "x".join(map(str, power["shape"]))
    lines = [f"power with {power['meter']}, {power['label']}, map {shape}, {power['order']}:"]
    for name, found in power["configurations"].items():
        lines.append(
            f"  {name:<7} {found['power_w'] * 1e3:8.2f} mW, quartiles "
            f"{found['spread_w'] * 1e3:.2f} mW apart, model {found['model_w'] * 1e3:.2f} mW; "
            f"{found['windows']} windows of {found['seconds']:.1f} s"
        )
    return lines


def _window_line(kind: str, seen: dict[str, int], tier: str) -> str:
    requests = seen["write_requests"] + seen["read_requests"]
    beats = seen["wr"] + seen["rd"]
    return (
        f"{kind} window: {seen['wr']:,} WR, {seen['rd']:,} RD, {seen['act']:,} ACT, "
        f"{seen['ref']:,} REF, {seen['row_hits'] / requests:.1%} row hits, {seen['cycles']:,} "
        f"cycles, bus busy in {beats / seen['cycles']:.1%} ({tier})"
    )


def area_table(rows: list[AreaRow]) -> Table:
    """Cells and clock of each place-and-route run."""
    table = Table(title="out of context, harness included")
    table.add_column("component")
    for name in ("lanes", "part", "seed", "LUT4", "FF", "EBR", "DSP", "Fmax MHz"):
        table.add_column(name, justify="right")
    for row in rows:
        cells = (row.lanes, f"{row.part}-{row.speed}", row.seed, row.lut4, row.ff, row.ebr, row.dsp)
        table.add_row(row.component, *map(str, cells), f"{row.fmax_mhz:.1f}")
    return table
