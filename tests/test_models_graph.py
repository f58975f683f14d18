"""Which maps a network stores."""

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn import functional

from fmzip.errors import FmzipError
from fmzip_models import graph, zoo
from fmzip_models.graph import Graph, Map

Tensor = torch.Tensor


class Net(nn.Module):
    """A network that is a function of its layers ``a``, ``b``, ... and a picture [n, 8, 16, 16]."""

    def __init__(self, function: Callable[..., Tensor], **layers: nn.Module) -> None:
        super().__init__()
        self.function = function
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, x)


def conv(stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(8, 8, 3, stride, padding=1)


def head() -> nn.Module:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))


def maps_of(function: Callable[..., Tensor], **layers: nn.Module) -> list[tuple[str, int, bool]]:
    """Name, reads and sign of each map."""
    maps = graph.trace(Net(function, head=head(), **layers), (8, 16, 16)).maps
    return [(m.name, m.reads, m.signed) for m in maps]


def test_resnet18_stores_17_maps_of_1_705_984_values() -> None:
    maps = zoo.build("resnet18").graph.maps
    blocks = [f"layer{k}.{b}" for k in range(1, 5) for b in range(2)]
    assert [m.name for m in maps] == [
        "maxpool",
        *(f"{b}.relu{k}" for b in blocks for k in (1, 2)),
    ]
    assert sum(m.values for m in maps) == 1_705_984
    assert not any(m.signed for m in maps)
    assert maps[0] == Map("maxpool", (64, 56, 56), 2, signed=False)
    # A block's input is read by its convolution and by its skip, the last map by the pooling only.
    assert [m.reads for m in maps] == [2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 1]


def test_resnet34_and_resnet50_store_a_map_per_relu() -> None:
    assert len(zoo.build("resnet34", width=8, size=64).graph.maps) == 1 + 2 * 16
    assert len(zoo.build("resnet50", width=8, size=64).graph.maps) == 1 + 3 * 16


def test_a_linear_bottleneck_is_signed_and_its_convolution_continues_in_the_sum() -> None:
    def inverted_residual(net: Net, x: Tensor) -> Tensor:  # as in MobileNetV2
        x = net.bn(net.a(x))
        y = net.c(net.act2(net.b(net.act1(net.expand(x)))))
        return net.head(net.d(x + y))

    layers = {name: conv() for name in "abcd"}
    assert maps_of(
        inverted_residual,
        **layers,
        bn=nn.BatchNorm2d(8),
        expand=conv(),
        act1=nn.ReLU6(),
        act2=nn.ReLU6(),
    ) == [("bn", 2, True), ("act1", 1, False), ("act2", 1, False), ("add", 1, True), ("d", 1, True)]


def test_an_activation_before_a_sum_makes_a_map_of_its_own() -> None:
    def function(net: Net, x: Tensor) -> Tensor:
        return net.head(net.c(net.a(x) + torch.relu(net.b(x))))

    assert maps_of(function, a=conv(), b=conv(), c=conv()) == [
        ("relu", 1, False),
        ("add", 1, True),
        ("c", 1, True),
    ]


def test_a_concatenation_is_stored_once() -> None:
    def fire(net: Net, x: Tensor) -> Tensor:  # as in SqueezeNet
        x = net.squeeze(x).relu()
        x = net.act(torch.cat([net.a(x), net.b(x)], 1))
        return net.head(net.c(net.drop(x)))

    layers = {"a": conv(), "b": conv(), "c": nn.Conv2d(16, 8, 1), "squeeze": conv()}
    assert maps_of(fire, act=nn.ReLU(inplace=True), drop=nn.Dropout(), **layers) == [
        ("relu", 2, False),
        ("act", 1, False),
        ("c", 1, True),
    ]


