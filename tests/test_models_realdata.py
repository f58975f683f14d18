"""Real networks and photographs, read through the path in FMZIP_DATA."""

import importlib.util
import os
import shutil
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from fmzip.errors import FmzipError
from fmzip_models import graph, spec, weights
from fmzip_models.capture import calibrate, capture, logits
from fmzip_models.default import open_job

# Tests run in a worker per core, and the OpenMP threads of several workers wait for each other in
# busy loops: with two threads in each of two workers, training was measured to be 20 times slower.
torch.set_num_threads(1)

DATA = Path(os.environ.get("FMZIP_DATA", "/nowhere"))

pytestmark = pytest.mark.skipif(
    "FMZIP_DATA" not in os.environ, reason="FMZIP_DATA does not name the directory of real data"
)


@pytest.fixture(scope="module")
def realdata() -> ModuleType:
    spec = importlib.util.spec_from_file_location("realdata", DATA / "realdata.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_resnet18_classifies_photographs_and_equals_the_loader_of_the_data(
    realdata: ModuleType,
) -> None:
    network, photos = open_job("resnet18", DATA / "resnet18.safetensors", DATA / "photos")
    assert network.classes == 1000
    assert len(photos) == 500
    assert len(network.graph.maps) == 17
    found = logits(network, photos, range(40))
    assert (found.argmax(axis=1) == photos.labels[:40]).mean() >= 0.65
    with torch.no_grad():
        expected = realdata.resnet18()(realdata.normalize(photos.read(range(4))))
    np.testing.assert_allclose(found[:4], expected.numpy(), atol=1e-3)


@pytest.mark.parametrize("method", ["max", "percentile", "mse"])
def test_stored_maps_of_photographs_lose_little_to_8_bits(method: str) -> None:
    network, photos = open_job("resnet18", DATA / "resnet18.safetensors", DATA / "photos")
    chosen, others = photos.split(4)
    found = calibrate(network, photos, chosen, method)
    maps = next(capture(network, photos, others[:1], found.scales))
    assert sum(m.values.size for m in maps) == 1_705_984
    assert all(m.values.dtype == np.uint8 for m in maps)
    assert all(5 < std < 80 for std in found.std_lsb.values())

    def stored(m: graph.Map, values: torch.Tensor) -> torch.Tensor:
        scale = found.scales[m.name]
        return torch.from_numpy(scale.dequantise(scale.quantise(values.numpy())))

    few = others[:8]
    changed = logits(network, photos, few, at_map=stored).argmax(axis=1)
    assert (changed == logits(network, photos, few).argmax(axis=1)).mean() >= 7 / 8


def test_resnet50_is_loaded() -> None:
    network = weights.load(DATA / "resnet50.safetensors", "resnet50")
    assert len(network.graph.maps) == 49


def test_weights_of_another_network_are_refused() -> None:
    with pytest.raises(FmzipError, match="not weights of resnet18: missing"):
        weights.load(DATA / "squeezenet1_0.safetensors", "resnet18")
    with pytest.raises(FmzipError, match=r"resnet18: unexpected layer1\.0\.bn3"):
        weights.load(DATA / "resnet50.safetensors", "resnet18")


def test_photographs_with_a_wrong_label_are_refused(tmp_path: Path) -> None:
    shutil.copy(next((DATA / "photos").glob("*.jpg")), tmp_path / "a.jpg")
    (tmp_path / "labels.csv").write_text("file,label\na.jpg,1000\n")
    with pytest.raises(FmzipError, match="label 1000 is not one of 0 to 999"):
        open_job("resnet18", DATA / "resnet18.safetensors", tmp_path)


def test_squeezenet_stores_a_map_per_squeeze_and_per_concatenation(realdata: ModuleType) -> None:
    maps = graph.trace(realdata.squeezenet1_0(), (3, 224, 224)).maps
    assert len(maps) == 1 + 2 * 8 + 1  # stem, eight fire modules, classifier
    assert maps[0].name == "features.2"
    assert [m.reads for m in maps if "squeeze" in m.name] == [2] * 8
    # The last fire module of a stage is stored behind the pooling that follows it.
    assert {"features.6", "features.11"} <= {m.name for m in maps}
    assert maps[-1].shape == (1000, 13, 13)
    assert not any(m.signed for m in maps)


