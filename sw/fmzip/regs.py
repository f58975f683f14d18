"""The address map of the board as tables: one definition for gateware, driver and documents.

Addresses are in bytes, accesses are 32-bit words, little-endian. Standard library only.
``ident`` is a digest of these tables and of the frame format: a board tells it in its greeting, and
a driver refuses one whose tables differ from its own. ``docs/registers.md`` is generated from here
(``make docs``).
"""

import hashlib
from collections.abc import Iterable
from enum import Enum, IntEnum
from typing import NamedTuple

from fmzip import format as fmt
from fmzip import protocol
from fmzip.format import (
    BLOCK,
    HEAD,
    MULTIPLIER_BITS,
    QUANT_SHIFT,
    RANS_FRACTION_BITS,
    RANS_QUANT_SHIFT,
    STATIC_BYTES,
    WEIGHT_BITS,
)

WORD_BYTES = 4
# The windows of the address space.
REGISTERS = 0x0000_0000
STAGE = 0x1000_0000  # beats on their way to the encoder or from the decoder
TABLES = 0x2000_0000  # the tables of the coder RANS
PROJECTIONS = 0x3000_0000  # matrices and codes of the coder HUFFMAN
PLANES = 0x4000_0000  # layers and integers of the coder GF2
MEMORY = 0x8000_0000  # the DRAM, for checking; these accesses are not counted
WINDOW_BYTES = 0x1000_0000

PROJECTION_KIND_SHIFT = 24  # above it, a byte address says which memory, see ProjectionKind

PORT_BYTES = 8  # width of the memory port
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
    CONFIG = 5  # more tiles than the index memory holds, or a coder that is not there
    STATES = 6  # a tile of the coder RANS, HUFFMAN or GF2 did not end as it must


class Replay(IntEnum):
    """What a pass of a replay does: field ``kind`` of REPLAY."""

    IDLE = 0  # nothing
    RAW = 1  # the stage's words to memory, and back, without the codec
    CODED = 2  # through the encoder to memory, and back through the decoder
    CODEC = 3  # through the encoder to the decoder, without the memory


class ProjectionKind(IntEnum):
    """Memories behind the window of projections, by the bits above ``PROJECTION_KIND_SHIFT``."""

    CODES = 1
    NODES = 2
    FORWARD_BOOKS = 3
    INVERSE_BOOKS = 4
    FORWARD_BASE = 8
    FORWARD_BLOCKS = 9
    FORWARD_OFFSETS = 10
    FORWARD_ENTRIES = 11
    INVERSE_BASE = 12
    INVERSE_BLOCKS = 13
    INVERSE_OFFSETS = 14
    INVERSE_ENTRIES = 15


class PlaneKind(IntEnum):
    """Memories behind the window of planes, by the bits above ``PROJECTION_KIND_SHIFT``."""

    WEIGHTS = 1
    THRESHOLDS = 2
    RANGES = 3
    RULE = 4
    INTEGERS = 8
    OFFSETS = 9
    SHIFT = 10


