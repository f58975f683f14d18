"""The driver on the virtual board: frames, counters, damage, resets; and ports without a board."""

import os
import random
import socket
import time
from collections.abc import Iterator
from zlib import crc32

import numpy as np
import pytest
from tests.board_bench import Checker, case_of
from tests.codec_bench import random_case

from fmzip import device as driver
from fmzip import port as transport
from fmzip import regs
from fmzip.device import Device
from fmzip.errors import FmzipError, FormatError, LinkError
from fmzip.format import CRC_BYTES, FIELD, INDEX_OFFSET, Coder, Dtype, FrameConfig
from fmzip.reference import decode, encode
from fmzip.sdram import PARTS
from fmzip_sim.vboard.build import CLOCK_HZ, PART

pytestmark = pytest.mark.xdist_group("vboard")


@pytest.fixture(scope="module")
def shared() -> Iterator[Device]:
    """One board for all tests that leave it working; each is a test of the one before, too."""
    with Device() as device:
        yield device


CASE = case_of(
    FrameConfig(24, 12, 17, tile_rows=3, tile_cols=7, coder=Coder.BITMAP, zero_bitmap=True), "mixed"
)
FRAME = encode(CASE.values, CASE.config)


# Frames and counters -----------------------------------------------------------------------------


@pytest.mark.parametrize("group", range(4))
def test_frames_values_and_counters_are_those_that_are_predicted(
    shared: Device, group: int
) -> None:
    checker = Checker(shared)
    for seed in range(60 * group, 60 * group + 60):
        case = random_case(3000 + seed, blocks=300)
        last = (shared.memory_bytes - case.config.max_bytes) // regs.ROW_BYTES
        base = random.Random(seed).choice([0, last, random.Random(seed).randint(0, last)])
        checker.check(case, base * regs.ROW_BYTES)


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        # More beats than the stage holds, and exactly as many, and one more.
        (FrameConfig(64, 60, 56, tile_cols=56, coder=Coder.BITMAP, step=1500), "blob"),
        (FrameConfig(8, 128, 128, tile_rows=15, tile_cols=128), "smooth"),
        (FrameConfig(1, 1, 16385, tile_cols=1920, dtype=Dtype.INT8), "random"),
        # As many tiles as the index holds; as many blocks as a tile may have.
        (FrameConfig(8, 32, 32, burst_log2=3), "mixed"),
        (FrameConfig(9, 4, 960, tile_cols=960, keep=0x0F, coder=Coder.BITMAP), "sparse"),
        (FrameConfig(2048, 3, 7, tile_cols=7, zero_bitmap=True, burst_log2=8), "blob"),
    ],
    ids=["pieces", "full stage", "one beat more", "most tiles", "largest tiles", "deep"],
)
def test_frames_at_the_limits_are_those_that_are_predicted(
    shared: Device, config: FrameConfig, kind: str
) -> None:
    Checker(shared).check(case_of(config, kind))


def test_the_same_frame_takes_the_same_cycles_every_time_but_for_refreshes(
    shared: Device,
) -> None:
    checker = Checker(shared)
    seen = [checker.check(CASE, base) for base in (0, 0, 64 * regs.ROW_BYTES, 0)]
    for both in zip(*seen, strict=True):
        cycles = [counters["cycles"] for counters in both]
        # Rows that a refresh has closed are opened again.
        assert max(cycles) - min(cycles) <= 40


def test_a_snapshot_stays_until_the_next_one(shared: Device) -> None:
    shared.counters(clear=True)
    shared.encode(CASE.values, CASE.config)
    shared.counters()
    first = regs.REGISTER[regs.COUNTERS[0].name].address
    taken = shared.read_words(first, 2 * len(regs.COUNTERS))
    shared.decode(CASE.config)
    assert shared.read_words(first, 2 * len(regs.COUNTERS)) == taken
    assert shared.counters()["read_bytes"] == len(FRAME)


def test_counters_add_up_over_frames_until_they_are_cleared(shared: Device) -> None:
    shared.counters(clear=True)
    for _ in range(3):
        shared.encode(CASE.values, CASE.config)
    assert shared.counters()["write_bytes"] == 3 * len(FRAME)
    assert shared.counters(clear=True)["write_bytes"] == 3 * len(FRAME)
    assert not any(shared.counters().values())


