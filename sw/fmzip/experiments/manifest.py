"""What a result depends on: configuration, versions, commit, and digests of model and data."""

import hashlib
import importlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fmzip.experiments.entries import FILE_SUFFIX
from fmzip.experiments.provenance import provenance
from fmzip_models.pictures import Pictures
from fmzip_models.zoo import Network

if TYPE_CHECKING:
    from fmzip.experiments.measure import MeasureConfig

_CHUNK = 16  # pictures that are decoded at once
_DIGITS = 32  # of a digest, hexadecimal


def network_digest(network: Network) -> str:
    """Digest of all parameters and buffers, by their names; SHA-256, shortened."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.module.state_dict().items()):
        array = np.ascontiguousarray(tensor.detach().cpu().numpy())
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
        digest.update(array.data)
    return digest.hexdigest()[:_DIGITS]


def pictures_digest(
    pictures: Pictures,
    indices: Sequence[int] | np.ndarray,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> str:
    """Digest of pictures as the network gets them, their names and labels; SHA-256, shortened."""
    digest = hashlib.sha256()
    for start in range(0, len(indices), _CHUNK):
        progress(start, len(indices))
        part = indices[start : start + _CHUNK]
        for index, pixels in zip(part, pictures.read(part), strict=True):
            about = f"{pictures.names[index]} {pictures.labels[index]} {pixels.shape}\n"
            digest.update(about.encode())
            digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()[:_DIGITS]


def source_digest(*packages: str) -> str:
    """Digest of the Python sources of packages, so that work of other code is not taken over."""
    digest = hashlib.sha256()
    for package in packages:
        root = Path(importlib.import_module(package).__path__[0])
        for path in sorted(root.rglob("*.py")):
            digest.update(f"{package}/{path.relative_to(root)}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:_DIGITS]


def manifest(
    config: "MeasureConfig", network: Network, *, weights_hash: str, data_hash: str,
    pictures: tuple[int, int],
) -> dict[str, Any]:  # fmt: skip
    """Everything that the results depend on, as JSON values; of files, only their names.

    Parameters
    ----------
    pictures : numbers of calibration and evaluation pictures
    """
    found = provenance()
    commit = found.pop("commit", None)
    with suppress(PackageNotFoundError):  # then nothing here is made with it
        found["zstandard"] = version("zstandard")
    settings = {
        "model": _short(config.model),
        "weights": _short(config.weights),
        "images": _short(config.images),
        "size": network.size,
        "mean": list(network.mean),
        "std": list(network.std),
        "codecs": [_short(name) for name in config.codecs],
        "codec_files": {
            Path(name).name: hashlib.sha256(Path(name).read_bytes()).hexdigest()[:_DIGITS]
            for name in config.codecs
            if name.endswith(FILE_SUFFIX)
        },
        "steps_std": list(config.steps),
        "masks": config.masks,
        "scales": config.scales,
        "limit": config.limit,
        "batch": config.batch,
        "device": config.device,
        "fold": config.fold,
    }
    return {
        "network": network.name,
        "stand_in": config.model is None,
        "command": _command(config),
        "config": settings,
        "versions": found,
        "commit": commit,
        "seed": config.seed,
        "data_hash": data_hash,
        "weights_hash": weights_hash,
        "calibration_pictures": pictures[0],
        "evaluation_pictures": pictures[1],
    }


def _short(path: str | Path | None) -> str | None:
    """The last part of a path: the others say where a machine keeps its files."""
    return None if path is None else Path(path).name


def _command(config: "MeasureConfig") -> str:
    """The command line of a run, without what does not change its results."""
    given = {
        "model": _short(config.model),
        "weights": _short(config.weights),
        "images": _short(config.images),
        "codec": ",".join(str(_short(name)) for name in config.codecs),
        "limit": config.limit,
        "calibration": config.calibration,
        "fold": config.fold or None,
        "scales": config.scales if config.scales != "max" else None,
        "masks": config.masks if config.masks != "calibrated" else None,
        "device": config.device if config.device != "cpu" else None,
        "batch": config.batch if config.batch != 8 else None,
        "seed": config.seed if config.seed != 1 else None,
        "size": config.size,
        "mean": _numbers(config.mean),
        "std": _numbers(config.std),
    }
    steps = _numbers(config.steps)
    options = [f"--{name} {value}" for name, value in given.items() if value is not None]
    return " ".join(["fmzip measure", *options, f"--steps {steps}"])


def _numbers(values: Sequence[float] | None) -> str | None:
    return None if values is None else ",".join(f"{v:g}" for v in values)
