"""The link bridge: intact requests are executed once, in order, and answered; nothing else is."""

import gc
import random
from functools import partial
from typing import Any
from zlib import crc32

import pytest
from tests.bus_bench import Link
from tests.memory_bench import simulate_with

from fmzip import packets
from fmzip.packets import Hello, cobs_encode
from fmzip.protocol import (
    COUNT_BITS,
    HELLO_WORDS,
    MAX_WORDS,
    NO_SESSION,
    PROTOCOL_VERSION,
    Op,
    tag_of,
)
from fmzip.regs import ident
from fmzip_hw.bridge import Bridge

SESSION = 0x1234_5609  # its lowest byte is the number of the first request
request = partial(packets.request, tag=tag_of(SESSION))
Reply = partial(packets.Reply, tag=tag_of(SESSION))
WAITS = (0, 1, 2, 5)


class Words:
    """Words on the bus; an access takes a random number of cycles."""

    def __init__(self, bus: Any, waits: tuple[int, ...] = WAITS):
        self.bus, self.waits, self.words, self.log = bus, waits, {}, []
        self.stuck = False
        self._generator = random.Random(1)

    async def serve(self, ctx: Any) -> None:
        bus, wait = self.bus, 0
        while True:
            ready = wait == 0 and not self.stuck
            ctx.set(bus.ack, ready)
            ctx.set(bus.read, self.words.get(ctx.get(bus.address), 0) if ready else 0xBAD)
            _, _, valid, write, address, data = await ctx.tick().sample(
                bus.valid, bus.write, bus.address, bus.data
            )
            if not valid:
                wait = self._generator.choice(self.waits)
            elif not ready:
                wait -= wait > 0
            else:
                self.log.append((bool(write), address))
                if write:
                    self.words[address] = data
                wait = self._generator.choice(self.waits)


def run(bench: Any, *, greet: bool = True, waits: tuple[int, ...] = WAITS, **options: Any) -> None:
    """``bench(context, words, link)`` on a bridge, behind a greeting."""
    dut = Bridge(clock_hz=100_000_000, build=0xB01D, part="W9825G6KH-6", fifo_bytes=4096)
    words, link = Words(dut.bus, waits), Link(dut.i, dut.o, **options)

    async def all_of_it(ctx: Any) -> None:
        if greet:
            await hello(ctx, link)
        await bench(ctx, words, link)
        await ctx.tick().repeat(400)
        assert link.receiver.dropped == 0

    simulate_with(dut, all_of_it, words.serve, link.collect)


async def hello(ctx: Any, link: Link, session: int = SESSION) -> Hello:
    reply = await link.ask(ctx, request(Op.HELLO, 77, session, 0))
    assert (reply.op, reply.sequence, reply.count) == (Op.HELLO, 77, HELLO_WORDS)
    return Hello.parse(reply.data)


def write(sequence: int, address: int, *values: int) -> bytes:
    data = b"".join(v.to_bytes(4, "little") for v in values)
    return request(Op.WRITE, sequence % 256, address, len(values), data)


# Sessions ----------------------------------------------------------------------------------------


def test_a_greeting_is_answered_with_what_the_board_is() -> None:
    async def bench(ctx, words, link):
        for session in (SESSION, SESSION, 0xFFFF_FFFF, 0):
            assert await hello(ctx, link, session) == Hello(
                PROTOCOL_VERSION, session, ident(), 0xB01D, 100_000_000, 4096, "W9825G6KH-6"
            )
        assert not words.log

    run(bench, greet=False)


def test_without_a_session_nothing_is_executed_and_the_host_is_told() -> None:
    async def bench(ctx, words, link):
        assert await link.ask(ctx, write(0, 16, 1, 2, 3)) == Reply(NO_SESSION, 0, 0, b"")
        assert await link.ask(ctx, request(Op.READ, 200, 16, 5)) == Reply(NO_SESSION, 200, 0, b"")
        assert await link.ask(ctx, write(1, 16)) == Reply(NO_SESSION, 1, 0, b"")
        assert not words.log
        await hello(ctx, link)
        assert (await link.ask(ctx, write(SESSION, 16, 7))).op == Op.WRITE
        assert words.words == {16: 7}

    run(bench, greet=False)


