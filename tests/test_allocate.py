"""``fmzip allocate``, and the codec files that it makes in ``fmzip measure``."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.conftest import Run
from tests.tiny_job import make_job

from fmzip import codecfile
from fmzip.codecfile import CodecFile
from fmzip.errors import FmzipError
from fmzip.experiments import allocate, measure, sensitivity
from fmzip.experiments.allocate import AllocateConfig, Allocation, Budget
from fmzip.experiments.compressed import stored_maps
from fmzip.experiments.evaluate import scales_of
from fmzip.experiments.measure import MeasureConfig
from fmzip.experiments.sensitivity import (
    CANDIDATES,
    LOSSLESS,
    STEPS_STD,
    Curve,
    choose,
    curve,
    finer,
)
from fmzip.format import Transform
from fmzip.reference import decode, encode
from fmzip_models.capture import calibrate, capture
from fmzip_models.default import open_job
from fmzip_models.in_loop import InLoop
from fmzip_models.rans_loop import RansLoop

torch.set_num_threads(1)  # see test_models_capture


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """A network of two maps, and smooth pictures."""
    return make_job(tmp_path_factory.mktemp("job"), 24, 32)


@pytest.fixture(scope="module")
def codecs(job: dict[str, object], tmp_path_factory: pytest.TempPathFactory) -> list[CodecFile]:
    budgets = (Budget("kl", 0.02), Budget("bits", 4.0), Budget("lossless"))
    config = AllocateConfig(budgets, **job, calibration=8, resume=tmp_path_factory.mktemp("work"))  # type: ignore[arg-type]
    return Allocation(config).run()


def test_every_budget_is_met_on_the_calibration_pictures(codecs: list[CodecFile]) -> None:
    by_kl, by_bits, lossless = codecs
    assert 0 < by_kl.about["kl"] <= 0.02
    assert by_bits.about["bits_per_value"] <= 4.0
    assert lossless.about["kl"] == 0
    for codec in codecs:
        assert codec.about["bits_bound"] < codec.about["bits_per_value"]
        assert len(codec.layers) == 2
    assert next(iter(lossless.layers.values())).step == 64


def test_corrections_are_found_for_the_modules_behind_compressed_maps(
    codecs: list[CodecFile],
) -> None:
    assert set(codecs[0].corrections) == {"0.norm", "1.norm"}
    assert not codecs[2].corrections


def test_what_a_board_gets_is_what_the_compressed_network_stores(
    job: dict[str, object], codecs: list[CodecFile], paths: list[Path]
) -> None:
    config = MeasureConfig(**job, codecs=(str(paths[0]),), calibration=8, batch=8, workers=1)  # type: ignore[arg-type]
    (row,) = measure.run(config)["codecs"].values()
    network, pictures = open_job(job["model"], None, job["images"])  # type: ignore[arg-type]
    _, evaluation = pictures.split(8)
    codings = {name: (la.frame(), la.coding) for name, la in codecs[0].layers.items()}
    size = 0
    for maps in stored_maps(network, pictures, evaluation, codecs[0]):
        assert [m.name for m in maps] == list(codings)
        size += sum(len(encode(m.values, *codings[m.name])) for m in maps)
    # Sums in another order, for one picture at a time, may change a value here and there.
    assert size == pytest.approx(row["bus_bytes"], rel=1e-3)


@pytest.fixture(scope="module")
def paths(codecs: list[CodecFile], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("codecs")
    found = []
    for k, codec in enumerate(codecs):
        found.append(root / f"codec{k}.toml")
        found[-1].write_text(codecfile.dump(codec))
    return found


def test_measure_takes_the_files_and_finds_what_was_promised(
    job: dict[str, object], codecs: list[CodecFile], paths: list[Path]
) -> None:
    names = (*map(str, paths), "zstd")
    config = MeasureConfig(**job, codecs=names, calibration=8, batch=8, workers=1)  # type: ignore[arg-type]
    found = measure.run(config)
    rows = found["codecs"]
    assert list(rows) == ["fmz@kl=0.02", "fmz@bits=4", "fmz@lossless", "zstd"]
    assert rows["fmz@lossless"]["kl"] == 0
    for row, codec in zip(rows.values(), codecs, strict=False):
        promised = codec.about["bits_per_value"]
        assert row["bits_per_value"] == pytest.approx(promised, rel=0.25)
        assert row["config"]["table_bytes"] == codec.table_bytes
        assert {layer["transform"] for layer in row["layers"]} <= {"bypass", "nibbles", "wht4"}
        assert row["energy"] is not None
    assert str(paths[0].parent) not in json.dumps(found)


def test_the_loop_gives_the_references_integers_and_sizes(
    job: dict[str, object], codecs: list[CodecFile]
) -> None:
    network, pictures = open_job(str(job["model"]), None, Path(str(job["images"])))
    for codec in codecs:
        maps = next(capture(network, pictures, np.array([3]), scales_of(codec)))
        for stored in maps:
            layer = codec.layers[stored.name]
            frame = encode(stored.values, layer.frame(), layer.coding)
            loop = RansLoop(layer.frame(), layer.coding)
            decoded, sizes = loop(torch.from_numpy(stored.values[None]))
            assert sizes.tolist() == [len(frame)]
            assert np.array_equal(decoded[0].numpy(), decode(frame, layer.coding.tables))


def test_equal_runs_give_equal_files_and_interrupted_ones_go_on(
    job: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensitivity, "STEPS_STD", (0.2, 0.5, 1.0))
    monkeypatch.setattr(sensitivity, "CANDIDATES", CANDIDATES[:2])
    config = AllocateConfig((Budget("kl", 0.02),), **job, calibration=4, resume=tmp_path)  # type: ignore[arg-type]
    real, calls = sensitivity.measure_map, []

    def count(*args: object) -> object:
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(sensitivity, "measure_map", count)
    with pytest.raises(KeyboardInterrupt):
        Allocation(config).run()
    (first,) = Allocation(config).run()
    assert len(calls) == 3  # the map that was finished is not measured again
    (again,) = Allocation(replace(config, resume=tmp_path / "other")).run()
    assert codecfile.dump(first) == codecfile.dump(again)


def test_a_file_for_another_network_is_refused(
    job: dict[str, object], codecs: list[CodecFile], tmp_path: Path
) -> None:
    path = tmp_path / "codec.toml"
    path.write_text(codecfile.dump(replace(codecs[0], weights_hash="0" * 32)))
    config = MeasureConfig(**job, codecs=(str(path),), calibration=8, workers=1)  # type: ignore[arg-type]
    with pytest.raises(FmzipError, match=r"net\.py:tiny with weights 0{8}, this is "):
        measure.run(config)
    layers = dict(list(codecs[0].layers.items())[1:])
    path.write_text(codecfile.dump(replace(codecs[0], layers=layers)))
    with pytest.raises(FmzipError, match=r"map .* is missing, the network's is "):
        measure.run(config)


# The parts ---------------------------------------------------------------------------------------


def test_curves_are_smooth_and_never_turn() -> None:
    steps = np.array(STEPS_STD)
    found = curve(CANDIDATES[0], 0.01 * steps**2 * [1.3, 0.7, 1.2, 1.0], 3 - np.log2(steps))
    assert (np.diff(found.kl) >= 0).all()
    assert (np.diff(found.bits) <= 0).all()
    assert found.kl[0] < 0.01 * 0.14**2 * 2


def test_a_higher_price_of_divergence_buys_smaller_steps() -> None:
    steps = np.array([0.1, 0.2, 0.4])

    def of(scale: float) -> list[Curve]:
        return [Curve(CANDIDATES[0], steps, scale * steps**2, 3 - np.log2(steps))]

    curves = {"cheap": of(0.01), "dear": of(10.0)}
    values = {"cheap": 1000, "dear": 1000}
    assert choose(curves, values, 100) == {
        "cheap": (CANDIDATES[0], 0.4),
        "dear": (CANDIDATES[0], 0.4),
    }
    assert choose(curves, values, 1e4)["cheap"][1] == 0.4
    assert choose(curves, values, 1e4)["dear"][1] < 0.4


def test_a_map_stays_as_it_is_where_no_step_pays() -> None:
    steps = np.array([0.1, 0.2, 0.4])
    lossy = Curve(CANDIDATES[1], steps, 0.01 + steps**2, 1.5 - np.log2(steps))
    exact = Curve(LOSSLESS, np.zeros(1), np.zeros(1), np.array([4.0]))
    curves, values = {"a": [lossy, exact]}, {"a": 1000}
    for price, expected in ((1e3, CANDIDATES[1]), (1e5, LOSSLESS)):
        chosen = choose(curves, values, price)
        assert chosen["a"][0] == expected
        if expected == LOSSLESS:
            assert finer(chosen, curves, values, price) == chosen


def test_what_is_measured_of_a_map_has_a_lossless_choice(job: dict[str, object]) -> None:
    network, pictures = open_job(str(job["model"]), None, Path(str(job["images"])))
    calibration = calibrate(network, pictures, range(4))
    loop = InLoop(network, calibration.scales)
    batch = network.normalise(pictures.read(range(4)))
    m = network.graph.maps[0]
    found = sensitivity.measure_map(
        m, calibration, loop, [batch], loop.some_pass(batch, {}).numpy(), None
    )
    *lossy, exact = sensitivity.curves_of_map(*found)
    assert [curve.candidate for curve in lossy] == list(CANDIDATES)
    assert (exact.candidate, exact.kl.tolist()) == (LOSSLESS, [0.0])
    assert exact.bits[0] > max(curve.bits.max() for curve in lossy)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("mse=1", "budget must be lossless, or kl or drop or bits and a limit"),
        ("kl", "limit of kl must be above 0, not 0"),
        ("kl=x", "limit of kl must be a number, not 'x'"),
        ("bits=-1", "limit of bits must be above 0, not -1"),
    ],
)
def test_an_impossible_budget_is_a_usage_error(
    text: str, says: str, tmp_path: Path, run: Run
) -> None:
    with pytest.raises(ValueError, match=says):
        allocate.parse_budget(text)
    target = tmp_path / "codec.toml"
    code, _, err = run("allocate", "--budget", text, "-o", target)
    assert code == 2
    assert not target.exists()
    assert "Traceback" not in err


def test_steps_go_below_the_finest_measured_where_that_is_worth_it() -> None:
    steps = np.exp(np.linspace(np.log(0.1), 0, 30))
    curve = sensitivity.Curve(CANDIDATES[0], steps, 0.5 * steps**2, 1 - np.log2(steps))
    for price, expected in ((1e3, None), (1e6, (1000 / (2 * np.log(2) * 1e6 * 0.5)) ** 0.5)):
        chosen = sensitivity.choose({"a": [curve]}, {"a": 1000}, price)
        found = sensitivity.finer(chosen, {"a": [curve]}, {"a": 1000}, price)
        if expected is None:
            assert found == chosen
            continue
        assert chosen["a"][1] == pytest.approx(0.1)
        assert found["a"][1] == pytest.approx(expected, rel=1e-6)
        # Bits and priced divergence together are least there.
        around = found["a"][1] * np.array([0.99, 1.0, 1.01])
        costs = 1000 * (1 - np.log2(around)) + price * 0.5 * around**2
        assert costs.argmin() == 1


def test_a_budget_that_needs_finer_steps_than_were_measured_is_met(
    job: dict[str, object], tmp_path: Path
) -> None:
    config = AllocateConfig((Budget("kl", 2e-5),), **job, calibration=4, resume=tmp_path)  # type: ignore[arg-type]
    (codec,) = Allocation(config).run()
    assert codec.about["kl"] <= 2e-5


def test_a_budget_that_nothing_meets_ends_in_one_line(
    job: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    run: Run,
) -> None:  # fmt: skip
    monkeypatch.setattr(sensitivity, "STEPS_STD", (0.2, 0.5, 1.0))
    monkeypatch.setattr(sensitivity, "CANDIDATES", CANDIDATES[:1])
    monkeypatch.setattr(allocate, "_TRIES", 2)
    target = tmp_path / "codec.toml"
    options = ["--model", str(job["model"]), "--images", str(job["images"]), "--calibration", "2"]
    code, _, err = run("allocate", *options, "--budget", "bits=0.001", "-o", target)
    assert code == 1
    assert "no allocation found within bits=0.001" in err
    assert not target.exists()


def test_the_command_writes_a_file_for_each_budget(
    job: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    run: Run,
) -> None:  # fmt: skip
    monkeypatch.setattr(sensitivity, "STEPS_STD", (0.2, 0.5, 1.0))
    monkeypatch.setattr(sensitivity, "CANDIDATES", CANDIDATES[:1])
    target = tmp_path / "codec.toml"
    options = ["--model", str(job["model"]), "--images", str(job["images"]), "--calibration", "2"]
    code, out, _ = run("allocate", *options, "--budget", "kl=0.5,lossless", "-o", target)
    assert code == 0
    assert sorted(p.name for p in tmp_path.glob("*.toml")) == [
        "codec-kl0.5.toml", "codec-lossless.toml",
    ]  # fmt: skip
    assert "lossless" in out


@pytest.mark.soak
def test_allocation_saves_a_tenth_against_one_step_factor(tmp_path: Path) -> None:
    data = os.environ.get("FMZIP_DATA")
    if not data:
        pytest.skip("FMZIP_DATA does not name the directory of real data")
    job = {
        "model": f"{data}/realdata.py:cifar_resnet20",
        "images": Path(data, "cifar10_test1000.npz"),
        "calibration": 64,
    }
    budgets = (Budget("kl", 0.05), Budget("kl", 0.02))
    found = Allocation(AllocateConfig(budgets, **job, resume=tmp_path)).run()  # type: ignore[arg-type]
    uniform = AllocateConfig(budgets, **job, uniform=True, resume=tmp_path)  # type: ignore[arg-type]
    for codec, plain in zip(found, Allocation(uniform).run(), strict=True):
        assert codec.about["kl"] <= float(codec.about["budget"].removeprefix("kl="))
        assert codec.about["bits_per_value"] < 0.9 * plain.about["bits_per_value"]
    assert Transform.WHT4 in {layer.transform for layer in found[0].layers.values()}
