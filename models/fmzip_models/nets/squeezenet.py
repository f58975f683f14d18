"""SqueezeNet 1.0 and 1.1 with torchvision's parameter names.

Source: Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB
model size", arXiv 1602.07360, table 1, and the authors' version 1.1, which pools earlier.
"""

import torch
from torch import nn

# Stem: channels and kernel. Then squeeze and expand channels of a fire module, or a pooling.
_POOL = (0, 0)
_VERSIONS = {
    "1_0": (96, 7, ((16, 64), (16, 64), (32, 128), _POOL, (32, 128), (48, 192), (48, 192),
                    (64, 256), _POOL, (64, 256))),
    "1_1": (64, 3, ((16, 64), (16, 64), _POOL, (32, 128), (32, 128), _POOL, (48, 192), (48, 192),
                    (64, 256), (64, 256))),
}  # fmt: skip


class Fire(nn.Module):
    """A 1x1 convolution, and a 1x1 and a 3x3 one on its result, side by side in channels."""

    def __init__(self, inputs: int, squeeze: int, expand: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeeze, 1)
        self.squeeze_activation = nn.ReLU()
        self.expand1x1 = nn.Conv2d(squeeze, expand, 1)
        self.expand1x1_activation = nn.ReLU()
        self.expand3x3 = nn.Conv2d(squeeze, expand, 3, padding=1)
        self.expand3x3_activation = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.squeeze_activation(self.squeeze(x))
        left = self.expand1x1_activation(self.expand1x1(x))
        right = self.expand3x3_activation(self.expand3x3(x))
        return torch.cat([left, right], 1)


class SqueezeNet(nn.Module):
    """Fire modules: pictures [n, channels, H, W] to logits [n, classes].

    Parameters
    ----------
    version : ``1_0`` or ``1_1``
    width : channels of the stem; the other layers scale with it
    classes : number of logits
    channels : channels of a picture
    """

    def __init__(self, version: str, width: int, classes: int, channels: int) -> None:
        super().__init__()
        stem, kernel, plan = _VERSIONS[version]
        layers: list[nn.Module] = [nn.Conv2d(channels, width, kernel, 2), nn.ReLU(), _pool()]
        inputs = width
        for squeeze, expand in plan:
            if (squeeze, expand) == _POOL:
                layers.append(_pool())
                continue
            narrow, wide = (max(1, c * width // stem) for c in (squeeze, expand))
            layers.append(Fire(inputs, narrow, wide))
            inputs = 2 * wide
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Dropout(0.5), nn.Conv2d(inputs, classes, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.flatten(self.classifier(self.features(x)), 1)


def _pool() -> nn.Module:
    return nn.MaxPool2d(3, 2, ceil_mode=True)
