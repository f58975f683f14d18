"""What a user may give as ``--model``, and the network that it stands for.

- one of ``zoo.names()``, such as ``resnet18``
- ``FILE.py:NAME``: a module, or what returns one, in the user's own file, see ``user_file``
- ``FILE.onnx``, see ``onnx_import``

Size and normalisation of the pictures come from, in this order: the caller; what the user's code
says (attributes ``size``, ``mean`` and ``std`` of the callable, or a dict ``pretrained_cfg`` or
``default_cfg`` of the network, as timm has it), or the fixed size of an ONNX input; for a known
network, its usual ones; the pictures, where all are squares of one size; ImageNet's.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from fmzip.errors import FmzipError
from fmzip_models import archive, user_file, weights, zoo
from fmzip_models.zoo import IMAGENET_MEAN, IMAGENET_SIZE, IMAGENET_STD, Network

_CALLABLE = re.compile(r"(?P<file>.+\.py):(?P<name>\w+)")
_ONNX = ".onnx"
_FORMS = ("FILE.py:CALLABLE", "FILE.onnx")


@dataclass(frozen=True)
class Input:
    """What is known about a network's pictures; None where nothing is.

    Parameters
    ----------
    size : side in pixels
    mean, std : of each channel, for pixels in 0..1

    Raises
    ------
    ValueError : only one of ``mean`` and ``std`` is given
    """

    size: int | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if (self.mean is None) != (self.std is None):
            raise ValueError("mean and std must be given together")

    def otherwise(self, other: "Input") -> "Input":
        """This, and what ``other`` knows where this knows nothing."""
        known = self if self.mean is not None else replace(self, mean=other.mean, std=other.std)
        return known if known.size is not None else replace(known, size=other.size)


def open_network(
    model: str, weights_file: Path | None = None, given: Input | None = None,
    images: Path | None = None,
) -> Network:  # fmt: skip
    """The network that a user means.

    Parameters
    ----------
    model : see above
    weights_file : see ``weights.load``; without, a known network has random weights, and others
        have those that they bring
    given : what the caller knows about the pictures
    images : the pictures, see ``archive.open_pictures``; their size may be taken

    Raises
    ------
    ValueError : ``model`` is none of the above
    FmzipError : a file is missing, or what is in it cannot be used
    """
    given = given or Input()
    if model.endswith(_ONNX):
        return _from_onnx(model, weights_file, given, images)
    parts = _CALLABLE.fullmatch(model)
    if parts:
        return _from_file(model, parts, weights_file, given, images)
    check(model)
    mean, std = given.mean or IMAGENET_MEAN, given.std or IMAGENET_STD
    if weights_file is None:
        return zoo.build(model, channels=len(mean), mean=mean, std=std, size=given.size)
    return weights.load(weights_file, model, mean=mean, std=std, size=given.size)


def check(model: str) -> None:
    """Raise ValueError where ``model`` is nothing that ``open_network`` knows."""
    if model.endswith(_ONNX) or _CALLABLE.fullmatch(model) or model in zoo.names():
        return
    known = ", ".join((*zoo.names(), *_FORMS))
    raise ValueError(f"unknown network {model!r}; known are {known}")


def brings_weights(model: str) -> bool:
    """True where no weights file is needed."""
    return model not in zoo.names()


def _from_file(
    model: str, parts: re.Match[str], weights_file: Path | None, given: Input, images: Path | None
) -> Network:
    path = Path(parts["file"])
    module, found = user_file.load(path, parts["name"])
    if weights_file is not None:
        weights.fill(module, weights.read(weights_file), weights_file, model)
    name = f"{path.name}:{parts['name']}"
    return _network(name, module, given.otherwise(_said_by(found, module)), images)


def _from_onnx(model: str, weights_file: Path | None, given: Input, images: Path | None) -> Network:
    if weights_file is not None:
        raise ValueError(f"{model} brings its own weights: leave --weights out")
    from fmzip_models import onnx_import  # its package is an extra

    path = Path(model)
    sizes = onnx_import.input_shape(path)
    if sizes.side is not None and given.size not in (None, sizes.side):
        raise FmzipError(
            f"{path}: takes pictures of {sizes.side} pixels, not {given.size}: export it with "
            "another size"
        )
    known = given.otherwise(Input(sizes.side))
    prepared = _prepared(path.name, known, sizes.channels, images)
    module = onnx_import.load(path, (len(prepared.mean), prepared.size, prepared.size))
    return replace(prepared, module=module)


def _network(name: str, module: nn.Module, known: Input, images: Path | None) -> Network:
    first = next((m for m in module.modules() if isinstance(m, nn.Conv2d)), None)
    return replace(
        _prepared(name, known, first.in_channels if first else None, images), module=module
    )


def _prepared(name: str, known: Input, channels: int | None, images: Path | None) -> Network:
    """A network without its module."""
    if known.mean is None and channels == 1:
        raise ValueError(
            f"{name}: takes grey pictures, whose normalisation has no default; say which mean and "
            "std (of pixels in 0..1)"
        )
    size = known.size
    if size is None and images is not None:
        size = archive.common_side(images)
    return Network(
        name,
        nn.Identity(),
        known.mean or IMAGENET_MEAN,
        known.std or IMAGENET_STD,
        size or IMAGENET_SIZE,
    )


def _said_by(found: object, module: nn.Module) -> Input:
    """What the user's code says about its pictures."""
    said = Input()
    if not isinstance(found, nn.Module):  # a network may well have a ``mean`` for itself
        pair = _pair(getattr(found, "mean", None), getattr(found, "std", None))
        said = Input(_side(getattr(found, "size", None)), *pair)
    for name in ("pretrained_cfg", "default_cfg"):
        config = getattr(module, name, None)
        if isinstance(config, dict):
            pair = _pair(config.get("mean"), config.get("std"))
            said = said.otherwise(Input(_side(config.get("input_size")), *pair))
    return said


def _side(value: Any) -> int | None:
    """Pixels along a side: of a number, or of the shape of a square picture."""
    if isinstance(value, Sequence) and value and value[-1] == value[min(1, len(value) - 1)]:
        value = value[-1]
    return value if isinstance(value, int) and value > 0 else None


def _pair(mean: Any, std: Any) -> tuple[tuple[float, ...] | None, tuple[float, ...] | None]:
    found = []
    for value in (mean, std):
        try:
            numbers = torch.as_tensor(value, dtype=torch.float64).flatten().tolist()
        except (TypeError, ValueError, RuntimeError):
            return None, None  # methods of a class may have these names
        found.append(tuple(numbers))
    return (found[0], found[1]) if len(found[0]) == len(found[1]) in (1, 3) else (None, None)
