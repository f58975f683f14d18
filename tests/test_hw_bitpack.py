"""Packing of fields and codes against Python integers."""

import random

import pytest
from amaranth.hdl import Value
from tests.stream_bench import join, simulate

from fmzip.format import WIDTH_MAX
from fmzip_hw.bitpack import BitPacker, ValuePacker


def words_of(fields: list[tuple[int, int]], size: int) -> list[int]:
    """Words of ``size`` bits that hold the fields (value, bits), lowest bit first."""
    number = position = 0
    for value, bits in fields:
        number |= value << position
        position += bits
    return [number >> k & (1 << size) - 1 for k in range(0, position, size)]


async def pack(ctx, dut, cycles):
    """Apply the given ports in each cycle; words, done cycles and residues that come out."""
    words, ends = [], []
    for cycle, given in enumerate([*cycles, *[{}] * 20]):
        for name in ("i_valid", "i_last"):
            ctx.set(getattr(dut, name), given.get(name, 0))
        for name, value in given.items():
            ctx.set(Value.cast(getattr(dut, name)), value)
        _, _, valid, bits, done, residue = await ctx.tick().sample(
            dut.o_valid, dut.o_bits, dut.done, dut.residue
        )
        if valid:
            words.append(bits)
        if done:
            ends.append((len(words), residue, cycle))
    return words, ends


@pytest.mark.parametrize(("field", "word", "unit"), [(16, 64, 1), (4, 64, 4), (88, 128, 1)])
def test_sections_of_any_fields_are_packed_and_end_with_a_partial_word(
    field: int, word: int, unit: int
) -> None:
    generator = random.Random(field)
    dut = BitPacker(field, word, unit)

    async def bench(ctx):
        for count in (0, 1, 2, 7, word // unit, 60):
            fields, cycles = [], []
            for _ in range(count):
                if generator.random() < 0.2:
                    cycles.append({"i_bits": generator.getrandbits(field), "i_length": 1})
                bits = unit * generator.randint(0, field // unit)
                fields.append((generator.getrandbits(bits) if bits else 0, bits))
                cycles.append({"i_valid": 1, "i_bits": fields[-1][0], "i_length": bits // unit})
            cycles = cycles or [{}]
            cycles[-1]["i_last"] = 1
            words, ends = await pack(ctx, dut, cycles)
            expected = words_of(fields, word)
            assert words == expected, f"{count} fields"
            used = sum(bits for _, bits in fields) % word // unit
            assert [end[:2] for end in ends] == [(len(expected), used)]

    simulate(dut, bench)


def test_latency_is_from_the_field_that_fills_a_word() -> None:
    dut = BitPacker(16, 64)

    async def bench(ctx):
        for cycle in range(20):
            ctx.set(dut.i_valid, cycle < 4)
            ctx.set(dut.i_length, 16)
            ctx.set(dut.i_bits, 0xABCD)
            _, _, valid = await ctx.tick().sample(dut.o_valid)
            assert valid == (cycle == 3 + dut.latency)

    simulate(dut, bench)


def test_two_cycles_between_sections_are_enough() -> None:
    dut = BitPacker(16, 64)

    async def bench(ctx):
        field = {"i_valid": 1, "i_bits": 0x1234, "i_length": 16}
        section = [field, field, {**field, "i_last": 1}, {}, {}]
        words, ends = await pack(ctx, dut, section * 5)
        assert words == [0x123412341234] * 5
        assert [end[1] for end in ends] == [48] * 5

    simulate(dut, bench)


@pytest.mark.parametrize("lanes", [2, 4, 8])
def test_codes_are_packed_with_the_width_of_their_block(lanes: int) -> None:
    generator = random.Random(lanes)
    dut = ValuePacker(lanes)

    async def bench(ctx):
        fields, cycles = [], []
        for n in range(200):
            width = generator.choice([0, 1, 3, generator.randint(0, WIDTH_MAX), WIDTH_MAX])
            codes = [generator.getrandbits(WIDTH_MAX) for _ in range(lanes)]
            present = generator.getrandbits(lanes)
            cycles.append({
                "i_valid": 1, "codes": join(codes, WIDTH_MAX), "present": present,
                "width": width, "i_last": n == 199,
            })  # fmt: skip
            for lane, code in enumerate(codes):
                if present >> lane & 1:
                    fields.append((code & (1 << width) - 1, width))
            if generator.random() < 0.2:
                cycles.append({"width": 11, "present": (1 << lanes) - 1})
        words, ends = await pack(ctx, dut, cycles)
        assert words == words_of(fields, 16 * lanes)
        assert len(ends) == 1

    simulate(dut, bench)
