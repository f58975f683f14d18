"""Bytes of a stream of words, handed out lane by lane, against a walk along the stream."""

import random

import pytest
from amaranth.hdl import Value
from tests.stream_bench import simulate, split

from fmzip_hw.bytering import ByteRing


@pytest.mark.parametrize(
    ("greed", "lanes"), [(0.1, 8), (0.6, 8), (1.0, 8), (0.6, 4), (1.0, 4), (0.6, 2), (1.0, 2)]
)
def test_each_lane_that_wants_one_gets_the_next_byte(greed: float, lanes: int) -> None:
    dut = ByteRing(lanes)

    async def bench(ctx):
        rng = random.Random(greed)
        for _ in range(3):  # streams
            stream = rng.randbytes(4000)
            words = [int.from_bytes(stream[k : k + lanes], "little") for k in range(0, 4000, lanes)]
            taken = place = 0
            expected: dict[int, dict[int, int]] = {}
            for now in range(400):
                prime = now in (0, 3)
                wants = 0
                if 6 < now < 390 and rng.random() < 0.9:
                    wants = sum((rng.random() < greed) << lane for lane in range(lanes))
                wanting = [lane for lane in range(lanes) if wants >> lane & 1]
                expected[now + dut.latency] = {
                    lane: stream[place + n] for n, lane in enumerate(wanting)
                }
                place += len(wanting)
                ctx.set(dut.prime, prime)
                ctx.set(dut.second, now == 3)
                ctx.set(dut.wants, wants)
                ctx.set(dut.word, words[taken])
                bytes_out = split(ctx.get(Value.cast(dut.o)), 8, lanes, signed=False)
                for lane, byte in expected.pop(now, {}).items():
                    assert bytes_out[lane] == byte, f"cycle {now}, lane {lane}"
                taken += ctx.get(dut.pop)
                await ctx.tick()
            ctx.set(dut.wants, 0)
            await ctx.tick().repeat(4)
            # Never more than two words ahead, so that a word is taken when one is used up.
            assert taken == place // lanes + 2

    simulate(dut, bench)
