"""Power meters, and the procedure that reads them."""

import sys
import time
import types
from typing import Any

import numpy as np
import pytest
from tests.codec_bench import value_map

from fmzip.device import Device
from fmzip.errors import ToolError
from fmzip.experiments import power
from fmzip.experiments.meters import Counters, Ina226Meter, SimulatedMeter, open_meter
from fmzip.experiments.power import CONFIGURATIONS, measure, model_power
from fmzip.format import Coder, FrameConfig


def _nothing() -> Counters:
    return {"cycles": 1}


def test_the_simulated_meter_shows_the_model_with_noise_and_the_same_seed_the_same() -> None:
    meters = [SimulatedMeter(lambda _: 0.25, seed=seed) for seed in (1, 1, 2)]
    seen = [meter.window(_nothing, 10.0) for meter in meters]
    assert seen[0] == seen[1] != seen[2]
    for reading in seen:
        assert reading.samples == 10_000
        assert 0 < abs(reading.power_w - 0.25) < 0.01
    quiet = SimulatedMeter(lambda _: 0.25, noise_w=0, drift_w=0).window(_nothing, 1.0)
    assert quiet.power_w == pytest.approx(0.25)


@pytest.mark.parametrize("text", ["", "none", "simulated:x", "ppk2", "ppk2:a:b", "ina226:1:64"])
def test_a_meter_that_is_none_is_refused_with_those_that_are(text: str) -> None:
    with pytest.raises(ValueError, match=r"^meter must be simulated\[:SEED\], ppk2:PORT:VOLTS"):
        open_meter(text, lambda _: 0.0)


@pytest.mark.parametrize(
    ("text", "module", "package"),
    [
        ("ppk2:/dev/ttyACM0:5", "ppk2_api.ppk2_api", "ppk2-api"),
        ("joulescope", "joulescope", "joulescope"),
        ("ina226:1:0x40:0.1", "smbus2", "smbus2"),
    ],
)
def test_a_package_that_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, text: str, module: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ToolError, match=f"needs the package {package}: pip install {package}$"):
        open_meter(text, lambda _: 0.0)


def _module(monkeypatch: pytest.MonkeyPatch, name: str, **members: Any) -> None:
    module = types.ModuleType(name)
    for key, value in members.items():
        setattr(module, key, value)
    monkeypatch.setitem(sys.modules, name, module)


def test_ina226_turns_registers_into_watts(monkeypatch: pytest.MonkeyPatch) -> None:
    class Bus:
        def __init__(self, number: int):
            assert number == 3

        def read_i2c_block_data(self, address: int, register: int, size: int) -> list[int]:
            assert (address, size) == (0x40, 2)
            value = {1: -400, 2: 4000}[register]  # -1 mV at the shunt, 5 V
            return list(value.to_bytes(2, "big", signed=True))

    _module(monkeypatch, "smbus2", SMBus=Bus)
    meter = open_meter("ina226:3:0x40:0.1", lambda _: 0.0)
    assert isinstance(meter, Ina226Meter)

    def work() -> Counters:
        time.sleep(0.4)
        return {"cycles": 5}

    reading = meter.window(work, 0.4)
    assert reading.power_w == pytest.approx(-0.05)
    assert reading.counters == {"cycles": 5}


class Ppk2:
    """Marker high for the middle half of the samples, with 10 mA; 1 mA outside."""

    glitch = False

    def __init__(self, port: str):
        self.calls: list[str] = []
        self._left = 100

    def get_data(self) -> bytes:
        self._left -= 1
        if self._left < 0:
            time.sleep(0.001)
            return b""
        return b"x"

    def get_samples(self, data: bytes) -> tuple[list[float], list[int]]:
        number = 99 - self._left
        marked = 25 <= number < 75 or (self.glitch and number == 90)
        return [10_000.0 if marked else 1_000.0] * 4, [int(marked)] * 4

    def digital_channels(self, digital: list[int]) -> list[list[int]]:
        return [digital, [0] * len(digital)]

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


