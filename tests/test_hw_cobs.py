"""COBS in gateware against COBS in the driver."""

import random

import pytest
from amaranth.hdl import Value
from tests.stream_bench import PATTERNS, SHY, run, simulate, transfer

from fmzip.packets import cobs_decode, cobs_encode
from fmzip_hw.cobs import CobsDecoder, CobsEncoder

END, BAD = 1 << 8, 1 << 9


def packets() -> list[bytes]:
    generator = random.Random(1)
    ramp = bytes(k % 255 + 1 for k in range(600))
    long = [ramp[:n] for n in (253, 254, 255, 256, 508, 509)]
    short = [generator.randbytes(generator.randrange(30)) for _ in range(12)]
    sparse = [bytes(generator.choice((0, 0, 7)) for _ in range(20)) for _ in range(4)]
    return [
        b"", b"\0", b"", b"\0\0\0", b"x", *short, *sparse, *long, long[1] + b"\0", b"\0" + long[1],
        long[0] + b"\0" + long[2] + b"\0\0", b"",
    ]  # fmt: skip


def plain(some: list[bytes]) -> list[int]:
    """Packets as payloads of bytes and ends."""
    return [item for packet in some for item in (*packet, END)]


def coded(some: list[bytes]) -> list[int]:
    return [byte for packet in some for byte in (*cobs_encode(packet), 0)]


def meaning(payloads: list[int]) -> list[int]:
    """Payloads without the byte that comes with an end, which means nothing."""
    return [p & ~0xFF if p & END else p for p in payloads]


@pytest.mark.parametrize("drain", [*PATTERNS, SHY])
@pytest.mark.parametrize("feed", ["never", "random"])
def test_the_encoder_gives_the_bytes_of_the_driver(feed: str, drain: str) -> None:
    some = packets() if (feed, drain) == ("never", "never") else packets()[:12] + packets()[22:26]
    seen = run(CobsEncoder(), plain(some), len(coded(some)), feed=feed, drain=drain, quiet=8)
    assert seen.taken == coded(some)


@pytest.mark.parametrize("drain", [*PATTERNS, SHY])
@pytest.mark.parametrize("feed", ["never", "random"])
def test_the_decoder_gives_the_packets_of_the_driver(feed: str, drain: str) -> None:
    some = packets() if (feed, drain) == ("never", "never") else packets()[:12] + packets()[22:26]
    seen = run(CobsDecoder(), coded(some), len(plain(some)), feed=feed, drain=drain, quiet=8)
    assert meaning(seen.taken) == plain(some)


def test_the_encoder_takes_a_byte_per_cycle_but_for_ends_and_long_runs() -> None:
    data = bytes(k % 254 + 1 for k in range(254)) * 4
    seen = run(CobsEncoder(), plain([data]), len(coded([data])))
    assert seen.fed_at[-1] - seen.fed_at[0] == len(data) + 4


def test_the_decoder_has_no_latency() -> None:
    seen = run(CobsDecoder(), [5, 1, 2, 3, 4, 0], 5)
    assert seen.taken_at == seen.fed_at[1:]


@pytest.mark.parametrize("seed", range(4))
def test_any_bytes_are_packets_or_bad_as_the_driver_says(seed: int) -> None:
    generator = random.Random(seed)
    stream = bytearray()
    expected: list[bytes | None] = []
    for _ in range(150):
        kind = generator.random()
        if kind < 0.4:
            packet = bytes(generator.randrange(1, 6) for _ in range(generator.randrange(12)))
        elif kind < 0.7:
            packet = cobs_encode(generator.randbytes(8))
            packet = packet[: generator.randrange(len(packet) + 1)]
        else:
            packet = cobs_encode(bytes(generator.choice((0, 9)) for _ in range(9)))
        stream += packet + b"\0"
        expected.append(cobs_decode(packet))
    got: list[int] = []

    async def bench(ctx):
        dut_out = Value.cast(dut.o.payload)
        ctx.set(dut.o.ready, 1)
        for byte in stream:
            ctx.set(dut.i.payload, byte)
            ctx.set(dut.i.valid, 1)
            _, _, ready, valid, payload = await ctx.tick().sample(dut.i.ready, dut.o.valid, dut_out)
            assert ready
            if valid:
                got.append(payload)

    dut = CobsDecoder()
    simulate(dut, bench)
    part: list[int] = []
    ends = iter(expected)
    for payload in got:
        if not payload & END:
            part.append(payload & 0xFF)
            continue
        data = next(ends)
        # What came before the damage has passed; the end says that it is nothing.
        assert bool(payload & BAD) == (data is None)
        if data is not None:
            assert bytes(part) == data
        part = []
    assert not list(ends)


def test_an_encoder_that_nobody_drains_holds_two_runs_and_loses_nothing() -> None:
    dut = CobsEncoder()
    data = plain([bytes(range(1, 255)) * 4])

    async def bench(ctx):
        await transfer(ctx, dut, data[:500], 0, drain=None)
        with pytest.raises(AssertionError, match="of 100 in"):
            await transfer(ctx, dut, data[500:600], 0, drain=None, deadline=400)

    simulate(dut, bench)
    dut = CobsEncoder()

    async def later(ctx):
        await transfer(ctx, dut, data[:500], 0, drain=None)
        seen = await transfer(ctx, dut, data[500:], len(data) + 5)
        assert seen.taken == coded([bytes(range(1, 255)) * 4])

    simulate(dut, later)
