"""The coder GF2 on the virtual board: whole frames, counters, faults, errors of the caller."""

from collections.abc import Iterator

import numpy as np
import pytest
from tests.board_bench import Checker
from tests.codec_bench import Case
from tests.damage import with_tiles
from tests.gf2_cases import frame, map_of, random_coding

from fmzip.device import Device
from fmzip.errors import FormatError
from fmzip.format import Dtype, TileMode, Transform
from fmzip.gf2 import PlaneCoding, Rule
from fmzip.reference import encode

# One worker compiles the board, and the others do not wait for it.
pytestmark = pytest.mark.xdist_group("vboard")


@pytest.fixture(scope="module")
def device() -> Iterator[Device]:
    with Device("vboard:") as board:
        yield board


def case_of(
    seed: int, shape: tuple[int, int, int], transform: Transform, stored: int,
    rule: Rule = Rule.POPCOUNT, dtype: Dtype = Dtype.UINT8, burst_log2: int = 5,
) -> Case:  # fmt: skip
    rng = np.random.default_rng(seed)
    coding = random_coding(rng, shape[0], transform, stored, rule)
    zero_point = -7 if dtype == Dtype.INT8 else 3
    config = frame(
        coding, shape, transform, dtype=dtype, zero_point=zero_point, burst_log2=burst_log2
    )
    return Case(f"seed {seed}", config, map_of(rng, config), coding)


def test_frames_are_those_of_the_reference_and_counted(device: Device) -> None:
    checker = Checker(device)
    for k, case in enumerate((
        case_of(1, (16, 9, 11), Transform.BITS, 64),
        case_of(2, (64, 5, 4), Transform.BITS, 250, burst_log2=8),
        case_of(3, (3, 20, 30), Transform.BITS, 7, Rule.XOR, Dtype.INT8, 3),
        case_of(4, (16, 7, 9), Transform.BITS4, 292),
        case_of(5, (5, 8, 7), Transform.BITS4, 33, Rule.XOR, Dtype.INT8),
        case_of(6, (1, 1, 1), Transform.BITS, 1, burst_log2=7),
        case_of(7, (64, 3, 3), Transform.BITS, 512),
        case_of(1, (16, 9, 11), Transform.BITS, 64),
    )):  # fmt: skip
        writing, reading = checker.check(case, 1024 * k)
        config = case.config
        beats = writing["encoder_beats"]
        cycles = beats * -(-config.components // 8)
        assert writing["cycles"] <= cycles + 1000
        cycles = 8 * beats * -(-config.components // device.adders)
        assert cycles <= reading["cycles"] <= cycles + 1000


@pytest.mark.soak
@pytest.mark.parametrize("part", range(4))
def test_many_frames_are_those_of_the_reference(device: Device, part: int) -> None:
    checker = Checker(device)
    for seed in range(100 * part, 100 * part + 100):
        rng = np.random.default_rng(seed)
        square = bool(rng.integers(2))
        channels = int(rng.integers(1, 17 if square else 65))
        values = channels * (4 if square else 1)
        stored = int(rng.integers(1, min(512, 8 * values) + 1))
        shape = (channels, int(rng.integers(1, 9)), int(rng.integers(1, 9)))
        transform = Transform.BITS4 if square else Transform.BITS
        rule, dtype = Rule(int(rng.integers(1, 3))), Dtype(int(rng.integers(2)))
        case = case_of(seed, shape, transform, stored, rule, dtype, int(rng.integers(3, 9)))
        checker.check(case, 1024 * seed)


@pytest.mark.parametrize("what", ["too long", "too short", "not zero"])
def test_damaged_planes_are_found_where_the_sums_are_right(device: Device, what: str) -> None:
    case = case_of(9, (16, 8, 8), Transform.BITS, 29)
    config = case.config
    tile = encode(case.values, config, case.coding)[config.head_bytes :]
    assert tile[-1] == 0
    tile = {
        "too long": tile + bytes(config.burst_bytes),
        "too short": tile[: -config.burst_bytes],
        "not zero": tile[:-1] + b"\x80",
    }[what]
    device.write_memory(0, with_tiles(config, [tile], [TileMode.CODED]))
    assert isinstance(case.coding, PlaneCoding)
    with pytest.raises(FormatError, match="its tiles are damaged"):
        device.decode(config, 0, case.coding.tables)
    Checker(device).check(case)


def test_what_a_board_cannot_hold_is_said(device: Device) -> None:
    rng = np.random.default_rng(9)
    for shape, transform, stored, decoder, coded, message in (
        ((72, 2, 2), Transform.BITS, 8, Rule.NONE, False, "72 values, the board holds 64"),
        ((17, 2, 2), Transform.BITS4, 8, Rule.NONE, False, "96 values, the board holds 64"),
        ((64, 1, 1), Transform.BITS, 512 - 1, Rule.XOR, False, "has no layer, only integers"),
        ((8, 2, 2), Transform.BITS, 8, Rule.NONE, True, "planes behind the coder huffman"),
    ):
        coding = random_coding(rng, shape[0], transform, stored, decoder=decoder, coded=coded)
        config = frame(coding, shape, transform)
        with pytest.raises(ValueError, match=message):
            device.encode(map_of(rng, config), config, coding=coding)
