"""A network of two maps and smooth pictures, small enough for whole runs of an experiment."""

from pathlib import Path

import numpy as np

NET = """\
import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x):
        return torch.relu(self.norm(self.conv(x)))


def tiny():
    torch.manual_seed(7)
    net = nn.Sequential(Block(3, 16, 1), Block(16, 24, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                        nn.Linear(24, 5))
    net[-1].weight.data *= 20
    return net.eval()
"""


def make_job(root: Path, count: int, side: int, net: str = NET) -> dict[str, object]:
    """Files of network and pictures in ``root``; arguments that name them.

    Parameters
    ----------
    count, side : of the pictures, in pixels
    net : source of a module with ``tiny``
    """
    (root / "net.py").write_text(net)
    rng = np.random.default_rng(1)
    pictures = rng.normal(size=(count, side, side, 3))
    for axis in (1, 2):
        pictures = pictures + np.roll(pictures, 1, axis) + np.roll(pictures, 2, axis)
    pictures = np.clip(pictures * 20 + 128, 0, 255).astype(np.uint8)
    np.savez(root / "pictures.npz", x=pictures, y=np.arange(count) % 5)
    return {"model": f"{root}/net.py:tiny", "images": root / "pictures.npz"}
