"""Weights files, good and bad."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from fmzip.errors import FmzipError
from fmzip_models import weights, zoo

State = dict[str, torch.Tensor]


@pytest.fixture
def state() -> State:
    torch.manual_seed(1)
    return zoo.build("resnet18", width=8, classes=5, size=32).module.state_dict()


def without_counters(state: State) -> State:
    return {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}


def assert_holds(network: zoo.Network, state: State) -> None:
    found = network.module.state_dict()
    assert found.keys() == state.keys()
    assert all(torch.equal(found[k], state[k]) for k in state)


@pytest.mark.parametrize("suffix", [".pth", ".pt"])
def test_a_state_dict_is_loaded_with_its_width_and_classes(
    tmp_path: Path, state: State, suffix: str
) -> None:
    path = tmp_path / f"net{suffix}"
    torch.save(state, path)
    network = weights.load(path, "resnet18", size=32)
    assert_holds(network, state)
    assert network.classes == 5
    assert not network.module.training


def test_a_checkpoint_of_a_parallel_training_is_loaded(tmp_path: Path, state: State) -> None:
    path = tmp_path / "net.pth"
    torch.save({"epoch": 3, "state_dict": {f"module.{k}": v for k, v in state.items()}}, path)
    assert_holds(weights.load(path, "resnet18"), state)


def test_half_precision_without_counters_is_loaded_as_float32(tmp_path: Path, state: State) -> None:
    path = tmp_path / "net.safetensors"
    half = {k: v.half() for k, v in without_counters(state).items()}
    save_file(half, path)
    expected = {k: half[k].float() if k in half else v for k, v in state.items()}
    assert_holds(weights.load(path, "resnet18"), expected)


def test_an_unknown_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown network 'lenet'"):
        weights.load(tmp_path / "net.pth", "lenet")


def error_of(path: Path, name: str = "resnet18") -> str:
    with pytest.raises(FmzipError) as caught:
        weights.load(path, name)
    text = str(caught.value)
    assert "\n" not in text
    assert str(path) in text
    return text


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert "no such file" in error_of(tmp_path / "net.pth")


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".safetensors"])
@pytest.mark.parametrize("content", [b"", b"no weights at all", b"PK\x03\x04", b"\x80\x02}q\x00."])
def test_a_foreign_file_is_refused(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"net{suffix}"
    path.write_bytes(content)
    text = error_of(path)
    assert "not readable as weights" in text or "holds no state dict" in text


def test_a_truncated_file_is_refused(tmp_path: Path, state: State) -> None:
    for path in (tmp_path / "net.pth", tmp_path / "net.safetensors"):
        if path.suffix == ".pth":
            torch.save(state, path)
        else:
            save_file(state, path)
        path.write_bytes(path.read_bytes()[:-100])
        assert "not readable as weights" in error_of(path)


def test_a_file_that_holds_code_is_refused_and_not_run(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    torch.save(torch.nn.ReLU(), path)
    assert "holds more than plain tensors" in error_of(path)


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(b"x")
    assert "weights must be .pth, .pt or .safetensors" in error_of(path)


@pytest.mark.parametrize("content", [{}, torch.zeros(3), [1, 2]])
def test_a_file_without_named_tensors_is_refused(tmp_path: Path, content: object) -> None:
    path = tmp_path / "net.pt"
    torch.save(content, path)
    assert "holds no state dict" in error_of(path)


def test_an_entry_that_is_no_tensor_is_named(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    torch.save({"epoch": 3}, path)
    assert "entry 'epoch' is no named tensor" in error_of(path)


def test_missing_and_unexpected_weights_are_named_and_counted(tmp_path: Path, state: State) -> None:
    path = tmp_path / "net.pth"
    state["features.0.weight"] = torch.zeros(1)
    for k in range(2):
        del state[f"layer1.{k}.conv1.weight"], state[f"layer1.{k}.conv2.weight"]
    torch.save(state, path)
    assert error_of(path).endswith(
        "not weights of resnet18: missing layer1.0.conv1.weight, layer1.0.conv2.weight, "
        "layer1.1.conv1.weight and 1 more; unexpected features.0.weight"
    )


def test_a_shape_that_differs_is_named_with_both_shapes(tmp_path: Path, state: State) -> None:
    path = tmp_path / "net.pth"
    state["conv1.weight"] = torch.zeros(8, 3, 3, 3)
    torch.save(state, path)
    assert error_of(path).endswith("conv1.weight is 8x3x3x3, expected 8x3x7x7")


def test_weights_of_a_deeper_network_are_refused(tmp_path: Path, state: State) -> None:
    path = tmp_path / "net.pth"
    torch.save(state, path)
    assert "not weights of resnet34: missing layer1.2.conv1.weight" in error_of(path, "resnet34")
    torch.save(zoo.build("resnet34", width=8).module.state_dict(), path)
    assert "not weights of resnet18: unexpected layer1.2.conv1.weight" in error_of(path)


def test_weights_for_pictures_of_other_channels_are_refused(tmp_path: Path, state: State) -> None:
    path = tmp_path / "net.pth"
    state["conv1.weight"] = torch.zeros(8, 1, 7, 7)
    torch.save(state, path)
    assert "conv1.weight takes pictures of 1 channels, expected 3" in error_of(path)


def test_values_that_are_no_numbers_or_no_floats_are_refused(tmp_path: Path, state: State) -> None:
    path = tmp_path / "net.pth"
    torch.save({**state, "fc.bias": torch.full((5,), torch.nan)}, path)
    assert "fc.bias has values that are not finite" in error_of(path)
    torch.save({**state, "fc.bias": torch.zeros(5, dtype=torch.int8)}, path)
    assert "fc.bias is torch.int8, expected a float type" in error_of(path)
