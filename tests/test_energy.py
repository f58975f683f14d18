"""DRAM energy: against energies that DRAMPower 4.1 printed, and against hand-counted cycles."""

import json
import os
import random
import subprocess
import sys
from dataclasses import asdict, fields, replace
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from fmzip.energy import (
    ESTIMATED_LOAD,
    Activity,
    Breakdown,
    Part,
    activity_of_trace,
    energy,
    incremental,
    load,
    names,
    paper_bits_model,
    read_part,
    sdr_currents,
    traffic_activity,
)
from fmzip.errors import FmzipError

# A trace of ours, and what DRAMPower 4.1 printed for it with two memory specifications, in pJ.
O1_TRACE = """\
0,ACT,0
10,RD,0
14,RD,0
18,RD,0
22,RD,0
40,WR,0
44,WR,0
72,PRE,0
100,ACT,3
110,WR,3
114,WR,3
142,PRE,3
200,REF,0
""".splitlines()
PRINTED = {
    "MT41J128M16-D-1600": {
        "act": 6825.00,
        "pre": 2550.00,
        "rd": 6750.00,
        "wr": 7050.00,
        "act_bg": 19575.00,
        "pre_bg": 6772.50,
        "ref": 40800.00,
        "total": 90322.50,
    },
    "MT41K256M16-125": {
        "act": 1795.50,
        "pre": 1262.25,
        "rd": 5076.00,
        "wr": 3348.00,
        "act_bg": 24666.19,
        "pre_bg": 4644.00,
        "ref": 65988.00,
        "total": 106779.94,
    },
}
COMPONENT = {  # DRAMPower's names, as in oracle.json
    "act": "act_pj",
    "pre": "pre_pj",
    "rd": "rd_pj",
    "wr": "wr_pj",
    "act_bg": "active_standby_pj",
    "pre_bg": "precharge_standby_pj",
    "ref": "ref_pj",
    "total": "total_pj",
}
ENERGIES = [field.name for field in fields(Breakdown) if field.name.endswith("_pj")]


def assert_printed(result: Breakdown, printed: dict[str, float]) -> None:
    """Each component equals what DRAMPower printed with two decimals."""
    for theirs, ours in COMPONENT.items():
        assert getattr(result, ours) == pytest.approx(printed[theirs], rel=0, abs=0.01), ours


def oracle_folder() -> Path:
    if "FMZIP_DATA" not in os.environ:
        pytest.skip("FMZIP_DATA is not set: it names the data folder that the oracle lies beside")
    folder = Path(os.environ["FMZIP_DATA"]).parent / "oracle" / "dram"
    if not folder.is_dir():
        pytest.skip(f"no oracle in {folder}")
    return folder


def oracle_part(name: str, spec: dict[str, float]) -> Part:
    """A part with DRAMPower's parameters; what its formulas do not use is made up."""
    return Part(
        name=name,
        kind="any",
        organisation="any",
        vdd_v=spec["vdd"],
        clock_hz=spec["clk_mhz"] * 1e6,
        data_rate=int(spec["dr"]),
        burst_length=int(spec["bl"]),
        bus_bits=int(spec["width"]),
        row_bytes=1024,
        banks=int(spec["banks"]),
        rc=int(spec["RC"]),
        ras=int(spec["RAS"]),
        rp=int(spec["RP"]),
        rfc=int(spec["RFC"]),
        refi=1000,
        idd0=spec["idd0"] * 1e-3,
        idd2n=spec["idd2n"] * 1e-3,
        idd3n=spec["idd3n"] * 1e-3,
        idd4r=spec["idd4r"] * 1e-3,
        idd4w=spec["idd4w"] * 1e-3,
        idd5=spec["idd5"] * 1e-3,
        source="oracle.json",
        verified=False,
    )


def scaled(activity: Activity, factor: int) -> Activity:
    counts: dict[str, Any] = asdict(activity)
    for name, count in counts.items():
        counts[name] = None if count is None else count * factor
    return Activity(**counts)


