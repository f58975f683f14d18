"""Bits per value of each map, a panel of bars per codec."""

import math

from matplotlib.figure import Figure

from fmzip.report.headline import representatives
from fmzip.report.plots.style import INK, MUTED, looks
from fmzip.report.result import Coded, Result
from fmzip.report.text import number, shown

PANELS = 12  # more would be a wall
LAYERS = 200


def panel_codecs(result: Result) -> list[Coded]:
    """The codecs that have a panel: one of each family, see ``representatives``."""
    return [c for c in representatives(result.codecs) if c.layers][:PANELS]


def layer_names(result: Result) -> list[str]:
    """Names of all maps of these codecs; none where there are more than one could tell apart."""
    names = dict.fromkeys(la.name for coded in panel_codecs(result) for la in coded.layers)
    return list(names) if len(names) <= LAYERS else []


def layers_plot(result: Result, narrow: bool) -> Figure:
    """Bars of bits per value, the first map on top; a line where the whole network is.

    Raises
    ------
    ValueError : there are no ``layer_names``
    """
    codecs, names = panel_codecs(result), layer_names(result)
    if not names:
        raise ValueError("there are no maps to draw, or too many")
    look = looks(result.codecs)
    columns = min(len(codecs), 2 if narrow else 4)
    rows = math.ceil(len(codecs) / columns)
    height = rows * (0.135 * len(names) + 0.55) + 0.2
    figure = Figure(figsize=(3.6 if narrow else 7.2, height), layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    widest = max([8.0, *(layer.bits for coded in codecs for layer in coded.layers)])
    for axes, coded in zip(grid, codecs, strict=False):
        place = {name: k for k, name in enumerate(names)}
        axes.barh(
            [place[layer.name] for layer in coded.layers],
            [layer.bits for layer in coded.layers],
            height=0.72,
            color="none" if coded.bound else look[coded.family].colour,
            edgecolor=look[coded.family].colour if coded.bound else INK,
            linewidth=0.8 if coded.bound else 0.3,
            hatch="////" if coded.bound else None,
        )
        axes.axvline(coded.bits, color=INK, linewidth=0.9, linestyle="--")
        axes.axvline(8, color=MUTED, linewidth=0.9, linestyle=":")
        bound = ", bound" if coded.bound else ""
        axes.set_title(f"{shown(coded.name, 20)}{bound}\n{number(coded.bits)} in all", loc="left")
        axes.set_xlim(0, widest * 1.03)
        axes.set_xticks(range(0, math.ceil(widest) + 1, 2 if widest <= 12 else 4))
        axes.set_yticks(
            range(len(names)),
            labels=[shown(name, 16 if narrow else 22) for name in names],
            fontsize=7 if narrow else 6.5,
        )
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.tick_params(axis="x", labelbottom=True)
        axes.grid(visible=False, axis="y")
    for axes in grid[len(codecs) :]:
        axes.set_visible(False)
    figure.supxlabel("bits per value on the bus", fontsize=8.5)
    return figure
