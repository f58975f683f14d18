"""One batch of pictures through the float, the int8 and the compressed networks.

All that a process needs for that is in a ``Task``, which can be sent to it. A batch always has the
same number of pictures, the last one filled up with black ones, and is computed by one thread: then
its results do not depend on the number of processes, nor on where a run was interrupted.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch

from fmzip.baselines import BASELINES, Baseline, Bits4
from fmzip.codecfile import CodecFile
from fmzip.codings import AnyCoding
from fmzip.errors import FmzipError, MismatchError
from fmzip.experiments.checkpoint import Arrays
from fmzip.experiments.entries import Entry
from fmzip.format import DEFAULT_BURST_BYTES, TILE_SLOTS_MAX, FrameConfig, round_up
from fmzip.gf2 import PlaneCoding
from fmzip.projection import ProjectionCoding
from fmzip_models import recalibrate
from fmzip_models.graph import Map
from fmzip_models.in_loop import InLoop, InLoopCodec, MapByMap, Pass, SeeMap, Uncoded
from fmzip_models.pictures import Pictures
from fmzip_models.plane_loop import PlaneLoop
from fmzip_models.projecting import ProjectionLoop
from fmzip_models.quantise import Scale
from fmzip_models.rans_loop import RansLoop
from fmzip_models.spec import Input
from fmzip_models.twin import Twin
from fmzip_models.zoo import Network

FLOAT, INT8 = "float", "int8"  # the logits that are not an entry's


@dataclass(frozen=True)
class Task:
    """What every batch is computed with.

    Members
    -------
    model, weights, images, input : see ``fmzip_models.default.open_job``
    batch : pictures
    device : where the network runs
    threads : that find the sizes of baselines where the device is not the processor
    entries : lines of the results
    weights_hash : of the network that the scales were made on
    scales : of each map, by its name
    configs : frames of each map, by name of the entry and of the map
    bits4_steps : of each map, by its name
    files : codecs of files, by name of the entry
    early_scales : of each map in front of its ReLU, by its name
    projections : of each map, by name of the entry and of the map
    """

    model: str | None
    weights: Path | None
    images: Path | None
    input: Input | None
    batch: int
    device: str
    threads: int
    entries: tuple[Entry, ...]
    weights_hash: str
    scales: Mapping[str, Scale]
    configs: Mapping[str, Mapping[str, FrameConfig]] = field(default_factory=dict)
    bits4_steps: Mapping[str, float] = field(default_factory=dict)
    files: Mapping[str, CodecFile] = field(default_factory=dict)
    early_scales: Mapping[str, Scale] = field(default_factory=dict)
    projections: Mapping[str, Mapping[str, ProjectionCoding]] = field(default_factory=dict)


def logits_key(entry: Entry) -> str:
    """Name of the array of an entry's logits, float32 [n, classes]."""
    return f"logits {entry.name}"


def size_key(entry: Entry) -> str:
    """Name of the array of an entry's sizes, [n, maps]: int64 bytes, float64 bits of a bound."""
    return f"size {entry.name}"


def array_names(entries: tuple[Entry, ...]) -> set[str]:
    """Names of all arrays of a batch."""
    logits = {logits_key(entry) for entry in entries if entry.lossy}
    return {FLOAT, INT8} | logits | {size_key(entry) for entry in entries}


