"""MobileNetV2 with torchvision's parameter names.

Source: Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", arXiv 1801.04381,
table 2.
"""

import torch
from torch import nn
from torch.nn import functional

# Expansion, channels, blocks, and stride of the first block.
_STAGES = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
    (6, 320, 1, 1),
)  # fmt: skip
_STEM, _LAST = 32, 1280


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU6(),
    )


class InvertedResidual(nn.Module):
    """Expand, filter each channel, project without activation; a skip where the shape stays."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        layers = [_conv(inputs, hidden, 1)] if expansion != 1 else []
        self.conv = nn.Sequential(
            *layers,
            _conv(hidden, hidden, 3, stride, groups=hidden),
            nn.Conv2d(hidden, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self._skips = stride == 1 and inputs == outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv(x) if self._skips else self.conv(x)


class MobileNetV2(nn.Module):
    """Inverted residuals: pictures [n, channels, H, W] to logits [n, classes].

    Parameters
    ----------
    width : channels of the stem, 32 times the width multiplier; the other layers scale with it, to
        multiples of 8, and the last one does not shrink
    classes : number of logits
    channels : channels of a picture
    """

    def __init__(self, width: int, classes: int, channels: int) -> None:
        super().__init__()
        multiplier = width / _STEM
        layers: list[nn.Module] = [_conv(channels, width, 3, stride=2)]
        inputs = width
        for expansion, outputs, blocks, stride in _STAGES:
            outputs = _scaled(outputs, multiplier)
            for k in range(blocks):
                layers.append(InvertedResidual(inputs, outputs, stride if k == 0 else 1, expansion))
                inputs = outputs
        last = _scaled(_LAST, max(1.0, multiplier))
        layers.append(_conv(inputs, last, 1))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(last, classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.adaptive_avg_pool2d(self.features(x), (1, 1))
        return self.classifier(torch.flatten(x, 1))


def _scaled(channels: int, multiplier: float) -> int:
    """The nearest multiple of 8, at least 8, and not below 90 % of what was asked for."""
    wanted = channels * multiplier
    found = max(8, int(wanted + 4) // 8 * 8)
    return found + 8 if found < 0.9 * wanted else found
