"""Power meters: what a window of a replay takes, from an instrument or from the model.

Real instruments need packages of their own, which are imported when a meter is opened and not
before. They were tried against stand-ins of these packages, never against an instrument.
"""

import importlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from fmzip.errors import ToolError

Counters = Mapping[str, int]
Work = Callable[[], Counters]  # makes a replay and returns its counters
_FIRST_S = 5.0  # until an instrument gives its first sample


@dataclass(frozen=True)
class Reading:
    """Mean power in the time in which the marker was high, W, and how long that was, s."""

    power_w: float
    seconds: float
    samples: int
    counters: Counters


class Meter(Protocol):
    """An instrument on the board's supply.

    Members
    -------
    name, label : what it is; ``measured`` or ``simulated``
    """

    name: str
    label: str

    def window(self, work: Work, seconds: float) -> Reading:
        """Do the work, which takes about so long, and read the power in it."""
        ...


class SimulatedMeter:
    """Samples of what the model says of the counters, with noise.

    Parameters
    ----------
    power_w : mean power of a window by its counters, W
    rate_hz, noise_w : samples per second, and the standard deviation of one
    drift_w : standard deviation of what a whole window is off by, as temperature makes it
    """

    name, label = "simulated", "simulated"

    def __init__(
        self,
        power_w: Callable[[Counters], float],
        *,
        rate_hz: float = 1000.0,
        noise_w: float = 0.02,
        drift_w: float = 0.001,
        seed: int = 1,
    ):
        self._power_w, self._rate_hz = power_w, rate_hz
        self._noise_w, self._drift_w = noise_w, drift_w
        self._generator = np.random.default_rng(seed)

    def window(self, work: Work, seconds: float) -> Reading:
        """As of an instrument; the window is as long as it would be on a board."""
        counters = work()
        count = max(1, round(seconds * self._rate_hz))
        mean = self._power_w(counters) + self._generator.normal(0, self._drift_w)
        samples = self._generator.normal(mean, self._noise_w, count)
        return Reading(float(samples.mean()), seconds, count, counters)


class _Sampler:
    """Samples beside the work, in a thread: (time, W, marker or None)."""

    def __init__(self, read: Callable[[], list[tuple[float, float, bool | None]]]):
        self._read = read
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._error: BaseException | None = None
        self.samples: list[tuple[float, float, bool | None]] = []

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self.samples += self._read()
        except BaseException as error:  # told by ``window``, in the caller's thread
            self._error = error

    def window(self, name: str, work: Work, seconds: float) -> Reading:
        self._thread.start()
        deadline = time.monotonic() + _FIRST_S
        while not self.samples and self._error is None and time.monotonic() < deadline:
            time.sleep(0.001)
        begin = time.monotonic()
        counters = work()
        end = time.monotonic()
        self._stop.set()
        self._thread.join(seconds + 10)
        if self._error is not None:
            raise ToolError(f"{name}: {self._error}")
        marked = [w for _, w, marker in self.samples if marker]
        if any(marker is not None for _, _, marker in self.samples):
            edges = np.diff([0, *(int(bool(marker)) for _, _, marker in self.samples), 0])
            if (edges == 1).sum() != 1:
                raise ToolError(
                    f"{name}: the marker rose {(edges == 1).sum()} times in the window, "
                    f"expected once: is it wired?"
                )
            inside = marked
        else:
            # Without a marker, the host's clock: the ends, where the link speaks, are left out.
            middle = (begin + end) / 2
            half = min(seconds, end - begin) / 2 * 0.9
            inside = [w for t, w, _ in self.samples if abs(t - middle) <= half]
        if not inside:
            raise ToolError(f"{name}: no sample within the window")
        return Reading(float(np.mean(inside)), seconds, len(inside), counters)


