"""The command ``fmzip energy``."""

import sys
from pathlib import Path

import pytest

from fmzip import cli
from fmzip.energy import activity_of_trace, load, names, per_bit_names


def call(monkeypatch: pytest.MonkeyPatch, *args: object) -> int:
    monkeypatch.setattr(sys, "argv", ["fmzip", "energy", *map(str, args)])
    try:
        cli.main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def test_it_shows_every_memory_and_says_that_it_is_modelled(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch) == 0
    shown = capsys.readouterr().out
    for name in [*names(), *per_bit_names()]:
        assert name in shown
    assert "modelled" in shown


def test_it_writes_files_for_other_tools(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    table, trace = tmp_path / "ert.yaml", tmp_path / "traffic.trace"
    part = "MT41K256M16-125"
    arguments = "--write", 5000, "--read", 7000, "--part", part.lower()
    assert call(monkeypatch, *arguments, "--accelergy", table, "--trace", trace) == 0
    assert f"system.{part}" in table.read_text()
    activity = activity_of_trace(load(part), trace.read_text().splitlines())
    assert (activity.wr, activity.rd) == (313, 438)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--part", "DDR9"), "no DRAM part 'DDR9'"),
        (("--trace", "missing/t"), "missing/t: not a file in an existing directory"),
        (("--accelergy", "."), ".: not a file in an existing directory"),
    ],
)
def test_a_mistake_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    arguments: tuple[str, str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(monkeypatch, *arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"fmzip: error: {message}")
    assert error.count("\n") == 1
