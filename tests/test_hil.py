"""The main job: a network's stored maps through the virtual board, compared byte by byte."""

import json
import os
import pty
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.board_bench import check_sums
from tests.rans_bench import random_tables

from fmzip import codecfile, reference
from fmzip.codecfile import CodecFile, LayerCodec
from fmzip.codecs import codec_config
from fmzip.device import Device
from fmzip.errors import MismatchError
from fmzip.experiments.hil import HilConfig, check_frame, check_values, run
from fmzip.experiments.manifest import network_digest
from fmzip.experiments.show import hil_lines, hil_table
from fmzip.experiments.windows import add_counters, bands, compare
from fmzip.format import RANS_TRANSFORMS, Dtype, FrameConfig, Transform
from fmzip.regs import COUNTER
from fmzip.tables import Coding, Diffusion
from fmzip_models.capture import calibrate
from fmzip_models.default import open_job

torch.set_num_threads(1)  # see test_models_capture

DATA = os.environ.get("FMZIP_DATA")
FMZIP = Path(sys.executable).with_name("fmzip")

# One worker compiles the board, and the others do not wait for it.
pytestmark = pytest.mark.xdist_group("vboard")


def fmzip(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [FMZIP, *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, **(env or {})},
        check=False,
    )


def frame_of(values: np.ndarray) -> bytes:
    return reference.encode(values, codec_config("dctcm", values.shape, Dtype.UINT8, 0, 4.0))


@pytest.fixture(scope="module")
def values() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 60, (64, 12, 30), np.uint8)


def test_the_stand_ins_maps_survive_the_board_bit_by_bit() -> None:
    seen = []
    result = run(HilConfig(limit=2), lambda *state: seen.append(state))
    assert len(result.layers) == 17
    assert result.pictures == 2
    assert all(layer.bit_exact for layer in result.layers)
    assert sum(layer.values for layer in result.layers) == 2 * 34_816
    for layer in result.layers:
        assert layer.coded_bytes == layer.predicted_bytes
    coded = sum(layer.coded_bytes for layer in result.layers)
    assert result.counters["write_bytes"] == result.counters["read_bytes"] == coded
    assert result.counters["codec_bits_in"] == 8 * 2 * 34_816
    assert seen[-1] == ("done", 2 * 34_816, 2 * 34_816)
    assert result.tier == "simulated"


def test_maps_survive_the_board_with_a_codec_file(tmp_path: Path) -> None:
    network, pictures = open_job(None, None, None)
    calibration, _ = pictures.split(8)
    scales = calibrate(network, pictures, calibration).scales
    layers = {}
    for n, m in enumerate(network.graph.maps):
        transform = RANS_TRANSFORMS[n % len(RANS_TRANSFORMS)]
        diffusion = Diffusion(120, 7, 5, 2) if transform == Transform.BYPASS else Diffusion()
        coding = Coding(random_tables(transform, random.Random(n)), diffusion)
        scale = scales[m.name]
        layers[m.name] = LayerCodec(
            m.shape, scale.scale, scale.zero_point, scale.dtype, transform, 64 + 300 * n, coding
        )
    path = tmp_path / "codec.toml"
    codec = CodecFile("fmz", network.name, network_digest(network), layers)
    path.write_text(codecfile.dump(codec))
    result = run(HilConfig(limit=1, codec=str(path), calibration=8))
    assert len(result.layers) == 17
    assert all(layer.bit_exact for layer in result.layers)
    found = json.loads(json.dumps(result.json()))
    assert found["step_std"] is None
    for layer in found["layers"]:
        for side in ("encoder", "decoder"):
            assert layer[f"{side}_cycles"] >= layer["values"] / 8 + layer[f"{side}_stalls"]


def test_results_say_what_they_are() -> None:
    result = run(HilConfig(limit=1, codec="dctcm-width"))
    found = json.loads(json.dumps(result.json()))
    assert set(found) >= {"tier", "port", "codec", "layers", "counters", "energy"}
    assert set(found["layers"][0]) >= {
        "name", "shape", "values", "raw_bytes", "coded_bytes", "predicted_bytes", "bit_exact",
    }  # fmt: skip
    assert set(found["counters"]) == set(COUNTER)
    assert found["energy"]["label"] == "modelled"
    assert 0 < found["energy"]["coded_pj"] < found["energy"]["raw_pj"]
    lines = "\n".join(hil_lines(result))
    assert "stand-in" in lines
    assert "modelled" in lines
    assert "simulated" in lines
    assert hil_table(result).row_count == 18


