"""The SDRAM controller against the chip model, which knows nothing of it."""

import gc
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.sdram_bench import Ask, Seen, expected, run_plan

from fmzip.energy.parts import load
from fmzip.energy.trace import activity_of_trace
from fmzip.sdram import PARTS, SdramPart
from fmzip_hw.memport import ROW_WORDS
from fmzip_hw.sdram import SdramController
from fmzip_sim.sdram_model import Pins, SdramChip, SdramViolationError


def soon_up(name: str) -> SdramPart:
    """A part whose power-up is short enough to simulate; all else is its own."""
    return replace(PARTS[name], power_up_ns=1000)


def random_plan(part: SdramPart, seed: int, requests: int, *, longest: int = 12) -> list[Ask]:
    """Requests to few rows, so that hits, misses and conflicts all come up."""
    generator = random.Random(seed)
    rows = part.size_bytes // 1024
    places = [generator.randrange(rows) for _ in range(3)] + [0, rows - 1]
    places += [place ^ 4 for place in places]  # another row of the same bank, or its other half
    places += [place ^ 64 for place in places]
    plan = []
    for _ in range(requests):
        words = min(generator.choice([1, 1, 2, 3, longest]), ROW_WORDS)
        address = generator.choice(places) * ROW_WORDS
        address += min(generator.choice([0, ROW_WORDS, generator.randrange(8)]), ROW_WORDS - words)
        wait = generator.choice([0, 0, 0, 0, 1, 5, 17])
        if generator.random() < 0.55:
            data = tuple(generator.getrandbits(64) for _ in range(words))
            plan.append(Ask(address, data, wait=wait))
        else:
            plan.append(Ask(address, words=words, wait=wait))
    return plan


def check(seen: Seen, chip: SdramChip, plan: list[Ask]) -> None:
    """Data, the command trace, and the sums of the status outputs."""
    for k, (got, want) in enumerate(zip(seen.read, expected(plan), strict=True)):
        assert want is None or got == want, f"word {k}: {got:#x}, expected {want:#x}"
    assert [(c, name) for c, name, _ in seen.trace] == [(c, name) for c, name, _ in chip.trace]
    banked = ("ACT", "PRE", "RD", "WR")
    assert [t for t in seen.trace if t[1] in banked] == [t for t in chip.trace if t[1] in banked]
    count = Counter(name for _, name, _ in seen.trace)
    assert count["RD"] == 4 * sum(a.words for a in plan)
    assert count["WR"] == 4 * sum(len(a.data) for a in plan)
    total = seen.total
    assert total["hit"] + total["miss"] + total["conflict"] == len(plan)
    assert not total["late"]
    assert chip.violations == []
    assert chip.lost == []


def busy_cycles(seen: Seen) -> int:
    """From the first ACT to the last word."""
    return seen.end - next(cycle for cycle, name, _ in seen.trace if name == "ACT")


def _corners() -> Iterator[tuple[str, float, int]]:
    for name in PARTS:
        for clock_hz in (50e6, 100e6, 133e6):
            for cas in (2, 3):
                if clock_hz * PARTS[name].clock_min_ns[cas] <= 1e9:
                    yield name, clock_hz, cas


@pytest.mark.parametrize(("name", "clock_hz", "cas"), [*_corners()])
def test_random_traffic_reads_back_without_a_violation(
    name: str, clock_hz: float, cas: int
) -> None:
    part = soon_up(name)
    plan = random_plan(part, seed=1, requests=40)
    chip = SdramChip(part, clock_hz)
    seen = run_plan(SdramController(part, clock_hz, cas), chip, plan)
    check(seen, chip, plan)
    assert min(seen.total[k] for k in ("hit", "miss", "conflict", "turnaround")) > 0


@pytest.mark.parametrize("delay", [0, 2])
@pytest.mark.parametrize(("w_stalls", "r_stalls"), [("random", "rare"), ("rare", "random")])
def test_stalls_on_both_sides_lose_nothing(w_stalls: str, r_stalls: str, delay: int) -> None:
    part = soon_up("AS4C32M16SB-7")
    plan = random_plan(part, seed=2, requests=16, longest=40)
    chip = _Late(part, 133e6, delay)
    dut = SdramController(part, 133e6, 3, read_delay=delay)
    seen = run_plan(dut, chip, plan, w_stalls=w_stalls, r_stalls=r_stalls)
    check(seen, chip, plan)


