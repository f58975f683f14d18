"""What projections cost beside their bits, and what is published of them; docs/results.md."""

from typing import Any

from fmzip.docgen.format_parts import table
from fmzip.docgen.measure_parts import PART
from fmzip.docgen.result_parts import RESULTS, load_result
from fmzip.errors import FmzipError
from fmzip.report.published import PUBLISHED

_FAMILIES = "pcavlc", "cap"


def projections() -> str:
    """A line for each codec that projects, of all runs."""
    rows = []
    for path in sorted(RESULTS.glob("measure-*.json")):
        run = load_result(path.name)
        rows += [
            (run["manifest"]["network"], f"`{name}`", *_costs(found))
            for name, found in run["codecs"].items()
            if "matrix_bytes" in found["config"]
        ]
    if not rows:
        raise FmzipError(f"{RESULTS}: no run of a codec that projects; make results writes them")
    header = (
        "network", "codec", "bits per value", "drop, points", "matrices, KB", "of the decoder",
        "codebooks, KB a picture", "products a value, write", "read", "logic, mJ on an FPGA",
        "in cells", "memory saves, mJ", "pays above, pJ a bit, FPGA", "cells",
    )  # fmt: skip
    return table(header, rows)


def _costs(found: dict[str, Any]) -> tuple[str, ...]:
    config, energy = found["config"], found["energy"]
    part = next(p for p in energy["parts"] if p["part"] == PART)
    own, products = energy["codec"], energy["codec"]["products_per_value"]
    saved = part["incremental"]["raw_pj"] - part["incremental"]["coded_pj"]
    return (
        f"{found['bits_per_value']:.3f}",
        f"{found['top1_drop']:.1f}",
        f"{config['matrix_bytes'] / 1000:.0f}",
        f"{config['inverse_matrix_bytes'] / 1000:.0f}",
        f"{config['codebook_bytes'] / 1000:.1f}",
        f"{products['write']:.0f}",
        f"{products['read']:.0f}",
        f"{own['fpga_pj'] / 1e9:.2f}",
        f"{own['cells_pj'] / 1e9:.3f}",
        f"{saved / 1e9:.3f}",
        f"{part['break_even_fpga_pj_per_bit']:.0f}",
        f"{part['break_even_pj_per_bit']:.0f}",
    )


def published_projections() -> str:
    """What the authors give, none of it reproduced."""
    rows = [
        (f"`{p.family}`", p.network, p.claim, p.source, p.remark)
        for p in PUBLISHED
        if p.family in _FAMILIES
    ]
    return table(("codec", "network", "claim", "source", "remark"), rows)
