"""Cores with AXI ports: emitted as Verilog, driven by AXI bus models under cocotb."""

import os
from pathlib import Path

import pytest
from tests.codec_bench import Case, beat_payloads, frame_words
from tests.stream_bench import simulate, transfer

from fmzip.format import multiplier
from fmzip_hw.encoder import Encoder
from fmzip_sim.ip.frames import Frame, random_frame
from fmzip_sim.ip.pair import simulate_pair
from fmzip_sim.tb.runner import why_not

pytest.importorskip("cocotbext.axi")
ROOT = Path(__file__).parent.parent
SEEDS = 12
SOAK = 1000


@pytest.fixture(autouse=True)
def _build_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FMZIP_BUILD", os.environ.get("FMZIP_BUILD", str(ROOT / "build")))


def check(codec: str, lanes: int, seeds: range) -> dict[str, dict[str, int]]:
    outcome = simulate_pair(codec, lanes, seeds)
    assert not outcome.failed, f"{outcome.failed}; {outcome.log}"
    assert len(outcome.passed) == 4
    return outcome.figures


def cycles_of_the_codec(frame: Frame) -> int:
    """From the first beat to the last into the encoder by itself."""
    case, encoder = Case("large", frame.config, frame.values), Encoder(8)
    at: list[int] = []

    async def bench(ctx):
        head = int.from_bytes(frame.config.static_head(), "little")
        ctx.set(encoder.head.as_value(), head)
        ctx.set(encoder.multiplier, multiplier(frame.config.step))
        await ctx.tick().repeat(40)
        ctx.set(encoder.start, 1)
        await ctx.tick()
        ctx.set(encoder.start, 0)
        words = frame_words(case, 8, frame.data)
        at.extend((await transfer(ctx, encoder, beat_payloads(case, 8), len(words))).fed_at)

    simulate(encoder, bench)
    return at[-1] - at[0] + 1


def test_random_traffic_and_no_cycle_is_lost_in_the_wrapper() -> None:
    figures = check("dctcm", 8, range(SEEDS))
    expected = cycles_of_the_codec(random_frame("dctcm", 1, large=True))
    beats = figures["encoder"]["beats"]
    assert beats == figures["decoder"]["beats"] == 8 * 8 * 16
    assert figures["encoder"]["cycles"] == expected == beats + Encoder.tile_gap
    assert figures["decoder"]["cycles"] == expected


@pytest.mark.soak
@pytest.mark.parametrize("codec", ["dctcm", "fmz"])
@pytest.mark.parametrize("lanes", [8, 4, 2])
def test_random_traffic_a_thousand_times(
    codec: str, lanes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if why_not("verilator") is None:  # minutes, where Icarus takes half an hour
        monkeypatch.setenv("SIM", "verilator")
    check(codec, lanes, range(SOAK))
