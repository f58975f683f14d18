"""Tables and worked examples of ``docs/format.md``, from ``fmzip.format`` and the reference."""

from collections.abc import Iterable, Sequence

import numpy as np

from fmzip import format as fmt
from fmzip.format import BLOCK, HEAD, Coder, FrameConfig, TileMode
from fmzip.reference import bitpack, dct, encode, parse_head
from fmzip.reference.quantise import dequantise, quantise

_EXAMPLE_STEP = 724

# Two tiles of six pixels, of which the second cannot be compressed.
EXAMPLE = FrameConfig(8, 2, 6, tile_rows=1, tile_cols=6, burst_log2=3, coder=Coder.BITMAP)
EXAMPLE_PIXELS = (
    (
        (40, 38, 36, 33, 30, 28, 27, 26),
        (0, 0, 0, 0, 0, 0, 0, 0),
        (12, 0, 9, 0, 0, 0, 3, 0),
        (14, 14, 14, 14, 14, 14, 14, 14),
        (0, 1, 0, 1, 0, 1, 0, 1),
        (0, 0, 0, 20, 20, 0, 0, 0),
    ),
    (
        (1, 200, 3, 97, 250, 6, 77, 8),
        (91, 0, 11, 212, 13, 0, 159, 16),
        (0, 64, 128, 2, 255, 7, 9, 31),
        (33, 183, 0, 36, 99, 0, 201, 0),
        (0, 0, 171, 5, 88, 230, 1, 48),
        (75, 3, 0, 222, 4, 119, 60, 0),
    ),
)


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    lines += ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    return "\n".join(lines)


def head_fields() -> str:
    rows: list[tuple[object, ...]] = [(f.offset, f.size, f"`{f.name}`", f.meaning) for f in HEAD]
    return table(("offset", "bytes", "field", "meaning"), rows)


def limits() -> str:
    return table(
        ("quantity", "limit"),
        (
            ("channels, height, width", "1 to 65535"),
            ("tiles, all raw", f"2^{fmt.INDEX_OFFSET_BITS} = {fmt.PAYLOAD_BURSTS_MAX} bursts"),
            ("burst", "8 to 256 bytes, a power of two"),
            ("step", f"{fmt.STEP_MIN} to {fmt.STEP_MAX}, in units of 2^-7.5 LSB"),
            ("coefficient", "-130560 to 130560 (18 bits)"),
            ("symbol", f"-{fmt.SYMBOL_MAX} to {fmt.SYMBOL_MAX}; an encoder's, -1020 to 1020"),
            ("width of a block", f"0 to {fmt.WIDTH_MAX}"),
            ("blocks of a tile", "none; the gateware's buffers hold "
             f"{fmt.TILE_BLOCKS_MAX} as built by default"),
        ),
    )  # fmt: skip


def transform_matrix() -> str:
    rows = ["  ".join(f"{v:4d}" for v in row) for row in fmt.DCT8]
    return "```\n" + "\n".join(rows) + "\n```"


def quantiser_examples() -> str:
    rows = []
    for step, coefficients in (
        (_EXAMPLE_STEP, (0, 361, 362, 363, -361, -362, -363, 130_560, -130_560)),
        (fmt.STEP_MIN, (64, -64, 192, -192, 130_560, -130_560)),
        (fmt.STEP_MAX, (32_767, 32_768, -32_768, -32_769, 130_560, -130_560)),
    ):
        y = np.array(coefficients, np.int32)
        symbols = quantise(y, step)
        back = dequantise(symbols, step)
        rows += [
            (step, fmt.multiplier(step), *row)
            for row in zip(y.tolist(), symbols.tolist(), back.tolist(), strict=True)
        ]
    return table(("step", "multiplier", "coefficient y", "symbol s", "c"), rows)


def packing_example() -> str:
    symbols = np.array([[9, -3, 0, 1, 0, 0, -1, 0]], np.int16).T
    rows = []
    for coder in fmt.BLOCK_CODERS:
        for unipolar in (True, False):
            packing = bitpack.Packing(coder, 0xFF, unipolar)
            code, present, widths = bitpack.codes(symbols, packing)
            width = int(widths[0])
            low, _ = bitpack.join(code, present, widths)
            bits = int(present.sum()) * width
            flags = "".join(str(int(p)) for p in present[::-1, 0])
            fields = [
                format(int(c) & (1 << width) - 1, f"0{width}b")
                for c, there in zip(code[:, 0], present[:, 0], strict=True)
                if there
            ]
            rows.append((
                coder.name.lower(),
                "yes" if unipolar else "no",
                width,
                f"`{flags}`" if coder == Coder.BITMAP else "",
                f"`{' '.join(reversed(fields))}`",
                f"`{int(low[0]).to_bytes(-(-bits // 8), 'little').hex(' ')}`",
            ))  # fmt: skip
    given = ", ".join(map(str, symbols[:, 0].tolist()))
    header = ("coder", "unipolar", "width", "flags, 7 to 0", "codes, last to first", "bytes")
    return f"Symbols 0 to 7: {given}\n\n{table(header, rows)}"


