"""Proofs: a few in every run, all of them with `make formal`; what the tools say is understood."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from fmzip import cli
from fmzip.docgen.result_parts import load_result
from fmzip_hw import stream as hw_stream
from fmzip_hw.codecs import WordSplitter
from fmzip_hw.decoder import Decoder
from fmzip_hw.encoder import Encoder
from fmzip_hw.fmzdecoder import FmzDecoder
from fmzip_hw.fmzencoder import FmzEncoder
from fmzip_hw.framecompose import FrameComposer
from fmzip_hw.framecores import FrameDecoder, FrameEncoder
from fmzip_hw.frameparse import FrameParser
from fmzip_hw.memory import BlockFifo
from fmzip_hw.sections import WordJoiner

pytest.importorskip("z3")
from fmzip_sim.formal.paths import valid_waits_for_ready
from fmzip_sim.formal.proof import check
from fmzip_sim.formal.proofs import PROOFS
from fmzip_sim.formal.seed import seeded
from fmzip_sim.formal.streams import streams_of

ROOT = Path(__file__).parent.parent
BY_NAME = {proof.name: proof for proof in PROOFS}
pytestmark = pytest.mark.xdist_group("formal")


@pytest.fixture(autouse=True, scope="module")
def _build_here() -> None:
    os.environ.setdefault("FMZIP_BUILD", str(ROOT / "build"))


@pytest.mark.parametrize("name", ["Slice", "FrameParser"])
def test_a_proof_holds_and_finds_its_bug(name: str) -> None:
    assert check(BY_NAME[name]).passed
    assert not check(BY_NAME[name], bug=True).passed


def test_every_proof_was_run_and_its_bug_found() -> None:
    found = {row["name"]: row for row in load_result("formal.json")["proofs"]}
    assert list(found) == [proof.name for proof in PROOFS]
    for proof in PROOFS:
        row = found[proof.name]
        assert (row["mode"], row["depth"], row["bug"]) == (
            proof.mode,
            proof.depth,
            [*proof.bug[1:]],
        )
        assert row["holds"]
        assert row["bug_found"]


def test_a_bug_is_seeded_once_or_not_at_all() -> None:
    for proof in PROOFS:
        get = seeded(*proof.bug)
        assert get(proof.bug[0]) is not proof.bug[0]
        assert get(pytest) is pytest
    with pytest.raises(ValueError, match="0 times 'nowhere', not once"):
        seeded(hw_stream, "nowhere", "")


class Late(wiring.Component):
    """Its valid waits for ready."""

    i: In(stream.Signature(8))
    o: Out(stream.Signature(8))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += [self.o.valid.eq(self.i.valid & self.o.ready), self.i.ready.eq(self.o.ready)]
        return m


def test_a_valid_that_waits_for_ready_is_seen() -> None:
    late = Late()
    assert [(s.name, s.inward) for s in streams_of(late)] == [("i", True), ("o", False)]
    assert valid_waits_for_ready("late", late, ["o"]) == "o"
    assert valid_waits_for_ready("slice", hw_stream.Slice(8), ["o"]) is None


def test_the_command_names_what_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*arguments: str) -> Any:
        monkeypatch.setattr(sys, "argv", ["fmzip", "formal", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code

    assert run("Slide") == 1
    assert "no proof 'Slide'; there are Slice," in capsys.readouterr().err
    real = check
    monkeypatch.setattr(
        "fmzip_sim.formal.proof.check", lambda proof, bug=False: real(proof, bug=True)
    )
    out = tmp_path / "formal.json"
    assert run("Slice", "--json", str(out)) == 1
    assert "1 of 1 proofs failed: Slice" in capsys.readouterr().err
    (row,) = json.loads(out.read_text())["proofs"]
    assert (row["name"], row["holds"], row["bug_found"]) == ("Slice", False, True)


@pytest.mark.soak
@pytest.mark.parametrize(
    "build",
    [
        Encoder, Decoder, FrameComposer, FrameParser, FmzEncoder, FmzDecoder,
        lambda: FrameEncoder("dctcm"), lambda: FrameDecoder("dctcm"), lambda: WordSplitter(2),
        lambda: WordJoiner(2), lambda: BlockFifo(8, 16), lambda: hw_stream.CreditFifo(8, 16),
    ],
)  # fmt: skip
def test_no_valid_waits_for_ready(build: Callable[[], Any]) -> None:
    component = build()
    streams = [s.name for s in streams_of(component) if not s.inward]
    assert streams
    assert valid_waits_for_ready(type(component).__name__, component, streams) is None
