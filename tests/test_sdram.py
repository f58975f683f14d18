"""The table of SDRAM parts, and the chip model: every rule that it checks is broken once."""

import random
from dataclasses import replace

import pytest

from fmzip.sdram import PARTS, SdramPart
from fmzip_sim.sdram_model import Pins, SdramChip, SdramViolationError

CLOCK_HZ = 133e6
PART = replace(PARTS["IS42S16160B-7"], power_up_ns=100, power_up_refreshes=2)
ROW, COLUMN = 1, 4
_WORDS = {"A": (0, 1, 1), "R": (1, 0, 1), "W": (1, 0, 0), "P": (0, 1, 0)}
_MODES = {"M2": 0x20, "M3": 0x30, "M8": 0x33, "M5": 0x50}
POWER_UP = ".14 PA .2 F .8 F .8 M3 .1 "


def play(chip: SdramChip, script: str, data: int = 0) -> list[int | None]:
    """Commands as words: ``A0 R0 W0 P0`` with their bank, ``PA`` all banks, ``F`` REF, ``M3`` MRS,
    ``.5`` NOPs, ``k5`` cycles of CKE low, ``s`` REF with CKE low, ``W0!`` without data, ``a0`` RD
    with A10, ``m`` a NOP with DQM high, ``w0`` WR with the upper byte masked. Returns what the chip
    drives, by cycle behind the last word.
    """
    driven: list[int | None] = []
    for word in script.split():
        pins, times = Pins(), 1
        if word[0] in ".k":
            times = int(word[1:] or 1)
            pins = Pins(cke=int(word[0] == "."))
        elif word == "m":
            pins = Pins(dqm=3)
        elif word in _MODES:
            pins = Pins(ras_n=0, cas_n=0, we_n=0, a=_MODES[word])
        elif word in ("F", "s"):
            pins = Pins(ras_n=0, cas_n=0, cke=int(word == "F"))
        elif word == "PA":
            pins = Pins(ras_n=0, we_n=0, a=1 << 10)
        elif word[0] == "w":
            pins = Pins(cas_n=0, we_n=0, ba=int(word[1]), a=COLUMN, dq=data, dq_oe=1, dqm=2)
        else:
            ras_n, cas_n, we_n = _WORDS[
                word[0].upper().replace("A", "R" if word[0] == "a" else "A")
            ]
            pins = Pins(ras_n=ras_n, cas_n=cas_n, we_n=we_n, ba=int(word[1]))
            if word[0] in "AP":
                pins = pins._replace(a=ROW if word[0] == "A" else 0)
            else:
                pins = pins._replace(a=COLUMN | (word[0] == "a") << 10)
            if word[0] == "W":
                pins = pins._replace(dq=data, dq_oe=int(word[2:] != "!"))
        for _ in range(times):
            driven.append(chip.step(pins))
    return driven


def started(part: SdramPart = PART, *, strict: bool = True) -> SdramChip:
    chip = SdramChip(part, CLOCK_HZ, strict=strict)
    play(chip, POWER_UP)
    return chip


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_every_part_names_its_source_and_is_consistent(part: SdramPart) -> None:
    assert part.source
    assert part.rc_ns <= part.ras_ns + part.rp_ns + 10
    assert part.ras_ns < part.rc_ns <= part.rfc_ns
    assert part.refi_ns == 7812.5
    assert part.size_bytes == {9: 32, 10: 64}[part.column_bits] << 20
    assert set(part.unverified) <= set(part.__dataclass_fields__)


def test_nanoseconds_become_cycles_that_are_never_too_few() -> None:
    t = PARTS["IS42S16160B-7"].cycles(133.333e6, 3)
    assert (t.rcd, t.rp, t.ras, t.rc, t.rrd, t.wr, t.rfc, t.mrd) == (3, 3, 6, 9, 2, 2, 9, 2)
    t = PARTS["IS42S16160B-7"].cycles(100e6, 2)
    assert (t.rcd, t.rp, t.ras, t.rc, t.rrd, t.wr) == (2, 2, 5, 7, 2, 2)
    assert (t.refi, t.power_up) == (781, 20_000)
    t = PARTS["W9825G6JH-6"].cycles(50e6, 2)
    assert (t.rcd, t.rrd, t.wr, t.mrd) == (1, 2, 2, 2)  # the clocks that the datasheet asks for
    for part in PARTS.values():
        for hz in (50e6, 100e6, 133e6):
            t = part.cycles(hz, 3)
            for name in ("rcd", "ras", "rp", "rc", "rrd", "wr", "rfc", "mrd"):
                assert getattr(t, name) / hz * 1e9 >= getattr(part, f"{name}_ns") - 1e-3
            assert t.refi / hz * 1e9 <= part.refi_ns


