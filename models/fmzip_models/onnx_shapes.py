"""ONNX operators that move values, and those that only compute shapes."""

import operator
from typing import Any

import torch

from fmzip_models.onnx_import import Operation, Value


def concat(op: Operation) -> Value:
    """Concat."""
    return op.emit(torch.cat, list(op.inputs), op.attribute("axis", 1))


def reshape(op: Operation) -> Value:
    """Reshape."""
    x, shape = op.first, op.integers(1, "shape") or []
    if not op.attribute("allowzero", 0):
        shape = [x.example.shape[k] if s == 0 else s for k, s in enumerate(shape)]
    return _reshaped(op, x, list(x.example.reshape(shape).shape))


def _reshaped(op: Operation, x: Value, shape: list[int]) -> Value:
    """Reshape to the shape for one picture; for more than one, the first number is another."""
    if x.node is not None and x.example.shape[:1] == (1,) and shape[:1] == [1]:
        shape = [-1, *shape[1:]]
    return op.emit(torch.reshape, x, shape)


def flatten(op: Operation) -> Value:
    """Flatten."""
    x, axis = op.first, op.attribute("axis", 1)
    axis += x.example.ndim if axis < 0 else 0
    if axis == 1:
        return op.emit(torch.flatten, x, 1)
    sizes = x.example.shape
    rows = sizes[:axis].numel()
    return _reshaped(op, x, [rows, x.example.numel() // rows])


def transpose(op: Operation) -> Value:
    """Transpose."""
    x = op.first
    order = op.attribute("perm", list(range(x.example.ndim))[::-1])
    return op.emit(torch.permute, x, list(order))


def squeeze(op: Operation) -> Value:
    """Squeeze."""
    x, axes = op.first, op.integers(1, "axes")
    if axes is None:
        # The first axis counts pictures, of which there happens to be one.
        first = 0 if x.node is None else 1
        axes = [k for k, s in enumerate(x.example.shape) if s == 1 and k >= first]
    return op.emit(torch.squeeze, x, axes)


def unsqueeze(op: Operation) -> Value:
    """Unsqueeze."""
    x, axes = op.first, op.integers(1, "axes") or []
    rank = x.example.ndim + len(axes)
    for axis in sorted(a % rank for a in axes):
        x = op.emit(torch.unsqueeze, x, axis)
    return x


def split(op: Operation) -> tuple[Value, ...]:
    """Split."""
    x, axis = op.first, op.attribute("axis", 0)
    sizes: Any = op.integers(1, "split")
    if sizes is None:
        sizes = -(-x.example.shape[axis] // op.attribute("num_outputs", op.outputs))
    parts = op.emit(torch.split, x, sizes, axis)
    return tuple(op.emit(operator.getitem, parts, k) for k in range(op.outputs))


def slice_of(op: Operation) -> Value:
    """Slice."""
    x = op.first
    starts, ends = op.integers(1, "starts") or [], op.integers(2, "ends") or []
    axes = op.integers(3, "axes") or list(range(len(starts)))
    steps = op.integers(4, "steps") or [1] * len(starts)
    index = [slice(None)] * x.example.ndim
    for axis, *limits in zip(axes, starts, ends, steps, strict=True):
        index[axis] = slice(*limits)
    if min(steps, default=1) < 1:
        if x.node is not None:
            raise ValueError("is supported in ascending order only")
        # PyTorch cannot do it, NumPy can: as exported for the order of paddings.
        return Value(torch.from_numpy(x.example.numpy()[tuple(index)].copy()))
    return op.emit(operator.getitem, x, tuple(index))


def gather(op: Operation) -> Value:
    """Gather with constant indices."""
    x, axis = op.first, op.attribute("axis", 0)
    found = op.constant(1, "indices")
    if found is None:
        raise ValueError("its indices are missing")
    axis %= x.example.ndim
    index: tuple[Any, ...] = (*[slice(None)] * axis, int(found) if found.ndim == 0 else found)
    if x.node is not None and found.ndim:
        return op.emit(torch.index_select, x, axis, Value(found))
    return op.emit(operator.getitem, x, index)


def constant(op: Operation) -> Value:
    """Constant."""
    from onnx import TensorProto, numpy_helper

    for name in ("value", "value_float", "value_int", "value_floats", "value_ints"):
        found = op.attribute(name)
        if isinstance(found, TensorProto):
            found = torch.from_numpy(numpy_helper.to_array(found).copy())
        if found is not None:
            tensor = torch.as_tensor(found)
            return Value(tensor.float() if tensor.is_floating_point() else tensor)
    raise ValueError("holds neither a tensor nor numbers")


def filled(op: Operation) -> Value:
    """ConstantOfShape."""
    from onnx import numpy_helper

    found = op.attribute("value")
    number = 0.0 if found is None else numpy_helper.to_array(found).item()
    return Value(torch.full(op.integers(0, "shape") or [], number))


def shape_of(op: Operation) -> Value:
    """Shape, which is known."""
    sizes = torch.tensor(op.first.example.shape)
    return Value(sizes[op.attribute("start", 0) : op.attribute("end")])


def cast(op: Operation) -> Value:
    """Cast between float types, and of constants."""
    x, kind = op.first, op.attribute("to")
    floats, integers = (1, 10, 11, 16), (6, 7)  # numbers of the types in ONNX
    if kind in floats and x.example.is_floating_point():
        return x
    if x.node is not None or kind not in floats + integers:
        raise ValueError("is supported between float types only")
    return op.emit(torch.Tensor.float if kind in floats else torch.Tensor.long, x)
