"""Speed and size of the reference on one core, beside zstd on the same maps.

``python bench/reference.py [--json FILE]``. Maps are those of ResNet-18 on photographs where
``FMZIP_DATA`` names the directory of real data, else those of the embedded stand-in on digits.

Times are processor time: all codecs run in one thread, and other jobs disturb that less.
"""

# ruff: noqa: E402

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

# Before NumPy and PyTorch are imported: one core, as the table says.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import numpy as np
import zstandard
from rich.console import Console
from rich.table import Table

from fmzip import codecs
from fmzip.format import FrameConfig
from fmzip.reference import decode, encode
from fmzip_models.capture import StoredMap, calibrate, capture
from fmzip_models.default import open_job

STEP_STD = 0.25  # quantisation step in standard deviations of the layer
CALIBRATION = 16  # pictures
ZSTD_LEVELS = (3, 19)
VALUES = 2_000_000  # maps of so many pictures are taken that they have at least so many values


T = TypeVar("T")


@dataclass(frozen=True)
class Sample:
    """A map to be coded, and the configuration of its frame for each codec by name."""

    values: np.ndarray
    configs: dict[str, FrameConfig]


@dataclass(frozen=True)
class Row:
    """What one codec does with all maps."""

    codec: str
    lossless: bool
    encode_mvalues_per_s: float
    decode_mvalues_per_s: float
    bits_per_value: float
    ratio: float


def load() -> tuple[str, list[Sample]]:
    """Name of network and pictures, and the maps."""
    data = os.environ.get("FMZIP_DATA")
    if data:
        folder = Path(data)
        network, pictures = open_job("resnet18", folder / "resnet18.safetensors", folder / "photos")
        name = "ResNet-18 on photographs"
    else:
        network, pictures = open_job()
        name = "the stand-in on digits (small maps: set FMZIP_DATA for real ones)"
    calibration, evaluation = pictures.split(CALIBRATION)
    found = calibrate(network, pictures, calibration)
    samples: list[Sample] = []
    for maps in capture(network, pictures, evaluation, found.scales):
        samples += [_sample(m, found.std_lsb[m.name]) for m in maps]
        if sum(s.values.size for s in samples) >= VALUES:
            break
    return name, samples


def _sample(stored: StoredMap, std_lsb: float) -> Sample:
    step = min(max(STEP_STD * std_lsb, codecs.STEP_LSB_MIN), codecs.STEP_LSB_MAX)
    scale = stored.scale
    configs = {
        name: codecs.codec_config(name, stored.values.shape, scale.dtype, scale.zero_point, step)
        for name in codecs.CODECS
    }
    return Sample(stored.values, configs)


def best_of(repeats: int, work: Callable[[], T]) -> tuple[float, T]:
    """Shortest processor time of several runs in seconds, and the result."""
    seconds = float("inf")
    for _ in range(repeats):
        begin = time.process_time()
        result = work()
        seconds = min(seconds, time.process_time() - begin)
    return seconds, result


def measure(samples: list[Sample], repeats: int) -> list[Row]:
    values = sum(s.values.size for s in samples)

    def row(
        name: str,
        lossless: bool,
        code: Callable[[Sample], bytes],
        restore: Callable[[bytes], object],
    ) -> Row:
        encoding, frames = best_of(repeats, lambda: [code(s) for s in samples])
        decoding, _ = best_of(repeats, lambda: [restore(f) for f in frames])
        size = sum(map(len, frames))
        speeds = values / encoding / 1e6, values / decoding / 1e6
        return Row(name, lossless, *speeds, 8 * size / values, values / size)

    def by_codec(name: str) -> Row:
        return row(name, False, lambda s: encode(s.values, s.configs[name]), decode)

    def by_zstd(level: int) -> Row:
        zip_ = zstandard.ZstdCompressor(level=level)
        unzip = zstandard.ZstdDecompressor()
        name = f"zstd -{level}"
        return row(name, True, lambda s: zip_.compress(s.values.tobytes()), unzip.decompress)

    return [*map(by_codec, codecs.CODECS), *map(by_zstd, ZSTD_LEVELS)]


def environment() -> dict[str, object]:
    return {
        "machine": platform.machine(),
        "system": platform.system(),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("fmzip", "numpy", "zstandard")},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file")
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="best of N")
    options = parser.parse_args()
    if options.repeats < 1:
        parser.error("--repeats must be at least 1")
    name, samples = load()
    rows = measure(samples, options.repeats)
    where = environment()
    values = sum(s.values.size for s in samples)
    table = Table(
        title=f"Reference on one core: {len(samples)} maps of {name}, {values} values",
        caption=f"measured on this machine, processor time, best of {options.repeats}; step "
        f"{STEP_STD} standard deviations; {', '.join(f'{k} {v}' for k, v in where.items())}",
    )
    table.add_column("codec")
    for header in ("encode Mvalue/s", "decode Mvalue/s", "bits per value", "ratio"):
        table.add_column(header, justify="right")
    table.add_column("lossless")
    for r in rows:
        table.add_row(
            r.codec,
            f"{r.encode_mvalues_per_s:.1f}",
            f"{r.decode_mvalues_per_s:.1f}",
            f"{r.bits_per_value:.3f}",
            f"{r.ratio:.3f}",
            "yes" if r.lossless else "no",
        )
    Console(width=None if sys.stdout.isatty() else 100).print(table)
    if options.json:
        figures = {
            "maps": name,
            "values": values,
            "step_std": STEP_STD,
            "best_of": options.repeats,
            "environment": where,
            "rows": [asdict(r) for r in rows],
        }
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
