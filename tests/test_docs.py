"""The documents: generated parts are up to date, and the worked examples are true."""

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from fmzip import docgen
from fmzip import format as fmt
from fmzip.docgen.format_parts import EXAMPLE_PIXELS
from fmzip.docgen.update import fill
from fmzip.errors import FmzipError
from fmzip.format import DCT8, HEAD, TileMode
from fmzip.projection import Affine, Projection
from fmzip.reference import decode, parse_head
from fmzip.reference.ransframe import SYMBOLS_PER_BYTE
from fmzip.tables import Tables

FORMAT = docgen.ROOT / "docs" / "format.md"


def part(name: str) -> str:
    text = FORMAT.read_text(encoding="utf-8")
    found = re.search(rf"<!-- generated: {name} -->\n(.*?)<!-- end -->", text, re.DOTALL)
    assert found, name
    return found[1]


def test_generated_parts_are_up_to_date() -> None:
    assert docgen.update(write=False) == [], "run: fmzip docs"


def test_every_part_is_used_and_no_document_has_a_machine_path() -> None:
    text = "".join((docgen.ROOT / name).read_text(encoding="utf-8") for name in docgen.DOCUMENTS)
    for name in docgen.PARTS:
        assert f"<!-- generated: {name} -->" in text
    assert str(docgen.ROOT) not in text


def frame_of(text: str) -> bytes:
    """The bytes of a dump."""
    frame = b""
    lines = re.findall(r"^([0-9a-f]{4})  ((?:[0-9a-f]{2} ?)+)", text, re.MULTILINE)
    for offset, data in lines:
        assert int(offset, 16) == len(frame)
        frame += bytes.fromhex(data)
    return frame


def pixels_of(text: str, shape: tuple[int, int, int]) -> np.ndarray:
    values = np.full(shape, -1)
    pixels = re.findall(r"^row (\d) column (\d):((?: +\d+)+)$", text, re.MULTILINE)
    for row, col, numbers in pixels:
        values[:, int(row), int(col)] = list(map(int, numbers.split()))
    return values


def test_the_documented_frame_is_decoded_to_the_documented_pixels() -> None:
    dump = part("frame-example")
    frame = frame_of(dump)
    head = parse_head(frame)
    assert head.modes.tolist() == [TileMode.CODED, TileMode.RAW]
    values = pixels_of(dump, (8, 2, 6))
    assert values.tolist() == np.array(EXAMPLE_PIXELS).transpose(2, 0, 1).tolist()
    found = decode(frame)
    assert (found[:, 1] == values[:, 1]).all()
    assert 0 < np.abs(found[:, 0] - values[:, 0]).max() <= 4


def test_the_example_names_every_field_of_the_head_where_it_is() -> None:
    dump = part("frame-example")
    for field in HEAD:
        assert re.search(rf"^{field.offset:04x}  [0-9a-f ]+ {field.name} ", dump, re.MULTILINE)


def test_the_matrix_in_the_text_is_the_matrix_of_the_codec() -> None:
    numbers = list(map(int, re.findall(r"-?\d+", part("transform-matrix"))))
    assert numbers == [v for row in DCT8 for v in row]


def test_hand_written_text_stays_and_generated_text_is_replaced() -> None:
    text = "a\n<!-- generated: x -->\nold\nolder\n<!-- end -->\nb\n<!-- end of story -->\n"
    assert fill(text, {"x": lambda: "new\n\nnewer"}) == (
        "a\n<!-- generated: x -->\nnew\n\nnewer\n<!-- end -->\nb\n<!-- end of story -->\n"
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("<!-- generated: y -->\n<!-- end -->", "line 1: no part 'y'; there are x"),
        ("\n<!-- end -->", "line 2: an end without a beginning"),
        ("<!-- generated: x -->\nold", "part 'x' has no end"),
        ("<!-- generated: x -->\n<!-- generated: x -->", "line 2: a part begins inside part 'x'"),
    ],
)
def test_wrong_markers_are_refused(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(says)}$"):
        fill(text, {"x": lambda: "new"})


def test_an_update_writes_only_what_is_stale(tmp_path: Path) -> None:
    for name in docgen.DOCUMENTS:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text((docgen.ROOT / name).read_text(encoding="utf-8"), encoding="utf-8")
    path = tmp_path / "docs/format.md"
    good = path.read_text(encoding="utf-8")
    path.write_text(good.replace("0x465a4d46, the", "0x0, the"), encoding="utf-8")
    assert docgen.update(write=False, root=tmp_path) == ["docs/format.md"]
    assert path.read_text(encoding="utf-8") != good
    assert docgen.update(write=True, root=tmp_path) == ["docs/format.md"]
    assert path.read_text(encoding="utf-8") == good
    assert docgen.update(write=True, root=tmp_path) == []


