"""What a report says, and what it does with results that are odd, damaged or foreign."""

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from tests.report_sample import CODECS, sample

from fmzip.errors import FmzipError
from fmzip.report import MapPair, compare, html, load, parse, write_html
from fmzip.report.headline import headline, representatives
from fmzip.report.merge import merge
from fmzip.report.page import GLOSSARY
from fmzip.report.plots import energy_plot, layers_plot, maps_plot, pareto_plot, write_plots
from fmzip.report.plots.style import inline_svg, looks
from fmzip.report.published import beside

LOSSY = ("codec", 2.0, 0.3)
LAYERS = [("stem", (8, 6, 6), 1), ("block.relu", (16, 3, 3), 2)]


def said(codecs: dict[str, tuple[str, float, float | None]]) -> tuple[str, str]:
    """Headline and notes of a result with these codecs."""
    head = headline(parse(sample(codecs)))
    return head.sentence.replace("\xa0", " "), " ".join(head.notes).replace("\xa0", " ")


def small(**more: Any) -> dict[str, Any]:
    return sample({"dctcm": LOSSY, "zvc": ("lossless", 5.4, None)}, layers=LAYERS, **more)


@pytest.fixture(scope="module")
def page() -> str:
    return html([parse(sample())])


def pair() -> MapPair:
    rng = np.random.default_rng(1)
    before = rng.integers(0, 200, (6, 5, 7), np.uint8)
    return MapPair("relu", "dctcm", before, before + rng.integers(0, 3, before.shape, np.uint8))


def test_the_headline_says_codec_bits_energy_memory_and_drop_with_its_interval() -> None:
    sentence, _ = said({"dctcm": LOSSY, "zvc": ("lossless", 5.4, None)})
    assert sentence.startswith("dctcm stores the feature maps of resnet18 in 2.00 bits per value")
    assert "74.6 % of the energy" in sentence or "% of the energy of that traffic" in sentence
    assert "SDR IS42S16160B-7 (modelled)" in sentence
    assert "top-1 drops by 0.30 points (95 % interval of the drop" in sentence
    assert "500 pictures" in sentence


def test_a_lossless_baseline_that_beats_the_lossy_codec_is_the_headline() -> None:
    sentence, notes = said({"dctcm": ("codec", 4.9, 0.4), "zstd": ("lossless", 3.7, None)})
    assert sentence.startswith("zstd stores the feature maps of resnet18 without loss in 3.70 bits")
    assert "top-1 stays at 69.60 %" in sentence
    assert (
        "dctcm, which is lossy, is beaten by zstd, which is not: 4.90 bits per value, against 3.70"
        in notes
    )
    assert "zstd has no gateware here" in notes


def test_plain_requantisation_that_beats_a_codec_is_said() -> None:
    _, notes = said({"dctcm": ("codec", 4.9, 0.9), "bits4": ("requantise", 4.0, 0.8)})
    assert "Plain requantisation, bits4, needs 4.00 bits" in notes
    assert "than dctcm" in notes


def test_a_codec_that_loses_more_than_a_point_is_not_the_headline() -> None:
    sentence, notes = said({"dctcm": ("codec", 2.0, 6.0), "zvc": ("lossless", 5.4, None)})
    assert sentence.startswith("zvc ")
    assert "dctcm costs more than 1 point in every setting here" in notes


def test_where_no_codec_helps_the_headline_says_so() -> None:
    sentence, notes = said({"dctcm": ("codec", 2.0, 6.0), "zvc": ("lossless", 8.9, None)})
    assert sentence.startswith("No codec here makes the maps of resnet18 smaller")
    assert "zvc makes the maps no smaller than they are uncompressed" in notes


def test_a_bound_is_never_the_headline_and_is_called_a_bound() -> None:
    sentence, notes = said({"entropy": ("bound", 3.0, None), "zvc": ("lossless", 5.4, None)})
    assert sentence.startswith("zvc ")
    assert "entropy, 3.00 bits per value, is a bound" in notes
    only, _ = said({"entropy": ("bound", 3.0, None)})
    assert only.startswith("No codec")