def some_activity(rng: random.Random, part: Part) -> Activity:
    ref = rng.randrange(5)
    return Activity(
        act=rng.randrange(100),
        pre=rng.randrange(100),
        ref=ref,
        rd=rng.randrange(1000),
        wr=rng.randrange(1000),
        active_standby=rng.randrange(10**6),
        precharge_standby=ref * part.rfc + rng.randrange(10**6),
        precharge_powerdown=rng.randrange(10**6),
        self_refresh=rng.randrange(10**6),
        dq_toggles=rng.randrange(10**6),
    )


class TestOracle:
    @pytest.mark.parametrize("case_id", ["O0", "O1", "O2", "O3", "O4", "O5"])
    def test_each_component_equals_drampower(self, case_id: str) -> None:
        folder = oracle_folder()
        oracle = json.loads((folder / "oracle.json").read_text())
        (case,) = [case for case in oracle["cases"] if case["id"] == case_id]
        part = oracle_part(case["spec"], oracle["specs"][case["spec"]])
        activity = activity_of_trace(part, (folder / case["trace"]).read_text().splitlines())
        result = energy(part, activity)
        assert_printed(result, case)
        assert activity.cycles == case["act_cycles"] + case["pre_cycles"]
        power_mw = result.total_pj / (activity.cycles * part.tck_s) * 1e-9
        assert power_mw == pytest.approx(case["avg_mw"], abs=0.006)

    @pytest.mark.parametrize("name", PRINTED)
    def test_the_shipped_ddr3_parts_give_what_drampower_printed(self, name: str) -> None:
        part = load(name)
        result = energy(part, activity_of_trace(part, O1_TRACE))
        assert_printed(result, PRINTED[name])
        assert result.label == "modelled"
        assert result.part == name


