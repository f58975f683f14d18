"""Speed and size of the reference on one core, beside zstd on the same maps.

``python bench/reference.py [--json FILE]``. Maps are those of ResNet-18 on photographs where
``FMZIP_DATA`` names the directory of real data, else those of the embedded stand-in on digits.
Tables of the codec fmz are made on calibration pictures, for each map its own, and not counted.

Times are processor time: all codecs run in one thread, and other jobs disturb that less.
"""

# ruff: noqa: E402

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
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
from fmzip.format import FrameConfig, Transform
from fmzip.reference import decode, encode, planes
from fmzip.statistics import count, empty_counts, make_tables
from fmzip.tables import Coding, Diffusion
from fmzip_models.capture import StoredMap, calibrate, capture
from fmzip_models.default import open_job

STEP_STD = 0.25  # quantisation step in standard deviations of the layer
CALIBRATION = 16  # pictures
ZSTD_LEVELS = (3, 19)
TABLE_PICTURES = 4  # of the calibration pictures, those that tables are made on
# The codec fmz by transform; without a loss, at a step of 1 LSB, where no step is given here.
FMZ = {
    "fmz bypass": (Transform.BYPASS, STEP_STD),
    "fmz wht4": (Transform.WHT4, STEP_STD),
    "fmz nibbles, 1 LSB": (Transform.NIBBLES, None),
}
VALUES = 2_000_000  # maps of so many pictures are taken that they have at least so many values


T = TypeVar("T")


@dataclass(frozen=True)
class Sample:
    """A map to be coded, and the configuration of its frame for each codec by name."""

    values: np.ndarray
    configs: dict[str, FrameConfig]
    codings: dict[str, Coding]


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
    shown: dict[str, list[StoredMap]] = {}
    for maps in capture(network, pictures, calibration[:TABLE_PICTURES], found.scales):
        for m in maps:
            shown.setdefault(m.name, []).append(m)
    fmz = {name: _fmz(maps, found.std_lsb[name]) for name, maps in shown.items()}
    samples: list[Sample] = []
    for maps in capture(network, pictures, evaluation, found.scales):
        samples += [_sample(m, found.std_lsb[m.name], fmz[m.name]) for m in maps]
        if sum(s.values.size for s in samples) >= VALUES:
            break
    return name, samples


Fmz = dict[str, tuple[FrameConfig, Coding]]


def _fmz(maps: Sequence[StoredMap], std_lsb: float) -> Fmz:
    """Configuration and tables of a map with each form of the codec fmz."""
    made = {}
    for name, (transform, step_std) in FMZ.items():
        step = 1.0 if step_std is None else max(step_std * std_lsb, 1.0)
        counts = None
        for m in maps:
            scale = m.scale
            config = codecs.fmz_config(
                m.values.shape, scale.dtype, scale.zero_point, step, transform, 0
            )
            counts = empty_counts(config) if counts is None else counts
            for tile in config.iter_tiles():
                part = m.values[:, tile.row : tile.row + tile.rows, tile.col :][..., : tile.cols]
                count(planes.numbers(part, config, Diffusion()), config, counts)
        tables = make_tables(counts)
        made[name] = replace(config, tables=tables.id), Coding(tables)
    return made


def _sample(stored: StoredMap, std_lsb: float, fmz: Fmz) -> Sample:
    step = min(max(STEP_STD * std_lsb, codecs.STEP_LSB_MIN), codecs.STEP_LSB_MAX)
    scale = stored.scale
    configs = {
        name: codecs.codec_config(name, stored.values.shape, scale.dtype, scale.zero_point, step)
        for name in codecs.CODECS
    }
    configs |= {name: config for name, (config, _) in fmz.items()}
    return Sample(stored.values, configs, {name: coding for name, (_, coding) in fmz.items()})


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
        restore: Callable[[bytes, Sample], object],
    ) -> Row:
        encoding, frames = best_of(repeats, lambda: [code(s) for s in samples])
        pairs = list(zip(frames, samples, strict=True))
        decoding, _ = best_of(repeats, lambda: [restore(f, s) for f, s in pairs])
        size = sum(map(len, frames))
        speeds = values / encoding / 1e6, values / decoding / 1e6
        return Row(name, lossless, *speeds, 8 * size / values, values / size)

    def by_codec(name: str) -> Row:
        def code(s: Sample) -> bytes:
            return encode(s.values, s.configs[name], s.codings.get(name))

        def restore(frame: bytes, s: Sample) -> np.ndarray:
            coding = s.codings.get(name)
            return decode(frame, coding.tables if coding else None)

        # A first pass, which also compiles, says whether a codec is lossless on these maps.
        exact = all((restore(code(s), s) == s.values).all() for s in samples)
        return row(name, bool(exact), code, restore)

    def by_zstd(level: int) -> Row:
        zip_ = zstandard.ZstdCompressor(level=level)
        unzip = zstandard.ZstdDecompressor()
        name = f"zstd -{level}"
        return row(
            name,
            True,
            lambda s: zip_.compress(s.values.tobytes()),
            lambda f, _: unzip.decompress(f),
        )

    return [*map(by_codec, (*codecs.CODECS, *FMZ)), *map(by_zstd, ZSTD_LEVELS)]


def environment() -> dict[str, object]:
    return {
        "machine": platform.machine(),
        "system": platform.system(),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("fmzip", "numpy", "numba", "zstandard")},
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
