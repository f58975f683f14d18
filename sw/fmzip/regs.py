"""The address map of the board as tables: one definition for gateware, driver and documents.

Addresses are in bytes, accesses are 32-bit words, little-endian. Standard library only.
``ident`` is a digest of these tables and of the frame format: a board tells it in its greeting, and
a driver refuses one whose tables differ from its own. ``docs/registers.md`` is generated from here
(``make docs``).
"""

import hashlib
from enum import Enum, IntEnum
from typing import NamedTuple

from fmzip import format as fmt
from fmzip import protocol
from fmzip.format import HEAD, MULTIPLIER_BITS, QUANT_SHIFT, STATIC_BYTES

WORD_BYTES = 4
# The windows of the address space.
REGISTERS = 0x0000_0000
STAGE = 0x1000_0000  # beats on their way to the encoder or from the decoder
MEMORY = 0x8000_0000  # the DRAM, for checking; these accesses are not counted
WINDOW_BYTES = 0x1000_0000

PORT_BYTES = 8  # width of the memory port
BURST_BYTES = 16  # one column command: burst length 8 on a 16-bit data bus
ROW_BYTES = 1024  # 512 columns of 16 bits: a request stays inside such a row
COUNTER_BITS = 48
MAX_TILES = 1024  # tiles of a frame, the size of the board's index memory


class Access(Enum):
    """What the host may do with a register."""

    READ = "ro"
    WRITE = "rw"
    STROBE = "wo"  # each bit written as 1 does something once; reads as 0


class Bits(NamedTuple):
    """A field of a register, from its lowest bit."""

    name: str
    low: int
    size: int
    meaning: str


class Register(NamedTuple):
    """One or more 32-bit words at consecutive addresses."""

    name: str
    address: int
    words: int
    access: Access
    meaning: str
    fields: tuple[Bits, ...] = ()


class Fault(IntEnum):
    """Why the board gave up a frame: field ``fault`` of STATUS."""

    NONE = 0
    HEAD_DIFFERS = 1  # the static head in memory is not the configured one
    HEAD_CRC = 2
    TILES_CRC = 3
    INDEX = 4  # the tile index does not ascend
    CONFIG = 5  # more tiles than the index memory holds


COUNTERS = (
    ("cycles", "clock cycles in which a frame was in work and not waiting for the host"),
    ("write_requests", "row-burst requests to write, accepted by the memory port"),
    ("read_requests", "row-burst requests to read, accepted by the memory port"),
    ("write_commands", f"DRAM column commands for writing: bursts of {BURST_BYTES} bytes"),
    ("read_commands", f"DRAM column commands for reading: bursts of {BURST_BYTES} bytes"),
    ("write_beats", f"words of {PORT_BYTES} bytes written through the memory port"),
    ("read_beats", f"words of {PORT_BYTES} bytes read through the memory port"),
    ("write_bytes", "useful bytes written"),
    ("read_bytes", "useful bytes read"),
    ("row_switches", f"requests to another row of {ROW_BYTES} bytes than the request before"),
    ("request_stalls", "cycles in which the memory port had a request and the memory was busy"),
    ("write_stalls", "cycles in which a word to write waited for the memory"),
    ("read_stalls", "cycles in which a word that was read waited for the frame reader"),
    ("encoder_beats", "beats that the encoder took"),
    ("encoder_stalls", "cycles in which a beat waited for the encoder"),
    ("decoder_beats", "beats that the decoder put out"),
    ("decoder_stalls", "cycles in which the sink waited for the decoder, behind its first beat"),
    ("codec_bits_in", "bits of the values that the encoder took: 8 per value"),
    ("codec_bits_out", "bits of the words that the encoder put out: tiles with their padding"),
)