def test_the_same_greeting_again_changes_nothing_and_another_begins_anew() -> None:
    async def bench(ctx, words, link):
        await link.ask(ctx, write(SESSION, 16, 1))
        await hello(ctx, link)
        await link.ask(ctx, write(SESSION, 16, 9))  # a duplicate still
        assert words.words == {16: 1}
        await hello(ctx, link, SESSION + 0x10000)
        await link.ask(ctx, write(SESSION, 16, 2))
        assert words.words == {16: 2}

    run(bench)


def test_what_is_left_of_a_former_session_is_nothing() -> None:
    async def bench(ctx, words, link):
        before, data = len(link.raw), b"\1\2\3\4"
        for tag in (0, tag_of(SESSION) ^ 1, tag_of(SESSION) ^ 0x40):
            await link.send(ctx, packets.request(Op.WRITE, SESSION % 256, 16, 1, data, tag))
            await link.send(ctx, packets.request(Op.READ, SESSION % 256, 16, 1, tag=tag))
        await ctx.tick().repeat(200)
        assert len(link.raw) == before
        assert not words.log
        await link.ask(ctx, write(SESSION, 16, 1))
        assert words.words == {16: 1}

    run(bench)


# The order of requests ---------------------------------------------------------------------------


def test_a_write_that_comes_again_is_answered_and_not_executed() -> None:
    async def bench(ctx, words, link):
        for k in range(3):
            await link.ask(ctx, write(SESSION + k, 16 + 4 * k, k))
        words.log.clear()
        for k in (0, 2, 1, 2, 0):
            reply = await link.ask(ctx, write(SESSION + k, 16 + 4 * k, 99, 98))
            assert reply == Reply(Op.WRITE, (SESSION + k) % 256, 2, b"")
        assert not words.log
        await link.ask(ctx, write(SESSION + 3, 64, 5))
        assert words.words == {16: 0, 20: 1, 24: 2, 64: 5}

    run(bench)


def test_a_read_that_comes_again_is_answered_with_what_is_there_now() -> None:
    async def bench(ctx, words, link):
        words.words[16] = 1
        packet = request(Op.READ, SESSION % 256, 16, 1)
        assert (await link.ask(ctx, packet)).data == b"\1\0\0\0"
        words.words[16] = 2
        assert (await link.ask(ctx, packet)).data == b"\2\0\0\0"
        await link.ask(ctx, write(SESSION + 1, 16, 3))  # the number has moved on by one
        assert words.words == {16: 3}

    run(bench)


@pytest.mark.parametrize("ahead", [1, 2, 127])
def test_a_request_behind_a_missing_one_is_nothing_until_that_one_comes(ahead: int) -> None:
    async def bench(ctx, words, link):
        before = len(link.raw)
        await link.send(ctx, write(SESSION + ahead, 16, 1, 2))
        await link.send(ctx, request(Op.READ, (SESSION + ahead) % 256, 16, 2))
        await ctx.tick().repeat(200)
        assert len(link.raw) == before
        for k in range(ahead):
            await link.ask(ctx, write(SESSION + k, 0x40))
        assert not words.log
        await link.ask(ctx, write(SESSION + ahead, 16, 1, 2))
        assert words.words == {16: 1, 20: 2}

    run(bench, waits=(0,))


def test_numbers_go_round_and_each_of_many_writes_is_executed_once() -> None:
    async def bench(ctx, words, link):
        for k in range(300):
            await link.send(ctx, write(SESSION + k, 4 * k, k) * (1 + k % 2))
        await ctx.tick().repeat(400)
        assert words.log == [(True, 4 * k) for k in range(300)]
        assert len(link.got) == 1 + 450

    run(bench, waits=(0,))


