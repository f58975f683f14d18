"""Packets without their wire: any bytes in, only intact replies out."""

import random
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fmzip.packets import Hello, Receiver, Reply, cobs_decode, cobs_encode, request
from fmzip.protocol import (
    COBS_RUN,
    HELLO_WORDS,
    MAX_WORDS,
    NO_SESSION,
    REPLY,
    REQUEST_HEAD,
    Op,
    max_packet,
)

# Long runs without a zero are what COBS is about.
PIECES = st.one_of(
    st.binary(max_size=20),
    st.sampled_from([b"\0", b"\0\0", b"\x01" * 253, b"\x02" * 254, b"\xff" * 255, b"\x03" * 600]),
)
DATA = st.lists(PIECES, max_size=6).map(b"".join)


def wire(op: int, sequence: int, count: int, data: bytes = b"") -> bytes:
    """A packet of the board; nothing is checked, so that impossible ones can be made."""
    body = bytes((op, sequence)) + count.to_bytes(2, "little") + data
    return cobs_encode(body + crc32(body).to_bytes(4, "little")) + b"\0"


def replies_of(seed: int, number: int) -> tuple[list[Reply], list[bytes]]:
    generator = random.Random(seed)
    replies = []
    for k in range(number):
        op = generator.choice([Op.READ, Op.READ, Op.WRITE, Op.HELLO, NO_SESSION])
        count = generator.choice([0, 1, 2, 63, 64, MAX_WORDS])
        count = {Op.HELLO: HELLO_WORDS, NO_SESSION: 0}.get(op, count)
        data = generator.randbytes(4 * count) if op in (Op.READ, Op.HELLO) else b""
        if generator.random() < 0.3:
            data = bytes(len(data))
        replies.append(Reply(op, k % 256, count, data))
    return replies, [wire(r.op | REPLY, r.sequence, r.count, r.data) for r in replies]


# COBS --------------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None, derandomize=True)
@given(DATA)
def test_cobs_gives_back_what_it_took(data: bytes) -> None:
    coded = cobs_encode(data)
    assert 0 not in coded
    assert len(data) + 1 <= len(coded) <= len(data) + len(data) // COBS_RUN + 1
    assert cobs_decode(coded) == data


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.binary(max_size=300))
def test_cobs_decodes_or_refuses_any_bytes(data: bytes) -> None:
    decoded = cobs_decode(data)
    if 0 in data:
        assert decoded is None
    if decoded is not None and data:
        # One packet has two forms: the longest run at its end needs no empty run behind it.
        assert cobs_encode(decoded) in (data, data + b"\x01")


@pytest.mark.parametrize(
    ("data", "coded"),
    [
        # From the paper and from its usual examples.
        ("", "01"),
        ("00", "0101"),
        ("0000", "010101"),
        ("11223300", "0411223301"),
        ("11220033", "0311220233"),
        ("1100000011", "021101010211"),
    ],
)
def test_cobs_equals_known_examples(data: str, coded: str) -> None:
    assert cobs_encode(bytes.fromhex(data)).hex() == coded
    assert cobs_decode(bytes.fromhex(coded)) == bytes.fromhex(data)


@pytest.mark.parametrize("size", [253, 254, 255, 256, 507, 508, 509, 1036])
def test_cobs_splits_long_runs(size: int) -> None:
    data = bytes(k % 255 + 1 for k in range(size))
    for whole in (data, data + b"\0", b"\0" + data, data + b"\0" + data):
        assert cobs_decode(cobs_encode(whole)) == whole


@pytest.mark.parametrize("coded", ["02", "0311", "05112233", "ff11", "02110311", "00", "0100"])
def test_cobs_refuses_what_ends_within_a_run_or_has_a_zero(coded: str) -> None:
    assert cobs_decode(bytes.fromhex(coded)) is None


