"""Residual networks for 32x32 pictures, with the parameter names that are usual for them.

Source: He et al., arXiv 1512.03385, section 4.2: three stages of n blocks, 6n + 2 layers, and
shortcuts without parameters (option A): every second pixel, and zeros for the new channels.
"""

import torch
from torch import nn
from torch.nn import functional


class PaddedBlock(nn.Module):
    """Two 3x3 convolutions and a skip: [n, inputs, H, W] to [n, width, H / stride, W / stride]."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu2 = nn.ReLU()
        self._stride, self._more = stride, width - inputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        skip = x
        if self._stride != 1 or self._more:
            front = self._more // 2
            pads = (0, 0, 0, 0, front, self._more - front)
            skip = functional.pad(x[:, :, :: self._stride, :: self._stride], pads)
        x = self.relu1(self.bn1(self.conv1(x)))
        return self.relu2(self.bn2(self.conv2(x)) + skip)


class CifarResNet(nn.Module):
    """A residual network for small pictures: [n, channels, H, W] to logits [n, classes].

    Parameters
    ----------
    depth : blocks of each of the three stages
    width : channels of the first stage; they double from stage to stage
    classes : number of logits
    channels : channels of a picture
    """

    def __init__(self, depth: int, width: int, classes: int, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        stages = []
        for k in range(3):
            inputs, outputs = width << max(k - 1, 0), width << k
            blocks = [PaddedBlock(inputs, outputs, stride=1 if k == 0 else 2)]
            blocks += [PaddedBlock(outputs, outputs, stride=1) for _ in range(depth - 1)]
            stages.append(nn.Sequential(*blocks))
        self.layer1, self.layer2, self.layer3 = stages
        self.linear = nn.Linear(width << 2, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(x.mean((2, 3)))
