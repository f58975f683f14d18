"""The coder RANS on the virtual board: whole frames, counters, faults, errors of the caller."""

import random
from collections.abc import Iterator
from dataclasses import replace
from zlib import crc32

import numpy as np
import pytest
from tests.board_bench import Checker
from tests.codec_bench import Case, value_map
from tests.codec_bench import random_case as block_case
from tests.plane_bench import plane_case, with_tables
from tests.rans_bench import random_tables

from fmzip.device import Device
from fmzip.errors import FormatError
from fmzip.format import Coder, FrameConfig, TileMode, Transform, default_rans_tile
from fmzip.reference import decode, encode, parse_head
from fmzip.tables import Coding, Diffusion, Tables

# One worker compiles the board, and the others do not wait for it.
pytestmark = pytest.mark.xdist_group("vboard")


@pytest.fixture(scope="module")
def device() -> Iterator[Device]:
    with Device("vboard:") as board:
        yield board


def tabled_case(seed: int, pixels: int = 300) -> Case:
    return with_tables(*plane_case(seed, pixels), seed)


NEAREST = Diffusion()


def layer_case(
    transform: Transform, shape: tuple[int, int, int], diffusion: Diffusion = NEAREST
) -> Case:
    """A map as large as a network's, with tables whose statistics are not its own."""
    rows, cols = default_rans_tile(*shape, transform)
    config = FrameConfig(
        *shape, tile_rows=rows, tile_cols=cols, transform=transform, coder=Coder.RANS, step=900
    )
    values = value_map(config, "sparse", np.random.default_rng(1))
    tables = random_tables(transform, random.Random(1))
    return Case("layer", replace(config, tables=tables.id), values, Coding(tables, diffusion))


def test_random_frames_of_both_kinds_do_what_is_predicted(device: Device) -> None:
    checker = Checker(device)
    for seed in range(36):
        checker.check(tabled_case(3000 + seed), 1024 * seed)
        if seed % 6 == 0:
            checker.check(block_case(3000 + seed), 1024 * seed)


def check_speed(device: Device, transform: Transform) -> None:
    """A slot, or a part of one, in every cycle."""
    diffusion = Diffusion(128, 7, 5, 2) if transform == Transform.BYPASS else NEAREST
    case = layer_case(transform, (64, 28, 28), diffusion)
    # All values zero, and zeros cost next to nothing: so the memory is waited for by no one.
    sure = Tables(bytes(512 * case.config.planes), bytes([255, *[0] * 30, 1]))
    config = replace(case.config, tables=sure.id)
    zeros = np.zeros_like(case.values)
    case = replace(case, config=config, values=zeros, coding=Coding(sure, diffusion))
    writing, reading = Checker(device).check(case)
    slots = config.planes * 8 * 28 * 28 // (4 if transform == Transform.WHT4 else 1)
    slots *= 8 // device.lanes
    last = slots // config.tiles  # the encoder goes over a tile twice
    for cycles, expected in ((writing["cycles"], slots + last), (reading["cycles"], slots)):
        assert slots <= cycles <= 1.02 * expected + 300, f"{cycles} cycles, {slots} slots"


@pytest.mark.parametrize("transform", [Transform.BYPASS, Transform.NIBBLES, Transform.WHT4])
def test_a_slot_per_cycle_but_for_escapes_and_the_gaps_of_tiles(
    device: Device, transform: Transform
) -> None:
    check_speed(device, transform)


@pytest.mark.parametrize("lanes", [2, pytest.param(4, marks=pytest.mark.soak)])
def test_boards_of_fewer_lanes_make_the_same_frames_a_beat_per_cycle(lanes: int) -> None:
    with Device(f"vboard:?lanes={lanes}") as narrow:
        checker = Checker(narrow)
        for seed in range(16):
            checker.check(tabled_case(3000 + seed), 1024 * seed)
        checker.check(layer_case(Transform.BYPASS, (64, 15, 64), Diffusion(100, 15, 0, 3)))
        check_speed(narrow, Transform.BYPASS)


def test_the_largest_tiles_come_back(device: Device) -> None:
    checker = Checker(device)
    checker.check(layer_case(Transform.BYPASS, (64, 15, 64), Diffusion(100, 15, 0, 3)))
    checker.check(layer_case(Transform.BYPASS, (64, 3, 256)))
    checker.check(layer_case(Transform.WHT4, (2048, 2, 7)))
    checker.check(layer_case(Transform.NIBBLES, (4096, 2, 3)))


def test_other_tables_are_found_out_by_the_states_of_the_tiles(device: Device) -> None:
    halving, hump = bytes([128, 64, 32, 16, 8, 4, 2, 1]), bytes([16, 32, 128, 64, 8, 4, 2, 1])
    frequencies = b"".join(row + bytes(23) + b"\1" for row in (halving, hump))
    contexts = bytearray(512)
    tables = Tables(bytes(contexts), frequencies)
    coding = Coding(tables, NEAREST)
    case = layer_case(Transform.BYPASS, (24, 9, 10))
    config = replace(case.config, tables=tables.id, step=2000)
    frame = encode(case.values, config, coding)
    assert parse_head(frame).modes.tolist() == [TileMode.CODED]
    device.write_memory(0, frame)
    # The id has 16 bits: some other tables have the same one.
    other = random.Random(1)
    while True:
        contexts[:64] = other.getrandbits(64).to_bytes(8, "little") * 8
        contexts[:64] = bytes(byte >> (n // 8) & 1 for n, byte in enumerate(contexts[:64]))
        string = bytes(contexts) + frequencies
        if crc32(string) & 0xFFFF == tables.id and any(contexts):
            break
    with pytest.raises(FormatError, match="are not the frame's, or its tiles are damaged"):
        device.decode(config, 0, Tables(bytes(contexts), frequencies))
    back = device.decode(config, 0, tables)
    np.testing.assert_array_equal(back, decode(frame, tables))


def test_what_the_board_cannot_hold_is_refused_before_it_is_asked(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    for shape, transform, message in (
        ((8200, 1, 1), Transform.BYPASS, "a position has 1025 slots, the board holds 1024"),
        ((64, 1, 300), Transform.BYPASS, "a row of a tile has 2400 slots, the board holds 2048"),
        ((64, 70, 14), Transform.NIBBLES, "a tile has 15680 slots, the board holds 7680"),
    ):
        config = FrameConfig(
            *shape, tile_rows=shape[1], tile_cols=shape[2], transform=transform, coder=Coder.RANS
        )
        with pytest.raises(ValueError, match=message):
            device.check(config)
    monkeypatch.setattr(device, "rans", False)
    with pytest.raises(ValueError, match="built without the coder rans"):
        device.check(tabled_case(1).config)


def test_tables_are_asked_for_and_must_be_the_configured_ones(device: Device) -> None:
    case = tabled_case(2)
    with pytest.raises(ValueError, match="coder rans needs tables"):
        device.encode(case.values, case.config)
    with pytest.raises(ValueError, match="the frame needs the tables 0x"):
        device.decode(case.config)
    other = replace(case.config, tables=case.config.tables ^ 1)
    assert case.coding is not None
    with pytest.raises(ValueError, match="tables have the id"):
        device.encode(case.values, other, 0, case.coding)
