"""Captured maps, their scales and their statistics."""

from collections.abc import Iterable

import numpy as np
import pytest
import torch

from fmzip.errors import FmzipError
from fmzip.format import Dtype
from fmzip_models import quantise, zoo
from fmzip_models.capture import BATCH, calibrate, capture, logits
from fmzip_models.graph import Map
from fmzip_models.pictures import ArrayPictures
from fmzip_models.zoo import Network

# Tests run in a worker per core, and the OpenMP threads of several workers wait for each other in
# busy loops: with two threads in each of two workers, training was measured to be 20 times slower.
torch.set_num_threads(1)


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(1)
    return zoo.build("resnet18", width=8, classes=5, size=64)


@pytest.fixture(scope="module")
def pictures() -> ArrayPictures:
    rng = np.random.default_rng(1)
    stack = rng.integers(0, 256, (20, 64, 64, 3), dtype=np.uint8)
    return ArrayPictures([str(k) for k in range(20)], rng.integers(0, 5, 20), stack)


def hooked(network: Network, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """What plain forward hooks see at the modules that maps are named after."""
    seen: dict[str, torch.Tensor] = {}
    modules = dict(network.module.named_modules())

    def keep(name: str) -> None:
        def hook(module: torch.nn.Module, inputs: object, output: torch.Tensor) -> None:
            seen[name] = output.clone()

        handles.append(modules[name].register_forward_hook(hook))

    handles: list[torch.utils.hooks.RemovableHandle] = []
    for m in network.graph.maps:
        keep(m.name)
    with torch.no_grad():
        network.module(x)
    for handle in handles:
        handle.remove()
    return seen


def test_captured_maps_equal_plain_forward_hooks(network: Network, pictures: ArrayPictures) -> None:
    scales = calibrate(network, pictures, range(4)).scales
    indices = range(19, 19 - BATCH, -1)  # a whole batch: the hooks' network runs the same kernels
    expected = hooked(network, network.normalise(pictures.read(indices)))
    for k, maps in enumerate(capture(network, pictures, indices, scales)):
        assert [m.name for m in maps] == [m.name for m in network.graph.maps] == list(expected)
        for stored, m in zip(maps, network.graph.maps, strict=True):
            assert stored.values.dtype == np.uint8
            assert stored.values.shape == m.shape
            assert stored.reads == m.reads
            assert stored.scale is scales[m.name]
            codes = np.rint(expected[m.name][k].numpy() / np.float32(stored.scale.scale))
            np.testing.assert_array_equal(stored.values, np.clip(codes, 0, 255))


def test_captured_maps_do_not_depend_on_the_pictures_around(
    network: Network, pictures: ArrayPictures
) -> None:
    scales = calibrate(network, pictures, range(5)).scales
    assert scales == calibrate(network, pictures, [4, 2, 0, 1, 3]).scales

    def stored(indices: Iterable[int]) -> dict[int, list[np.ndarray]]:
        every = capture(network, pictures, list(indices), scales)
        return {k: [m.values for m in maps] for k, maps in zip(indices, every, strict=True)}

    together = stored(range(20))
    for few in (range(19, -1, -1), [7], [3, 11, 12], range(1, 10)):
        for index, maps in stored(few).items():
            for a, b in zip(maps, together[index], strict=True):
                np.testing.assert_array_equal(a, b)


def test_every_picture_is_captured_once_and_in_order(
    network: Network, pictures: ArrayPictures
) -> None:
    scales = calibrate(network, pictures, range(2)).scales
    for n in (0, 1, BATCH, BATCH + 1):
        assert len(list(capture(network, pictures, range(n), scales))) == n


def test_maps_may_be_changed_and_are_shown_without_the_filling_of_the_batch(
    network: Network, pictures: ArrayPictures
) -> None:
    sizes = []

    def silence(m: Map, values: torch.Tensor) -> torch.Tensor | None:
        sizes.append(len(values))
        return torch.zeros_like(values) if m.name == "layer4.1.relu2" else None

    found = logits(network, pictures, range(BATCH + 2), silence)
    assert sizes == [BATCH] * 17 + [2] * 17
    bias = network.module.get_parameter("fc.bias").detach().numpy()
    np.testing.assert_array_equal(found, np.tile(bias, (BATCH + 2, 1)))


def test_the_largest_calibration_value_is_the_largest_integer(
    network: Network, pictures: ArrayPictures
) -> None:
    indices = range(6)
    scales = calibrate(network, pictures, indices).scales
    every = list(capture(network, pictures, indices, scales))
    for k in range(len(network.graph.maps)):
        assert max(maps[k].values.max() for maps in every) == 255


@pytest.mark.parametrize("method", quantise.METHODS)
def test_the_deviation_is_that_of_the_stored_integers(
    network: Network, pictures: ArrayPictures, method: str
) -> None:
    indices = [0, 5, 9]
    found = calibrate(network, pictures, indices, method)
    every = list(capture(network, pictures, indices, found.scales))
    for k, m in enumerate(network.graph.maps):
        values = np.concatenate([maps[k].values.ravel() for maps in every])
        assert found.std_lsb[m.name] == pytest.approx(values.std(), rel=1e-12)


def test_every_method_keeps_the_range_or_narrows_it(
    network: Network, pictures: ArrayPictures
) -> None:
    widest = calibrate(network, pictures, range(4)).scales
    for method in ("percentile", "mse"):
        for name, scale in calibrate(network, pictures, range(4), method).scales.items():
            assert scale.scale <= widest[name].scale
            assert scale.scale > widest[name].scale / 6


def test_signed_maps_are_stored_as_int8(pictures: ArrayPictures) -> None:
    torch.manual_seed(1)
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3, 2),
        torch.nn.Conv2d(4, 4, 1),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
    )
    network = Network("linear", module, zoo.IMAGENET_MEAN, zoo.IMAGENET_STD, 64)
    scales = calibrate(network, pictures, range(3)).scales
    every = list(capture(network, pictures, range(3), scales))
    for k, m in enumerate(network.graph.maps):
        assert scales[m.name].dtype == Dtype.INT8
        stack = np.stack([maps[k].values for maps in every])
        assert stack.dtype == np.int8
        assert stack.min() <= -127
        assert stack.max() >= 126


