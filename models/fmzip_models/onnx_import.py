"""A network from an ONNX file, as a torch.fx graph.

Every value is computed once, for one blank picture, while the graph is made. So what only depends
on shapes and constants becomes a constant, and a graph for pictures of one size needs no arithmetic
on shapes. The number of pictures stays free, also where the file fixes it.

A softmax at the end is left out: accuracy does not need it, and divergence takes logits.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import fx, nn

from fmzip.errors import FmzipError
from fmzip_models.maps import first_line

_EXTRA = "pip install 'fmzip[onnx]'"


@dataclass(frozen=True, eq=False)
class Value:
    """What a name in the file stands for.

    Members
    -------
    example : of one blank picture
    node : that computes it; None for a constant
    """

    example: torch.Tensor
    node: fx.Node | None = None


@dataclass(frozen=True)
class InputShape:
    """Shape of the pictures that a file takes; None where it is free."""

    channels: int | None
    side: int | None


class Operation:
    """An operation of the file while it is imported.

    Members
    -------
    name : for messages and for the map that it makes
    kind : the operator's name
    inputs : its operands; None where an optional one is left out
    outputs : number of results that it names
    """

    def __init__(self, graph: "GraphMaker", node: Any, opset: int) -> None:
        from onnx import helper

        self._graph = graph
        self.kind = node.op_type if node.domain in ("", "ai.onnx") else _qualified(node)
        self.name = node.name or (node.output[0] if node.output else self.kind)
        self.inputs = [graph.values[name] if name else None for name in node.input]
        self.outputs = len(node.output)
        self.opset = opset
        self._attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}

    def attribute(self, name: str, default: Any = None) -> Any:
        """An attribute, text as str."""
        value = self._attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else value

    @property
    def first(self) -> Value:
        """The first operand."""
        value = self.operand(0)
        if value is None:
            raise ValueError("its first operand is missing")
        return value

    def operand(self, k: int) -> Value | None:
        """An operand; None where it is left out."""
        return self.inputs[k] if k < len(self.inputs) else None

    def constant(self, k: int, name: str) -> torch.Tensor | None:
        """What newer versions have as an operand and older ones as an attribute, if given.

        Raises
        ------
        ValueError : it is computed from the picture
        """
        value = self.operand(k)
        if value is None:
            found = self.attribute(name)
            return None if found is None else torch.as_tensor(found)
        if value.node is not None:
            raise ValueError(f"{name} must be constant")
        return value.example

    def integers(self, k: int, name: str) -> list[int] | None:
        """The same as integers."""
        found = self.constant(k, name)
        return None if found is None else [int(v) for v in found.flatten().tolist()]

    def emit(self, function: Callable[..., Any], *arguments: Any) -> Value:
        """Call a function on values and plain arguments, now if all values are constants."""
        example = function(*(_example(a) for a in arguments))
        if not any(isinstance(v, Value) and v.node is not None for v in _flat(arguments)):
            return Value(example)
        return Value(example, self._graph.call(function, arguments, self.name))


class GraphMaker:
    """A torch.fx graph in the making.

    Members
    -------
    values : by their names in the file
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.values: dict[str, Value] = {}
        self._graph = fx.Graph()
        self._root = nn.Module()
        self._constants: dict[Value, fx.Node] = {}
        self.picture = Value(torch.zeros(1, *shape), self._graph.placeholder("picture"))

    def call(self, function: Callable[..., Any], arguments: Any, name: str) -> fx.Node:
        """Add a call of a function."""
        nodes = tuple(self._argument(a) for a in arguments)
        plain = re.sub(r"\W+", "_", name).strip("_")
        plain = plain if plain and not plain[0].isdigit() else f"_{plain}"
        return self._graph.create_node("call_function", function, nodes, {}, name=plain)

    def finish(self, result: Value, name: str) -> fx.GraphModule:
        """The graph as a module in evaluation mode."""
        self._graph.output(self._argument(result))
        self._graph.eliminate_dead_code()
        return fx.GraphModule(self._root, self._graph, class_name=name).eval()

    def _argument(self, argument: Any) -> Any:
        if isinstance(argument, list | tuple):
            return type(argument)(self._argument(a) for a in argument)
        if not isinstance(argument, Value):
            return argument
        if argument.node is not None:
            return argument.node
        if argument not in self._constants:
            name = f"constant_{len(self._constants)}"
            self._root.register_buffer(name, argument.example.contiguous())
            self._constants[argument] = self._graph.get_attr(name)
        return self._constants[argument]


def input_shape(path: Path) -> InputShape:
    """Shape of the pictures of an ONNX file.

    Raises
    ------
    FmzipError : the file cannot be read, or its input is no picture
    """
    return _input(path, _read(path).graph)[1]


