"""What all commands that make a codec file begin with, and how their unfinished work is kept."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from fmzip.errors import FmzipError
from fmzip.experiments.checkpoint import Checkpoint
from fmzip.experiments.evaluate import check_device
from fmzip.experiments.manifest import network_digest, pictures_digest, source_digest
from fmzip.experiments.prepare import CALIBRATION
from fmzip_models.default import open_job
from fmzip_models.pictures import Pictures
from fmzip_models.spec import Input
from fmzip_models.zoo import Network

Progress = Callable[[str, int, int], None]


class MakingConfig(Protocol):
    """What is known of a run; see ``MeasureConfig``."""

    @property
    def model(self) -> str | None: ...
    @property
    def weights(self) -> Path | None: ...
    @property
    def images(self) -> Path | None: ...
    @property
    def input(self) -> Input | None: ...
    @property
    def calibration(self) -> int | None: ...
    @property
    def scales(self) -> str: ...
    @property
    def device(self) -> str: ...
    @property
    def resume(self) -> Path | None: ...


@dataclass(frozen=True)
class Opened:
    """Network and pictures of a run.

    Members
    -------
    indices : of the pictures that the codec is made on
    weights_hash : of the network
    about : what a checkpoint depends on, whatever it holds
    """

    network: Network
    pictures: Pictures
    indices: np.ndarray
    device: torch.device
    weights_hash: str
    about: dict[str, Any]


class Making:
    """One run, which can be interrupted and begun again.

    Parameters
    ----------
    config : what to run
    """

    def __init__(self, config: MakingConfig) -> None:
        self._config = config
        self._checkpoints: list[Checkpoint] = []

    def open(self, what: str, progress: Progress, fold: int = 0) -> Opened:
        """Network and pictures.

        Parameters
        ----------
        what : is made
        fold : which pictures, see ``fmzip_models.pictures.split``

        Raises
        ------
        ValueError, FmzipError : something cannot be used
        """
        config = self._config
        device = check_device(config.device)
        progress("opening network and pictures", 0, 0)
        network, pictures = open_job(config.model, config.weights, config.images, config.input)
        if len(pictures) < 2:
            raise FmzipError("needs two pictures or more: not all of them may calibrate")
        count = config.calibration or min(CALIBRATION, max(1, len(pictures) // 4))
        indices = np.arange(len(pictures))
        if count != len(pictures):  # else nothing is left to evaluate: another collection does that
            indices, _ = pictures.split(count, fold)
        weights_hash = network_digest(network)
        about = {
            "what": what,
            "weights": weights_hash,
            "pictures": pictures_digest(pictures, indices),
            "scales": config.scales,
            "device": config.device,
            "sources": source_digest("fmzip", "fmzip_models"),
        }
        progress(f"calibrating on {len(indices)} pictures", 0, 0)
        return Opened(network, pictures, indices, device, weights_hash, about)

    def checkpoint(self, about: dict[str, Any]) -> Checkpoint:
        """Where work is kept that depends on this."""
        self._checkpoints.append(Checkpoint(about, self._config.resume))
        return self._checkpoints[-1]

    def discard(self) -> None:
        """Remove unfinished work, unless its directory was named by the user."""
        for checkpoint in self._checkpoints:
            checkpoint.discard()