def check_device(name: str) -> torch.device:
    """The device of a name; FmzipError where this machine or this PyTorch has none."""
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        first = str(error).strip().splitlines()[0]
        raise FmzipError(f"device {name} cannot be used: {first}") from None
    return device


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread for PyTorch."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Evaluator:
    """Computes batches of a task.

    Parameters
    ----------
    task : what to compute
    network, pictures : those of the task
    """

    def __init__(self, task: Task, network: Network, pictures: Pictures) -> None:
        self._task, self._network, self._pictures = task, network, pictures
        self._device = check_device(task.device)
        network.module.to(self._device)
        self._loop = InLoop(network, task.scales, self._device)
        # A codec of a file brings the scales that its steps belong to.
        self._loops = {
            name: InLoop(network, scales_of(codec), self._device, before_relu=codec.projects)
            for name, codec in task.files.items()
        }
        if task.projections:
            early = InLoop(network, task.early_scales, self._device, before_relu=True)
            self._loops |= dict.fromkeys(task.projections, early)
        # On the processor there is a process for each core, so a thread would be one too many.
        self._threads = None if self._device.type == "cpu" else ThreadPoolExecutor(task.threads)
        self._codecs = {
            entry.name: {m.name: self._codec(entry, m) for m in network.graph.maps}
            for entry in task.entries
            if entry.lossy
        }
        self._baselines = [e for e in task.entries if not e.lossy]
        self._seen: set[str] = set()  # lossless ones of which a map was coded and came back

    def _codec(self, entry: Entry, m: Map) -> InLoopCodec:
        if entry.name in self._task.files:
            return file_codec(self._task.files[entry.name], m, self._device, self._threads)
        if entry.name in self._task.projections:
            config = self._task.configs[entry.name][m.name]
            coding = self._task.projections[entry.name][m.name]
            return ProjectionLoop(config, coding, self._device, self._threads)
        if entry.kind == "codec":
            return Twin(self._task.configs[entry.name][m.name], self._device)
        baseline = self._baseline(entry, m)
        return MapByMap(partial(_recode, baseline, self._task.scales[m.name].zero_point))

    def _baseline(self, entry: Entry, m: Map) -> Baseline:
        if entry.method == Bits4.name and m.name in self._task.bits4_steps:
            return Bits4(self._task.bits4_steps[m.name])
        return BASELINES[entry.method]

    def __call__(self, indices: np.ndarray) -> Arrays:
        """Results of up to ``batch`` pictures, by ``FLOAT``, ``INT8`` and the keys of entries."""
        with one_thread(), torch.no_grad():
            return self._evaluate(indices)

    def stored(self, indices: np.ndarray, entry: str | None = None) -> dict[str, torch.Tensor]:
        """The int8 network's maps of up to ``batch`` pictures, by name: [n, C, H, W].

        Parameters
        ----------
        entry : stored as that codec gets them; one of a file with codecs at the maps before it
        """
        found: dict[str, torch.Tensor] = {}

        def keep(m: Map, codes: torch.Tensor) -> None:
            found[m.name] = codes[: len(indices)]

        with one_thread(), torch.no_grad():
            if entry is not None and entry in self._task.files:
                self._codec_pass(entry, self._read(indices), keep)
            else:
                loop = self._loop if entry is None else self._loops.get(entry, self._loop)
                loop.int8_pass(self._read(indices), keep)
        return found

    def codec(self, entry: str, layer: str) -> InLoopCodec:
        """The codec of a lossy entry for one map."""
        return self._codecs[entry][layer]

    def _read(self, indices: np.ndarray) -> torch.Tensor:
        """A whole batch: float32 [batch, channels, H, W], black behind the last picture."""
        read = self._pictures.read(indices)
        full = np.zeros((self._task.batch, *read.shape[1:]), np.uint8)
        full[: len(indices)] = read
        return self._network.normalise(full).to(self._device)

    def _evaluate(self, indices: np.ndarray) -> Arrays:
        n = len(indices)
        pictures = self._read(indices)
        maps = self._network.graph.maps
        stored: list[np.ndarray] = []

        def keep(m: Map, codes: torch.Tensor) -> None:
            stored.append(codes[:n].cpu().numpy())

        found = {FLOAT: self._loop.float_pass(pictures)}
        found[INT8] = self._loop.int8_pass(pictures, keep if self._baselines else None).logits
        sizes: Arrays = {}
        for entry in self._task.entries:
            if entry.lossy:
                result = self._codec_pass(entry.name, pictures)
                found[logits_key(entry)] = result.logits
                columns = [result.bus_bytes[m.name].cpu().numpy()[:n] for m in maps]
                sizes[size_key(entry)] = np.stack(columns, axis=1)
        for entry in self._baselines:
            sizes[size_key(entry)] = self._sizes(entry, stored)
        return {name: logits[:n].cpu().numpy() for name, logits in found.items()} | sizes

    def _codec_pass(self, entry: str, pictures: torch.Tensor, see: SeeMap | None = None) -> Pass:
        codecs = self._codecs[entry]
        loop = self._loops.get(entry, self._loop)
        file = self._task.files.get(entry)
        if file is None:
            return loop.codec_pass(pictures, codecs, see)
        with recalibrate.applied(self._network.module, file.corrections):
            return loop.codec_pass(pictures, codecs, see)

    def _sizes(self, entry: Entry, stored: list[np.ndarray]) -> np.ndarray:
        """Sizes of the int8 network's maps: [n, maps]."""
        columns = []
        for m, values in zip(self._network.graph.maps, stored, strict=True):
            baseline = self._baseline(entry, m)
            if entry.lossless and entry.name not in self._seen:
                _check_back(baseline, self._task.scales[m.name].zero_point, values[0], m.name)
            size = baseline.bits if entry.bound else baseline.bus_bytes
            one = partial(_size, size, self._task.scales[m.name].zero_point)
            each = self._threads.map if self._threads else map
            columns.append(list(each(one, values)))
        self._seen.add(entry.name)
        return np.array(columns, np.float64 if entry.bound else np.int64).T


