"""Generated parts of docs/results.md about the allocation of ``fmz``."""

import numpy as np

from fmzip.docgen.format_parts import table
from fmzip.docgen.result_parts import RESULTS, load_result


def allocation() -> str:
    """Allocated codecs beside one step factor for all maps, at equal divergence."""
    rows = []
    for path in sorted(RESULTS.glob("allocation-*.json")):
        found = load_result(path.name)
        points = [
            (name, row["bits_per_value"], row["kl"], row["expected_drop"])
            for name, row in found["codecs"].items()
            if row["kind"] == "codec"
        ]
        flat = sorted((kl, bits) for name, bits, kl, _ in points if name.startswith("uniform"))
        log_kl = np.log([kl for kl, _ in flat])
        for name, bits, kl, drop in points:
            if name.startswith("uniform"):
                continue
            # Between the two nearest points: bits go about with the logarithm of the divergence.
            inside = log_kl[0] <= np.log(kl) <= log_kl[-1]
            other = float(np.interp(np.log(kl), log_kl, [b for _, b in flat]))
            rows.append((
                found["manifest"]["network"], found["baseline"]["pictures"], f"`{name}`",
                f"{drop:.2f}", f"{kl:.4f}", f"{bits:.3f}",
                f"{other:.3f}" if inside else "not measured",
                f"{1 - bits / other:.1%}" if inside else "",
            ))  # fmt: skip
    header = (
        "network", "pictures", "allocated for", "expected drop, points", "KL, nats",
        "bits per value", "one step factor, at that KL", "allocation saves",
    )  # fmt: skip
    return table(header, rows)


def transforms() -> str:
    """Runs of bench/transforms.py."""
    rows = []
    for path in sorted(RESULTS.glob("transforms-*.json")):
        found = load_result(path.name)
        for row in found["rows"]:
            if row["ways"] == "those of fmz":
                bits = row["bits"]
                continue
            rows.append((
                found["model"], found["pictures"], f"{row['kl']:g}", f"{bits:.3f}", row["ways"],
                f"{row['saved']:.1f} %", row["chosen"],
            ))  # fmt: skip
    header = (
        "network", "pictures", "KL, nats", "bits per value of fmz's own ways, a bound",
        "ways beside them", "they save at most", "maps that take them",
    )  # fmt: skip
    return table(header, rows)