def test_documents_that_are_missing_are_an_error_of_one_line(tmp_path: Path) -> None:
    with pytest.raises(FmzipError, match="is missing: documents are generated in a checkout"):
        docgen.update(write=False, root=tmp_path)


def test_decisions_are_numbered_short_and_complete() -> None:
    files = sorted((docgen.ROOT / "docs" / "decisions").glob("*.md"))
    assert files
    numbers = [int(path.name[:4]) for path in files]
    assert numbers == sorted(set(numbers))
    for number, path in zip(numbers, files, strict=True):
        text = path.read_text(encoding="utf-8")
        assert path.name.startswith(f"{number:04d}-")
        assert text.startswith(f"# {number}. ")
        for section in ("**Context.**", "**Decision.**", "**Consequences.**"):
            assert text.count(section) == 1
        assert len(text.splitlines()) <= 60


def test_the_documented_frame_of_the_coder_rans_is_decoded_with_the_documented_tables() -> None:
    dump = part("rans-example")
    assert "64 W + 8 N + X is min(W + N + X, 2)" in dump
    contexts = bytes(min(w + n + x, 2) for w in range(8) for n in range(8) for x in range(8))
    rows = re.findall(r"^statistic \d:((?: +\d+){8})$", dump, re.MULTILINE)
    frequencies = b"".join(bytes([*map(int, row.split()), *[0] * 23, 1]) for row in rows)
    tables = Tables(contexts, frequencies)
    frame = frame_of(dump)
    assert parse_head(frame).modes.tolist() == [TileMode.CODED]
    found = decode(frame, tables)
    assert found.tolist() == pixels_of(dump, (8, 4, 8)).tolist()
    # What was traced of lane 0 is what it holds.
    traced = re.findall(r"^\| (\d+) \| \d \| \d \| \d+ \| \d+ \| (\d+) \|", dump, re.MULTILINE)
    lane = found[0].ravel().tolist()
    assert len(traced) > 10
    assert [int(token) for _, token in traced] == lane[: len(traced)]


def test_numbers_in_the_text_of_section_10_are_those_of_the_codec() -> None:
    text = " ".join(FORMAT.read_text(encoding="utf-8").split("## 10. ")[1].split())
    starts = fmt.CLASS_STARTS
    magnitudes = [
        str(a) if b == a + 1 else f"{a}, {b - 1}" if b == a + 2 else f"{a} to {b - 1}"
        for a, b in pairwise(starts)
    ]
    shift = fmt.RANS_QUANT_SHIFT
    for said in (
        f"| m | {' | '.join(magnitudes)} | {starts[-1]} and above |",
        f"a **class** of 0 to {fmt.CLASSES - 1}",
        f"units of 2^-{fmt.RANS_STEP_PER_LSB.bit_length() - 1} LSB, "
        f"{fmt.RANS_STEP_MIN} to {fmt.STEP_MAX}",
        f"R = (2^{shift} + floor(step / 2)) / step rounded down; with wht4, 2^{shift - 1} in place",
        f"v = (Y * R + 2^7) >> {fmt.RANS_FRACTION_BITS} ",
        f"+ {1 << (fmt.WEIGHT_BITS - 1)}) >> {fmt.WEIGHT_BITS})",
        f"weights are 0 to {(1 << fmt.WEIGHT_BITS) - 1}",
        f"takes tiles of up to {fmt.TILE_SLOTS_MAX} slots, with up to {fmt.ROW_SLOTS_MAX} slots in "
        f"a row of positions and {fmt.POSITION_SLOTS_MAX} in a position",
        f"the context is `{fmt.CONTEXTS} k + {fmt.CLASSES**2} W + {fmt.CLASSES} N + X`",
        f"up to {fmt.STATISTICS_MAX} **statistics**",
        f"byte string of `{fmt.CONTEXTS} K + {fmt.TOKENS} T` bytes, T = 1 to {fmt.STATISTICS_MAX}",
        f"the tokens 0 to {fmt.ESCAPE}. They must add up to {1 << fmt.TOTAL_BITS};",
        f"token {fmt.ESCAPE}, and the symbol itself",
        f"number of escapes u16, at most {fmt.ESCAPES_MAX} |",
        f"states min(n, {fmt.STATE_SETS}) x {fmt.BLOCK} states of {fmt.STATE_BYTES} bytes",
        f"There are {fmt.STATE_SETS} **sets** of {fmt.BLOCK} states",
        f"state `x`, {fmt.STATE_MIN} to {(1 << 8 * fmt.STATE_BYTES) - 1}:",
        f"padded to a multiple of {fmt.SECTION_BYTES} bytes",
        f"+ {8 * fmt.PRICE_PER_BIT} for each escape in 1/{fmt.PRICE_PER_BIT} bit",
        f"size = ceil(cost / {8 * fmt.PRICE_PER_BIT}) + "
        f"{fmt.BLOCK * fmt.STATE_BYTES} min(n, {fmt.STATE_SETS}) + 8",
        f"price[f] is `{fmt.PRICE_PER_BIT} ({8 + fmt.PRICE_MARGIN / fmt.PRICE_PER_BIT} - log2 f)`",
        f"the tile has more than {fmt.ESCAPES_MAX} escapes",
        f"at most {SYMBOLS_PER_BYTE} symbols for each byte",
        *(f"| `{t.name.lower()}` | {'2 x 2 pixels' if side == 2 else 'a pixel'} | {fmt.PLANES[t]} |"
          for t, side in fmt.POSITION_SIDE.items() if t in fmt.RANS_TRANSFORMS),
    ):  # fmt: skip
        assert said in text


