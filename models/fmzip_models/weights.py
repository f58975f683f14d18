"""Weights from a user's file into a network.

For one of the known networks, the file decides width, number of classes and channels of a picture;
everything else must fit.
"""

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from fmzip.errors import FmzipError
from fmzip_models import zoo
from fmzip_models.zoo import IMAGENET_MEAN, IMAGENET_STD, Network

_PREFIX = "module."  # left behind by torch.nn.DataParallel
_COUNTER = "num_batches_tracked"  # of batch norm; only training reads it, and many files lack it
_WRAPPERS = ("state_dict", "model")  # what training scripts call the weights in a checkpoint
_SHOWN = 3  # names of each kind that an error shows


def load(
    path: Path,
    name: str,
    *,
    mean: tuple[float, ...] = IMAGENET_MEAN,
    std: tuple[float, ...] = IMAGENET_STD,
    size: int | None = None,
) -> Network:
    """A known network with the weights of a file, in evaluation mode.

    Parameters
    ----------
    path : ``.pth`` or ``.pt`` (a state dict, or a dict that holds one as ``state_dict`` or
        ``model``) or
        ``.safetensors``; any float type, converted to float32
    name : one of ``zoo.names()``
    mean, std : see ``Network``
    size : see ``Network``; None for the usual one

    Raises
    ------
    ValueError : an unknown name
    FmzipError : the file is missing, unreadable, or holds weights of another network
    """
    zoo.check_name(name)
    known = zoo.ARCHITECTURES[name]
    found = read(path)
    stem, head = found.get(known.stem), found.get(known.head)
    # Where a tensor is missing or of another rank, the usual size stands in for it, and the
    # comparison in ``fill`` says what is wrong.
    width, channels = (None, len(mean)) if stem is None or stem.ndim != 4 else stem.shape[:2]
    classes = None if head is None or head.ndim not in (2, 4) else head.shape[0]
    if channels != len(mean):
        raise FmzipError(
            f"{path}: {known.stem} takes pictures of {channels} channels, expected {len(mean)}"
        )
    network = zoo.build(
        name, width=width, classes=classes, channels=channels, mean=mean, std=std, size=size
    )
    fill(network.module, found, path, name)
    return network


def fill(module: nn.Module, found: dict[str, torch.Tensor], path: Path, name: str) -> None:
    """Put the tensors of a weights file into a network.

    Parameters
    ----------
    found : see ``read``
    path, name : of the file and the network, for messages

    Raises
    ------
    FmzipError : names, shapes or types are not those of the network
    """
    expected = module.state_dict()
    for key, value in expected.items():
        if key.endswith(_COUNTER):
            found.setdefault(key, value)
    problems = _differences(expected, found)
    if problems:
        raise FmzipError(f"{path}: not weights of {name}: {'; '.join(problems)}")
    for key, value in expected.items():
        if value.is_floating_point() and not found[key].is_floating_point():
            raise FmzipError(f"{path}: {key} is {found[key].dtype}, expected a float type")
    module.load_state_dict(found)


def read(path: Path) -> dict[str, torch.Tensor]:
    """The named tensors of a weights file, float32 where they are floats.

    Raises
    ------
    FmzipError : the file is missing, unreadable, no state dict, or has values that are not finite
    """
    if not path.is_file():
        raise FmzipError(f"{path}: no such file; expected weights (.pth, .pt or .safetensors)")
    tensors: object
    try:
        if path.suffix == ".safetensors":
            tensors = load_file(path)
        elif path.suffix in (".pth", ".pt"):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of odd pickles: they are refused, or read
                tensors = torch.load(path, map_location="cpu", weights_only=True)
        else:
            raise FmzipError(f"{path}: weights must be .pth, .pt or .safetensors")
    except FmzipError:
        raise
    except Exception:
        # Pickle, zip and safetensors each have their own errors, with long texts about internals.
        raise FmzipError(
            f"{path}: not readable as weights: damaged, or holds more than plain tensors"
        ) from None
    for key in _WRAPPERS:
        if isinstance(tensors, Mapping) and isinstance(tensors.get(key), Mapping):
            tensors = tensors[key]
    if not isinstance(tensors, Mapping) or not tensors:
        raise FmzipError(f"{path}: holds no state dict (names with tensors)")
    result = {}
    for key, value in tensors.items():
        if not isinstance(key, str) or not isinstance(value, torch.Tensor):
            raise FmzipError(f"{path}: entry {key!r} is no named tensor; expected a state dict")
        if value.is_floating_point():
            value = value.float()
            if not torch.isfinite(value).all():
                raise FmzipError(f"{path}: {key} has values that are not finite")
        result[key.removeprefix(_PREFIX)] = value
    return result


def _differences(
    expected: Mapping[str, torch.Tensor], found: Mapping[str, torch.Tensor]
) -> list[str]:
    shapes = [
        f"{k} is {_shape(found[k])}, expected {_shape(v)}"
        for k, v in expected.items()
        if k in found and found[k].shape != v.shape
    ]
    kinds = (
        ("missing ", [k for k in expected if k not in found]),
        ("unexpected ", [k for k in found if k not in expected]),
        ("", shapes),
    )
    return [kind + _first(items) for kind, items in kinds if items]


def _shape(tensor: torch.Tensor) -> str:
    return "x".join(map(str, tensor.shape)) if tensor.ndim else "a scalar"


def _first(items: Iterable[str]) -> str:
    items = list(items)
    more = len(items) - _SHOWN
    return ", ".join(items[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
