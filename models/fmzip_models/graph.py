"""Which feature maps a network stores to DRAM, found in a torch.fx trace.

The model is an accelerator that finishes a value while it is on chip, and stores what then has to
wait for another layer:

- a convolution is fused with the batch norm, activation and pooling that follow it, each as long as
  nothing else reads its input;
- an element-wise sum is stored with the activation that follows it. A convolution that ends without
  an activation and is read by a sum only continues in the sum's accumulator and is not stored;
- a concatenation is stored once, as a whole: its operands are written to their places in it. An
  operand that has other readers is a map of its own as well;
- an activation or norm that is not the only reader of its input is computed when that is read.
  What gates a value by itself, such as ``x * sigmoid(x)``, is an activation;
- slices, paddings and reshapes are ways to read a map, not maps;
- a pooling that leaves one pixel is global: neither its result nor any other vector is a map, but
  its input is.

A map is read once by each operation that takes it, also by one that takes a part of it, and by
whoever takes it as the output of the network. The picture itself is no map.
"""

import re
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch
from torch import fx, nn
from torch.fx import Node

from fmzip.errors import FmzipError
from fmzip_models import ops
from fmzip_models.fusion import Shape, stored_groups
from fmzip_models.maps import AtMap, Graph, Map, blank, first_line, size_text

__all__ = ["AtMap", "Graph", "Map", "TracedGraph", "trace"]


class TracedGraph(Graph):
    """A network as a trace by torch.fx."""

    method = "torch.fx"

    def __init__(
        self, traced: fx.GraphModule, taps: dict[Node, Map], relus: dict[Node, Node]
    ) -> None:
        self._traced = traced
        self._taps = taps
        self._relus = relus  # of taps whose maps have one
        self.maps = tuple(taps.values())

    @torch.no_grad()
    def run(
        self, pictures: torch.Tensor, at_map: AtMap | None = None, *, before_relu: bool = False
    ) -> torch.Tensor:
        """As ``Graph.run``."""
        return self.forward(pictures, at_map, before_relu=before_relu)

    def forward(
        self, pictures: torch.Tensor, at_map: AtMap | None = None, *, before_relu: bool = False
    ) -> torch.Tensor:
        """As ``run``, with gradients where they are on."""
        relus = self._relus if before_relu else {}

        def after(node: Node, value: Any) -> Any:
            if node not in self._taps:
                return value
            changed = at_map(self._taps[node], value) if at_map is not None else None
            value = value if changed is None else changed
            return self._apply(relus[node], value) if node in relus else value

        self._traced.eval()  # the modules are shared with the network, which may have been trained
        return _Interpreter(self._traced, after, set(relus.values())).run(pictures)

    def _apply(self, relu: Node, value: torch.Tensor) -> torch.Tensor:
        if relu.op == "call_module":
            return self._traced.get_submodule(str(relu.target))(value)
        if relu.op == "call_method":
            return getattr(value, str(relu.target))()
        assert callable(relu.target)
        return relu.target(value)

    @torch.no_grad()
    def tail(
        self, m: Map, pictures: torch.Tensor, at_map: AtMap, *, before_relu: bool = False
    ) -> tuple[torch.Tensor, Callable[[torch.Tensor], torch.Tensor]]:
        """As ``Graph.tail``; what is in front of the map is computed once."""
        relus = self._relus if before_relu else {}
        nodes = list(self._traced.graph.nodes)
        tap = next(node for node, of in self._taps.items() if of == m)
        known = set(nodes[: nodes.index(tap) + 1])
        # Of what is known, only this is read again.
        read = {node for node in known if any(user not in known for user in node.users)}
        kept: dict[Node, Any] = dict.fromkeys(known)

        def keep(node: Node, value: Any) -> Any:
            if node in self._taps and node is not tap:
                changed = at_map(self._taps[node], value)
                value = value if changed is None else changed
                value = self._apply(relus[node], value) if node in relus else value
            if node in read or node is tap:
                kept[node] = value
            if node is tap:
                raise _Reached
            return value

        self._traced.eval()
        with suppress(_Reached):
            _Interpreter(self._traced, keep, set(relus.values())).run(pictures)

        @torch.no_grad()
        def logits(value: torch.Tensor) -> torch.Tensor:
            def after(node: Node, found: Any) -> Any:
                if node not in self._taps:
                    return found
                changed = at_map(self._taps[node], found)
                found = found if changed is None else changed
                return self._apply(relus[node], found) if node in relus else found

            # Copies, since a network may overwrite what it reads.
            before = {n: v.clone() if isinstance(v, torch.Tensor) else v for n, v in kept.items()}
            before[tap] = self._apply(relus[tap], value.clone()) if tap in relus else value
            rest = _Interpreter(self._traced, after, set(relus.values()))
            return rest.run(pictures, initial_env=before)

        return kept[tap], logits


