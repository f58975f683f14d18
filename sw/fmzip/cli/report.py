"""Commands on results: a page, plots, the difference of two."""

from pathlib import Path
from typing import Annotated

import typer

from fmzip.cli.app import app
from fmzip.cli.checks import about, check_pair, check_writable
from fmzip.errors import FmzipError


@app.command()
def report(
    results: Annotated[
        list[Path], typer.Argument(metavar="RESULT.json...", help="of fmzip measure --json")
    ],
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="write a page that needs no network")
    ] = None,
    plots: Annotated[
        Path | None, typer.Option(metavar="DIR", help="write the plots there, as PNG and SVG")
    ] = None,
    maps: Annotated[
        tuple[Path, Path] | None,
        typer.Option("--map", metavar="IN.npy OUT.npy", help="a map before and after the codec"),
    ] = None,
) -> None:
    """Make a page or plots of results; several of one network share their plots."""
    if html is None and plots is None:
        raise typer.BadParameter("--html FILE or --plots DIR, or both, say what to write")
    check_writable(html)
    for path in (*results, *(maps or ())):
        if html is not None:
            check_pair(path, html)
    from fmzip.cli.frames import load_map
    from fmzip.report import MapPair, load
    from fmzip.report.page import html as page

    found = [load(path) for path in results]
    pairs = []
    if maps is not None:
        before, after = map(load_map, maps)
        with about(maps[1]):
            pairs.append(MapPair(maps[0].stem, maps[1].stem, before, after))
    if html is not None:
        from fmzip.files import write_atomic

        write_atomic(html, page(found, pairs).encode())
        print(f"{html}: written")
    if plots is not None:
        try:
            from fmzip.report.plots import write_plots
        except ModuleNotFoundError as error:
            raise FmzipError(
                f"{error.name} is not installed: pip install 'fmzip[report]' brings it"
            ) from None
        for path in write_plots(found, plots, pairs):
            print(f"{path}: written")


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(metavar="A.json", help="of fmzip measure --json")],
    second: Annotated[Path, typer.Argument(metavar="B.json", help="another one")],
) -> None:
    """Show what differs between two results, and what had been set differently."""
    from rich.console import Console

    from fmzip.report import compare as compare_results
    from fmzip.report import load
    from fmzip.report.show import comparison_tables

    found = compare_results(load(first), load(second))
    console = Console()
    if not console.is_terminal:
        console = Console(width=120)
    for table in comparison_tables(found):
        console.print(table)
    for remark in found.remarks:
        console.print(f"Mind: {remark}.", soft_wrap=True, highlight=False, markup=False)