class TestParts:
    def test_sdr_mapping_gives_the_currents_of_the_oracle(self) -> None:
        part = load("IS42S16160B-7")
        currents = (part.idd2n, part.idd3n, part.idd4r, part.idd4w, part.idd0, part.idd5)
        assert [round(amps * 1e3) for amps in currents] == [35, 40, 123, 123, 111, 160]
        assert (part.rc, part.ras, part.rp, part.rfc) == (9, 6, 3, 9)
        assert part.clock_hz == pytest.approx(400e6 / 3)

    def test_sdr_mapping_gives_the_printed_current_at_the_clock_of_its_test(self) -> None:
        part = load("IS42S16160B-7", clock_hz=1e9 / 15)
        assert (part.idd2n, part.idd3n) == pytest.approx((0.025, 0.030))
        part = load("IS42S16160B-7", clock_hz=1e9 / 7)
        assert part.idd4r == pytest.approx(0.130)

    def test_sdr_mapping_takes_the_access_out_of_idd1(self) -> None:
        raw = {"idd1": 8.0, "idd2n": 2.0, "idd2ns": 1.0, "idd3n": 4.0, "idd3ns": 2.0}
        raw |= {"idd4": 10.0, "idd5": 9.0}
        out = sdr_currents(raw, clock_hz=1.0, clock_max_hz=1.0, clock_standby_hz=1.0, rc_s=3.0)
        assert out["idd0"] == pytest.approx(8 - (10 - 4) / 3)
        assert "idd3p" not in out

    def test_energies_per_event_are_those_of_the_fact_sheet(self) -> None:
        # 1 %: the fact sheet rounded the currents to 1 mA.
        sdr = load("IS42S16160B-7")
        assert incremental(sdr, 16, 0, 0).total_pj / 16 == pytest.approx(1027, rel=0.01)
        assert incremental(sdr, 0, 0, 1).total_pj == pytest.approx(16200, rel=0.01)
        refresh = Activity(ref=1, precharge_standby=sdr.rfc)
        assert energy(sdr, refresh).ref_pj == pytest.approx(26700, rel=0.01)
        second = round(sdr.clock_hz)
        for state, power_mw in (
            ("active_standby", 132),
            ("precharge_standby", 115),
            ("precharge_powerdown", 6.6),
        ):
            background = energy(sdr, Activity(**{state: second}))
            assert background.total_pj * 1e-9 == pytest.approx(power_mw, rel=0.01)
        ddr = load("MT41K256M16-125")
        assert incremental(ddr, 16, 0, 0).total_pj / 128 == pytest.approx(9.9, abs=0.05)
        assert incremental(ddr, 0, 16, 0).total_pj / 128 == pytest.approx(6.5, abs=0.05)

    def test_every_listed_part_loads_in_either_case_and_says_where_it_is_from(self) -> None:
        assert {"IS42S16160B-7", "IS42S16320D-7", "MT41K256M16-125"} <= set(names())
        for name in names():
            part = load(name.lower())
            assert part == load(name)
            assert part.name == name
            assert part.source
            assert part.verified or any("second-hand" in note.lower() for note in part.notes)
        assert [name for name in names() if load(name).verified] == ["IS42S16160B-7"]

    def test_an_unknown_part_is_refused_with_the_known_ones(self) -> None:
        with pytest.raises(ValueError, match=r"'DDR9'; known are .*IS42S16160B-7"):
            load("DDR9")

    def test_a_clock_that_the_currents_do_not_cover_is_refused(self) -> None:
        for name, clock_hz in (
            ("IS42S16160B-7", 166e6),
            ("IS42S16160B-7", 0.0),
            ("MT41K256M16-125", 400e6),
        ):
            with pytest.raises(ValueError, match=f"clock_hz of {name}.json must be in"):
                load(name, clock_hz=clock_hz)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"vdd_v": None}, "vdd_v must be a positive number, not None"),
            ({"vdd_v": float("nan")}, "vdd_v must be a positive number, not nan"),
            ({"banks": 4.5}, "banks must be a positive integer, not 4.5"),
            ({"banks": True}, "banks must be a positive integer, not True"),
            ({"kind": 3}, "kind must be a text, not 3"),
            ({"verified": "yes"}, "verified must be true or false, not 'yes'"),
            ({"notes": "one"}, "notes must be a list of texts, not 'one'"),
            ({"colour": "red"}, "colour is not a known field"),
            ({"tck_ns": 6}, "tck_ns must not be below tck_min_ns"),
            ({"idd_ma": []}, "idd_ma must be an object, not []"),
            ({"idd_ma.idd4": "130"}, "idd_ma.idd4 must be a positive number, not '130'"),
            ({"idd_ma.idd7": 1}, "idd_ma.idd7 is not a known field"),
            ({"idd_ma.idd4": 30}, "idd4r must not be below idd3n"),
            ({"timing_ns.rc": -1}, "timing_ns.rc must be a positive number, not -1"),
        ],
    )
    def test_a_wrong_value_is_one_line_with_file_and_field(
        self, tmp_path: Path, change: dict[str, object], message: str
    ) -> None:
        file = self.changed(tmp_path, change)
        with pytest.raises(FmzipError) as caught:
            read_part(file)
        assert str(caught.value) == f"mine.json: {message}"

    @pytest.mark.parametrize("field", ["banks", "source", "idd_ma.idd1", "timing_ns.rfc"])
    def test_a_missing_value_is_one_line_with_file_and_field(
        self, tmp_path: Path, field: str
    ) -> None:
        file = self.changed(tmp_path, {field: KeyError})
        with pytest.raises(FmzipError) as caught:
            read_part(file)
        assert str(caught.value) == f"mine.json: {field} is missing"

    def test_an_optional_current_must_be_null_rather_than_absent(self, tmp_path: Path) -> None:
        assert read_part(self.changed(tmp_path, {"idd_ma.idd2p": None})).idd2p is None
        with pytest.raises(FmzipError, match=r"idd_ma\.idd2p is missing"):
            read_part(self.changed(tmp_path, {"idd_ma.idd2p": KeyError}))

    @pytest.mark.parametrize("content", ["", "{", "\xff", "[1]", None])
    def test_a_file_that_is_no_json_object_is_one_line(
        self, tmp_path: Path, content: str | None
    ) -> None:
        file = tmp_path / "mine.json"
        if content is not None:
            file.write_bytes(content.encode("latin-1"))
        with pytest.raises(FmzipError, match=r"^mine\.json: ") as caught:
            read_part(file)
        assert "\n" not in str(caught.value)

    @staticmethod
    def changed(folder: Path, change: dict[str, object]) -> Path:
        """A copy of a shipped file, with values changed, or removed where KeyError is given."""
        shipped = resources.files("fmzip.energy") / "parts" / "IS42S16160B-7.json"
        data = json.loads(shipped.read_text("utf-8"))
        for path, value in change.items():
            *outer, key = path.split(".")
            table = data[outer[0]] if outer else data
            if value is KeyError:
                del table[key]
            else:
                table[key] = value
        file = folder / "mine.json"
        file.write_text(json.dumps(data))
        return file


