"""The documents: generated parts are up to date, and the worked examples are true."""

import re
from pathlib import Path

import numpy as np
import pytest

from fmzip import docgen
from fmzip.docgen.format_parts import EXAMPLE_PIXELS
from fmzip.docgen.update import fill
from fmzip.errors import FmzipError
from fmzip.format import DCT8, HEAD, TileMode
from fmzip.reference import decode, parse_head

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


def test_the_documented_frame_is_decoded_to_the_documented_pixels() -> None:
    dump = part("frame-example")
    lines = re.findall(r"^([0-9a-f]{4})  ((?:[0-9a-f]{2} ?)+)", dump, re.MULTILINE)
    frame = b""
    for offset, data in lines:
        assert int(offset, 16) == len(frame)
        frame += bytes.fromhex(data)
    head = parse_head(frame)
    assert head.modes.tolist() == [TileMode.CODED, TileMode.RAW]
    pixels = re.findall(r"^row (\d) column (\d):((?: +\d+)+)$", dump, re.MULTILINE)
    values = np.zeros((8, 2, 6), int)
    for row, col, numbers in pixels:
        values[:, int(row), int(col)] = list(map(int, numbers.split()))
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
    for number, path in enumerate(files, 1):
        text = path.read_text(encoding="utf-8")
        assert path.name.startswith(f"{number:04d}-")
        assert text.startswith(f"# {number}. ")
        for section in ("**Context.**", "**Decision.**", "**Consequences.**"):
            assert text.count(section) == 1
        assert len(text.splitlines()) <= 60
