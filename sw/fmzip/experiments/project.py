"""Projections of codecs by name, made on the calibration pictures."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch

from fmzip.experiments.entries import Entry
from fmzip.format import COMPONENT_MAX, FrameConfig
from fmzip.projection import ProjectionCoding
from fmzip_models import capture, pca
from fmzip_models.in_loop import FakeQuantiser
from fmzip_models.maps import Map
from fmzip_models.pca import Components, Fit, Shape
from fmzip_models.pictures import Pictures
from fmzip_models.quantise import Scale
from fmzip_models.zoo import Network

_COUNT_PICTURES = 16  # of those that calibrate: they have millions of symbols
_RANGE = 8.0  # standard deviations of the largest component that symbols reach at least


@dataclass
class Projected:
    """What was found.

    Members
    -------
    scales : of each map in front of its ReLU, by its name
    configs, codings : by name of the entry and of the map
    """

    scales: dict[str, Scale] = field(default_factory=dict)
    configs: dict[str, dict[str, FrameConfig]] = field(default_factory=dict)
    codings: dict[str, dict[str, ProjectionCoding]] = field(default_factory=dict)


def step_lsb(step_std: float, std_lsb: float, components: Components) -> float:
    """A step in standard deviations of a map, in LSB, as fine as symbols can be.

    The largest component must fit: 8 of its standard deviations into the range of symbols.
    """
    largest = float(np.sqrt(components.variance.max()))
    return max(step_std * std_lsb, _RANGE * largest / COMPONENT_MAX, 0.25)


def project(
    network: Network, pictures: Pictures, indices: np.ndarray, method: str,
    entries: tuple[Entry, ...],
) -> Projected:  # fmt: skip
    """Projections for all entries that need them.

    Parameters
    ----------
    indices : of the calibration pictures
    method : of the scales, see ``capture.calibrate``
    """
    chosen = [entry for entry in entries if entry.projection is not None]
    found = Projected()
    if not chosen:
        return found
    maps = network.graph.maps
    calibration = capture.calibrate(network, pictures, indices, method, before_relu=True)
    found.scales = calibration.scales

    def each(see: Callable[[Map, torch.Tensor], None], every: int = 1) -> None:
        for _ in capture.run(network, pictures, indices[::every], see, before_relu=True):
            pass

    shapes: dict[str, dict[str, Shape]] = {}
    known: dict[tuple[int, int], dict[str, Components]] = {}
    for entry in chosen:
        codec = entry.projection
        assert codec is not None
        shapes[entry.name] = {m.name: pca.shape_for(m, codec.side, codec.groups) for m in maps}
        key = codec.side, codec.groups
        if key not in known:
            known[key] = pca.moments(maps, found.scales, shapes[entry.name], each)
    fits: dict[str, dict[str, Fit]] = {}
    for entry in chosen:
        codec = entry.projection
        assert codec is not None
        assert entry.step_std is not None
        fits[entry.name] = {}
        for m in maps:
            components = known[codec.side, codec.groups][m.name]
            step = step_lsb(entry.step_std, calibration.std_lsb[m.name], components)
            kept = components.kept(step, explained=codec.explained)
            linear = components.linear(step, kept)
            shape = shapes[entry.name][m.name]
            fits[entry.name][m.name] = Fit(m, found.scales[m.name], shape, linear, codec.codebooks)
    quantisers = {name: FakeQuantiser(scale) for name, scale in found.scales.items()}

    def count(m: Map, values: torch.Tensor) -> None:
        stored = quantisers[m.name].quantise(values)
        for of in fits.values():
            of[m.name](stored)

    each(count, max(1, len(indices) // _COUNT_PICTURES))
    for name, of in fits.items():
        finished = {m.name: of[m.name].finish() for m in maps}
        found.configs[name] = {m: config for m, (config, _) in finished.items()}
        found.codings[name] = {m: coding for m, (_, coding) in finished.items()}
    return found