def test_frames_at_different_places_do_not_touch_each_other(shared: Device) -> None:
    cases = [case_of(CASE.config, "blob", seed) for seed in range(4)]
    size = -(-CASE.config.max_bytes // regs.ROW_BYTES) * regs.ROW_BYTES
    for k in (2, 0, 3, 1):
        shared.encode(cases[k].values, cases[k].config, size * k)
    for k, case in enumerate(cases):
        np.testing.assert_array_equal(
            shared.decode(case.config, size * k), decode(encode(case.values, case.config))
        )


def test_a_frame_from_the_reference_decodes_on_the_board(shared: Device) -> None:
    shared.write_memory(regs.ROW_BYTES, FRAME)
    np.testing.assert_array_equal(shared.decode(CASE.config, regs.ROW_BYTES), decode(FRAME))


def test_memory_gives_back_what_was_written(shared: Device) -> None:
    data = random.Random(1).randbytes(5000)
    for address in (0, 8, 1016, shared.memory_bytes - len(data)):
        shared.write_memory(address, data)
        assert shared.read_memory(address, len(data)) == data
    assert shared.read_memory(0, 0) == b""


def test_the_board_says_how_it_was_built(shared: Device) -> None:
    assert (shared.lanes, shared.stage_beats, shared.max_blocks) == (8, 16384, 1920)
    assert (shared.rans, shared.max_slots) == (True, 7680)
    assert shared.memory_bytes == PARTS[PART].size_bytes
    assert shared.clock_hz == CLOCK_HZ
    assert shared.tier == "simulated"


def test_addresses_outside_all_windows_read_as_zero(shared: Device) -> None:
    for address in (0x2000_0000, 0x7000_0000, 0x9000_0000, 0xF000_0000):
        shared.write_words(address, b"\x55" * 8)
        assert shared.read_words(address, 2) == bytes(8)


# Refusals ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "base", "message"),
    [
        (FrameConfig(8, 1, 1921, tile_cols=1921), 0, "1921 blocks, the board holds 1920"),
        (FrameConfig(8, 25, 41), 0, "1025 tiles, the board's index has 1024"),
        (CASE.config, 512, "base must be a multiple of 1024"),
        (CASE.config, -1024, "base must be a multiple of 1024"),
        (CASE.config, PARTS[PART].size_bytes - 1024, "base must be a multiple of 1024"),
    ],
)
def test_a_frame_that_does_not_fit_is_refused_before_anything_is_sent(
    shared: Device, config: FrameConfig, base: int, message: str
) -> None:
    values = np.zeros((config.channels, config.height, config.width), np.uint8)
    for call in (lambda: shared.encode(values, config, base), lambda: shared.decode(config, base)):
        with pytest.raises(ValueError, match=message):
            call()
    Checker(shared).check(CASE)


def test_a_frame_larger_than_the_memory_is_refused(
    shared: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "memory_bytes", CASE.config.max_bytes - 1)
    with pytest.raises(ValueError, match=r"a frame of .* bytes, the memory has"):
        shared.encode(CASE.values, CASE.config)


@pytest.mark.parametrize(
    ("values", "error"),
    [
        (CASE.values[:, :, 1:], ValueError),
        (CASE.values.astype(np.int8), TypeError),
        (CASE.values.astype(np.float32), TypeError),
        (CASE.values.tolist(), TypeError),
    ],
)
def test_values_that_are_not_the_configured_ones_are_refused(
    shared: Device, values: object, error: type[Exception]
) -> None:
    with pytest.raises(error):
        shared.encode(values, CASE.config)  # type: ignore[arg-type]
    Checker(shared).check(CASE)


@pytest.mark.parametrize(
    "call",
    [
        lambda d: d.read_memory(4, 8),
        lambda d: d.read_memory(0, 4),
        lambda d: d.read_memory(-8, 8),
        lambda d: d.read_memory(d.memory_bytes, 8),
        lambda d: d.write_memory(0, bytes(7)),
        lambda d: d.write_memory(d.memory_bytes - 8, bytes(16)),
        lambda d: d.write_words(0, bytes(3)),
        lambda d: d.read_words(2, 1),
        lambda d: d.read_words(1 << 32, 1),
    ],
)
def test_accesses_that_are_not_whole_words_inside_are_refused(shared: Device, call) -> None:
    with pytest.raises(ValueError, match=r"words|address must be a multiple of 4"):
        call(shared)


