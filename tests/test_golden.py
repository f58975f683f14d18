"""Golden vectors through a board, and how new ones are made."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Run

from fmzip.errors import FmzipError, MismatchError
from fmzip.experiments import golden
from fmzip.format import Coder

GIVEN = golden.vectors()


class FakeDevice:
    """A board that is the reference, without the coder RANS if need be; ``wrong`` damages it."""

    wrong = ""
    rans = True
    tier = "simulated"

    def __init__(self, port: str):
        self._by_config = {case.config: case for case in GIVEN}

    def __enter__(self) -> "FakeDevice":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def check(self, config: Any) -> None:
        if not self.rans and config.coder == Coder.RANS:
            raise ValueError("no rans")
        if config.tile_blocks > 15:
            raise ValueError("too large")

    def encode(self, values: Any, config: Any, *, coding: Any) -> int:
        case = self._by_config[config]
        assert coding == case.coding
        self._frame = case.frame
        return len(self._frame)

    def read_memory(self, address: int, size: int) -> bytes:
        last = self._frame[-1] ^ (self.wrong == "frame")
        return self._frame[:-1] + bytes((last,))

    def decode(self, config: Any, *, tables: Any) -> Any:
        case = self._by_config[config]
        assert (tables is None) == (case.coding is None)
        return case.decoded ^ (self.wrong == "values")


def test_vectors_of_all_versions_are_compared_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(golden, "Device", FakeDevice)
    found = golden.check("fake:")
    assert {*found.vectors, *found.skipped} == {case.name for case in GIVEN}
    assert {name.split("/")[0] for name in found.vectors} >= {"v1", "v2"}
    assert set(found.skipped.values()) == {"too large"}
    assert found.frame_bytes == sum(len(c.frame) for c in GIVEN if c.name in found.vectors)


def test_a_board_without_the_coder_leaves_its_vectors_out_and_says_so(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(golden, "Device", FakeDevice)
    monkeypatch.setattr(FakeDevice, "rans", False)
    code, out, _ = run("golden", "check", "--port", "fake:")
    assert code == 0
    lines = out.splitlines()
    rans = [case.name for case in GIVEN if case.config.coder == Coder.RANS]
    assert [f"{name}: not on this board: no rans" for name in rans] == [
        line for line in lines if line.endswith("no rans")
    ]
    assert lines[-1].endswith("(simulated)")


@pytest.mark.parametrize("wrong", ["frame", "values"])
def test_a_vector_that_is_not_met_is_named(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    monkeypatch.setattr(golden, "Device", FakeDevice)
    monkeypatch.setattr(FakeDevice, "wrong", wrong)
    first = next(case.name for case in GIVEN if case.config.tile_blocks <= 15)
    with pytest.raises(MismatchError, match=f"^{first}: "):
        golden.check("fake:")


def test_without_a_checkout_there_are_no_vectors(tmp_path: Path) -> None:
    with pytest.raises(FmzipError, match="no golden vectors; they are in a checkout"):
        golden.check("fake:", tmp_path)
    with pytest.raises(FmzipError, match="missing; golden vectors are made in a checkout"):
        golden.make("v9", tmp_path)


def test_a_new_version_is_written_whole_and_codes_as_the_old_ones(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    shutil.copy(golden.ROOT / "tests" / "make_golden.py", tmp_path / "tests")
    written = golden.make("v9", tmp_path)
    folder = tmp_path / "tests" / "golden"
    assert written == sorted(str(p.relative_to(tmp_path)) for p in folder.rglob("*.json"))
    assert [path.name for path in folder.iterdir()] == ["v9"]
    old = {
        case.name.replace("v1/", "").replace("v2/", "rans_"): case.to_json()
        for case in GIVEN
        if case.name.startswith(("v1/", "v2/"))
    }
    new = {case.name.removeprefix("v9/"): case.to_json() for case in golden.vectors(folder)}
    assert len(old) == len(new)
    for name, case in old.items():
        assert case | {"name": ""} == new[name] | {"name": ""}, name


def test_a_version_that_is_there_is_refused_and_stays_as_it_is(run: Run) -> None:
    before = {path: path.read_bytes() for path in golden.FOLDER.rglob("*") if path.is_file()}
    code, out, err = run("golden", "make", "v1")
    assert (code, out) == (1, "")
    assert err.splitlines()[-1].endswith(
        "v1: exists, and golden vectors are never changed; name a new one"
    )
    assert len(err.splitlines()) == 1
    assert before == {p: p.read_bytes() for p in golden.FOLDER.rglob("*") if p.is_file()}
    assert json.loads((golden.FOLDER / "v1" / "raw_tiles.json").read_text())


def test_a_name_that_is_no_version_is_refused(run: Run) -> None:
    for name in ("3", "v0", "vx", "../v3"):
        code, out, err = run("golden", "make", name)
        assert (code, out) == (1, "")
        assert "a version is v and a number, such as v3" in err
