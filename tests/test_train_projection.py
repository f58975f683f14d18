"""``fmzip train-projection``: the codec ``cap``, learned, interrupted, measured."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.conftest import Run
from tests.tiny_job import NET, make_job

from fmzip import codecfile
from fmzip.codecfile import CodecFile
from fmzip.errors import FmzipError
from fmzip.experiments import sensitivity, train_projection
from fmzip.experiments.evaluate import scales_of
from fmzip.experiments.measure import MeasureConfig
from fmzip.experiments.measure import run as run_measure
from fmzip.experiments.train_projection import Cut, TrainConfig, Training
from fmzip.format import Transform
from fmzip.reference import decode, encode
from fmzip_models import learn
from fmzip_models.capture import run as run_network
from fmzip_models.default import open_job
from fmzip_models.learn import Learned, Recipe
from fmzip_models.maps import Map
from fmzip_models.pca import Components, Linear, Shape
from fmzip_models.projecting import ProjectionLoop
from fmzip_models.quantise import from_range

torch.set_num_threads(1)  # see test_models_capture

NET_AND_MORE = (
    NET
    + """

class Untraceable(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = tiny()

    def forward(self, x):
        return self.net(x if float(x.sum()) < 1e9 else -x)
"""
)


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """A network of two maps, and smooth pictures."""
    return make_job(tmp_path_factory.mktemp("job"), 48, 16, NET_AND_MORE)


RECIPE = Recipe(epochs=8, rate=3e-3, augment=True)


@pytest.fixture(scope="module")
def codecs(tmp_path_factory: pytest.TempPathFactory) -> tuple[CodecFile, CodecFile]:
    """Of the stand-in: components as they are, and learned, of the same bits."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(train_projection, "DEAD", (0.5,))
        patch.setattr(train_projection, "STEPS_STD", (0.3, 0.6, 1.2))
        patch.setattr(train_projection, "_SIDES", (1,))
        plain = TrainConfig(1.3, replace(RECIPE, epochs=0), calibration=96)
        return Training(plain).run(), Training(replace(plain, recipe=RECIPE)).run()


def test_learning_undoes_a_part_of_what_truncation_loses(
    codecs: tuple[CodecFile, CodecFile], tmp_path: Path
) -> None:
    paths = []
    for name, codec in zip(("plain", "learned"), codecs, strict=True):
        paths.append(tmp_path / f"{name}.toml")
        paths[-1].write_text(codecfile.dump(replace(codec, name=name)))
    found = run_measure(
        MeasureConfig(codecs=tuple(map(str, paths)), calibration=96, limit=128, workers=1)
    )["codecs"]
    plain, learned = (next(v for k, v in found.items() if k.startswith(n)) for n in ("plain", "le"))
    assert learned["kl"] < 0.95 * plain["kl"]
    assert learned["bits_per_value"] < 1.03 * plain["bits_per_value"]
    assert plain["config"]["coder"] == "huffman"
    assert plain["source"].startswith("after Tai et al., arXiv 2110.08828")
    assert plain["config"]["matrix_bytes"] > 0
    products = plain["energy"]["codec"]["products_per_value"]
    components = [layer["components"] for layer in plain["layers"]]
    assert min(components) >= 1
    assert any(c < layer["of_values"] for c, layer in zip(components, plain["layers"], strict=True))
    # Every value that is read takes a product with each component of its position.
    read = [layer["values"] * layer["reads"] for layer in plain["layers"]]
    reads = np.average(components, weights=read)
    assert products["read"] == pytest.approx(reads)
    assert products["write"] > 0


def test_components_are_taken_where_what_was_learned_is_worse(
    job: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Learned.linear

    def worse(learned: Learned) -> Linear:
        linear = real(learned)
        return replace(linear, inverse=[0.5 * part for part in linear.inverse])

    config = TrainConfig(3.6, Recipe(epochs=1, batch=16), **job, calibration=32)  # type: ignore[arg-type]
    assert str(Training(config).run().about["taken"]).startswith("learned")
    monkeypatch.setattr(Learned, "linear", worse)
    about = Training(config).run().about
    assert about["taken"] == "components"
    assert float(about["held_out_kl_of_integers"]) > 0


def test_a_learned_codec_is_the_reference_s(codecs: tuple[CodecFile, CodecFile]) -> None:
    network, pictures = open_job()
    scales = scales_of(codecs[1])

    def check(m: Map, values: torch.Tensor) -> None:
        layer = codecs[1].layers[m.name]
        stored = scales[m.name].quantise(values.numpy())[:1]
        config = layer.frame()
        data = encode(stored[0], config, layer.coding)
        loop = ProjectionLoop(config, layer.coding)  # type: ignore[arg-type]
        decoded, _ = loop(torch.from_numpy(stored))
        np.testing.assert_array_equal(decoded[0].numpy(), decode(data, layer.coding.tables))

    for _ in run_network(network, pictures, [0], check, before_relu=True):
        pass


def test_an_interrupted_run_goes_on_and_ends_the_same(
    job: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = TrainConfig(
        3.6,
        Recipe(epochs=3, batch=16),
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
    calls = []
    measured = sensitivity.measure_ways
    monkeypatch.setattr(
        sensitivity, "measure_ways", lambda *a, **k: calls.append(a) or measured(*a, **k)
    )
    seen: list[tuple[str, int, int]] = []
    went_on = Training(config).run(lambda *args: seen.append(args))
    assert not calls
    assert [done for what, done, _ in seen if what.startswith("learning")] == [3, 4, 5, 6]
    whole = Training(replace(config, resume=tmp_path / "other")).run()
    assert codecfile.dump(went_on) == codecfile.dump(whole)


def test_what_is_worse_on_pictures_that_are_held_out_is_not_taken(job: dict[str, object]) -> None:
    config = TrainConfig(3.6, Recipe(epochs=0), **job, calibration=32)  # type: ignore[arg-type]
    plain = Training(config).run()
    wild = Training(replace(config, recipe=Recipe(epochs=2, rate=9.0, batch=8))).run()
    about = wild.about
    assert about["held_out_kl"] == about["held_out_kl_of_components"] > 0
    assert about["held_out_pictures"] == 7
    for name, layer in wild.layers.items():
        pairs = zip(layer.coding.forward, plain.layers[name].coding.forward, strict=True)  # type: ignore[union-attr]
        for a, b in pairs:
            np.testing.assert_array_equal(a.matrix, b.matrix)


def test_of_few_pictures_none_is_held_out(job: dict[str, object]) -> None:
    config = TrainConfig(3.6, Recipe(epochs=1, batch=2), **job, calibration=3)  # type: ignore[arg-type]
    about = Training(config).run().about
    assert about["held_out_pictures"] == 0
    assert "held_out_kl" not in about


def test_learning_begins_where_the_components_are() -> None:
    rng = np.random.default_rng(2)
    vectors = np.linalg.qr(rng.normal(size=(6, 6)))[0][None]
    components = Components(rng.normal(size=(1, 6)), np.ones((1, 6)), vectors)
    linear = components.linear(2.0, [4])
    scale = from_range(-3.0, 5.0, True)
    learned = Learned(linear, Shape(Transform.PROJECTION), scale, 2.0, components)
    values = torch.from_numpy(rng.normal(size=(2, 6, 3, 3))).float()
    t = (values / scale.scale).double().numpy().reshape(2, 6, 9)
    sums = linear.forward[0] @ t + linear.forward_offset[0][:, None]
    expected = linear.inverse[0] @ np.rint(sums) + linear.inverse_offset[0][:, None]
    back = learned(values)
    np.testing.assert_allclose(
        back.detach().numpy().reshape(2, 6, 9), expected * scale.scale, rtol=1e-4, atol=1e-4
    )
    back.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in learned.parameters())
    np.testing.assert_allclose(learned.linear().inverse[0], linear.inverse[0], rtol=1e-5, atol=1e-6)


def test_choices_take_the_bits_that_are_wanted() -> None:
    steps = (0.1, 0.2, 0.4)
    cuts = [Cut(Shape(Transform.PROJECTION), dead) for dead in (0.25, 0.75)]
    curves = {
        name: [
            sensitivity.curve(cut, kl * np.square(steps), 3 - np.log2(steps) - k, steps)
            for k, cut in enumerate(cuts)
        ]
        for name, kl in (("a", 1.0), ("b", 10.0))
    }
    values = {"a": 300, "b": 100}
    chosen = sensitivity.choose_within(curves, values, 4.0)
    bits = {name: 3 - np.log2(step) - cuts.index(cut) for name, (cut, step) in chosen.items()}
    assert (3 * bits["a"] + bits["b"]) / 4 == pytest.approx(4.0, abs=0.1)
    assert bits["b"] > bits["a"]
    with pytest.raises(ValueError, match="no choice of steps takes 1 bits"):
        sensitivity.choose_within(curves, values, 1.0)


def test_the_command_writes_the_codec(job: dict[str, object], tmp_path: Path, run: Run) -> None:
    output, results = tmp_path / "cap.toml", tmp_path / "results.json"
    given = ("--model", job["model"], "--images", job["images"], "--calibration", 16)
    code, out, err = run(
        "train-projection", *given, "--epochs", 1, "--batch", 8, "--bits", 3.6, "--labels", 0.1,
        "-o", output,
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert "bits per value, KL" in out
    codec = codecfile.load(output)
    assert codec.projects
    assert codec.about["epochs"] == 1
    code, _, _ = run("measure", *given, "--codec", output, "--workers", 1, "--json", results)
    assert code == 0
    assert "cap" in json.loads(results.read_text())["codecs"]


def test_a_network_that_cannot_be_traced_is_refused(job: dict[str, object]) -> None:
    model = str(job["model"]).replace(":tiny", ":Untraceable")
    config = TrainConfig(3.6, Recipe(epochs=1), model, None, job["images"], calibration=4)  # type: ignore[arg-type]
    with pytest.raises(FmzipError, match="codecs cannot learn"):
        Training(config).run()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"bits": 0}, "bits must be above 0"),
        ({"calibration": 0}, "calibration must be at least 1"),
        ({"scales": "none"}, "method must be one of"),
    ],
)
def test_impossible_settings_are_refused(given: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainConfig(**{"bits": 2.0, **given})
    assert train_projection.STEPS_STD[0] < train_projection.STEPS_STD[-1]


def test_impossible_recipes_are_refused() -> None:
    for given in ({"epochs": -1}, {"batch": 0}, {"rate": 0.0}, {"labels": -1.0}):
        with pytest.raises(ValueError, match="must"):
            Recipe(**given)
