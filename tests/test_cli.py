"""The command line: what it does, what it says when it cannot, and what it leaves behind."""

import errno
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import Run

from fmzip import cli, files
from fmzip.codecs import codec_config
from fmzip.format import Coder, Dtype
from fmzip.reference import decode, encode, parse_head


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory with ``map.npy``, a ReLU map, and ``map.fmz``, its frame."""
    rng = np.random.default_rng(0)
    values = np.clip(rng.normal(0, 20, (16, 6, 7)), 0, 255).astype(np.uint8)
    np.save(tmp_path / "map.npy", values)
    config = codec_config("dctcm", values.shape, Dtype.UINT8, 0, 4)
    (tmp_path / "map.fmz").write_bytes(encode(values, config))
    return tmp_path


def fails(result: tuple[int, str, str], *says: str) -> None:
    """It ended with exit code 1 and one line, which says all that it should."""
    code, out, err = result
    assert code == 1
    assert out == ""
    assert err.startswith("fmzip: error: ")
    assert err.count("\n") == 1
    for text in says:
        assert text in err


def names(folder: Path) -> set[str]:
    return {p.name for p in folder.iterdir()}


def test_encode_and_decode_equal_the_reference(run: Run, folder: Path) -> None:
    code, out, err = run("encode", folder / "map.npy", folder / "new.fmz")
    assert (code, err) == (0, "")
    frame = (folder / "new.fmz").read_bytes()
    assert frame == (folder / "map.fmz").read_bytes()
    assert f"{len(frame)} bytes" in out
    code, out, err = run("decode", folder / "new.fmz", folder / "new.npy")
    assert (code, err) == (0, "")
    assert "uint8 16 x 6 x 7" in out
    found = np.load(folder / "new.npy")
    assert found.dtype == np.uint8
    assert (found == decode(frame)).all()
    assert names(folder) == {"map.npy", "map.fmz", "new.fmz", "new.npy"}


def test_options_reach_the_head(run: Run, folder: Path) -> None:
    np.save(folder / "map.npy", np.load(folder / "map.npy").astype(np.int8) - 100)
    code, _, err = run(
        "encode", folder / "map.npy", folder / "new.fmz", "--codec", "dctcm-width",
        "--step", 8, "--coder", "bitmap", "--zero-bitmap", "--keep", "0x0f",
        "--zero-point", -100, "--tile", "2x3", "--burst", 64,
    )  # fmt: skip
    assert (code, err) == (0, "")
    config = parse_head((folder / "new.fmz").read_bytes()).config
    assert (config.step, config.coder, config.zero_bitmap) == (1448, Coder.BITMAP, True)
    assert (config.keep, config.zero_point) == (0x0F, -100)
    assert (config.tile_rows, config.tile_cols, config.burst_bytes) == (2, 3, 64)


def test_info_counts_every_byte(run: Run, folder: Path) -> None:
    code, out, err = run("info", folder / "map.fmz", "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    size = (folder / "map.fmz").stat().st_size
    assert found["head_bytes"] + found["coded_bytes"] + found["raw_bytes"] == size
    assert found["frame_bytes"] == size
    assert found["map_bytes"] == 16 * 6 * 7
    assert found["bits_per_value"] == pytest.approx(8 * size / found["map_bytes"], abs=1e-4)
    assert found["ratio"] == pytest.approx(found["map_bytes"] / size, abs=1e-4)
    assert (found["channels"], found["height"], found["width"]) == (16, 6, 7)
    assert (found["dtype"], found["coder"], found["step_lsb"]) == ("uint8", "bitmap", 3.9996)
    code, out, _ = run("info", folder / "map.fmz")
    assert code == 0
    assert {line.split()[0] for line in out.splitlines()} == set(found)


def test_help_needs_neither_numpy_nor_rich_nor_torch() -> None:
    script = (
        "import sys; sys.argv = ['fmzip', '--help']\n"
        "from fmzip.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print('HEAVY', [m for m in ('numpy', 'rich', 'torch', 'amaranth') if m in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert "encode" in found.stdout
    assert "HEAVY []" in found.stdout


def test_the_installed_script_reports_its_exit_code(folder: Path) -> None:
    script = Path(sys.executable).with_name("fmzip")
    found = subprocess.run(
        [script, "info", folder / "none.fmz"], capture_output=True, text=True, check=False
    )
    assert found.returncode == 1
    assert found.stderr == f"fmzip: error: {folder}/none.fmz: No such file or directory\n"
    assert found.stdout == ""


def test_version_names_program_and_format(run: Run) -> None:
    code, out, _ = run("--version")
    assert code == 0
    assert out.startswith("fmzip ")
    assert "frame format 1" in out


@pytest.mark.parametrize(
    "args",
    [
        ["encode"],
        ["encode", "IN"],
        ["decode", "IN", "OUT", "MORE"],
        ["unknown"],
        ["info", "IN", "--yaml"],
        ["encode", "IN", "OUT", "--step", "large"],
        ["encode", "IN", "OUT", "--codec", "jpeg"],
        ["encode", "IN", "OUT", "--coder", "huffman"],
        ["encode", "IN", "OUT", "--keep", "low"],
        ["encode", "IN", "OUT", "--tile", "2"],
        ["encode", "IN", "OUT", "--tile", "2x"],
        ["encode", "IN", "OUT", "--tile", "-1x3"],
        ["encode", "IN", "OUT", "--burst", "1.5"],
        ["encode", "IN", "OUT", "--zero-point", ""],
    ],
)
def test_usage_errors_exit_with_2(run: Run, folder: Path, args: list[str]) -> None:
    paths = {"IN": folder / "map.npy", "OUT": folder / "out"}
    code, out, err = run(*(paths.get(a, a) for a in args))
    assert code == 2
    assert out == ""
    assert "Usage: fmzip" in err
    assert "Error: " in err
    assert names(folder) == {"map.npy", "map.fmz"}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--step", "0.5"], "step must be 0.707 to 362.03 LSB, not 0.5"),
        (["--step", "nan"], "step must be 0.707 to 362.03 LSB, not nan"),
        (["--step", "-4"], "step must be 0.707 to 362.03 LSB, not -4"),
        (["--keep", "0"], "keep must be 1 to 255, not 0"),
        (["--keep", "256"], "keep must be 1 to 255, not 256"),
        (["--zero-point", "-1"], "zero_point must be 0 to 255, not -1"),
        (["--zero-point", "256"], "zero_point must be 0 to 255, not 256"),
        (["--tile", "7x7"], "tile_rows must be 1 to 6, not 7"),
        (["--tile", "1x0"], "tile_cols must be 1 to 7, not 0"),
        (["--burst", "48"], "burst must be 8, 16, 32, 64, 128, 256 bytes, not 48"),
        (["--burst", "0"], "burst must be 8, 16, 32, 64, 128, 256 bytes, not 0"),
    ],
)
def test_values_out_of_range_are_named_with_the_range(
    run: Run, folder: Path, options: list[str], says: str
) -> None:
    fails(run("encode", folder / "map.npy", folder / "out.fmz", *options), says)
    assert names(folder) == {"map.npy", "map.fmz"}


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.zeros((2, 3, 4)), "values must be uint8 or int8, not float64"),
        (np.zeros((2, 3, 4), np.uint16), "values must be uint8 or int8, not uint16"),
        (np.zeros((2, 3, 4), bool), "values must be uint8 or int8, not bool"),
        (np.zeros((2, 3, 4), "S1"), "values must be uint8 or int8, not |S1"),
        (np.zeros((3, 4), np.uint8), "shape must be [C, H, W], none of them 0, not [3, 4]"),
        (np.zeros((1, 2, 3, 4), np.uint8), "shape must be [C, H, W], none of them 0, not [1, 2"),
        (np.zeros((), np.uint8), "shape must be [C, H, W], none of them 0, not []"),
        (np.zeros((0, 3, 4), np.uint8), "none of them 0, not [0, 3, 4]"),
        (np.zeros((2, 3, 0), np.int8), "none of them 0, not [2, 3, 0]"),
        (np.zeros((65536, 1, 1), np.uint8), "1 to 65535 each, not [65536, 1, 1]"),
    ],
)
def test_an_array_that_is_no_map_is_refused(
    run: Run, folder: Path, array: np.ndarray, says: str
) -> None:
    np.save(folder / "map.npy", array)
    fails(run("encode", folder / "map.npy", folder / "out.fmz"), says)
    assert names(folder) == {"map.npy", "map.fmz"}


def test_maps_in_column_order_and_of_any_npy_version_are_read(run: Run, folder: Path) -> None:
    values = np.load(folder / "map.npy")
    for version in ((1, 0), (2, 0), (3, 0)):
        with (folder / "map.npy").open("wb") as file:
            np.lib.format.write_array(file, np.asfortranarray(values), version)
        assert run("encode", folder / "map.npy", folder / "new.fmz")[0] == 0
        assert (folder / "new.fmz").read_bytes() == (folder / "map.fmz").read_bytes()


def whole(folder: Path) -> bytes:
    return (folder / "map.npy").read_bytes()


def pickled(folder: Path) -> bytes:
    np.save(folder / "map.npy", np.array([{"a": 1}], object), allow_pickle=True)
    return whole(folder)


def archive(folder: Path) -> bytes:
    np.savez(folder / "map.npz", a=np.zeros(3))
    data = (folder / "map.npz").read_bytes()
    (folder / "map.npz").unlink()
    return data


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (lambda _: b"", "not a .npy file of numbers"),
        (lambda _: b"hello", "not a .npy file of numbers"),
        (lambda _: b"\x80\x04K\x01.", "not a .npy file of numbers"),
        (pickled, "not a .npy file of numbers"),
        (archive, "not a .npy file of numbers"),
        (lambda f: (f / "map.fmz").read_bytes(), "not a .npy file of numbers"),
        (lambda f: whole(f)[:7], "not a .npy file of numbers"),
        (lambda f: whole(f)[:50], "not a .npy file of numbers"),
        (lambda f: whole(f)[:-1], "not a .npy file of numbers"),
        (lambda f: whole(f).replace(b"(16, 6, 7)", b"(16, 6, -7"), "not a .npy file of numbers"),
        (lambda f: whole(f).replace(b"'|u1'", b"'|zz'"), "not a .npy file of numbers"),
        (lambda f: whole(f).replace(b"{'descr'", b"print('x'"), "not a .npy file of numbers"),
        (lambda f: whole(f) + b"\0", "bytes follow the array"),
    ],
)
def test_a_file_that_is_no_array_is_refused(
    run: Run, folder: Path, content: Callable[[Path], bytes], says: str
) -> None:
    (folder / "map.npy").write_bytes(content(folder))
    fails(run("encode", folder / "map.npy", folder / "out.fmz"), f"{folder}/map.npy: ", says)
    assert names(folder) == {"map.npy", "map.fmz"}


def test_an_array_with_any_damage_is_coded_or_refused_with_one_line(run: Run, folder: Path) -> None:
    good, rng = whole(folder), random.Random(3)
    for _ in range(300):
        data = bytearray(good)
        for _ in range(rng.choice((1, 2, 5))):
            data[rng.randrange(128)] = rng.choice((rng.randrange(256), *b"(){}',|<>uif1948 \n"))
        (folder / "map.npy").write_bytes(data)
        found = run("encode", folder / "map.npy", folder / "out.fmz")
        if found[0] != 0:
            fails(found)


def test_an_array_header_that_claims_more_than_there_is_is_refused(run: Run, folder: Path) -> None:
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (60000, 60000, 60000), }\n"
    size = len(header).to_bytes(2, "little")
    (folder / "map.npy").write_bytes(b"\x93NUMPY\1\0" + size + header + bytes(100))
    fails(run("encode", folder / "map.npy", folder / "out.fmz"))
    assert names(folder) == {"map.npy", "map.fmz"}


def flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda _: b"", "truncated: 0 bytes"),
        (lambda data: data[:30], "truncated: 30 bytes"),
        (lambda data: data[:-1], "truncated: "),
        (lambda data: data + b"\0", "trailing bytes: "),
        (lambda _: b"\x89PNG\r\n\x1a\n" + bytes(90), "not a fmzip frame"),
        (lambda data: data[:4] + b"\2" + data[5:], "format version 2; this program reads 1"),
        (lambda data: data[:28] + b"\xff" + data[29:], "CRC-32 of the head does not match"),
        (flipped, "CRC-32 of the tiles does not match"),
    ],
)
@pytest.mark.parametrize("command", ["decode", "info"])
def test_a_damaged_frame_is_refused(
    run: Run, folder: Path, command: str, change: Callable[[bytes], bytes], says: str
) -> None:
    path = folder / "map.fmz"
    path.write_bytes(change(path.read_bytes()))
    more = [folder / "out.npy"] if command == "decode" else []
    fails(run(command, path, *more), f"{path}: ", says)
    assert names(folder) == {"map.npy", "map.fmz"}


@pytest.mark.parametrize("command", ["encode", "decode"])
def test_a_missing_input_is_named(run: Run, folder: Path, command: str) -> None:
    fails(run(command, folder / "none", folder / "out"), f"{folder}/none: No such file")
    assert names(folder) == {"map.npy", "map.fmz"}


@pytest.mark.parametrize("command", ["encode", "decode"])
def test_a_directory_in_place_of_a_file_is_named(run: Run, folder: Path, command: str) -> None:
    good = folder / {"encode": "map.npy", "decode": "map.fmz"}[command]
    inner = folder / "inner"
    inner.mkdir()
    fails(run(command, inner, folder / "out"), f"{inner}: Is a directory")
    fails(run(command, good, inner), f"{inner}: is not a regular file")
    fails(run(command, good, folder / "none" / "out"), f"{folder}/none/out: No such file")
    fails(run(command, good, good / "out"), f"{good}/out: Not a directory")
    assert names(folder) == {"map.npy", "map.fmz", "inner"}
    assert names(inner) == set()


@pytest.mark.parametrize("command", ["encode", "decode"])
def test_the_output_must_not_be_the_input(run: Run, folder: Path, command: str) -> None:
    path = folder / {"encode": "map.npy", "decode": "map.fmz"}[command]
    before = path.read_bytes()
    link = folder / "link"
    link.symlink_to(path)
    for target in (path, link, folder / "." / path.name):
        fails(run(command, path, target), "is the input itself")
    assert path.read_bytes() == before


def test_a_directory_without_permission_is_named(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mkstemp(**kwargs: object) -> None:  # root, as which tests may run, could write anywhere
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/somewhere/.fmzip-x.tmp")

    monkeypatch.setattr(files.tempfile, "mkstemp", mkstemp)
    out = folder / "out.fmz"
    fails(run("encode", folder / "map.npy", out), f"fmzip: error: {out}: Permission denied")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EACCES])
def test_a_write_that_fails_leaves_what_was_there(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def fsync(handle: int) -> None:
        raise OSError(code, os.strerror(code))

    out = folder / "out.fmz"
    monkeypatch.setattr(files.os, "fsync", fsync)
    fails(run("encode", folder / "map.npy", out), f"{out}: {os.strerror(code)}")
    assert names(folder) == {"map.npy", "map.fmz"}
    out.write_bytes(b"before")
    fails(run("encode", folder / "map.npy", out), f"{out}: {os.strerror(code)}")
    assert names(folder) == {"map.npy", "map.fmz", "out.fmz"}
    assert out.read_bytes() == b"before"


def test_an_interrupt_exits_with_130_and_leaves_nothing(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fsync(handle: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, "fsync", fsync)
    code, out, _ = run("encode", folder / "map.npy", folder / "out.fmz")
    assert (code, out) == (130, "")
    assert names(folder) == {"map.npy", "map.fmz"}


def test_an_existing_output_is_replaced_with_its_permissions(run: Run, folder: Path) -> None:
    out = folder / "out.fmz"
    out.write_bytes(b"before")
    out.chmod(0o640)
    assert run("encode", folder / "map.npy", out)[0] == 0
    assert out.read_bytes() == (folder / "map.fmz").read_bytes()
    assert out.stat().st_mode & 0o777 == 0o640


def test_a_new_output_has_the_usual_permissions(run: Run, folder: Path) -> None:
    usual = folder / "usual"
    usual.touch()
    assert run("encode", folder / "map.npy", folder / "out.fmz")[0] == 0
    assert (folder / "out.fmz").stat().st_mode == usual.stat().st_mode


def test_a_link_as_output_is_followed(run: Run, folder: Path) -> None:
    link = folder / "link"
    link.symlink_to(folder / "real.fmz")
    assert run("encode", folder / "map.npy", link)[0] == 0
    assert link.is_symlink()
    assert (folder / "real.fmz").read_bytes() == (folder / "map.fmz").read_bytes()


def test_a_device_as_output_is_refused_and_stays_a_device(run: Run, folder: Path) -> None:
    pipe = folder / "pipe"
    os.mkfifo(pipe)
    fails(run("encode", folder / "map.npy", pipe), f"{pipe}: is not a regular file")
    assert pipe.is_fifo()


def test_a_long_file_name_is_written(run: Run, folder: Path) -> None:
    assert run("encode", folder / "map.npy", folder / ("x" * 255))[0] == 0
    fails(run("encode", folder / "map.npy", folder / ("x" * 256)), "File name too long")


def test_a_lack_of_memory_is_one_line(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(path: Path) -> None:
        raise MemoryError("Unable to allocate 1 TiB")

    monkeypatch.setattr(cli.frames, "load_map", no_memory)
    fails(run("encode", folder / "map.npy", folder / "out.fmz"), "not enough memory", "1 TiB")


def test_docs_says_what_is_stale(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("docs", "--check") == (0, "", "")
    monkeypatch.setattr("fmzip.docgen.update", lambda *, write: ["docs/format.md"])
    fails(run("docs", "--check"), "stale, run fmzip docs: docs/format.md")
    assert run("docs") == (0, "docs/format.md: updated\n", "")