def test_too_many_tiles_are_refused_by_the_board_itself(
    shared: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = FrameConfig(8, 25, 41)
    monkeypatch.setattr(Device, "check", lambda *_: None)
    with pytest.raises(FormatError, match="more than the 1024 tiles of its index"):
        shared.decode(config)
    with pytest.raises(FormatError, match="more than the 1024 tiles of its index"):
        shared.encode(np.zeros((8, 25, 41), np.uint8), config)
    monkeypatch.undo()
    Checker(shared).check(CASE)


# Damaged frames ----------------------------------------------------------------------------------


def _with_crc(frame: bytes, config: FrameConfig) -> bytes:
    """The frame with a head whose CRC is right again."""
    head = frame[: config.head_bytes - CRC_BYTES]
    return head + crc32(head).to_bytes(CRC_BYTES, "little") + frame[config.head_bytes :]


def _flipped(frame: bytes, place: int, bit: int = 0) -> bytes:
    out = bytearray(frame)
    out[place] ^= 1 << bit
    return bytes(out)


def _refuses(device: Device, frame: bytes, message: str) -> None:
    device.write_memory(0, frame)
    with pytest.raises(FormatError, match=message):
        device.decode(CASE.config)
    device.write_memory(0, FRAME)
    np.testing.assert_array_equal(device.decode(CASE.config), decode(FRAME))


@pytest.mark.parametrize("name", FIELD)
def test_a_flip_in_any_field_of_the_head_is_named(shared: Device, name: str) -> None:
    field = FIELD[name]
    known = field.offset < FIELD["payload_bursts"].offset
    message = "not the configured one" if known else "CRC-32 of the head"
    _refuses(shared, _flipped(FRAME, field.offset + field.size - 1, 3), message)


@pytest.mark.parametrize(
    "place", [INDEX_OFFSET, INDEX_OFFSET + 3, INDEX_OFFSET + 4 * CASE.config.tiles - 1, -4, -1]
)
def test_a_flip_in_index_or_crc_of_the_head_is_named(shared: Device, place: int) -> None:
    at = place % CASE.config.head_bytes
    _refuses(shared, _flipped(FRAME, at), "CRC-32 of the head")


def test_a_wrong_total_crc_is_named(shared: Device) -> None:
    damaged = _flipped(FRAME, FIELD["tiles_crc"].offset + 2, 5)
    _refuses(shared, _with_crc(damaged, CASE.config), "CRC-32 of the tiles")


@pytest.mark.parametrize("tile", [0, 1, 5, CASE.config.tiles - 1])
def test_an_index_that_does_not_ascend_is_named(shared: Device, tile: int) -> None:
    at = INDEX_OFFSET + 4 * tile
    # The first tile must start at zero; the others behind the one before.
    entry = (1 if tile == 0 else 0).to_bytes(3, "little")
    damaged = FRAME[:at] + entry + FRAME[at + 3 :]
    _refuses(shared, _with_crc(damaged, CASE.config), "index does not ascend")


def test_an_index_that_ends_behind_the_tiles_is_named(shared: Device) -> None:
    at = FIELD["payload_bursts"].offset
    damaged = FRAME[:at] + (3).to_bytes(4, "little") + FRAME[at + 4 :]
    _refuses(shared, _with_crc(damaged, CASE.config), "index does not ascend")


@pytest.mark.parametrize("group", range(3))
def test_any_flip_in_the_tiles_is_found_and_the_next_frame_is_right(
    shared: Device, group: int
) -> None:
    generator = random.Random(group)
    for _ in range(20):
        place = generator.randrange(CASE.config.head_bytes, len(FRAME))
        _refuses(shared, _flipped(FRAME, place, generator.randrange(8)), "CRC-32 of the tiles")


def test_a_memory_without_a_frame_is_refused(shared: Device) -> None:
    for filling in (b"\0", b"\xff"):
        _refuses(shared, filling * len(FRAME), "not the configured one")


def test_a_frame_of_another_configuration_is_refused(shared: Device) -> None:
    other = FrameConfig(24, 12, 17, tile_rows=3, tile_cols=7, coder=Coder.WIDTH, zero_bitmap=True)
    _refuses(shared, encode(CASE.values, other), "not the configured one")


# Frames that are broken off ----------------------------------------------------------------------


def _begin(device: Device, what: str, beats: int, given: int = 0) -> None:
    """Start a frame by hand, with a piece of ``beats`` beats, of which ``given`` are fresh."""
    head = CASE.config.static_head()
    multiplier = driver.multiplier(CASE.config.step)
    encode_bit = 1 << regs.bits("piece", "encode").low
    for name, value in (
        ("control", 1 << regs.bits("control", "reset").low),
        ("base", 0),
        ("multiplier", multiplier),
    ):
        device.write_words(regs.REGISTER[name].address, value.to_bytes(4, "little"))
    device.write_words(regs.REGISTER["head"].address, head)
    device.write_words(regs.STAGE, random.Random(beats).randbytes(8 * given))
    _control(device, what)
    piece = beats | (encode_bit if what == "write" else 0)
    device.write_words(regs.REGISTER["piece"].address, piece.to_bytes(4, "little"))


def _control(device: Device, name: str) -> None:
    value = 1 << regs.bits("control", name).low
    device.write_words(regs.REGISTER["control"].address, value.to_bytes(4, "little"))


def _status(device: Device) -> dict[str, int]:
    value = device.read_words(regs.REGISTER["status"].address, 1)
    return regs.fields_of("status", int.from_bytes(value, "little"))


# A part of the frame's 612 beats; all of them; more, which the codec does not take.
@pytest.mark.parametrize("beats", [1, 100, 611, 612, 613, 16384])
@pytest.mark.parametrize("what", ["write", "read"])
def test_a_reset_in_the_middle_of_a_frame_leaves_nothing_behind(
    shared: Device, what: str, beats: int
) -> None:
    shared.write_memory(0, FRAME)
    _begin(shared, what, beats, given=min(beats, 700))
    _control(shared, "reset")
    assert not any(_status(shared).values())
    Checker(shared).check(CASE, 4096)


@pytest.mark.parametrize("what", ["write", "read"])
@pytest.mark.parametrize("pause_s", [0, 0.02])
def test_a_frame_after_one_that_nobody_ended_is_right(
    shared: Device, what: str, pause_s: float
) -> None:
    shared.write_memory(0, FRAME)
    _begin(shared, what, 600, given=600)
    time.sleep(pause_s)
    shared.encode(CASE.values, CASE.config, 4096)
    assert shared.read_memory(4096, len(FRAME)) == FRAME
    Checker(shared).check(CASE)
    _begin(shared, what, 300, given=300)
    time.sleep(pause_s)
    shared.write_memory(0, FRAME)
    np.testing.assert_array_equal(shared.decode(CASE.config), decode(FRAME))
    Checker(shared).check(CASE)


def test_a_frame_that_waits_for_the_host_does_not_count_cycles(shared: Device) -> None:
    shared.counters(clear=True)
    _begin(shared, "write", 100, given=100)
    time.sleep(0.05)
    seen = shared.counters()
    assert seen["encoder_beats"] == 100
    assert 100 <= seen["cycles"] < 200
    assert shared.counters() == seen
    assert _status(shared)["writing"] == 1
    _control(shared, "reset")


def test_what_the_host_reads_and_writes_beside_a_frame_is_not_counted(shared: Device) -> None:
    shared.counters(clear=True)
    _begin(shared, "write", 100, given=100)
    time.sleep(0.05)
    seen = shared.counters()
    shared.read_memory(0, 2048)
    shared.write_memory(1 << 20, bytes(1024))
    assert shared.counters() == seen
    assert _status(shared)["writing"] == 1
    _control(shared, "reset")
    Checker(shared).check(CASE)


# Boards ------------------------------------------------------------------------------------------


def test_two_boards_at_once_have_nothing_in_common() -> None:
    with Device() as one, Device() as two:
        other = case_of(CASE.config, "smooth", 9)
        one.encode(CASE.values, CASE.config)
        two.encode(other.values, other.config)
        np.testing.assert_array_equal(one.decode(CASE.config), decode(FRAME))
        np.testing.assert_array_equal(
            two.decode(CASE.config), decode(encode(other.values, other.config))
        )


def test_a_closed_board_is_gone_and_a_new_one_works() -> None:
    device = Device()
    device.close()
    with pytest.raises(LinkError, match="not open"):
        device.counters()
    device.close()
    with Device("vboard://") as again:
        Checker(again).check(CASE)


def test_a_board_that_dies_is_a_link_error_at_once_and_a_new_one_works() -> None:
    with Device() as device:
        device.encode(CASE.values, CASE.config)
        device._port.serial._process.kill()  # type: ignore[attr-defined]
        begin = time.monotonic()
        with pytest.raises(LinkError, match="the virtual board ended"):
            device.decode(CASE.config)
        assert time.monotonic() - begin < 1
        with pytest.raises(LinkError, match="the virtual board ended"):
            device.counters()
    with Device() as again:
        Checker(again).check(CASE)


def test_a_board_with_other_tables_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = regs.ident()
    monkeypatch.setattr(regs, "ident", lambda: 0x12345678)
    with pytest.raises(LinkError, match=f"tables are {mine:08x}, this program's 12345678"):
        Device()


def test_a_counter_at_its_end_is_a_link_error(
    shared: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = regs.fields_of
    monkeypatch.setattr(regs, "fields_of", lambda *a: {**real(*a), "overflow": 1})
    with pytest.raises(LinkError, match="a counter has reached its end"):
        shared.counters()


def test_a_board_that_never_finishes_is_a_link_error_and_is_reset(
    shared: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "_STUCK_S", 0.1)
    monkeypatch.setattr(driver, "beat_count", lambda *_: 613)  # one more than the frame has
    shared.write_memory(0, FRAME)
    with pytest.raises(LinkError, match=r"still says `piece` after 0\.1 s"):
        shared.decode(CASE.config)
    monkeypatch.undo()
    assert not any(_status(shared).values())
    Checker(shared).check(CASE)


# Ports without a board ---------------------------------------------------------------------------


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> float:
    monkeypatch.setattr(transport, "REPLY_TIMEOUT_S", 0.2)
    return 0.2


def _is_mute(port: str, timeout_s: float) -> None:
    begin = time.monotonic()
    with pytest.raises(LinkError, match=r"no answer within 0\.2 s"):
        Device(port)
    assert timeout_s <= time.monotonic() - begin < timeout_s + 0.5


def test_a_port_that_only_echoes_is_a_link_error(impatient: float) -> None:
    _is_mute("loop://", impatient)


def test_a_terminal_that_does_not_answer_is_a_link_error(impatient: float) -> None:
    ours, theirs = os.openpty()
    try:
        _is_mute(os.ttyname(theirs), impatient)
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_peer_that_does_not_answer_is_a_link_error(impatient: float) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        _is_mute(f"socket://127.0.0.1:{server.getsockname()[1]}", impatient)


def test_a_port_that_babbles_is_a_link_error_in_time(
    impatient: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = random.Random(1)
    opened = transport._open("loop://")
    monkeypatch.setattr(type(opened), "read", lambda self, size=1: generator.randbytes(size))
    monkeypatch.setattr(transport, "_open", lambda _: opened)
    _is_mute("noise", impatient)
    assert not opened.is_open


@pytest.mark.parametrize(
    "port", ["/dev/no-such-port", "nonsense://", "socket://127.0.0.1:1", "vboard:?lanes=3", ""]
)
def test_a_port_that_does_not_exist_is_one_line(port: str) -> None:
    with pytest.raises(LinkError) as caught:
        Device(port)
    assert isinstance(caught.value, FmzipError)
    text = str(caught.value)
    assert text.isprintable()
    assert port in text


@pytest.mark.parametrize("port", ["vboard:", "VBOARD://", "vboard://?lanes=8"])
def test_the_virtual_board_is_simulated_however_it_is_spelt(port: str) -> None:
    with Device(port) as device:
        assert device.tier == "simulated"


def test_no_port_and_no_url_are_one_line() -> None:
    for port in ("", "hwgrep://("):
        with pytest.raises(LinkError) as it:
            Device(port)
        assert str(it.value).isprintable()
