"""The forward matrix of a projection in the convolution that makes a map.

A convolution, and a batch norm behind it, are linear, and so is a projection of a pixel's channels:
one convolution with other weights does the work of all three, and what a projection would have
taken costs nothing. It gives the sums that are rounded to symbols; nothing is rounded to 8 bits in
between. On integers the sums are the same exactly, on floats up to the order of additions.

Not so where the map is a sum of two paths, where a pooling is in between, or where a position has
several pixels: there the projection is computed by itself.
"""

import torch
from torch import nn

from fmzip.format import Transform
from fmzip_models.maps import Map

# Of a map's ``source``: what the values in front of the ReLU are made by.
_LINEAR = ("conv2d", "conv2d + batchnorm2d")


def foldable(m: Map, transform: Transform) -> bool:
    """True where the forward matrix of a map folds into the convolution that makes it."""
    made_by = m.source.removesuffix("6").removesuffix(" + relu")
    return transform == Transform.PROJECTION and made_by in _LINEAR


def with_norm(conv: nn.Conv2d, norm: nn.BatchNorm2d | None) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight and bias of a convolution and the batch norm behind it, in evaluation: float64."""
    weight = conv.weight.detach().double()
    bias = torch.zeros(len(weight), dtype=torch.float64)
    if conv.bias is not None:
        bias = conv.bias.detach().double()
    if norm is None:
        return weight, bias
    assert norm.running_mean is not None
    assert norm.running_var is not None
    gain = (norm.running_var.double() + norm.eps).rsqrt()
    if norm.affine:
        gain = gain * norm.weight.detach().double()
    bias = (bias - norm.running_mean.double()) * gain
    if norm.affine:
        bias = bias + norm.bias.detach().double()
    return weight * gain.view(-1, 1, 1, 1), bias


def fold(
    weight: torch.Tensor, bias: torch.Tensor, matrix: torch.Tensor, offset: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight and bias of a convolution that gives ``matrix @ (weight * x + bias) + offset``.

    Parameters
    ----------
    weight : [outputs, inputs, height, width]
    bias : [outputs]
    matrix, offset : [components, outputs], [components]; all of one type, integers or floats
    """
    return torch.einsum("ko,oihw->kihw", matrix, weight), matrix @ bias + offset