# Words -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("eager", [True, False])
def test_words_are_written_and_read_back(eager: bool) -> None:
    generator = random.Random(1)

    async def bench(ctx, words, link):
        sequence = SESSION % 256
        for count in [0, 1, 2, 3, 17, 64]:
            address = 4 * generator.getrandbits(30) & 0xFFFF_F000
            data = generator.randbytes(4 * count)
            if count == 17:
                data = bytes(4 * count)
            packet = request(Op.WRITE, sequence, address, count, data)
            assert await link.ask(ctx, packet) == Reply(Op.WRITE, sequence, count, b"")
            assert [words.words[address + 4 * k] for k in range(count)] == [
                int.from_bytes(data[4 * k : 4 * k + 4], "little") for k in range(count)
            ]
            assert words.log == [(True, address + 4 * k) for k in range(count)]
            words.log.clear()
            packet = request(Op.READ, sequence + 1, address, count)
            assert await link.ask(ctx, packet) == Reply(Op.READ, sequence + 1, count, data)
            assert words.log == [(False, address + 4 * k) for k in range(count)]
            words.log.clear()
            sequence += 2

    run(bench, eager=eager)


def test_requests_of_the_largest_size_are_answered() -> None:
    data = random.Random(2).randbytes(4 * MAX_WORDS)

    async def bench(ctx, words, link):
        packet = request(Op.WRITE, SESSION % 256, 0x8000_0000, MAX_WORDS, data)
        reply = await link.ask(ctx, packet)
        assert reply.count == MAX_WORDS
        packet = request(Op.READ, (SESSION + 1) % 256, 0x8000_0000, MAX_WORDS)
        assert (await link.ask(ctx, packet)).data == data

    run(bench)


def test_requests_in_a_row_are_answered_in_order() -> None:
    async def bench(ctx, words, link):
        numbers = [(SESSION + k) % 256 for k in range(5)]
        await link.send(ctx, b"".join(request(Op.READ, n, 4 * n, 1) for n in numbers))
        await ctx.tick().repeat(600)
        assert [r.sequence for r in link.got[1:]] == numbers

    run(bench, eager=False)


def test_words_are_read_at_the_speed_of_the_link() -> None:
    async def bench(ctx, words, link):
        async def cycles(count: int) -> int:
            nonlocal number
            begin = link.now
            await link.ask(ctx, request(Op.READ, number % 256, 0, count))
            number += 1
            return link.now - begin

        number = SESSION
        words.words = {4 * k: 0x0101_0101 * (k % 255 + 1) for k in range(MAX_WORDS)}
        # Two runs of 254 bytes more, each with its code: the last run is as long in both.
        few, many = await cycles(100), await cycles(100 + 127)
        assert many - few == 4 * 127 + 2

    run(bench, waits=(2,))


# The FIFO ----------------------------------------------------------------------------------------


def test_the_fifo_holds_all_that_the_host_may_have_outstanding() -> None:
    async def bench(ctx, words, link):
        words.stuck, sent, number = True, 0, SESSION
        generator = random.Random(5)
        data = {}
        while True:
            count = generator.choice([0, 1, 2, 200, 256])
            values = [generator.getrandbits(32) for _ in range(count)]
            packet = write(number, 0x1000 * (number - SESSION), *values)
            if sent + len(packet) > 4096:
                break
            await link.send(ctx, packet)
            data |= {0x1000 * (number - SESSION) + 4 * k: v for k, v in enumerate(values)}
            sent, number = sent + len(packet), number + 1
        assert sent > 3000
        await ctx.tick().repeat(100)
        assert not words.log
        words.stuck = False
        await ctx.tick().repeat(3000)
        assert words.words == data
        assert len(link.got) == 1 + number - SESSION

    run(bench, waits=(0,))


def test_a_packet_that_finds_no_room_is_dropped_whole_and_what_is_held_stays() -> None:
    async def bench(ctx, words, link):
        words.stuck = True
        for k in range(6):  # of which three fit
            await link.send(ctx, write(SESSION + k, 0x1000 * k, *range(MAX_WORDS)))
        words.stuck = False
        await ctx.tick().repeat(2000)
        assert [r.sequence for r in link.got[1:]] == [(SESSION + k) % 256 for k in range(3)]
        assert len(words.log) == 3 * MAX_WORDS
        await link.ask(ctx, write(SESSION + 3, 0x3000, *range(MAX_WORDS)))
        assert len(words.log) == 4 * MAX_WORDS

    run(bench, waits=(0,))


# Damage ------------------------------------------------------------------------------------------