def test_an_operand_of_a_concatenation_with_other_readers_is_a_map_as_well() -> None:
    def dense(net: Net, x: Tensor) -> Tensor:
        x = functional.relu(net.a(x))
        return net.head(net.c(torch.cat([x, functional.relu(net.b(x))], 1)))

    assert maps_of(dense, a=conv(), b=conv(), c=nn.Conv2d(16, 8, 1)) == [
        ("relu", 2, False),
        ("cat", 1, False),
        ("c", 1, True),
    ]


def test_a_module_that_is_used_twice_has_numbered_maps() -> None:
    def function(net: Net, x: Tensor) -> Tensor:
        return net.head(net.relu(net.b(net.relu(net.a(x)))))

    assert maps_of(function, a=conv(), b=conv(), relu=nn.ReLU()) == [
        ("relu", 1, False),
        ("relu_1", 1, False),
    ]


def test_slices_and_paddings_are_ways_to_read() -> None:
    def shortcut(net: Net, x: Tensor) -> Tensor:  # as in the CIFAR networks of the ResNet paper
        x = functional.relu(net.a(x))
        skip = functional.pad(x[:, :4, ::2, ::2], (0, 0, 0, 0, 2, 2))
        return net.head(functional.relu(net.b(x) + skip))

    assert maps_of(shortcut, a=conv(), b=conv(stride=2)) == [
        ("relu", 2, False),
        ("relu_1", 1, False),
    ]


def test_a_channel_shuffle_reads_each_half_once() -> None:
    def shuffle(net: Net, x: Tensor) -> Tensor:  # as in ShuffleNet
        x = functional.relu(net.a(x))
        x = x.view(x.size(0), 2, 4, 16, 16).transpose(1, 2).reshape(x.shape)
        left, right = x.chunk(2, 1)
        return net.head(net.c(torch.cat((left, functional.relu(net.b(right))), 1)))

    assert maps_of(shuffle, a=conv(), b=nn.Conv2d(4, 4, 1), c=conv()) == [
        ("relu", 2, False),
        ("cat", 1, False),
        ("c", 1, True),
    ]


def test_a_gate_per_channel_is_no_map_and_is_applied_on_the_way_in() -> None:
    def squeeze_excite(net: Net, x: Tensor) -> Tensor:
        x = functional.silu(net.a(x))
        gate = torch.sigmoid(net.b(functional.adaptive_avg_pool2d(x, 1)))
        return net.head(net.c(x * gate))

    assert maps_of(squeeze_excite, a=conv(), b=nn.Conv2d(8, 8, 1), c=conv()) == [
        ("silu", 2, True),
        ("c", 1, True),
    ]


def test_an_activation_that_shares_its_input_is_computed_when_that_is_read() -> None:
    def preactivation(net: Net, x: Tensor) -> Tensor:
        x = net.a(x)
        x = x + net.b(functional.relu(net.bn(x)))
        return net.head(functional.relu(x))

    assert maps_of(preactivation, a=conv(), b=conv(), bn=nn.BatchNorm2d(8)) == [
        ("a", 2, True),
        ("relu_1", 1, False),
    ]


def test_a_pooling_beside_another_reader_is_a_map_of_its_own() -> None:
    def inception(net: Net, x: Tensor) -> Tensor:
        x = functional.relu(net.a(x))
        y = net.c(functional.max_pool2d(x, 3, 1, 1))
        return net.head(functional.relu(torch.cat([net.b(x), y], 1))[:, :8])

    assert maps_of(inception, a=conv(), b=conv(), c=conv()) == [
        ("relu", 2, False),
        ("max_pool2d", 1, False),
        ("relu_1", 1, False),
    ]


def test_a_map_that_is_flattened_for_the_classifier_counts() -> None:
    def vgg(net: Net, x: Tensor) -> Tensor:
        x = functional.max_pool2d(functional.relu(net.a(x)), 2)
        return net.classifier(x.view(x.size(0), -1))

    assert maps_of(vgg, a=conv(), classifier=nn.Linear(8 * 64, 4)) == [("max_pool2d", 1, False)]


