"""Limits and worked example of section 11 of ``docs/format.md``, from tables and reference."""

import numpy as np

from fmzip import format as fmt
from fmzip.docgen.format_parts import Dump, pixel_rows, table
from fmzip.format import HUFFMAN_ESCAPE, HUFFMAN_TOKENS, Coder, Dtype, FrameConfig, Transform
from fmzip.projection import Affine, Projection, ProjectionCoding
from fmzip.reference import decode, encode, huffman, project

# Sum and difference of two channels, in steps of 4, and back.
_FORWARD = ((256, 256), (256, -256))
_INVERSE = ((512, 512), (512, -512))
_SHIFTS = 10, 8
_LENGTHS = (
    {0: 3, 1: 3, 2: 3, 4: 3, 6: 3, 8: 3, 35: 3, HUFFMAN_ESCAPE: 3},
    {0: 1, 1: 2, 2: 3, HUFFMAN_ESCAPE: 3},
)
_PIXELS = (((6, 5), (9, 7), (-3, 0)), ((5, 2), (80, 64), (0, 1)))


def projection_limits() -> str:
    largest = 2 ** (fmt.PROJECTION_BITS - 1)
    return table(
        ("quantity", "limit"),
        (
            ("components K", "1 to the number of values of a position"),
            ("entry of a matrix", f"{-largest} to {largest - 1} ({fmt.PROJECTION_BITS} bits)"),
            ("rows, columns of a matrix", f"1 to {fmt.PROJECTION_INPUTS_MAX}"),
            ("shift", f"0 to {fmt.PROJECTION_SHIFT_MAX}"),
            ("value less zero point", "-255 to 255 (9 bits)"),
            ("sum", f"{fmt.SUM_BITS} bits"),
            ("symbol", f"-{fmt.COMPONENT_MAX} to {fmt.COMPONENT_MAX}"),
            ("codebooks", f"1 to {fmt.CODEBOOKS_MAX}"),
            ("tokens of a codebook", f"{HUFFMAN_TOKENS}, the last one of escapes"),
            ("length of a code", f"1 to {fmt.CODE_BITS_MAX}"),
            ("bits of a symbol", f"1 to {fmt.CODE_BITS_MAX + fmt.COMPONENT_BITS}"),
        ),
    )  # fmt: skip


def example_coding() -> ProjectionCoding:
    """A projection of two channels with a codebook for each of its components."""
    forward, inverse = (
        Affine(np.array(matrix), np.full(2, 1 << shift - 1, np.int32), shift)
        for matrix, shift in zip((_FORWARD, _INVERSE), _SHIFTS, strict=True)
    )
    lengths = np.zeros((len(_LENGTHS), HUFFMAN_TOKENS), np.uint8)
    for row, given in zip(lengths, _LENGTHS, strict=True):
        row[list(given)] = list(given.values())
    tables = Projection((inverse,), lengths, np.array([0, 1], np.uint8))
    return ProjectionCoding(tables, (forward,))


def example_config() -> FrameConfig:
    return FrameConfig(
        2, 2, 3, Dtype.INT8, tile_rows=2, tile_cols=3, burst_log2=3,
        transform=Transform.PROJECTION, coder=Coder.HUFFMAN, tables=example_coding().tables.id,
        components=2,
    )  # fmt: skip


def example_values() -> np.ndarray:
    """The map of the example: int8 [C, H, W]."""
    return np.array(_PIXELS, np.int8).transpose(2, 0, 1)


def projection_example() -> str:
    config, coding, values = example_config(), example_coding(), example_values()
    frame = encode(values, config, coding)
    symbols = project.symbols_of(project.columns(values, config, 1), coding.forward)
    codes = huffman.codes_of(coding.tables)
    dump = Dump(frame)
    bits = huffman.size_bits(symbols, codes)
    dump.add(len(frame) - config.head_bytes, "tile 0", f"{bits} bits, then padding")
    back = decode(frame, coding.tables)
    rows = []
    for index, own in enumerate(symbols.tolist()):
        row, col = divmod(index, config.width)
        written = " ".join(_bits(codes, book, s) for book, s in enumerate(own))
        rows.append((
            f"{row}, {col}", *values[:, row, col].tolist(), *own, f"`{written}`",
            *back[:, row, col].tolist(),
        ))  # fmt: skip
    header = ("row, column", "t[0]", "t[1]", "s[0]", "s[1]", "bits, the first one first")
    books = "\n".join(
        f"codebook {k}: " + ", ".join(f"token {t} {n}" for t, n in of.items())
        for k, of in enumerate(_LENGTHS)
    )
    return (
        f"C = {config.channels}, H = {config.height}, W = {config.width}, int8, `projection`, one "
        f"group, one tile, burst {config.burst_bytes}. F = {_matrix(_FORWARD)} with shift "
        f"{_SHIFTS[0]}, D = {_matrix(_INVERSE)} with shift {_SHIFTS[1]}, offsets of half a unit. "
        f"Component k has codebook k; lengths of their codes:\n\n```\n{books}\n```\n\n"
        f"The projection has the CRC-32 that ends in {config.tables:#06x}. The pixels:\n\n"
        f"```\n{pixel_rows(values)}\n```\n\n"
        f"The frame, {len(frame)} bytes:\n\n```\n{dump}\n```\n\n"
        f"Symbols and codes of the positions, and the values that come back:\n\n"
        f"{table((*header, 'value 0', 'value 1'), rows)}"
    )


def _bits(codes: huffman.Codes, book: int, symbol: int) -> str:
    length = int(codes.bits[book, symbol + 128])
    return f"{int(codes.code[book, symbol + 128]):0{length}b}"[::-1]


def _matrix(rows: tuple[tuple[int, ...], ...]) -> str:
    return "((" + "), (".join(", ".join(map(str, row)) for row in rows) + "))"
