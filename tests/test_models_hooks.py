"""Stored maps of networks that cannot be traced."""

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn import functional

from fmzip.errors import FmzipError
from fmzip.format import Dtype
from fmzip_models import hooks, zoo
from fmzip_models.maps import Graph
from fmzip_models.quantise import Scale

torch.set_num_threads(1)
Tensor = torch.Tensor


class Net(nn.Module):
    """A network that looks at its values, so that no trace can be made."""

    def __init__(self, function: Callable[..., Tensor], **layers: nn.Module) -> None:
        super().__init__()
        self.function = function
        self.head = nn.Linear(8, 4)
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x: Tensor) -> Tensor:
        if x.sum() > 1e9:
            x = x / 2
        x = self.function(self, x)
        return self.head(x.mean((2, 3)))


def conv() -> nn.Conv2d:
    return nn.Conv2d(8, 8, 3, padding=1)


def graph_of(function: Callable[..., Tensor], **layers: nn.Module) -> Graph:
    torch.manual_seed(1)
    graph = hooks.find(Net(function, **layers), (8, 16, 16))
    assert graph.method == "module hooks"
    assert graph.note.startswith("Net: torch.fx cannot trace it: symbolically traced variables")
    assert graph.note.endswith("reads unknown and counted as 1")
    assert all(m.reads == 1 for m in graph.maps)
    return graph


def names(graph: Graph) -> list[tuple[str, bool, str]]:
    return [(m.name, m.signed, m.source) for m in graph.maps]


def test_norms_activations_and_poolings_are_fused() -> None:
    graph = graph_of(
        lambda net, x: net.act2(net.b(net.pool(net.act1(net.bn(net.a(x)))))),
        a=conv(), bn=nn.BatchNorm2d(8), act1=nn.ReLU(inplace=True), pool=nn.MaxPool2d(2), b=conv(),
        act2=nn.SiLU(),
    )  # fmt: skip
    assert names(graph) == [
        ("pool", False, "conv2d + batchnorm2d + relu + maxpool2d"),
        ("act2", True, "conv2d + silu"),
    ]


def test_what_functions_make_is_a_map_where_a_module_reads_it() -> None:
    def function(net: Net, x: Tensor) -> Tensor:
        x = functional.relu(net.a(x))
        return net.act(net.c(x + net.b(x)))

    graph = graph_of(function, a=conv(), b=conv(), c=conv(), act=nn.ReLU())
    assert names(graph) == [
        ("b.input", True, "unknown"),  # of the function relu
        ("c.input", True, "unknown"),  # the sum; ``b`` ends in it
        ("act", False, "conv2d + relu"),
    ]


@pytest.mark.parametrize("name", [n for n in zoo.names() if n != "cifar_resnet110"])
def test_a_traceable_network_has_the_same_maps_with_hooks(name: str) -> None:
    network = zoo.build(name, width=8, size=64)
    hooked = hooks.hook(network.module, network.shape, "")
    assert sorted(m.shape for m in hooked.maps) == sorted(m.shape for m in network.graph.maps)


def test_running_with_hooks_is_running_the_network() -> None:
    torch.manual_seed(1)
    network = zoo.build("mobilenet_v2", width=8, size=32)
    hooked = hooks.hook(network.module, network.shape, "")
    x = torch.randn(3, 3, 32, 32)
    seen: list[str] = []
    with torch.no_grad():
        expected = network.module(x)
    assert torch.equal(hooked.run(x), expected)
    assert torch.equal(hooked.run(x, lambda m, values: seen.append(m.name)), expected)
    assert seen == [m.name for m in hooked.maps]
    assert not any(part._forward_hooks for part in network.module.modules())


def test_what_at_map_returns_is_what_modules_and_functions_read() -> None:
    def function(net: Net, x: Tensor) -> Tensor:
        x = net.act(net.a(x))
        y = functional.relu(net.b(x))
        return net.c(y) + y + x

    graph = graph_of(function, a=conv(), act=nn.ReLU(), b=conv(), c=conv())
    assert [m.name for m in graph.maps] == ["act", "c.input"]
    x = torch.randn(2, 8, 16, 16)
    zero = graph.run(x, lambda m, values: torch.zeros_like(values) if m.name == "act" else None)
    both = graph.run(x, lambda m, values: torch.zeros_like(values))
    module = graph._module
    with torch.no_grad():
        y = functional.relu(module.b(torch.zeros(2, 8, 16, 16)))
        assert torch.allclose(zero, module.head((module.c(y) + y).mean((2, 3))), atol=1e-6)
        only = module.c(torch.zeros_like(y))
        assert torch.allclose(both, module.head(only.mean((2, 3))), atol=1e-6)


class Codes(nn.Module):
    """Hands on integers 0 to 255, as an integer network does."""

    def __init__(self, scale: float, zero_point: int) -> None:
        super().__init__()
        self.scale, self.zero_point = scale, zero_point

    def forward(self, x: Tensor) -> Tensor:
        return torch.clamp(torch.round(x / self.scale) + self.zero_point, 0, 255)


def test_a_module_that_quantises_shows_activations_and_its_own_scale() -> None:
    def function(net: Net, x: Tensor) -> Tensor:
        y = (net.codes(net.a(x)) - 100) * 0.05
        return net.plain(net.b(y)) * 0.1

    graph = graph_of(function, a=conv(), codes=Codes(0.05, 100), b=conv(), plain=Codes(0.1, 0))
    assert [m.name for m in graph.maps] == ["codes", "b.input", "plain"]
    codes, _, plain = graph.maps
    assert codes.scale == Scale(0.05, 100 - 128, Dtype.INT8)
    assert codes.signed
    assert plain.scale == Scale(0.1, 0, Dtype.UINT8)
    assert not plain.signed
    x = torch.randn(2, 8, 16, 16)
    shown: dict[str, Tensor] = {}
    before = graph.run(x)
    assert torch.equal(graph.run(x, lambda m, values: shown.setdefault(m.name, values)), before)
    scale = codes.scale
    stored = scale.quantise(shown["codes"].numpy())
    # What is stored are the module's own integers, 128 lower.
    own = graph._module.codes(graph._module.a(x)).detach().numpy() - 128
    assert (stored == own).all()


def test_a_path_that_depends_on_the_pictures_is_refused() -> None:
    class Early(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.act, self.b, self.act2 = conv(), nn.ReLU(), conv(), nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            y = self.act(self.a(x))
            return (self.act2(self.b(y)) if x.abs().sum() > 0 else y).mean((2, 3))

    graph = hooks.find(Early(), (8, 16, 16))
    with pytest.raises(FmzipError, match=r"^Early: calls other modules for these pictures"):
        graph.run(torch.ones(1, 8, 16, 16), lambda m, values: None)


def test_a_network_without_maps_or_that_does_not_run_is_refused_in_one_line() -> None:
    flat = nn.Sequential(nn.Flatten(), nn.Linear(192, 4))
    with pytest.raises(FmzipError, match=r"^Sequential: stores no feature map [^\n]+$"):
        hooks.find(flat, (3, 8, 8))
    with pytest.raises(FmzipError, match=r"^Net: does not run on a 3x8x8 picture: [^\n]+$"):
        hooks.find(Net(lambda net, x: net.a(x), a=conv()), (3, 8, 8))
