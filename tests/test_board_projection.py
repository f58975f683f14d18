"""The coder HUFFMAN on the virtual board: whole frames, counters, faults, errors of the caller."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from tests.board_bench import Checker
from tests.codec_bench import Case
from tests.codec_bench import random_case as block_case
from tests.damage import with_tiles
from tests.huffman_bench import projection_case
from tests.projection_cases import fitting_coding, frame, map_of, random_coding

from fmzip import regs
from fmzip.device import Device
from fmzip.errors import FormatError
from fmzip.format import TileMode, Transform, default_projection_tile
from fmzip.projection import ProjectionCoding
from fmzip.reference import encode, parse_head

# One worker compiles the board, and the others do not wait for it.
pytestmark = pytest.mark.xdist_group("vboard")


@pytest.fixture(scope="module")
def device() -> Iterator[Device]:
    with Device("vboard:") as board:
        yield board


def case_of(seed: int, values: int = 3000) -> Case:
    found = projection_case(seed, values)
    return Case(f"seed {seed}", found.config, found.values, found.coding)


def layer_case(transform: Transform, shape: tuple[int, int, int]) -> Case:
    """A map as large as a network's."""
    rng = np.random.default_rng(3)
    coding = fitting_coding(rng, shape[0], transform)
    rows, cols = default_projection_tile(*shape, transform)
    config = frame(coding, shape, transform, tile_rows=rows, tile_cols=cols, burst_log2=5)
    return Case("layer", config, map_of(rng, config), coding)


def test_random_frames_of_both_kinds_do_what_is_predicted(device: Device) -> None:
    checker = Checker(device)
    for seed in range(24):
        checker.check(case_of(5000 + seed), 1024 * seed)
        if seed % 6 == 0:
            checker.check(block_case(5000 + seed), 1024 * seed)


@pytest.mark.parametrize("transform", [Transform.PROJECTION, Transform.PROJECTION4])
def test_as_many_products_in_a_cycle_as_multipliers(device: Device, transform: Transform) -> None:
    case = layer_case(transform, (64, 16, 16))
    writing, _ = Checker(device).check(case)
    assert isinstance(case.coding, ProjectionCoding)
    products = sum(a.matrix.size for a in case.coding.forward)
    positions = case.config.positions(case.config.height, case.config.width)
    cycles = positions * products // device.multipliers
    # The last tile is coded when its last symbol is there.
    assert cycles <= writing["cycles"] <= 1.02 * cycles + 4000


def test_a_matrix_of_512_channels_fits(device: Device) -> None:
    Checker(device).check(layer_case(Transform.PROJECTION, (512, 2, 3)))


def test_another_projection_is_refused_and_the_right_one_is_loaded_again(device: Device) -> None:
    case, other = case_of(5100), case_of(5101)
    checker = Checker(device)
    checker.check(case)
    checker.check(other, 8192)
    checker.check(case)
    with pytest.raises(ValueError, match="the projection has the id"):
        device.decode(case.config, 0, replace_id(case))


def replace_id(case: Case) -> object:
    """A projection of the same sizes, with another id."""
    assert isinstance(case.coding, ProjectionCoding)
    tables = case.coding.tables
    first = tables.inverse[0]
    return replace(tables, inverse=(replace(first, offset=first.offset + 1), *tables.inverse[1:]))


@pytest.mark.parametrize("what", ["too long", "too short", "not zero"])
def test_damaged_symbols_are_found_where_the_sums_are_right(device: Device, what: str) -> None:
    case = layer_case(Transform.PROJECTION, (16, 24, 24))
    assert isinstance(case.coding, ProjectionCoding)
    config = case.config
    good = encode(case.values, config, case.coding)
    head = parse_head(good)
    offsets = (config.head_bytes + head.offsets).tolist()
    tiles = [good[start:stop] for start, stop in pairwise(offsets)]
    modes = [TileMode(mode) for mode in head.modes]
    if what == "too long":
        tiles[0] += bytes(config.burst_bytes)
    elif what == "too short":
        tiles[0] = tiles[0][: -config.burst_bytes]
    else:
        assert tiles[0][-1] == 0
        tiles[0] = tiles[0][:-1] + b"\x80"
    device.write_memory(0, with_tiles(config, tiles, modes))
    with pytest.raises(FormatError, match="its tiles are damaged"):
        device.decode(config, 0, case.coding.tables)
    Checker(device).check(case)


def test_what_a_board_cannot_hold_is_said(device: Device) -> None:
    rng = np.random.default_rng(9)
    for shape, transform, groups, message in (
        ((12, 4, 4), Transform.PROJECTION4, 1, "multiple of 8 channels only, not of 12"),
        ((16, 4, 4), Transform.PROJECTION4, 2, "one group only, not of 2"),
        ((520, 1, 1), Transform.PROJECTION, 4, "520 values, the board holds 512"),
    ):
        coding = random_coding(rng, shape[0], transform, groups)
        config = frame(coding, shape, transform)
        with pytest.raises(ValueError, match=message):
            device.encode(map_of(rng, config), config, coding=coding)
    coding = fitting_coding(rng, 256, Transform.PROJECTION)
    config = frame(coding, (256, 9, 9), Transform.PROJECTION)
    with pytest.raises(ValueError, match="symbols, the board holds 15360"):
        device.encode(map_of(rng, config), config, coding=coding)


def test_a_coder_that_is_not_there_is_a_fault_of_the_board() -> None:
    config = case_of(1).config
    with Device("vboard:?lanes=2") as narrow:
        with pytest.raises(ValueError, match="built without the coder huffman"):
            narrow.check(config)
        narrow.write_words(regs.REGISTER["head"].address, config.static_head())
        control = regs.REGISTER["control"].address
        narrow.write_words(control, regs.value_of("control", {"write": 1}).to_bytes(4, "little"))
        status = int.from_bytes(narrow.read_words(regs.REGISTER["status"].address, 1), "little")
        assert regs.fields_of("status", status)["fault"] == regs.Fault.CONFIG