def test_an_interval_around_zero_is_said_to_prove_nothing() -> None:
    _, notes = said({"fmz": ("codec", 2.0, -0.1)})
    assert "interval of fmz's drop contains 0" in notes
    assert "top-1 rises by 0.10 points" in said({"fmz": ("codec", 2.0, -0.1)})[0]


def test_memories_on_which_a_codec_does_not_pay_are_named() -> None:
    _, notes = said({"dctcm": ("codec", 4.0, 0.2)})
    assert "in an FPGA: dctcm takes more than it saves on" in notes
    assert "HBM2" in notes


def test_of_a_curve_the_smallest_setting_within_a_point_stands_for_the_codec() -> None:
    chosen = [coded.name for coded in representatives(parse(sample()).codecs)]
    assert "dctcm@0.25" in chosen
    assert not {"dctcm@0.1", "dctcm@1.5"} & set(chosen)


def test_the_page_holds_every_codec_layer_memory_setting_and_word(page: str) -> None:
    result = sample()
    for name in CODECS:
        assert f">{name}</th>" in page
    for layer in result["codecs"]["zvc"]["layers"]:
        assert layer["name"] in page
    for part in result["codecs"]["zvc"]["energy"]["parts"]:
        assert part["part"] in page
        assert part["source"].replace("'", "&#39;") in page
    for key in ("commit", "seed", "data_hash", "weights_hash"):
        assert str(result["manifest"][key]) in page
    for word, _ in GLOSSARY:
        assert f"<dt>{word}</dt>" in page
    assert "2.9x on average over 8 bits" in page
    assert "arXiv 2106.12850" in page


def test_the_page_names_nothing_outside_itself(page: str) -> None:
    assert "default-src 'none'" in page
    assert not re.search(r"<script|<link(?! rel=\"icon\" href=\"data:,\")|<iframe|@import", page)
    for found in re.findall(r"(?:src|href)\s*=\s*[\"']([^\"']*)", page):
        assert found.startswith(("#", "data:"))
    for found in re.findall(r"url\(([^)]*)\)", page):
        assert found.strip("\"'").startswith("#")


def test_ids_on_the_page_are_unique(page: str) -> None:
    ids = re.findall(r'\bid="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    for target in re.findall(r'(?:href="|url\()#([^")]*)', page):
        assert target in ids


def test_the_same_result_gives_the_same_page_and_plots(tmp_path: Path) -> None:
    result = parse(small())
    assert html([result], [pair()]) == html([result], [pair()])
    written = [write_plots([result], tmp_path / name, [pair()]) for name in ("a", "b")]
    assert [path.name for path in written[0]] == [
        f"{name}.{ending}"
        for name in ("pareto", "layers", "energy", "map1")
        for ending in ("png", "svg")
    ]
    for a, b in zip(*written, strict=True):
        assert a.read_bytes() == b.read_bytes()
        assert b"<metadata>" not in a.read_bytes()
        assert b"tEXt" not in a.read_bytes()
    for path in written[0]:
        if path.suffix == ".svg":
            ElementTree.parse(path)
        else:
            assert path.read_bytes().startswith(b"\x89PNG")


def test_a_users_settings_of_matplotlib_change_nothing_and_stay() -> None:
    import matplotlib as mpl

    page = html([parse(small())])
    with mpl.rc_context({"font.size": 31.0, "axes.grid": False, "svg.fonttype": "path"}):
        assert html([parse(small())]) == page
        assert mpl.rcParams["font.size"] == 31.0


HOSTILE = ("<script>alert(1)</script>", "</svg></style><b>", "a&b\"'<")
ODD = ("$\\frac$", "\x00\x1b[31m\n", "层.卷积", "😀", "x" * 300, "%s{}", "")


