"""How the command line shows a comparison."""

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from fmzip.report.compare import Comparison
from fmzip.report.text import number, percent, shown, signed

Pair = tuple[float | None, float | None]


def comparison_tables(found: Comparison) -> Iterator[Table]:
    """What was found; what else differs, where anything does."""
    yield _codecs(found)
    if found.baseline:
        yield _differences("uncompressed network", found.baseline)
    if found.settings:
        yield _differences("settings that differ", found.settings)


def _codecs(found: Comparison) -> Table:
    parts = list(dict.fromkeys(row.part for row in found.rows if row.part))
    caption = "bits: counted; drop of top-1 in points"
    if parts:
        caption += f"; energy saved: modelled, incremental, on {', '.join(map(shown, parts))}"
    table = Table(title="A and B", caption=Text(caption))
    table.add_column("codec")
    for name in ("bits A", "bits B", "change", "drop A", "drop B", "change", "saved A", "saved B",
                 "change"):  # fmt: skip
        table.add_column(name, justify="right")
    for row in found.rows:
        table.add_row(
            Text(shown(row.name)),
            number(row.bits[0], 3), number(row.bits[1], 3), signed(_change(row.bits), 3),
            number(row.drop[0]), number(row.drop[1]), signed(_change(row.drop)),
            percent(row.saved[0]), percent(row.saved[1]), _points(row.saved),
        )  # fmt: skip
    return table


def _change(pair: Pair) -> float | None:
    return None if pair[0] is None or pair[1] is None else pair[1] - pair[0]


def _points(pair: Pair) -> str:
    change = _change(pair)
    return signed(None if change is None else 100 * change, 1)


def _differences(title: str, rows: tuple[tuple[str, str, str], ...]) -> Table:
    table = Table(title=title)
    for name in ("", "A", "B"):
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    return table