@torch.no_grad()
def trace(module: nn.Module, shape: tuple[int, int, int]) -> TracedGraph:
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
        # One that is a trace already, such as an imported one, need not be traceable again.
        traced = module if isinstance(module, fx.GraphModule) else fx.symbolic_trace(module)
    except Exception as error:  # whatever the network's own code does with a stand-in for a tensor
        raise FmzipError(f"{name}: torch.fx cannot trace it: {first_line(error)}") from None
    shapes: dict[Node, Shape] = {}

    def after(node: Node, value: Any) -> Any:
        shapes[node] = _shape(value)
        return value

    try:
        _Interpreter(traced, after, set()).run(blank(module, shape))
    except Exception as error:
        raise FmzipError(
            f"{name}: does not run on a {size_text(shape)} picture: {first_line(error)}"
        ) from None
    taps: dict[Node, Map] = {}
    relus: dict[Node, Node] = {}
    names = _names(traced)
    for group in stored_groups(traced, shapes):
        _, channels, height, width = shapes[group.tap] or ()
        taps[group.tap] = Map(
            names[group.tap],
            (channels, height, width),
            len(group.readers),
            not group.positive,
            " + ".join(group.operations),
            ops.own_scale(group.tap),
            group.relu is not None,
        )
        if group.relu is not None:
            relus[group.tap] = group.relu
    in_order = {node: taps[node] for node in traced.graph.nodes if node in taps}
    return TracedGraph(traced, in_order, relus)


class _Reached(Exception):  # noqa: N818 (no error: the way out of an interpreter)
    """The map has been reached; the rest of the network need not run."""


class _Interpreter(fx.Interpreter):
    """Runs a trace node by node; ``after(node, value)`` returns what the node's users get.

    Parameters
    ----------
    skipped : nodes that hand on their first argument
    """

    def __init__(
        self, traced: fx.GraphModule, after: Callable[[Node, Any], Any], skipped: set[Node]
    ) -> None:
        super().__init__(traced)
        self.extra_traceback = False  # else the text of an exception grows by pages
        self._after, self._skipped = after, skipped

    def run_node(self, n: Node) -> Any:
        if n in self._skipped:
            return self._after(n, self.env[n.all_input_nodes[0]])
        return self._after(n, super().run_node(n))


def _shape(value: Any) -> Shape:
    if isinstance(value, torch.Tensor):
        return tuple(value.shape)
    several = isinstance(value, tuple | list) and len(value) > 0
    return () if several and all(isinstance(v, torch.Tensor) for v in value) else None


def _names(traced: fx.GraphModule) -> dict[Node, str]:
    uses: Counter[str] = Counter()
    names = {}
    for node in traced.graph.nodes:
        name = str(node.target) if node.op == "call_module" else _name(node)
        names[node] = f"{name}_{uses[name]}" if uses[name] else name
        uses[name] += 1
    return names


def _name(node: Node) -> str:
    """Name of a function: of the module that calls it, and of what it does."""
    stack = node.meta.get("nn_module_stack")
    scope = next(reversed(stack.values()))[0] if stack else ""
    # The trace numbers equal names throughout the network; here it is done in each module.
    return f"{scope}.{re.sub(r'_[0-9]+$', '', node.name)}" if scope else node.name
