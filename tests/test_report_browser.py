"""The page in a browser: nothing leaves it, nothing sticks out, nothing is cut off."""

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.browser import CHROMIUM, chromium, inspect
from tests.report_sample import sample

from fmzip.report import MapPair, html, parse

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt install chromium"),
    pytest.mark.xdist_group("browser"),
]

WIDTHS = (320, 360, 768, 1280)
LONG = "features.denseblock1.denselayer6.a_name_that_nobody_can_want.conv2"


def _page() -> str:
    rng = np.random.default_rng(0)
    before = rng.integers(0, 255, (8, 20, 20), np.uint8)
    maps = [MapPair("layer1.0.relu1", "dctcm", before, before ^ 1)]
    return html([parse(sample())], maps)


def _hostile() -> str:
    layers = [(LONG, (64, 56, 56), 1), ("<script>document.title='ran'</script>", (8, 7, 7), 2)]
    codecs = {
        LONG: ("codec", 2.0, 0.3), "<b>bold</b>": ("codec", 3.0, 0.1),
        "zvc": ("lossless", 9.5, None),
    }  # fmt: skip
    found = sample(codecs, layers=layers, model="resnet" * 30)
    found["manifest"]["command"] = "fmzip " + "x" * 500
    return html([parse(found), parse(sample(model="<script>document.title='ran'</script>"))])


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """What Chromium says of the usual page and of one with hostile names, at all widths."""
    folder = tmp_path_factory.mktemp("browser")
    # Without its policy, which would stop requests before they are seen.
    pages = {"usual": _page(), "hostile": _hostile()}
    return {
        name: inspect(page.replace("default-src 'none'", "default-src *"), WIDTHS, folder)
        for name, page in pages.items()
    }


def _all(seen: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    return [row for rows in seen.values() for row in rows]


def test_no_page_is_wider_than_its_window(seen: dict[str, list[dict[str, Any]]]) -> None:
    for row in _all(seen):
        assert row["scroll"] <= row["width"], row
        assert row["out"] == [], row


def test_no_label_of_a_plot_is_cut_off_or_too_small(seen: dict[str, list[dict[str, Any]]]) -> None:
    for row in _all(seen):
        assert row["cut"] == [], row
        assert row["text"] >= 7.5, row
    # One form of each plot is shown, the other is not.
    assert {row["plots"] for row in seen["usual"]} == {4}


def test_no_request_leaves_the_page(seen: dict[str, list[dict[str, Any]]]) -> None:
    for row in _all(seen):
        assert row["requests"] == [], row


def test_names_are_text_in_the_browser(seen: dict[str, list[dict[str, Any]]]) -> None:
    for row in seen["hostile"]:
        assert row["scripts"] == 0
        assert row["bold"] == 0
        assert "ran'" in row["title"]
        assert row["title"] != "ran"


def test_the_page_prints_on_a_few_sheets_with_its_tables_open(tmp_path: Path) -> None:
    source, target = tmp_path / "page.html", tmp_path / "page.pdf"
    source.write_text(_page())
    chromium(
        f"--print-to-pdf={target}", "--no-pdf-header-footer", source.as_uri(),
        profile=tmp_path / "profile",
    )  # fmt: skip
    data = target.read_bytes()
    assert data.startswith(b"%PDF")
    pages = data.count(b"/Type /Page\n") + data.count(b"/Type /Page ")
    assert 5 <= pages <= 14
    try:
        done = subprocess.run(
            ["pdftotext", "-layout", target, "-"], capture_output=True, text=True, check=True
        )
    except FileNotFoundError:
        return  # poppler-utils only adds to what is checked above
    assert "Table of all maps" in done.stdout
    assert "64\N{MULTIPLICATION SIGN}112\N{MULTIPLICATION SIGN}112" in done.stdout
