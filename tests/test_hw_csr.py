"""The register file: every register of the map, over the bus."""

import random

from amaranth.hdl import Value
from tests.bus_bench import access, read, write
from tests.memory_bench import simulate_with
from tests.stream_bench import simulate

from fmzip.regs import COUNTER_BITS, COUNTERS, MAP, MAP_WORDS, REGISTER, WORD_BYTES, Access
from fmzip_hw.csr import RegisterFile

# Those that are signals of the register file: the counters are in a memory of their own.
SIGNALS = MAP[: -len(COUNTERS)]


def test_every_register_can_be_read_and_only_the_right_ones_written() -> None:
    dut, generator = RegisterFile(), random.Random(1)

    async def bench(ctx):
        values = {}
        for register in SIGNALS:
            if register.access == Access.READ:
                values[register.name] = generator.getrandbits(32 * register.words)
                ctx.set(Value.cast(getattr(dut.r, register.name)), values[register.name])
        for register in MAP:
            for k in range(register.words):
                data = generator.getrandbits(32)
                await write(ctx, dut.bus, register.address + WORD_BYTES * k, data)
                if register.access == Access.WRITE:
                    values[register.name] = values.get(register.name, 0) | data << 32 * k
                if register.access == Access.STROBE:
                    values[register.name] = 0
        for register in [*SIGNALS, *generator.sample(SIGNALS, len(SIGNALS))]:
            for k in range(register.words):
                got = await read(ctx, dut.bus, register.address + WORD_BYTES * k)
                assert got == values[register.name] >> 32 * k & 0xFFFF_FFFF, register.name
        for register in MAP:
            if register.access == Access.WRITE:
                signal = Value.cast(getattr(dut.w, register.name))
                assert ctx.get(signal) == values[register.name]

    simulate(dut, bench)


def test_strobes_and_written_last_one_cycle() -> None:
    dut = RegisterFile()
    strobes = [r for r in MAP if r.access == Access.STROBE]
    assert strobes

    async def bench(ctx):
        for register in MAP:
            if register.access == Access.READ:
                continue
            strobe = register.access == Access.STROBE
            written = getattr(dut.written, register.name)
            last = register.address + WORD_BYTES * (register.words - 1)
            assert not ctx.get(written)
            await write(ctx, dut.bus, last, 0xA5A5_A5A5)
            assert not ctx.get(written)
            await ctx.tick()  # one for the register to be chosen
            seen = []
            for _ in range(4):
                word = ctx.get(Value.cast(getattr(dut.w, register.name)))
                seen.append((word >> 32 * (register.words - 1), ctx.get(written)))
                await ctx.tick()
            kept = 0 if strobe else 0xA5A5_A5A5
            assert seen == [(0xA5A5_A5A5, 1), *[(kept, 0)] * 3], register.name

    simulate(dut, bench)


def test_a_register_of_several_words_is_written_with_its_last_one() -> None:
    dut = RegisterFile()
    (head,) = (r for r in MAP if r.name == "head")

    async def bench(ctx):
        for k in range(head.words):
            await write(ctx, dut.bus, head.address + WORD_BYTES * k, k)
            await ctx.tick()
            assert ctx.get(dut.written.head) == (k == head.words - 1)

    simulate(dut, bench)


def test_addresses_behind_the_map_read_as_zero_and_take_nothing() -> None:
    dut = RegisterFile()
    size = 1 << (MAP_WORDS - 1).bit_length()  # where the address's lower bits repeat

    async def bench(ctx):
        ctx.set(dut.counter_value, -1)
        for register in SIGNALS:
            if register.access == Access.READ:
                ctx.set(Value.cast(getattr(dut.r, register.name)), -1)
        behind = [WORD_BYTES * k for k in range(MAP_WORDS, 2 * size + MAP_WORDS)]
        for address in [*behind, 0x0FFF_FFFC]:
            assert await read(ctx, dut.bus, address) == 0, hex(address)
            await write(ctx, dut.bus, address, 0xFFFF_FFFF)
            for register in MAP:
                if register.access != Access.READ:
                    assert ctx.get(Value.cast(getattr(dut.w, register.name))) == 0

    simulate(dut, bench)


def test_an_access_takes_four_cycles_and_reads_do_not_write() -> None:
    dut = RegisterFile()

    async def bench(ctx):
        await write(ctx, dut.bus, MAP[5].address, 77)
        for data in (None, 78):
            _, cycles = await access(ctx, dut.bus, MAP[5].address, data)
            assert cycles == 4
        assert await read(ctx, dut.bus, MAP[5].address) == 78

    simulate(dut, bench)


def test_counters_come_from_their_memory_low_word_first() -> None:
    dut, generator = RegisterFile(), random.Random(2)
    values = [generator.getrandbits(COUNTER_BITS) for _ in COUNTERS]

    async def memory(ctx):
        number = 0
        while True:
            ctx.set(dut.counter_value, values[number] if number < len(values) else 0)
            (*_, number) = await ctx.tick().sample(dut.counter)

    async def bench(ctx):
        order = [k for k in range(len(COUNTERS)) for _ in range(2)]
        generator.shuffle(order)
        for k in order:
            address = REGISTER[COUNTERS[k].name].address
            low, high = [await read(ctx, dut.bus, address + WORD_BYTES * w) for w in range(2)]
            assert low | high << 32 == values[k], COUNTERS[k].name

    simulate_with(dut, bench, memory)


def test_an_access_that_is_held_does_nothing_until_it_is_let_go() -> None:
    dut = RegisterFile()

    async def bench(ctx):
        ctx.set(dut.hold, 1)
        ctx.set(dut.bus.address, REGISTER["control"].address)
        ctx.set(dut.bus.data, 0b11000)
        ctx.set(dut.bus.write, 1)
        ctx.set(dut.bus.valid, 1)
        for _ in range(20):
            await ctx.tick()
            assert not ctx.get(dut.bus.ack)
            assert not ctx.get(Value.cast(dut.w.control))
        ctx.set(dut.hold, 0)
        assert ctx.get(dut.bus.ack)
        await ctx.tick()
        ctx.set(dut.bus.valid, 0)
        await ctx.tick()
        assert ctx.get(Value.cast(dut.w.control)) == 0b11000
        await ctx.tick()
        assert not ctx.get(Value.cast(dut.w.control))

    simulate(dut, bench)
