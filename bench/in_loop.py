"""Time of a network with a codec in the loop, sizes included, beside the plain int8 network.

``python bench/in_loop.py [--json FILE]``. ResNet-18 on photographs where ``FMZIP_DATA`` names the
directory of real data, else the embedded stand-in on digits. The targets on ResNet-18 are ratios of
at most those of ``TARGETS``. The coder of ``fmz`` is that of the reference, and needs numba.

All passes have the same threads, and take turns, so that other jobs of the machine disturb them
alike; of each, the shortest time counts.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from fmzip.codecfile import LayerCodec
from fmzip.codecs import CODECS, FMZ
from fmzip.experiments import sensitivity
from fmzip.format import Transform
from fmzip_models.capture import Calibration, calibrate
from fmzip_models.default import open_job
from fmzip_models.in_loop import InLoop, InLoopCodec, frame_configs
from fmzip_models.rans_loop import Quantising, RansLoop
from fmzip_models.twin import Twin
from fmzip_models.zoo import Network

TARGETS = {"dctcm": 2.0, "fmz": 3.0}  # time over that of the plain int8 network
STEP_STD = 0.25  # quantisation step in standard deviations of the layer
CALIBRATION = 16  # pictures


@dataclass(frozen=True)
class Row:
    """One kind of pass."""

    name: str
    ms_per_picture: float
    ratio: float


def measure(batch: int, threads: int, repeats: int, device: str) -> tuple[str, list[Row]]:
    """Name of the network, and a row for each kind of pass."""
    torch.set_num_threads(threads)
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
    network.module.to(device)
    inputs = network.normalise(pictures.read(evaluation[:batch])).to(device)
    loop = InLoop(network, found.scales, device)
    passes: dict[str, Callable[[], object]] = {
        "float": lambda: loop.float_pass(inputs),
        "int8": lambda: loop.int8_pass(inputs),
    }
    for codec in CODECS.values():
        configs = frame_configs(codec, network.graph.maps, found, STEP_STD)
        twins = {m: Twin(config, device) for m, config in configs.items()}
        passes[codec.name] = lambda twins=twins: loop.codec_pass(inputs, twins)  # type: ignore[misc]
    with ThreadPoolExecutor(threads) as pool:
        fmz = _fmz(network, found, loop, inputs, pool)
        passes[FMZ] = lambda: loop.codec_pass(inputs, fmz)
        seconds = _best(passes, repeats, device)
    return name, [Row(k, 1e3 * s / batch, s / seconds["int8"]) for k, s in seconds.items()]


def _fmz(
    network: Network, found: Calibration, loop: InLoop, inputs: torch.Tensor, pool: Executor
) -> dict[str, InLoopCodec]:
    """Every map with error diffusion, the slower way to round, and tables of the same pictures."""
    diffusion = sensitivity.CANDIDATES[-2].diffusion
    assert diffusion.spreads
    seen: dict[str, Quantising] = {}
    for m in network.graph.maps:
        step = sensitivity.step_units(STEP_STD, found, m.name)
        frame = sensitivity.frame_of(m, found, Transform.BYPASS, step)
        seen[m.name] = Quantising(frame, diffusion, pool)
    loop.some_pass(inputs, seen)
    codecs: dict[str, InLoopCodec] = {}
    for m in network.graph.maps:
        transform, coding = seen[m.name].finished()
        scale, step = found.scales[m.name], seen[m.name].config.step
        layer = LayerCodec(
            m.shape, scale.scale, scale.zero_point, scale.dtype, transform, step, coding
        )
        codecs[m.name] = RansLoop(layer.frame(), coding, pool)
    return codecs


def _best(passes: dict[str, Callable[[], object]], repeats: int, device: str) -> dict[str, float]:
    """Shortest time of each, seconds."""
    seconds = dict.fromkeys(passes, float("inf"))
    for _ in range(repeats):
        for key, work in passes.items():
            seconds[key] = min(seconds[key], _timed(work, device))
    return seconds


def _timed(work: Callable[[], object], device: str) -> float:
    begin = time.perf_counter()
    work()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file")
    parser.add_argument("--batch", type=int, default=8, metavar="N", help="pictures at once")
    parser.add_argument("--threads", type=int, default=1, metavar="N")
    parser.add_argument("--repeats", type=int, default=8, metavar="N", help="best of N")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    if min(options.batch, options.threads, options.repeats) < 1:
        parser.error("--batch, --threads and --repeats must be at least 1")
    name, rows = measure(options.batch, options.threads, options.repeats, options.device)
    setting = {
        "batch": options.batch,
        "threads": options.threads,
        "device": options.device,
        "step_std": STEP_STD,
        "best_of": options.repeats,
    }
    where = {
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        **{package: version(package) for package in ("fmzip", "torch")},
    }
    table = Table(
        title=f"{name}, every stored map coded and decoded, with sizes",
        caption="measured on this machine; "
        + ", ".join(f"{k} {v}" for k, v in {**setting, **where}.items()),
    )
    table.add_column("pass")
    table.add_column("ms per picture", justify="right")
    table.add_column("over int8", justify="right")
    for row in rows:
        table.add_row(row.name, f"{row.ms_per_picture:.2f}", f"{row.ratio:.2f}")
    Console(width=None if sys.stdout.isatty() else 100).print(table)
    ratios = {row.name: row.ratio for row in rows}
    for key, target in TARGETS.items():
        print(f"{key}: {ratios[key]:.2f} times the plain int8 network (target: at most {target})")
    if options.json:
        figures = {
            "maps": name,
            **setting,
            "targets": TARGETS,
            "environment": where,
            "rows": [asdict(row) for row in rows],
        }
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
