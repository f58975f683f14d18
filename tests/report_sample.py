"""A result as ``fmzip measure`` writes it, made up: for tests of the report, with no network run.

Bits and drops are near those of ResNet-18 on photographs, so that pages look like real ones.
"""

import math
from typing import Any

import numpy as np

from fmzip import energy

PICTURES = 500
RESNET18 = [("relu", (64, 112, 112), 1), ("maxpool", (64, 56, 56), 2)] + [
    (f"layer{stage}.{block}.{name}", (32 << stage, 112 >> stage, 112 >> stage), reads)
    for stage in (1, 2, 3, 4)
    for block in (0, 1)
    for name, reads in (("relu1", 1), ("relu2", 2))
]

# name: kind, bits per value, drop of top-1 in points, or None where it is 0 by definition
CODECS: dict[str, tuple[str, float, float | None]] = {
    "dctcm@0.1": ("codec", 6.42, 0.0),
    "dctcm@0.25": ("codec", 4.91, 0.4),
    "dctcm@0.5": ("codec", 3.79, 1.6),
    "dctcm@0.75": ("codec", 3.05, 6.8),
    "dctcm@1": ("codec", 2.57, 15.2),
    "dctcm@1.5": ("codec", 1.93, 41.6),
    "dctcm-width": ("codec", 4.46, 0.4),
    "zvc": ("lossless", 5.412, None),
    "rle": ("lossless", 5.514, None),
    "ebpc": ("lossless", 5.02, None),
    "zstd": ("lossless", 3.703, None),
    "entropy": ("bound", 3.99, None),
    "bits4": ("requantise", 4.0, 2.2),
}


def sample(
    codecs: dict[str, tuple[str, float, float | None]] | None = None,
    *,
    model: str = "resnet18",
    layers: list[tuple[str, tuple[int, ...], int]] | None = None,
    seed: int = 1,
) -> dict[str, Any]:
    """The JSON of a result; the same arguments give the same one."""
    rng = np.random.default_rng(seed)
    chosen = CODECS if codecs is None else codecs
    maps = RESNET18 if layers is None else layers
    return {
        "manifest": {
            "command": f"fmzip measure --model {model} --codec {','.join(chosen)}",
            "config": {"model": model, "calibration_method": "max", "limit": PICTURES},
            "versions": {"fmzip": "0.1.0", "python": "3.11.2", "numpy": "2.4.6", "torch": "2.13.0"},
            "commit": "5dc22a1",
            "seed": seed,
            "data_hash": "sha256:" + rng.bytes(32).hex(),
            "weights_hash": "sha256:" + rng.bytes(32).hex(),
            "calibration_pictures": 32,
            "evaluation_pictures": PICTURES,
        },
        "baseline": {
            "float_top1": 69.8, "float_top5": 89.2, "int8_top1": 69.6, "int8_top5": 89.0,
            "pictures": PICTURES,
        },
        "codecs": {name: _codec(name, *row, maps, rng) for name, row in chosen.items()},
    }  # fmt: skip


def _codec(
    name: str, kind: str, bits: float, drop: float | None, maps: list, rng: np.random.Generator
) -> dict[str, Any]:
    values = np.array([math.prod(shape) for _, shape, _ in maps])
    shares = np.clip(rng.normal(1, 0.12, len(maps)), 0.5, 1.5)
    shares *= values.sum() / (shares * values).sum()
    bound, lossless = kind == "bound", kind in ("lossless", "bound")
    layers = []
    for (layer, shape, reads), count, share in zip(maps, values.tolist(), shares, strict=True):
        coded = None if bound else 32 * round(count * bits * share / 256) * PICTURES
        layers.append({
            "name": layer, "shape": list(shape), "signed": False, "reads": reads,
            "values": count * PICTURES, "raw_bytes": count * PICTURES, "bus_bytes": coded,
            "bits_per_value": bits * share if coded is None else 8 * coded / count / PICTURES,
            **({"step_lsb": 4.2, "keep": "0x7f", "tile": [4, 56]} if kind == "codec" else {}),
        })  # fmt: skip
    raw = sum(layer["raw_bytes"] for layer in layers)
    bus = None if bound else sum(layer["bus_bytes"] for layer in layers)
    total = bits if bus is None else 8 * bus / raw
    lost = drop or 0.0
    half = 0.0 if lossless else 1.96 * math.sqrt(max(lost, 0.4) / PICTURES) * 10
    return {
        "kind": kind, "lossless": lossless, "bound": bound, "bits_per_value": total,
        "ratio": 8 / total, "raw_bytes": raw, "bus_bytes": bus,
        "top1": 69.6 - lost, "top5": 89.0 - 0.6 * lost, "top1_drop": lost,
        "top1_drop_interval": [lost - half, lost + half],
        "agreement": 100.0 if lossless else 100 - 4 * half - lost,
        "kl": 0.0 if lossless else 0.03 + 0.05 * lost,
        "cycles_per_value": 0.1259 if name.startswith("dctcm") else None,
        "config": {"transform": "dct8", "step": 0.25} if name.startswith("dctcm") else {},
        "layers": layers,
        "energy": None if bus is None else _energy(name, layers),
    }  # fmt: skip


def _energy(name: str, layers: list[dict[str, Any]]) -> dict[str, Any]:
    """Energies of one write and all reads of every map of a picture."""

    def traffic(key: str) -> list[int]:
        written = sum(layer[key] for layer in layers) // PICTURES
        read = sum(layer[key] * layer["reads"] for layer in layers) // PICTURES
        return [written, read, (written + read) // 1024]

    codec = name.partition("@")[0]
    return energy.report(
        energy.Traffic(*traffic("bus_bytes"), *traffic("raw_bytes")), codec=codec, frames=1
    )
