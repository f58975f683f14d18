"""What projections cost beside their bits, and what is published of them; docs/results.md."""

from typing import Any

from fmzip.docgen.format_parts import table
from fmzip.docgen.measure_parts import LOGIC, codec_rows, logic
from fmzip.report.published import PUBLISHED

_FAMILIES = "pcavlc", "cap"


def projections() -> str:
    """A line for each codec that projects, of all runs."""
    header = (
        "network", "codec", "bits per value", "drop, points", "matrices, KB", "of the decoder",
        "codebooks, KB a picture", "products a value, write", "read", *LOGIC,
    )  # fmt: skip
    return table(header, codec_rows("a codec that projects", "matrix_bytes", _costs))


def _costs(found: dict[str, Any]) -> tuple[str, ...]:
    config, products = found["config"], found["energy"]["codec"]["products_per_value"]
    return (
        f"{found['bits_per_value']:.3f}",
        f"{found['top1_drop']:.1f}",
        f"{config['matrix_bytes'] / 1000:.0f}",
        f"{config['inverse_matrix_bytes'] / 1000:.0f}",
        f"{config['codebook_bytes'] / 1000:.1f}",
        f"{products['write']:.0f}",
        f"{products['read']:.0f}",
        *logic(found),
    )


def published_projections() -> str:
    """What the authors give, none of it reproduced."""
    rows = [
        (f"`{p.family}`", p.network, p.claim, p.source, p.remark)
        for p in PUBLISHED
        if p.family in _FAMILIES
    ]
    return table(("codec", "network", "claim", "source", "remark"), rows)
