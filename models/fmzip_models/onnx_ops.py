"""The ONNX operators of classification networks as calls of PyTorch functions.

Source: the operator list of the ONNX specification, opset versions 7 to 21. A function here takes
an ``Operation`` and returns its result, or a tuple of several. What torch.fx shows of them, and so
what ``ops`` knows them by, are the names of the functions that they emit.
"""

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

from fmzip_models.onnx_import import Operation, Value
from fmzip_models.onnx_shapes import (
    cast,
    concat,
    constant,
    filled,
    flatten,
    gather,
    reshape,
    shape_of,
    slice_of,
    split,
    squeeze,
    transpose,
    unsqueeze,
)
from fmzip_models.onnx_windows import average_pool, conv, max_pool, pad

Operator = Callable[[Operation], Value | tuple[Value, ...]]


def fake_quantize(
    values: torch.Tensor, scale: float, zero_point: int, low: int, high: int
) -> torch.Tensor:
    """Activations as they are behind quantisation to ``low`` to ``high`` and back."""
    codes = torch.round(values / scale) + zero_point
    return (codes.clamp(low, high) - zero_point) * scale


def hard_sigmoid(values: torch.Tensor, alpha: float, beta: float) -> torch.Tensor:
    """``alpha * values + beta``, cut off at 0 and 1."""
    return (alpha * values + beta).clamp(0, 1)


def _same(op: Operation) -> Value:
    return op.first


def _unary(function: Callable[..., Any], **attributes: float) -> Operator:
    """A function of one value, and attributes of the file with their defaults."""

    def build(op: Operation) -> Value:
        numbers = [op.attribute(name, default) for name, default in attributes.items()]
        return op.emit(function, op.first, *numbers)

    return build


def _binary(function: Callable[..., Any]) -> Operator:
    def build(op: Operation) -> Value:
        left, right = op.inputs
        assert left is not None
        assert right is not None
        if function is operator.truediv and not left.example.is_floating_point():
            return op.emit(_whole_division, left, right)
        return op.emit(function, _number(left), _number(right))

    return build