def _map() -> tuple[Register, ...]:
    table: list[Register] = []

    def add(name: str, words: int, access: Access, meaning: str, *fields: Bits) -> None:
        address = table[-1].address + WORD_BYTES * table[-1].words if table else REGISTERS
        table.append(Register(name, address, words, access, meaning, fields))

    add(
        "build",
        1,
        Access.READ,
        "how the gateware was built",
        Bits("lanes", 0, 8, "values per beat: 2, 4 or 8"),
        Bits("stage_log2", 8, 8, "log2 of the beats that the stage holds"),
        Bits("memory_log2", 16, 8, "log2 of the memory's size in bytes"),
        Bits("max_blocks_log2", 24, 8, "log2 of the tile buffer's blocks; a tile has up to 15/16"),
    )
    add(
        "control",
        1,
        Access.STROBE,
        "commands",
        Bits("reset", 0, 1, "abandon the frame in work and the piece; counters stay"),
        Bits("write", 1, 1, "begin to encode a frame into memory"),
        Bits("read", 2, 1, "begin to decode a frame from memory"),
        Bits("snapshot", 3, 1, "copy all counters, in one cycle, to where they are read"),
        Bits("clear", 4, 1, "set all counters to 0, behind a snapshot in the same access"),
    )
    add(
        "status",
        1,
        Access.READ,
        "what is going on",
        Bits("writing", 0, 1, "a frame is being written; 0 once its last byte is in memory"),
        Bits("reading", 1, 1, "a frame is being read; 0 once its last beat is in the stage"),
        Bits("piece", 2, 1, "beats of the piece are still to be moved"),
        Bits("overflow", 3, 1, "a counter has reached its end; cleared with the counters"),
        Bits("fault", 8, 8, "0, or why the frame in memory was refused, see below"),
    )
    add("base", 1, Access.WRITE, f"address of the frame in memory, a multiple of {ROW_BYTES}")
    add("head", STATIC_BYTES // WORD_BYTES, Access.WRITE, "static part of the frame's head")
    add("multiplier", 1, Access.WRITE, f"round(2**{QUANT_SHIFT} / step), {MULTIPLIER_BITS} bits")
    add(
        "piece",
        1,
        Access.WRITE,
        "a write moves beats between the stage, from its begin, and the codec",
        Bits("beats", 0, 24, "how many"),
        Bits("encode", 31, 1, "1: to the encoder, 0: from the decoder"),
    )
    add("frame_bytes", 1, Access.READ, "size of the frame that was written last")
    for name, meaning in COUNTERS:
        add(name, 2, Access.READ, f"{meaning}; {COUNTER_BITS} bits, low word first, as of snapshot")
    return tuple(table)


MAP = _map()
# What the codec computes with, and how a tile is laid out.
_NUMBERS = (
    "MAGIC", "VERSION", "BLOCK", "SECTION_BYTES", "WIDTH_BITS", "WIDTH_MAX", "DCT8",
    "MULTIPLIER_BITS", "QUANT_SHIFT", "DEQUANT_SHIFT", "DEQUANT_BITS", "INVERSE_SHIFT",
    "OPTION_ZERO_BITMAP", "INDEX_BYTES", "INDEX_OFFSET_BITS", "CRC_BYTES",
    "RANS_STEP_PER_LSB", "RANS_FRACTION_BITS", "RANS_QUANT_SHIFT", "WEIGHT_BITS", "CLASS_STARTS",
    "TOKENS", "STATISTICS_MAX", "TOTAL_BITS", "STATE_SETS", "ESCAPES_MAX", "PRICE_PER_BIT",
    "PRICE_MARGIN",
)  # fmt: skip
_ENUMS = (fmt.Dtype, fmt.Transform, fmt.Coder, fmt.TileMode)
REGISTER = {r.name: r for r in MAP}
MAP_WORDS = (MAP[-1].address - REGISTERS) // WORD_BYTES + MAP[-1].words


def bits(register: str, name: str) -> Bits:
    """Field ``name`` of a register; KeyError if there is none."""
    return {f.name: f for f in REGISTER[register].fields}[name]


def fields_of(register: str, value: int) -> dict[str, int]:
    """The fields of a register's value."""
    return {f.name: value >> f.low & (1 << f.size) - 1 for f in REGISTER[register].fields}


def ident() -> int:
    """32-bit digest of everything that driver and gateware must agree on."""
    windows = (REGISTERS, STAGE, MEMORY, PORT_BYTES, BURST_BYTES, ROW_BYTES, MAX_TILES)
    ops = [(o.name, o.value) for o in protocol.Op]
    link = (protocol.PROTOCOL_VERSION, protocol.MAX_WORDS, protocol.NO_SESSION, ops)
    enums = [(e.__name__, m.name, m.value) for e in _ENUMS for m in e]
    numbers = [(name, getattr(fmt, name)) for name in _NUMBERS]
    faults = [(f.name, f.value) for f in Fault]
    table = [
        (r.name, r.address, r.words, r.access.value, [(f.name, f.low, f.size) for f in r.fields])
        for r in MAP
    ]
    layout = [(f.name, f.offset, f.size) for f in HEAD]
    known = (link, windows, faults, table, layout, enums, numbers)
    return int.from_bytes(hashlib.sha256(repr(known).encode()).digest()[:4], "little")
