"""Which feature maps a network stores to DRAM, found in a torch.fx trace.

The model is an accelerator that finishes a value while it is on chip, and stores what then has to
wait for another layer:

- a convolution is fused with the batch norm, activation and pooling that follow it, each as long as
  nothing else reads its input;
- an element-wise sum is stored with the activation that follows it. A convolution that ends without
  an activation and is read by a sum only continues in the sum's accumulator and is not stored;
- a concatenation is stored once, as a whole: its operands are written to their places in it. An
  operand that has other readers is a map of its own as well;
- an activation or norm that is not the only reader of its input is computed when that is read;
- slices, paddings and reshapes are ways to read a map, not maps;
- a pooling that leaves one pixel is global: neither its result nor any other vector is a map, but
  its input is.

A map is read once by each operation that takes it, also by one that takes a part of it, and by
whoever takes it as the output of the network. The picture itself is no map.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn
from torch.fx import Node

from fmzip.errors import FmzipError
from fmzip_models.fusion import Shape, stored_groups


@dataclass(frozen=True)
class Map:
    """A feature map that is stored.

    Members
    -------
    name : the module that makes its final values, or the trace's name of a function that does. The
        second use of a module has ``_1`` behind its name, and so on
    shape : channels, height, width
    reads : how often it is fetched
    signed : it can hold negative values
    """

    name: str
    shape: tuple[int, int, int]
    reads: int
    signed: bool

    @property
    def values(self) -> int:
        """Number of values of one picture."""
        channels, height, width = self.shape
        return channels * height * width


AtMap = Callable[[Map, torch.Tensor], torch.Tensor | None]


class Graph:
    """A network as the maps that it stores, and a way to run it that shows them.

    Members
    -------
    maps : in the order in which they are stored
    """

    def __init__(self, traced: fx.GraphModule, taps: dict[Node, Map]) -> None:
        self._traced = traced
        self._taps = taps
        self.maps = tuple(taps.values())

    @torch.no_grad()
    def run(self, pictures: torch.Tensor, at_map: AtMap | None = None) -> torch.Tensor:
        """Run the network without gradients: float32 [n, channels, H, W] to logits [n, classes].

        Parameters
        ----------
        pictures : see ``Network.normalise``
        at_map : called when a map is stored, with its values, float32 [n, C, H, W]. Returns what
            the map's readers get instead, or None for the values as they are. A network may
            overwrite them later on: copy what is to be kept
        """

        def after(node: Node, value: Any) -> Any:
            if at_map is None or node not in self._taps:
                return value
            changed = at_map(self._taps[node], value)
            return value if changed is None else changed

        self._traced.eval()  # the modules are shared with the network, which may have been trained
        return _Interpreter(self._traced, after).run(pictures)


@torch.no_grad()
def trace(module: nn.Module, shape: tuple[int, int, int]) -> Graph:
    """Find the stored maps of a network, and put it into evaluation mode.

    Parameters
    ----------
    module : takes pictures, float32 [n, *shape]
    shape : channels, height, width of a picture

    Raises
    ------
    FmzipError : torch.fx cannot trace the network, or it does not run on this shape
    """
    module.eval()  # before the trace: what depends on the mode becomes a constant in it
    name = type(module).__name__
    try:
        traced = fx.symbolic_trace(module)
    except Exception as error:  # whatever the network's own code does with a stand-in for a tensor
        raise FmzipError(f"{name}: torch.fx cannot trace it: {_first_line(error)}") from None
    shapes: dict[Node, Shape] = {}

    def after(node: Node, value: Any) -> Any:
        shapes[node] = _shape(value)
        return value

    try:
        _Interpreter(traced, after).run(torch.zeros(1, *shape))
    except Exception as error:
        size = "x".join(map(str, shape))
        raise FmzipError(
            f"{name}: does not run on a {size} picture: {_first_line(error)}"
        ) from None
    taps: dict[Node, Map] = {}
    names = _names(traced)
    for group in stored_groups(traced, shapes):
        _, channels, height, width = shapes[group.tap] or ()
        taps[group.tap] = Map(
            names[group.tap], (channels, height, width), len(group.readers), not group.positive
        )
    return Graph(traced, {node: taps[node] for node in traced.graph.nodes if node in taps})


class _Interpreter(fx.Interpreter):
    """Runs a trace node by node; ``after(node, value)`` returns what the node's users get."""

    def __init__(self, traced: fx.GraphModule, after: Callable[[Node, Any], Any]) -> None:
        super().__init__(traced)
        self.extra_traceback = False  # else the text of an exception grows by pages
        self._after = after

    def run_node(self, n: Node) -> Any:
        return self._after(n, super().run_node(n))


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _shape(value: Any) -> Shape:
    if isinstance(value, torch.Tensor):
        return tuple(value.shape)
    several = isinstance(value, tuple | list) and len(value) > 0
    return () if several and all(isinstance(v, torch.Tensor) for v in value) else None


def _names(traced: fx.GraphModule) -> dict[Node, str]:
    uses: Counter[str] = Counter()
    names = {}
    for node in traced.graph.nodes:
        name = str(node.target) if node.op == "call_module" else node.name
        names[node] = f"{name}_{uses[name]}" if uses[name] else name
        uses[name] += 1
    return names
