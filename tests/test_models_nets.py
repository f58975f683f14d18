"""Which maps the known networks store, counted by hand from the tables of their papers."""

import pytest
import torch

from fmzip_models import zoo
from fmzip_models.maps import Map

torch.set_num_threads(1)


def maps_of(name: str, **options: int) -> tuple[Map, ...]:
    graph = zoo.build(name, **options).graph
    assert graph.method == "torch.fx"
    return graph.maps


def meta_parameters(name: str) -> int:
    with torch.device("meta"):  # shapes without values: VGG-16 would take half a gigabyte
        return sum(p.numel() for p in zoo.build(name).module.parameters())


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        # As torchvision's documentation lists them ("Number of parameters").
        ("mobilenet_v2", 3_504_872),
        ("vgg16", 138_357_544),
        ("vgg16_bn", 138_365_992),
        ("squeezenet1_0", 1_248_424),
        ("squeezenet1_1", 1_235_496),
        # 0.27, 0.46, 0.66, 0.85 and 1.7 million in the ResNet paper, table 6.
        ("cifar_resnet20", 269_722),
        ("cifar_resnet32", 464_154),
        ("cifar_resnet44", 658_586),
        ("cifar_resnet56", 853_018),
        ("cifar_resnet110", 1_727_962),
    ],
)
def test_the_number_of_parameters_is_the_published_one(name: str, parameters: int) -> None:
    assert meta_parameters(name) == parameters


@pytest.mark.parametrize(
    ("name", "keys", "some"),
    [
        (
            "mobilenet_v2",
            314,
            ["features.0.0.weight", "features.1.conv.1.weight", "features.2.conv.1.1.running_var",
             "features.17.conv.3.bias", "features.18.1.weight", "classifier.1.bias"],
        ),
        ("vgg16", 32, ["features.0.weight", "features.28.bias", "classifier.6.weight"]),
        ("vgg16_bn", 97, ["features.0.weight", "features.41.running_mean", "classifier.0.bias"]),
        (
            "squeezenet1_1",
            52,
            ["features.3.squeeze.weight", "features.12.expand3x3.bias", "classifier.1.weight"],
        ),
    ],
)  # fmt: skip
def test_parameter_names_are_torchvisions(name: str, keys: int, some: list[str]) -> None:
    with torch.device("meta"):
        state = zoo.build(name).module.state_dict()
    assert len(state) == keys
    assert set(some) <= state.keys()


def test_vgg16_stores_a_map_per_convolution_five_of_them_pooled() -> None:
    # A quarter of the channels. Each stage stores its last convolution pooled.
    sides_channels_full = [(224, 16, 1), (112, 32, 1), (56, 64, 2), (28, 128, 2), (14, 128, 2)]
    expected = []
    for side, channels, full in sides_channels_full:
        expected += [(channels, side, side)] * full + [(channels, side // 2, side // 2)]
    maps = maps_of("vgg16", width=16)
    assert [m.shape for m in maps] == expected
    assert len(maps) == 13
    assert not any(m.signed for m in maps)
    assert {m.reads for m in maps} == {1}
    # The adaptive pooling to 7 x 7 changes nothing at this size.
    assert maps[-1].name == "features.30"
    assert [m.shape for m in maps_of("vgg16_bn", width=16)] == expected


def test_mobilenet_v2_stores_signed_bottlenecks_and_sums() -> None:
    # (expansion, channels, blocks, stride) of table 2 in the paper; a block stores its expanded map
    # (none where the expansion is 1), its filtered map, and its bottleneck. Where a skip follows,
    # the sum is the bottleneck: the projection continues in its accumulator.
    table = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
             (6, 160, 3, 2), (6, 320, 1, 1)]  # fmt: skip
    expected: list[tuple[tuple[int, int, int], bool]] = [((32, 112, 112), False)]
    inputs, side = 32, 112
    for expansion, channels, blocks, first in table:
        for k in range(blocks):
            hidden = inputs * expansion
            if expansion > 1:
                expected.append(((hidden, side, side), False))
            side //= first if k == 0 else 1
            expected.append(((hidden, side, side), False))
            expected.append(((channels, side, side), True))
            inputs = channels
    expected.append(((1280, 7, 7), False))
    maps = maps_of("mobilenet_v2")
    assert [(m.shape, m.signed) for m in maps] == expected
    assert len(maps) == 1 + 2 + 16 * 3 + 1
    assert sum(m.values for m in maps) == 6_678_112
    # Ten blocks have a skip: their inputs are read by the expansion and by the sum.
    assert sum(m.reads == 2 for m in maps) == 10
    assert {m.source for m in maps if m.reads == 2} == {"conv2d + batchnorm2d", "add"}
    assert all(m.signed for m in maps if m.reads == 2)


@pytest.mark.parametrize(
    ("name", "stem", "pooled", "values"),
    [
        # Stem pooled to 54 (55) pixels, then 27 and 13; squeeze and both expansions of each fire
        # module; then the classifier's map of 1000 classes.
        # 1.0: 96+3*128 -> ... at 54: 96 + 16+128 + 16+128 + 32 = 416 channels; at 27: 256 (pooled)
        # + 32+256 + 48+384 + 48+384 + 64 = 1472; at 13: 512 (pooled) + 64+512 + 1000 = 2088.
        ("squeezenet1_0", (96, 54, 54), (2, 6), 416 * 54**2 + 1472 * 27**2 + 2088 * 13**2),
        # 1.1: at 55: 64 + 16+128 + 16 = 224; at 27: 128 (pooled) + 32+256 + 32 = 448;
        # at 13: 256 (pooled) + 48+384 + 48+384 + 64+512 + 64+512 + 1000 = 3272.
        ("squeezenet1_1", (64, 55, 55), (1, 3), 224 * 55**2 + 448 * 27**2 + 3272 * 13**2),
    ],
)
def test_squeezenet_stores_squeezed_maps_and_concatenations(
    name: str, stem: tuple[int, int, int], pooled: tuple[int, int], values: int
) -> None:
    maps = maps_of(name)
    assert maps[0].shape == stem
    assert len(maps) == 1 + 2 * 8 + 1
    assert sum(m.values for m in maps) == values
    fires = maps[1:-1]
    # Both expansions read the squeezed map; their concatenation is stored once, by its one reader.
    assert [m.reads for m in fires] == [2, 1] * 8
    sources = [m.source for m in fires[1::2]]
    assert sources == ["cat + maxpool2d" if k in pooled else "cat" for k in range(8)]
    assert not any(m.signed for m in maps)


@pytest.mark.parametrize("depth", [20, 32, 44, 56])
def test_cifar_networks_store_two_maps_per_block(depth: int) -> None:
    blocks = (depth - 2) // 6  # per stage
    maps = maps_of(f"cifar_resnet{depth}")
    shapes = [(16, 32, 32), (32, 16, 16), (64, 8, 8)]
    assert [m.shape for m in maps] == shapes[:1] + [s for s in shapes for _ in range(2 * blocks)]
    assert [m.reads for m in maps] == [2, 1] * (3 * blocks) + [1]
    assert zoo.build(f"cifar_resnet{depth}").classes == 10


@pytest.mark.parametrize("name", zoo.names())
def test_every_network_may_be_narrow(name: str) -> None:
    width = 8
    network = zoo.build(name, width=width, classes=3, size=64)
    assert network.classes == 3
    assert zoo.ARCHITECTURES[name].stem in network.module.state_dict()
    assert network.module.state_dict()[zoo.ARCHITECTURES[name].stem].shape[0] == width
    assert network.module.state_dict()[zoo.ARCHITECTURES[name].head].shape[0] == 3
