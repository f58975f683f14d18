"""What is made on the calibration pictures: scales, steps and masks."""

from typing import TYPE_CHECKING

import numpy as np

from fmzip.baselines import Bits4, bits4_step
from fmzip.codecs import CODECS
from fmzip.experiments.entries import entries
from fmzip.experiments.evaluate import Task, cores, one_thread
from fmzip.experiments.manifest import network_digest
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
    with one_thread():
        found = calibrate(network, pictures, calibration, config.scales)
        configs = {
            entry.name: frame_configs(
                CODECS[entry.method], network.graph.maps, found, entry.step_std
            )
            for entry in chosen
            if entry.step_std is not None
        }
        if config.masks == "calibrated" and configs:
            some = calibration[:: max(1, len(calibration) // _MASK_PICTURES)]
            samples = _samples(network, pictures, some, found)
            configs = {
                name: {m: worth_their_bits(samples[m], frame) for m, frame in frames.items()}
                for name, frames in configs.items()
            }
    return Task(
        config.model, config.weights, config.images, config.input, config.batch, config.device,
        config.workers or cores(), chosen, network_digest(network), found.scales, configs,
        _bits4_steps(found) if any(entry.method == Bits4.name for entry in chosen) else {},
    )  # fmt: skip


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