class _Late(SdramChip):
    """A chip with registers between its data and the controller."""

    def __init__(self, part: SdramPart, clock_hz: float, delay: int):
        super().__init__(part, clock_hz)
        self._line: list[int | None] = [None] * delay

    def step(self, pins: Pins, counted: bool = True) -> int | None:
        self._line.append(super().step(pins, counted))
        return self._line.pop(0)


@pytest.mark.parametrize("write", [True, False])
def test_row_sized_bursts_use_at_least_97_percent_of_the_bus_with_refresh_on(write: bool) -> None:
    part, clock_hz = soon_up("IS42S16160G-7"), 133e6
    rows = 20
    generator = random.Random(1)
    plan = [
        Ask(ROW_WORDS * row, tuple(generator.getrandbits(64) for _ in range(ROW_WORDS)))
        if write
        else Ask(ROW_WORDS * row, words=ROW_WORDS)
        for row in range(rows)
    ]
    chip = SdramChip(part, clock_hz)
    seen = run_plan(SdramController(part, clock_hz, 3), chip, plan)
    check(seen, chip, plan)
    assert seen.total["miss"] + seen.total["conflict"] == rows
    assert sum(name == "REF" for _, name, _ in seen.trace) > part.power_up_refreshes + 6
    assert rows * 512 / busy_cycles(seen) >= 0.97


def test_rows_of_one_bank_in_turn_still_use_92_percent_of_the_bus() -> None:
    part, clock_hz = soon_up("IS42S16160G-7"), 133e6
    plan = [Ask(ROW_WORDS * 4 * row, words=ROW_WORDS) for row in range(10)]
    chip = SdramChip(part, clock_hz)
    seen = run_plan(SdramController(part, clock_hz, 3), chip, plan)
    check(seen, chip, plan)
    assert 10 * 512 / busy_cycles(seen) >= 0.92


def test_within_a_request_a_column_moves_in_every_cycle() -> None:
    part = soon_up("IS42S16160G-7")
    for plan in (
        [Ask(0, tuple(range(ROW_WORDS))), Ask(64 * ROW_WORDS + 5, (1,))],
        [Ask(0, words=ROW_WORDS), Ask(64 * ROW_WORDS + 5, (1,))],
    ):
        chip = SdramChip(part, 133e6)
        seen = run_plan(SdramController(part, 133e6, 3), chip, plan)
        at = [cycle for cycle, name, _ in seen.trace if name in ("RD", "WR")][:512]
        assert at[-1] - at[0] == 511


def test_refresh_is_postponed_under_load_but_never_by_more_than_eight() -> None:
    # Short intervals make what takes 10^5 cycles at the part's own.
    part, clock_hz = soon_up("W9825G6JH-6"), 133e6
    cycles = replace(part.cycles(clock_hz, 3), refi=100)
    plan = [Ask(ROW_WORDS * k, tuple(range(ROW_WORDS))) for k in range(4)]
    plan += [Ask(ROW_WORDS * k, words=ROW_WORDS) for k in range(4)]
    chip = SdramChip(replace(part, refresh_window_ns=101 / clock_hz * 1e9 * 8192), clock_hz)
    seen = run_plan(SdramController(part, clock_hz, cycles=cycles), chip, plan, w_stalls="rare")
    check(seen, chip, plan)
    assert seen.owed_max == 8  # a request takes 1150 cycles: they are forced within it
    behind = next(cycle for cycle, name, _ in seen.trace if name == "MRS")
    refreshes = sum(name == "REF" and cycle > behind for cycle, name, _ in seen.trace)
    assert 0 <= (seen.cycles - behind) // 100 - refreshes <= 8


