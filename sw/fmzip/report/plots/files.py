"""The plots as files."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from fmzip.errors import FmzipError
from fmzip.files import write_atomic
from fmzip.report.headline import headline, representatives
from fmzip.report.merge import merge
from fmzip.report.pairs import MapPair
from fmzip.report.plots.energy import energy_plot
from fmzip.report.plots.layers import layer_names, layers_plot
from fmzip.report.plots.maps import maps_plot
from fmzip.report.plots.pareto import pareto_plot
from fmzip.report.plots.style import Draw, png_file, svg_file
from fmzip.report.published import beside
from fmzip.report.result import Coded, Result


def energy_codec(result: Result) -> Coded | None:
    """The codec whose energy is drawn: that of the headline, or the nearest to one."""
    best = headline(result).best
    found = [c for c in representatives(result.codecs) if c.memories and not c.bound]
    return best if best is not None and best.memories else next(iter(found), None)


def plots_of(result: Result, maps: Sequence[MapPair] = ()) -> Iterator[tuple[str, Draw]]:
    """The plots of a result by their names, each with a function that draws it."""
    published = beside(result.codecs)
    if any(coded.drop is not None for coded in result.codecs):
        yield "pareto", lambda narrow: pareto_plot(result, published, narrow)
    if layer_names(result):
        yield "layers", lambda narrow: layers_plot(result, narrow)
    coded = energy_codec(result)
    if coded is not None:
        yield "energy", lambda narrow: energy_plot(coded, narrow)
    for k, pair in enumerate(maps):

        def draw(narrow: bool, pair: MapPair = pair) -> Figure:
            return maps_plot(pair.before, pair.after, narrow)

        yield f"map{k + 1}", draw


def write_plots(
    results: Sequence[Result], folder: Path, maps: Sequence[MapPair] = ()
) -> list[Path]:
    """Write every plot as PNG and SVG; the same results give the same bytes.

    Raises
    ------
    FmzipError : ``folder`` is a file
    OSError : something cannot be written; what was written before stays
    """
    if folder.exists() and not folder.is_dir():
        raise FmzipError(f"{folder}: not a directory")
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    merged = merge(results)
    for k, result in enumerate(merged):
        prefix = f"{k + 1}-" if len(merged) > 1 else ""
        for name, draw in plots_of(result, maps if k == 0 else ()):
            for ending, data in ((".png", png_file(draw)), (".svg", svg_file(draw))):
                path = folder / f"{prefix}{name}{ending}"
                write_atomic(path, data)
                written.append(path)
    return written