# What an address in words is made of, from the upper bits down.
PROJECTION_INDEX = {
    ProjectionKind.CODES: "page, book 4, token 6",
    ProjectionKind.NODES: "page, book 4, node 5, bits 4",
    ProjectionKind.FORWARD_BOOKS: "page, component",
    ProjectionKind.INVERSE_BOOKS: "page, component",
    ProjectionKind.FORWARD_BASE: "page",
    ProjectionKind.FORWARD_BLOCKS: "page, block 8",
    ProjectionKind.FORWARD_OFFSETS: "page, output",
    ProjectionKind.FORWARD_ENTRIES: "pair of entries",
    ProjectionKind.INVERSE_BASE: "page",
    ProjectionKind.INVERSE_BLOCKS: "page, block 8",
    ProjectionKind.INVERSE_OFFSETS: "page, output",
    ProjectionKind.INVERSE_ENTRIES: "pair of entries",
}
PLANE_INDEX = {
    PlaneKind.WEIGHTS: "eight of stored planes and of values, as one number; plane 3, part 2",
    PlaneKind.THRESHOLDS: "stored plane",
    PlaneKind.RANGES: "value",
    PlaneKind.RULE: "0",
    PlaneKind.INTEGERS: "value and word of stored planes, as one number; pair",
    PlaneKind.OFFSETS: "value",
    PlaneKind.SHIFT: "0",
}
# Fields of a word of kind BLOCKS: what the multipliers do together, one output each.
BLOCK_FIELDS = {"begin": 10, "inputs": 10, "outputs": 6, "shift": 5, "last": 1}  # counts less 1
PROJECTION_BLOCKS = 256  # of a page
PROJECTION_VALUES = 1 << BLOCK_FIELDS["inputs"]  # of a position, at most
# Of a word of kind CODES: the code, its length, bits with all that follows, whether u follows.
CODE_FIELDS = {"code": 15, "length": 4, "size": 5, "escape": 1}
# Of a word of kind NODES: length less 1, token or next node (0: no code), whether it is a token.
NODE_FIELDS = {"length": 2, "payload": 6, "leaf": 1}
NODE_BITS = 4  # that a node looks at
BOOK_NODES = 32  # a book never has more: 45 tokens, codes of 15 bits at most


class Count(Enum):
    """What a counter makes of its events."""

    SUM = "sum"
    MIN = "min"
    MAX = "max"


class Counter(NamedTuple):
    """One entry of the bandwidth counter; ``most`` is the largest amount that one cycle adds."""

    name: str
    meaning: str
    most: int = 1
    kind: Count = Count.SUM


DQ_BITS = 16  # of the SDRAM's bus
LATENCY_MAX = 0xFFFF  # cycles; longer ones are taken for this one
# Ends of the latency histogram's bins, cycles: below 8, below 16, ..., from 512 on.
LATENCY_BINS = tuple(8 << k for k in range(7))


def _counters() -> tuple[Counter, ...]:
    bank, asleep = "and at least one bank open", "CKE low"
    requests = "row-burst requests to {}, accepted by the memory port"
    waited = "cycles in which {} waited for {}"
    bins = (0, *LATENCY_BINS), (*LATENCY_BINS, None)
    return (
        Counter("cycles", "clock cycles that are counted; the marker is high in them"),
        Counter("open_cycles", f"of them, those with CKE high {bank}"),
        Counter("closed_cycles", "those with CKE high and all banks closed; refreshing is so"),
        Counter("open_low_cycles", f"those with {asleep} {bank}: active power-down"),
        Counter("closed_low_cycles", f"those with {asleep} and all banks closed: power-down"),
        Counter("act", "commands ACT"),
        Counter("pre", "banks that were closed, by PRE of one or of all", 4),
        Counter("ref", "commands REF"),
        Counter("rd", f"commands RD: a beat of {DQ_BITS} bits each"),
        Counter("wr", f"commands WR: a beat of {DQ_BITS} bits each"),
        Counter("write_requests", requests.format("write")),
        Counter("read_requests", requests.format("read")),
        Counter("write_bytes", "useful bytes written", PORT_BYTES),
        Counter("read_bytes", "useful bytes read", PORT_BYTES),
        Counter("row_hits", "requests whose row was open"),
        Counter("row_misses", "requests whose bank was closed"),
        Counter("row_conflicts", "requests whose bank had another row open"),
        Counter("row_switches", f"requests to other {ROW_BYTES} bytes than the request before"),
        Counter("turnaround", "cycles in which a write waited only for the bus to turn around"),
        Counter("request_stalls", waited.format("a request", "the memory")),
        Counter("write_stalls", waited.format("a word to write", "the memory")),
        Counter("read_stalls", waited.format("a word that was read", "the frame reader")),
        Counter("encoder_beats", "beats that the encoder took"),
        Counter("encoder_stalls", waited.format("a beat", "the encoder")),
        Counter("decoder_beats", "beats that the decoder put out"),
        Counter("decoder_stalls", waited.format("the sink", "the decoder, behind its first beat")),
        Counter(
            "codec_bits_in", "bits of the values that the encoder took: 8 per value", 8 * BLOCK
        ),
        Counter("codec_bits_out", "bits of the encoder's words, with padding", 8 * PORT_BYTES),
        Counter("dq_write_toggles", "changes of data lines, to a beat that is written", DQ_BITS),
        Counter("dq_read_toggles", "changes of data lines, to a beat that is read", DQ_BITS),
        Counter("dq_write_ones", "ones in beats that are written", DQ_BITS),
        Counter("dq_read_ones", "ones in beats that are read", DQ_BITS),
        Counter("refresh_owed", "refreshes that are owed, summed over the cycles", 15),
        Counter("refresh_owed_max", "the most that were owed at a time", 15, Count.MAX),
        Counter("refresh_late", "cycles in which more were owed than the chip allows"),
        Counter(
            "latency", "cycles from read requests to their first words, summed up", LATENCY_MAX
        ),
        Counter("latency_min", "the shortest of them; 0 for none", LATENCY_MAX, Count.MIN),
        Counter("latency_max", f"the longest, up to {LATENCY_MAX}", LATENCY_MAX, Count.MAX),
        *(
            Counter(
                f"latency_from_{low}",
                f"requests that took {low} cycles or more"
                + (f", but less than {high}" if high else ""),
            )
            for low, high in zip(*bins, strict=True)
        ),
    )


