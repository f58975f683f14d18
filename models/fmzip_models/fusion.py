"""The operations of a trace in groups: within a group, values pass from one to the next on chip.

The rules are those of ``fmzip_models.graph``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import fx
from torch.fx import Node

from fmzip_models import ops
from fmzip_models.ops import Kind

# Shape of what a node returns; () for several tensors, None for anything else, such as a size.
Shape = tuple[int, ...] | None

_PER_VALUE = (Kind.NORM, Kind.ACTIVATION, Kind.IDENTITY)


@dataclass(eq=False)
class Group:
    """Operations that are fused.

    Members
    -------
    tap : the node that makes the final values
    end : the node that others read; operations that change nothing may follow the tap
    operations : names of what is fused, see ``ops.operation``
    linear : a sum can continue in the accumulator that made it
    alone : it is not the picture, and not part of another group
    positive : its final values are never negative
    relu : the ReLU that it ends with but for what can as well come before one; None where it does
        not end so
    readers : operations that fetch it
    """

    tap: Node
    end: Node
    operations: list[str] = field(default_factory=list)
    linear: bool = False
    alone: bool = True
    positive: bool = False
    relu: Node | None = None
    readers: set[Node] = field(default_factory=set)


def is_map(shape: Shape) -> bool:
    """True for more than one pixel; a single one is a vector."""
    return shape is not None and len(shape) == 4 and shape[2] * shape[3] > 1


def stored_groups(traced: fx.GraphModule, shapes: Mapping[Node, Shape]) -> list[Group]:
    """The groups whose result is a map that others read, in the order of the trace."""
    fusion = _Fusion(traced, shapes)
    for node in traced.graph.nodes:
        fusion.add(node)
    return [g for g in fusion.groups if g.alone and g.readers and is_map(shapes[g.tap])]


class _Fusion:
    """Takes the nodes of a trace one by one.

    Members
    -------
    groups : so far
    """

    def __init__(self, traced: fx.GraphModule, shapes: Mapping[Node, Shape]) -> None:
        self.groups: list[Group] = []
        self._modules = dict(traced.named_modules())
        self._shapes = shapes
        self._positive: dict[Node, bool] = {}
        # The groups that are fetched where a node's value is wanted. Only for the end of a group
        # is that its own group; for anything behind it, it is what has to be read.
        self._sources: dict[Node, list[Group]] = {}

    def add(self, node: Node) -> None:
        self._positive[node] = ops.never_negative(node, self._modules, self._positive)
        self._sources[node] = []
        kind = ops.kind(node, self._modules)
        if kind == Kind.CONSTANT or (kind != Kind.OUTPUT and not self._is_tensor(node)):
            return
        tensors = [n for n in node.all_input_nodes if self._is_tensor(n)]
        maps = [n for n in tensors if any(self._has_pixels(g) for g in self._sources[n])]
        if kind in (Kind.SUM, Kind.COMBINE):
            gated = self._gated(node, maps)
            if gated:
                self._extend(gated, node, Kind.ACTIVATION)
                return
            if len(maps) < 2:
                kind = Kind.NORM  # with a number, or with a vector such as a gate per channel
        if kind == Kind.POOL:
            kind = self._kind_of_pool(node)
        if kind in _PER_VALUE or kind == Kind.POOL:
            before = self._sole(maps[0], node) if maps else None
            if before:
                self._extend(before, node, kind)
                return
        if kind in _PER_VALUE or kind == Kind.ADDRESS:
            self._sources[node] = [g for n in maps or tensors for g in self._sources[n]]
            return
        for operand in tensors:
            before = self._sole(operand, node)
            if before and (kind == Kind.CONCAT or (kind == Kind.SUM and before.linear)):
                before.alone = False
            else:
                for group in self._sources[operand]:
                    group.readers.add(node)
        if kind != Kind.OUTPUT:
            self._begin(node, kind)

    def _begin(self, node: Node, kind: Kind) -> None:
        group = Group(
            node,
            node,
            [ops.operation(node, self._modules)],
            linear=kind == Kind.CONV,
            alone=kind != Kind.PICTURE,
            positive=self._positive[node],
        )
        self.groups.append(group)
        self._sources[node] = [group]

    def _extend(self, group: Group, node: Node, kind: Kind) -> None:
        group.end = node
        if kind != Kind.IDENTITY:
            name = ops.operation(node, self._modules)
            group.tap = node
            group.operations.append(name)
            if name in ops.RELUS:
                group.relu = node
            elif name not in ops.KEEPS_ORDER:
                group.relu = None
            group.linear &= kind == Kind.NORM
            group.positive = self._positive[node]
        self._sources[node] = [group]

    def _sole(self, operand: Node, reader: Node) -> Group | None:
        """The group that ends in ``operand``, if nothing but ``reader`` takes its values."""
        for group in self._sources[operand]:
            if group.end is operand and group.alone:
                # Who only asks for the size takes no values.
                users = [u for u in operand.users if u.op == "output" or self._is_tensor(u)]
                return group if users == [reader] else None
        return None

    def _gated(self, node: Node, maps: list[Node]) -> Group | None:
        """The group whose values gate themselves, as in ``x * sigmoid(x)``: an activation.

        None where the operands of ``node`` are something else, or have other readers.
        """
        between: set[Node] = set()  # the end of the group, and what is computed from it
        ends: set[Node] = set()
        behind = list(maps)
        while behind:
            operand = behind.pop()
            if operand in between:
                continue
            between.add(operand)
            group = next((g for g in self._sources[operand] if g.end is operand), None)
            if group is not None:
                ends.add(operand)
                continue
            operands = [n for n in operand.all_input_nodes if self._is_tensor(n)]
            with_map = [n for n in operands if any(map(self._has_pixels, self._sources[n]))]
            known = ops.kind(operand, self._modules)
            if known not in (*_PER_VALUE, Kind.SUM, Kind.COMBINE) or not with_map:
                return None
            behind += with_map
        if len(ends) != 1 or len(between) < 2:
            return None
        if any(
            u not in between and u is not node
            for n in between
            for u in n.users
            if u.op == "output" or self._is_tensor(u)
        ):
            return None
        group = next(g for g in self._sources[next(iter(ends))])
        return group if group.alone and not group.readers else None

    def _kind_of_pool(self, node: Node) -> Kind:
        if not is_map(self._shapes[node]):
            return Kind.OTHER  # global
        operand = node.all_input_nodes[0]
        adaptive = ops.operation(node, self._modules).startswith("adaptive")
        # As in VGG, where it serves other sizes of pictures.
        nothing = adaptive and self._shapes[operand] == self._shapes[node]
        return Kind.IDENTITY if nothing else Kind.POOL

    def _is_tensor(self, node: Node) -> bool:
        return self._shapes[node] is not None

    def _has_pixels(self, group: Group) -> bool:
        return is_map(self._shapes[group.tap])
