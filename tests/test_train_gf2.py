"""``fmzip train-gf2``: the codec ``gf2``, chosen, learned, interrupted, measured."""

import json
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.conftest import Run
from tests.tiny_job import make_job

from fmzip import codecfile
from fmzip.codecfile import CodecFile
from fmzip.errors import FmzipError, FormatError
from fmzip.experiments.evaluate import codec_loop, scales_of
from fmzip.experiments.measure import MeasureConfig
from fmzip.experiments.measure import run as run_measure
from fmzip.experiments.train_gf2 import FORMS, TrainConfig, Training
from fmzip.format import Coder
from fmzip.gf2 import PlaneCoding
from fmzip.reference import decode, encode
from fmzip_models import learn
from fmzip_models.capture import run as run_network
from fmzip_models.default import open_job
from fmzip_models.learn import Recipe
from fmzip_models.maps import Map

torch.set_num_threads(1)  # see test_models_capture

RECIPE = Recipe(epochs=2, batch=16, rate=5e-3)


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """A network of two maps, and smooth pictures."""
    return make_job(tmp_path_factory.mktemp("job"), 48, 16)


@pytest.fixture(scope="module")
def codecs(
    tmp_path_factory: pytest.TempPathFactory, job: dict[str, object]
) -> dict[str, CodecFile]:
    """In two bits a value, of all forms, of one map, and with planes that are coded further."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        plain = TrainConfig(2.0, recipe=replace(RECIPE, epochs=0), calibration=32, **job)  # type: ignore[arg-type]
        first = Training(plain).run()
        names = tuple(first.layers)
        return {
            "plain": first,
            "learned": Training(replace(plain, recipe=replace(RECIPE, epochs=4))).run(),
            "coded": Training(replace(plain, entropy=True)).run(),
            "one": Training(replace(plain, bits=4.0, maps=names[1:2])).run(),
            "popcount": Training(replace(plain, form="popcount")).run(),
            "xor": Training(replace(plain, form="xor")).run(),
        }


def test_bits_are_those_that_were_wanted_and_learning_helps(
    codecs: dict[str, CodecFile], job: dict[str, object], tmp_path: Path
) -> None:
    paths = []
    for name, codec in codecs.items():
        paths.append(tmp_path / f"{name}.toml")
        about = {**codec.about, "budget": name}
        paths[-1].write_text(codecfile.dump(replace(codec, about=about)))
    run = run_measure(
        MeasureConfig(codecs=tuple(map(str, paths)), **job, calibration=32, workers=1)  # type: ignore[arg-type]
    )
    found = {name: run["codecs"][f"gf2@{name}"] for name in codecs}
    for name in ("plain", "learned", "popcount", "xor"):
        assert 1.8 < found[name]["bits_per_value"] <= 2.0
    assert codecs["learned"].about["kl"] < 0.9 * codecs["plain"].about["kl"]
    assert found["coded"]["kl"] == found["plain"]["kl"]
    # Maps are small: what codes save pays for the codebooks of each, but for little.
    assert found["coded"]["bits_per_value"] < 1.05 * found["plain"]["bits_per_value"]
    assert found["plain"]["config"]["coder"] == "gf2"
    assert found["coded"]["config"]["coder"] == "huffman"
    assert found["coded"]["config"]["codebook_bytes"] > 0
    assert found["plain"]["source"].startswith("after Gudovskiy et al., arXiv 1808.05285")
    # Every layer has the bits that its planes and its head take, whatever is in the pictures.
    for layer in found["plain"]["layers"]:
        assert 8 * layer["bus_bytes"] % layer["values"] < layer["values"]
        shape, planes = layer["shape"], layer["planes"]
        own = -(-planes * shape[1] * shape[2] // 256) * 32 + 64
        assert layer["bus_bytes"] == own * 16
    # One map is coded, the others are stored as they are.
    of_one = {layer["name"]: layer for layer in found["one"]["layers"]}
    coded = next(iter(codecs["one"].layers))
    assert found["one"]["config"]["coded_maps"] == 1
    assert of_one[coded]["bits_per_value"] <= 4.0
    assert {la["bits_per_value"] for n, la in of_one.items() if n != coded} == {8.0}


def test_work_is_counted_weight_by_weight(
    codecs: dict[str, CodecFile], job: dict[str, object], tmp_path: Path
) -> None:
    path = tmp_path / "codec.toml"
    path.write_text(codecfile.dump(codecs["popcount"]))
    config = MeasureConfig(codecs=(str(path),), **job, calibration=32, limit=8, workers=1)  # type: ignore[arg-type]
    run = run_measure(config)["codecs"]["gf2"]
    work = run["energy"]["codec"]["plane_work"]
    counted = added = 0.0
    for layer in run["layers"]:
        of = codecs["popcount"].layers[layer["name"]].coding
        assert isinstance(of, PlaneCoding)
        positions = layer["shape"][1] * layer["shape"][2]
        assert of.tables.layer is not None
        back = layer["reads"] * of.tables.layer.weights.size
        counted += positions * (of.encoder.layer.weights.size + back)
        added += positions * layer["reads"] * of.tables.sums.matrix.size
    assert work["counted"] == counted
    assert work["added"] == added
    assert work["xored"] == 0
    assert run["energy"]["codec"]["cells_pj"] > 0


@pytest.mark.parametrize("name", ["plain", "learned", "coded", "popcount", "xor"])
def test_a_codec_is_the_reference_s_on_the_network_s_maps(
    codecs: dict[str, CodecFile], job: dict[str, object], name: str
) -> None:
    network, pictures = open_job(str(job["model"]), None, Path(str(job["images"])))
    codec = codecfile.parse(tomllib.loads(codecfile.dump(codecs[name])))
    scales = scales_of(codec)

    def check(m: Map, values: torch.Tensor) -> None:
        layer = codec.layers[m.name]
        stored = scales[m.name].quantise(values.numpy())[:1]
        config = layer.frame()
        assert config.coder == (Coder.HUFFMAN if name == "coded" else Coder.GF2)
        data = encode(stored[0], config, layer.coding)
        loop = codec_loop(config, layer.coding, torch.device("cpu"), None)
        decoded, _ = loop(torch.from_numpy(stored))
        assert isinstance(layer.coding, PlaneCoding)
        np.testing.assert_array_equal(decoded[0].numpy(), decode(data, layer.coding.tables))

    for _ in run_network(network, pictures, [0], check):
        pass


def test_an_interrupted_run_goes_on_and_ends_the_same(
    job: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = TrainConfig(
        3.0,
        recipe=RECIPE,
        **job,
        calibration=32,
        resume=tmp_path / "work",  # type: ignore[arg-type]
    )
    real = learn.learn

    def stop(*args: object, **given: object) -> None:
        epoch = given["epoch"]

        def stopping(done: int, state: np.ndarray) -> None:
            epoch(done, state)  # type: ignore[operator]
            raise KeyboardInterrupt

        real(*args, **{**given, "epoch": stopping})  # type: ignore[arg-type]

    monkeypatch.setattr(learn, "learn", stop)
    with pytest.raises(KeyboardInterrupt):
        Training(config).run()
    monkeypatch.setattr(learn, "learn", real)
    seen: list[tuple[str, int, int]] = []
    went_on = Training(config).run(lambda *args: seen.append(args))
    assert [done for what, done, _ in seen if what.startswith("learning")] == [3, 4]
    whole = Training(replace(config, resume=tmp_path / "other")).run()
    assert codecfile.dump(went_on) == codecfile.dump(whole)
    other = Training(replace(config, recipe=replace(RECIPE, seed=2))).run()
    assert other.about["layers_hash"] != whole.about["layers_hash"]


def test_the_command_writes_the_codec(job: dict[str, object], tmp_path: Path, run: Run) -> None:
    output, results = tmp_path / "gf2.toml", tmp_path / "results.json"
    given = ("--model", job["model"], "--images", job["images"], "--calibration", 16)
    code, out, err = run(
        "train-gf2", *given, "--epochs", 1, "--batch", 8, "--bits", 3.0, "--labels", 0.1,
        "--form", "popcount", "-o", output,
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert "bits per value of 2 maps, KL" in out
    codec = codecfile.load(output)
    assert codec.of_planes
    assert codec.about["form"] == "popcount"
    code, _, _ = run("measure", *given, "--codec", output, "--workers", 1, "--json", results)
    assert code == 0
    assert "gf2" in json.loads(results.read_text())["codecs"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"bits": 0.0}, "bits must be above 0"),
        ({"form": "and"}, "form must be sums or popcount or xor"),
        ({"side": 3}, "side must be 1 or 2"),
        ({"calibration": 0}, "calibration must be at least 1"),
    ],
)
def test_a_run_that_cannot_be_is_refused(given: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainConfig(**{"bits": 2.0, **given})


def test_maps_and_bits_that_there_are_not_are_refused(job: dict[str, object]) -> None:
    assert set(FORMS) == {"sums", "popcount", "xor"}
    config = TrainConfig(2.0, maps=("none",), **job, calibration=8)  # type: ignore[arg-type]
    with pytest.raises(FmzipError, match="has no map none"):
        Training(config).run()
    with pytest.raises(FmzipError, match="are too few for a plane of each map"):
        Training(replace(config, bits=0.2, maps=())).run()


def test_a_file_of_two_kinds_of_layers_is_refused(codecs: dict[str, CodecFile]) -> None:
    text = codecfile.dump(codecs["one"])
    name = next(iter(codecs["one"].layers))
    other = next(iter(codecs["one"].plain))
    with pytest.raises(FormatError, match="is plain and coded"):
        codecfile.parse(tomllib.loads(text.replace(f'[plain."{other}"]', f'[plain."{name}"]')))
    lines = [line for line in text.splitlines() if not line.startswith("encoder")]
    with pytest.raises(FormatError, match=f"layer {name}: encoder"):
        codecfile.parse(tomllib.loads("\n".join(lines)))
