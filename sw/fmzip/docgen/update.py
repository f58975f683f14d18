"""Puts generated parts into documents, between two markers on lines of their own::

    <!-- generated: NAME -->
    whatever PARTS[NAME]() returns
    <!-- end -->

Everything else in a document is written by hand and stays as it is.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from fmzip.docgen import (
    allocation_parts,
    board_parts,
    core_parts,
    format_parts,
    gf2_parts,
    measure_parts,
    projection_parts,
    projection_results,
    proof_parts,
    rans_parts,
    register_parts,
    result_parts,
)
from fmzip.errors import FmzipError

ROOT = Path(__file__).parents[3]  # of a checkout, the only place where there are documents

# A part is Markdown without a newline at its end; a document is a path below ROOT.
PARTS: dict[str, Callable[[], str]] = {
    "head-fields": format_parts.head_fields,
    "limits": format_parts.limits,
    "transform-matrix": format_parts.transform_matrix,
    "quantiser-examples": format_parts.quantiser_examples,
    "pixel-example": format_parts.pixel_example,
    "packing-example": format_parts.packing_example,
    "frame-example": format_parts.frame_example,
    "rans-limits": rans_parts.rans_limits,
    "rans-example": rans_parts.rans_example,
    "projection-limits": projection_parts.projection_limits,
    "projection-example": projection_parts.projection_example,
    "gf2-limits": gf2_parts.gf2_limits,
    "gf2-example": gf2_parts.gf2_example,
    "planes": gf2_parts.planes,
    "planes-area": gf2_parts.planes_area,
    "windows": register_parts.windows,
    "register-table": register_parts.register_table,
    "register-fields": register_parts.register_fields,
    "fault-table": register_parts.fault_table,
    "projection-table": register_parts.projection_table,
    "plane-table": register_parts.plane_table,
    "replay-table": register_parts.replay_table,
    "counter-table": register_parts.counter_table,
    "hello": register_parts.hello,
    "packets": register_parts.packets,
    "results": result_parts.results,
    "area": result_parts.area,
    "projection-area": result_parts.projection_area,
    "speed": result_parts.speed,
    "core-registers": core_parts.core_registers,
    "core-fields": core_parts.core_fields,
    "core-faults": core_parts.core_faults,
    "proofs": proof_parts.proofs,
    "boards": board_parts.boards,
    "board-figures": board_parts.board_figures,
    "up5k": board_parts.up5k,
    "headline": measure_parts.headline,
    "measured": measure_parts.measured,
    "allocation": allocation_parts.allocation,
    "transforms": allocation_parts.transforms,
    "projections": projection_results.projections,
    "pcavlc-curve": projection_results.pcavlc_curve,
    "cap-halves": projection_results.cap_halves,
    "published-projections": projection_results.published_projections,
}
DOCUMENTS = (
    "docs/format.md",
    "docs/registers.md",
    "docs/results.md",
    "docs/boards.md",
    "docs/cores.md",
    "docs/proofs.md",
    "README.md",
)

_BEGIN = re.compile(r"^<!-- generated: (.*) -->$")
_END = "<!-- end -->"


def update(*, write: bool, root: Path = ROOT) -> list[str]:
    """Make the generated parts of all documents anew.

    Parameters
    ----------
    write : False to change nothing
    root : the checkout

    Returns
    -------
    The documents that were not up to date.

    Raises
    ------
    FmzipError : a document is missing, its markers do not match, or it names an unknown part
    """
    stale = []
    for name in DOCUMENTS:
        path = root / name
        if not path.is_file():
            raise FmzipError(f"{path} is missing: documents are generated in a checkout")
        old = path.read_text(encoding="utf-8")
        try:
            new = fill(old, PARTS)
        except ValueError as error:
            raise FmzipError(f"{name}: {error}") from None
        if new != old:
            stale.append(name)
            if write:
                path.write_text(new, encoding="utf-8")
    return stale


def fill(text: str, parts: Mapping[str, Callable[[], str]]) -> str:
    """The document with its parts made anew; ValueError where markers are wrong."""
    out: list[str] = []
    inside: str | None = None
    for number, line in enumerate(text.splitlines(), 1):
        begin = _BEGIN.match(line)
        if inside is None:
            out.append(line)
            if line == _END:
                raise ValueError(f"line {number}: an end without a beginning")
            if begin:
                inside = begin[1]
                if inside not in parts:
                    known = ", ".join(parts)
                    raise ValueError(f"line {number}: no part {inside!r}; there are {known}")
                out += parts[inside]().splitlines()
        elif line == _END:
            out.append(line)
            inside = None
        elif begin:
            raise ValueError(f"line {number}: a part begins inside part {inside!r}")
    if inside is not None:
        raise ValueError(f"part {inside!r} has no end")
    return "\n".join(out) + "\n"
