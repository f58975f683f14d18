"""The command line with codec fmz: tables from maps, frames with tables, and what it refuses."""

import json
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import Run

from fmzip import codecfile
from fmzip.codecfile import CodecFile, LayerCodec
from fmzip.codecs import fmz_config
from fmzip.format import PLANES, Coder, Dtype, Transform
from fmzip.reference import decode, encode, parse_head
from fmzip.tables import Coding, parse_tables


def relu(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.clip(rng.normal(0, 12, (16, 14, 14)), 0, 255).astype(np.uint8)


@pytest.fixture
def folder(run: Run, tmp_path: Path) -> Path:
    """Maps ``0.npy`` to ``2.npy``, and ``bypass.fmzt``, made of the last two."""
    for seed in range(3):
        np.save(tmp_path / f"{seed}.npy", relu(seed))
    made = run("tables", tmp_path / "1.npy", tmp_path / "2.npy", "-o", tmp_path / "bypass.fmzt")
    assert made[0] == 0
    return tmp_path


def fails(result: tuple[int, str, str], says: str) -> None:
    code, out, err = result
    assert (code, out) == (1, "")
    assert err.startswith("fmzip: error: ")
    assert err.count("\n") == 1
    assert says in err


@pytest.mark.parametrize("transform", ["bypass", "nibbles", "wht4"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_maps_become_tables_and_frames_and_come_back(
    run: Run, tmp_path: Path, dtype: type, transform: str
) -> None:
    zero = 0 if dtype == np.uint8 else -100
    for seed in range(3):
        np.save(tmp_path / f"{seed}.npy", (relu(seed).astype(int) + zero).astype(dtype))
    tables = tmp_path / "t.fmzt"
    options = "--transform", transform, "--step", 2, "--zero-point", zero
    code, out, err = run(
        "tables", tmp_path / "1.npy", tmp_path / "2.npy", "-o", tables, *options,
        "--statistics", 8,
    )  # fmt: skip
    assert (code, err) == (0, "")
    kind = Transform[transform.upper()]
    parsed = parse_tables(tables.read_bytes(), PLANES[kind])
    assert parsed.statistics == 8
    assert f"{tables.stat().st_size} bytes, id {parsed.id:#06x}, 8 statistics; " in out
    frame, back = tmp_path / "0.fmz", tmp_path / "back.npy"
    code, out, err = run(
        "encode", tmp_path / "0.npy", frame, "--codec", "fmz", "--tables", tables, *options
    )
    assert (code, err) == (0, "")
    values = np.load(tmp_path / "0.npy")
    config = fmz_config(values.shape, Dtype[values.dtype.name.upper()], zero, 2.0, kind, parsed.id)
    expected = encode(values, config, Coding(parsed))
    assert frame.read_bytes() == expected
    assert len(expected) < 0.7 * values.size
    code, out, err = run("decode", frame, back, "--tables", tables)
    assert (code, err) == (0, "")
    assert (np.load(back) == decode(expected, parsed)).all()


def test_a_step_of_one_lsb_is_lossless(run: Run, folder: Path) -> None:
    frame, back = folder / "0.fmz", folder / "back.npy"
    tables = folder / "bypass.fmzt"
    options = "--codec", "fmz", "--tables", tables, "--step", 1, "--tile", "7x14", "--burst", 8
    assert run("encode", folder / "0.npy", frame, *options)[0] == 0
    assert run("decode", frame, back, "--tables", tables)[0] == 0
    assert (np.load(back) == np.load(folder / "0.npy")).all()
    config = parse_head(frame.read_bytes()).config
    assert (config.coder, config.step) == (Coder.RANS, 64)
    assert (config.tile_rows, config.tile_cols, config.burst_bytes) == (7, 14, 8)


def test_info_says_the_step_in_lsb_and_the_tables(run: Run, folder: Path) -> None:
    options = "--codec", "fmz", "--tables", folder / "bypass.fmzt", "--step", 2.5
    run("encode", folder / "0.npy", folder / "0.fmz", *options)
    code, out, _ = run("info", folder / "0.fmz", "--json")
    found = json.loads(out)
    tables = parse_tables((folder / "bypass.fmzt").read_bytes(), 1)
    assert code == 0
    assert (found["step"], found["step_lsb"]) == (160, 2.5)
    assert (found["coder"], found["transform"]) == ("rans", "bypass")
    assert found["tables"] == f"{tables.id:#06x}"
    run("encode", folder / "0.npy", folder / "0.fmz")
    assert "tables" not in json.loads(run("info", folder / "0.fmz", "--json")[1])


def test_wrong_and_missing_tables_are_an_error_of_one_line(run: Run, folder: Path) -> None:
    values, frame, out = folder / "0.npy", folder / "0.fmz", folder / "out"
    fmz = "--codec", "fmz"
    missing = "tables are needed: give --tables FILE"
    fails(run("encode", values, out, *fmz), missing)
    assert run("encode", values, frame, *fmz, "--tables", folder / "bypass.fmzt")[0] == 0
    fails(run("decode", frame, out), missing)
    fails(run("decode", frame, out, "--tables", folder / "none"), "No such file or directory")
    other = folder / "other.fmzt"
    assert run("tables", values, "-o", other)[0] == 0
    fails(run("decode", frame, out, "--tables", other), "0.fmz: tables have the id 0x")
    wht4 = "--transform", "wht4"
    assert run("tables", values, "-o", other, *wht4)[0] == 0
    fails(run("decode", frame, out, "--tables", other), "other.fmzt: tables: ")
    fails(run("encode", values, out, *fmz, *wht4, "--tables", folder / "bypass.fmzt"),
          "bypass.fmzt: tables: ")  # fmt: skip
    fails(run("decode", frame, out, "--tables", values), "0.npy: tables: ")
    plain = folder / "plain.fmz"
    assert run("encode", values, plain)[0] == 0
    fails(run("decode", plain, out, "--tables", other), "plain.fmz: coder bitmap takes no tables")
    assert not out.exists()


@pytest.mark.parametrize(
    "options",
    [
        ["--tables", "T"],
        ["--transform", "wht4"],
        ["--codec", "fmz", "--coder", "width"],
        ["--codec", "fmz", "--zero-bitmap"],
        ["--codec", "fmz", "--keep", "255"],
        ["--codec", "fmz", "--transform", "dct8"],
    ],
)
def test_options_of_another_codec_are_usage_errors(
    run: Run, folder: Path, options: list[str]
) -> None:
    code, out, err = run("encode", folder / "0.npy", folder / "out", *options)
    assert (code, out) == (2, "")
    assert "Error: " in err
    assert not (folder / "out").exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--step", "0.9"], "step must be 1.000 to 1023.98 LSB, not 0.9"),
        (["--step", "1024"], "step must be 1.000 to 1023.98 LSB, not 1024"),
        (["--burst", "48"], "burst must be 8, 16, 32, 64, 128, 256 bytes, not 48"),
        (["--tile", "15x2"], "tile_rows must be 1 to 14, not 15"),
        (["--zero-point", "256"], "zero_point must be 0 to 255, not 256"),
    ],
)
def test_values_out_of_range_are_named_with_the_range(
    run: Run, folder: Path, options: list[str], says: str
) -> None:
    fmz = "--codec", "fmz", "--tables", folder / "bypass.fmzt"
    fails(run("encode", folder / "0.npy", folder / "out", *fmz, *options), says)


def test_tables_cannot_be_made_of_what_does_not_fit(run: Run, folder: Path) -> None:
    values, out = folder / "0.npy", folder / "out.fmzt"
    fails(run("tables", values, "-o", values), "is the input itself")
    fails(run("tables", values, "-o", folder / "none" / "t"), "not a file in an existing directory")
    fails(run("tables", values, "-o", out, "--step", 0.5), "step must be 1.000 to 1023.98 LSB")
    fails(
        run("tables", values, "-o", out, "--statistics", 33), "statistics must be 1 to 32, not 33"
    )
    np.save(folder / "int8.npy", relu(0).astype(np.int8))
    fails(run("tables", values, folder / "int8.npy", "-o", out), "int8.npy: values are int8, those")
    assert run("tables", "-o", out)[0] == 2
    assert run("tables", values)[0] == 2
    assert not out.exists()


@pytest.fixture
def codec(run: Run, folder: Path) -> Path:
    """A network's codec: two maps of one shape, and one of another, with tables of its own."""
    tables = parse_tables((folder / "bypass.fmzt").read_bytes(), 1)
    assert run("tables", folder / "0.npy", "-o", folder / "c.fmzt")[0] == 0
    others = parse_tables((folder / "c.fmzt").read_bytes(), 1)
    layers = {
        name: LayerCodec(shape, 0.02, 0, Dtype.UINT8, Transform.BYPASS, 64 * step, Coding(of))
        for name, shape, step, of in (
            ("a", (16, 14, 14), 1, tables), ("b", (16, 14, 14), 3, tables),
            ("c", (8, 7, 7), 2, others),
        )
    }  # fmt: skip
    path = folder / "net.toml"
    path.write_text(codecfile.dump(CodecFile("fmz", "net", "0" * 32, layers)))
    return path


def test_a_networks_codec_file_codes_its_maps(run: Run, folder: Path, codec: Path) -> None:
    values, frame, back = np.load(folder / "0.npy"), folder / "0.fmz", folder / "back.npy"
    named = "--codec", codec, "--map", "b", "--burst", 64
    assert run("encode", folder / "0.npy", frame, *named)[0] == 0
    layer = codecfile.load(codec).layers["b"]
    assert frame.read_bytes() == encode(values, layer.frame(6), layer.coding)
    assert run("decode", frame, back, "--codec", codec)[0] == 0
    assert (np.load(back) == decode(frame.read_bytes(), layer.coding.tables)).all()
    small = folder / "small.npy"
    np.save(small, values[:8, :7, :7])
    assert run("encode", small, frame, "--codec", codec)[0] == 0  # the only one of that shape
    assert parse_head(frame.read_bytes()).config.step == 128
    assert run("decode", frame, back, "--codec", codec)[0] == 0


def test_what_a_codec_file_does_not_fit_is_named(run: Run, folder: Path, codec: Path) -> None:
    values, frame, out = folder / "0.npy", folder / "0.fmz", folder / "out"
    given = "--codec", codec
    fails(run("encode", values, out, *given),
          "net.toml: a, b are all uint8 16 x 14 x 14; give --map to choose one")  # fmt: skip
    fails(run("encode", values, out, *given, "--map", "d"), "no coded map 'd'; there are a, b, c")
    fails(run("encode", values, out, *given, "--map", "c"),
          "map c is uint8 8 x 7 x 7, not uint8 16 x 14 x 14")  # fmt: skip
    np.save(folder / "odd.npy", np.zeros((3, 7, 7), np.int8))
    fails(run("encode", folder / "odd.npy", out, *given), "no coded map is int8 3 x 7 x 7")
    fails(run("encode", values, out, *given, "--map", "a", "--burst", 12), "burst must be")
    other = folder / "other.fmzt"
    assert run("tables", folder / "2.npy", "-o", other)[0] == 0
    assert run("encode", values, frame, "--codec", "fmz", "--tables", other)[0] == 0
    fails(run("decode", frame, out, *given), "net.toml: no map has the tables of that frame")
    assert run("encode", values, frame)[0] == 0
    fails(run("decode", frame, out, *given), "0.fmz: coder bitmap needs no codec file")
    assert not out.exists()
    for options in (["--step", 2], ["--tables", other], ["--coder", "width"]):
        code, _, err = run("encode", values, out, *given, "--map", "a", *options)
        assert code == 2
        assert "brings its own" in err
    code, _, err = run("encode", values, out, "--codec", "nope")
    assert code == 2
    assert "dctcm, dctcm-width, fmz or a file" in " ".join(err.split())
    assert run("encode", values, out, "--map", "a")[0] == 2
    assert run("decode", frame, out, *given, "--tables", other)[0] == 2
