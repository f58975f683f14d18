"""The driver's port on the virtual board: a line with faults, boards that fall silent, Ctrl-C."""

import os
import random
import signal
import threading
import time
from collections.abc import Iterator

import pytest
import serial
from tests.board_bench import Checker, case_of

from fmzip import port as transport
from fmzip import regs
from fmzip.device import Device
from fmzip.errors import LinkError
from fmzip.format import Coder, FrameConfig
from fmzip.packets import cobs_decode
from fmzip.port import Port
from fmzip.protocol import Op

pytestmark = pytest.mark.xdist_group("vboard")

CASE = case_of(
    FrameConfig(24, 12, 17, tile_rows=3, tile_cols=7, coder=Coder.BITMAP, zero_bitmap=True), "mixed"
)


@pytest.fixture
def device() -> Iterator[Device]:
    with Device() as board:
        yield board


class Faulty:
    """A port whose bytes are flipped, dropped and doubled now and then, both ways."""

    def __init__(self, real: object, seed: int, every: int):
        self._real, self._generator, self._every = real, random.Random(seed), every
        self.faults = 0
        self._left = self._generator.randrange(2 * every)  # bytes until the next one

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)

    def __setattr__(self, name: str, value: object) -> None:
        if name == "timeout":
            setattr(self._real, name, value)
        else:
            super().__setattr__(name, value)

    def _damage(self, data: bytes) -> bytes:
        if len(data) <= self._left:
            self._left -= len(data)
            return data
        self.faults += 1
        place, self._left = self._left, self._generator.randrange(2 * self._every)
        return self._generator.choice([
            data[:place] + bytes((data[place] ^ 0x10,)) + data[place + 1 :],
            data[:place] + data[place + 1 :],
            data[:place] + data[max(0, place - 40) :],
        ])  # fmt: skip

    def write(self, data: bytes) -> int:
        return self._real.write(self._damage(data))  # type: ignore[attr-defined]

    def read(self, size: int = 1) -> bytes:
        return self._damage(self._real.read(size))  # type: ignore[attr-defined]


def _pid(device: Device) -> int:
    return device._port.serial._process.pid


# Faults ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_frames_and_counters_are_right_over_a_line_with_faults(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = transport._open
    lines: list[Faulty] = []

    def faulty(port: str) -> Faulty:
        lines.append(Faulty(real(port), seed, 4000))
        return lines[-1]

    monkeypatch.setattr(transport, "_open", faulty)
    with Device() as device:
        checker = Checker(device)
        for base in (0, 64):
            checker.check(CASE, base * regs.ROW_BYTES)
    assert lines[0].faults >= 3


# Boards that fall silent -------------------------------------------------------------------------


