"""A network's codec in a file: ``fmzip.codecfile``."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.projection_cases import random_coding
from tests.rans_cases import fitting_tables

from fmzip import codecfile
from fmzip.codecfile import CodecFile, Correction, LayerCodec
from fmzip.errors import FormatError
from fmzip.format import Dtype, Transform
from fmzip.tables import Coding, Diffusion


def layer(transform: Transform = Transform.BYPASS, **given: Any) -> LayerCodec:
    spread = Diffusion(102, 8, 8, 4) if transform == Transform.BYPASS else Diffusion()
    found = LayerCodec(
        (24, 7, 9), 0.1 + 0.2, 0, Dtype.UINT8, transform, 300,
        Coding(fitting_tables(transform), spread),
    )  # fmt: skip
    return replace(found, **given)


CODEC = CodecFile(
    "fmz",
    'a "net"\\ of mine',
    "0123",
    {
        "layer1.0.relu": layer(),
        'odd "name"': layer(Transform.WHT4, dtype=Dtype.INT8, zero_point=-3),
        "third": layer(Transform.NIBBLES),
    },
    {"layer1.0.bn1": Correction(np.float32([1, 1.5]), np.float32([0, -0.125]))},
    {"budget": "kl=0.05", "kl": 0.0491, "pictures": 64},
)


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "codec.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_what_is_written_is_read(tmp_path: Path) -> None:
    back = codecfile.load(written(tmp_path, codecfile.dump(CODEC)))
    assert back.layers == CODEC.layers
    assert (back.name, back.network, back.weights_hash) == ("fmz", 'a "net"\\ of mine', "0123")
    assert back.about == CODEC.about
    for name, correction in CODEC.corrections.items():
        assert back.corrections[name].gain.tolist() == correction.gain.tolist()
        assert back.corrections[name].offset.tolist() == correction.offset.tolist()
    assert codecfile.dump(back) == codecfile.dump(CODEC)


def test_frames_name_the_tables_and_fit_the_map() -> None:
    frame = layer(Transform.WHT4).frame()
    assert frame.tables == fitting_tables(Transform.WHT4).id
    assert (frame.channels, frame.height, frame.width) == (24, 7, 9)
    largest = replace(layer(Transform.WHT4), shape=(24, 700, 90))
    assert largest.frame(slots_max=1000).tile_blocks < largest.frame().tile_blocks
    sizes = [len(la.coding.tables.to_bytes()) for la in CODEC.layers.values()]
    assert CODEC.table_bytes == sum(sizes)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("version = 1", "version = 2", "version 2; this program reads 1"),
        ('name = "fmz"', 'name = "f mz"', "name must be letters"),
        ('name = "fmz"', "name = 3", "name must be str, not 3"),
        ("step = 300", "step = 63", "layer layer1.0.relu: step must be 64 to 65535, not 63"),
        ("step = 300", "", "layer layer1.0.relu: step is missing"),
        ('"bypass"', '"dct8"', "transform must be bypass or nibbles or wht4, not 'dct8'"),
        ('"bypass"', '"nibbles"', "tables: "),
        ("diffusion = [8, 8, 4]", "diffusion = [8, 8]", "diffusion must be 3 integers"),
        ("diffusion = [8, 8, 4]", "diffusion = [16, 8, 4]", "left must be 0 to 15, not 16"),
        ("diffusion = [0, 0, 0]", "diffusion = [1, 0, 0]", "with transform bypass only"),
        ("rounding = 102", "rounding = 256", "rounding must be 0 to 255, not 256"),
        ("scale = 0.3", "scale = -0.3", "scale must be a positive number"),
        ("shape = [24, 7, 9]", "shape = [24, 7]", "shape must be 3 integers"),
        ("shape = [24, 7, 9]", "shape = [0, 7, 9]", "shape must be 3 integers from 1 to 65535"),
        ("zero_point = -3", "zero_point = -300", "zero_point must be -128 to 127"),
        ('tables = "', 'tables = "!', "tables: not base64"),
        ('gain = "', 'gain = "AAAA', "gain: "),
    ],
)
def test_a_damaged_file_is_refused_with_the_place(
    tmp_path: Path, old: str, new: str, says: str
) -> None:
    text = codecfile.dump(CODEC)
    assert old in text
    path = written(tmp_path, text.replace(old, new, 1))
    with pytest.raises(FormatError) as caught:
        codecfile.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_no_file_of_this_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="not a TOML file"):
        codecfile.load(written(tmp_path, "a = = b"))
    with pytest.raises(FormatError, match="version is missing"):
        codecfile.load(written(tmp_path, "a = 1"))
    with pytest.raises(FormatError, match="layers is missing"):
        codecfile.load(
            written(tmp_path, 'version = 1\nname = "a"\nnetwork = ""\nweights_hash = ""')
        )
    (tmp_path / "b.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(FormatError, match="not a TOML file"):
        codecfile.load(tmp_path / "b.toml")


def test_a_file_of_projections_is_read_as_it_was_written(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    layers = {}
    for name, transform, groups in (
        ("a", Transform.PROJECTION, 3),
        ("b", Transform.PROJECTION4, 1),
    ):
        coding = random_coding(rng, 24, transform, groups)
        layers[name] = LayerCodec((24, 7, 9), 0.3, -4, Dtype.INT8, transform, 0, coding)
    codec = replace(CODEC, name="cap", layers=layers)
    assert codec.projects
    assert not CODEC.projects
    text = codecfile.dump(codec)
    back = codecfile.load(written(tmp_path, text))
    assert codecfile.dump(back) == text
    for name, layer in layers.items():
        assert back.layers[name].frame() == layer.frame()
        assert back.layers[name].coding.tables.to_bytes() == layer.coding.tables.to_bytes()
    mixed = codecfile.dump(replace(CODEC, layers={**layers, "c": CODEC.layers["third"]}))
    with pytest.raises(FormatError, match="all layers must have the same"):
        codecfile.load(written(tmp_path, mixed))
    shorter = text.replace('forward = "', 'forward = "AAAA', 1)
    with pytest.raises(FormatError, match="layer a: "):
        codecfile.load(written(tmp_path, shorter))
