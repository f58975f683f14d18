"""The link bridge: intact requests are executed and answered, anything else is nothing."""

import random
from typing import Any
from zlib import crc32

import pytest
from tests.bus_bench import Link
from tests.memory_bench import simulate_with

from fmzip.link import Reply, cobs_encode, request
from fmzip.protocol import MAX_WORDS, Op
from fmzip_hw.bridge import Bridge


class Words:
    """Words on the bus; an access takes a random number of cycles."""

    def __init__(self, bus: Any, seed: int = 1):
        self.bus, self.words, self.log = bus, {}, []
        self._generator = random.Random(seed)

    async def serve(self, ctx: Any) -> None:
        bus = self.bus
        wait = 0
        while True:
            ctx.set(bus.ack, wait == 0)
            ctx.set(bus.read, self.words.get(ctx.get(bus.address), 0) if wait == 0 else 0xBAD)
            _, _, valid, write, address, data = await ctx.tick().sample(
                bus.valid, bus.write, bus.address, bus.data
            )
            if not valid:
                wait = self._generator.choice([0, 1, 2, 5])
            elif wait:
                wait -= 1
            else:
                self.log.append((bool(write), address))
                if write:
                    self.words[address] = data
                wait = self._generator.choice([0, 1, 2, 5])


def run(bench: Any, **options: Any) -> None:
    dut = Bridge()
    words, link = Words(dut.bus), Link(dut.i, dut.o, **options)

    async def all_of_it(ctx: Any) -> None:
        await bench(ctx, words, link)
        await ctx.tick().repeat(400)
        assert link.receiver.dropped == 0

    simulate_with(dut, all_of_it, words.serve, link.collect)


@pytest.mark.parametrize("eager", [True, False])
def test_words_are_written_and_read_back(eager: bool) -> None:
    generator = random.Random(1)

    async def bench(ctx, words, link):
        for sequence, count in enumerate([0, 1, 2, 3, 17, 64]):
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
            packet = request(Op.READ, 255 - sequence, address, count)
            assert await link.ask(ctx, packet) == Reply(Op.READ, 255 - sequence, count, data)
            assert words.log == [(False, address + 4 * k) for k in range(count)]
            words.log.clear()

    run(bench, eager=eager)


def test_requests_of_the_largest_size_are_answered() -> None:
    data = random.Random(2).randbytes(4 * MAX_WORDS)

    async def bench(ctx, words, link):
        reply = await link.ask(ctx, request(Op.WRITE, 1, 0x8000_0000, MAX_WORDS, data))
        assert reply.count == MAX_WORDS
        reply = await link.ask(ctx, request(Op.READ, 2, 0x8000_0000, MAX_WORDS))
        assert reply.data == data

    run(bench)


def packet_of(body: bytes) -> bytes:
    """A packet with a right CRC around any bytes."""
    return cobs_encode(body + crc32(body).to_bytes(4, "little")) + b"\0"


def head_of(op: int, count: int, address: int = 16) -> bytes:
    return bytes((op, 9)) + count.to_bytes(2, "little") + address.to_bytes(4, "little")


def _damaged() -> dict[str, bytes]:
    good = request(Op.WRITE, 9, 16, 2, b"\x01\x02\x03\x04\x05\x06\x07\x08")
    # No zero in it: the length of the packet stays, and so does its place.
    flipped = bytearray(good)
    flipped[-3] ^= 0x10 if flipped[-3] != 0x10 else 0x20
    body = head_of(Op.WRITE, 2) + bytes(8)
    return {
        "bad crc": bytes(flipped),
        "no op": packet_of(head_of(0, 0)),
        "unknown op": packet_of(head_of(3, 0)),
        "reply": packet_of(head_of(Op.READ | 0x80, 0)),
        "word too few": packet_of(body[:-4]),
        "byte too few": packet_of(body[:-1]),
        "byte too many": packet_of(body + b"\0"),
        "data behind a read": packet_of(head_of(Op.READ, 1) + bytes(4)),
        "count too large": packet_of(head_of(Op.READ, MAX_WORDS + 1)),
        "count of 65535": packet_of(head_of(Op.READ, 0xFFFF)),
        "count beyond the buffer": packet_of(head_of(Op.WRITE, 257) + bytes(4 * 257)),
        "odd address": packet_of(head_of(Op.READ, 1, 18)),
        "too long": packet_of(head_of(Op.WRITE, MAX_WORDS) + bytes(4 * MAX_WORDS + 1100)),
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
        await link.send(ctx, _damaged()[what])
        await ctx.tick().repeat(100)
        if what == "garbage without end":
            await link.send(ctx, b"\0")
        assert not link.raw
        assert not words.log
        reply = await link.ask(ctx, request(Op.READ, 5, 16, 1))
        assert reply == Reply(Op.READ, 5, 1, (0xCAFE).to_bytes(4, "little"))
        assert words.words == {16: 0xCAFE}

    run(bench)


def test_every_flip_of_a_request_is_found() -> None:
    good = request(Op.WRITE, 9, 16, 1, b"\x01\x02\x03\x04")
    flips = [(place, bit) for place in range(len(good) - 1) for bit in range(8)]

    async def bench(ctx, words, link):
        for place, bit in random.Random(4).sample(flips, 50):
            damaged = bytearray(good)
            damaged[place] ^= 1 << bit
            await link.send(ctx, bytes(damaged))
        await ctx.tick().repeat(100)
        assert not link.raw
        assert not words.log
        await link.ask(ctx, good)
        assert words.words == {16: 0x0403_0201}

    run(bench)


def test_requests_in_a_row_are_answered_in_order() -> None:
    async def bench(ctx, words, link):
        await link.send(ctx, b"".join(request(Op.READ, k, 4 * k, 1) for k in range(5)))
        await ctx.tick().repeat(600)
        assert [r.sequence for r in link.got] == list(range(5))

    run(bench, eager=False)