def test_a_clock_that_is_too_fast_for_a_latency_is_refused() -> None:
    part = PARTS["MT48LC16M16A2-75"]
    with pytest.raises(ValueError, match=r"up to 100\.0 MHz, not 133 MHz"):
        part.cycles(133e6, 2)
    with pytest.raises(ValueError, match=r"one of \[2, 3\], not 4"):
        part.cycles(50e6, 4)
    PARTS["IS42S16160B-7"].cycles(143e6, 3)  # 7 ns, rounded


_SLOW_RC = replace(PART, rc_ns=90)
_LONG_CKE = replace(PART, cke_clocks=3)
_SHORT_RAS = replace(PART, ras_max_ns=30e3)

# Rule, what breaks it behind power-up, what just does not, and the part.
RULES = [
    ("tRCD", "A0 .1 R0", "A0 .2 R0", PART),
    ("tRCD", "A0 .1 W0", "A0 .2 W0", PART),
    ("tRAS", "A0 .4 P0", "A0 .5 P0", PART),
    ("tRAS max", "A0 .4100 P0", "A0 .3900 P0", _SHORT_RAS),
    ("tRP", "A0 .5 P0 .1 A0", "A0 .5 P0 .2 A0", PART),
    ("tRP", "A0 .5 P0 .1 F", "A0 .5 P0 .2 F", PART),
    ("tRC", "A0 .5 P0 .2 A0", "A0 .5 P0 .5 A0", _SLOW_RC),
    ("tRC", "A0 .5 P0 .2 F", "A0 .5 P0 .5 F", _SLOW_RC),
    ("tRRD", "A0 A1", "A0 . A1", PART),
    ("tWR", "A0 .5 W0 P0", "A0 .5 W0 . P0", PART),
    ("tWR", "A0 .5 W0 PA", "A0 .5 W0 . PA", PART),
    ("tRFC", "F .7 A0", "F .8 A0", PART),
    ("tRFC", "F .7 F", "F .8 F", PART),
    ("tMRD", "M3 A0", "M3 . A0", PART),
    ("tXSR", ".2 s k3 .9 A0", ".2 s k3 .10 A0", PART),
    ("tCKE", ".2 k2 .", ".2 k3 .", _LONG_CKE),
    ("tXP", ".2 k2 A0", ".2 k2 . A0", PART),
    ("refresh", ".9500", ".9000", PART),
    ("bank state", "A0 .9 A0", "A0 .9 A1", PART),
    ("bank state", "R0", "A0 .2 R0", PART),
    ("bank state", "A0 .5 P0 .2 W0", "A0 .5 W0", PART),
    ("bank state", "A0 .9 F", "A0 .9 P0 .2 F", PART),
    ("bank state", "A0 .9 M3", "A0 .9 P0 .2 M3", PART),
    ("data bus", "A0 .2 R0 .2 W0", "A0 .2 R0 .4 W0", PART),
    ("data bus", "A0 .2 R0 .3 W0", "A0 .2 R0 . W0", PART),
    ("data bus", "A0 .2 W0!", "A0 .2 W0", PART),
    ("burst", "M8 .1 A0 .4 W0 P0", "M3 .1 A0 .4 W0 .1 P0", PART),
    ("mode", "M5", "M3", PART),
    ("tCK", "M2", "M3", PART),
    ("CKE", "A0 .2 R0 k2", "A0 .2 R0 .4 k2", PART),
    ("auto-precharge", "A0 .2 a0", "A0 .2 R0", PART),
]


