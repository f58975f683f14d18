"""Scales of channels that fold into the modules around a map: steps by channel without hardware.

What a module writes may be divided by a positive number for each channel if all that read it
multiply by that number: ReLUs, poolings, sums and concatenations in between do not mind. The
network stays what it is, but one step for all of a map's integers now means a step of its own for
each channel. Source of the folding: Nagel et al., arXiv 1906.04721, section 4.1 (cross-layer
equalization), there for the range of weights. Here the numbers follow from what an error of a
channel does to the answers (``fisher``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from torch import nn
from torch.fx import Node

from fmzip.codecfile import Correction
from fmzip_models import ops
from fmzip_models.graph import TracedGraph
from fmzip_models.ops import Kind
from fmzip_models.recalibrate import is_site

# Measured on ResNet-18, see docs/decisions/0025: a step goes with the weight of its channel's
# errors to the power of minus this. With one bit rate for all it would be half.
_POWER = 0.45
_FLOOR = (
    0.01  # least weight, of the map's mean: few pictures say little of channels that hardly act
)
_LIMITS = 0.3, 3.0

_HOMOGENEOUS = ("relu", "leakyrelu", "prelu")  # f(s x) = s f(x) for each s > 0
_TO_ROWS = ("flatten", "view", "reshape")
_FIXED = 0  # number of the scale that is 1


@dataclass(frozen=True)
class Channels:
    """Which channels may have a scale, and which of them must have the same.

    Members
    -------
    scales : how many there are; number 0 is always 1
    maps : number of the scale of each channel, int64 [channels], by name of the map
    makers : the same of what modules write, by their names
    readers : the same of what modules read
    """

    scales: int
    maps: Mapping[str, np.ndarray] = field(default_factory=dict)
    makers: Mapping[str, np.ndarray] = field(default_factory=dict)
    readers: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Fold:
    """What modules have to do for scales, see ``recalibrate.applied``.

    Members
    -------
    corrections : of what modules write
    inputs : float32 [input channels], what modules multiply what they read by
    """

    corrections: Mapping[str, Correction] = field(default_factory=dict)
    inputs: Mapping[str, np.ndarray] = field(default_factory=dict)


def channels_of(graph: TracedGraph) -> Channels:
    """The channels of a network that may have scales; of unknown operations none may."""
    found = _Walk(graph)
    for node in graph.traced.graph.nodes:
        found.add(node)
    return found.channels()


def scales_for(channels: Channels, weights: Mapping[str, np.ndarray]) -> np.ndarray:
    """Scales by what errors do to the answers: float64 [channels.scales].

    Parameters
    ----------
    weights : of each map, by its name: float64 [channels], see ``fisher.of_channels``
    """
    sums, counts = np.zeros(channels.scales), np.zeros(channels.scales)
    for name, numbers in channels.maps.items():
        of = weights[name]
        if of.any():
            steps = -_POWER * np.log(np.maximum(of, _FLOOR * of.mean()))
            np.add.at(sums, numbers, steps - steps.mean())
            np.add.at(counts, numbers, 1)
    scales = np.exp(sums / np.maximum(counts, 1)).clip(*_LIMITS)
    scales[_FIXED] = 1.0
    return scales


def fold(channels: Channels, scales: np.ndarray) -> Fold:
    """What modules have to do so that stored maps are divided by scales.

    Parameters
    ----------
    scales : float64 [channels.scales], above 0; of number 0 it is 1
    """
    corrections, inputs = {}, {}
    for name, numbers in channels.makers.items():
        if (scales[numbers] != 1).any():
            gain = (1 / scales[numbers]).astype(np.float32)
            corrections[name] = Correction(gain, np.zeros_like(gain))
    for name, numbers in channels.readers.items():
        if (scales[numbers] != 1).any():
            inputs[name] = scales[numbers].astype(np.float32)
    return Fold(corrections, inputs)


class _Walk:
    """Takes the nodes of a trace one by one; channels that must have one scale are united."""

    def __init__(self, graph: TracedGraph) -> None:
        self._graph = graph
        self._modules = dict(graph.traced.named_modules())
        self._parents = [_FIXED]
        self._of: dict[Node, np.ndarray] = {}
        self._makers: dict[str, np.ndarray] = {}
        self._readers: dict[str, np.ndarray] = {}

    def add(self, node: Node) -> None:
        """The node behind those that were added."""
        shape = self._graph.shapes.get(node)
        taken = [self._of[n] for n in node.all_input_nodes if n in self._of]
        if shape is None or len(shape) not in (2, 4):  # no values, or none in channels
            self._fix(taken)
            return
        numbers = self._through(node, taken)
        if numbers is None or len(numbers) != shape[1]:
            self._fix(taken if numbers is None else [*taken, numbers])
            numbers = np.full(shape[1], _FIXED)
        self._of[node] = numbers
        tap = self._graph.taps.get(node)
        if tap is not None and tap.scale is not None:  # the network's own integers
            self._fix([numbers])

    def _through(self, node: Node, taken: Sequence[np.ndarray]) -> np.ndarray | None:
        """Numbers of what a node returns; None where they are not known."""
        kind, name = ops.kind(node, self._modules), ops.operation(node, self._modules)
        if not taken:
            return None
        if node.op == "call_module" and _reads(self._modules[str(node.target)]):
            return self._module(node, taken[0])
        if kind == Kind.SUM and sum(isinstance(a, Node) for a in node.args) == 2:
            return self._sum(taken[0], taken[1:])  # one of two where something is added to itself
        if kind == Kind.CONCAT:
            parts = node.args[0] if node.args and isinstance(node.args[0], list | tuple) else ()
            known = [self._of[n] for n in parts if isinstance(n, Node) and n in self._of]
            return np.concatenate(known) if known else None
        if len(taken) > 1:
            return None
        shape, before = self._shape(node), self._shape(node.all_input_nodes[0])
        if kind in (Kind.IDENTITY, Kind.POOL) or name in _HOMOGENEOUS:
            return taken[0]
        if name in ("mean", "zeropad2d") and shape[:2] == before[:2]:
            return taken[0]
        if name == "getitem" and shape[:2] == before[:2] and _whole_channels(node.args[1]):
            return taken[0]
        if name == "pad":
            return self._padded(node, taken[0])
        if name in _TO_ROWS and len(shape) == 2:
            return np.repeat(taken[0], int(np.prod(before[2:])))
        return None

    def _module(self, node: Node, taken: np.ndarray) -> np.ndarray:
        """Of a module that reads with scales and, if it has a bias, writes with others."""
        name = str(node.target)
        if name in self._readers:  # used before
            self._unite(self._readers[name], taken)
        self._readers[name] = taken
        module = self._modules[name]
        if not is_site(module):
            return np.full(self._shape(node)[1], _FIXED)
        if name not in self._makers:
            self._makers[name] = self._new(self._shape(node)[1])
        return self._makers[name]

    def _padded(self, node: Node, taken: np.ndarray) -> np.ndarray | None:
        """Of a padding with zeros, which are the same with any scale, in channels too."""
        padding, mode, value = (
            node.args[k] if len(node.args) > k else node.kwargs.get(name, default)
            for k, name, default in ((1, "pad", None), (2, "mode", "constant"), (3, "value", None))
        )
        if not isinstance(padding, list | tuple) or mode != "constant" or value:
            return None
        sizes = [n if isinstance(n, int) else -1 for n in (*padding, 0, 0, 0, 0, 0, 0)]
        if min(sizes) < 0 or any(sizes[6:8]):
            return None
        return np.concatenate((self._new(sizes[4]), taken, self._new(sizes[5])))

    def _sum(self, first: np.ndarray, others: Sequence[np.ndarray]) -> np.ndarray | None:
        if any(len(other) != len(first) for other in others):
            return None
        for other in others:
            self._unite(first, other)
        return first

    def _shape(self, node: Node) -> tuple[int, ...]:
        return self._graph.shapes.get(node) or ()

    def _new(self, count: int) -> np.ndarray:
        first = len(self._parents)
        self._parents += range(first, first + count)
        return np.arange(first, first + count)

    def _fix(self, taken: Sequence[np.ndarray]) -> None:
        for numbers in taken:
            self._unite(numbers, np.full(len(numbers), _FIXED))

    def _unite(self, some: np.ndarray, others: np.ndarray) -> None:
        for a, b in zip(some.tolist(), others.tolist(), strict=True):
            low, high = sorted((self._root(a), self._root(b)))
            self._parents[high] = low  # so that the fixed one stays a root

    def _root(self, number: int) -> int:
        while self._parents[number] != number:
            self._parents[number] = self._parents[self._parents[number]]
            number = self._parents[number]
        return number

    def channels(self) -> Channels:
        """What was found; only scales of stored maps are kept."""
        roots = np.array([self._root(k) for k in range(len(self._parents))])
        maps = {tap.name: roots[self._of[node]] for node, tap in self._graph.taps.items()}
        kept = np.unique(np.concatenate([[_FIXED], *maps.values()]))

        def numbered(of: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            return {
                name: np.where(np.isin(n, kept), np.searchsorted(kept, n), 0)
                for name, n in of.items()
            }

        makers, readers = (
            {name: roots[n] for name, n in of.items()} for of in (self._makers, self._readers)
        )
        return Channels(len(kept), numbered(maps), numbered(makers), numbered(readers))


def _whole_channels(index: object) -> bool:
    return isinstance(index, tuple) and index[:2] == (slice(None), slice(None))


def _reads(module: nn.Module) -> bool:
    """Whether what a module reads may have scales."""
    if type(module) is nn.BatchNorm2d:  # else its mean is that of the pictures it sees
        return module.affine and module.running_mean is not None
    return type(module) in (nn.Conv2d, nn.Linear)
