"""The known networks and their inputs."""

import numpy as np
import pytest
import torch

from fmzip_models import zoo


def test_parameter_names_and_shapes_are_torchvisions() -> None:
    state = zoo.build("resnet18").module.state_dict()
    assert len(state) == 122  # as torchvision.models.resnet18().state_dict()
    assert sum(p.numel() for p in zoo.build("resnet18").module.parameters()) == 11_689_512
    assert state["layer2.0.downsample.0.weight"].shape == (128, 64, 1, 1)
    assert state["layer2.0.downsample.1.running_var"].shape == (128,)
    assert state["fc.weight"].shape == (1000, 512)


@pytest.mark.parametrize(
    ("name", "parameters"), [("resnet34", 21_797_672), ("resnet50", 25_557_032)]
)
def test_the_larger_networks_have_torchvisions_number_of_parameters(
    name: str, parameters: int
) -> None:
    assert sum(p.numel() for p in zoo.build(name).module.parameters()) == parameters


def test_width_classes_and_channels_are_free() -> None:
    network = zoo.build(
        "resnet50", width=8, classes=7, channels=2, mean=(0.1, 0.2), std=(1.0, 1.0), size=32
    )
    assert network.classes == 7
    assert network.channels == 2
    assert network.module.get_parameter("fc.weight").shape == (7, 256)


def test_no_relu_is_used_twice() -> None:
    module = zoo.build("resnet34", width=8).module
    calls = []
    for part in module.modules():
        if isinstance(part, torch.nn.ReLU):
            part.register_forward_hook(lambda part, *_: calls.append(id(part)))
    with torch.no_grad():
        module(torch.zeros(1, 3, 64, 64))
    assert len(calls) == len(set(calls)) == 33


def test_a_network_begins_in_evaluation_mode() -> None:
    assert not zoo.build("resnet18", width=8).module.training


def test_pictures_are_normalised_per_channel() -> None:
    network = zoo.build("resnet18", width=8, size=4)
    pictures = np.random.default_rng(1).integers(0, 256, (2, 4, 4, 3), dtype=np.uint8)
    found = network.normalise(pictures)
    assert found.shape == (2, 3, 4, 4)
    assert found.dtype == torch.float32
    expected = (pictures / 255 - zoo.IMAGENET_MEAN) / zoo.IMAGENET_STD
    np.testing.assert_allclose(found.numpy(), expected.transpose(0, 3, 1, 2), atol=1e-6)


def test_pictures_of_another_shape_or_type_are_refused() -> None:
    network = zoo.build("resnet18", width=8, size=4)
    with pytest.raises(
        ValueError, match=r"pictures must be \[n, \*\(4, 4, 3\)\], not \(1, 4, 4, 1\)"
    ):
        network.normalise(np.zeros((1, 4, 4, 1), np.uint8))
    with pytest.raises(TypeError, match="pictures must be uint8, not float64"):
        network.normalise(np.zeros((1, 4, 4, 3)))


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    assert zoo.names()[:3] == ("resnet18", "resnet34", "resnet50")
    with pytest.raises(
        ValueError, match="unknown network 'lenet'; known are resnet18, resnet34, resnet50, mobile"
    ):
        zoo.build("lenet")


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="width must be at least 1, not 0"):
        zoo.build("resnet18", width=0)
    with pytest.raises(ValueError, match="mean must have 1 channels, not 3"):
        zoo.build("resnet18", channels=1)
    with pytest.raises(ValueError, match="mean has 3 channels, std has 1"):
        zoo.build("resnet18", std=(1.0,))
    with pytest.raises(ValueError, match="std must be above 0, not 1, 0, 1"):
        zoo.build("resnet18", std=(1.0, 0.0, 1.0))
    with pytest.raises(ValueError, match="size must be at least 1 pixel, not 0"):
        zoo.build("resnet18", size=0)
