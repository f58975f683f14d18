"""What the nodes of a torch.fx trace do, as far as memory traffic is concerned.

An operation is known by the name of its module's class, function or method, in lower case and
without underscores: ``nn.BatchNorm2d`` is ``batchnorm2d``, ``F.max_pool2d`` is ``maxpool2d``,
``x.relu_()`` is ``relu``. A name that is in no table is an operation of its own, whose input is
read and whose output is stored: rather too much traffic than too little.
"""

from collections.abc import Mapping
from enum import Enum

from torch import nn
from torch.fx import Node

from fmzip.format import Dtype
from fmzip_models.quantise import Scale

Modules = Mapping[str, nn.Module]


class Kind(Enum):
    """What an operation means to the maps around it."""

    PICTURE = "the network's input"
    CONSTANT = "a tensor that the network holds"
    OUTPUT = "what the network returns"
    CONV = "sums of products in an accumulator"
    NORM = "per value and linear"
    ACTIVATION = "per value"
    IDENTITY = "nothing, in evaluation"
    ADDRESS = "moves values and computes none: another way to read the same map"
    POOL = "neighbouring values to one"
    SUM = "per value, of several maps, possible in the accumulator"
    COMBINE = "per value, of several maps, otherwise"
    CONCAT = "several maps as one"
    OTHER = "anything else"


_POSITIVE = ("relu", "relu6", "sigmoid", "hardsigmoid", "softplus", "softmax", "abs", "square")
_CLAMPS = ("hardtanh", "clamp", "clip")
RELUS = ("relu", "relu6")
KEEPS_ORDER = ("maxpool2d", "adaptivemaxpool2d")  # the same before and behind a ReLU

_TABLES: tuple[tuple[Kind, tuple[str, ...]], ...] = (
    (Kind.CONV, ("conv1d", "conv2d", "conv3d", "convtranspose2d", "linear")),
    (Kind.NORM, ("batchnorm", "batchnorm1d", "batchnorm2d", "neg")),
    (Kind.ACTIVATION, (*_POSITIVE, *_CLAMPS, "leakyrelu", "prelu", "rrelu", "elu", "selu", "celu",
                       "gelu", "silu", "mish", "tanh", "hardswish", "logsigmoid", "softsign",
                       "threshold", "fakequantize", "erf", "exp", "sqrt", "pow")),
    (Kind.IDENTITY, ("dropout", "dropout1d", "dropout2d", "dropout3d", "alphadropout",
                     "featurealphadropout", "stochasticdepth", "droppath", "identity",
                     "contiguous", "clone", "detach", "float", "to")),
    (Kind.ADDRESS, ("flatten", "unflatten", "view", "reshape", "permute", "transpose", "squeeze",
                    "unsqueeze", "expand", "flip", "roll", "getitem", "chunk", "split",
                    "tensorsplit", "narrow", "pad", "zeropad2d", "constantpad2d",
                    "reflectionpad2d", "replicationpad2d", "pixelshuffle", "pixelunshuffle",
                    "channelshuffle")),
    (Kind.POOL, ("maxpool2d", "avgpool2d", "adaptiveavgpool2d", "adaptivemaxpool2d")),
    (Kind.SUM, ("add", "iadd", "sub", "isub")),
    (Kind.COMBINE, ("mul", "imul", "div", "truediv", "itruediv")),
    (Kind.CONCAT, ("cat", "concat", "concatenate")),
)  # fmt: skip
_KINDS = {name: kind for kind, table in _TABLES for name in table}
_OF_NODES = {"placeholder": Kind.PICTURE, "get_attr": Kind.CONSTANT, "output": Kind.OUTPUT}
# These make no negative value out of values that are not negative. Padding fills in something.
_KEEPS_SIGN = (Kind.IDENTITY, Kind.ADDRESS, Kind.POOL, Kind.SUM, Kind.COMBINE, Kind.CONCAT)
_FILLS = ("pad", "constantpad2d")


