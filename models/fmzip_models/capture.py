"""The feature maps that a network stores for given pictures, as the integers on the bus.

What a picture's maps are does not depend on the pictures around it, nor on how many are asked for.
PyTorch and oneDNN choose a kernel by the size of the batch, and kernels differ in the last bit of a
sum. So the network always runs on ``BATCH`` pictures, the last ones being black where fewer are
left: then every picture sees the same kernels. Neither library promises that a picture's place in
the batch changes nothing; a test watches it. On another kind of processor a value that lies close
to the middle between two integers may be rounded to the other one.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from fmzip.errors import FmzipError
from fmzip_models import quantise
from fmzip_models.graph import AtMap, Map
from fmzip_models.pictures import Pictures
from fmzip_models.quantise import Scale
from fmzip_models.zoo import Network

BATCH = 8  # pictures that run at once; more are hardly faster, and their maps take memory

Indices = Sequence[int] | np.ndarray


@dataclass(frozen=True)
class StoredMap:
    """A feature map of one picture as it is stored.

    Members
    -------
    name : see ``Map``
    values : uint8 or int8 [C, H, W]
    scale : what the integers stand for
    reads : how often it is fetched
    """

    name: str
    values: np.ndarray
    scale: Scale
    reads: int


@dataclass(frozen=True)
class Calibration:
    """What the calibration pictures say about each map, by its name.

    Members
    -------
    scales : how it is quantised
    counts : how often each of its integers occurs, from the type's lowest, over all pictures:
        int64 [256]
    """

    scales: dict[str, Scale]
    counts: dict[str, np.ndarray]

    @cached_property
    def std_lsb(self) -> dict[str, float]:
        """Standard deviation of each map's integers, in LSB."""
        return {name: _deviation(counts) for name, counts in self.counts.items()}


def logits(
    network: Network,
    pictures: Pictures,
    indices: Indices,
    at_map: AtMap | None = None,
) -> np.ndarray:
    """Logits of pictures: float32 [len(indices), classes].

    Parameters
    ----------
    indices : of the pictures, in this order
    at_map : sees and may change each map of up to ``BATCH`` pictures, see ``Graph.run``
    """
    if len(indices) == 0:
        return np.empty((0, network.classes), np.float32)
    return torch.cat(list(run(network, pictures, indices, at_map))).numpy()


def calibrate(
    network: Network,
    pictures: Pictures,
    indices: Indices,
    method: str = "max",
    *,
    before_relu: bool = False,
    below: float | None = None,
) -> Calibration:
    """Static scales of all maps, made on some pictures.

    The pictures run two times, three times where the method needs histograms: to keep all floats
    instead would take gigabytes.

    Parameters
    ----------
    indices : of the calibration pictures, at least one
    method : one of ``quantise.METHODS``
    before_relu : see ``Graph.run``
    below : in front of a ReLU, how far the range reaches below 0, relative to how far above: what
        is lower is 0 behind the ReLU anyway, and finer integers are left for the rest. None for all

    Raises
    ------
    ValueError : no pictures, or an unknown method
    FmzipError : the network's values overflow
    """
    quantise.check_method(method)
    if len(indices) == 0:
        raise ValueError("calibration needs at least one picture")
    maps = network.graph.maps

    def each(at_map: AtMap) -> None:
        for _ in run(network, pictures, indices, at_map, before_relu=before_relu):
            pass

    def signed(m: Map) -> bool:
        return is_signed(m, before_relu)

    ranges = {m.name: (0.0, 0.0) for m in maps}  # a range always holds 0

    def find_range(m: Map, values: torch.Tensor) -> None:
        low, high = float(values.min()), float(values.max())
        if not math.isfinite(low) or not math.isfinite(high):
            raise FmzipError(f"{network.name}: values of {m.name} are not finite")
        ranges[m.name] = min(low, ranges[m.name][0]), max(high, ranges[m.name][1])

    each(find_range)
    if method != "max":
        counts = {m.name: np.zeros(quantise.BINS, np.int64) for m in maps}

        def count(m: Map, values: torch.Tensor) -> None:
            counts[m.name] += quantise.histogram(values.numpy(), *ranges[m.name])

        each(count)
        for m in maps:
            ranges[m.name] = quantise.clip_range(counts[m.name], *ranges[m.name], method, signed(m))
    for m in maps:
        if before_relu and m.relu and below is not None:
            low, high = ranges[m.name]
            ranges[m.name] = max(low, -below * high), high
    # Where the network quantises a map itself, its integers are the ones that are stored.
    scales = {m.name: m.scale or quantise.from_range(*ranges[m.name], signed(m)) for m in maps}
    codes = {m.name: np.zeros(256, np.int64) for m in maps}  # how often each integer occurs

    def count_codes(m: Map, values: torch.Tensor) -> None:
        scale = scales[m.name]
        stored = scale.quantise(values.numpy()).ravel().astype(np.int64)
        codes[m.name] += np.bincount(stored - scale.limits[0], minlength=256)

    each(count_codes)
    return Calibration(scales, codes)


def capture(
    network: Network,
    pictures: Pictures,
    indices: Indices,
    scales: Mapping[str, Scale],
    *,
    before_relu: bool = False,
) -> Iterator[list[StoredMap]]:
    """The stored maps of pictures, one list per picture, in the order of storing.

    The network itself goes on with the float values: what is stored here is what an accelerator
    without compression would store, whatever its other layers make of it.

    Parameters
    ----------
    indices : of the pictures, in this order
    scales : of each map, by its name, see ``calibrate``
    before_relu : see ``Graph.run``

    Raises
    ------
    ValueError : a map has no scale
    """
    missing = [m.name for m in network.graph.maps if m.name not in scales]
    if missing:
        raise ValueError(f"no scale for {missing[0]} and {len(missing) - 1} more maps")
    stored: list[list[StoredMap]] = []

    def store(m: Map, values: torch.Tensor) -> None:
        scale = scales[m.name]
        for maps, codes in zip(stored, scale.quantise(values.numpy()), strict=True):
            maps.append(StoredMap(m.name, codes, scale, m.reads))

    for start in range(0, len(indices), BATCH):
        batch = indices[start : start + BATCH]
        stored[:] = [[] for _ in batch]
        for _ in run(network, pictures, batch, store, before_relu=before_relu):
            yield from stored


def is_signed(m: Map, before_relu: bool) -> bool:
    """True where a map can hold negative values as it is stored."""
    return m.signed or (before_relu and m.relu)


def run(
    network: Network, pictures: Pictures, indices: Indices, at_map: AtMap | None, *,
    before_relu: bool = False,
) -> Iterator[torch.Tensor]:  # fmt: skip
    """Run the network batch by batch: logits, float32 [up to BATCH, classes]."""
    for start in range(0, len(indices), BATCH):
        batch = pictures.read(indices[start : start + BATCH])
        n = len(batch)

        def wanted(m: Map, values: torch.Tensor, n: int = n) -> torch.Tensor | None:
            changed = at_map(m, values[:n]) if at_map else None
            return changed if changed is None else torch.cat((changed, values[n:]))

        full = np.zeros((BATCH, *batch.shape[1:]), np.uint8)
        full[:n] = batch
        yield network.graph.run(network.normalise(full), wanted, before_relu=before_relu)[:n]


def _deviation(counts: np.ndarray) -> float:
    """Standard deviation of numbers of which ``counts[k]`` are ``k``."""
    numbers = np.arange(len(counts))
    mean = counts @ numbers / counts.sum()
    return float(np.sqrt(counts @ (numbers - mean) ** 2 / counts.sum()))
