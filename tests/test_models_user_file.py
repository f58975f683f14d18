"""Networks that a user's own Python file makes."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from fmzip.errors import FmzipError
from fmzip_models import spec
from fmzip_models.capture import logits
from fmzip_models.default import open_job
from fmzip_models.spec import Input

torch.set_num_threads(1)

FILE = """
import sys
import torch
from torch import nn
from helper import WIDTH

print("a file may print")
torch.manual_seed(1)

class Small(nn.Module):
    def __init__(self, channels=3):
        super().__init__()
        self.conv = nn.Conv2d(channels, WIDTH, 3)
        self.fc = nn.Linear(WIDTH, 5)

    def forward(self, x):
        return self.fc(torch.relu(self.conv(x)).mean((2, 3)))

def small():
    print("so may a function")
    return Small().half().train()

def sized():
    return Small()
sized.size, sized.mean, sized.std = 48, [0.5, 0.5, 0.5], torch.tensor([0.25, 0.25, 0.25])

def as_timm():
    net = Small()
    net.default_cfg = {"input_size": (3, 40, 40), "mean": (0.1, 0.2, 0.3), "std": (1, 2, 3)}
    return net

def grey():
    return Small(1)

def fails():
    raise RuntimeError("no luck\\nat all")

def leaves():
    sys.exit("usage: me")

def several(n):
    return Small()

def number():
    return 3

made = Small()
text = "no network"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "helper.py").write_text("WIDTH = 4\n")
    path = tmp_path / "mine.py"
    path.write_text(FILE)
    return path


@pytest.fixture(autouse=True)
def _forget_helper() -> None:
    sys.modules.pop("helper", None)


def pictures(path: Path, size: int, channels: int = 3) -> Path:
    x = np.random.default_rng(1).integers(0, 256, (6, size, size, channels), dtype=np.uint8)
    np.savez(path / "pictures.npz", x=x, y=np.arange(6) % 5)
    return path / "pictures.npz"


def test_a_callable_gives_a_float32_network_in_evaluation_mode(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = list(sys.path)
    network, found = open_job(f"{file}:small", None, pictures(file.parent, 20))
    assert network.name == "mine.py:small"
    assert not network.module.training
    assert {p.dtype for p in network.module.parameters()} == {torch.float32}
    assert network.classes == 5
    assert network.size == found.size == 20
    assert network.mean == pytest.approx((0.485, 0.456, 0.406))
    assert logits(network, found, range(6)).shape == (6, 5)
    assert sys.path == before
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "a file may print" in printed.err


def test_a_network_or_class_stands_for_itself(file: Path) -> None:
    assert spec.open_network(f"{file}:made").name == "mine.py:made"
    assert spec.open_network(f"{file}:Small").size == 224


def test_size_and_normalisation_come_from_the_caller_then_the_code_then_the_pictures(
    file: Path,
) -> None:
    images = pictures(file.parent, 20)
    found = spec.open_network(f"{file}:sized", images=images)
    assert (found.size, found.mean, found.std) == (48, (0.5,) * 3, (0.25,) * 3)
    found = spec.open_network(f"{file}:as_timm", images=images)
    assert (found.size, found.mean, found.std) == (40, (0.1, 0.2, 0.3), (1.0, 2.0, 3.0))
    given = Input(32, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    found = spec.open_network(f"{file}:sized", given=given, images=images)
    assert (found.size, found.mean) == (32, (0.0, 0.0, 0.0))
    with pytest.raises(ValueError, match="mean and std must be given together"):
        Input(mean=(0.5,))


def test_a_grey_network_asks_for_its_normalisation(file: Path) -> None:
    with pytest.raises(ValueError, match=r"mine\.py:grey: takes grey pictures"):
        spec.open_network(f"{file}:grey")
    images = pictures(file.parent, 20, channels=1)
    network, found = open_job(f"{file}:grey", None, images, Input(None, (0.5,), (0.5,)))
    assert (network.channels, found.channels, network.size) == (1, 1, 20)


def test_weights_beside_the_file_must_fit(file: Path, tmp_path: Path) -> None:
    state = spec.open_network(f"{file}:small").module.state_dict()
    state = {key: torch.ones_like(value) for key, value in state.items()}
    torch.save({"model": state}, tmp_path / "net.pth")
    network = spec.open_network(f"{file}:small", tmp_path / "net.pth")
    assert all((p == 1).all() for p in network.module.parameters())
    del state["fc.bias"]
    torch.save({**state, "head.bias": torch.zeros(5)}, tmp_path / "net.pth")
    with pytest.raises(
        FmzipError, match=r"not weights of .*:small: missing fc.bias; unexpected head.bias$"
    ):
        spec.open_network(f"{file}:small", tmp_path / "net.pth")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fails", "fails() failed: RuntimeError: no luck"),
        ("leaves", "leaves() failed: SystemExit: usage: me"),
        ("several", "several() failed: TypeError: several() missing 1 required positional"),
        ("number", "number() returned int, expected a torch.nn.Module"),
        ("text", "text cannot be called, nor is it a torch.nn.Module"),
        ("other", "has no 'other'; it has small, sized, as_timm, grey, fails, leaves, several"),
    ],
)
def test_what_is_wrong_with_a_name_is_said_in_one_line(file: Path, name: str, message: str) -> None:
    with pytest.raises(FmzipError) as caught:
        spec.open_network(f"{file}:{name}")
    assert str(caught.value).startswith(f"{file}: {message}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "import nowhere_to_be_found",
            "ModuleNotFoundError: No module named 'nowhere_to_be_found'",
        ),
        ("def f(:", "SyntaxError: invalid syntax (bad.py, line 1)"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("assert False", "AssertionError"),
    ],
)
def test_a_file_that_cannot_be_imported_is_named(
    tmp_path: Path, content: str, message: str
) -> None:
    path = tmp_path / "bad.py"
    path.write_text(content)
    with pytest.raises(FmzipError) as caught:
        spec.open_network(f"{path}:f")
    assert str(caught.value) == f"{path}: cannot be imported: {message}"


def test_a_missing_file_or_form_is_named(tmp_path: Path) -> None:
    with pytest.raises(FmzipError, match=r"no\.py: no such file; expected Python code"):
        spec.open_network(f"{tmp_path / 'no.py'}:net")
    for model in ("no.py", "no.py:a-b", "lenet"):
        with pytest.raises(ValueError, match=f"unknown network '{model}'; known are resnet18, "):
            spec.open_network(model)


def test_a_network_that_returns_no_logits_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_text(
        "from torch import nn\n"
        "class Two(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.conv, self.act = nn.Conv2d(3, 4, 3), nn.ReLU()\n"
        "    def forward(self, x):\n"
        "        x = self.act(self.conv(x))\n"
        "        return x.mean((2, 3)), x\n"
    )
    with pytest.raises(
        FmzipError, match=r"net\.py:Two: returns a tuple, expected logits \[n, classes\]"
    ):
        open_job(f"{path}:Two", None, pictures(tmp_path, 8))
