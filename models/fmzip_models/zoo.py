"""The networks that fmzip knows: residual networks with torchvision's parameter names.

Source: He et al., "Deep Residual Learning for Image Recognition", arXiv 1512.03385, table 1; the
stride of a bottleneck sits on its 3x3 convolution, as in torchvision. Every ReLU is a module of its
own, so that a hook on it, or its node in a trace, stands for exactly one tensor.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import nn

from fmzip_models.graph import Graph, trace

# Mean and deviation of ImageNet's pixels in 0..1, as torchvision's weights expect them.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
IMAGENET_SIZE = 224


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a skip: [n, inputs, H, W] to [n, width, H / stride, W / stride]."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int, downsample: nn.Module | None) -> None:
        super().__init__()
        self.conv1 = _conv(inputs, width, 3, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU()
        self.conv2 = _conv(width, width, 3)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = downsample
        self.relu2 = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        skip = x if self.downsample is None else self.downsample(x)
        x = self.relu1(self.bn1(self.conv1(x)))
        x = self.bn2(self.conv2(x))
        return self.relu2(x + skip)


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 and a skip: [n, inputs, H, W] to [n, 4 * width, H / stride, W / stride]."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int, downsample: nn.Module | None) -> None:
        super().__init__()
        outputs = width * self.expansion
        self.conv1 = _conv(inputs, width, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU()
        self.conv2 = _conv(width, width, 3, stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu2 = nn.ReLU()
        self.conv3 = _conv(width, outputs, 1)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = downsample
        self.relu3 = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        skip = x if self.downsample is None else self.downsample(x)
        x = self.relu1(self.bn1(self.conv1(x)))
        x = self.relu2(self.bn2(self.conv2(x)))
        x = self.bn3(self.conv3(x))
        return self.relu3(x + skip)


_Block = type[BasicBlock] | type[Bottleneck]

_NETWORKS: dict[str, tuple[_Block, tuple[int, int, int, int]]] = {
    "resnet18": (BasicBlock, (2, 2, 2, 2)),
    "resnet34": (BasicBlock, (3, 4, 6, 3)),
    "resnet50": (Bottleneck, (3, 4, 6, 3)),
}


class ResNet(nn.Module):
    """A residual network: pictures [n, channels, H, W] to logits [n, classes].

    Parameters
    ----------
    block, depths : kind of block, and how many of them each of the four stages has
    width : channels of the stem; stage k works on ``width * 2**k``
    classes : number of logits
    channels : channels of a picture
    """

    def __init__(
        self, block: _Block, depths: tuple[int, ...], width: int, classes: int, channels: int
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        inputs, stages = width, []
        for k, depth in enumerate(depths):
            stages.append(_stage(block, inputs, width << k, depth, stride=1 if k == 0 else 2))
            inputs = (width << k) * block.expansion
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(inputs, classes)
        for module in self.modules():
            # He et al., arXiv 1502.01852: keeps the variance through ReLUs.
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


def _stage(block: _Block, inputs: int, width: int, depth: int, stride: int) -> nn.Sequential:
    outputs = width * block.expansion
    downsample = None
    if stride != 1 or inputs != outputs:
        downsample = nn.Sequential(_conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))
    blocks = [block(inputs, width, stride, downsample)]
    blocks += [block(outputs, width, 1, None) for _ in range(depth - 1)]
    return nn.Sequential(*blocks)


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
    ValueError : ``mean`` and ``std`` differ in number
    """

    name: str
    module: nn.Module
    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: int

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std):
            raise ValueError(f"mean has {len(self.mean)} channels, std has {len(self.std)}")

    @property
    def channels(self) -> int:
        """Channels of a picture."""
        return len(self.mean)

    @cached_property
    def classes(self) -> int:
        """Number of logits, found by running the network once, so for any architecture."""
        return self.graph.run(torch.zeros(1, self.channels, self.size, self.size)).shape[1]

    @cached_property
    def graph(self) -> Graph:
        """The maps that the network stores, and a way to run it that shows them.

        Raises
        ------
        FmzipError : see ``graph.trace``
        """
        return trace(self.module, (self.channels, self.size, self.size))

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
    return tuple(_NETWORKS)


def check_name(name: str) -> None:
    """Raise ValueError where ``name`` is not one of ``names()``."""
    if name not in _NETWORKS:
        raise ValueError(f"unknown network {name!r}; known are {', '.join(_NETWORKS)}")


def build(
    name: str,
    *,
    width: int = 64,
    classes: int = 1000,
    channels: int = 3,
    mean: tuple[float, ...] = IMAGENET_MEAN,
    std: tuple[float, ...] = IMAGENET_STD,
    size: int = IMAGENET_SIZE,
) -> Network:
    """A known network with random weights, in evaluation mode.

    Parameters
    ----------
    name : one of ``names()``
    width : channels of the stem; the other layers scale with it
    classes : number of logits
    channels : channels of a picture; ``mean`` and ``std`` have as many
    mean, std, size : see ``Network``

    Raises
    ------
    ValueError : an unknown name, or a count that is impossible
    """
    check_name(name)
    for what, count in (("width", width), ("classes", classes), ("channels", channels)):
        if count < 1:
            raise ValueError(f"{what} must be at least 1, not {count}")
    if len(mean) != channels:
        raise ValueError(f"mean must have {channels} channels, not {len(mean)}")
    block, depths = _NETWORKS[name]
    module = ResNet(block, depths, width, classes, channels).eval()
    return Network(name, module, mean, std, size)