COUNTERS = _counters()
COUNTER = {counter.name: counter for counter in COUNTERS}


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
        Bits("lanes", 0, 7, "values per beat: 2, 4 or 8"),
        Bits("rans", 7, 1, "1: with the coder RANS"),
        Bits("stage_log2", 8, 4, "log2 of the beats that the stage holds"),
        Bits("max_slots_log2", 12, 4, "log2 of the slots of coder RANS's buffers; a tile: 15/16"),
        Bits("memory_log2", 16, 8, "log2 of the memory's size in bytes"),
        Bits("max_blocks_log2", 24, 8, "log2 of the tile buffer's blocks; a tile has up to 15/16"),
    )
    add(
        "projections",
        1,
        Access.READ,
        "how the coders HUFFMAN and GF2 were built",
        Bits("multipliers", 0, 7, "of the engines of HUFFMAN; 0: without that coder"),
        Bits("values_log2", 8, 4, "log2 of the values, and components, of a position"),
        Bits("plane_values_log2", 12, 4, "GF2: of the values of a position; 0: without that coder"),
        Bits("symbols_log2", 16, 5, "log2 of the symbols of its buffer; a tile has up to 15/16"),
        Bits("adders_log2", 21, 3, "GF2: log2 of the integers that its decoder adds up in a cycle"),
        Bits("entries_log2", 24, 5, "log2 of the entries of a direction's matrices"),
        Bits("stored_eights_log2", 29, 3, "GF2: log2 of a position's stored planes, in eights"),
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
        Bits("overflow", 3, 1, "at the snapshot, a counter had reached its end since the clear"),
        Bits("replaying", 4, 1, "passes are being made; the marker is high"),
        Bits("differs", 5, 1, "a pass has put out something else than the first, or was refused"),
        Bits("tables", 6, 1, "tables have been loaded, and end with a whole statistic"),
        Bits("fault", 8, 8, "0, or why the frame in memory was refused, see below"),
    )
    add("base", 1, Access.WRITE, f"address of the frame in memory, a multiple of {ROW_BYTES}")
    add("head", STATIC_BYTES // WORD_BYTES, Access.WRITE, "static part of the frame's head")
    add(
        "multiplier",
        1,
        Access.WRITE,
        f"round(2^{QUANT_SHIFT} / step), {MULTIPLIER_BITS} bits; coder RANS: "
        f"round(2^{RANS_QUANT_SHIFT} / step), with wht4 half of it",
    )
    add(
        "diffusion",
        1,
        Access.WRITE,
        "coder RANS: how the encoder rounds",
        Bits("rounding", 0, RANS_FRACTION_BITS, "in 1/256 of a step; 128 is to the nearest"),
        Bits("left", 8, WEIGHT_BITS, "weight of the error to the left, in 1/16"),
        Bits("above", 12, WEIGHT_BITS, "of that above"),
        Bits("corner", 16, WEIGHT_BITS, "of that above to the left, which is subtracted"),
    )
    add(
        "page",
        1,
        Access.WRITE,
        "coder HUFFMAN: what the next frame is coded with",
        Bits("page", 0, 1, "of the memories behind the window of projections"),
    )
    add(
        "piece",
        1,
        Access.WRITE,
        "a write moves beats between the stage, from its begin, and the codec",
        Bits("beats", 0, 24, "how many"),
        Bits("encode", 31, 1, "1: to the encoder, 0: from the decoder"),
    )
    add("frame_bytes", 1, Access.READ, "size of the frame that was written last")
    add(
        "replay",
        1,
        Access.WRITE,
        "a write begins passes over what is in the stage; see below",
        Bits("passes", 0, 24, "how many"),
        Bits("kind", 24, 3, "what a pass does, see below"),
        Bits("awake", 31, 1, "from then on the memory's CKE stays high"),
    )
    add(
        "replay_beats",
        1,
        Access.WRITE,
        "what a pass moves",
        Bits("beats", 0, 24, "beats; without the codec, whole words; idle, clock cycles"),
    )
    add("replay_done", 1, Access.READ, "passes that were completed")
    add("replay_check", 1, Access.READ, "check sum of what the last pass has put out; see below")
    for counter in COUNTERS:
        meaning = f"{counter.meaning}; {COUNTER_BITS} bits, low word first, as of snapshot"
        add(counter.name, 2, Access.READ, meaning)
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
    "COMPONENT_BITS", "PROJECTION_BITS", "HUFFMAN_EXACT_BITS", "HUFFMAN_TOKENS", "CODE_BITS_MAX",
    "VALUE_PLANES", "THRESHOLD_BITS", "SUM_BITS",
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


def value_of(register: str, given: dict[str, int]) -> int:
    """The value of a register whose fields are ``given``."""
    return sum(value << bits(register, name).low for name, value in given.items())


def replay_check(items: Iterable[int]) -> int:
    """The register ``replay_check`` behind a pass that has put out these beats or 64-bit words."""
    check = 0
    for item in items:
        check = (check << 1 & 0xFFFF_FFFF | check >> 31) ^ (item & 0xFFFF_FFFF) ^ item >> 32
    return check


def ident() -> int:
    """32-bit digest of everything that driver and gateware must agree on."""
    windows = (
        REGISTERS, STAGE, TABLES, PROJECTIONS, PLANES, MEMORY, PROJECTION_KIND_SHIFT, PORT_BYTES,
        ROW_BYTES, MAX_TILES, PROJECTION_BLOCKS, NODE_BITS, BOOK_NODES,
    )  # fmt: skip
    words = [list(layout.items()) for layout in (BLOCK_FIELDS, CODE_FIELDS, NODE_FIELDS)]
    ops = [(o.name, o.value) for o in protocol.Op]
    link = (protocol.PROTOCOL_VERSION, protocol.MAX_WORDS, protocol.NO_SESSION, ops)
    enums = [(e.__name__, m.name, m.value) for e in _ENUMS for m in e]
    numbers = [(name, getattr(fmt, name)) for name in _NUMBERS]
    faults = [(f.name, f.value) for e in (Fault, Replay, ProjectionKind, PlaneKind) for f in e]
    table = [
        (r.name, r.address, r.words, r.access.value, [(f.name, f.low, f.size) for f in r.fields])
        for r in MAP
    ]
    layout = [(f.name, f.offset, f.size) for f in HEAD]
    known = (link, windows, words, faults, table, layout, enums, numbers)
    return int.from_bytes(hashlib.sha256(repr(known).encode()).digest()[:4], "little")
