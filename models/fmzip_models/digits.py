"""The embedded default: a narrow ResNet-18 on scikit-learn's handwritten digits. A STAND-IN.

It lets the whole product run with nothing downloaded. Its maps are small and its pictures simple:
what it measures shows that everything works, not what a real network saves. For that, give
``--model``, ``--weights`` and ``--images``.

The digits are ``sklearn.datasets.load_digits``: 1797 scans of 8x8 pixels in 17 greys, from E.
Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository,
CC BY 4.0. The weights were made by ``python -m fmzip_models.train``.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from fmzip.errors import FmzipError
from fmzip_models import weights
from fmzip_models.pictures import ArrayPictures
from fmzip_models.zoo import Network

NAME = "digits_resnet18"
NETWORK = "resnet18"
SCANS = 1797
CLASSES = 10
WIDTH = 16
SCAN = 8  # side of a scan in pixels
ZOOM = 8
SIZE = SCAN * ZOOM
GREYS = 16  # a scan's pixels are 0 to 16
MEAN, STD = (0.305,), (0.325,)  # of the enlarged scans

DATA = Path(__file__).parent / "data"
WEIGHTS = f"{NAME}.safetensors"
MANIFEST = f"{NAME}.json"


def load(directory: Path = DATA) -> tuple[Network, ArrayPictures]:
    """The stand-in network and all digits, the training part first.

    The training part is reserved: ``pictures.split`` takes calibration pictures from it, and leaves
    the held-out digits, which training never saw, for evaluation.

    Parameters
    ----------
    directory : where ``train`` wrote weights and manifest

    Raises
    ------
    FmzipError : weights or manifest are missing or do not belong together
    """
    manifest = read_manifest(directory)
    path = directory / WEIGHTS
    digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
    if digest not in (None, manifest["weights_sha256"]):
        raise FmzipError(f"{path}: its SHA-256 is not the one in {MANIFEST}")
    network = weights.load(path, NETWORK, mean=MEAN, std=STD, size=SIZE)
    network = Network(NAME, network.module, MEAN, STD, SIZE)
    return network, pictures(manifest["held_out_scans"])


def read_manifest(directory: Path = DATA) -> dict[str, Any]:
    """The manifest beside the weights; its ``held_out_scans`` are those that training did not see.

    Raises
    ------
    FmzipError : it is missing or damaged
    """
    path = directory / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        if not {"held_out_scans", "weights_sha256"} <= manifest.keys():
            raise ValueError
    except (OSError, ValueError, AttributeError):
        raise FmzipError(
            f"{path}: missing or damaged; python -m fmzip_models.train makes it"
        ) from None
    return manifest


def pictures(held_out: list[int]) -> ArrayPictures:
    """All digits enlarged, those of the training part first, and reserved.

    Parameters
    ----------
    held_out : numbers of the scans that are behind them
    """
    from sklearn.datasets import load_digits  # seconds to import, and only needed here

    scans = load_digits()
    behind = np.asarray(held_out)
    order = np.concatenate((np.setdiff1d(np.arange(len(scans.target)), behind), behind))
    return ArrayPictures(
        [f"digit {k}" for k in order],
        scans.target[order],
        enlarge(scans.images[order]),
        reserved=len(order) - len(behind),
    )


def enlarge(scans: np.ndarray) -> np.ndarray:
    """Scans as pictures, bilinear: [n, 8, 8] with values 0..16 to uint8 [n, 64, 64, 1].

    In integers, so that the pictures are the same on every machine and with every library.
    """
    # Sample k lies at scan pixel (k + 1/2) / ZOOM - 1/2; the borders are repeated.
    unit = 2 * ZOOM
    place = np.clip(2 * np.arange(SIZE) + 1 - ZOOM, 0, (SCAN - 1) * unit)
    low = np.minimum(place // unit, SCAN - 2)
    spread = np.zeros((SIZE, SCAN), np.int64)  # rows sum up to ``unit``
    spread[np.arange(SIZE), low] = unit - (place - low * unit)
    spread[np.arange(SIZE), low + 1] = place - low * unit
    sums = spread @ scans.astype(np.int64) @ spread.T
    top = GREYS * unit**2
    return ((sums * 255 + top // 2) // top).astype(np.uint8)[..., None]