# Requests ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 2, MAX_WORDS])
@pytest.mark.parametrize("op", [Op.READ, Op.WRITE])
def test_a_request_is_head_data_and_crc_in_cobs(op: Op, count: int) -> None:
    data = bytes(k % 256 for k in range(4 * count)) if op == Op.WRITE else b""
    packet = request(op, 77, 0x8000_0010, count, data)
    assert packet.endswith(b"\0")
    assert packet.count(0) == 1
    assert len(packet) <= max_packet()
    body = cobs_decode(packet[:-1])
    assert body is not None
    assert crc32(body[:-4]) == int.from_bytes(body[-4:], "little")
    head, sent = body[:REQUEST_HEAD], body[REQUEST_HEAD:-4]
    assert head == bytes((op, 77)) + count.to_bytes(2, "little") + b"\x10\0\0\x80"
    assert sent == data


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((Op.READ, 0, 2, 1), "address must be a multiple of 4"),
        ((Op.READ, 0, -4, 1), "address must be a multiple of 4"),
        ((Op.READ, 0, 1 << 32, 0), "address must be a multiple of 4"),
        ((Op.READ, 0, (1 << 32) - 4, 2), r"2 words end below 2\*\*32"),
        ((Op.READ, 0, 0, MAX_WORDS + 1), "count must be 0 to 256, not 257"),
        ((Op.READ, 0, 0, -1), "count must be 0 to 256, not -1"),
        ((Op.READ, 256, 0, 1), "sequence must be 0 to 255, not 256"),
        ((Op.READ, -1, 0, 1), "sequence must be 0 to 255, not -1"),
        ((Op.READ, 0, 0, 1, bytes(4)), "4 bytes do not fit READ of 1 words"),
        ((Op.WRITE, 0, 0, 1), "0 bytes do not fit WRITE of 1 words"),
        ((Op.WRITE, 0, 0, 1, bytes(5)), "5 bytes do not fit WRITE of 1 words"),
        ((Op.HELLO, 0, 0, 0, bytes(4)), "4 bytes do not fit HELLO of 0 words"),
    ],
)
def test_a_request_that_cannot_be_is_refused(arguments, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        request(*arguments)


def test_the_session_stands_in_for_the_address_and_may_be_any_number() -> None:
    for session in (0, 1, 0xFFFF_FFFF):
        body = cobs_decode(request(Op.HELLO, 5, session, 0)[:-1])
        assert body is not None
        assert body[:-4] == bytes((Op.HELLO, 5, 0, 0)) + session.to_bytes(4, "little")


def test_what_a_board_says_of_itself_is_read_field_by_field() -> None:
    words = [2, 0xDEADBEEF, 3, 4, 100_000_000, 4096]
    data = b"".join(w.to_bytes(4, "little") for w in words) + b"IS42S16160B-7\0\0\0"
    assert Hello.parse(data) == Hello(2, 0xDEADBEEF, 3, 4, 100_000_000, 4096, "IS42S16160B-7")
    assert Hello.parse(data[:-16] + b"\xff" * 16).part == "\ufffd" * 16


def test_the_last_word_of_the_address_space_can_be_asked_for() -> None:
    assert request(Op.READ, 255, (1 << 32) - 4, 1)


# The receiver ------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.integers(0, 50), st.lists(st.integers(1, 700), min_size=1, max_size=40))
def test_any_split_of_the_bytes_gives_the_same_replies(seed: int, sizes: list[int]) -> None:
    replies, packets = replies_of(seed, 6)
    data, receiver, got = b"".join(packets), Receiver(), []
    while data:
        for size in sizes:
            got += receiver.feed(data[:size])
            data = data[size:]
    assert got == replies
    assert receiver.dropped == 0


def test_byte_after_byte_gives_each_reply_with_its_delimiter() -> None:
    replies, packets = replies_of(1, 4)
    receiver = Receiver()
    for reply, packet in zip(replies, packets, strict=True):
        for byte in packet[:-1]:
            assert receiver.feed(bytes((byte,))) == []
        assert receiver.feed(b"\0") == [reply]
    assert receiver.feed(b"") == []


@pytest.mark.parametrize("seed", range(10))
def test_a_flip_costs_at_most_the_replies_that_it_touches(seed: int) -> None:
    generator = random.Random(seed)
    replies, packets = replies_of(seed, 5)
    for _ in range(100):
        hit = generator.randrange(5)
        damaged = bytearray(packets[hit])
        place = generator.randrange(len(damaged))
        damaged[place] ^= 1 << generator.randrange(8)
        stream = [*packets[:hit], bytes(damaged), *packets[hit + 1 :]]
        receiver = Receiver()
        got = receiver.feed(b"".join(stream))
        # A flip of the delimiter joins two packets.
        joined = place == len(damaged) - 1
        gone = {hit, hit + 1} if joined else {hit}
        assert got == [r for k, r in enumerate(replies) if k not in gone]
        assert receiver.dropped > 0 or (joined and hit == 4)


@pytest.mark.parametrize("seed", range(10))
def test_lost_doubled_and_inserted_bytes_cost_at_most_the_replies_that_they_touch(
    seed: int,
) -> None:
    generator = random.Random(seed)
    replies, packets = replies_of(100 + seed, 5)
    for _ in range(100):
        hit = generator.randrange(5)
        packet, place = packets[hit], generator.randrange(len(packets[hit]) - 1)
        damaged = {
            "lost": packet[:place] + packet[place + 1 :],
            "doubled": packet[: place + 1] + packet[place:],
            "inserted": packet[:place] + generator.randbytes(3) + packet[place:],
            "cut": packet[:place] + b"\0",
        }[generator.choice(["lost", "doubled", "inserted", "cut"])]
        stream = [*packets[:hit], damaged, *packets[hit + 1 :]]
        got = Receiver().feed(b"".join(stream))
        expected = replies[:hit] + replies[hit + 1 :]
        if got != expected:  # what was lost or doubled made no difference
            assert got == replies
            assert damaged.rstrip(b"\0").endswith(packet[:-1])


def test_a_packet_that_comes_twice_is_two_replies() -> None:
    (reply,), (packet,) = replies_of(3, 1)
    assert Receiver().feed(packet + packet) == [reply, reply]


def test_delimiters_alone_are_nothing() -> None:
    receiver = Receiver()
    assert receiver.feed(b"\0" * 50) == []
    assert receiver.dropped == 0


@pytest.mark.parametrize(
    "packet",
    [
        wire(Op.READ, 0, 1, bytes(4)),  # a request's op
        wire(4 | REPLY, 0, 0),
        wire(NO_SESSION | REPLY, 0, 1),
        wire(NO_SESSION | REPLY, 0, 0, bytes(4)),
        wire(Op.HELLO | REPLY, 0, HELLO_WORDS),
        wire(Op.HELLO | REPLY, 0, HELLO_WORDS - 1, bytes(4 * HELLO_WORDS - 4)),
        wire(Op.READ | REPLY, 0, 1),
        wire(Op.READ | REPLY, 0, 1, bytes(8)),
        wire(Op.READ | REPLY, 0, 0, bytes(4)),
        wire(Op.WRITE | REPLY, 0, 1, bytes(4)),
        cobs_encode(b"abc") + b"\0",
        cobs_encode(crc32(b"").to_bytes(4, "little")) + b"\0",
        request(Op.WRITE, 1, 0, 1, bytes(4)),  # an echo
        request(Op.READ, 1, 0, 1),
    ],
)
def test_packets_that_are_not_replies_are_dropped_and_counted(packet: bytes) -> None:
    (reply,), (good,) = replies_of(4, 1)
    receiver = Receiver()
    assert receiver.feed(packet + good) == [reply]
    assert receiver.dropped == 1


def test_a_line_without_delimiters_does_not_fill_the_memory() -> None:
    (reply,), (good,) = replies_of(5, 1)
    receiver = Receiver()
    for _ in range(100):
        assert receiver.feed(b"\x55" * 10_000) == []
        assert len(receiver._part) <= 2 * max_packet()
    assert receiver.feed(b"\0" + good) == [reply]
    assert receiver.dropped == 1


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.binary(max_size=2000))
def test_any_bytes_in_front_of_a_delimiter_do_not_harm_the_next_reply(noise: bytes) -> None:
    (reply,), (good,) = replies_of(6, 1)
    assert Receiver().feed(noise + b"\0" + good)[-1] == reply