def _whole_division(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    return torch.div(left, right, rounding_mode="trunc")


def _number(value: Value) -> Value | float:
    """A constant of one element as a number, so that its sign is known."""
    example = value.example
    if value.node is None and example.numel() == 1 and example.is_floating_point():
        return float(example)
    return value


def _sum(op: Operation) -> Value:
    total = op.first
    for value in op.inputs[1:]:
        total = op.emit(operator.add, total, value)
    return total


def _clip(op: Operation) -> Value:
    low, high = op.constant(1, "min"), op.constant(2, "max")
    limits = [None if v is None else float(v) for v in (low, high)]
    if limits == [None, None]:
        return op.first
    return op.emit(torch.clamp, op.first, *limits)


def _bound(low: bool) -> Operator:
    """Max and Min of a value and a number."""

    def build(op: Operation) -> Value:
        values = sorted((v for v in op.inputs if v is not None), key=lambda v: v.node is None)
        if len(values) != 2 or values[1].node is not None or values[1].example.numel() != 1:
            raise ValueError("is supported with one number only")
        number = float(values[1].example)
        return op.emit(torch.clamp, values[0], *((number, None) if low else (None, number)))

    return build


def _batch_norm(op: Operation) -> Value:
    x, weight, bias, mean, variance = op.inputs[:5]
    epsilon = op.attribute("epsilon", 1e-5)
    return op.emit(functional.batch_norm, x, mean, variance, weight, bias, False, 0.0, epsilon)


def _prelu(op: Operation) -> Value:
    slope = op.operand(1)
    return op.emit(functional.prelu, op.first, op.emit(torch.flatten, slope))


def _local_response_norm(op: Operation) -> Value:
    numbers = [op.attribute(n, d) for n, d in (("alpha", 1e-4), ("beta", 0.75), ("bias", 1.0))]
    return op.emit(functional.local_response_norm, op.first, op.attribute("size"), *numbers)


def _gemm(op: Operation) -> Value:
    x, weight, bias = op.first, op.operand(1), op.operand(2)
    if weight is None or op.attribute("transA", 0):
        raise ValueError("is supported for a matrix of weights only")
    if not op.attribute("transB", 0):
        weight = op.emit(torch.t, weight)
    weight = op.emit(operator.mul, weight, op.attribute("alpha", 1.0))
    if bias is not None:
        bias = op.emit(operator.mul, bias, op.attribute("beta", 1.0))
        if bias.example.ndim != 1:
            bias = op.emit(torch.flatten, bias)
    return op.emit(functional.linear, x, weight, bias)


def _matmul(op: Operation) -> Value:
    left, right = op.inputs
    if right is not None and right.node is None and right.example.ndim == 2:
        return op.emit(functional.linear, left, op.emit(torch.t, right))
    return op.emit(torch.matmul, left, right)


def _global_pool(function: Callable[..., Any]) -> Operator:
    return lambda op: op.emit(function, op.first, 1)


def _reduce_mean(op: Operation) -> Value:
    x = op.first
    axes = op.integers(1, "axes")
    keep = bool(op.attribute("keepdims", 1))
    if not axes:
        if op.attribute("noop_with_empty_axes", 0):
            return x
        axes = list(range(x.example.ndim))
    return op.emit(torch.mean, x, axes, keep)


def _softmax(op: Operation) -> Value:
    return op.emit(torch.softmax, op.first, op.attribute("axis", 1 if op.opset < 13 else -1))


def _quantize(op: Operation) -> Value:
    scale, zero = op.constant(1, "scale"), op.constant(2, "zero point")
    zero = torch.zeros((), dtype=torch.uint8) if zero is None else zero
    if scale is None or scale.numel() != 1 or zero.dtype not in (torch.uint8, torch.int8):
        raise ValueError("is supported with one scale and 8 bits only")
    limits = torch.iinfo(zero.dtype)
    return op.emit(fake_quantize, op.first, float(scale), int(zero), limits.min, limits.max)


def _dequantize(op: Operation) -> Value:
    x = op.first
    if x.node is not None:
        return x  # ``fake_quantize`` has given activations already
    scale, zero = op.constant(1, "scale"), op.constant(2, "zero point")
    assert scale is not None
    codes = x.example.float()
    if scale.numel() > 1:
        shape = [1] * codes.ndim
        shape[op.attribute("axis", 1)] = -1
        scale, zero = scale.reshape(shape), None if zero is None else zero.reshape(shape)
    return Value((codes if zero is None else codes - zero.float()) * scale)


OPERATORS: dict[str, Operator] = {
    "Abs": _unary(torch.abs),
    "Add": _binary(operator.add),
    "AveragePool": average_pool,
    "BatchNormalization": _batch_norm,
    "Cast": cast,
    "Clip": _clip,
    "Concat": concat,
    "Constant": constant,
    "ConstantOfShape": filled,
    "Conv": conv,
    "DequantizeLinear": _dequantize,
    "Div": _binary(operator.truediv),
    "Dropout": _same,
    "Elu": _unary(functional.elu, alpha=1.0),
    "Erf": _unary(torch.erf),
    "Exp": _unary(torch.exp),
    "Flatten": flatten,
    "Gather": gather,
    "Gemm": _gemm,
    "GlobalAveragePool": _global_pool(functional.adaptive_avg_pool2d),
    "GlobalMaxPool": _global_pool(functional.adaptive_max_pool2d),
    "HardSigmoid": _unary(hard_sigmoid, alpha=0.2, beta=0.5),
    "HardSwish": _unary(functional.hardswish),
    "Identity": _same,
    "LRN": _local_response_norm,
    "LeakyRelu": _unary(functional.leaky_relu, alpha=0.01),
    "LogSoftmax": lambda op: op.emit(torch.log_softmax, op.first, op.attribute("axis", -1)),
    "MatMul": _matmul,
    "Max": _bound(low=True),
    "MaxPool": max_pool,
    "Min": _bound(low=False),
    "Mul": _binary(operator.mul),
    "Neg": _unary(torch.neg),
    "PRelu": _prelu,
    "Pad": pad,
    "Pow": _binary(torch.pow),
    "QuantizeLinear": _quantize,
    "ReduceMean": _reduce_mean,
    "Relu": _unary(functional.relu),
    "Reshape": reshape,
    "Selu": _unary(functional.selu),
    "Shape": shape_of,
    "Sigmoid": _unary(torch.sigmoid),
    "Slice": slice_of,
    "Softmax": _softmax,
    "Softplus": _unary(functional.softplus),
    "Split": split,
    "Sqrt": _unary(torch.sqrt),
    "Squeeze": squeeze,
    "Sub": _binary(operator.sub),
    "Sum": _sum,
    "Tanh": _unary(torch.tanh),
    "Transpose": transpose,
    "Unsqueeze": unsqueeze,
}