def pixel_example() -> str:
    values = example_values()[:, 0, :1].astype(np.int32)
    y = dct.forward(values)
    symbols = quantise(y, EXAMPLE.step)
    c = dequantise(symbols, EXAMPLE.step)
    back = dct.inverse(c)
    names = ("value t", "coefficient y", "symbol s", "c", "value back")
    columns = (values, y, symbols, c, back)
    rows = [(name, *column[:, 0].tolist()) for name, column in zip(names, columns, strict=True)]
    return table(("", *map(str, range(BLOCK))), rows)


def example_values() -> np.ndarray:
    """The map of ``frame_example``: uint8 [C, H, W]."""
    return np.array(EXAMPLE_PIXELS, np.uint8).transpose(2, 0, 1)


class Dump:
    """A frame in hexadecimal, with name and meaning of each part; it begins with the head."""

    def __init__(self, frame: bytes) -> None:
        self._frame = frame
        self._at = 0
        self._lines: list[str] = []
        head = parse_head(frame)
        config = head.config
        for f in HEAD:
            value = int.from_bytes(frame[f.offset : f.offset + f.size], "little")
            large = f.name in ("magic", "tiles_crc", "keep") or (f.name == "tables" and value)
            self.add(f.size, f.name, f"{value:#0{2 + 2 * f.size}x}" if large else str(value))
        for t, mode in enumerate(head.modes if config.index_bytes else ()):
            start = int(head.offsets[t]) // config.burst_bytes
            name = TileMode(mode).name.lower()
            self.add(fmt.INDEX_BYTES, f"index[{t}]", f"{name}, from burst {start}")
        padding = config.head_bytes - fmt.CRC_BYTES - self._at
        if padding:
            self.add(padding, "padding", "")
        checked = config.head_bytes - fmt.CRC_BYTES
        self.add(fmt.CRC_BYTES, "CRC-32", f"of the {checked} bytes before")

    def add(self, size: int, name: str, meaning: str) -> None:
        """The next bytes, at most 8 in a line, the first one with a name and a meaning."""
        notes = f"{name:<18}{meaning}"
        for k in range(self._at, self._at + size, 8):
            data = self._frame[k : min(k + 8, self._at + size)]
            self._lines.append(f"{k:04x}  {data.hex(' '):<23}  {notes}".rstrip())
            notes = ""
        self._at += size

    def __str__(self) -> str:
        return "\n".join(self._lines)


def frame_example() -> str:
    config = EXAMPLE
    frame = encode(example_values(), config)
    head = parse_head(frame)
    dump = Dump(frame)
    for t, mode in enumerate(head.modes):
        size = int(head.offsets[t + 1] - head.offsets[t])
        if mode == TileMode.RAW:
            dump.add(size, f"tile {t}", "the values, pixel by pixel")
            continue
        widths = frame[config.head_bytes + int(head.offsets[t]) :][: fmt.SECTION_BYTES]
        nibbles = [widths[k // 2] >> 4 * (k % 2) & 15 for k in range(config.tile_blocks)]
        dump.add(fmt.SECTION_BYTES, f"tile {t}, widths", ", ".join(map(str, nibbles)))
        dump.add(fmt.SECTION_BYTES, f"tile {t}, bitmaps", "8 flags of each block that has a width")
        dump.add(size - 2 * fmt.SECTION_BYTES, f"tile {t}, values", "the codes that are present")
    pixels = pixel_rows(example_values())
    configuration = (
        f"C = {config.channels}, H = {config.height}, W = {config.width}, uint8, "
        f"tiles of {config.tile_rows} x {config.tile_cols} pixels, burst {config.burst_bytes}, "
        f"bitmap coder, step {config.step}"
    )
    return (
        f"{configuration}. The pixels, channel 0 to {BLOCK - 1}:\n\n```\n{pixels}\n```\n\n"
        f"The frame, {len(frame)} bytes:\n\n```\n{dump}\n```"
    )


def pixel_rows(values: np.ndarray) -> str:
    """A map [C, H, W], a pixel in each line."""
    return "\n".join(
        f"row {r} column {c}: " + " ".join(f"{value:3d}" for value in values[:, r, c])
        for r in range(values.shape[1])
        for c in range(values.shape[2])
    )