@torch.no_grad()
def load(path: Path, shape: tuple[int, int, int]) -> fx.GraphModule:
    """The network of an ONNX file, in evaluation mode.

    Parameters
    ----------
    shape : channels, height, width of its pictures

    Raises
    ------
    FmzipError : the file cannot be read, or needs an operator that is not supported
    """
    from onnx import numpy_helper

    from fmzip_models.onnx_ops import OPERATORS

    model = _read(path)
    name = _input(path, model.graph)[0]
    opset = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 1)
    maker = GraphMaker(shape)
    try:
        for tensor in model.graph.initializer:
            # A copy, since arrays that lie in the file's bytes cannot be written to.
            array = numpy_helper.to_array(tensor, base_dir=str(path.parent)).copy()
            constant = torch.from_numpy(array)
            maker.values[tensor.name] = Value(_single(constant))
    except Exception as error:
        raise FmzipError(f"{path}: weights cannot be read: {first_line(error)}") from None
    maker.values[name] = maker.picture
    unknown = sorted({_qualified(n) for n in model.graph.node} - set(OPERATORS))
    if unknown:
        raise FmzipError(f"{path}: operators are not supported: {', '.join(unknown)}")
    final = model.graph.output[0].name
    for node in model.graph.node:
        operation = None
        try:
            operation = Operation(maker, node, opset)
            if operation.kind == "Softmax" and final in node.output:
                results: Any = operation.operand(0)
            else:
                results = OPERATORS[operation.kind](operation)
        except Exception as error:  # missing operands, impossible shapes, unusual attributes
            what = node.op_type if operation is None else f"{node.op_type} {operation.name}"
            raise FmzipError(f"{path}: {what}: {first_line(error)}") from None
        results = results if isinstance(results, tuple) else (results,)
        maker.values.update(zip(node.output, results, strict=False))
    if final not in maker.values:
        raise FmzipError(f"{path}: nothing computes its output {final!r}")
    return maker.finish(_logits(maker.values[final], maker), _class_name(path))


def _logits(value: Value, maker: GraphMaker) -> Value:
    """[n, classes] also of files that return [n, classes, 1, 1]."""
    found = value.example
    if value.node is None or found.ndim <= 2 or found[0].numel() != found.shape[1]:
        return value
    node = maker.call(torch.flatten, (value, 1), "logits")
    return Value(torch.flatten(value.example, 1), node)


def _read(path: Path) -> Any:
    try:
        import onnx
    except ImportError:
        raise FmzipError(f"{path}: needs the package onnx: {_EXTRA}") from None
    if not path.is_file():
        raise FmzipError(f"{path}: no such file; expected an ONNX network")
    try:
        model = onnx.load(path)
    except Exception as error:  # protobuf's own, and those of external data
        raise FmzipError(f"{path}: not readable as ONNX: {first_line(error)}") from None
    if not model.graph.node or not model.graph.output:
        raise FmzipError(f"{path}: not an ONNX network: it has no operators")
    return model


def _input(path: Path, graph: Any) -> tuple[str, InputShape]:
    """Name and shape of the picture."""
    constants = {tensor.name for tensor in graph.initializer}  # old files list them as inputs
    inputs = [i for i in graph.input if i.name not in constants]
    if len(inputs) != 1:
        raise FmzipError(f"{path}: has {len(inputs)} inputs, expected one, the picture")
    kind = inputs[0].type.tensor_type
    sizes = [d.dim_value if d.dim_value > 0 else None for d in kind.shape.dim]
    text = ", ".join("?" if s is None else str(s) for s in sizes)
    if kind.elem_type not in (1, 10):  # float, float16
        raise FmzipError(f"{path}: input {inputs[0].name} is not of a float type")
    if len(sizes) != 4 or sizes[1] not in (None, 1, 3):
        raise FmzipError(
            f"{path}: input {inputs[0].name} is [{text}], expected [n, 1 or 3, height, width]"
        )
    if sizes[2] != sizes[3]:
        raise FmzipError(f"{path}: input {inputs[0].name} is [{text}], expected a square picture")
    return inputs[0].name, InputShape(sizes[1], sizes[2])


def _single(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def _qualified(node: Any) -> str:
    return node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"


def _class_name(path: Path) -> str:
    return "Onnx_" + re.sub(r"\W", "_", path.stem)


def _example(argument: Any) -> Any:
    if isinstance(argument, list | tuple):
        return type(argument)(_example(a) for a in argument)
    return argument.example if isinstance(argument, Value) else argument


def _flat(arguments: Any) -> list[Any]:
    return [
        inner for a in arguments for inner in (_flat(a) if isinstance(a, list | tuple) else [a])
    ]