def test_names_are_escaped() -> None:
    layers = [(name, (8, 6, 6), 1) for name in HOSTILE]
    found = sample({**dict.fromkeys(HOSTILE, LOSSY), "zvc": ("lossless", 5.4, None)}, layers=layers)
    found["manifest"]["network"] = "".join(HOSTILE)
    for name in HOSTILE:
        coded = found["codecs"][name]
        found["manifest"][name] = name
        coded["config"] = {name: name}
        coded["published"] = {"claim": name, "source": name, "ratio": 2}
        coded["layers"][0][name] = name
        coded["energy"]["parts"][0] |= {"part": name, "source": name, "note": name}
        coded["energy"]["codec"]["cells_source"] = name
    maps = [MapPair(name, name, pair().before, pair().after) for name in HOSTILE]
    page = html([parse(found)], maps)
    for name in HOSTILE:
        assert name not in page
    assert "<script" not in page
    assert "<b>" not in page
    assert page.count("</style>") == page.count("<style")


def test_odd_names_are_drawn_without_a_warning() -> None:
    codecs = {**dict.fromkeys(ODD, LOSSY), "zvc": ("lossless", 5.4, None)}
    found = sample(codecs, layers=[(name, (8, 6, 6), 1) for name in ODD], model="$\\frac$")
    page = html([parse(found)])
    assert "\x00" not in page
    assert "\x1b" not in page
    assert "层.卷积" in page


def test_null_figures_of_older_or_shorter_results_leave_gaps() -> None:
    found = small()
    for coded in found["codecs"].values():
        coded |= {"top1": None, "top5": None, "top1_drop": None, "kl": None, "agreement": None}
        coded["energy"] = None
        del coded["top1_drop_interval"], coded["cycles_per_value"], coded["config"]
    found["baseline"] = {"int8_top1": 50.0}
    result = parse(found)
    assert "dctcm" in html([result])
    assert headline(result).best is not None


def test_a_page_of_only_a_bound_is_possible() -> None:
    assert "bound" in html([parse(sample({"entropy": ("bound", 3.0, None)}, layers=LAYERS))])


def test_colours_and_markers_stay_the_same_whatever_else_is_there() -> None:
    alone = looks(parse(sample({"zvc": ("lossless", 5.4, None)})).codecs)
    assert looks(parse(sample()).codecs)["zvc"] == alone["zvc"]
    many = looks(parse(sample({f"own{k}": LOSSY for k in range(20)}, layers=LAYERS)).codecs)
    assert len({(look.colour, look.marker) for look in many.values()}) == 20


def test_plots_have_a_narrow_form_and_the_colours_of_the_page() -> None:
    result = parse(small())
    best = headline(result).best
    assert best is not None
    draws = {
        "pareto": lambda narrow: pareto_plot(result, beside(result.codecs), narrow),
        "layers": lambda narrow: layers_plot(result, narrow),
        "energy": lambda narrow: energy_plot(best, narrow),
        "maps": lambda narrow: maps_plot(pair().before, pair().after, narrow),
    }
    for name, draw in draws.items():
        wide, narrow = (inline_svg(draw, name, side) for side in (False, True))
        assert "var(--ink)" in wide
        widths = [float(svg.split('viewBox="0 0 ')[1].split()[0]) for svg in (wide, narrow)]
        assert widths[0] > 1.8 * widths[1]


def test_what_is_too_large_to_draw_is_left_to_the_table() -> None:
    layers = [(f"l{k}", (8, 2, 2), 1) for k in range(300)]
    result = parse(sample({"zvc": ("lossless", 5.4, None)}, layers=layers))
    with pytest.raises(ValueError, match="too many"):
        layers_plot(result, narrow=False)
    assert ">l299<" in html([result])


def test_results_of_one_network_on_the_same_pictures_share_their_plots() -> None:
    a, b = sample({"dctcm": LOSSY}), sample({"dctcm": ("codec", 3.0, 0.1)})
    b["codecs"]["dctcm"]["config"]["step"] = 0.5
    (both,) = merge([parse(a), parse(b), parse(a)])
    assert [coded.name for coded in both.codecs] == ["dctcm", "dctcm (step 0.5)"]
    assert {coded.family for coded in both.codecs} == {"dctcm"}
    other = small(seed=7, model="other")
    assert len(merge([parse(a), parse(other)])) == 2
    page = html([parse(a), parse(other)])
    assert page.count("<article") == 2