def test_logits_are_those_of_the_network(network: Network, pictures: ArrayPictures) -> None:
    found = logits(network, pictures, range(9))
    with torch.no_grad():
        expected = network.module(network.normalise(pictures.read(range(9))))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-4)
    assert logits(network, pictures, []).shape == (0, 5)


def test_running_changes_no_batch_norm_even_in_training_mode(pictures: ArrayPictures) -> None:
    network = zoo.build("resnet18", width=8, classes=5, size=64)
    assert network.graph.maps
    network.module.train()
    before = {k: v.clone() for k, v in network.module.state_dict().items()}
    logits(network, pictures, range(3))
    after = network.module.state_dict()
    assert all(torch.equal(before[k], after[k]) for k in before)


def test_bad_arguments_are_refused(network: Network, pictures: ArrayPictures) -> None:
    with pytest.raises(ValueError, match="calibration needs at least one picture"):
        calibrate(network, pictures, [])
    with pytest.raises(ValueError, match="method must be one of max, percentile, mse, not 'kl'"):
        calibrate(network, pictures, [0], "kl")
    with pytest.raises(ValueError, match="no scale for maxpool and 16 more maps"):
        next(capture(network, pictures, [0], {}))


def test_values_that_overflow_are_an_error(pictures: ArrayPictures) -> None:
    network = zoo.build("resnet18", width=8, classes=5, size=64)
    network.module.get_parameter("bn1.weight").data.fill_(3e38)
    with pytest.raises(FmzipError, match=r"resnet18: values of \S+ are not finite"):
        calibrate(network, pictures, [0])