def _library(module: str, package: str, name: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise ToolError(
            f"--meter {name} needs the package {package}: pip install {package}"
        ) from None


class Ppk2Meter:
    """Nordic PPK2 as an ampere meter; the marker is on its digital input 0.

    Parameters
    ----------
    port : serial port; the first PPK2 that is found, if empty
    supply_v : of what it is put into
    """

    name, label = "ppk2", "measured"

    def __init__(self, port: str, supply_v: float):
        api = _library("ppk2_api.ppk2_api", "ppk2-api", self.name).PPK2_API
        found = [port] if port else [str(p) for p in api.list_devices()]
        if not found:
            raise ToolError("ppk2: no instrument found")
        self._api, self._supply_v = api(found[0]), supply_v
        self._api.get_modifiers()
        self._api.use_ampere_meter()
        self._api.toggle_DUT_power("ON")

    def window(self, work: Work, seconds: float) -> Reading:
        """See ``Meter``."""
        api = self._api

        def read() -> list[tuple[float, float, bool | None]]:
            data = api.get_data()
            if not data:
                time.sleep(0.001)
                return []
            amps, digital = api.get_samples(data)
            marks = api.digital_channels(digital)[0]
            now = time.monotonic()
            return [
                (now, ua * 1e-6 * self._supply_v, bool(mark))
                for ua, mark in zip(amps, marks, strict=False)
            ]

        api.start_measuring()
        try:
            return _Sampler(read).window(self.name, work, seconds)
        finally:
            api.stop_measuring()


class JoulescopeMeter:
    """Joulescope JS110; the marker is on its input 0, in the lowest bit of the current."""

    name, label = "joulescope", "measured"

    def __init__(self) -> None:
        library = _library("joulescope", "joulescope", self.name)
        self._device = library.scan_require_one(config="auto")
        self._device.open()
        self._device.parameter_set("io_voltage", "3.3V")
        self._device.parameter_set("current_lsb", "gpi0")

    def window(self, work: Work, seconds: float) -> Reading:
        """See ``Meter``."""

        def read() -> list[tuple[float, float, bool | None]]:
            data = self._device.read(contiguous_duration=0.1, out_format="samples_get")
            signals = data["signals"]
            amps, volts = signals["current"]["value"], signals["voltage"]["value"]
            marks = signals["current_lsb"]["value"]
            now = time.monotonic()
            return [
                (now, float(a * v), bool(mark))
                for a, v, mark in zip(amps, volts, marks, strict=False)
                if np.isfinite(a * v)
            ]

        return _Sampler(read).window(self.name, work, seconds)


class Ina226Meter:
    """TI INA226 on an I2C bus of this machine; no marker, so the window is the host's.

    Parameters
    ----------
    bus, address : of the chip
    shunt_ohm : what is between its inputs
    """

    name, label = "ina226", "measured"
    _SHUNT, _BUS = 1, 2  # registers
    _SHUNT_V, _BUS_V = 2.5e-6, 1.25e-3  # of one step

    def __init__(self, bus: int, address: int, shunt_ohm: float):
        self._bus = _library("smbus2", "smbus2", self.name).SMBus(bus)
        self._address, self._shunt_ohm = address, shunt_ohm

    def _register(self, number: int) -> int:
        high, low = self._bus.read_i2c_block_data(self._address, number, 2)
        return int.from_bytes(bytes((high, low)), "big", signed=number == self._SHUNT)

    def window(self, work: Work, seconds: float) -> Reading:
        """See ``Meter``."""

        def read() -> list[tuple[float, float, bool | None]]:
            volts = self._register(self._BUS) * self._BUS_V
            amps = self._register(self._SHUNT) * self._SHUNT_V / self._shunt_ohm
            time.sleep(0.0002)  # it converts for longer
            return [(time.monotonic(), volts * amps, None)]

        return _Sampler(read).window(self.name, work, seconds)


def open_meter(text: str, power_w: Callable[[Counters], float]) -> Meter:
    """A meter by its name and options: ``simulated``, ``simulated:SEED``, ``ppk2:PORT:VOLTS``,
    ``joulescope``, ``ina226:BUS:ADDRESS:OHM``.

    Parameters
    ----------
    power_w : what the simulated meter shows

    Raises
    ------
    ValueError : no such meter, or options that it does not have
    ToolError : its package or the instrument is missing
    """
    name, *options = text.split(":")
    try:
        match name, options:
            case "simulated", []:
                return SimulatedMeter(power_w)
            case "simulated", [seed]:
                return SimulatedMeter(power_w, seed=int(seed))
            case "ppk2", [port, volts]:
                return Ppk2Meter(port, float(volts))
            case "joulescope", []:
                return JoulescopeMeter()
            case "ina226", [bus, address, ohm]:
                return Ina226Meter(int(bus), int(address, 0), float(ohm))
    except ValueError:
        pass
    raise ValueError(
        "meter must be simulated[:SEED], ppk2:PORT:VOLTS, joulescope or ina226:BUS:ADDRESS:OHM, "
        f"not {text!r}"
    )