def operation(node: Node, modules: Modules) -> str:
    """Name of what a node does, see above; the kind of node for inputs, constants and output."""
    if node.op == "call_module":
        return operation_of(modules[str(node.target)])
    if node.op == "call_function":
        return _plain(getattr(node.target, "__name__", str(node.target)))
    return _plain(str(node.target)) if node.op == "call_method" else node.op


def operation_of(module: nn.Module) -> str:
    """Name of what a module does."""
    return _plain(type(module).__name__)


def kind_of(module: nn.Module) -> Kind:
    """Kind of a module's operation."""
    return _KINDS.get(operation_of(module), Kind.OTHER)


def module_never_negative(module: nn.Module) -> bool:
    """True where a module makes no negative value, whatever it takes; False if not known."""
    name = operation_of(module)
    if name in _CLAMPS:
        return _at_least_zero(getattr(module, "min_val", getattr(module, "min", None)))
    return name in _POSITIVE


def own_scale(node: Node) -> Scale | None:
    """The scale of a node that quantises to 8 bits, one scale for the whole map; else None."""
    if node.op != "call_function" or getattr(node.target, "__name__", "") != "fake_quantize":
        return None
    scale, zero, low, high = node.args[1:5]
    if not (isinstance(zero, int) and isinstance(low, int) and isinstance(high, int)):
        return None
    if not isinstance(scale, float) or high - low != 255:
        return None
    return scale_of_codes(scale, zero - low)


def scale_of_codes(scale: float, zero_point: int) -> Scale:
    """The scale of a map whose lowest integer is ``zero_point`` below the one that means zero.

    As everywhere, a map that is never negative is uint8, and any other is int8.

    Parameters
    ----------
    zero_point : 0 to 255
    """
    if zero_point == 0:
        return Scale(scale, 0, Dtype.UINT8)
    return Scale(scale, zero_point - 128, Dtype.INT8)


def kind(node: Node, modules: Modules) -> Kind:
    """Kind of a node."""
    return _OF_NODES.get(node.op) or _KINDS.get(operation(node, modules), Kind.OTHER)


def never_negative(node: Node, modules: Modules, positive: Mapping[Node, bool]) -> bool:
    """True where no result of a node can be negative; False where that is not known.

    Parameters
    ----------
    positive : the same for the nodes that it takes
    """
    name, what = operation(node, modules), kind(node, modules)
    if name in _POSITIVE:
        return True
    if name in _CLAMPS:
        default = -1.0 if name == "hardtanh" else None
        return _at_least_zero(_setting(node, modules, ("min_val", "min"), 1, default))
    if name == "fakequantize":  # of (values, scale, zero point, lowest, highest, axis)
        zero, low = node.args[2:4]
        return bool(low == zero)
    if name in ("sub", "isub") or what not in _KEEPS_SIGN or not node.all_input_nodes:
        return False
    if name in _FILLS and not _at_least_zero(_setting(node, modules, ("value",), 3, 0.0)):
        return False
    if what in (Kind.SUM, Kind.COMBINE):
        numbers = [a for a in node.args if not isinstance(a, Node)]
        return all(map(_at_least_zero, numbers)) and all(positive[n] for n in node.all_input_nodes)
    # Of the others only a concatenation takes several maps; the rest are sizes.
    maps = node.all_input_nodes if what == Kind.CONCAT else node.all_input_nodes[:1]
    return all(positive[n] for n in maps)


def _setting(
    node: Node, modules: Modules, names: tuple[str, ...], position: int, default: float | None
) -> object:
    """An argument of a function or method, or the attribute of a module that stands for it."""
    if node.op == "call_module":
        return getattr(modules[str(node.target)], names[0], default)
    for name in names:
        if name in node.kwargs:
            return node.kwargs[name]
    value = node.args[position] if len(node.args) > position else None
    return default if value is None else value


def _plain(name: str) -> str:
    return name.lower().replace("_", "")


def _at_least_zero(value: object) -> bool:
    return isinstance(value, int | float) and value >= 0