def file_codec(
    codec: CodecFile, m: Map, device: torch.device, threads: Executor | None,
    slots_max: int = TILE_SLOTS_MAX,
) -> InLoopCodec:  # fmt: skip
    """What a codec file has for a map, in the loop.

    Parameters
    ----------
    slots_max : see ``LayerCodec.frame``
    """
    if m.name in codec.plain:
        return Uncoded(round_up(m.values, DEFAULT_BURST_BYTES))
    layer = codec.layers[m.name]
    return codec_loop(layer.frame(slots_max=slots_max), layer.coding, device, threads)


def codec_loop(
    config: FrameConfig, coding: AnyCoding, device: torch.device,
    threads: Executor | None,
) -> InLoopCodec:  # fmt: skip
    """The codec of a file's map in the loop."""
    if isinstance(coding, ProjectionCoding):
        return ProjectionLoop(config, coding, device, threads)
    if isinstance(coding, PlaneCoding):
        return PlaneLoop(config, coding, device, threads)
    return RansLoop(config, coding, threads)


def scales_of(codec: CodecFile) -> dict[str, Scale]:
    """Scales of a codec file's maps, by name."""
    return {
        name: Scale(layer.scale, layer.zero_point, layer.dtype)
        for name, layer in codec.maps.items()
    }


def _size(size: Callable[[np.ndarray, int], float], zero_point: int, values: np.ndarray) -> float:
    return size(values, zero_point)


def _check_back(baseline: Baseline, zero_point: int, values: np.ndarray, name: str) -> None:
    """MismatchError if the size or the values of a lossless baseline's stream are not right.

    Sizes are found without encoding, so one picture is coded to see that they are.
    """
    stream = baseline.encode(values, zero_point)
    if 8 * len(stream) != baseline.bits(values, zero_point):
        raise MismatchError(
            f"{baseline.name}, map {name}: a stream of {len(stream)} bytes, "
            f"said to have {baseline.bits(values, zero_point) / 8:g}"
        )
    if not np.array_equal(baseline.decode(stream, values.shape, values.dtype, zero_point), values):
        raise MismatchError(f"{baseline.name}, map {name}: it is not lossless")


def _recode(baseline: Baseline, zero_point: int, values: np.ndarray) -> tuple[np.ndarray, int]:
    """What a lossy baseline gives back of a map, and its bytes on the bus."""
    back = baseline.decode(
        baseline.encode(values, zero_point), values.shape, values.dtype, zero_point
    )
    return back, baseline.bus_bytes(values, zero_point)
