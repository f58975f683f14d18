"""How plots look, and their way into files and pages.

Colours are those of Okabe and Ito, chosen to be told apart with any colour vision; a marker goes
with each, so that none carries a meaning alone. A codec has the same ones in every report.
"""

import io
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from fmzip.report.result import Coded

INK, MUTED, GRID, PAPER = "#1b1c1e", "#63666b", "#d5d7da", "#fdfdfe"
BLUE, VERMILLION, GREEN, PURPLE = "#0072b2", "#d55e00", "#009e73", "#cc79a7"
ORANGE, SKY, GREY, YELLOW = "#e69f00", "#56b4e9", "#8c8f94", "#f0e442"

# What the page's style sheet knows under another name, and gives other values in the dark.
THEME = {INK: "--ink", MUTED: "--muted", GRID: "--grid", PAPER: "--paper"}

_KNOWN = {
    "dctcm": (BLUE, "o"),
    "dctcm-width": (SKY, "D"),
    "fmz": (YELLOW, "*"),
    "zvc": (GREEN, "s"),
    "rle": (ORANGE, "^"),
    "ebpc": (PURPLE, "v"),
    "zstd": (VERMILLION, "P"),
    "entropy": (INK, "X"),
    "bits4": (GREY, "h"),
}
_COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, GREY)
_MARKERS = ("p", "d", "<", ">", "8", "H", "o", "s", "^", "v", "D")

_RC: dict[Any, Any] = {
    "axes.edgecolor": MUTED,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.axisbelow": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8.5,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same everywhere
    "font.size": 8.5,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "text.color": INK,
    "text.parse_math": False,  # a layer may be called $a$
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "svg.hashsalt": "fmzip",  # or every file would differ
    "svg.fonttype": "none",
}
_NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}

Draw = Callable[[bool], Figure]  # of whether it is for a narrow screen


@dataclass(frozen=True)
class Look:
    colour: str
    marker: str


def looks(codecs: Sequence[Coded]) -> dict[str, Look]:
    """The colour and marker of each family of codecs."""
    found: dict[str, Look] = {}
    for family in dict.fromkeys(coded.family for coded in codecs):
        if family in _KNOWN:
            found[family] = Look(*_KNOWN[family])
            continue
        k = sum(name not in _KNOWN for name in found)
        found[family] = Look(_COLOURS[k % len(_COLOURS)], _MARKERS[k % len(_MARKERS)])
    return found


@contextmanager
def style(**more: Any) -> Iterator[None]:
    """Fixed settings, whatever the user's own are; what was set before comes back."""
    with mpl.rc_context(), warnings.catch_warnings():
        # Letters that the font has not: a browser has other fonts, a file shows boxes.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support")
        mpl.rcdefaults()
        settings: Any = {**_RC, **more}
        mpl.rcParams.update(settings)
        yield


def inline_svg(draw: Draw, name: str, narrow: bool) -> str:
    """A plot as an element of a page: no ids that another has, and colours by the page's names."""
    with style():
        text = _svg(draw(narrow)).decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*" height="[^"]*"', r"\1", text, count=1)
    # The page's own name in front of each id: ids are the page's, not the plot's.
    prefix = f"{name}-{'narrow' if narrow else 'wide'}-"
    text = re.sub(r'\bid="', f'id="{prefix}', text)
    text = re.sub(r'(url\(|xlink:href=")#', rf"\1#{prefix}", text)
    for colour, variable in THEME.items():
        text = text.replace(colour, f"var({variable})")
    return text.replace("'DejaVu Sans'", "system-ui, 'DejaVu Sans'").strip()


def svg_file(draw: Draw) -> bytes:
    """A plot as a file of its own, letters as outlines."""
    with style(**{"svg.fonttype": "path", "savefig.facecolor": "white"}):
        return _svg(draw(False))


def png_file(draw: Draw, dpi: int = 200) -> bytes:
    with style(**{"savefig.facecolor": "white"}):
        buffer = io.BytesIO()
        draw(False).savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
        return buffer.getvalue()


def _svg(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata=_NO_METADATA)
    return buffer.getvalue()
