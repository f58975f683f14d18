"""VGG-16 with torchvision's parameter names, without and with batch norm.

Source: Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image
Recognition", arXiv 1409.1556, table 1, column D.
"""

import torch
from torch import nn

_STAGES = ((1, 2), (2, 2), (4, 3), (8, 3), (8, 3))  # channels over the stem's, and convolutions
_HIDDEN = 64  # neurons of the hidden layers over the stem's channels
_GRID = 7  # pixels along a side that the classifier takes


class Vgg16(nn.Module):
    """Thirteen 3x3 convolutions and three layers: [n, channels, H, W] to logits [n, classes].

    Parameters
    ----------
    norm : batch norm behind every convolution
    width : channels of the first stage; the other layers scale with it
    classes : number of logits
    channels : channels of a picture
    """

    def __init__(self, norm: bool, width: int, classes: int, channels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = channels
        for factor, convolutions in _STAGES:
            for _ in range(convolutions):
                outputs = width * factor
                layers.append(nn.Conv2d(inputs, outputs, 3, padding=1))
                layers += [nn.BatchNorm2d(outputs)] if norm else []
                layers.append(nn.ReLU())
                inputs = outputs
            layers.append(nn.MaxPool2d(2))
        hidden = width * _HIDDEN
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(_GRID)
        self.classifier = nn.Sequential(
            nn.Linear(inputs * _GRID**2, hidden), nn.ReLU(), nn.Dropout(),
            nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout(),
            nn.Linear(hidden, classes),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.avgpool(self.features(x))
        return self.classifier(torch.flatten(x, 1))
