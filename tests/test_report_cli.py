"""``fmzip report`` and ``fmzip compare``: what they write, say and refuse."""

import errno
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import Run
from tests.report_sample import sample

from fmzip import files


@pytest.fixture
def result(tmp_path: Path) -> Path:
    path = tmp_path / "r.json"
    layers = [("stem", (8, 6, 6), 1), ("block.relu", (16, 3, 3), 2)]
    codecs = {"dctcm": ("codec", 3.0, 0.3), "zvc": ("lossless", 5.4, None)}
    path.write_text(json.dumps(sample(codecs, layers=layers)))
    return path


def fails(result: tuple[int, str, str], says: str) -> None:
    code, out, err = result
    assert code == 1
    assert out == ""
    assert err.startswith("fmzip: error: ")
    assert err.count("\n") == 1
    assert says in err


def test_report_writes_a_page_and_plots(run: Run, result: Path, tmp_path: Path) -> None:
    page, plots = tmp_path / "r.html", tmp_path / "plots"
    maps = []
    for name in ("before.npy", "after.npy"):
        maps.append(tmp_path / name)
        np.save(maps[-1], np.arange(4 * 5 * 6, dtype=np.uint8).reshape(4, 5, 6))
    code, out, err = run("report", result, "--html", page, "--plots", plots, "--map", *maps)
    assert (code, err) == (0, "")
    assert f"{page}: written" in out
    assert "before, after: the channels that vary most" in page.read_text()
    assert {path.name for path in plots.iterdir()} == {
        f"{name}{ending}"
        for name in ("pareto", "layers", "energy", "map1")
        for ending in (".png", ".svg")
    }
    before = page.read_bytes()
    run("report", result, "--html", page, "--map", *maps)
    assert page.read_bytes() == before


def test_report_without_anything_to_write_is_a_usage_error(run: Run, result: Path) -> None:
    code, _, err = run("report", result)
    assert code == 2
    assert "--html" in err


def test_report_says_in_one_line_what_is_wrong(run: Run, result: Path, tmp_path: Path) -> None:
    page = tmp_path / "r.html"
    other = tmp_path / "other.json"
    fails(run("report", other, "--html", page), "other.json: No such file")
    other.write_text("{}")
    fails(run("report", other, "--html", page), "other.json: is not a result of fmzip measure")
    other.write_text('{"bits": ')
    fails(run("report", other, "--html", page), "other.json: is not JSON")
    fails(run("report", result, "--html", result), "is the input itself")
    fails(run("report", result, "--html", tmp_path / "no" / "r.html"), "not a file in an existing")
    fails(run("report", result, "--plots", other), "not a directory")
    fails(run("report", result, "--html", page, "--map", other, other), "not a .npy file")
    for k, size in enumerate((4, 5)):
        np.save(tmp_path / f"{k}.npy", np.zeros((2, 3, size), np.uint8))
    maps = tmp_path / "0.npy", tmp_path / "1.npy"
    fails(run("report", result, "--html", page, "--map", *maps), "before and after differ")
    assert not page.exists()


def test_a_full_disk_is_one_line_and_leaves_the_old_page(
    run: Run, result: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "r.html"
    page.write_text("old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "fsync", full)
    fails(run("report", result, "--html", page), "r.html: No space left on device")
    assert page.read_text() == "old"
    assert {path.name for path in tmp_path.iterdir()} == {"r.json", "r.html"}


def test_without_the_extra_report_names_what_to_install(
    run: Run, result: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("fmzip.report.plots")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for option in ("--html", "--plots"):
        fails(run("report", result, option, tmp_path / "new"), "pip install 'fmzip[report]'")
    assert run("compare", result, result)[0] == 0


def test_compare_shows_differences_and_what_changed(run: Run, result: Path, tmp_path: Path) -> None:
    found = json.loads(result.read_text())
    found["codecs"]["dctcm"]["bits_per_value"] = 2.0
    found["codecs"]["[bold]new"] = found["codecs"].pop("zvc")
    found["manifest"]["commit"] = "abcdef0"
    other = tmp_path / "b.json"
    other.write_text(json.dumps(found))
    code, out, err = run("compare", result, other)
    assert (code, err) == (0, "")
    line = next(line for line in out.splitlines() if "dctcm" in line)
    assert "2.000" in line
    assert "\N{MINUS SIGN}0.963" in line
    assert "[bold]new" in out
    assert "abcdef0" in out
    code, out, err = run("compare", result, result)
    assert (code, err) == (0, "")
    assert "settings that differ" not in out


def test_compare_says_in_one_line_what_is_wrong(run: Run, result: Path, tmp_path: Path) -> None:
    other = tmp_path / "b.json"
    fails(run("compare", result, other), "b.json: No such file")
    other.write_text("[]")
    fails(run("compare", other, result), "b.json: is not a result of fmzip measure")