@pytest.mark.parametrize(("name", "blocks"), [("cifar_resnet20", 9), ("cifar_resnet56", 27)])
def test_cifar_networks_store_two_maps_per_block(
    realdata: ModuleType, name: str, blocks: int
) -> None:
    maps = graph.trace(getattr(realdata, name)(), (3, 32, 32)).maps
    assert len(maps) == 1 + 2 * blocks
    assert maps[0].values == 16 * 32 * 32
    # The pooling is a mean over the pixels; the padded shortcut is another way to read the input.
    assert [m.reads for m in maps] == [2, 1] * blocks + [1]


def test_vgg_layers_without_a_classifier_store_their_output(realdata: ModuleType) -> None:
    maps = graph.trace(realdata.vgg16_block1_2(), (3, 224, 224)).maps
    assert [m.name for m in maps] == ["features.1", "features.4", "features.6", "features.9"]


def test_the_integer_network_is_found_with_hooks_and_keeps_its_own_scales() -> None:
    network, photos = open_job(f"{DATA / 'realdata.py'}:mobilenet_v2_uint8", None, DATA / "photos")
    maps = network.graph.maps
    # 52 maps as the float network (see test_models_nets), and the 10 projections that end in a sum:
    # this network rounds them to 8 bits before it adds.
    assert len(maps) == 52 + 10
    assert sum(m.values for m in maps) == 6_678_112 + 216_384
    assert all(m.reads == 1 for m in maps)
    assert "reads unknown" in network.graph.note
    # Linear bottlenecks have a zero point; what follows a ReLU6 has none.
    assert sum(m.signed for m in maps) == 17 + 10
    found = calibrate(network, photos, range(2))
    assert found.scales["acts.0"].scale == pytest.approx(6 / 255, rel=1e-3)
    # Quantised with its own scales, the network is what it was before.
    few = range(2, 6)

    def stored(m: graph.Map, values: torch.Tensor) -> torch.Tensor:
        scale = found.scales[m.name]
        return torch.from_numpy(scale.dequantise(scale.quantise(values.numpy())))

    np.testing.assert_array_equal(
        logits(network, photos, few, at_map=stored), logits(network, photos, few)
    )


@pytest.mark.parametrize(
    ("name", "images", "least"),
    [
        ("resnet18", "photos", 0.65),
        ("resnet50", "photos", 0.7),
        ("squeezenet1_0", "photos", 0.3),
        ("mobilenet_v2_uint8", "photos", 0.6),
        ("cifar_resnet20", "cifar10_test1000.npz", 0.8),
    ],
)
def test_a_users_file_classifies_with_the_size_of_its_pictures(
    name: str, images: str, least: float
) -> None:
    network, pictures = open_job(f"{DATA / 'realdata.py'}:{name}", None, DATA / images)
    found = logits(network, pictures, range(16)).argmax(axis=1)
    assert (found == pictures.labels[:16]).mean() >= least


@pytest.mark.parametrize("name", ["squeezenet1_0", "cifar_resnet20", "cifar_resnet56"])
def test_known_networks_equal_the_loader_of_the_data(realdata: ModuleType, name: str) -> None:
    network = weights.load(DATA / f"{name}.safetensors", name)
    x = torch.randn(2, *network.shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = getattr(realdata, name)()(x)
    np.testing.assert_allclose(network.graph.run(x).numpy(), expected.numpy(), atol=1e-3)


def test_weights_may_come_beside_a_users_file() -> None:
    model = f"{DATA / 'realdata.py'}:cifar_resnet20"
    file = DATA / "cifar_resnet20.safetensors"
    assert spec.open_network(model, file).size == 224
    assert spec.open_network(model, file, images=DATA / "cifar10_test1000.npz").size == 32
    with pytest.raises(FmzipError, match=r"not weights of .*:cifar_resnet20: missing"):
        spec.open_network(model, DATA / "resnet18.safetensors")


def test_a_network_without_a_classifier_has_maps_but_no_logits(realdata: ModuleType) -> None:
    model = f"{DATA / 'realdata.py'}:vgg16_block1_2"
    assert len(spec.open_network(model).graph.maps) == 4
    with pytest.raises(FmzipError, match=r"returns \[1, 128, 56, 56\], expected logits"):
        open_job(model, None, DATA / "photos")
