"""Modelled energy on each memory: without and with a codec, and what is saved of it."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from fmzip.report.memories import Memory
from fmzip.report.plots.style import BLUE, GREEN, INK, MUTED, ORANGE, PAPER, PURPLE, VERMILLION
from fmzip.report.result import Coded
from fmzip.report.text import SPACE, joules, number, shown

_COLOURS = (BLUE, ORANGE, GREEN, PURPLE, VERMILLION)


def energy_plot(coded: Coded, narrow: bool) -> Figure:
    """Energy of the traffic, raw and coded, and the fraction saved in each way of counting.

    Raises
    ------
    ValueError : no energies are known of this codec
    """
    memories = coded.memories
    if not memories:
        raise ValueError(f"no energies are known of {coded.name}")
    figures = list(dict.fromkeys(name for memory in memories for name in memory.figures))
    legend = 0.17 * len(figures) + 0.4
    height = 0.34 * len(memories) + 0.9
    bars = max(0.34, 0.1 * len(figures) + 0.12) * len(memories) + 0.9
    if narrow:
        figure = Figure(figsize=(3.6, height + bars + legend), layout="constrained")
        left, right = figure.subplots(2, 1, height_ratios=(height, bars))
    else:
        figure = Figure(figsize=(7.2, max(height, bars) + legend), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
    _absolute(left, memories)
    handles = _saved(right, memories, figures)
    for axes in (left, right):
        axes.set_yticks(range(len(memories)), labels=[_name(memory) for memory in memories],
                        fontsize=7)  # fmt: skip
        axes.set_ylim(len(memories) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
    figure.legend(handles=handles, loc="outside lower left", ncols=1 if narrow else 2)
    return figure


def _name(memory: Memory) -> str:
    part = shown(memory.part, 22)
    return part if part.startswith(memory.kind) else f"{shown(memory.kind, 10)}\n{part}"


def _absolute(axes: Axes, memories: Sequence[Memory]) -> None:
    """Two points and a line between them: positions, which a logarithmic scale may show."""
    for k, memory in enumerate(memories):
        energy = memory.incremental
        if energy.raw_pj <= 0 or energy.coded_pj <= 0:
            continue
        axes.plot([energy.raw_pj, energy.coded_pj], [k, k], color=MUTED, linewidth=1.4, zorder=2)
        axes.plot(energy.raw_pj, k, "o", markersize=6, markerfacecolor=PAPER,
                  markeredgecolor=INK, zorder=3)  # fmt: skip
        axes.plot(energy.coded_pj, k, "o", markersize=6, markerfacecolor=BLUE,
                  markeredgecolor=INK, markeredgewidth=0.6, zorder=3)  # fmt: skip
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: joules(value).replace(".00", ""))
    axes.xaxis.set_minor_formatter(lambda *_: "")
    axes.set_title("energy of the traffic, incremental", loc="left")
    axes.set_xlabel("○ uncompressed   ● with codec; modelled", color=INK)


def _saved(axes: Axes, memories: Sequence[Memory], figures: Sequence[str]) -> list[Line2D]:
    handles = []
    step = 0.8 / len(figures)
    for k, name in enumerate(figures):
        colour = _COLOURS[k % len(_COLOURS)]
        rows = [(row, memory.figures[name]) for row, memory in enumerate(memories)
                if name in memory.figures]  # fmt: skip
        axes.barh(
            [row + (k - (len(figures) - 1) / 2) * step for row, _ in rows],
            [100 * figure.saved for _, figure in rows],
            height=step * 0.92,
            color=colour,
            edgecolor=INK,
            linewidth=0.3,
        )
        handles.append(Line2D([], [], color=colour, linewidth=5, label=shown(name, 48)))
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.grid(visible=False, axis="y")
    axes.set_title("saved", loc="left")
    axes.xaxis.set_major_formatter(lambda value, _: f"{number(value, 0)}{SPACE}%")
    axes.set_xlabel("of the energy without codec; modelled", color=INK)
    return handles