class TestModel:
    @pytest.mark.parametrize("name", names())
    def test_energy_is_additive_and_linear(self, name: str) -> None:
        rng, part = random.Random(1), load(name)
        io_load = ESTIMATED_LOAD if part.kind == "SDR" else None
        for _ in range(20):
            a, b = some_activity(rng, part), some_activity(rng, part)
            one, other = energy(part, a, io_load=io_load), energy(part, b, io_load=io_load)
            both = energy(part, a + b, io_load=io_load)
            triple = energy(part, scaled(a, 3), io_load=io_load)
            for key in ENERGIES:
                if getattr(one, key) is not None:
                    assert getattr(both, key) == pytest.approx(
                        getattr(one, key) + getattr(other, key)
                    )
                    assert getattr(triple, key) == pytest.approx(3 * getattr(one, key))
            parts = [getattr(both, k) or 0 for k in ENERGIES if k != "io_uncertainty_pj"]
            assert both.total_pj == pytest.approx(sum(parts))
            assert (a + b).cycles == a.cycles + b.cycles

    def test_without_traffic_there_is_background_only(self) -> None:
        part = load("MT41K256M16-125")
        idle = Activity(precharge_standby=1000, active_powerdown=300, self_refresh=50)
        result = energy(part, idle)
        assert result.commands_pj == 0
        assert result.total_pj == result.background_pj
        expected = (1000 * part.idd2n + 300 * 0.038 + 50 * 0.020) * part.vdd_v * part.tck_s * 1e12
        assert result.total_pj == pytest.approx(expected)
        assert energy(part, Activity()).total_pj == 0
        assert incremental(part, 0, 0, 0).total_pj == 0

    def test_incremental_energy_grows_with_each_argument_and_has_no_background(self) -> None:
        part = load("IS42S16160B-7")
        base = (4096, 4096, 8)
        for i in range(3):
            totals = []
            for step in range(0, 200, 5):
                arguments = list(base)
                arguments[i] += step
                result = incremental(part, *arguments)
                assert result.background_pj == result.ref_pj == 0
                totals.append(result.total_pj)
            assert totals == sorted(totals)
            assert totals[-1] > totals[0]

    def test_traffic_is_counted_in_whole_bursts(self) -> None:
        part = load("IS42S16160B-7")
        assert part.burst_bytes == 16
        activity = traffic_activity(part, 17, 16, 3)
        assert activity == Activity(act=3, pre=3, rd=2, wr=1)
        single = replace(part, burst_length=1)
        assert traffic_activity(single, 32, 0, 0).rd == 16
        assert incremental(single, 32, 0, 0).total_pj == pytest.approx(
            incremental(part, 32, 0, 0).total_pj
        )

    def test_a_refresh_is_active_standby_except_for_its_precharge(self) -> None:
        part = load("MT41K256M16-125")
        result = energy(part, Activity(ref=2, precharge_standby=1000))
        cycle_pj = part.vdd_v * part.tck_s * 1e12
        moved = 2 * (part.rfc - part.rp)
        assert result.active_standby_pj == pytest.approx(moved * part.idd3n * cycle_pj)
        assert result.precharge_standby_pj == pytest.approx((1000 - moved) * part.idd2n * cycle_pj)
        with pytest.raises(ValueError, match="precharge_standby must contain the 2 refreshes"):
            energy(part, Activity(ref=2, precharge_standby=moved - 1))

    def test_io_is_absent_unless_a_load_is_given(self) -> None:
        part = load("IS42S16160B-7")
        activity = Activity(rd=1, dq_toggles=128)
        core = energy(part, activity)
        assert core.io_pj is None
        with_io = energy(part, activity, io_load=ESTIMATED_LOAD)
        # 20 pF at 3.3 V: 54 pJ per random bit, half of which toggle.
        assert with_io.io_pj == pytest.approx(128 * 108.9)
        assert with_io.io_uncertainty_pj == pytest.approx(0.5 * 128 * 108.9)
        assert with_io.total_pj == pytest.approx(core.total_pj + 128 * 108.9)

    def test_io_needs_toggles_and_an_unterminated_bus(self) -> None:
        with pytest.raises(ValueError, match="dq_toggles"):
            energy(load("IS42S16160B-7"), Activity(rd=1), io_load=ESTIMATED_LOAD)
        with pytest.raises(ValueError, match="terminated"):
            energy(load("MT41K256M16-125"), Activity(dq_toggles=1), io_load=ESTIMATED_LOAD)

    def test_a_state_without_a_known_current_has_no_energy(self) -> None:
        part = load("IS42S16160B-7")
        assert part.idd3p is None
        assert energy(part, Activity(active_standby=1)).active_powerdown_pj == 0
        with pytest.raises(ValueError, match="IS42S16160B-7: idd3p is not known"):
            energy(part, Activity(active_powerdown=1))

    def test_impossible_counts_are_refused(self) -> None:
        with pytest.raises(ValueError, match="wr must not be negative, not -1"):
            Activity(wr=-1)
        with pytest.raises(TypeError, match=r"rd must be an integer, not 1\.5"):
            Activity(rd=1.5)  # type: ignore[arg-type]
        for i, name in enumerate(("read_bytes", "write_bytes", "row_switches")):
            arguments = [0, 0, 0]
            arguments[i] = -1
            with pytest.raises(ValueError, match=f"{name} must not be negative"):
                incremental(load("IS42S16160B-7"), *arguments)

    def test_an_impossible_part_is_refused(self) -> None:
        part = load("MT41K256M16-125")
        with pytest.raises(ValueError, match="idd4r must not be below idd3n"):
            replace(part, idd4r=0.01)
        with pytest.raises(ValueError, match="banks must be positive, not 0"):
            replace(part, banks=0)

    def test_unknown_toggles_stay_unknown_in_a_sum(self) -> None:
        assert (Activity(dq_toggles=1) + Activity(dq_toggles=2)).dq_toggles == 3
        assert (Activity(dq_toggles=1) + Activity()).dq_toggles is None

    def test_paper_model_is_the_published_formula(self) -> None:
        assert paper_bits_model(1, 0) == pytest.approx(77.4, abs=0.05)
        assert paper_bits_model(0, 1) == pytest.approx(63.3, abs=0.05)
        resnet18_bits = 2_308_096 * 8  # the 17 convolution outputs, written and read once
        energy_mj = paper_bits_model(resnet18_bits, resnet18_bits) * 1e-9
        assert energy_mj == pytest.approx(2.60, abs=0.005)
        # Half the bits, half the energy: it is a ratio of bits.
        assert paper_bits_model(50, 50) == pytest.approx(paper_bits_model(100, 100) / 2)


