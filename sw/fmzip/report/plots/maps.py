"""A feature map before and after a codec, channel by channel."""

import numpy as np
from matplotlib.figure import Figure

from fmzip.report.pairs import WINDOW
from fmzip.report.text import number


def maps_plot(before: np.ndarray, after: np.ndarray, narrow: bool) -> Figure:
    """The channels that vary most: before, after, and the difference.

    Parameters
    ----------
    before, after : uint8 or int8 [C, H, W]
    """
    old, new = _middle(before).astype(np.int16), _middle(after).astype(np.int16)
    spread = old.reshape(len(old), -1).var(axis=1)
    chosen = np.argsort(-spread, kind="stable")[: 3 if narrow else 4]
    ratio = old.shape[1] / old.shape[2]
    error = new - old
    most = max(1, int(np.abs(error).max()))
    low, high = int(min(old.min(), new.min())), int(max(old.max(), new.max()))
    rows = (
        (f"before\n{number(low, 0)} to {number(high, 0)}", old, "cividis", (low, high)),
        ("after", new, "cividis", (low, high)),
        (f"error\n±{most}", error, "PuOr", (-most, most)),
    )
    width = 3.6 if narrow else 7.2
    side = (width - 0.6) / len(chosen)
    height = 3 * min(side * ratio, 2 * side) + 0.4
    figure = Figure(figsize=(width, height), layout="constrained")
    grid = figure.subplots(3, len(chosen), squeeze=False)
    for panels, (name, values, colours, (first, last)) in zip(grid, rows, strict=True):
        for axes, channel in zip(panels, chosen, strict=True):
            # Not resampled: every pixel of the map is one of the picture's.
            axes.imshow(values[channel], cmap=colours, vmin=first, vmax=max(last, first + 1),
                        interpolation="none")  # fmt: skip
            axes.set_xticks([])
            axes.set_yticks([])
            axes.grid(visible=False)
            for spine in axes.spines.values():
                spine.set_visible(False)
        panels[0].set_ylabel(name)
    for axes, channel in zip(grid[0], chosen, strict=True):
        axes.set_title(f"channel {channel}", loc="left")
    return figure


def _middle(values: np.ndarray) -> np.ndarray:
    _, height, width = values.shape
    top, left = max(0, (height - WINDOW) // 2), max(0, (width - WINDOW) // 2)
    return values[:, top : top + WINDOW, left : left + WINDOW]