def test_a_chip_without_work_sleeps_with_rows_open_and_closed_and_keeps_its_data() -> None:
    part, clock_hz = soon_up("MT48LC16M16A2-75"), 50e6
    plan = [
        Ask(100, (1, 2, 3)),
        Ask(ROW_WORDS * 9, (4,)),
        Ask(100, words=3, wait=200),
        Ask(ROW_WORDS * 9, words=1, wait=4000),
        Ask(100, words=3, wait=100),
    ]
    chip = SdramChip(part, clock_hz)
    seen = run_plan(SdramController(part, clock_hz, 2), chip, plan)
    check(seen, chip, plan)
    assert seen.total["asleep"] > 0.85 * 4300
    # Asleep with rows open at first, then refreshed, then asleep with all closed for the most part.
    assert 300 < seen.total["open"] < 1500
    assert 4 <= sum(name == "REF" for _, name, _ in seen.trace[12:]) <= 4500 // 390


def test_the_trace_gives_the_energy_model_the_times_of_the_status_outputs() -> None:
    part, clock_hz = soon_up("IS42S16160B-7"), 133.333e6
    plan = random_plan(part, seed=3, requests=30)
    chip = SdramChip(part, clock_hz)
    seen = run_plan(SdramController(part, clock_hz, 3), chip, plan)
    energy_part = replace(load("IS42S16160B-7"), burst_length=1)
    lines = [f"{c},{name},{bank}" for c, name, bank in seen.trace if name != "MRS"]
    activity = activity_of_trace(energy_part, lines, end=seen.cycles)
    count = Counter(name for _, name, _ in seen.trace)
    assert (activity.act, activity.rd, activity.wr) == (count["ACT"], count["RD"], count["WR"])
    assert activity.active_standby == seen.total["open"]
    assert activity.active_standby + activity.precharge_standby == seen.cycles


# Rule, a part on which it matters, and what a controller has wrong. No traffic makes the parts' own
# tRAS, tRC, tRRD and tMRD matter: other things take longer.
BUGS: dict[str, tuple[dict[str, float], dict[str, int]]] = {
    "tRCD": ({"rcd_ns": 30}, {"rcd": 2}),
    "tRP": ({"rp_ns": 30}, {"rp": 2}),
    "tRAS": ({"ras_ns": 150, "rc_ns": 165}, {"ras": 17}),
    "tRC": ({"rc_ns": 150}, {"rc": 17}),
    "tWR": ({"wr_ns": 30}, {"wr": 2}),
    "tRRD": ({"rrd_ns": 60}, {"rrd": 2}),
    "tRFC": ({"refresh_window_ns": 8e6, "rfc_ns": 150}, {"rfc": 18}),
    "tMRD": ({"mrd_clocks": 9}, {"mrd": 2}),
    "refresh": ({"refresh_window_ns": 4e6}, {"refi": 1700}),
    "power-up": ({}, {"power_up": 120}),
    "data bus": ({}, {"turn": 4}),
}


@pytest.mark.parametrize("rule", BUGS)
def test_a_controller_that_breaks_a_rule_is_caught_and_one_that_does_not_is_let_pass(
    rule: str,
) -> None:
    clock_hz = 133e6
    of_part, of_cycles = BUGS[rule]
    part = replace(soon_up("MT48LC16M16A2-7E"), **of_part)
    right = part.cycles(clock_hz, 3)
    wrong = replace(right, **of_cycles)
    plan = random_plan(part, seed=4, requests=60)
    # One word from each of two banks: the shortest time from ACT to ACT.
    plan += [Ask(ROW_WORDS * k, words=1) for k in range(8)]
    with pytest.raises(SdramViolationError, match=f": {rule}: cycle "):
        run_plan(SdramController(part, clock_hz, cycles=wrong), SdramChip(part, clock_hz), plan)
    chip = SdramChip(part, clock_hz)
    check(run_plan(SdramController(part, clock_hz, cycles=right), chip, plan), chip, plan)


# Amaranth warns of components that nobody uses, here of those that were not finished.
@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
def test_impossible_parameters_are_refused() -> None:
    part = PARTS["IS42S16160B-7"]
    with pytest.raises(ValueError, match="takes a clock of up to"):
        SdramController(part, 150e6)
    with pytest.raises(ValueError, match="tRAS maximum"):
        SdramController(replace(part, ras_max_ns=50e3), 100e6)
    with pytest.raises(ValueError, match="idle_cycles must be at least 8, not 2"):
        SdramController(part, 100e6, idle_cycles=2)
    gc.collect()