@pytest.mark.skipif(not DATA, reason="FMZIP_DATA does not name the directory of real data")
def test_all_maps_of_a_real_resnet18_are_exact_at_the_memorys_speed(tmp_path: Path) -> None:
    assert DATA
    target = tmp_path / "found.json"
    done = fmzip(
        "hil", "--model", "resnet18", "--weights", f"{DATA}/resnet18.safetensors",
        "--images", f"{DATA}/photos", "--limit", "1", "--codec", "dctcm", "--json", str(target),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(target.read_text())
    assert len(found["layers"]) == 17
    assert sum(layer["values"] for layer in found["layers"]) == 1_705_984
    for layer in found["layers"]:
        assert layer["bit_exact"]
        assert layer["coded_bytes"] == layer["predicted_bytes"]
    count = found["counters"]
    for side in ("encoder", "decoder"):
        assert count[f"{side}_beats"] == 1_705_984 // 8
    for kind, window in found["windows"].items():
        check_sums(window)
        # Both are bound by the memory, not by the codec.
        assert window["wr"] + window["rd"] >= (0.92 if kind == "raw" else 0.85) * window["cycles"]
    assert found["windows"]["raw"]["wr"] == 1_705_984 // 2
    assert found["energy"]["saved"] > 0.3


def test_a_wrong_byte_in_memory_ends_the_run_with_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    honest = Device.read_memory

    def altered(self: Device, address: int, size: int) -> bytes:
        frame = bytearray(honest(self, address, size))
        frame[-40] ^= 1
        return bytes(frame)

    monkeypatch.setattr(Device, "read_memory", altered)
    with pytest.raises(MismatchError, match=r"^maxpool: frame differs at tile 0, byte \d+: board"):
        run(HilConfig(limit=1))


def test_a_wrong_value_ends_the_run_with_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Device.decode

    def altered(self: Device, *arguments: object, **others: object) -> np.ndarray:
        values = honest(self, *arguments, **others).copy()  # type: ignore[arg-type]
        values[3, 2, 1] ^= 1
        return values

    monkeypatch.setattr(Device, "decode", altered)
    place = "first at channel 3, row 2, column 1: board"
    with pytest.raises(MismatchError, match=f"^maxpool: 1 decoded values differ, {place}"):
        run(HilConfig(limit=1))


def test_a_wrong_count_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Device.counters

    def altered(self: Device, *, clear: bool = False) -> dict[str, int]:
        found = honest(self, clear=clear)
        return {**found, "write_bytes": found["write_bytes"] + 8}

    monkeypatch.setattr(Device, "counters", altered)
    with pytest.raises(MismatchError, match=r"^maxpool: write_bytes counts"):
        run(HilConfig(limit=1))


def test_a_frame_that_differs_is_named_by_tile_or_head(values: np.ndarray) -> None:
    frame = frame_of(values)
    check_frame("map", frame, frame)
    head = reference.parse_head(frame)
    place = head.config.head_bytes + int(head.offsets[3]) + 5
    damaged = frame[:9] + b"\xff" + frame[10:place] + b"\xff" + frame[place + 1 :]
    with pytest.raises(MismatchError, match=r"^map: frame differs at tile 3, byte 5: board 0xff"):
        check_frame("map", damaged, frame)
    with pytest.raises(MismatchError, match=r"^map: frame differs at head, byte 9: board 0xff"):
        check_frame("map", frame[:9] + b"\xff" + frame[10:], frame)
    with pytest.raises(MismatchError, match="bytes, the reference's"):
        check_frame("map", frame[:-32], frame)


def test_values_of_another_shape_or_type_differ(values: np.ndarray) -> None:
    check_values("map", values, values.copy())
    with pytest.raises(MismatchError, match=r"^map: board int8"):
        check_values("map", values.view(np.int8), values)
    with pytest.raises(MismatchError, match=r"^map: board uint8"):
        check_values("map", values[:, :, :-1], values)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model", "resnet18"], "--weights and --images missing"),
        (["--model", "resnet18", "--weights", "none.pth", "--images", "."], "none.pth"),
        (["--model", "vgg", "--weights", "a", "--images", "b"], "vgg"),
        (["--port", "/dev/none"], "/dev/none"),
        (["--port", "vboard:?lanes=3"], "lanes must be"),
        (["--port", "nonsense://x"], "nonsense"),
        (["--step", "-1"], "step must be above 0"),
        (["--calibration", "100000"], "calibration"),
        (["--json", "no/such/folder.json"], "no/such/folder.json"),
    ],
)
def test_what_cannot_work_is_one_line_and_exit_status_1(
    options: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = fmzip("hil", "--json", "found.json", *options)
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = [x for x in done.stderr.splitlines() if x.startswith("fmzip: error: ")]
    assert message in line
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_results_do_not_overwrite_the_weights(tmp_path: Path) -> None:
    weights = tmp_path / "net.safetensors"
    weights.write_bytes(b"weights")
    done = fmzip("hil", "--weights", str(weights), "--json", str(weights))
    assert done.returncode == 1
    assert "is the input itself" in done.stderr
    assert weights.read_bytes() == b"weights"


def test_usage_errors_exit_with_2() -> None:
    for options in (["--limit", "0"], ["--codec", "none"], ["--unknown"]):
        assert fmzip("hil", *options).returncode == 2


def test_a_silent_port_ends_in_time() -> None:
    ours, theirs = pty.openpty()
    try:
        done = fmzip("hil", "--port", os.ttyname(theirs))
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == 1
    assert "no answer within" in done.stderr


@pytest.mark.skipif(not DATA, reason="FMZIP_DATA does not name the directory of real data")
def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    assert DATA
    done = fmzip(
        "hil", "--model", "resnet18", "--weights", f"{DATA}/resnet50.safetensors",
        "--images", f"{DATA}/photos",
    )  # fmt: skip
    assert done.returncode == 1
    assert "resnet50.safetensors" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_compiler_is_said_in_one_line(tmp_path: Path) -> None:
    done = fmzip("hil", env={"FMZIP_BUILD": str(tmp_path), "CXX": "no-such-compiler"})
    assert done.returncode == 1
    assert "CXX: no-such-compiler not found" in done.stderr
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_impossible_configurations_are_refused() -> None:
    for name in ("limit", "calibration"):
        with pytest.raises(ValueError, match=f"{name} must be at least 1"):
            HilConfig(**{name: 0})
    with pytest.raises(ValueError, match="codec must be"):
        HilConfig(codec="none")


def test_windows_of_the_same_commands_take_the_same_energy() -> None:
    seen = {**dict.fromkeys(COUNTER, 0), "rd": 512, "wr": 512, "act": 2, "pre": 2}
    seen |= {"open_cycles": 1100, "cycles": 1100, "dq_read_toggles": 1000}
    half = {**seen, "rd": 256, "wr": 256, "act": 1, "pre": 1, "open_cycles": 550, "cycles": 550}
    found = compare(133.3e6, {"raw": seen, "coded": seen})
    assert found["coded_pj"] == pytest.approx(found["raw_pj"])
    # E = RD and WR at 16.43 nJ for 16 bytes, ACT and PRE of a row at 16.2 nJ together.
    assert found["raw_pj"] == pytest.approx(1024 / 8 * 16_430 + 2 * 16_200, rel=0.01)
    assert found["fixed_saved"] == pytest.approx(0)
    # 1/2 C V^2 of 20 pF at 3.3 V.
    assert found["raw_io_pj"] == pytest.approx(1000 * 0.5 * 20 * 3.3**2)
    found = compare(133.3e6, {"raw": seen, "coded": half})
    assert found["saved"] == pytest.approx(0.5)
    assert 0.4 < found["fixed_saved"] < 0.5  # it is asleep for the rest
    assert found["fixed_cycles"] == 1100


def test_counters_of_windows_add_up_and_extremes_stay_extremes() -> None:
    one = {**dict.fromkeys(COUNTER, 3), "latency_min": 0, "latency_max": 9}
    two = {**dict.fromkeys(COUNTER, 4), "latency_min": 7, "latency_max": 8}
    total = add_counters(add_counters({}, one), two)
    assert (total["cycles"], total["latency_min"], total["latency_max"]) == (7, 7, 9)
    assert total["refresh_owed_max"] == 4


def test_a_replay_that_puts_out_something_else_ends_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Device, "check_of", lambda *_: 1)
    with pytest.raises(MismatchError, match=r"^maxpool: what the raw passes over rows 0 to 15 put"):
        run(HilConfig(limit=1))


def test_a_map_is_replayed_in_bands_that_the_stage_holds() -> None:
    config = FrameConfig(64, 56, 56, tile_rows=2, tile_cols=56)
    with Device() as device:
        parts = [*bands(config, device)]
        assert parts == [(0, 36), (36, 56)]
        with pytest.raises(ValueError, match=r"a row of tiles has \d+ beats, the stage holds"):
            [*bands(FrameConfig(2048, 30, 30, tile_rows=3, tile_cols=8), device)]
