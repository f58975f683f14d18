"""``fmzip measure``: figures, traffic, interruption, and what it says to bad input."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from fmzip import cli, energy
from fmzip.baselines import BASELINES
from fmzip.codecs import CODECS, codec_of
from fmzip.device import Device
from fmzip.errors import FmzipError
from fmzip.experiments import checkpoint, manifest, measure, summarise, traffic
from fmzip.experiments.entries import entries
from fmzip.experiments.evaluate import Evaluator, Task
from fmzip.experiments.measure import MeasureConfig, Measurement, run
from fmzip.experiments.measure_table import measure_lines, measure_table
from fmzip.format import Dtype
from fmzip.reference import encode
from fmzip_hw.decoder import Decoder
from fmzip_hw.encoder import Encoder
from fmzip_models.capture import calibrate, capture
from fmzip_models.default import open_job

torch.set_num_threads(1)  # see test_models_capture

DATA = os.environ.get("FMZIP_DATA")
ALL = ("dctcm", "dctcm-width", "zvc", "rle", "ebpc", "zstd", "entropy", "bits4")
SMALL = MeasureConfig(codecs=("dctcm", "zvc"), limit=20, calibration=8, batch=4, workers=1)


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Unfinished work of tests does not go to the user's cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(autouse=True, scope="module")
def same_checkout() -> Iterator[None]:
    """Who edits or commits while tests run does not make two runs of one test differ."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest, "provenance", lambda: {"fmzip": "0", "commit": "0123456"})
        patch.setattr(measure, "source_digest", lambda *_: "0")
        yield


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A run with everything, one picture short of a whole number of batches."""
    config = MeasureConfig(codecs=ALL, limit=15, calibration=16, workers=1)
    return run(replace(config, resume=tmp_path_factory.mktemp("work")))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run(replace(SMALL, resume=tmp_path_factory.mktemp("work")))


# Figures -----------------------------------------------------------------------------------------


def test_results_have_the_promised_shape(found: dict[str, Any]) -> None:
    assert list(found) == ["manifest", "baseline", "codecs"]
    assert found["baseline"].keys() >= {
        "float_top1", "float_top5", "int8_top1", "int8_top5", "pictures",
    }  # fmt: skip
    assert list(found["codecs"]) == list(ALL)
    for name, row in found["codecs"].items():
        assert row.keys() >= {
            "kind", "lossless", "bound", "bits_per_value", "ratio", "raw_bytes", "bus_bytes",
            "top1", "top5", "top1_drop", "top1_drop_interval", "expected_drop", "agreement", "kl",
            "cycles_per_value", "config", "layers", "energy",
        }, name  # fmt: skip
        assert len(row["layers"]) == 17
        assert row["raw_bytes"] == 15 * 34_816 == sum(la["values"] for la in row["layers"])
        assert row["ratio"] * row["bits_per_value"] == pytest.approx(8)
    kinds = {name: row["kind"] for name, row in found["codecs"].items()}
    assert kinds["dctcm"] == "codec"
    assert kinds["ebpc"] == "lossless"
    assert kinds["entropy"] == "bound"
    assert kinds["bits4"] == "requantise"
    json.dumps(found, allow_nan=False)


def test_what_is_lossless_changes_no_answer(found: dict[str, Any]) -> None:
    base = found["baseline"]
    for row in found["codecs"].values():
        if row["lossless"] or row["bound"]:
            assert row["top1"] == base["int8_top1"]
            assert row["top1_drop"] == 0
            assert row["top1_drop_interval"] == [0, 0]
            assert row["agreement"] == 100
            assert row["kl"] == row["expected_drop"] == 0
        else:
            assert row["kl"] > 0
        drop = base["int8_top1"] - row["top1"]
        assert row["top1_drop"] == pytest.approx(drop)
        low, high = row["top1_drop_interval"]
        assert low <= row["top1_drop"] <= high


def test_a_bound_has_bits_but_no_bytes_and_no_energy(found: dict[str, Any]) -> None:
    row = found["codecs"]["entropy"]
    assert row["bus_bytes"] is None
    assert row["energy"] is None
    assert all(layer["bus_bytes"] is None for layer in row["layers"])
    assert 0 < row["bits_per_value"] < found["codecs"]["zvc"]["bits_per_value"]


def test_bytes_of_baselines_are_those_of_their_streams(
    found: dict[str, Any], tmp_path: Path
) -> None:
    # The int8 network's maps, by another way than the runner's.
    network, pictures = open_job()
    calibration, evaluation = pictures.split(16)
    scales = calibrate(network, pictures, calibration).scales
    first = network.graph.maps[0]
    maps = [m[0].values for m in capture(network, pictures, evaluation[:15], scales)]
    for name in ("zvc", "rle", "ebpc", "zstd"):
        sizes = [len(BASELINES[name].encode(values)) for values in maps]
        layer = found["codecs"][name]["layers"][0]
        assert layer["name"] == first.name
        assert layer["bus_bytes"] == sum(-(-size // 32) * 32 for size in sizes)
    bits = sum(BASELINES["entropy"].bits(values) for values in maps)
    layer = found["codecs"]["entropy"]["layers"][0]
    assert layer["bits_per_value"] == pytest.approx(bits / sum(m.size for m in maps))


def test_bytes_of_codecs_are_those_of_their_frames(found: dict[str, Any]) -> None:
    network, pictures = open_job()
    calibration, evaluation = pictures.split(16)
    scales = calibrate(network, pictures, calibration).scales
    maps = [m[0] for m in capture(network, pictures, evaluation[:15], scales)]
    for name in CODECS:
        layer = found["codecs"][name]["layers"][0]
        codec = replace(codec_of(name), keep=int(layer["keep"], 0))
        config = codec.config(maps[0].values.shape, Dtype.UINT8, 0, layer["step_lsb"])
        assert layer["tile"] == [config.tile_rows, config.tile_cols]
        assert layer["bus_bytes"] == sum(len(encode(m.values, config)) for m in maps)


def test_several_steps_give_a_curve() -> None:
    steps = (0.1, 0.25, 0.5, 1, 1.5, 2)
    result = run(replace(SMALL, codecs=("dctcm", "zvc"), steps=steps, limit=8))
    names = [f"dctcm@{step:g}" for step in steps]
    assert list(result["codecs"]) == [*names, "zvc"]
    bits = [result["codecs"][name]["bits_per_value"] for name in names]
    assert bits == sorted(bits, reverse=True)
    kl = [result["codecs"][name]["kl"] for name in names]
    assert kl[0] < kl[2] < kl[-1]
    for step, name in zip(steps, names, strict=True):
        assert result["codecs"][name]["config"]["step_std"] == step


def test_masks_may_be_left_full(small: dict[str, Any]) -> None:
    result = run(replace(SMALL, masks="all", steps=(2,)))
    calibrated = run(replace(SMALL, steps=(2,)))
    assert {la["keep"] for la in result["codecs"]["dctcm"]["layers"]} == {"0xff"}
    assert {la["keep"] for la in calibrated["codecs"]["dctcm"]["layers"]} != {"0xff"}
    bits = [r["codecs"]["dctcm"]["bits_per_value"] for r in (result, calibrated)]
    assert bits[1] < bits[0]


def test_pictures_for_calibration_are_never_evaluated(monkeypatch: pytest.MonkeyPatch) -> None:
    used: dict[str, set[int]] = {"calibration": set(), "evaluation": set()}
    honest = Evaluator.__call__

    def evaluate(self: Evaluator, indices: np.ndarray) -> Any:
        used["evaluation"].update(indices.tolist())
        return honest(self, indices)

    def prepare(config: Any, network: Any, pictures: Any, calibration: np.ndarray) -> Task:
        used["calibration"].update(calibration.tolist())
        return honest_prepare(config, network, pictures, calibration)

    honest_prepare = measure.prepare
    monkeypatch.setattr(Evaluator, "__call__", evaluate)
    monkeypatch.setattr(measure, "prepare", prepare)
    result = run(SMALL)
    assert len(used["evaluation"]) == 20 == result["manifest"]["evaluation_pictures"]
    assert len(used["calibration"]) == 8 == result["manifest"]["calibration_pictures"]
    assert not used["evaluation"] & used["calibration"]


def test_the_manifest_says_what_was_run_and_names_no_directory(found: dict[str, Any]) -> None:
    about = found["manifest"]
    assert about.keys() >= {
        "command", "config", "versions", "commit", "seed", "data_hash", "weights_hash",
        "calibration_pictures", "evaluation_pictures",
    }  # fmt: skip
    assert about["stand_in"]
    assert about["calibration_pictures"] == 16
    assert str(Path.home()) not in json.dumps(found)


def test_cycles_per_value_are_the_gatewares(found: dict[str, Any]) -> None:
    assert summarise.TILE_GAP == Encoder.tile_gap == Decoder.tile_gap
    assert found["codecs"]["zvc"]["cycles_per_value"] is None
    # All maps of the stand-in are one tile each, of whole blocks: 8 values a cycle.
    assert found["codecs"]["dctcm"]["cycles_per_value"] == 1 / 8


def test_the_table_has_a_row_for_everything(found: dict[str, Any]) -> None:
    assert measure_table(found).row_count == len(ALL)
    lines = "\n".join(measure_lines(found))
    assert "modelled" in lines
    assert "stand-in" in lines
    assert "bound" in lines


# Traffic -----------------------------------------------------------------------------------------


def test_energy_is_that_of_one_write_and_all_reads(found: dict[str, Any]) -> None:
    row = found["codecs"]["zvc"]
    written = sum(layer["bus_bytes"] for layer in row["layers"])
    read = sum(layer["reads"] * layer["bus_bytes"] for layer in row["layers"])
    assert row["traffic"]["write_bytes"] == round(written / 15)
    assert row["traffic"]["read_bytes"] == round(read / 15)
    fields = {k: v for k, v in row["traffic"].items() if k not in ("label", "per")}
    assert row["energy"] == energy.report(energy.Traffic(**fields), codec="zvc")
    assert row["energy"]["label"] == row["traffic"]["label"] == "modelled"


@pytest.mark.xdist_group("vboard")
def test_the_traffic_plan_equals_the_boards_counters_on_a_whole_picture() -> None:
    network, pictures = open_job()
    calibration, evaluation = pictures.split(8)
    known = calibrate(network, pictures, calibration)
    (maps,) = capture(network, pictures, evaluation[:1], known.scales)
    # One more than the stand-in's: larger than a row, with a head that crosses one.
    sizes, heads, configs, values = [], [], [], []
    rng = np.random.default_rng(4)
    extra = rng.integers(0, 40, (16, 60, 56)).astype(np.uint8)
    shapes = [*[m.values for m in maps], extra]
    for k, one in enumerate(shapes):
        tile = (1, 8) if k == len(shapes) - 1 else None
        config = codec_of("dctcm").config(one.shape, Dtype.UINT8, 0, 4, tile=tile)
        configs.append(config)
        values.append(one)
        sizes.append(len(encode(one, config)))
        heads.append(config.head_bytes)
    assert max(heads) > 1024
    reads = [1 + k % 2 for k in range(len(values))]
    expected = traffic.plan(np.array([sizes]), reads, heads)
    bases = np.concatenate(([0], np.cumsum([-(-size // 1024) * 1024 for size in sizes])))
    with Device() as device:
        device.encode(values[0], configs[0], int(bases[-1]))  # so that the port was elsewhere
        device.counters(clear=True)
        for base, one, config in zip(bases, values, configs, strict=False):
            device.encode(one, config, int(base))
        # By rounds, so that a map is never read twice without another between.
        for turn in (1, 2):
            for base, config, times in zip(bases, configs, reads, strict=False):
                if times >= turn:
                    device.decode(config, int(base))
        counters = device.counters()
    assert counters["write_bytes"] == expected.write_bytes
    assert counters["read_bytes"] == expected.read_bytes
    assert counters["row_switches"] == expected.row_switches


def test_row_switches_of_streams_are_their_rows() -> None:
    sizes = np.array([32, 1024, 1056, 4096])
    assert traffic.write_switches(sizes).tolist() == [1, 1, 2, 4]
    assert traffic.read_switches(sizes).tolist() == [1, 1, 2, 4]
    # Tiles first, then back to the row of the head, unless that is where they end.
    assert traffic.write_switches(sizes, 64).tolist() == [1, 1, 3, 5]


# Interruption ------------------------------------------------------------------------------------


class Stop:
    """A progress function that interrupts when so many pictures are done."""

    def __init__(self, at: int) -> None:
        self.at = at

    def __call__(self, what: str, done: int, total: int) -> None:
        if what == "measuring" and done >= self.at:
            raise KeyboardInterrupt


def test_an_interrupted_run_goes_on_where_it_was_and_finds_the_same(
    small: dict[str, Any], cache: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        Measurement(SMALL).run(Stop(at=8))
    assert len(list(cache.rglob("batch-*.npz"))) == 2
    seen: list[tuple[str, int, int]] = []
    again = Measurement(SMALL)
    result = again.run(lambda *state: seen.append(state))
    assert next(state for state in seen if state[0] == "measuring") == ("measuring", 8, 20)
    assert json.dumps(result) == json.dumps(small)
    again.discard()
    assert not list(cache.rglob("*.npz"))


def test_processes_change_nothing(small: dict[str, Any]) -> None:
    result = run(replace(SMALL, workers=2))
    assert json.dumps(result) == json.dumps(small)


def test_work_of_another_run_is_not_taken_over(cache: Path, tmp_path: Path) -> None:
    run(replace(SMALL, resume=tmp_path))
    run(replace(SMALL, resume=tmp_path, seed=2))
    assert len(list(tmp_path.glob("*/manifest.json"))) == 2


def test_a_damaged_batch_is_computed_again(small: dict[str, Any], tmp_path: Path) -> None:
    config = replace(SMALL, resume=tmp_path)
    run(config)
    batches = sorted(tmp_path.rglob("batch-*.npz"))
    assert len(batches) == 5
    whole = batches[1].read_bytes()
    batches[1].write_bytes(whole[:-100])
    batches[2].write_bytes(b"")
    batches[3].write_bytes(whole.replace(b"size zvc", b"size zvd"))
    assert json.dumps(run(config)) == json.dumps(small)


def test_work_that_nobody_came_back_to_is_removed(cache: Path) -> None:
    old, new = (checkpoint.Checkpoint({"number": k}) for k in range(2))
    os.utime(old.path / "manifest.json", (0, 0))
    checkpoint.Checkpoint({"number": 2})
    assert sorted(p.exists() for p in (old.path, new.path)) == [False, True]
    assert len(list((cache / "fmzip" / "measure").iterdir())) == 2


def test_a_signal_ends_the_command_and_its_processes_at_once(cache: Path) -> None:
    fmzip = Path(sys.executable).with_name("fmzip")
    command = [fmzip, "measure", "--codec", "dctcm,zstd", "--workers", "2"]
    with subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A shell's background job ignores interrupts, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as running:
        deadline = time.monotonic() + 60
        while not list(cache.rglob("batch-*.npz")) and time.monotonic() < deadline:
            time.sleep(0.05)
        os.killpg(running.pid, signal.SIGINT)
        _, err = running.communicate(timeout=20)  # until all that share stderr have ended
    assert running.returncode == 1
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith("fmzip: error: interrupted; finished pictures are kept")
    assert list(cache.rglob("batch-*.npz"))


def test_a_full_disk_keeps_what_was_finished(
    monkeypatch: pytest.MonkeyPatch, small: dict[str, Any], cache: Path
) -> None:
    honest = checkpoint.write_atomic

    def full(path: Path, data: bytes) -> None:
        if "000003" in path.name:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        honest(path, data)

    monkeypatch.setattr(checkpoint, "write_atomic", full)
    with pytest.raises(OSError, match="No space left"):
        run(SMALL)
    assert len(list(cache.rglob("batch-*.npz"))) == 3
    monkeypatch.setattr(checkpoint, "write_atomic", honest)
    assert json.dumps(run(SMALL)) == json.dumps(small)


# Bad input ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "steps", "message"),
    [
        ((), (1,), "codec must be one or more of dctcm, "),
        (("dctcm", "lzw"), (1,), "codec must be one of dctcm, .*, not 'lzw'"),
        (("zvc", "zvc"), (1,), "codec zvc is given more than once"),
        (("dctcm",), (1, 1), "step 1 is given more than once"),
        (("dctcm",), (), "give at least one step"),
        (("dctcm",), (0,), "step must be above 0 standard deviations, not 0"),
        (("dctcm",), (float("nan"),), "step must be above 0 standard deviations, not nan"),
    ],
)
def test_codecs_and_steps_that_are_none_are_refused(
    names: tuple[str, ...], steps: tuple[float, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        entries(names, steps)
    with pytest.raises(ValueError, match=message):
        MeasureConfig(codecs=names, steps=steps)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"limit": 0}, "limit must be at least 1, not 0"),
        ({"workers": 0}, "workers must be at least 1, not 0"),
        ({"seed": -1}, "seed must not be negative, not -1"),
        ({"masks": "some"}, "masks must be calibrated or all, not 'some'"),
        ({"scales": "min"}, "method must be one of max, percentile, mse, not 'min'"),
    ],
)
def test_impossible_settings_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MeasureConfig(**change)


def test_a_device_that_is_not_there_is_one_line() -> None:
    for device in ("warp", *([] if torch.cuda.is_available() else ["cuda"])):
        with pytest.raises(FmzipError, match=rf"^device {device} cannot be used: .+$") as it:
            run(replace(SMALL, device=device))
        assert "\n" not in str(it.value)


def fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> str:
    """The one line of a command that must fail with exit code 1."""
    monkeypatch.setattr(sys, "argv", ["fmzip", "measure", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    err = capsys.readouterr().err
    assert "Traceback" not in err
    return [line for line in err.splitlines() if line.startswith("fmzip: error: ")][-1]


def test_the_command_says_what_is_wrong_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def line(*arguments: str) -> str:
        return fails(monkeypatch, capsys, *arguments)

    assert "not 'lzw'" in line("--codec", "dctcm,lzw")
    assert "not a file in an existing directory" in line("--json", str(tmp_path / "no" / "a.json"))
    assert "--weights" in line("--model", "resnet18", "--images", str(tmp_path))
    occupied = tmp_path / "file"
    occupied.write_text("")
    assert "not a directory" in line("--limit", "4", "--resume", str(occupied))


def test_an_interrupt_is_one_line_and_keeps_what_is_finished(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], cache: Path
) -> None:
    honest = Measurement.run
    monkeypatch.setattr(Measurement, "run", lambda self, _: honest(self, Stop(at=8)))
    line = fails(monkeypatch, capsys, "--codec", "zvc", "--limit", "20", "--workers", "1")
    assert "interrupted; finished pictures are kept" in line
    assert len(list(cache.rglob("batch-*.npz"))) == 1


def test_one_picture_is_too_few_and_two_are_enough(tmp_path: Path) -> None:
    weights = tmp_path / "net.py"
    weights.write_text(
        "import torch\nfrom torch import nn\n"
        "def net():\n"
        "    torch.manual_seed(1)\n"
        "    return nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU(), nn.Conv2d(5, 4, 3),\n"
        "                         nn.AdaptiveAvgPool2d(1), nn.Flatten())\n"
    )
    rng = np.random.default_rng(6)
    folder = tmp_path / "pictures"
    folder.mkdir()
    rows = ["file,label"]
    config = replace(SMALL, model=f"{weights}:net", images=folder, calibration=None)
    for k in range(2):
        Image.fromarray(rng.integers(0, 256, (20, 20, 3), np.uint8)).save(folder / f"{k}.png")
        rows.append(f"{k}.png,{k}")
        (folder / "labels.csv").write_text("\n".join(rows) + "\n")
        if k == 0:
            with pytest.raises(FmzipError, match="needs two pictures or more"):
                run(config)
    result = run(config)
    assert result["manifest"]["evaluation_pictures"] == 1
    assert result["manifest"]["command"].startswith("fmzip measure --model net.py:net --images")
    assert str(tmp_path) not in json.dumps(result)


def test_a_network_that_is_another_one_each_time_is_refused_by_processes(tmp_path: Path) -> None:
    weights = tmp_path / "net.py"
    weights.write_text(
        "from torch import nn\n"
        "def net():\n"
        "    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())\n"
    )
    folder = tmp_path / "pictures"
    for k in range(4):
        (folder / str(k)).mkdir(parents=True)
        for name in ("a.png", "b.png"):
            Image.new("RGB", (9, 9), (k, 3 * k, 90)).save(folder / str(k) / name)
    config = replace(
        SMALL, model=f"{weights}:net", images=folder, calibration=1, batch=2, workers=2
    )
    with pytest.raises(FmzipError, match=r"net.py:net: has other weights each time it is made"):
        run(config)


# Real data ---------------------------------------------------------------------------------------


@pytest.mark.skipif(not DATA, reason="FMZIP_DATA does not name the directory of real data")
def test_real_figures_are_those_that_are_known() -> None:
    folder = Path(str(DATA))
    result = run(
        MeasureConfig(
            "resnet18", folder / "resnet18.safetensors", folder / "photos",
            ("dctcm", "zvc", "rle", "ebpc", "entropy"), limit=8, calibration=16, workers=1,
        )
    )  # fmt: skip
    bits = {name: row["bits_per_value"] for name, row in result["codecs"].items()}
    # Expected of this network: 5.4, 5.5, 5.0, 4.0, and 4.9 for the codec at this step.
    expected = {"dctcm": 4.9, "zvc": 5.4, "rle": 5.5, "ebpc": 5.0, "entropy": 4.0}
    assert bits == pytest.approx(expected, abs=0.35)
    assert 1 / 8 < result["codecs"]["dctcm"]["cycles_per_value"] < 0.13
