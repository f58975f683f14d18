"""pyserial's handler of ``vboard:`` URLs: a port whose other end is the compiled system.

vboard://              eight lanes
vboard://?lanes=2      two
vboard://?part=NAME    another SDRAM of ``fmzip.sdram``
vboard://?serial=1     its bytes pass the UART, bit by bit: to check that
vboard://?twophase=1   not specialised, to check the program against: see ``build``
"""

import select
import signal
import socket
import subprocess
import tempfile
import time
from typing import IO
from urllib.parse import parse_qs, urlsplit

from serial.serialutil import (
    PortNotOpenError,
    SerialBase,
    SerialException,
    SerialTimeoutException,
    to_bytes,
)

from fmzip.sdram import PARTS
from fmzip_sim.vboard.build import PART, build

_CLOSE_TIMEOUT_S = 5.0
# On a machine that has more to do.
_SERIAL_PACE = 30.0  # of 10 kB/s
_TWO_PHASE_PACE = 10.0


class Serial(SerialBase):
    """A serial port to a virtual board of its own, which lives until the port is closed.

    The rate is without meaning: bytes pass as fast as the simulation takes them.
    """

    is_open: bool
    tier = "simulated"  # the label of every result that comes through it
    pace = 1.0  # how much longer answers take than over a real line, see ``fmzip.link``

    def open(self) -> None:
        """Build the board if need be, and start it.

        Raises
        ------
        SerialException : the URL has options that are not known
        ToolError : the board cannot be built
        """
        if self.is_open:
            raise SerialException("the port is already open")
        options = _options(self.portstr)
        program = build(
            int(options["lanes"]), part=options["part"], two_phase=options["twophase"] == "1"
        )
        serial = ["--serial"] if options["serial"] == "1" else []
        self.pace = _SERIAL_PACE if serial else 1.0
        if options["twophase"] == "1":
            self.pace *= _TWO_PHASE_PACE
        self._socket, theirs = socket.socketpair()
        self._messages: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `close`)
        with theirs:
            self._process = subprocess.Popen(
                [program, str(theirs.fileno()), "--stats", *serial],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stderr=self._messages,
            )
        self.is_open = True

    def power_cycle(self) -> None:
        """Switch the board off and on again, with its link open."""
        self._process.send_signal(signal.SIGUSR1)

    def close(self) -> None:
        """End the board."""
        if not self.is_open:
            return
        self.is_open = False
        self._socket.close()
        try:
            self._process.wait(_CLOSE_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._messages.seek(0)
        self.last_words = self._messages.read().decode(errors="replace").strip()
        self._messages.close()

    def __del__(self) -> None:
        if getattr(self, "is_open", False):
            self.close()

    @property
    def in_waiting(self) -> int:
        """Bytes that ``read`` would return at once, up to 64 KiB."""
        if not self._readable(0):
            return 0
        return len(self._socket.recv(65536, socket.MSG_PEEK))

    def read(self, size: int = 1) -> bytes:
        """Up to ``size`` bytes, all of them unless the time-out ends the wait."""
        if not self.is_open:
            raise PortNotOpenError
        got = bytearray()
        deadline = None if self.timeout is None else time.monotonic() + self.timeout
        while len(got) < size:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not self._readable(left):
                break
            got += self._receive(size - len(got))
        return bytes(got)

    def write(self, data: bytes) -> int:
        """Send all bytes; SerialTimeoutException if the board does not take them in time."""
        if not self.is_open:
            raise PortNotOpenError
        data = to_bytes(data)
        self._socket.settimeout(self.write_timeout)
        try:
            self._socket.sendall(data)
        except TimeoutError:
            raise SerialTimeoutException("the virtual board takes no bytes") from None
        except OSError:
            raise SerialException(f"the virtual board ended: {self._reason()}") from None
        finally:
            self._socket.settimeout(None)
        return len(data)

    def reset_input_buffer(self) -> None:
        """Drop what has arrived."""
        while self._readable(0):
            self._receive(65536)

    def reset_output_buffer(self) -> None:
        """Nothing to do: what was written is already on its way."""

    def flush(self) -> None:
        """Nothing to do: what was written is already on its way."""

    def fileno(self) -> int:
        """For ``select``."""
        return self._socket.fileno()

    def _receive(self, size: int) -> bytes:
        try:
            data = self._socket.recv(size)
        except ConnectionResetError:  # it ended with bytes that it has not read
            data = b""
        if not data:
            raise SerialException(f"the virtual board ended: {self._reason()}")
        return data

    def _readable(self, timeout: float | None) -> bool:
        return bool(select.select([self._socket], [], [], timeout)[0])

    def _reason(self) -> str:
        try:
            status = self._process.wait(_CLOSE_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return "its link closed"
        self._messages.seek(0)
        text = self._messages.read().decode(errors="replace").strip().splitlines()
        return text[-1] if text else f"status {status}"

    # A line without modem signals and settings: pyserial calls these on every change.
    def _reconfigure_port(self) -> None: ...
    def _update_rts_state(self) -> None: ...
    def _update_dtr_state(self) -> None: ...
    def _update_break_state(self) -> None: ...


_CHOICES = {
    "lanes": ("8", "2", "4"),  # the first is the default
    "part": (PART, *(name for name in PARTS if name != PART)),
    "serial": ("0", "1"),
    "twophase": ("0", "1"),
}


def _options(url: str) -> dict[str, str]:
    given = parse_qs(urlsplit(url).query, keep_blank_values=True)
    options = {}
    for name, choices in _CHOICES.items():
        value = given.pop(name, [choices[0]])[-1]
        if value not in choices:
            known = ", ".join(sorted(choices))
            raise SerialException(f"{name} must be one of {known}, not {value!r}")
        options[name] = value
    if given:
        unknown = next(iter(given))
        raise SerialException(f"vboard: has no option {unknown!r}, only {', '.join(_CHOICES)}")
    return options
