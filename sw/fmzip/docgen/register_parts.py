"""Generated parts of docs/registers.md."""

from fmzip import protocol, regs


def register_table() -> str:
    """All registers but the counters."""
    lines = ["| address | register | words | access | meaning |", "|---|---|---|---|---|"]
    lines += [
        f"| {r.address:#06x} | `{r.name}` | {r.words} | {r.access.value} | {r.meaning} |"
        for r in regs.MAP
        if r.name not in regs.COUNTER
    ]
    return "\n".join(lines)


def register_fields() -> str:
    """Fields of registers."""
    lines = ["| register | field | bits | meaning |", "|---|---|---|---|"]
    for register in regs.MAP:
        for field in register.fields:
            high = field.low + field.size - 1
            bits = str(field.low) if field.size == 1 else f"{high}:{field.low}"
            lines.append(f"| `{register.name}` | `{field.name}` | {bits} | {field.meaning} |")
    return "\n".join(lines)


def counter_table() -> str:
    """The bandwidth counter."""
    lines = ["| address | counter | counts |", "|---|---|---|"]
    for counter in regs.COUNTERS:
        address = regs.REGISTER[counter.name].address
        lines.append(f"| {address:#06x} | `{counter.name}` | {counter.meaning} |")
    return "\n".join(lines)


def fault_table() -> str:
    """Values of the field ``fault``."""
    meanings = {
        regs.Fault.NONE: "none",
        regs.Fault.HEAD_DIFFERS: "the static head in memory is not the one in `head`",
        regs.Fault.HEAD_CRC: "the CRC-32 of the head does not match",
        regs.Fault.TILES_CRC: "the CRC-32 of the tiles does not match",
        regs.Fault.INDEX: "the tile index does not ascend from 0 to the payload's size",
        regs.Fault.CONFIG: f"more than {regs.MAX_TILES} tiles, or a coder that is not built in",
        regs.Fault.STATES: "coders RANS, HUFFMAN and GF2: what was loaded is not the frame's, or "
        "the tiles are damaged",
    }
    lines = ["| value | name | meaning |", "|---|---|---|"]
    lines += [f"| {f.value} | `{f.name}` | {meanings[f]} |" for f in regs.Fault]
    return "\n".join(lines)


def projection_table() -> str:
    """Memories behind the window of projections, and the fields of their words."""
    kinds = regs.ProjectionKind
    layouts = {
        kinds.CODES: regs.CODE_FIELDS,
        kinds.NODES: regs.NODE_FIELDS,
        kinds.FORWARD_BLOCKS: regs.BLOCK_FIELDS,
        kinds.INVERSE_BLOCKS: regs.BLOCK_FIELDS,
    }
    meanings = {
        "CODES": "code of a token in a book, the first bit in bit 0; `size` with what follows, "
        "`escape`: u follows",
        "NODES": "what the next 4 bits say: a token, or the node that goes on, 0 for neither; bits "
        "used, less 1",
        "BOOKS": "codebook of the component",
        "BASE": "row of entries, each as wide as the multipliers, that the page's begin at",
        "BLOCKS": "first input, inputs and outputs, less 1 each, shift, whether it is the last one",
        "OFFSETS": "offset of the output",
        "ENTRIES": "two entries in 12 bits from bits 0 and 16 on; block by block, input by input, "
        "output by output",
    }
    lines = ["| bits 24 to 27 | memory | index | word | fields, bits |", "|---|---|---|---|---|"]
    for kind, index in regs.PROJECTION_INDEX.items():
        fields = ", ".join(f"`{name}` {size}" for name, size in layouts.get(kind, {}).items())
        lines.append(
            f"| {kind.value} | `{kind.name}` | {index} | {meanings[kind.name.split('_')[-1]]} "
            f"| {fields} |"
        )
    return "\n".join(lines)


def plane_table() -> str:
    """Memories behind the window of planes."""
    meanings = {
        regs.PlaneKind.WEIGHTS: "32 inputs, lowest first; part 0 and 1: those that have the weight "
        "1, 2 and 3: those that have -1",
        regs.PlaneKind.THRESHOLDS: "16 bits; with `xor` the constant",
        regs.PlaneKind.RANGES: "bias in bits 0 to 8, top in bits 16 to 23",
        regs.PlaneKind.RULE: "bit 0: 1 for `xor`",
        regs.PlaneKind.INTEGERS: "two integers in 12 bits from bits 0 and 16 on",
        regs.PlaneKind.OFFSETS: "32 bits",
        regs.PlaneKind.SHIFT: "of all sums",
    }
    lines = ["| bits 24 to 27 | memory | index | word |", "|---|---|---|---|"]
    for kind, index in regs.PLANE_INDEX.items():
        lines.append(f"| {kind.value} | `{kind.name}` | {index} | {meanings[kind]} |")
    return "\n".join(lines)


def replay_table() -> str:
    """Values of the field ``kind``."""
    meanings = {
        regs.Replay.IDLE: "nothing, for `replay_beats` clock cycles",
        regs.Replay.RAW: "the stage's words to memory and back, without the codec",
        regs.Replay.CODED: "through the encoder to memory, and back through the decoder",
        regs.Replay.CODEC: "through the encoder to the decoder, without the memory",
    }
    lines = ["| value | name | a pass moves |", "|---|---|---|"]
    lines += [f"| {k.value} | `{k.name}` | {meanings[k]} |" for k in regs.Replay]
    return "\n".join(lines)


def windows() -> str:
    """The address space."""
    rows = (
        (regs.REGISTERS, "registers", f"{4 * regs.MAP_WORDS} bytes"),
        (regs.STAGE, "stage", "eight bytes per beat, the first `lanes` of which are values"),
        (regs.TABLES, "tables", "coder RANS: the string of the tables, to be written in order"),
        (regs.PROJECTIONS, "projections", "coder HUFFMAN: matrices and codes, see below"),
        (regs.PLANES, "planes", "coder GF2: layers and integers, see below"),
        (regs.MEMORY, "memory", "the DRAM, for checks; pairs of words, the lower one first"),
    )
    lines = ["| address | window | holds |", "|---|---|---|"]
    lines += [f"| {start:#010x} | {name} | {what} |" for start, name, what in rows]
    return "\n".join(lines)


def hello() -> str:
    """What the board says of itself."""
    lines = ["| words | reply to HELLO | meaning |", "|---|---|---|"]
    lines += [f"| {words} | `{name}` | {meaning} |" for name, words, meaning in protocol.HELLO]
    return "\n".join(lines)


def packets() -> str:
    """Numbers of the link's protocol."""
    rows = (
        ("protocol version", protocol.PROTOCOL_VERSION),
        *((f"`{op.name}`", op.value) for op in protocol.Op),
        ("`NO_SESSION`, in place of the op", protocol.NO_SESSION),
        ("`REPLY`, added to the op", f"{protocol.REPLY:#x}"),
        ("bits of `count`, of `tag`", f"{protocol.COUNT_BITS}, {protocol.TAG_BITS}"),
        ("words of one request, at most", protocol.MAX_WORDS),
        ("bytes of a packet on the wire, at most", protocol.max_packet()),
        ("requests without an answer, at most", protocol.MAX_IN_FLIGHT),
    )
    return "\n".join(["| what | value |", "|---|---|", *(f"| {a} | {b} |" for a, b in rows)])
