"""Energy side by side: traffic over frame times, memories by the bit, codecs, exports."""

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from fmzip.energy import (
    Activity,
    PerBit,
    Traffic,
    accelergy_table,
    action_energies,
    activity_of_trace,
    busy_activity,
    codec_energy,
    command_trace,
    dq_toggles,
    energy,
    frame_activity,
    incremental,
    load,
    load_per_bit,
    names,
    paper_bits_model,
    per_bit_names,
    read_per_bit,
    report,
)
from fmzip.errors import FmzipError
from fmzip.experiments.show_energy import energy_table

VALUES = 2_308_096  # of the 17 convolution outputs of ResNet-18
HALF = Traffic(VALUES // 2, VALUES // 2, None, VALUES, VALUES, None)


def part_of(found: dict[str, Any], name: str) -> dict[str, Any]:
    (part,) = [part for part in found["parts"] if part["part"] == name]
    return dict(part)


class TestFrame:
    @pytest.mark.parametrize(
        ("frame_s", "always_on", "power_down"), [(1 / 30, 25.8, 47.8), (0.1, 13.1, 44.0)]
    )
    def test_savings_at_half_the_traffic_are_those_of_the_fact_sheet(
        self, frame_s: float, always_on: float, power_down: float
    ) -> None:
        part = load("IS42S16160B-7")
        device = report(HALF, frame_s=frame_s, parts=[part])["parts"][0]["device"]
        saved = {name: 100 * device[name]["saved"] for name in device if name != "window_s"}
        assert saved["without_power_down"] == pytest.approx(always_on, abs=0.05)
        # 1 point: refreshes, and the standby while they last, are in ours.
        assert saved["with_power_down"] == pytest.approx(power_down, abs=1)

    @pytest.mark.parametrize("name", names())
    @pytest.mark.parametrize("power_down", [False, True])
    def test_a_frame_is_a_whole_window_with_every_refresh(
        self, name: str, power_down: bool
    ) -> None:
        rng, part = random.Random(1), load(name)
        for _ in range(20):
            arguments = rng.randrange(10**6), rng.randrange(10**6), rng.randrange(2000)
            activity = frame_activity(part, *arguments, 0.05, power_down=power_down)
            busy = busy_activity(part, *arguments)
            assert activity.cycles == round(0.05 * part.clock_hz)
            assert activity.ref == activity.cycles // part.refi
            assert (activity.act, activity.rd, activity.wr) == (busy.act, busy.rd, busy.wr)
            idle = activity.cycles - busy.cycles - activity.ref * part.rfc
            assert (activity.precharge_powerdown == idle) == power_down
            assert energy(part, activity).total_pj > incremental(part, *arguments).total_pj

    def test_bursts_take_the_time_of_the_bus(self) -> None:
        part = load("IS42S16160B-7")
        busy = busy_activity(part, 1600, 1600, 2)
        assert busy.active_standby == 200 * 8 + 2 * part.rp
        assert busy.precharge_standby == 2 * part.rp
        ddr = load("MT41K256M16-125")
        assert busy_activity(ddr, 1600, 0, 0).active_standby == 100 * 4

    def test_a_window_that_is_too_short_is_stretched_for_both_sides_alike(self) -> None:
        part = load("IS42S16160B-7")
        found = report(HALF, frame_s=0.01, parts=[part])["parts"][0]["device"]
        # 4.6 MB at 267 MB/s, row switches and refreshes
        assert found["window_s"] == pytest.approx(17.8e-3, rel=0.02)
        assert "takes longer than 0.01 s" in found["note"]
        assert "note" not in report(HALF, parts=[part])["parts"][0]["device"]

    def test_many_frames_take_as_many_frame_times(self) -> None:
        part = load("MT41K256M16-125")
        ten = Traffic(*(None if n is None else 10 * n for n in vars(HALF).values()))  # type: ignore[arg-type]
        one = report(HALF, parts=[part])["parts"][0]
        many = report(ten, frames=10, parts=[part])["parts"][0]
        for key in ("without_power_down", "with_power_down"):
            for side in ("raw_pj", "coded_pj"):
                expected = 10 * one["device"][key][side]
                assert many["device"][key][side] == pytest.approx(expected, rel=1e-3)

    def test_an_impossible_frame_is_refused(self) -> None:
        for frame_s in (0, -1, float("inf"), float("nan")):
            with pytest.raises(ValueError, match="frame_s must be above 0 s"):
                report(HALF, frame_s=frame_s)
        with pytest.raises(ValueError, match="frames must be 1 or more, not 0"):
            report(HALF, frames=0)
        with pytest.raises(ValueError, match="read_bytes must not be negative, not -1"):
            Traffic(0, -1, 0, 0, 0, 0)


class TestReport:
    def test_every_shipped_memory_is_in_it_with_source_and_label(self) -> None:
        found = report(HALF, codec="dctcm")
        json.dumps(found, allow_nan=False)
        assert [part["part"] for part in found["parts"]] == [*names(), *per_bit_names()]
        kinds = [part["kind"] for part in found["parts"]]
        assert kinds.count("SDR") >= 2
        assert {"DDR3", "DDR3L", "DDR4", "LPDDR4", "LPDDR5", "HBM2"} <= set(kinds)
        for part in found["parts"]:
            assert part["source"]
            assert part["label"] == "modelled"
            assert part["incremental"]["saved"] == pytest.approx(0.5, abs=1e-4)
        assert [p["part"] for p in found["parts"] if p["verified"]] == ["IS42S16160B-7"]

    def test_incremental_is_that_of_the_model(self) -> None:
        part = load("MT41J128M16-D-1600")
        traffic = Traffic(1000, 3000, 7, 2000, 6000, 9)
        found = report(traffic, parts=[part])["parts"][0]["incremental"]
        assert found["raw_pj"] == incremental(part, 6000, 2000, 9).total_pj
        assert found["coded_pj"] == incremental(part, 3000, 1000, 7).total_pj
        assert found["saved"] == 1 - found["coded_pj"] / found["raw_pj"]

    def test_row_switches_that_are_not_counted_are_those_of_full_rows(self) -> None:
        part = load("IS42S16160B-7")
        traffic = Traffic(1025, 0, None, 2048, 1, None)
        found = report(traffic, parts=[part])["parts"][0]["incremental"]
        assert found["coded_pj"] == incremental(part, 0, 1025, 2).total_pj
        assert found["raw_pj"] == incremental(part, 1, 2048, 3).total_pj

    def test_the_paper_s_formula_is_a_ratio_of_bits(self) -> None:
        found = report(HALF)["paper_bits_model"]
        assert found["raw_pj"] == paper_bits_model(8 * VALUES, 8 * VALUES)
        assert found["saved"] == pytest.approx(0.5)
        assert "background" in found["leaves_out"]

    def test_data_lines_are_added_where_toggles_are_counted(self) -> None:
        part = load("IS42S16160B-7")
        traffic = replace(HALF, dq_toggles=9 * 10**6, raw_dq_toggles=6 * 10**6)
        found = report(traffic, parts=[part])["parts"][0]
        core, lines = found["incremental"], found["data_lines"]
        assert lines["raw_pj"] - core["raw_pj"] == pytest.approx(6e6 * 108.9)
        assert lines["coded_pj"] - core["coded_pj"] == pytest.approx(9e6 * 108.9)
        assert lines["saved"] < core["saved"]
        assert lines["uncertainty_pj"] == pytest.approx([3e6 * 108.9, 4.5e6 * 108.9])
        assert "not counted" in report(HALF, parts=[part])["parts"][0]["data_lines"]["reason"]
        ddr = report(traffic, parts=[load("MT41K256M16-125")])["parts"][0]
        assert "terminated" in ddr["data_lines"]["reason"]

    def test_an_unknown_current_is_a_reason_and_no_figure(self) -> None:
        part = replace(load("IS42S16160B-7"), idd2p=None)
        found = report(HALF, codec="dctcm", parts=[part])["parts"][0]
        assert found["device"]["with_power_down"] is None
        assert found["device"]["reason"]
        assert found["with_codec"]["of"] == "device, without power down"

    def test_no_traffic_is_no_division_by_zero(self) -> None:
        found = report(Traffic(0, 0, 0, 0, 0, 0), codec="dctcm")
        for part in found["parts"]:
            assert part["incremental"] == {"raw_pj": 0, "coded_pj": 0, "saved": 0}
            assert part["break_even_pj_per_bit"] is None
            assert part["memory_pj_per_bit"] is None

    def test_the_table_shows_every_memory(self) -> None:
        console = Console(width=200)
        with console.capture() as shown:
            console.print(energy_table(report(HALF)))
        for name in [*names(), *per_bit_names()]:
            assert name in shown.get()


class TestCodec:
    def test_break_even_is_the_codec_s_energy_per_bit_saved(self) -> None:
        found = report(HALF, codec="dctcm")
        own = codec_energy("dctcm", VALUES, VALUES, 4.0)
        assert own.cells_pj is not None
        assert own.fpga_pj == 14 * own.cells_pj
        for part in found["parts"]:
            saved_bits = 8 * VALUES
            assert part["break_even_pj_per_bit"] == pytest.approx(own.cells_pj / saved_bits)
            assert part["break_even_fpga_pj_per_bit"] == pytest.approx(own.fpga_pj / saved_bits)
        # A memory that costs break-even per bit saves as much as the codec takes.
        level = own.fpga_pj / (8 * VALUES)
        even = replace(
            load_per_bit("HBM2"),
            read_pj_per_bit=level,
            write_pj_per_bit=level,
            low_pj_per_bit=level,
            high_pj_per_bit=level,
        )
        part = report(HALF, codec="dctcm", parts=[even])["parts"][0]
        assert part["with_codec_fpga"]["saved"] == pytest.approx(0)
        assert part["with_codec"]["saved"] > 0.4

    def test_it_is_counted_from_operations(self) -> None:
        # By hand: 50 additions of 18 bits for 8 values, one of 11; one product of 18 by 17 bits;
        # 8 bits raw and 4 bits coded twice in memory.
        encode = (50 / 8 * 18 + 11) / 32 * 0.1 + 3.1 * 18 * 17 / 1024 + (8 + 2 * 4) * 10 / 64
        assert codec_energy("dctcm", 1, 0, 4.0).cells_pj == pytest.approx(encode)
        decode = (50 / 8 * 18 + 13 + 8) / 32 * 0.1 + 3.1 * 12 * 16 / 1024 + 2 * 4 * 10 / 64
        assert codec_energy("dctcm-width", 0, 1, 4.0).cells_pj == pytest.approx(decode)

    @pytest.mark.parametrize("name", ["zvc", "zstd", None])
    def test_without_gateware_there_is_a_reason_in_place_of_a_number(
        self, name: str | None
    ) -> None:
        found = report(HALF, codec=name)
        assert found["codec"]["cells_pj"] is None
        for part in found["parts"]:
            assert part["with_codec"] == {"codec_pj": None, "reason": found["codec"]["reason"]}
            assert part["break_even_pj_per_bit"] is None

    def test_a_codec_that_saves_nothing_never_pays(self) -> None:
        found = report(Traffic(100, 100, 1, 100, 90, 1), codec="dctcm")
        assert all(part["break_even_pj_per_bit"] is None for part in found["parts"])


class TestPerBit:
    def test_energy_is_bits_times_figure(self) -> None:
        memory = load_per_bit("hbm2")
        assert memory.name == "HBM2"
        assert memory.traffic_pj(10, 0) == pytest.approx(80 * 3.9)
        found = report(HALF, parts=[memory])["parts"][0]
        assert found["incremental"]["raw_pj"] == pytest.approx(16 * VALUES * 3.9)
        assert found["device"]["reason"]
        assert found["pj_per_bit"]["high"] == 5.47

    def test_the_ddr4_figure_is_what_the_formulas_give(self) -> None:
        sdr = load("MT41K256M16-125")
        part = replace(
            sdr, vdd_v=1.2, clock_hz=1 / 0.63e-9, rc=74, ras=52, rp=22, rfc=560, refi=12480,
            idd0=0.095, idd2n=0.037, idd3n=0.056, idd4r=0.302, idd4w=0.278, idd5=0.280,
        )  # fmt: skip
        memory = load_per_bit("DDR4-3200-x16")
        bits = 8 * part.row_bytes
        read = incremental(part, part.row_bytes, 0, 1).total_pj / bits
        write = incremental(part, 0, part.row_bytes, 1).total_pj / bits
        assert memory.read_pj_per_bit == pytest.approx(read, abs=0.005)
        assert memory.write_pj_per_bit == pytest.approx(write, abs=0.006)

    def test_every_one_says_what_it_contains_and_is_not_called_verified(self) -> None:
        for name in per_bit_names():
            memory = load_per_bit(name)
            assert memory.scope
            assert memory.notes
            assert not memory.verified

    def test_bad_data_is_one_line(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"no memory 'DDR9'; known are .*HBM2"):
            load_per_bit("DDR9")
        good = {
            "kind": "X", "read_pj_per_bit": 2, "write_pj_per_bit": 2, "low_pj_per_bit": 1,
            "high_pj_per_bit": 3, "scope": "s", "source": "t", "verified": False, "notes": [],
        }  # fmt: skip
        file = tmp_path / "mine.json"
        file.write_text(json.dumps(good))
        assert isinstance(read_per_bit(file), PerBit)
        for change, message in (
            ({"read_pj_per_bit": 4}, "read_pj_per_bit must lie between"),
            ({"kind": ""}, "kind must be a text"),
            ({"more": 1}, "more is not a known field"),
        ):
            file.write_text(json.dumps(good | change))
            with pytest.raises(FmzipError, match=rf"^mine\.json: {message}"):
                read_per_bit(file)


class TestToggles:
    def test_changes_of_lines_are_counted(self) -> None:
        assert dq_toggles(b"\xff\x00\xff", 8) == 24
        assert dq_toggles(b"\xff\x00\xff", 8, before=0xFF) == 16
        assert dq_toggles(b"\x01\x00\x03\x00", 16) == 2
        assert dq_toggles(b"", 16) == 0

    def test_it_equals_a_count_transfer_by_transfer(self) -> None:
        data = random.Random(2).randbytes(400)
        words = [int.from_bytes(data[k : k + 2], "little") for k in range(0, 400, 2)]
        expected = sum((a ^ b).bit_count() for a, b in zip([5, *words], words, strict=False))
        assert dq_toggles(data, 16, before=5) == expected

    def test_impossible_arguments_are_refused(self) -> None:
        with pytest.raises(ValueError, match="bus_bits must be a multiple of 8, not 4"):
            dq_toggles(b"", 4)
        with pytest.raises(ValueError, match="3 bytes are no whole number of 16-bit transfers"):
            dq_toggles(b"abc", 16)
        with pytest.raises(ValueError, match="before must have 8 bits, not 256"):
            dq_toggles(b"a", 8, 256)


class TestExport:
    def test_action_energies_add_up_to_those_of_an_activity(self) -> None:
        for name in names():
            part = load(name)
            pj = action_energies(part)
            activity = Activity(
                act=3, pre=3, rd=5, wr=7, ref=2, active_standby=90, precharge_standby=3000,
                precharge_powerdown=11, self_refresh=13,
            )  # fmt: skip
            total = (
                3 * pj["activate"] + 5 * pj["read"] + 7 * pj["write"] + 2 * pj["refresh"]
                + 90 * pj["standby_open"] + 3000 * pj["standby_closed"] + 11 * pj["powerdown"]
                + 13 * pj["self_refresh"]
            )  # fmt: skip
            assert energy(part, activity).total_pj == pytest.approx(total)

    def test_the_accelergy_table_holds_every_action(self) -> None:
        memories = [load("IS42S16160B-7"), load_per_bit("LPDDR4")]
        text = accelergy_table(memories)
        assert text.startswith("ERT:\n  version: 0.3\n  tables:\n")
        tables: dict[str, dict[str, float]] = {}
        for line in text.splitlines()[3:]:
            key, _, value = line.strip().removeprefix("- ").partition(": ")
            if key == "name" and value.startswith('"'):
                table = tables.setdefault(json.loads(value), {})
            elif key == "name":
                action = value
            elif key == "energy":
                table[action] = float(value)
        assert list(tables) == ["system.IS42S16160B-7", "system.LPDDR4"]
        for memory in memories:
            assert tables[f"system.{memory.name}"] == pytest.approx(action_energies(memory))
        for memory in memories:
            assert f"# {memory.source}" in text

    @pytest.mark.parametrize("name", names())
    def test_a_trace_is_read_back_as_the_traffic_that_it_was_made_of(self, name: str) -> None:
        part = load(name)
        transfers = [("write", 100_000), ("read", 70_001), ("write", 1), ("read", 0)]
        lines = list(command_trace(part, transfers))
        activity = activity_of_trace(part, lines)
        rows = sum(-(-size // part.row_bytes) for _, size in transfers)
        assert (activity.act, activity.pre) == (rows, rows)
        assert activity.rd == -(-70_001 // part.burst_bytes)
        assert activity.wr == -(-100_000 // part.burst_bytes) + 1
        assert abs(activity.ref - activity.cycles // part.refi) <= 1
        assert activity.ref > 0
        one = incremental(part, 70_001, 100_000, rows).total_pj
        commands = energy(part, replace(activity, ref=0)).commands_pj
        assert commands == pytest.approx(one, rel=1e-3)

    @pytest.mark.parametrize("name", names())
    def test_a_trace_keeps_the_timings_of_its_part(self, name: str) -> None:
        part = load(name)
        lines = command_trace(part, [("write", 30_000), ("read", 30_000), ("read", 40)])
        opened = closed = refreshed = last_burst = -(10**6)
        opened_banks = []
        for line in lines:
            cycle, command, bank = line.split(",")
            now = int(cycle)
            if command == "ACT":
                assert now - opened >= part.rc
                assert now - closed >= part.rp
                assert now - refreshed >= part.rfc
                opened, last_burst = now, -(10**6)
                opened_banks.append(int(bank))
            elif command == "PRE":
                assert now - opened >= part.ras
                assert now - last_burst >= part.burst_length // part.data_rate
                closed = now
            elif command == "REF":
                assert now - closed >= part.rp
                refreshed = now
            else:
                assert now - opened >= part.rp
                assert now - last_burst >= part.burst_length // part.data_rate
                last_burst = now
        assert opened_banks[: part.banks] == list(range(part.banks))

    def test_an_impossible_transfer_is_refused(self) -> None:
        part = load("IS42S16160B-7")
        with pytest.raises(ValueError, match="must be read or write, not 'erase'"):
            list(command_trace(part, [("erase", 1)]))
        with pytest.raises(ValueError, match="must not be negative, not -1 bytes"):
            list(command_trace(part, [("read", -1)]))
