"""A session with a board over a pyserial port: words to and from its address space."""

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib.metadata import entry_points

import serial

from fmzip.errors import FmzipError, LinkError
from fmzip.link import DEADLINE_S, Link, Lost, Welcome
from fmzip.packets import Hello, check_range
from fmzip.protocol import MAX_WORDS, PROTOCOL_VERSION, Op

BAUD = 3_000_000
REPLY_TIMEOUT_S = DEADLINE_S  # without any answer
_OPEN_TIMEOUT_S = 2.0
_READ_BYTES = 65536  # at once


class Port:
    """An open port with a session on it.

    Parameters
    ----------
    url : a device such as ``/dev/ttyUSB0``, or any pyserial URL
    name : as messages name it

    Members
    -------
    hello : what the board says of itself
    serial : the port itself

    Raises
    ------
    LinkError : no such port, nothing answers, or not in this version of the protocol. After a
        LinkError the next access begins a new session.
    """

    def __init__(self, url: str, name: str):
        self.name = name
        self._link: Link | None = None
        self._answers: dict[int, bytes] = {}  # of reads that are waited for
        self.serial = _open(url)
        self._hello: Hello | None = None
        try:
            self._session()
        except BaseException:
            self.close()
            raise

    @property
    def hello(self) -> Hello:
        """What the board says of itself."""
        assert self._hello is not None  # or there would be no port
        return self._hello

    def close(self) -> None:
        """Close the port."""
        self.serial.close()

    def read(self, address: int, count: int) -> bytes:
        """``count`` words from ``address`` on, as bytes; ValueError if there are no such words."""
        check_range(address, count)
        link = self._session()
        numbers = [
            link.submit(Op.READ, address + 4 * start, min(MAX_WORDS, count - start))
            for start in range(0, count, MAX_WORDS)
        ]
        self._exchange(link)
        return b"".join(self._answers.pop(number) for number in numbers)

    def write(self, address: int, data: bytes, *, wait: bool = True) -> None:
        """Write whole words; ValueError if there are no such words.

        Parameters
        ----------
        wait : until the board has executed it; else the next access that waits does so for this
            one, too, and fails if this one failed
        """
        if len(data) % 4:
            raise ValueError(f"{len(data)} bytes are not whole words")
        check_range(address, len(data) // 4)
        link = self._session()
        for start in range(0, len(data), 4 * MAX_WORDS):
            part = data[start : start + 4 * MAX_WORDS]
            link.submit(Op.WRITE, address + start, len(part) // 4, part)
        self._exchange(link, wait=wait)

    @property
    def pace(self) -> float:
        """How much slower than a board the other end is; a factor on all times."""
        return float(getattr(self.serial, "pace", 1.0))

    def _session(self) -> Link:
        """The session, or a new one if the last one was lost."""
        if self._link is None:
            self._answers.clear()
            with _link_errors(self.name):
                self.serial.reset_input_buffer()
            session = secrets.randbits(32)
            self._exchange(Link(session, time.monotonic(), REPLY_TIMEOUT_S, self.pace))
        assert self._link is not None
        return self._link

    def _exchange(self, link: Link, *, wait: bool = True) -> None:
        """Send what may be sent, and, if it shall ``wait``, until all is answered."""
        self._link = None
        self._send(link)
        while wait and link.busy:
            data = self._receive(link.wake_at)
            for event in link.feed(data, time.monotonic()):
                if isinstance(event, Lost):
                    raise LinkError(f"{self.name}: {event.reason}")
                if isinstance(event, Welcome):
                    self._greet(event.hello)
                elif event.data:
                    self._answers[event.number] = event.data
            self._send(link)
        # Only now: after an error what is on its way belongs to nobody.
        self._link = link

    def _greet(self, hello: Hello) -> None:
        if hello.version != PROTOCOL_VERSION:
            raise LinkError(
                f"{self.name}: the board speaks version {hello.version} of the link, "
                f"this program {PROTOCOL_VERSION}"
            )
        if self._hello is not None and replace(hello, session=self._hello.session) != self._hello:
            raise LinkError(f"{self.name}: another board than before, open it anew")
        self._hello = hello

    def _send(self, link: Link) -> None:
        data = link.send(time.monotonic())
        if data:
            with _link_errors(self.name):
                self.serial.write(data)

    def _receive(self, until: float) -> bytes:
        with _link_errors(self.name):
            self.serial.timeout = max(0.0, until - time.monotonic())
            data = self.serial.read(1)
            if data:
                data += self.serial.read(min(self.serial.in_waiting, _READ_BYTES))
        return bytes(data)


def _open(port: str) -> serial.SerialBase:
    """Open a port; the packages that ``fmzip.ports`` names bring further URL schemes."""
    for point in entry_points(group="fmzip.ports"):
        if point.value not in serial.protocol_handler_packages:
            serial.protocol_handler_packages.append(point.value)
    scheme, colon, rest = port.partition(":")
    known = {point.name for point in entry_points(group="fmzip.ports")}
    # pyserial wants the slashes; without them it takes the URL for the name of a device.
    url = f"{scheme}://{rest.removeprefix('//')}" if colon and scheme in known else port
    with _link_errors(port.rstrip(":")):
        try:
            line = serial.serial_for_url(
                url, baudrate=BAUD, timeout=_OPEN_TIMEOUT_S, write_timeout=REPLY_TIMEOUT_S
            )
        except (FmzipError, OSError, ValueError):
            raise
        except Exception as error:  # what pyserial's handlers make of odd URLs
            raise ValueError(f"not a port: {error}") from None
    # An FTDI chip then hands on short replies after 1 ms, not 16. Not every port knows of this.
    if hasattr(line, "set_low_latency_mode"):
        with suppress(OSError, ValueError, NotImplementedError):
            line.set_low_latency_mode(True)
    return line


@contextmanager
def _link_errors(port: str) -> Iterator[None]:
    """pyserial's errors as LinkErrors of one line."""
    try:
        yield
    except (OSError, ValueError) as error:  # pyserial's own errors are OSErrors
        text = " ".join(str(error).split())
        if isinstance(error, OSError) and error.errno and error.strerror:
            text = os.strerror(error.errno)  # pyserial's own text says it twice
        raise LinkError(text if port in text else f"{port}: {text}") from None