def test_numbers_in_the_text_of_section_11_are_those_of_the_codec() -> None:
    text = " ".join(FORMAT.read_text(encoding="utf-8").split("## 11. ")[1].split())
    for said in (
        f"`projection` ({fmt.Transform.PROJECTION}) a **position** is a pixel",
        f"`projection4` ({fmt.Transform.PROJECTION4}) it is 2 x 2 pixels",
        f">> n, -{fmt.COMPONENT_MAX}, {fmt.COMPONENT_MAX})",
        f"integers of {fmt.PROJECTION_BITS} bits",
        f"a shift is 0 to {fmt.PROJECTION_SHIFT_MAX}.",
        f"at most {fmt.PROJECTION_INPUTS_MAX} rows and columns",
        f"No sum has more than {fmt.SUM_BITS} bits",
        f"codebooks B u8, 1 to {fmt.CODEBOOKS_MAX}",
        f"the {fmt.HUFFMAN_TOKENS} tokens of each codebook",
        f"0 to {2 * fmt.COMPONENT_MAX}. Numbers below {1 << fmt.HUFFMAN_EXACT_BITS} are",
        f"is token `{1 << fmt.HUFFMAN_EXACT_BITS} + 2 (e - {fmt.HUFFMAN_EXACT_BITS})`",
        f"**escape**: token {fmt.HUFFMAN_ESCAPE}",
        f"followed by u in {fmt.COMPONENT_BITS} bits",
        f"component by component, {fmt.COMPONENT_BITS} bits each",
        f"lengths are at most {fmt.CODE_BITS_MAX}",
    ):
        assert said in text


def test_the_documented_frame_of_the_coder_huffman_is_decoded() -> None:
    dump = part("projection-example")
    matrices = re.search(r"F = \(\((.*?)\)\) with shift 10, D = \(\((.*?)\)\) with shift 8", dump)
    assert matrices is not None
    rows = [[[int(n) for n in r.split(", ")] for r in m.split("), (")] for m in matrices.groups()]
    lengths = np.zeros((2, fmt.HUFFMAN_TOKENS), np.uint8)
    for book, of in re.findall(r"^codebook (\d): (.*)$", dump, re.MULTILINE):
        for token, length in re.findall(r"token (\d+) (\d+)", of):
            lengths[int(book), int(token)] = int(length)
    inverse = Affine(np.array(rows[1]), np.full(2, 128, np.int32), 8)
    tables = Projection((inverse,), lengths, np.array([0, 1], np.uint8))
    frame = frame_of(dump)
    assert parse_head(frame).modes.tolist() == [TileMode.CODED]
    back = re.findall(r"^\| \d, \d \|.*\| (-?\d+) \| (-?\d+) \|$", dump, re.MULTILINE)
    assert len(back) == 6
    assert decode(frame, tables).reshape(2, -1).T.tolist() == [[int(a), int(b)] for a, b in back]
