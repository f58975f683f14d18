"""What projections cost beside their bits, and what is published of them; docs/results.md."""

from typing import Any

from fmzip.docgen.format_parts import table
from fmzip.docgen.measure_parts import LOGIC, codec_rows, logic
from fmzip.docgen.result_parts import load_result
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


def pcavlc_curve() -> str:
    """ResNet-18: the authors' curve, none of it reproduced, and what was measured, by bits."""
    rows = [
        (p.bits, f"{p.drop:.2f}", "", "", f"{p.source}: {p.claim}")
        for p in PUBLISHED
        if p.family == "pcavlc" and p.network == "ResNet-18" and p.drop is not None
    ]
    for name, found in load_result("measure-resnet18-projections.json")["codecs"].items():
        if name.startswith("pcavlc"):
            low, high = found["top1_drop_interval"]
            drop = f"{found['top1_drop']:.1f} ({low:.1f} to {high:.1f})"
            kl = f"{found['kl']:.4f}"
            rows.append((found["bits_per_value"], drop, _expected(found), kl, f"here, `{name}`"))
    header = ("bits per value", "top-1 drop, points (95 %)", "expected", "KL, nats", "of whom")
    return table(header, [(f"{bits:.2f}", *rest) for bits, *rest in sorted(rows, reverse=True)])


def cap_halves() -> str:
    """ResNet-18: each half of the photographs, learned on the other one, and both together."""
    runs = [load_result(f"measure-resnet18-cap-{half}.json") for half in (0, 1)]
    counts = [run["baseline"]["pictures"] for run in runs]
    shares = [count / sum(counts) for count in counts]
    rows = []
    for kind in dict.fromkeys(name.split("@")[0] for name in runs[0]["codecs"]):
        halves = [
            next(found for name, found in run["codecs"].items() if name.split("@")[0] == kind)
            for run in runs
        ]
        for half, found in enumerate(halves):
            low, high = found["top1_drop_interval"]
            rows.append((f"`{kind}`", str(half), *_counted(found, low, high)))
        both = {
            name: sum(share * found[name] for share, found in zip(shares, halves, strict=True))
            for name in ("bits_per_value", "top1_drop", "expected_drop", "kl", "agreement")
            if name in halves[0]
        }
        # The halves are drawn apart, so the squares of their intervals' halves add up.
        low, high = (
            both["top1_drop"]
            + sign
            * sum(
                (share * (found["top1_drop_interval"][end] - found["top1_drop"])) ** 2
                for share, found in zip(shares, halves, strict=True)
            )
            ** 0.5
            for end, sign in ((0, -1), (1, 1))
        )
        rows.append((f"`{kind}`", "both", *_counted(both, low, high)))
    header = (
        "codec", "half", "bits per value", "top-1 drop, points (95 %)", "expected", "agreement",
        "KL, nats",
    )  # fmt: skip
    return table(header, rows)


def _expected(found: dict[str, Any]) -> str:
    """The expected drop; runs from before it was found have none."""
    return f"{found['expected_drop']:.2f}" if "expected_drop" in found else ""


def _counted(found: dict[str, Any], low: float, high: float) -> tuple[str, ...]:
    return (
        f"{found['bits_per_value']:.3f}",
        f"{found['top1_drop']:.1f} ({low:.1f} to {high:.1f})",
        _expected(found),
        f"{found['agreement']:.1f} %",
        f"{found['kl']:.4f}",
    )


def published_projections() -> str:
    """What the authors give of other networks, or without saying which; none reproduced."""
    rows = [
        (f"`{p.family}`", p.network, p.claim, p.source, p.remark)
        for p in PUBLISHED
        if p.family in _FAMILIES and (p.family, p.network) != ("pcavlc", "ResNet-18")
    ]
    return table(("codec", "network", "claim", "source", "remark"), rows)
