"""The command that prints stored maps."""

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from fmzip.cli import app, main

torch.set_num_threads(1)


def graph(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["graph", *arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def error_of(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> str:
    monkeypatch.setattr("sys.argv", ["fmzip", "graph", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    return line.removeprefix("fmzip: error: ")


def test_the_table_ends_with_the_total() -> None:
    text = graph("--model", "squeezenet1_1", "--size", "64")
    assert "squeezenet1_1, 3 x 64 x 64 picture" in text
    row = next(line for line in text.splitlines() if "features.5" in line)
    cells = [cell.strip() for cell in row.split("│")[1:-1]]
    assert cells == ["features.5", "128 x 7 x 7", "6,272", "1", "uint8", "cat + maxpool2d"]
    # 224 channels of 15 x 15 pixels, 448 of 7 x 7, 3272 of 3 x 3: see test_models_nets.
    assert "18 maps, 101,800 values written and" in text
    assert "found by torch.fx" in text


def test_json_holds_the_same_as_numbers() -> None:
    found = json.loads(graph("--model", "mobilenet_v2", "--size", "32", "--json"))
    assert found["network"] == "mobilenet_v2"
    assert found["input"] == [3, 32, 32]
    assert found["method"] == "torch.fx"
    assert found["note"] == ""
    # The stages from 160 channels on have one pixel, so only what their first block expands counts.
    assert len(found["maps"]) == 1 + 2 + 3 * (2 + 3 + 4 + 3) + 1
    assert found["maps"][2] == {
        "name": "features.1.conv.2",
        "shape": [16, 16, 16],
        "values": 4096,
        "reads": 1,
        "signed": True,
        "source": "conv2d + batchnorm2d",
    }
    assert found["values"] == sum(m["values"] for m in found["maps"])
    assert found["values_read"] == sum(m["values"] * m["reads"] for m in found["maps"])


def test_without_options_it_is_the_stand_in() -> None:
    found = json.loads(graph("--json"))
    assert found["network"] == "digits_resnet18"
    assert found["input"] == [1, 64, 64]
    assert len(found["maps"]) == 17


def test_a_network_found_with_hooks_says_so_and_its_prints_are_not_the_answer(
    tmp_path: Path,
) -> None:
    path = tmp_path / "net.py"
    path.write_text(
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.conv, self.act, self.fc = nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Linear(4, 2)\n"
        "    def forward(self, x):\n"
        "        print('hello')\n"
        "        x = self.act(self.conv(x))\n"
        "        return self.fc(x.mean((2, 3)) if x.max() > 1 else x.amax((2, 3)))\n"
    )
    model = ("--model", f"{path}:Net", "--size", "10")
    found = json.loads(graph(*model, "--json"))
    assert [m["shape"] for m in found["maps"]] == [[4, 8, 8]]
    assert found["method"] == "module hooks"
    text = graph(*model, "--mean", "0.5,0.5,0.5", "--std", "1,1,1")
    assert text.splitlines()[-1].endswith("reads unknown and counted as 1")
    assert "hello" not in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--model", "lenet"), "unknown network 'lenet'; known are resnet18"),
        (("--model", "resnet18", "--mean", "0.5"), "mean and std must be given together"),
        (("--model", "resnet18", "--weights", "no.pth"), "no.pth: no such file"),
        (("--model", "vgg16", "--size", "8"), "Vgg16: does not run on a 3x8x8 picture: "),
        (("--model", "no.onnx"), "no.onnx: no such file"),
        (("--model", "no.py:net"), "no.py: no such file"),
        (("--size", "8"), "the other options need a --model"),
    ],
)
def test_mistakes_are_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    message: str,
) -> None:
    assert error_of(monkeypatch, capsys, *arguments).startswith(message)


def test_numbers_that_are_none_are_a_usage_error() -> None:
    result = CliRunner().invoke(app, ["graph", "--model", "resnet18", "--mean", "a,b,c"])
    assert result.exit_code == 2
