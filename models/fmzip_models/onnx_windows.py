"""ONNX operators that look at windows of pixels: convolutions, poolings and paddings."""

import torch
from torch.nn import functional

from fmzip_models.onnx_import import Operation, Value

Pads = tuple[int, int, int, int]  # left, right, top, bottom, as PyTorch has them


def max_pool2d(
    values: torch.Tensor, kernel: list[int], stride: list[int], pads: Pads, dilation: list[int],
    ceil: bool,
) -> torch.Tensor:  # fmt: skip
    """The largest values of windows; pixels outside of the picture do not count."""
    if any(pads):
        values = functional.pad(values, pads, value=-torch.inf)
    return functional.max_pool2d(values, kernel, stride, 0, dilation, ceil)


def avg_pool2d(
    values: torch.Tensor, kernel: list[int], stride: list[int], pads: Pads, ceil: bool, whole: bool
) -> torch.Tensor:
    """Means of windows.

    Parameters
    ----------
    whole : pixels outside of the picture count as zeros; else they do not count
    """
    if not any(pads):
        return functional.avg_pool2d(values, kernel, stride, 0, ceil)
    padded = functional.pad(values, pads)
    if whole:
        return functional.avg_pool2d(padded, kernel, stride, 0, ceil)
    inside = functional.pad(torch.ones_like(values[:1, :1]), pads)
    sums, counts = (functional.avg_pool2d(v, kernel, stride, 0, ceil) for v in (padded, inside))
    return sums / counts


def conv(op: Operation) -> Value:
    """Conv of two dimensions."""
    x, weight, bias = op.inputs[0], op.inputs[1], op.operand(2)
    assert x is not None
    assert weight is not None
    kernel = list(weight.example.shape[2:])
    stride, dilation, pads = _geometry(op, x, kernel)
    left, right, top, bottom = pads
    if (left, top) != (right, bottom):
        x = op.emit(functional.pad, x, list(pads))
        left = top = 0
    groups = op.attribute("group", 1)
    return op.emit(functional.conv2d, x, weight, bias, stride, [top, left], dilation, groups)


def max_pool(op: Operation) -> Value:
    """MaxPool of two dimensions, without the indices."""
    x, kernel = _pooled(op)
    stride, dilation, pads = _geometry(op, x, kernel)
    return op.emit(max_pool2d, x, kernel, stride, pads, dilation, bool(op.attribute("ceil_mode")))


def average_pool(op: Operation) -> Value:
    """AveragePool of two dimensions."""
    x, kernel = _pooled(op)
    stride, dilation, pads = _geometry(op, x, kernel)
    if dilation != [1, 1]:
        raise ValueError("is not supported with a dilation")
    whole = bool(op.attribute("count_include_pad", 0))
    ceil = bool(op.attribute("ceil_mode"))
    return op.emit(avg_pool2d, x, kernel, stride, pads, ceil, whole)


def pad(op: Operation) -> Value:
    """Pad of the pixels or channels of a map."""
    modes = {"constant": "constant", "reflect": "reflect", "edge": "replicate"}
    x, pads = op.inputs[0], op.integers(1, "pads") or []
    mode = modes.get(op.attribute("mode", "constant"))
    if x is None or mode is None or (len(op.inputs) > 3 and op.inputs[3] is not None):
        raise ValueError("is not supported in this mode, or for some axes only")
    value = op.constant(2, "value")
    rank = x.example.ndim
    # ONNX: all beginnings, then all ends; PyTorch: pairs, beginning with the last axis.
    pairs = [p for k in reversed(range(rank)) for p in (pads[k], pads[k + rank])]
    if mode != "constant":
        if any(pairs[4:]):
            raise ValueError("is supported for pixels only in this mode")
        return op.emit(functional.pad, x, pairs[:4], mode)
    number = 0.0 if value is None else float(value)
    return op.emit(functional.pad, x, pairs, mode, number)


def _pooled(op: Operation) -> tuple[Value, list[int]]:
    x = op.inputs[0]
    if x is None or x.example.ndim != 4 or op.outputs != 1:
        raise ValueError("is supported for maps of two dimensions, without indices")
    return x, list(op.attribute("kernel_shape"))


def _geometry(op: Operation, x: Value, kernel: list[int]) -> tuple[list[int], list[int], Pads]:
    """Stride, dilation and padding."""
    if x.example.ndim != 4 or len(kernel) != 2:
        raise ValueError("is supported for maps of two dimensions only")
    stride = list(op.attribute("strides", [1, 1]))
    dilation = list(op.attribute("dilations", [1, 1]))
    top, left, bottom, right = op.attribute("pads", [0, 0, 0, 0])
    auto = op.attribute("auto_pad", "NOTSET")
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        pairs = []
        for size, step, width, gap in zip(
            x.example.shape[2:], stride, kernel, dilation, strict=True
        ):
            span = gap * (width - 1) + 1
            total = max((-(-size // step) - 1) * step + span - size, 0)
            small, large = total // 2, total - total // 2
            pairs.append((small, large) if auto == "SAME_UPPER" else (large, small))
        (top, bottom), (left, right) = pairs
    elif auto not in ("NOTSET", "VALID"):
        raise ValueError(f"auto_pad {auto} is not supported")
    return stride, dilation, (left, right, top, bottom)