def test_maps_that_do_not_fit_each_other_are_refused() -> None:
    good = pair()
    with pytest.raises(ValueError, match="differ"):
        MapPair("a", "b", good.before, good.after[:, :2])
    with pytest.raises(ValueError, match="uint8 or int8"):
        MapPair("a", "b", good.before.astype(np.float32), good.after)
    assert MapPair("a", "b", good.before, good.before).error_rms == 0


def test_a_difference_shows_what_changed_and_what_is_missing() -> None:
    a, b = sample(), sample()
    b["codecs"]["dctcm@0.5"]["bits_per_value"] -= 0.25
    del b["codecs"]["zvc"]
    b["manifest"]["data_hash"] = "sha256:other"
    b["codecs"]["dctcm@1"]["config"]["step"] = 2
    found = compare(parse(a), parse(b))
    rows = {row.name: row for row in found.rows}
    first, second = rows["dctcm@0.5"].bits
    assert first is not None
    assert second == pytest.approx(first - 0.25)
    assert rows["zvc"].bits[1] is None
    assert rows["ebpc"].part == "IS42S16160B-7"
    assert [key for key, *_ in found.settings] == ["data_hash", "dctcm@1.step"]
    assert "other pictures or weights" in found.remarks[0]
    same = compare(parse(a), parse(a))
    assert (same.settings, same.baseline, same.remarks) == ((), (), ())


def broken(path: tuple[str | int, ...], value: object = ...) -> dict[str, Any]:
    """A result of which one value is another one, or missing."""
    found: Any = small()
    place = found
    for key in path[:-1]:
        place = place[key]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return found


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (("manifest",), ..., "manifest is missing"),
        (("baseline", "int8_top1"), "high", "baseline.int8_top1 is not a number: 'high'"),
        (("codecs",), [], "codecs is not an object"),
        (("codecs",), {}, "codecs is empty"),
        (("codecs", "zvc"), 3, "codecs.zvc is not an object"),
        (("codecs", "zvc", "kind"), "magic", "codecs.zvc.kind must be one of"),
        (("codecs", "zvc", "bits_per_value"), ..., "codecs.zvc.bits_per_value is missing"),
        (("codecs", "zvc", "bits_per_value"), float("nan"), "is not a number"),
        (("codecs", "zvc", "bits_per_value"), 10**400, "is not a number"),
        (("codecs", "zvc", "lossless"), 1, "codecs.zvc.lossless is not true or false"),
        (("codecs", "zvc", "top1_drop_interval"), [1], "is not two numbers"),
        (("codecs", "zvc", "top1_drop_interval"), 1, "is not a list of numbers"),
        (("codecs", "zvc", "layers"), {}, "codecs.zvc.layers is not a list"),
        (("codecs", "zvc", "layers", 1, "name"), None, "codecs.zvc.layers[1].name is not a text"),
        (("codecs", "zvc", "layers", 0, "shape"), ["a"], "is not a list of numbers"),
        (("codecs", "zvc", "energy", "parts", 0, "incremental"), ..., "incremental is missing"),
        (("codecs", "zvc", "energy", "parts", 0, "part"), ..., "parts[0].part is missing"),
    ],
)
def test_a_result_that_lacks_something_is_refused_with_its_place(
    path: tuple[str | int, ...], value: object, says: str, tmp_path: Path
) -> None:
    found = broken(path, value)
    with pytest.raises(FmzipError, match=re.escape(says)):
        write_html(found, tmp_path / "page.html")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[1]", "the file is not an object"),
        (b'{"rows": []}', "manifest is missing"),
    ],
)
def test_a_file_that_is_no_result_is_refused_by_name(
    data: bytes, says: str, tmp_path: Path
) -> None:
    path = tmp_path / "r.json"
    path.write_bytes(data)
    with pytest.raises(FmzipError, match=says) as error:
        load(path)
    assert str(path) in str(error.value)


def test_a_result_survives_its_way_through_a_file(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_text(json.dumps(small()))
    assert load(path) == parse(small())
