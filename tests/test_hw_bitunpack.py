"""Unpacking of fields and codes against Python integers."""

import random

import pytest
from amaranth.hdl import Value
from tests.stream_bench import PATTERNS, pipeline, simulate, split

from fmzip.format import WIDTH_MAX
from fmzip_hw.bitunpack import WORD, CodeSplitter, FieldUnpacker, ValueReader


def words_of(number: int, bits: int) -> list[int]:
    return [number >> k & (1 << WORD) - 1 for k in range(0, bits, WORD)]


@pytest.mark.parametrize("length", [1, 5, 8, 13, 16])
@pytest.mark.parametrize("drain", ["never", "random"])
def test_fields_come_out_in_order_section_after_section(length: int, drain: str) -> None:
    generator = random.Random(length)
    dut = FieldUnpacker(16, 100)
    counts = [1, 100, 4, 64 // length, 64 // length + 1, 33]
    sections = [generator.getrandbits(count * length) for count in counts]
    words = [w for n, s in zip(counts, sections, strict=True) for w in words_of(s, n * length)]
    mask = (1 << length) - 1
    expected = [
        s >> k * length & mask for n, s in zip(counts, sections, strict=True) for k in range(n)
    ]

    async def bench(ctx):
        ctx.set(dut.length, length)
        willing = PATTERNS[drain]()
        to_count, to_read, got = list(counts), list(words), []
        for _ in range(3000):
            ctx.set(dut.count.valid, bool(to_count))
            ctx.set(dut.count.payload, to_count[0] if to_count else 0)
            offer = bool(to_read) and generator.random() < 0.9
            ctx.set(dut.i.valid, offer)
            ctx.set(dut.i.payload, to_read[0] if to_read else 0)
            ctx.set(dut.o.ready, next(willing))
            _, _, counted, read, valid, ready, field = await ctx.tick().sample(
                dut.count.valid & dut.count.ready, dut.i.ready, dut.o.valid, dut.o.ready,
                dut.o.payload,
            )  # fmt: skip
            if counted:
                to_count.pop(0)
            if offer and read:
                to_read.pop(0)
            if valid and ready:
                got.append(field & mask)
            if len(got) == len(expected):
                break
        assert got == expected

    simulate(dut, bench)


@pytest.mark.parametrize("lanes", [2, 8])
@pytest.mark.parametrize("rate", [0.3, 1.0])
@pytest.mark.parametrize("short", [False, True])
def test_value_reader_gives_the_bits_of_each_beat(lanes: int, rate: float, short: bool) -> None:
    """With ``short``, tiles end before their last beats, and have more words than they need."""
    generator = random.Random(lanes)
    dut = ValueReader(lanes)
    most = lanes * WIDTH_MAX
    beats, words = [], []  # beats: length, end, bits or None where there are none
    for _ in range(12):
        lengths = [generator.choice([0, 1, most, generator.randint(0, most)]) for _ in range(30)]
        total = max(1, sum(lengths))
        number = generator.getrandbits(total)
        tile = words_of(number, total) + [0] * generator.choice([0, 0, 3])
        have = total
        if short and generator.random() < 0.5:
            tile = tile[: max(1, len(tile) // 2)]
            have = WORD * len(tile)
        words += [w | (k == len(tile) - 1) << WORD for k, w in enumerate(tile)]
        position = 0
        for k, length in enumerate(lengths):
            bits = number >> position & (1 << length) - 1
            position += length
            beats.append((length, k == len(lengths) - 1, bits if position <= have else None))

    async def bench(ctx):
        to_read, taken, seen = list(words), 0, []
        loaded = False
        for _ in range(4000):
            ctx.set(dut.i.valid, 0)
            offer = bool(to_read) and generator.random() < 0.95
            if offer:
                ctx.set(Value.cast(dut.i.payload), to_read[0])
                ctx.set(dut.i.valid, 1)
            take = loaded and ctx.get(dut.ready) and generator.random() < rate
            ctx.set(dut.take, take)
            ctx.set(dut.end, bool(take and beats[taken][1]))
            following = taken + take
            load = (take or not loaded) and following < len(beats) and generator.random() < 0.9
            ctx.set(dut.load, load)
            ctx.set(dut.length, beats[following][0] if load else generator.randrange(most))
            _, _, read, bits = await ctx.tick().sample(dut.i.ready, dut.bits)
            seen.append((taken if take else None, bits))
            taken = following
            loaded = load or (loaded and not take)
            if offer and read:
                to_read.pop(0)
            if taken == len(beats) and len(seen) > 8 and not to_read:
                break
        assert taken == len(beats), f"{taken} of {len(beats)} beats"
        for (beat, _), (_, bits) in zip(seen, seen[ValueReader.latency :], strict=False):
            if beat is not None and beats[beat][2] is not None:
                length, _, expected = beats[beat]
                assert bits & (1 << length) - 1 == expected, f"beat {beat}"

    simulate(dut, bench)


@pytest.mark.parametrize("lanes", [2, 4, 8])
def test_codes_are_split_and_extended_by_their_sign(lanes: int) -> None:
    generator = random.Random(lanes)
    dut = CodeSplitter(lanes)
    inputs, expected = [], []
    for _ in range(400):
        width = generator.choice([0, 1, generator.randint(1, WIDTH_MAX), WIDTH_MAX])
        present = generator.getrandbits(lanes) if width else 0
        unsigned = generator.choice([0, 1, (1 << lanes) - 1])
        bits = generator.getrandbits(lanes * WIDTH_MAX)
        codes, position = [], 0
        for lane in range(lanes):
            code = 0
            if present >> lane & 1:
                code = bits >> position & (1 << width) - 1
                position += width
                if not unsigned >> lane & 1 and code >> width - 1 & 1:
                    code -= 1 << width
            codes.append(code)
        inputs.append({"bits": bits, "present": present, "width": width, "unsigned": unsigned})
        expected.append(codes)
    # The bits come `lead` cycles behind what is known of them.
    lead = CodeSplitter.lead
    early = [{k: v for k, v in given.items() if k != "bits"} for given in inputs]
    late = [{"bits": 0}] * lead + [{"bits": given["bits"]} for given in inputs]
    cycles = [a | b for a, b in zip(early + [early[-1]] * lead, late, strict=True)]
    got = pipeline(dut, cycles, ["o"], dut.latency)[lead:]
    for n, ((out,), codes) in enumerate(zip(got, expected, strict=True)):
        assert split(out, WIDTH_MAX + 1, lanes) == codes, f"beat {n}: {inputs[n]}"
