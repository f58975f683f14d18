"""Frames of the reference as files: for the Verilog bench, and for the C test."""

from collections.abc import Iterable
from dataclasses import dataclass

from fmzip.format import BLOCK, FrameConfig, ceil_div, multiplier, rans_multiplier
from fmzip.ipregs import CORE_REGISTER, core_bits, core_ident
from fmzip_sim.ip.frames import Frame, random_frame, raster_beats

# Large first: it is run without pauses, and its cycles are counted.
_SEEDS = {"dctcm": (1, 0, 2, 3, 6, 7, 10), "fmz": (1, 3, 6)}
_END, _WRITE, _UNTIL, _CHECK, _PAUSES = 0, 1, 2, 3, 4
_ALL = 0xFFFF_FFFF


@dataclass(frozen=True)
class Vectors:
    """Files by name, and how many lines those of the Verilog bench have; ``large`` beats of the
    first frame.
    """

    files: dict[str, bytes]
    lines: dict[str, int]
    large: int


def frames_of(codec: str) -> list[Frame]:
    """The frames that an exported core is tried with."""
    return [random_frame(codec, s, large=k == 0) for k, s in enumerate(_SEEDS[codec])]


def vectors(codec: str, lanes: int) -> Vectors:
    """All files for a codec."""
    frames = frames_of(codec)
    hexes = {
        "encoder_program.hex": _program(frames, decoder=False),
        "encoder_in.hex": _beats_in(frames, lanes),
        "encoder_out.hex": _words_out(frames),
        "decoder_program.hex": _program(frames, decoder=True),
        "decoder_in.hex": _words_in(frames),
        "decoder_out.hex": _beats_out(frames, lanes),
    }
    files = {name: "".join(f"{line}\n" for line in text).encode() for name, text in hexes.items()}
    files |= frame_files(frames)
    large = len(raster_beats(frames[0].values, frames[0].config, lanes)) // lanes
    return Vectors(files, {name: len(text) for name, text in hexes.items()}, large)


def frame_files(frames: Iterable[Frame]) -> dict[str, bytes]:
    """Frames, their values, and what the coder rans needs beside them: what the C test reads."""
    files = {}
    for number, frame in enumerate(frames):
        files[f"frame{number}.bin"] = frame.data
        # Raster order, channels last: what the C model takes.
        for what, values in (("values", frame.values), ("decoded", frame.decoded)):
            files[f"frame{number}.{what}"] = values.transpose(1, 2, 0).tobytes()
        if frame.coding is not None:
            files[f"frame{number}.tables"] = frame.coding.tables.to_bytes()
            given = frame.coding.diffusion
            files[f"frame{number}.diffusion"] = bytes(
                (given.rounding, given.left, given.above, given.corner)
            )
    return files


def of_step(config: FrameConfig) -> int:
    """The register ``multiplier``."""
    if config.rans:
        return rans_multiplier(config.step, config.transform)
    return multiplier(config.step)


def _program(frames: Iterable[Frame], *, decoder: bool) -> list[str]:
    """Accesses of the host: op, address, value, mask."""
    lines: list[str] = []

    def add(op: int, register: str = "ident", value: int = 0, mask: int = _ALL, k: int = 0) -> None:
        address = CORE_REGISTER[register].address + 4 * k
        lines.append(f"{op:02x}{address:02x}{value:08x}{mask:08x}")

    def bit(register: str, name: str) -> int:
        return 1 << core_bits(register, name).low

    add(_CHECK, "ident", core_ident())
    for number, frame in enumerate(frames):
        head = frame.config.static_head()
        for k in range(len(head) // 4):
            add(_WRITE, "head", int.from_bytes(head[4 * k : 4 * k + 4], "little"), k=k)
        if not decoder:
            add(_WRITE, "multiplier", of_step(frame.config))
        if frame.coding is not None:
            given = frame.coding.diffusion
            names = ("rounding", "left", "above", "corner")
            value = sum(getattr(given, n) << core_bits("diffusion", n).low for n in names)
            if not decoder:
                add(_WRITE, "diffusion", value)
            add(_WRITE, "control", bit("control", "tables"))
            data = frame.coding.tables.to_bytes()
            for k in range(0, len(data), 4):
                add(_WRITE, "tables", int.from_bytes(data[k : k + 4], "little"))
            whole = bit("status", "tables")
            add(_UNTIL, "status", whole, whole)
        add(_CHECK, "head_bytes", frame.config.head_bytes)
        add(_PAUSES, value=int(number > 0))
        add(_WRITE, "control", bit("control", "start"))
        done, busy = bit("status", "done"), bit("status", "busy")
        fault = 0xFF << core_bits("status", "fault").low
        add(_UNTIL, "status", done, done | busy)
        add(_CHECK, "status", 0, fault)
        if not decoder:
            add(_CHECK, "frame_bytes", len(frame.data))
    add(_END)
    return lines


def _beats_in(frames: Iterable[Frame], lanes: int) -> list[str]:
    lines = []
    for frame in frames:
        data = raster_beats(frame.values, frame.config, lanes, filler=0x5A)
        for k in range(0, len(data), lanes):
            beat = int.from_bytes(data[k : k + lanes], "little")
            last = k + lanes == len(data)
            lines.append(f"{beat | last << 8 * lanes:0{2 * lanes + 1}x}")
    return lines


def _words(data: bytes, flags: int = 0) -> list[str]:
    """Words with their flags: bit 0 in the last one, and those that are given in all."""
    return [
        f"{(k + BLOCK == len(data)) | flags:x}{int.from_bytes(data[k : k + BLOCK], 'little'):016x}"
        for k in range(0, len(data), BLOCK)
    ]


def _words_out(frames: Iterable[Frame]) -> list[str]:
    lines = []
    for frame in frames:
        size = frame.config.head_bytes
        lines += _words(frame.data[size:]) + _words(frame.data[:size], 2)
    return lines


def _words_in(frames: Iterable[Frame]) -> list[str]:
    return [line for frame in frames for line in _words(frame.data)]


def _beats_out(frames: Iterable[Frame], lanes: int) -> list[str]:
    lines = []
    for frame in frames:
        data = raster_beats(frame.decoded, frame.config, lanes)
        channels = frame.config.channels
        per_pixel = ceil_div(channels, lanes)
        beats = len(data) // lanes
        for n in range(beats):
            keep = (1 << min(lanes, channels - n % per_pixel * lanes)) - 1
            word = int.from_bytes(data[n * lanes : (n + 1) * lanes], "little")
            word |= keep << 8 * lanes | (n == beats - 1) << 9 * lanes
            lines.append(f"{word:0{(9 * lanes + 4) // 4}x}")
    return lines
