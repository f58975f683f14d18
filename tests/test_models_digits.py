"""The embedded default: its weights, its pictures, its training, and how it is chosen."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fmzip.errors import FmzipError
from fmzip_models import digits, train, zoo
from fmzip_models.capture import logits
from fmzip_models.default import open_job
from fmzip_models.pictures import ArrayPictures
from fmzip_models.zoo import Network

# Tests run in a worker per core, and the OpenMP threads of several workers wait for each other in
# busy loops: with two threads in each of two workers, training was measured to be 20 times slower.
torch.set_num_threads(1)


@pytest.fixture(scope="module")
def stand_in() -> tuple[Network, ArrayPictures]:
    return digits.load()


def test_the_weights_are_small_and_are_those_of_the_manifest() -> None:
    content = (digits.DATA / digits.WEIGHTS).read_bytes()
    assert len(content) <= 2_000_000
    manifest = digits.read_manifest()
    assert hashlib.sha256(content).hexdigest() == manifest["weights_sha256"]
    assert len(set(manifest["held_out_scans"])) == manifest["held_out"] >= 360


def test_held_out_digits_are_classified_as_well_as_the_manifest_says(
    stand_in: tuple[Network, ArrayPictures],
) -> None:
    network, pictures = stand_in
    _, held_out = pictures.split(64)
    assert len(held_out) == digits.read_manifest()["held_out"]
    right = logits(network, pictures, held_out).argmax(axis=1) == pictures.labels[held_out]
    assert right.mean() >= 0.97
    # One digit of tolerance: another processor may sum in another order.
    assert right.mean() == pytest.approx(digits.read_manifest()["held_out_top1"], abs=1.1 / 360)


def test_calibration_digits_come_from_the_training_part(
    stand_in: tuple[Network, ArrayPictures],
) -> None:
    _, pictures = stand_in
    held_out = {f"digit {k}" for k in digits.read_manifest()["held_out_scans"]}
    chosen, others = pictures.split(100)
    assert len(chosen) == 100
    assert not held_out & {pictures.names[k] for k in chosen}
    assert held_out == {pictures.names[k] for k in others}


def test_the_stand_in_stores_the_17_maps_of_a_resnet18(
    stand_in: tuple[Network, ArrayPictures],
) -> None:
    network, _ = stand_in
    maps = network.graph.maps
    assert [m.name for m in maps] == [m.name for m in zoo.build("resnet18").graph.maps]
    assert sum(m.values for m in maps) == 34_816
    assert network.classes == 10


def test_enlarging_keeps_flat_areas_and_interpolates_between_scan_pixels() -> None:
    flat = digits.enlarge(np.full((1, 8, 8), 16))
    assert flat.shape == (1, 64, 64, 1)
    assert flat.dtype == np.uint8
    assert (flat == 255).all()
    ramp = digits.enlarge(np.tile(np.arange(8) * 2, (1, 8, 1)))[0, :, :, 0]
    assert (ramp == ramp[0]).all()
    expected = np.interp((np.arange(64) + 0.5) / 8 - 0.5, np.arange(8), np.arange(8) * 2)
    np.testing.assert_allclose(ramp[0], expected * 255 / 16, atol=0.5 + 1e-9)


def test_weights_that_do_not_belong_to_the_manifest_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FmzipError, match=r"digits_resnet18\.json: missing or damaged"):
        digits.load(tmp_path)
    shutil.copy(digits.DATA / digits.MANIFEST, tmp_path)
    with pytest.raises(FmzipError, match=r"digits_resnet18\.safetensors: no such file"):
        digits.load(tmp_path)
    content = bytearray((digits.DATA / digits.WEIGHTS).read_bytes())
    content[-1] ^= 1
    (tmp_path / digits.WEIGHTS).write_bytes(content)
    with pytest.raises(FmzipError, match=r"its SHA-256 is not the one in digits_resnet18\.json"):
        digits.load(tmp_path)
    (tmp_path / digits.MANIFEST).write_text("[]")
    with pytest.raises(FmzipError, match="missing or damaged"):
        digits.load(tmp_path)


def test_training_is_reproducible_to_the_byte_and_leaves_no_partial_file(tmp_path: Path) -> None:
    recipe = train.Recipe(seed=3, held_out=1500, epochs=1)
    for name in ("a", "b"):
        train.write(tmp_path / name, *train.train(recipe, quiet=True))
        assert sorted(p.name for p in (tmp_path / name).iterdir()) == [
            digits.MANIFEST,
            digits.WEIGHTS,
        ]
    for file in (digits.MANIFEST, digits.WEIGHTS):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    network, pictures = digits.load(tmp_path / "a")
    assert len(pictures.split(10)[1]) == 1500
    assert network.name == "digits_resnet18"
    assert not torch.are_deterministic_algorithms_enabled()


def test_the_committed_split_is_that_of_the_recipe() -> None:
    recipe = train.Recipe()
    manifest = json.loads((digits.DATA / digits.MANIFEST).read_text())
    assert manifest["held_out_scans"] == train.split(digits.SCANS, recipe)
    assert {k: manifest[k] for k in vars(recipe)} == vars(recipe)


def test_nothing_given_opens_the_stand_in() -> None:
    network, pictures = open_job(None, None, None)
    assert network.name == digits.NAME
    assert len(pictures) == 1797


def test_a_model_with_weights_and_images_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    torch.save(zoo.build("resnet18", width=8, classes=2).module.state_dict(), path)
    for name in ("images/a", "images/b"):
        (tmp_path / name).mkdir(parents=True)
        Image.new("RGB", (300, 260)).save(tmp_path / name / "0.jpg")
    network, pictures = open_job("resnet18", path, tmp_path / "images")
    assert network.classes == 2
    assert logits(network, pictures, range(2)).shape == (2, 2)


@pytest.mark.parametrize(
    ("model", "weights", "images", "message"),
    [
        ("resnet18", None, None, "--model given, --weights and --images missing"),
        ("resnet18", Path("net.pth"), None, "--model and --weights given, --images missing"),
        ("resnet18", None, Path("images"), "--model and --images given, --weights missing"),
        (None, Path("net.pth"), None, "--weights given, --model and --images missing"),
        (None, None, Path("images"), "--images given, --model and --weights missing"),
        ("lenet", None, None, "unknown network 'lenet'; known are resnet18"),
    ],
)
def test_half_a_job_is_refused_with_what_is_missing(
    model: str | None, weights: Path | None, images: Path | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        open_job(model, weights, images)
