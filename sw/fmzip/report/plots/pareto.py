"""Bits against accuracy, every codec and baseline in one plot."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fmzip.report.plots.style import INK, MUTED, PAPER, Look, looks
from fmzip.report.published import Published
from fmzip.report.result import Coded, Result
from fmzip.report.text import number, shown

_LINEAR = 2.0  # points up to which the scale is linear where something loses much more


def pareto_plot(result: Result, published: Sequence[Published], narrow: bool) -> Figure:
    """Bits per value across, drop of top-1 in points upward: the lower left is the best.

    Members of a family are joined. Bounds are hollow, with a dotted line. The frontier joins what
    nothing else beats in both, bounds left out. A published figure is a line across all drops,
    since what it loses is not known.
    """
    figure = Figure(figsize=(3.6, 4.6) if narrow else (7.2, 4.6), layout="constrained")
    axes = figure.add_subplot()
    drawn = [coded for coded in result.codecs if coded.drop is not None]
    look = looks(result.codecs)
    handles = []
    for family in dict.fromkeys(coded.family for coded in drawn):
        members = sorted((c for c in drawn if c.family == family), key=lambda c: c.bits)
        handles.append(_family(axes, family, members, look[family]))
    handles += _frontier(axes, [coded for coded in drawn if not coded.bound])
    handles.append(
        axes.axvline(8, color=MUTED, linewidth=1, linestyle=(0, (1, 1)), label="uncompressed: 8")
    )
    lines = [row for row in published if row.bits is not None and row.family == "dctcm"]
    for row in lines:
        label = f"DCT-CM, published for {shown(row.network)}: {number(row.bits)}"
        handles.append(axes.axvline(row.bits or 0, color=MUTED, linewidth=1, linestyle="-.",
                                    label=label))  # fmt: skip
    _scales(axes, drawn, [row.bits for row in lines if row.bits is not None])
    axes.set_xlabel("bits per value on the bus (fewer is better)")
    axes.set_ylabel("drop of top-1, points (lower is better)")
    figure.legend(handles=handles, loc="outside lower left", ncols=1 if narrow else 2,
                  handlelength=2.2, columnspacing=1.5)  # fmt: skip
    return figure


def _family(axes: Axes, family: str, members: Sequence[Coded], look: Look) -> Line2D:
    bound = members[0].bound
    if bound:
        for coded in members:
            axes.axvline(coded.bits, color=look.colour, linewidth=0.8, linestyle=":")
    for coded in members:
        if coded.interval is not None and coded.drop is not None:
            axes.vlines(coded.bits, *coded.interval, color=look.colour, linewidth=1.2, zorder=2)
    (line,) = axes.plot(
        [coded.bits for coded in members],
        [coded.drop or 0.0 for coded in members],
        color=look.colour,
        linewidth=1.4 if len(members) > 1 else 0,
        marker=look.marker,
        markersize=7,
        markerfacecolor=PAPER if bound else look.colour,
        markeredgecolor=look.colour if bound else INK,
        markeredgewidth=1.2 if bound else 0.6,
        zorder=3,
        label=_label(family, members),
        clip_on=False,
    )
    return line


def _label(family: str, members: Sequence[Coded]) -> str:
    first, last = members[0], members[-1]
    what = "bound" if first.bound else "lossless" if first.lossless else "lossy"
    bits = number(first.bits)
    if len(members) > 1:
        return f"{shown(family, 20)}, {what}: {bits} to {number(last.bits)}"
    return f"{shown(first.name, 24)}, {what}: {bits}"


def _frontier(axes: Axes, real: Sequence[Coded]) -> list[Line2D]:
    """A staircase along those that nothing beats in bits and drop at once."""
    corners: list[tuple[float, float]] = []
    for coded in sorted(real, key=lambda c: (c.bits, c.drop or 0.0)):
        drop = max(0.0, coded.drop or 0.0)  # a rise by chance beats nothing
        if not corners or drop < corners[-1][1]:
            corners.append((coded.bits, drop))
    if len(corners) < 2:
        return []
    across, up = zip(*corners, strict=True)
    return list(
        axes.step(across, up, where="post", color=INK, linewidth=0.9, linestyle="--", zorder=1,
                  label="not beaten by any other here")
    )  # fmt: skip


def _scales(axes: Axes, drawn: Sequence[Coded], more_bits: Sequence[float]) -> None:
    bits = [coded.bits for coded in drawn] + [8.0, *more_bits]
    axes.set_xlim(max(0.0, min(bits) - 0.5), max(bits) + 0.3)
    ends = [end for coded in drawn for end in (coded.drop or 0.0, *(coded.interval or ()))]
    low, high = min([0.0, *ends]), max([0.5, *ends])
    if high > 4 * _LINEAR:
        axes.set_yscale("symlog", linthresh=_LINEAR, linscale=1.5 if low > -_LINEAR else 0.75)
        ticks = [t for t in (-5, -2, -1, 0, 1, 2, 5, 10, 20, 50, 100) if low - 1 <= t <= high * 1.3]
        axes.set_yticks(ticks, labels=[number(tick, 0) for tick in ticks])
        axes.minorticks_off()
        axes.set_ylim(min(low * 1.2, -0.4), high * 1.3)
    else:
        room = 0.08 * (high - low)
        axes.set_ylim(low - room, high + room)
