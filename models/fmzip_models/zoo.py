"""The networks that fmzip knows, with torchvision's parameter names, and what a network is."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import torch
from torch import nn

from fmzip.errors import FmzipError
from fmzip_models.hooks import find
from fmzip_models.maps import Graph
from fmzip_models.nets.cifar import CifarResNet
from fmzip_models.nets.mobilenet import MobileNetV2
from fmzip_models.nets.resnet import BasicBlock, Block, Bottleneck, ResNet
from fmzip_models.nets.squeezenet import SqueezeNet
from fmzip_models.nets.vgg import Vgg16

# Mean and deviation of ImageNet's pixels in 0..1, as torchvision's weights expect them. The usual
# weights of CIFAR networks expect the same.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
IMAGENET_SIZE = 224
CIFAR_SIZE = 32

Builder = Callable[[int, int, int], nn.Module]


@dataclass(frozen=True)
class Architecture:
    """A known network before its numbers of channels and classes are fixed.

    Parameters
    ----------
    builder : makes it from width, classes and channels
    width : the usual number of channels of its stem
    stem, head : names of the first and the last weights, whose shapes say width and classes
    size : the usual side of its pictures in pixels
    classes : the usual number of classes
    """

    builder: Builder
    width: int = 64
    stem: str = "conv1.weight"
    head: str = "fc.weight"
    size: int = IMAGENET_SIZE
    classes: int = 1000


def _resnet(block: Block, depths: tuple[int, ...]) -> Architecture:
    return Architecture(partial(ResNet, block, depths))


def _vgg(norm: bool) -> Architecture:
    return Architecture(partial(Vgg16, norm), 64, "features.0.weight", "classifier.6.weight")


def _squeezenet(version: str, width: int) -> Architecture:
    builder = partial(SqueezeNet, version)
    return Architecture(builder, width, "features.0.weight", "classifier.1.weight")


def _cifar(depth: int) -> Architecture:
    builder = partial(CifarResNet, depth)
    return Architecture(builder, 16, head="linear.weight", size=CIFAR_SIZE, classes=10)


ARCHITECTURES = {
    "resnet18": _resnet(BasicBlock, (2, 2, 2, 2)),
    "resnet34": _resnet(BasicBlock, (3, 4, 6, 3)),
    "resnet50": _resnet(Bottleneck, (3, 4, 6, 3)),
    "mobilenet_v2": Architecture(MobileNetV2, 32, "features.0.0.weight", "classifier.1.weight"),
    "vgg16": _vgg(norm=False),
    "vgg16_bn": _vgg(norm=True),
    "squeezenet1_0": _squeezenet("1_0", 96),
    "squeezenet1_1": _squeezenet("1_1", 64),
    "cifar_resnet20": _cifar(3),
    "cifar_resnet32": _cifar(5),
    "cifar_resnet44": _cifar(7),
    "cifar_resnet56": _cifar(9),
    "cifar_resnet110": _cifar(18),
}


@dataclass(frozen=True)
class Network:
    """A network and what its pictures must look like.

    Parameters
    ----------
    name : for messages and results
    module : float32 [n, channels, size, size] to logits [n, classes]
    mean, std : of each colour channel, for pixels in 0..1
    size : side of the input in pixels

    Raises
    ------
    ValueError : ``mean`` and ``std`` differ in number, or a number is impossible
    """

    name: str
    module: nn.Module
    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: int

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"size must be at least 1 pixel, not {self.size}")
        if not all(std > 0 for std in self.std):
            raise ValueError(f"std must be above 0, not {', '.join(f'{s:g}' for s in self.std)}")
        if len(self.mean) != len(self.std):
            raise ValueError(f"mean has {len(self.mean)} channels, std has {len(self.std)}")

    @property
    def channels(self) -> int:
        """Channels of a picture."""
        return len(self.mean)

    @cached_property
    def classes(self) -> int:
        """Number of logits, found by running the network once, so for any architecture.

        Raises
        ------
        FmzipError : it returns something else than logits [n, classes]
        """
        result = self.graph.run(torch.zeros(1, *self.shape))
        if not isinstance(result, torch.Tensor) or result.ndim != 2 or len(result) != 1:
            kind = type(result).__name__
            found = list(result.shape) if isinstance(result, torch.Tensor) else f"a {kind}"
            raise FmzipError(f"{self.name}: returns {found}, expected logits [n, classes]")
        return result.shape[1]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of a picture."""
        return self.channels, self.size, self.size

    @cached_property
    def graph(self) -> Graph:
        """The maps that the network stores, and a way to run it that shows them.

        Raises
        ------
        FmzipError : see ``hooks.find``
        """
        return find(self.module, self.shape)

    def normalise(self, pictures: np.ndarray) -> torch.Tensor:
        """The network's input: ``(pixel / 255 - mean) / std``.

        Parameters
        ----------
        pictures : uint8 [n, size, size, channels]

        Returns
        -------
        float32 [n, channels, size, size]

        Raises
        ------
        TypeError : not uint8
        ValueError : another shape
        """
        if pictures.dtype != np.uint8:
            raise TypeError(f"pictures must be uint8, not {pictures.dtype}")
        expected = (self.size, self.size, self.channels)
        if pictures.shape[1:] != expected:
            raise ValueError(f"pictures must be [n, *{expected}], not {pictures.shape}")
        pixels = torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2))).float()
        mean, std = (torch.tensor(v).view(1, -1, 1, 1) for v in (self.mean, self.std))
        return (pixels / 255 - mean) / std


def names() -> tuple[str, ...]:
    """Names of the known networks."""
    return tuple(ARCHITECTURES)


def check_name(name: str) -> None:
    """Raise ValueError where ``name`` is not one of ``names()``."""
    if name not in ARCHITECTURES:
        raise ValueError(f"unknown network {name!r}; known are {', '.join(ARCHITECTURES)}")


def build(
    name: str,
    *,
    width: int | None = None,
    classes: int | None = None,
    channels: int = 3,
    mean: tuple[float, ...] = IMAGENET_MEAN,
    std: tuple[float, ...] = IMAGENET_STD,
    size: int | None = None,
) -> Network:
    """A known network with random weights, in evaluation mode.

    Parameters
    ----------
    name : one of ``names()``
    width : channels of the stem, None for the usual number; the other layers scale with it
    classes : number of logits, None for the usual number
    channels : channels of a picture; ``mean`` and ``std`` have as many
    mean, std : see ``Network``
    size : see ``Network``; None for the usual one

    Raises
    ------
    ValueError : an unknown name, or a count that is impossible
    """
    check_name(name)
    known = ARCHITECTURES[name]
    width = known.width if width is None else width
    classes = known.classes if classes is None else classes
    for what, count in (("width", width), ("classes", classes), ("channels", channels)):
        if count < 1:
            raise ValueError(f"{what} must be at least 1, not {count}")
    if len(mean) != channels:
        raise ValueError(f"mean must have {channels} channels, not {len(mean)}")
    module = known.builder(width, classes, channels).eval()
    return Network(name, module, mean, std, known.size if size is None else size)