class TestTrace:
    @staticmethod
    def legal_trace(rng: random.Random, part: Part) -> tuple[list[str], list[set[int]], int]:
        """A random legal trace, the open banks of every cycle up to its end, and that end."""
        lines: list[str] = []
        open_at: list[set[int]] = []
        banks: set[int] = set()
        for _ in range(200):
            wait = rng.choice((1, 2, 3, 20))
            choices = [("PRE", rng.randrange(part.banks)), ("PREA", 0)]
            closed = sorted(set(range(part.banks)) - banks)
            if closed:
                choices += [("ACT", rng.choice(closed))] * 3
            if banks:
                choices += [(command, rng.choice(sorted(banks))) for command in ("RD", "WR")] * 3
            else:
                choices += [("REF", 0)] * 3
            command, bank = rng.choice(choices)
            lines.append(f"{len(open_at)},{command},{bank}")
            if command == "ACT":
                banks.add(bank)
            elif command == "PRE":
                banks.discard(bank)
            elif command == "PREA":
                banks.clear()
            elif command == "REF":
                wait += part.rfc
            open_at += [set(banks) for _ in range(wait)]
        return lines, open_at, len(open_at)

    @pytest.mark.parametrize("seed", range(10))
    def test_standby_equals_a_count_of_cycles_one_by_one(self, seed: int) -> None:
        part = load("IS42S16160B-7")
        lines, open_at, end = self.legal_trace(random.Random(seed), part)
        activity = activity_of_trace(part, lines, end)
        assert activity.active_standby == sum(bool(banks) for banks in open_at)
        assert activity.cycles == end
        commands = [line.split(",")[1] for line in lines]
        for command in ("ACT", "REF", "RD", "WR"):
            assert getattr(activity, command.lower()) == commands.count(command)
        assert activity.pre == activity.act - len(open_at[-1])

    def test_energy_of_a_window_is_that_of_its_idle_end_added(self) -> None:
        part = load("MT41K256M16-125")
        short = activity_of_trace(part, O1_TRACE)
        longer = activity_of_trace(part, O1_TRACE, end=short.cycles + 1000)
        assert longer == short + Activity(precharge_standby=1000)

    def test_an_empty_trace_is_idle(self) -> None:
        part = load("IS42S16160B-7")
        assert activity_of_trace(part, ["", "  \n"]) == Activity()
        assert activity_of_trace(part, [], end=70) == Activity(precharge_standby=70)

    def test_precharge_of_all_banks_counts_those_that_were_open(self) -> None:
        part = load("IS42S16160B-7")
        activity = activity_of_trace(part, ["5,ACT,0", "9,ACT,2", "20,PREA,0", "30,PRE,1"])
        assert (activity.act, activity.pre) == (2, 2)
        assert activity.active_standby == 15
        assert activity.precharge_standby == 5 + (30 - 20) + part.rp - 1

    @pytest.mark.parametrize(
        ("lines", "message"),
        [
            (["12 RD 0"], "1, '12 RD 0': expected \"cycle,command,bank\""),
            (["0,ACT"], "1, '0,ACT': expected \"cycle,command,bank\""),
            (["", "-1,ACT,0"], "2, '-1,ACT,0': expected \"cycle,command,bank\""),
            (["0,ACT,0,9"], "1, '0,ACT,0,9': expected \"cycle,command,bank\""),
            (["x" * 99], f"1, '{'x' * 40}': expected \"cycle,command,bank\""),
            (
                ["0,ACT,0", "9,END,0"],
                "2, '9,END,0': unknown command, expected one of ACT, RD, WR, PRE, PREA, REF",
            ),
            (["0,ACT,4"], "1, '0,ACT,4': expected a bank in 0 to 3"),
            (
                ["9,ACT,0", "8,RD,0"],
                "2, '8,RD,0': expected a cycle behind 9, that of the command before",
            ),
            (
                ["9,ACT,0", "9,ACT,1"],
                "2, '9,ACT,1': expected a cycle behind 9, that of the command before",
            ),
            (["0,RD,1"], "1, '0,RD,1': expected bank 1 open, it is closed"),
            (
                ["0,ACT,1", "9,PRE,1", "12,WR,1"],
                "3, '12,WR,1': expected bank 1 open, it is closed",
            ),
            (["0,ACT,1", "12,ACT,1"], "2, '12,ACT,1': expected bank 1 closed, it is open"),
            (
                ["0,ACT,1", "12,REF,0"],
                "2, '12,REF,0': expected all banks closed, [1] are open",
            ),
            (
                ["0,REF,0", "8,ACT,0"],
                "2, '8,ACT,0': expected nothing before cycle 9, the end of the refresh",
            ),
        ],
    )
    def test_a_bad_line_is_one_line_with_number_text_and_expectation(
        self, lines: list[str], message: str
    ) -> None:
        with pytest.raises(FmzipError) as caught:
            activity_of_trace(load("IS42S16160B-7"), lines)
        assert str(caught.value) == f"trace line {message}"

    def test_the_end_must_be_known_and_behind_the_last_command(self) -> None:
        part = load("IS42S16160B-7")
        with pytest.raises(FmzipError, match=r"ends with banks \[0, 3\] open"):
            activity_of_trace(part, ["0,ACT,3", "9,ACT,0"])
        assert activity_of_trace(part, ["0,ACT,3", "9,RD,3"], end=20).active_standby == 20
        with pytest.raises(ValueError, match="end must be at least 9, not 8"):
            activity_of_trace(part, ["0,ACT,3", "9,RD,3"], end=8)
        with pytest.raises(ValueError, match="end must be at least 106, not 105"):
            activity_of_trace(part, ["100,REF,0"], end=105)


def test_the_package_needs_the_standard_library_only() -> None:
    code = "import sys, fmzip.energy; print({m.split('.')[0] for m in sys.modules})"
    shown = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert "numpy" not in shown
    assert "pydantic" not in shown
