"""What a change of a map does to the network's answers: the Fisher information, without labels.

The divergence of the answers grows with half of the square of a small error along the gradient of
an answer's logarithm, on average over answers that are drawn as the network gives them. So the mean
product of gradients says how much an error matters, for each direction.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import torch

from fmzip.errors import FmzipError
from fmzip_models.graph import TracedGraph
from fmzip_models.maps import Map
from fmzip_models.pca import Shape
from fmzip_models.projecting import columns
from fmzip_models.quantise import Scale
from fmzip_models.zoo import Network

_SEED = 1  # of the answers that are drawn


def gradients(
    network: Network, maps: Sequence[Map], batch: torch.Tensor,
    see: Callable[[Map, torch.Tensor], None], generator: torch.Generator, *,
    before_relu: bool = False,
) -> None:  # fmt: skip
    """Gradients of the logarithm of one drawn answer for each picture.

    Parameters
    ----------
    batch : pictures, float32 [n, channels, H, W], see ``Network.normalise``
    see : called with each of the maps and its gradient, float32 [n, C, H, W]
    generator : of the answers
    before_relu : see ``Graph.run``

    Raises
    ------
    FmzipError : gradients do not pass through the network: torch.fx cannot trace it
    """
    graph = network.graph
    if not isinstance(graph, TracedGraph):
        raise FmzipError(f"{network.name}: torch.fx cannot trace it, so codecs cannot learn")
    wanted = {m.name for m in maps}
    held: dict[Map, torch.Tensor] = {}

    def hold(m: Map, values: torch.Tensor) -> torch.Tensor:
        if m.name not in wanted:
            return values
        held[m] = values.clone()
        if not held[m].requires_grad:
            held[m].requires_grad_()
        return held[m]

    with torch.enable_grad():
        logits = graph.forward(batch, hold, before_relu=before_relu)
        drawn = torch.multinomial(logits.detach().softmax(1).cpu(), 1, generator=generator)
        chosen = logits.log_softmax(1).gather(1, drawn.to(logits.device)).sum()
        found = torch.autograd.grad(chosen, list(held.values()), allow_unused=True)
    for m, gradient in zip(held, found, strict=True):
        if gradient is not None:
            see(m, gradient)


def of_channels(
    network: Network, scales: Mapping[str, Scale], maps: Sequence[Map],
    batches: Iterable[torch.Tensor],
) -> dict[str, np.ndarray]:  # fmt: skip
    """Mean square of what a change of one LSB does to the answers, for each channel.

    Parameters
    ----------
    batches : see ``gradients``

    Returns
    -------
    Of each map, by its name: float64 [channels], of one position

    Raises
    ------
    FmzipError : see ``gradients``
    """
    found = {m.name: np.zeros(m.shape[0]) for m in maps}

    def add(m: Map, gradient: torch.Tensor) -> None:
        found[m.name] += gradient.double().square().sum((0, 2, 3)).cpu().numpy()

    generator = torch.Generator().manual_seed(_SEED)
    pictures = 0
    for batch in batches:
        gradients(network, maps, batch, add, generator)
        pictures += len(batch)
    return {
        m.name: found[m.name] * scales[m.name].scale ** 2 / (pictures * m.shape[1] * m.shape[2])
        for m in maps
    }


def of_positions(
    network: Network, scales: Mapping[str, Scale], shapes: Mapping[str, Sequence[Shape]],
    batches: Iterable[torch.Tensor],
) -> dict[tuple[str, Shape], np.ndarray]:  # fmt: skip
    """Mean products of what changes of the values of a position do, in front of the ReLU.

    Parameters
    ----------
    shapes : of the positions of each map, by its name
    batches : see ``gradients``

    Returns
    -------
    Of each map and shape: float64 [groups, values, values], of changes of one LSB

    Raises
    ------
    FmzipError : see ``gradients``
    """
    sums: dict[tuple[str, Shape], torch.Tensor] = {}
    counts: dict[tuple[str, Shape], int] = {}

    def add(m: Map, gradient: torch.Tensor) -> None:
        wide = gradient.double() * scales[m.name].scale
        for shape in shapes[m.name]:
            split = columns(wide, shape.transform, shape.groups)
            flat = split.permute(1, 2, 0, 3).flatten(2)  # group, value | position
            key = m.name, shape
            product = flat @ flat.transpose(1, 2)
            sums[key] = sums[key] + product if key in sums else product
            counts[key] = counts.get(key, 0) + flat.shape[2]

    maps = [m for m in network.graph.maps if m.name in shapes]
    generator = torch.Generator().manual_seed(_SEED)
    for batch in batches:
        gradients(network, maps, batch, add, generator, before_relu=True)
    return {key: (sums[key] / counts[key]).cpu().numpy() for key in sums}