@pytest.mark.parametrize(
    ("function", "signed"),
    [
        (lambda net, x: x.clamp(min=0), False),
        (lambda net, x: torch.clamp(x, 0.0, 6.0), False),
        (lambda net, x: x.clamp(max=6), True),
        (lambda net, x: functional.hardtanh(x), True),
        (lambda net, x: functional.hardtanh(x, 0.0, 6.0), False),
        (lambda net, x: functional.leaky_relu(x), True),
        (lambda net, x: x.relu() + 1, False),
        (lambda net, x: x.relu() - 1, True),
        (lambda net, x: x.relu() * -1, True),
        (lambda net, x: functional.avg_pool2d(x.relu(), 2), False),
        (lambda net, x: functional.interpolate(x.relu(), scale_factor=2), True),
    ],
)
def test_the_sign_of_a_map_follows_from_its_operations(
    function: Callable[..., Tensor], signed: bool
) -> None:
    def whole(net: Net, x: Tensor) -> Tensor:
        return net.head(function(net, net.a(x)))

    assert maps_of(whole, a=conv())[-1][2] == signed


def test_the_picture_is_no_map() -> None:
    assert maps_of(lambda net, x: net.head(net.a((x - 1) / 2) + x), a=conv()) == [("add", 1, True)]


def test_what_depends_on_the_mode_is_traced_in_evaluation_mode() -> None:
    net = Net(
        lambda net, x: net.head(functional.dropout(net.a(x), training=net.training)),
        a=conv(),
        head=head(),
    ).train()
    found = graph.trace(net, (8, 16, 16))
    x = torch.ones(1, 8, 16, 16)
    assert torch.equal(found.run(x), found.run(x))


def test_what_at_map_returns_is_what_the_readers_get() -> None:
    torch.manual_seed(1)
    module = Net(lambda net, x: net.head(functional.relu(net.a(x))), a=conv(), head=head())
    found = graph.trace(module, (8, 16, 16))
    x = torch.randn(2, 8, 16, 16)
    seen: list[Tensor] = []
    with torch.no_grad():
        assert torch.equal(found.run(x, lambda m, values: seen.append(values)), module(x))
        expected = module.head(2 * seen[0])
    assert torch.equal(found.run(x, lambda m, values: 2 * values), expected)


def test_a_network_that_cannot_be_traced_is_refused_in_one_line() -> None:
    class Branching(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(FmzipError, match=r"^Branching: torch.fx cannot trace it: [^\n]+$"):
        graph.trace(Branching(), (3, 8, 8))


def test_a_network_that_does_not_run_on_the_picture_is_refused_in_one_line() -> None:
    with pytest.raises(FmzipError, match=r"^Net: does not run on a 3x16x16 picture: [^\n]+$"):
        graph.trace(Net(lambda net, x: net.a(x), a=conv()), (3, 16, 16))


@pytest.mark.parametrize("name", ["cifar_resnet20", "squeezenet1_1", "mobilenet_v2"])
def test_the_network_behind_a_map_gives_the_logits_of_the_whole(name: str) -> None:
    torch.manual_seed(3)
    network = zoo.build(name, size=32)
    pictures = torch.randn(2, *network.shape)
    maps = network.graph.maps

    def rounded(_: Map, values: torch.Tensor) -> torch.Tensor:
        return (values * 16).round() / 16

    for m in (maps[0], maps[len(maps) // 2], maps[-1]):
        values, tail = network.graph.tail(m, pictures, rounded)
        for factor in (1.0, 0.5, 1.0):  # more than once: what is kept must stay as it is

            def changed(
                other: Map, there: torch.Tensor, m: Map = m, factor: float = factor
            ) -> torch.Tensor:
                return there * factor if other == m else rounded(other, there)

            expected = network.graph.run(pictures, changed)
            assert torch.equal(tail(values * factor), expected)
            _, plain = Graph.tail(network.graph, m, pictures, rounded)
            assert torch.equal(plain(values * factor), expected)
