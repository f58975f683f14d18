"""What is made on the calibration pictures: scales, steps and masks."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fmzip import codecfile
from fmzip.baselines import Bits4, bits4_step
from fmzip.codecfile import CodecFile
from fmzip.codecs import CODECS
from fmzip.errors import FmzipError
from fmzip.experiments.entries import entries
from fmzip.experiments.evaluate import Task, cores, one_thread
from fmzip.experiments.manifest import network_digest
from fmzip.experiments.project import project
from fmzip.reference.tiling import DTYPES
from fmzip_models.capture import Calibration, calibrate, capture
from fmzip_models.in_loop import frame_configs
from fmzip_models.masks import BlockSample, worth_their_bits
from fmzip_models.pictures import Pictures
from fmzip_models.zoo import Network

if TYPE_CHECKING:
    from fmzip.experiments.measure import MeasureConfig

CALIBRATION = 64  # pictures, where the user says nothing
_MASK_PICTURES = 16  # of them that masks are found on: they have millions of blocks


def prepare(
    config: "MeasureConfig", network: Network, pictures: Pictures, calibration: np.ndarray
) -> Task:
    """Calibrate, and say what every batch is to be computed with.

    Parameters
    ----------
    calibration : indices of the pictures
    """
    chosen = entries(config.codecs, config.steps)
    weights_hash = network_digest(network)
    files = {e.name: codecfile.load(e.file) for e in chosen if e.file is not None}
    for entry in chosen:
        if entry.name in files:
            check_file(entry.file, files[entry.name], network, weights_hash)
    with one_thread():
        found = calibrate(network, pictures, calibration, config.scales)
        configs = {
            entry.name: frame_configs(
                CODECS[entry.method], network.graph.maps, found, entry.step_std
            )
            for entry in chosen
            if entry.method in CODECS and entry.step_std is not None
        }
        if config.masks == "calibrated" and configs:
            some = calibration[:: max(1, len(calibration) // _MASK_PICTURES)]
            samples = _samples(network, pictures, some, found)
            configs = {
                name: {m: worth_their_bits(samples[m], frame) for m, frame in frames.items()}
                for name, frames in configs.items()
            }
        projected = project(network, pictures, calibration, config.scales, chosen)
    configs |= projected.configs
    for name, file in files.items():
        configs[name] = {m: layer.frame() for m, layer in file.layers.items()}
    return Task(
        config.model, config.weights, config.images, config.input, config.batch, config.device,
        config.workers or cores(), chosen, weights_hash, found.scales, configs,
        _bits4_steps(found) if any(entry.method == Bits4.name for entry in chosen) else {},
        files, projected.scales, projected.codings,
    )  # fmt: skip


def check_file(path: Path | None, codec: CodecFile, network: Network, weights_hash: str) -> None:
    """FmzipError where a codec file was made for another network."""
    if codec.weights_hash != weights_hash:
        raise FmzipError(
            f"{path}: was made for {codec.network} with weights {codec.weights_hash[:8]}, "
            f"this is {network.name} with {weights_hash[:8]}"
        )
    found = {m.name: m.shape for m in network.graph.maps}
    expected = {name: layer.shape for name, layer in codec.maps.items()}
    for name in found.keys() | expected.keys():
        if found.get(name) != expected.get(name):
            raise FmzipError(
                f"{path}: map {name} is {expected.get(name, 'missing')}, "
                f"the network's is {found.get(name, 'missing')}"
            )


def _bits4_steps(found: Calibration) -> dict[str, float]:
    """Step of each map for 4 bits, by its name."""
    return {
        name: bits4_step(counts, DTYPES[found.scales[name].dtype], found.scales[name].zero_point)
        for name, counts in found.counts.items()
    }


def _samples(
    network: Network, pictures: Pictures, indices: np.ndarray, found: Calibration
) -> dict[str, BlockSample]:
    """Blocks of each map, by its name."""
    samples = {m.name: BlockSample() for m in network.graph.maps}
    for maps in capture(network, pictures, indices, found.scales):
        for stored in maps:
            samples[stored.name].add(stored.values, stored.scale.zero_point)
    return samples
