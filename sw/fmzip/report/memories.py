"""The energies of a result, on each memory."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fmzip.report.fields import Fields, flatten

_WAYS = {
    "data_lines": "incremental, with data lines",
    "device": "whole chip",
    "without_power_down": "always on",
    "with_power_down": "with power-down",
    "with_codec": "with the codec's own logic, as an ASIC",
    "with_codec_fpga": "with the codec's own logic, in an FPGA",
}


@dataclass(frozen=True)
class Saving:
    """A modelled energy without and with a codec, pJ."""

    raw_pj: float
    coded_pj: float

    @property
    def saved(self) -> float:
        """Fraction of the energy without codec; 0 where that is 0."""
        return 1 - self.coded_pj / self.raw_pj if self.raw_pj else 0.0


@dataclass(frozen=True)
class Memory:
    """Energy on one part.

    Members
    -------
    part, kind, source, verified, label : of its data, see ``fmzip.energy``
    figures : by what is counted in: "incremental", "whole chip, ...", "with the codec's ..."
    break_even_pj : energy per bit of memory from which the codec pays, None where unknown
    """

    part: str
    kind: str
    source: str
    verified: bool
    label: str
    figures: dict[str, Saving]
    break_even_pj: float | None

    @property
    def incremental(self) -> Saving:
        return self.figures["incremental"]


def memories_of(codec: Fields) -> Iterator[Memory]:
    if "energy" not in codec:
        return  # a bound moves no bytes
    energy = codec.table("energy")
    if "parts" in energy:
        listed = isinstance(energy.get("parts"), list)
        parts = energy.rows("parts") if listed else [row for _, row in energy.items("parts")]
    else:
        parts = [row for _, row in codec.items("energy")]
    for row in parts:
        figures = dict(_figures(row.raw(), ""))
        if "incremental" not in figures:
            row.table("incremental").number("raw_pj")  # says what is missing, and where
            row.table("incremental").number("coded_pj")
        yield Memory(
            part=row.text("part"),
            kind=row.text("kind"),
            source=row.text("source"),
            verified=row.flag("verified"),
            label=row.text("label"),
            figures=figures,
            break_even_pj=row.maybe("break_even_pj_per_bit"),
        )


def about_energy(codec: Fields) -> dict[str, Any]:
    """What is said of all memories of a codec; every key may be missing."""
    if "energy" not in codec:
        return {}
    energy = codec.table("energy")
    found: dict[str, Any] = {}
    frames = energy.maybe("frames")
    if frames is not None:
        found["frames"] = int(frames)
    remarks: dict[str, list[str]] = {}
    if "paper_bits_model" in energy:
        paper = energy.table("paper_bits_model")
        found["paper"] = Saving(paper.number("raw_pj"), paper.number("coded_pj"))
        if "leaves_out" in paper:
            remarks[f"the formula leaves out {paper.text('leaves_out')}"] = ["Chmiel et al."]
    if "codec" in energy:
        own = energy.table("codec")
        for key in ("cells_source", "fpga_source"):
            if "cells_pj" in own and key in own:
                remarks[own.text(key)] = ["the codec's own logic"]
    parts = energy.get("parts") if "parts" in energy else []
    for part in parts if isinstance(parts, list) else []:
        for key, value in flatten(part):
            if key.endswith((".reason", ".note")) and isinstance(value, str):
                names = remarks.setdefault(value, [])
                if part.get("part") not in names:
                    names.append(str(part.get("part")))
    return {**found, "remarks": tuple(f"{', '.join(who)}: {why}" for why, who in remarks.items())}


def _figures(found: Mapping[str, Any], path: str) -> Iterator[tuple[str, Saving]]:
    """Every pair of energies in there, under the names that lead to it."""
    if path and {"raw_pj", "coded_pj"} <= found.keys():
        row = Fields(found, path)
        if "raw_pj" in row and "coded_pj" in row:
            yield path, Saving(row.number("raw_pj"), row.number("coded_pj"))
    for key, value in found.items():
        if isinstance(value, Mapping):
            name = _WAYS.get(str(key), str(key).replace("_", " "))
            yield from _figures(value, f"{path}, {name}" if path else name)