def packet_of(body: bytes) -> bytes:
    """A packet with a right CRC around any bytes."""
    return cobs_encode(body + crc32(body).to_bytes(4, "little")) + b"\0"


def head_of(op: int, count: int, address: int = 16) -> bytes:
    shared = (count | tag_of(SESSION) << COUNT_BITS) & 0xFFFF
    return bytes((op, SESSION % 256)) + shared.to_bytes(2, "little") + address.to_bytes(4, "little")


def _damaged() -> dict[str, bytes]:
    good = write(SESSION, 16, 0x0403_0201, 0x0807_0605)
    # No zero in it: the length of the packet stays, and so does its place.
    flipped = bytearray(good)
    flipped[-3] ^= 0x10 if flipped[-3] != 0x10 else 0x20
    body = head_of(Op.WRITE, 2) + bytes(8)
    return {
        "bad crc": bytes(flipped),
        "no op": packet_of(head_of(0, 0)),
        "unknown op": packet_of(head_of(4, 0)),
        "reply": packet_of(head_of(Op.READ | 0x80, 0)),
        "word too few": packet_of(body[:-4]),
        "byte too few": packet_of(body[:-1]),
        "byte too many": packet_of(body + b"\0"),
        "data behind a read": packet_of(head_of(Op.READ, 1) + bytes(4)),
        "data behind a greeting": packet_of(head_of(Op.HELLO, 1) + bytes(4)),
        "greeting with a count": packet_of(head_of(Op.HELLO, 1)),
        "count too large": packet_of(head_of(Op.READ, MAX_WORDS + 1)),
        "largest count": packet_of(head_of(Op.READ, 0x1FF)),
        "one word too many": packet_of(head_of(Op.WRITE, 257) + bytes(4 * 257)),
        "odd address": packet_of(head_of(Op.READ, 1, 18)),
        "too long": packet_of(head_of(Op.WRITE, MAX_WORDS) + bytes(4 * MAX_WORDS + 1100)),
        "longer than the fifo": packet_of(head_of(Op.WRITE, MAX_WORDS) + bytes(6000)),
        "head only": packet_of(head_of(Op.READ, 1)[:4]),
        "crc only": packet_of(b""),
        "empty": b"\0\0\0",
        "cut": good[:12] + b"\0",
        "garbage": random.Random(3).randbytes(300).replace(b"\0", b"\x07") + b"\0",
        "garbage without end": b"\x11\x22\x33",
    }


@pytest.mark.parametrize("what", _damaged())
def test_what_is_not_intact_gets_no_reply_and_the_next_request_does(what: str) -> None:
    async def bench(ctx, words, link):
        words.words[16] = 0xCAFE
        before = len(link.raw)
        await link.send(ctx, _damaged()[what])
        await ctx.tick().repeat(100)
        if what == "garbage without end":
            await link.send(ctx, b"\0")
        assert len(link.raw) == before
        assert not words.log
        reply = await link.ask(ctx, request(Op.READ, SESSION % 256, 16, 1))
        assert reply == Reply(Op.READ, SESSION % 256, 1, (0xCAFE).to_bytes(4, "little"))
        assert words.words == {16: 0xCAFE}

    run(bench)


def test_every_flip_of_a_request_is_found() -> None:
    good = write(SESSION, 16, 0x0403_0201)
    flips = [(place, bit) for place in range(len(good) - 1) for bit in range(8)]

    async def bench(ctx, words, link):
        before = len(link.raw)
        for place, bit in random.Random(4).sample(flips, 50):
            damaged = bytearray(good)
            damaged[place] ^= 1 << bit
            await link.send(ctx, bytes(damaged))
        await ctx.tick().repeat(100)
        assert len(link.raw) == before
        assert not words.log
        await link.ask(ctx, good)
        assert words.words == {16: 0x0403_0201}

    run(bench)


# Amaranth warns of components that nobody uses, here of those that were not finished.
@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"part": "a name of 17 char"}, "part must have at most 16 characters"),
        ({"fifo_bytes": 1024}, "fifo_bytes must be at least 1042, not 1024"),
    ],
)
def test_a_bridge_that_cannot_be_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Bridge(**options)
    gc.collect()