@pytest.mark.parametrize("glitch", [False, True])
def test_ppk2_counts_what_lies_between_the_markers_edges(
    monkeypatch: pytest.MonkeyPatch, glitch: bool
) -> None:
    monkeypatch.setattr(Ppk2, "glitch", glitch)
    _module(monkeypatch, "ppk2_api.ppk2_api", PPK2_API=Ppk2)
    meter = open_meter("ppk2:/dev/ttyACM0:5", lambda _: 0.0)

    def work() -> Counters:
        time.sleep(0.3)
        return {}

    if glitch:
        with pytest.raises(ToolError, match="the marker rose 2 times in the window, expected once"):
            meter.window(work, 0.1)
        return
    reading = meter.window(work, 0.1)
    assert reading.power_w == pytest.approx(0.05)
    assert reading.samples == 200


def test_an_instrument_that_fails_is_a_tool_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Ppk2):
        def get_data(self) -> bytes:
            raise OSError("gone")

    _module(monkeypatch, "ppk2_api.ppk2_api", PPK2_API=Broken)
    with pytest.raises(ToolError, match="ppk2: gone"):
        open_meter("ppk2:x:5", lambda _: 0.0).window(_nothing, 0.1)


def test_joulescope_multiplies_volts_and_amperes(monkeypatch: pytest.MonkeyPatch) -> None:
    class Scope:
        def __init__(self) -> None:
            self._left = 10

        def read(self, **_: Any) -> dict[str, Any]:
            self._left -= 1
            time.sleep(0.002)
            marked = 2 <= self._left < 7
            columns = {"current": 0.1, "voltage": 5.0, "current_lsb": marked}
            return {"signals": {k: {"value": np.full(5, v)} for k, v in columns.items()}}

        def __getattr__(self, name: str) -> Any:
            return lambda *_: None

    _module(monkeypatch, "joulescope", scan_require_one=lambda config: Scope())

    def work() -> Counters:
        time.sleep(0.1)
        return {}

    reading = open_meter("joulescope", lambda _: 0.0).window(work, 0.1)
    assert (reading.power_w, reading.samples) == (pytest.approx(0.5), 25)


@pytest.mark.xdist_group("vboard")
def test_five_configurations_are_measured_there_and_back_again() -> None:
    config = FrameConfig(32, 16, 16, tile_cols=16, coder=Coder.BITMAP, step=1500)
    values = value_map(config, "blob", np.random.default_rng(1))
    order = []
    with Device() as device:
        model_w = model_power("dctcm", device.clock_hz, device.lanes)
        meter = open_meter("simulated:3", model_w)
        progress = lambda what, done, total: order.append(what)  # noqa: E731 (a list of calls)
        found = measure(device, meter, model_w, values, config, repeats=5, progress=progress)
        with pytest.raises(ValueError, match="a window must be longer than 0 s, not 0"):
            measure(device, meter, model_w, values, config, window_s=0)
        with pytest.raises(ValueError, match="repeats must be at least 1, not 0"):
            measure(device, meter, model_w, values, config, repeats=0)
    names = [f"power, {name}" for name in CONFIGURATIONS]
    assert order == [*names, *names[::-1], *names, *names[::-1], *names]
    assert found["label"] == "simulated"
    seen = found["configurations"]
    for one in seen.values():
        assert one["seconds"] >= power.WINDOW_S
        assert one["power_w"] == pytest.approx(one["model_w"], abs=0.01)
        assert one["windows"] == 5
    watts = {name: one["model_w"] for name, one in seen.items()}
    assert watts["asleep"] < 0.03 < watts["awake"] < watts["raw"]
    assert watts["asleep"] < watts["codec"]


def test_the_model_prices_idle_memory_as_the_datasheet_does() -> None:
    idle = dict.fromkeys(
        ("open_cycles", "open_low_cycles", "act", "pre", "rd", "wr", "dq_write_toggles",
         "dq_read_toggles", "encoder_beats", "decoder_beats", "codec_bits_out"), 0
    )  # fmt: skip
    model_w = model_power("dctcm", 133.3e6, 8)
    awake = {**idle, "ref": 0, "closed_cycles": 1000, "closed_low_cycles": 0}
    asleep = {**idle, "ref": 0, "closed_cycles": 0, "closed_low_cycles": 1000}
    # 35 mA with CKE high, 2 mA with CKE low, at 3.3 V.
    assert model_w(awake) == pytest.approx(3.3 * 0.035, rel=0.01)
    assert model_w(asleep) == pytest.approx(3.3 * 0.002, rel=0.01)
