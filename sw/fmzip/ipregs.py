"""The registers of encoder and decoder as drop-in cores with an AXI4-Lite port, as tables.

One definition for gateware, SystemRDL, C header and documents, as ``fmzip.regs`` is for a board.
Addresses are in bytes, accesses are 32-bit words. Standard library only.
"""

import hashlib
from enum import IntEnum

from fmzip.format import (
    HEAD,
    MULTIPLIER_BITS,
    QUANT_SHIFT,
    RANS_FRACTION_BITS,
    RANS_QUANT_SHIFT,
    STATIC_BYTES,
    WEIGHT_BITS,
)
from fmzip.regs import MAX_TILES, WORD_BYTES, Access, Bits, Fault, Register

ADDRESS_BITS = 7  # of the AXI4-Lite port
VERSION = 1


class CoreFault(IntEnum):
    """Why a core gave up a frame, or does not trust it: field ``fault`` of STATUS."""

    NONE = Fault.NONE
    HEAD_DIFFERS = Fault.HEAD_DIFFERS
    HEAD_CRC = Fault.HEAD_CRC
    TILES_CRC = Fault.TILES_CRC
    INDEX = Fault.INDEX
    CONFIG = Fault.CONFIG
    STATES = Fault.STATES
    SHORT = 7  # TLAST came before the end of the frame
    LONG = 8  # the packet went on behind the end of the frame
    KEEP = 9  # a word of the coded packet had some of its bytes only


FAULT_MEANING = {
    CoreFault.NONE: "none",
    CoreFault.HEAD_DIFFERS: "the head in the stream is not the one in `head`; no values",
    CoreFault.HEAD_CRC: "the CRC-32 of the head does not match; no values",
    CoreFault.TILES_CRC: "the CRC-32 of the tiles does not match; the values cannot be trusted",
    CoreFault.INDEX: "the tile index does not ascend to the payload's size; values made up",
    CoreFault.CONFIG: f"more than {MAX_TILES} tiles, a tile that is too large, a side of 0, "
    "another coder, or a tile of several; nothing",
    CoreFault.STATES: "coder rans: the tables are not the frame's, or the tiles are damaged",
    CoreFault.SHORT: "TLAST came before the end of the frame; missing values are made up",
    CoreFault.LONG: "the packet went on behind the end of the frame; the rest was dropped",
    CoreFault.KEEP: "a word had some of its bytes only; TKEEP must be all ones or all zeros",
}


def _registers() -> tuple[Register, ...]:
    table: list[Register] = []

    def add(name: str, words: int, access: Access, meaning: str, *fields: Bits) -> None:
        address = table[-1].address + WORD_BYTES * table[-1].words if table else 0
        table.append(Register(name, address, words, access, meaning, fields))

    add("ident", 1, Access.READ, "digest of this map: a driver refuses another one")
    add(
        "build",
        1,
        Access.READ,
        "how the core was built",
        Bits("lanes", 0, 7, "values per beat: 2, 4 or 8"),
        Bits("rans", 7, 1, "1: coder rans; 0: coders width and bitmap"),
        Bits("decoder", 8, 1, "1: a decoder; 0: an encoder"),
        Bits("version", 16, 8, "of this map"),
    )
    add(
        "control",
        1,
        Access.STROBE,
        "commands; reads as 0",
        Bits("start", 0, 1, "begin a frame; refused while one is in work"),
        Bits("tile", 1, 1, "decoder: begin one tile without a head, which a packet holds"),
        Bits("raw", 2, 1, "with tile: it is raw, as bit 30 of its entry in the index says"),
        Bits("abort", 3, 1, "give up the frame in work; both streams' other ends must be reset"),
        Bits("ack", 4, 1, "clear done, and with it the interrupt"),
        Bits("tables", 5, 1, "coder rans: the next write to tables has the first bytes"),
    )
    add(
        "status",
        1,
        Access.READ,
        "what is going on",
        Bits("busy", 0, 1, "a frame is in work"),
        Bits("done", 1, 1, "a frame has ended since the last ack or start"),
        Bits("tables", 2, 1, "coder rans: tables have been loaded, and end with a whole statistic"),
        Bits("fault", 8, 8, "0, or what was wrong with the frame"),
    )
    add(
        "interrupt",
        1,
        Access.WRITE,
        "the output irq",
        Bits("enable", 0, 1, "irq is high while done is"),
    )
    add("frame_bytes", 1, Access.READ, "encoder: size of the frame that was coded last")
    add("head_bytes", 1, Access.READ, "size of the head of a frame with this configuration")
    add(
        "multiplier",
        1,
        Access.WRITE,
        f"encoder: round(2^{QUANT_SHIFT} / step), {MULTIPLIER_BITS} bits; coder rans: "
        f"round(2^{RANS_QUANT_SHIFT} / step), with wht4 half of it",
    )
    add("head", STATIC_BYTES // WORD_BYTES, Access.WRITE, "static part of the frame's head")
    add(
        "diffusion",
        1,
        Access.WRITE,
        "encoder, coder rans: how it rounds",
        Bits("rounding", 0, RANS_FRACTION_BITS, "in 1/256 of a step; 128 is to the nearest"),
        Bits("left", 8, WEIGHT_BITS, "weight of the error to the left, in 1/16"),
        Bits("above", 12, WEIGHT_BITS, "of that above"),
        Bits("corner", 16, WEIGHT_BITS, "of that above to the left, which is subtracted"),
    )
    add("tables", 1, Access.WRITE, "coder rans: the next four bytes of the tables; reads as 0")
    return tuple(table)


CORE_MAP = _registers()
CORE_REGISTER = {r.name: r for r in CORE_MAP}
assert CORE_MAP[-1].address + WORD_BYTES * CORE_MAP[-1].words <= 1 << ADDRESS_BITS
# What a frame depends on: writes to these are refused while one is in work.
CONFIGURATION = ("multiplier", "head", "diffusion", "tables")


def core_bits(register: str, name: str) -> Bits:
    """Field ``name`` of a register; KeyError if there is none."""
    return {f.name: f for f in CORE_REGISTER[register].fields}[name]


def core_ident() -> int:
    """32-bit digest of the map."""
    table = [
        (r.name, r.address, r.words, r.access.value, [(f.name, f.low, f.size) for f in r.fields])
        for r in CORE_MAP
    ]
    known = (VERSION, table, [(f.name, f.value) for f in CoreFault], [tuple(f[:3]) for f in HEAD])
    return int.from_bytes(hashlib.sha256(repr(known).encode()).digest()[:4], "little")
