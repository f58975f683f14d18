"""Figures that the authors of codecs give, to be set beside ours: none was reproduced here."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fmzip.report.result import Coded


@dataclass(frozen=True)
class Published:
    """One published figure.

    Members
    -------
    family : the codec here that it is to be set beside
    network : that it was found on
    claim : in the words of its source, shortened
    bits : per value, None where the source names none and none follows from it
    source : where it is from
    remark : what is not known of it, or differs from what is done here
    drop : points of top-1 that it costs, None where the source does not say
    """

    family: str
    network: str
    claim: str
    bits: float | None
    source: str
    remark: str
    drop: float | None = None


_DCTCM = "Shi et al., DCT-CM, arXiv 2106.12850, abstract"
_CHMIEL = "Chmiel et al., arXiv 1905.10830, figure in the authors' repository"
_EBPC = "Cavigelli et al., EBPC, arXiv 1908.11645, abstract"
# Top-1 of the networks as they are: 69.76 % and 76.1 %.
_FIGURE = "read off a figure, 0.03 bit; maps before ReLU; bits of Huffman codes without tables"
_COUNT = "int8 scaled over 250 pictures in the authors' code, so that few values are in use"

PUBLISHED = (
    Published(
        "dctcm", "ResNet-50", "2.9x on average over 8 bits", 8 / 2.9, _DCTCM,
        "which maps, which accuracy and how headers count is not in the abstract",
    ),
    Published("pcavlc", "ResNet-18", "4.26 bits at 69.75 %", 4.26, _CHMIEL, _FIGURE, 0.01),
    Published("pcavlc", "ResNet-18", "4.05 bits at 69.5 %", 4.05, _CHMIEL, _FIGURE, 0.26),
    Published("pcavlc", "ResNet-18", "3.53 bits at 69.25 %", 3.53, _CHMIEL, _FIGURE, 0.51),
    Published("pcavlc", "ResNet-18", "3.20 bits at 68.7 %", 3.20, _CHMIEL, _FIGURE, 1.06),
    Published("pcavlc", "ResNet-18", "2.83 bits at 67.7 %", 2.83, _CHMIEL, _FIGURE, 2.06),
    Published("pcavlc", "ResNet-50", "4.15 bits at 76.1 %", 4.15, _CHMIEL, _FIGURE, 0.0),
    Published("pcavlc", "ResNet-50", "3.27 bits at 75.3 %", 3.27, _CHMIEL, _FIGURE, 0.8),
    Published(
        "cap", "MobileNetV2, ResNet-18, VGG-16", "2.91x to 5.97x less memory access", None,
        "Tai et al., CAP, arXiv 2110.08828, abstract",
        "which network has which ratio, and over how many bits, is not in the abstract",
    ),
    Published("ebpc", "ResNet-34", "2.4x", 8 / 2.4, _EBPC, _COUNT),
    Published("ebpc", "VGG-16", "4x", 8 / 4, _EBPC, _COUNT),
    Published("ebpc", "MobileNetV2", "2.2x", 8 / 2.2, _EBPC, _COUNT),
)  # fmt: skip


def beside(codecs: Iterable[Coded]) -> list[Published]:
    """What is published of these codecs: the table here, and what their results bring along."""
    found = list(codecs)
    families = {coded.family.split("-")[0] for coded in found}
    rows = [row for row in PUBLISHED if row.family in families]
    for coded in found:
        brought = coded.published if isinstance(coded.published, list) else [coded.published]
        for item in brought:
            row = _brought(coded.family, item)
            if row is not None and row not in rows:
                rows.append(row)
    return rows


def _brought(family: str, item: Any) -> Published | None:
    """A figure from a result's ``published``: a text, or an object of any of the members."""
    if isinstance(item, str):
        return Published(family, "", item, None, "", "")
    if not isinstance(item, Mapping):
        return None

    def text(*keys: str) -> str:
        return next((str(item[key]) for key in keys if item.get(key) is not None), "")

    def positive(key: str) -> float | None:
        value = item.get(key)
        fits = isinstance(value, int | float) and not isinstance(value, bool) and value > 0
        return float(value) if fits and value is not None else None

    bits, ratio = positive("bits_per_value") or positive("bits"), positive("ratio")
    if bits is None and ratio is not None:
        bits = 8 / ratio
    claim = text("claim") or (f"{ratio:g}x" if ratio else f"{bits:g} bits" if bits else "")
    return Published(
        family, text("network", "model"), claim, bits, text("source"), text("remark", "note")
    )
