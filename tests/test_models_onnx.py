"""Networks from ONNX files, compared with PyTorch's own results."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from fmzip.errors import FmzipError
from fmzip.format import Dtype
from fmzip_models import graph, onnx_import, spec, zoo
from fmzip_models.default import open_job
from fmzip_models.quantise import Scale
from fmzip_models.spec import Input

onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
helper, numpy_helper = onnx.helper, onnx.numpy_helper

torch.set_num_threads(1)
Arrays = dict[str, np.ndarray]
SHAPE = (3, 12, 12)


def random(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def save(
    path: Path, nodes: Sequence[Any], constants: Arrays, *, opset: int = 17, batch: Any = "n",
    shape: Sequence[Any] = SHAPE, kind: int = 1,
) -> Path:  # fmt: skip
    """A file with the input ``x`` and the output ``y``."""
    made = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", kind, [batch, *shape])],
        [helper.make_tensor_value_info("y", 1, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)])
    path.write_bytes(model.SerializeToString())
    return path


def node(kind: str, inputs: str, output: str = "y", **attributes: Any) -> Any:
    return helper.make_node(kind, inputs.split(), output.split(), name=f"the_{kind}", **attributes)


def run(path: Path, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return onnx_import.load(path, tuple(x.shape[1:]))(x)


X = torch.randn(3, *SHAPE, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("fixed", [True, False])
@pytest.mark.parametrize(
    ("name", "width", "size"),
    [
        ("resnet18", 8, 64),
        ("resnet50", 4, 64),
        ("mobilenet_v2", 8, 64),
        ("vgg16_bn", 2, 224),
        ("squeezenet1_0", 12, 64),
        ("squeezenet1_1", 16, 64),
        ("cifar_resnet20", 8, 32),
    ],
)
def test_an_exported_network_gives_the_same_logits_and_maps(
    tmp_path: Path, name: str, width: int, size: int, fixed: bool
) -> None:
    torch.manual_seed(1)
    network = zoo.build(name, width=width, classes=5, size=size)
    for module in network.module.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 1.5)
    path = tmp_path / "net.onnx"
    options: dict[str, Any] = {"dynamic_axes": {"x": {0: "n"}}}
    if fixed:  # to one picture; and batch norms are left as they are
        options = {"training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # this exporter is deprecated, but needs no other package
        torch.onnx.export(
            network.module, (torch.randn(1, 3, size, size),), str(path), dynamo=False,
            input_names=["x"], **options,
        )  # fmt: skip
    found = spec.open_network(str(path))
    assert (found.name, found.size, found.classes) == ("net.onnx", size, 5)
    x = torch.randn(3, 3, size, size)
    torch.testing.assert_close(found.graph.run(x), network.graph.run(x), rtol=1e-4, atol=1e-4)
    assert found.graph.method == "torch.fx"
    assert [(m.shape, m.reads, m.signed) for m in found.graph.maps] == [
        (m.shape, m.reads, m.signed) for m in network.graph.maps
    ]


W, B = random(6, 3, 3, 2), random(6)
CHANNELS = random(3)
FC = random(3 * 144, 4)


def conv(x: torch.Tensor, **options: Any) -> torch.Tensor:
    return functional.conv2d(x, torch.from_numpy(W), torch.from_numpy(B), **options)


def tensor(*numbers: float) -> np.ndarray:
    return np.array(numbers, np.float32)


def whole(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


@pytest.mark.parametrize(
    ("kind", "attributes", "operands", "expected"),
    [
        ("Conv", {"pads": [1, 0, 2, 1], "strides": [2, 1]}, [W, B],
         lambda x: conv(functional.pad(x, (0, 1, 1, 2)), stride=(2, 1))),
        ("Conv", {"auto_pad": "SAME_UPPER", "strides": [2, 2]}, [W, B],
         lambda x: conv(functional.pad(x, (0, 0, 0, 1)), stride=2)),
        ("Conv", {"auto_pad": "SAME_LOWER"}, [W, B],
         lambda x: conv(functional.pad(x, (1, 0, 1, 1)))),
        ("Conv", {"auto_pad": "VALID", "dilations": [2, 2]}, [W, B],
         lambda x: conv(x, dilation=2)),
        ("Conv", {"group": 3}, [W[:, :1]],
         lambda x: functional.conv2d(x, torch.from_numpy(W[:, :1]), groups=3)),
        ("MaxPool", {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [0, 0, 1, 1]}, [],
         lambda x: functional.max_pool2d(functional.pad(x, (0, 1, 0, 1), value=-99), 3, 2)),
        ("MaxPool", {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}, [],
         lambda x: functional.max_pool2d(x, 3, 2, ceil_mode=True)),
        ("AveragePool", {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}, [],
         lambda x: functional.avg_pool2d(x, 3, 2, 1, count_include_pad=False)),
        ("AveragePool", {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1],
                         "count_include_pad": 1}, [],
         lambda x: functional.avg_pool2d(x, 3, 2, 1)),
        ("GlobalAveragePool", {}, [], lambda x: x.mean((2, 3), True)),
        ("GlobalMaxPool", {}, [], lambda x: x.amax((2, 3), True)),
        ("ReduceMean", {"axes": [2, 3], "keepdims": 0}, [], lambda x: x.mean((2, 3))),
        ("Clip", {}, [tensor(0)[0], tensor(6)[0]], lambda x: x.clamp(0, 6)),
        ("Max", {}, [tensor(0.5)], lambda x: x.clamp(min=0.5)),
        ("Min", {}, [tensor(0.5)], lambda x: x.clamp(max=0.5)),
        ("LeakyRelu", {"alpha": 0.2}, [], lambda x: functional.leaky_relu(x, 0.2)),
        ("PRelu", {}, [CHANNELS.reshape(3, 1, 1)],
         lambda x: functional.prelu(x, torch.from_numpy(CHANNELS))),
        ("Sigmoid", {}, [], torch.sigmoid),
        ("HardSigmoid", {"alpha": 1 / 6}, [], functional.hardsigmoid),
        ("HardSwish", {}, [], functional.hardswish),
        ("Elu", {"alpha": 0.5}, [], lambda x: functional.elu(x, 0.5)),
        ("Tanh", {}, [], torch.tanh),
        ("LRN", {"size": 3, "alpha": 0.1}, [],
         lambda x: functional.local_response_norm(x, 3, 0.1)),
        ("Add", {}, [CHANNELS.reshape(1, 3, 1, 1)],
         lambda x: x + torch.from_numpy(CHANNELS).view(1, 3, 1, 1)),
        ("Sub", {}, [tensor(2)], lambda x: x - 2),
        ("Div", {}, [tensor(2)], lambda x: x / 2),
        ("Pow", {}, [tensor(2)], lambda x: x**2),
        ("BatchNormalization", {"epsilon": 0.1}, [CHANNELS, CHANNELS, CHANNELS, CHANNELS**2],
         lambda x: functional.batch_norm(
             x, *(torch.from_numpy(v) for v in (CHANNELS, CHANNELS**2, CHANNELS, CHANNELS)),
             eps=0.1)),
        ("Pad", {}, [whole(0, 1, 0, 2, 0, 0, 3, 0), tensor(0.5)[0]],
         lambda x: functional.pad(x, (2, 0, 0, 3, 1, 0), value=0.5)),
        ("Pad", {"mode": "reflect"}, [whole(0, 0, 1, 1, 0, 0, 1, 1)],
         lambda x: functional.pad(x, (1, 1, 1, 1), mode="reflect")),
        ("Transpose", {"perm": [0, 2, 3, 1]}, [], lambda x: x.permute(0, 2, 3, 1)),
        ("Reshape", {}, [whole(0, -1, 6)], lambda x: x.reshape(len(x), -1, 6)),
        ("Reshape", {}, [whole(1, 3, 144)], lambda x: x.reshape(len(x), 3, 144)),
        ("Flatten", {}, [], lambda x: x.flatten(1)),
        ("Flatten", {"axis": -3}, [], lambda x: x.flatten(1)),
        ("Slice", {}, [whole(1, 0), whole(3, 2**62), whole(1, -1), whole(1, 2)],
         lambda x: x[:, 1:3, :, ::2]),
        ("Gather", {"axis": 1}, [whole(2, 0)], lambda x: x[:, [2, 0]]),
        ("Gather", {"axis": 1}, [np.array(2)], lambda x: x[:, 2]),
        ("Unsqueeze", {}, [whole(1, -1)], lambda x: x[:, None, ..., None]),
        ("Softmax", {}, [], lambda x: x),  # the last one is left out
        ("LogSoftmax", {"axis": 1}, [], lambda x: torch.log_softmax(x, 1)),
        ("Dropout", {}, [], lambda x: x),
    ],
)  # fmt: skip
def test_an_operator_is_pytorchs(
    tmp_path: Path, kind: str, attributes: Any, operands: Any, expected: Any
) -> None:
    constants = {f"c{k}": value for k, value in enumerate(operands)}
    nodes = [node(kind, " ".join(("x", *constants)), **attributes)]
    found = run(save(tmp_path / "net.onnx", nodes, constants, batch=1), X)
    wanted = expected(X)
    if wanted.ndim > 2 and wanted.shape[2:].numel() == 1:
        wanted = wanted.flatten(1)  # logits
    torch.testing.assert_close(found, wanted)


def test_weights_may_be_transposed_scaled_or_of_a_product(tmp_path: Path) -> None:
    flat = node("Flatten", "x", "f")
    constants = {"w": FC.T.copy(), "b": tensor(1, 2, 3, 4)}
    gemm = node("Gemm", "f w b", transB=1, alpha=0.5, beta=2.0)
    expected = 0.5 * X.flatten(1) @ torch.from_numpy(FC) + 2 * torch.tensor([1.0, 2, 3, 4])
    found = run(save(tmp_path / "a.onnx", [flat, gemm], constants), X)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    product = save(tmp_path / "b.onnx", [flat, node("MatMul", "f w")], {"w": FC})
    torch.testing.assert_close(run(product, X), X.flatten(1) @ torch.from_numpy(FC))


def test_arithmetic_on_shapes_becomes_constant_and_the_number_of_pictures_stays_free(
    tmp_path: Path,
) -> None:
    nodes = [
        node("Shape", "x", "s"),
        node("Gather", "s zero", "n", axis=0),
        node("Unsqueeze", "n axis", "n1"),
        node("Concat", "n1 rest", "target", axis=0),
        node("Reshape", "x target", "r"),
        node("ReduceMean", "r", axes=[2], keepdims=0),
    ]
    constants = {"zero": np.array(0), "axis": whole(0), "rest": whole(3, -1)}
    found = run(save(tmp_path / "net.onnx", nodes, constants), X)
    torch.testing.assert_close(found, X.mean((2, 3)))


def test_splits_sums_and_concatenations_keep_their_order(tmp_path: Path) -> None:
    nodes = [
        node("Split", "x sizes", "a b", axis=1),
        node("Sum", "b b b", "c"),
        node("Concat", "c a", axis=1),
    ]
    found = run(save(tmp_path / "net.onnx", nodes, {"sizes": whole(1, 2)}), X)
    torch.testing.assert_close(found, torch.cat((3 * X[:, 1:], X[:, :1]), 1))


def maps_of(path: Path) -> tuple[graph.Map, ...]:
    return graph.trace(onnx_import.load(path, SHAPE), SHAPE).maps


def head(of: str) -> list[Any]:
    return [node("GlobalAveragePool", of, "pooled"), node("Flatten", "pooled")]


@pytest.mark.parametrize(
    "gate",
    [
        [node("HardSigmoid", "c", "g", alpha=1 / 6), node("Mul", "c g", "m")],
        [node("Sigmoid", "c", "g"), node("Mul", "g c", "m")],
        [node("Add", "c three", "p"), node("Clip", "p zero six", "q"), node("Mul", "c q", "r"),
         node("Div", "r six", "m")],
    ],
)  # fmt: skip
def test_a_value_that_gates_itself_is_one_activation(tmp_path: Path, gate: list[Any]) -> None:
    nodes = [node("Conv", "x w", "c"), *gate, *head("m")]
    numbers = {"three": tensor(3)[0], "zero": tensor(0)[0], "six": tensor(6)[0]}
    maps = maps_of(save(tmp_path / "net.onnx", nodes, {"w": W, **numbers}))
    assert [(m.shape, m.reads, m.signed) for m in maps] == [((6, 10, 11), 1, True)]
    assert maps[0].source.startswith("conv2d + ")


def test_quantised_weights_and_maps_bring_their_scales(tmp_path: Path) -> None:
    codes = np.clip(np.rint(W / 0.02), -127, 127).astype(np.int8)
    constants = {
        "w": codes, "ws": np.full(6, 0.02, np.float32), "wz": np.zeros(6, np.int8),
        "s": tensor(0.03)[0], "z": np.array(0, np.uint8), "zs": np.array(-20, np.int8),
    }  # fmt: skip
    nodes = [
        node("DequantizeLinear", "w ws wz", "real", axis=0),
        node("Conv", "x real", "c"),
        node("Relu", "c", "r"),
        node("QuantizeLinear", "r s z", "q"),
        node("DequantizeLinear", "q s z", "d"),
        node("Slice", "d starts ends axes", "part"),
        node("Conv", "part real", "e"),
        node("QuantizeLinear", "e s zs", "f"),
        node("DequantizeLinear", "f s zs", "g"),
        *head("g"),
    ]
    constants |= {"starts": whole(0), "ends": whole(3), "axes": whole(1)}
    path = save(tmp_path / "net.onnx", nodes, constants)
    maps = maps_of(path)
    assert [(m.signed, m.scale) for m in maps] == [
        (False, Scale(0.03, 0, Dtype.UINT8)),
        (True, Scale(0.03, -20, Dtype.INT8)),
    ]
    real = torch.from_numpy(codes.astype(np.float32) * np.float32(0.02))
    first = (functional.conv2d(X, real).relu() / 0.03).round().clamp(0, 255) * 0.03
    second = (functional.conv2d(first[:, :3], real) / 0.03).round().clamp(-108, 147) * 0.03
    torch.testing.assert_close(run(path, X), second.mean((2, 3)))


def test_an_unknown_operator_is_named(tmp_path: Path) -> None:
    nodes = [node("Resize", "x", "a"), node("Relu", "a", "b"), node("Einsum", "b")]
    path = save(tmp_path / "net.onnx", nodes, {})
    with pytest.raises(FmzipError) as caught:
        spec.open_network(str(path))
    assert str(caught.value) == f"{path}: operators are not supported: Einsum, Resize"


def test_an_unusual_use_of_an_operator_is_named(tmp_path: Path) -> None:
    path = save(tmp_path / "net.onnx", [node("Reshape", "x shape")], {"shape": whole(7, -1)})
    with pytest.raises(FmzipError, match=rf"^{path}: Reshape the_Reshape: [^\n]+$"):
        spec.open_network(str(path))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": (12, 12, 3)}, r"input x is \[\?, 12, 12, 3\], expected \[n, 1 or 3, height"),
        ({"shape": (3, 12, 16)}, r"input x is \[\?, 3, 12, 16\], expected a square picture"),
        ({"shape": (3, 12)}, r"input x is \[\?, 3, 12\], expected \[n, 1 or 3"),
        ({"kind": 2}, "input x is not of a float type"),
    ],
)
def test_an_input_that_is_no_picture_is_refused(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    path = save(tmp_path / "net.onnx", [node("Relu", "x")], {}, **options)
    with pytest.raises(FmzipError, match=message):
        spec.open_network(str(path))


@pytest.mark.parametrize("content", [b"", b"no network", b"\x08\x07"])
def test_a_file_that_is_no_network_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(content)
    with pytest.raises(FmzipError, match=rf"^{path}: not [^\n]*ONNX[^\n]*$"):
        spec.open_network(str(path))
    with pytest.raises(FmzipError, match=r"no such file; expected an ONNX network"):
        spec.open_network(str(tmp_path / "nothing.onnx"))


def test_size_and_weights_are_those_of_the_file(tmp_path: Path) -> None:
    nodes = [node("Conv", "x w", "c"), node("Relu", "c", "r"), *head("r")]
    path = save(tmp_path / "net.onnx", nodes, {"w": W})
    with pytest.raises(FmzipError, match="takes pictures of 12 pixels, not 24"):
        spec.open_network(str(path), given=Input(24))
    with pytest.raises(ValueError, match="brings its own weights: leave --weights out"):
        spec.open_network(str(path), tmp_path / "net.pth")
    free = save(tmp_path / "free.onnx", nodes, {"w": W}, shape=(3, "h", "w"))
    x = np.zeros((4, 20, 20, 3), np.uint8)
    np.savez(tmp_path / "pictures.npz", x=x, y=np.arange(4))
    network, pictures = open_job(str(free), None, tmp_path / "pictures.npz")
    assert network.size == pictures.size == 20
    assert network.graph.maps[0].shape == (6, 18, 19)
    assert network.classes == 6