@pytest.mark.parametrize(("rule", "bad", "good", "part"), RULES)
def test_a_broken_rule_is_named_with_its_cycle_and_what_just_holds_is_let_pass(
    rule: str, bad: str, good: str, part: SdramPart
) -> None:
    chip = started(part, strict=False)
    play(chip, bad)
    assert [v for v in chip.violations if f": {rule}: cycle " in v], chip.violations
    play(started(part), good)


@pytest.mark.parametrize(
    "script",
    [
        "PA",  # before the wait is over
        ".14 F",
        ".14 M3",
        ".14 A0",
        ".14 PA .2 F .8 M3 .8 A0",  # one refresh of two
        ".14 PA .2 F .8 F .8 A0",  # no mode
    ],
)
def test_power_up_out_of_order_is_caught(script: str) -> None:
    with pytest.raises(SdramViolationError, match="power-up: cycle"):
        play(SdramChip(PART, CLOCK_HZ), script)


def test_a_violation_is_one_line_that_names_rule_cycle_and_bank() -> None:
    chip = started()
    begin = chip.cycle
    with pytest.raises(SdramViolationError) as caught:
        play(chip, "A2 .1 R2")
    assert str(caught.value) == (
        f"SDRAM IS42S16160B-7: tRCD: cycle {begin + 2}, bank 2: after 2 cycles, needs 20 ns"
    )


def test_what_is_written_is_read_after_the_latency_and_masked_bytes_stay() -> None:
    chip = started()
    play(chip, "A0 .2 W0", 0x1234)
    play(chip, "w0", 0xABCD)
    assert play(chip, "R0 .4") == [None, None, 0x12CD, None, None]
    assert play(chip, "R0 m .4")[2] is None  # masked two cycles behind DQM


def test_a_burst_of_eight_wraps_and_another_command_cuts_it() -> None:
    chip = started()
    play(chip, "M8 .1 A0 .4")
    for k in range(9):
        first = Pins(cas_n=0, we_n=0, a=COLUMN, dq=100, dq_oe=1)
        chip.step(first if k == 0 else Pins(dq=100 + k, dq_oe=int(k < 8)))
    seen = play(chip, "R0 .12")
    assert seen[2:10] == [100, 101, 102, 103, 104, 105, 106, 107]
    assert seen[10:] == [None] * 3
    seen = play(chip, "R0 .1 R0 .12")
    assert seen[2:8] == [100, 101, 100, 101, 102, 103]


@pytest.mark.parametrize("on_time", [True, False])
def test_a_row_that_is_refreshed_late_loses_its_data(on_time: bool) -> None:
    part = replace(PART, row_bits=4, refresh_window_ns=16 * 7812.5)
    chip = started(part, strict=False)
    play(chip, "A0 .2 W0 .5 P0 .2", 0x1234)
    for _ in range(40):
        chip.rest(1000)
        play(chip, "F .9" if on_time else ".10")
    play(chip, "A0 .2")
    read = play(chip, "R0 .2")[-1]
    if on_time:
        assert (read, chip.lost, chip.violations) == (0x1234, [], [])
    else:
        assert read != 0x1234
        assert chip.lost == [(0, ROW)]
        assert "more than 8 are postponed" in chip.violations[0]


def test_self_refresh_keeps_the_data() -> None:
    part = replace(PART, row_bits=4, refresh_window_ns=16 * 7812.5)
    chip = started(part)
    play(chip, "A0 .2 W0 .5 P0 .2", 0x1234)
    play(chip, "s k2")
    chip.rest(100_000)
    play(chip, ". .12 A0 .2")
    assert play(chip, "R0 .2")[-1] == 0x1234


def test_cells_that_were_never_written_are_not_zero() -> None:
    chip = started()
    play(chip, "A0 .2")
    read = {play(chip, "R0 .3")[2] for _ in range(2)}
    assert len(read) == 1
    assert read != {0}


def test_random_commands_never_surprise_the_model() -> None:
    generator = random.Random(1)
    chip = started(strict=False)
    for _ in range(20_000):
        chip.step(
            Pins(
                cke=int(generator.random() < 0.95),
                ras_n=generator.randrange(2),
                cas_n=generator.randrange(2),
                we_n=generator.randrange(2),
                ba=generator.randrange(4),
                a=generator.getrandbits(13),
                dq_oe=generator.randrange(2),
            )
        )
    assert len({v.split(":")[1] for v in chip.violations}) >= 12