def test_a_board_that_falls_silent_is_a_link_error_in_time_and_the_next_command_works(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    Checker(device).check(CASE)
    monkeypatch.setattr(transport, "REPLY_TIMEOUT_S", 0.3)
    device._port._link = None  # so that the next session has this time
    device.counters()
    os.kill(_pid(device), signal.SIGSTOP)
    try:
        for _ in range(2):
            begin = time.monotonic()
            with pytest.raises(LinkError, match=r"^vboard: no answer within 0\.3 s$"):
                device.encode(CASE.values, CASE.config)
            assert 0.3 <= time.monotonic() - begin < 1.0
    finally:
        os.kill(_pid(device), signal.SIGCONT)
    monkeypatch.undo()
    Checker(device).check(CASE)


def test_a_board_that_is_reset_is_a_link_error_and_the_next_command_works(device: Device) -> None:
    Checker(device).check(CASE)
    device._port.serial.power_cycle()
    with pytest.raises(LinkError, match=r"^vboard: the board was reset$"):
        device.counters()
    assert not any(device.counters().values())
    Checker(device).check(CASE)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_a_reset_in_the_middle_of_a_transfer_is_a_link_error_and_the_next_command_works(
    device: Device, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, sent = random.Random(1).randbytes(200_000), 0
    serial = device._port.serial
    real = serial.write

    def write(part: bytes) -> int:
        nonlocal sent
        if sent < share * len(data) <= sent + len(part):
            serial.power_cycle()
        sent += len(part)
        return int(real(part))

    monkeypatch.setattr(serial, "write", write)
    with pytest.raises(LinkError, match=r"^vboard: the board was reset$"):
        device.write_memory(0, data)
    device.write_memory(0, data)
    assert device.read_memory(0, len(data)) == data
    Checker(device).check(CASE)


def test_a_board_that_is_late_is_waited_for_and_nothing_is_done_twice(device: Device) -> None:
    device.counters(clear=True)
    os.kill(_pid(device), signal.SIGSTOP)
    # Later than the host repeats itself, and before it gives up.
    timer = threading.Timer(0.9, os.kill, (_pid(device), signal.SIGCONT))
    timer.start()
    size = device.encode(CASE.values, CASE.config)
    timer.join()
    counted = device.counters()
    assert counted["write_bytes"] == size
    assert counted["codec_bits_in"] == 8 * CASE.config.values


def test_a_call_that_is_interrupted_leaves_a_port_that_works(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = Port._receive, []

    def interrupted(self: Port, until: float) -> bytes:
        calls.append(until)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(self, until)

    monkeypatch.setattr(Port, "_receive", interrupted)
    with pytest.raises(KeyboardInterrupt):
        device.write_memory(0, bytes(100_000))
    monkeypatch.undo()
    Checker(device).check(CASE)


def test_a_user_that_ends_within_a_packet_does_not_harm_the_next_one(device: Device) -> None:
    serial = device._port.serial
    device._port._link = None
    for part in (b"\x07", b"\x05\x01\x02\x03", bytes(range(1, 200)), b"\0\x09\x08"):
        serial.write(part)
        Checker(device).check(CASE)
        device._port._link = None


# Bit by bit --------------------------------------------------------------------------------------


def test_a_frame_goes_through_the_uart_bit_by_bit() -> None:
    with Device("vboard:?serial=1") as device:
        data = random.Random(2).randbytes(3000)
        device.write_memory(4096, data)
        assert device.read_memory(4096, len(data)) == data
        Checker(device).check(CASE)


# Real ports --------------------------------------------------------------------------------------


def test_a_serial_port_is_asked_to_be_quick_and_may_refuse(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[bool] = []

    def mode(self: serial.Serial, low: bool) -> None:
        asked.append(low)
        raise ValueError("Failed to update ASYNC_LOW_LATENCY flag")

    monkeypatch.setattr(serial.Serial, "set_low_latency_mode", mode)
    monkeypatch.setattr(transport, "REPLY_TIMEOUT_S", 0.1)
    ours, theirs = os.openpty()
    try:
        with pytest.raises(LinkError, match=r"no answer within 0\.1 s"):
            Port(os.ttyname(theirs), "terminal")
    finally:
        os.close(ours)
        os.close(theirs)
    assert asked == [True]


# What the board says -----------------------------------------------------------------------------


def _says(monkeypatch: pytest.MonkeyPatch, word: int, value: int) -> None:
    """Boards say something else in one word of their greeting."""
    real = transport.Hello.parse

    def parse(data: bytes) -> transport.Hello:
        changed = bytearray(data)
        changed[4 * word : 4 * word + 4] = value.to_bytes(4, "little")
        return real(bytes(changed))

    monkeypatch.setattr("fmzip.link.Hello.parse", parse)


def test_a_board_with_another_version_of_the_link_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _says(monkeypatch, 0, 9)
    with pytest.raises(LinkError, match="speaks version 9 of the link, this program 2"):
        Device()


def test_another_board_on_the_same_port_is_noticed(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    _says(monkeypatch, 3, device.build ^ 1)
    device._port._link = None
    with pytest.raises(LinkError, match="another board than before, open it anew"):
        device.counters()
    monkeypatch.undo()
    Checker(device).check(CASE)


def test_several_requests_are_on_their_way_at_once(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []
    real = device._port.serial.write

    def write(data: bytes) -> int:
        packets = [cobs_decode(p) for p in data.split(b"\0") if p]
        sent.append(sum(p is not None and p[0] == Op.READ for p in packets))
        return real(data)

    monkeypatch.setattr(device._port.serial, "write", write)
    device.read_memory(0, 16 * 1024)
    assert sent[0] == 16
    assert sum(sent) == 16
