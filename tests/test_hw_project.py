"""The projection engine against the reference's products: its integers, its cycles, its widths."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import ResetInserter, Signal
from tests.projection_cases import random_affine
from tests.stream_bench import simulate

from fmzip import projload
from fmzip.format import COMPONENT_MAX
from fmzip.projection import Affine
from fmzip.reference.project import values_of
from fmzip.regs import PROJECTION_BLOCKS, ProjectionKind
from fmzip_hw.project import ProjectionEngine
from fmzip_hw.projectsize import ProjectionSize

FIRST = ProjectionKind.FORWARD_BASE


async def put(ctx: Any, port: Any, kind: int, address: int, words: Sequence[int]) -> None:
    for k, word in enumerate(words):
        ctx.set(port, {"en": 1, "kind": kind, "address": address + k, "data": int(word)})
        await ctx.tick()
    ctx.set(port.en, 0)


async def load(
    ctx: Any, dut: Any, affines: Sequence[Affine], page: int = 0, row: int = 0,
    first: int = FIRST, multipliers: int = 8, values: int = 512,
) -> None:  # fmt: skip
    await put(ctx, dut.write, first, page, [row])
    blocks = projload.blocks(affines, multipliers)
    await put(ctx, dut.write, first + 1, page * PROJECTION_BLOCKS, blocks)
    await put(ctx, dut.write, first + 2, page * values, projload.offsets(affines))
    entries = projload.entries(affines, multipliers)
    await put(ctx, dut.write, first + 3, row * multipliers // 2, entries)


async def products(
    ctx: Any, dut: Any, inputs: np.ndarray, outputs: int, page: int = 0, limit: int = 20_000
) -> tuple[list[int], list[int], list[int]]:
    """Results of positions [positions, values], cycles of their beginnings and of the outputs."""
    ctx.set(dut.page, page)
    ctx.set(dut.start, 1)
    await ctx.tick()
    ctx.set(dut.start, 0)
    await ctx.tick().repeat(dut.settle)
    found, begun, at = [], [], []
    pipe = [0] * dut.read_latency
    position = -1
    for now in range(limit):
        ctx.set(dut.there, len(begun) < len(inputs))
        ctx.set(dut.input, pipe[0])
        _, _, address, taken, valid, o, index, last = await ctx.tick().sample(
            dut.address, dut.taken, dut.o_valid, dut.o, dut.o_index, dut.o_last
        )
        at_address = inputs[position, address] if position >= 0 and address < inputs.shape[1] else 0
        pipe = [*pipe[1:], int(at_address)]
        if valid:
            assert index == len(found) % outputs
            assert last == (index == outputs - 1)
            found.append(o)
            at.append(now)
        if taken:
            begun.append(now)
            position += 1
        if len(found) == outputs * len(inputs):
            return found, begun, at
    raise AssertionError(f"{len(found)} outputs")


def expected(affines: Sequence[Affine], inputs: np.ndarray) -> list[int]:
    sums = values_of(inputs.astype(np.int64), tuple(affines))
    return np.clip(sums, -COMPONENT_MAX, COMPONENT_MAX).T.ravel().tolist()


@pytest.mark.parametrize("multipliers", [8, 32])
def test_products_are_the_references(multipliers: int) -> None:
    dut = ProjectionEngine(ProjectionSize(multipliers, 4096, 512))
    rng = np.random.default_rng(multipliers)

    async def bench(ctx):
        for n, (groups, outputs, inputs) in enumerate(
            [(1, 1, 1), (1, 11, 24), (3, 9, 5), (1, 70, 3), (2, 8, 16)]
        ):
            shift = int(rng.integers(9, 18))
            affines = [random_affine(rng, outputs, inputs, shift) for _ in range(groups)]
            page, row = n % 2, n % 2 * 64
            await load(ctx, dut, affines, page, row, multipliers=multipliers)
            values = rng.integers(-255, 256, (3, groups * inputs))
            found, _, _ = await products(ctx, dut, values, groups * outputs, page)
            assert found == expected(affines, values), (groups, outputs, inputs)

    simulate(dut, bench)


def test_there_are_as_many_products_in_every_cycle_as_multipliers() -> None:
    dut = ProjectionEngine(ProjectionSize(8, 4096, 64))
    rng = np.random.default_rng(5)
    outputs, inputs, positions = 24, 16, 5
    affine = random_affine(rng, outputs, inputs, 12)

    async def bench(ctx):
        await load(ctx, dut, [affine], values=64)
        values = rng.integers(-255, 256, (positions, inputs))
        _, begun, at = await products(ctx, dut, values, outputs)
        cycles = outputs * inputs // dut.multipliers
        assert np.diff(begun).tolist() == [cycles] * (positions - 1)
        # The read of a block's last input is as many cycles behind the beginning as it has inputs.
        assert at[0] - begun[0] - inputs == dut.latency

    simulate(dut, bench)


def test_few_inputs_take_as_many_cycles_as_outputs_leave_in() -> None:
    dut = ProjectionEngine(ProjectionSize(16, 4096, 64))
    rng = np.random.default_rng(6)
    affine = random_affine(rng, 20, 3, 12)

    async def bench(ctx):
        await load(ctx, dut, [affine], multipliers=16, values=64)
        values = rng.integers(-255, 256, (4, 3))
        found, begun, _ = await products(ctx, dut, values, 20)
        assert np.diff(begun).tolist() == [2 * 16] * 3
        assert found == expected([affine], values)

    simulate(dut, bench)


@pytest.mark.parametrize("multipliers", [8, 16])
def test_blocks_of_fewer_inputs_follow_those_of_more(multipliers: int) -> None:
    dut = ProjectionEngine(ProjectionSize(multipliers, 4096, 64))
    rng = np.random.default_rng(7)
    sizes = [(16, 7), (16, 3), (9, 20), (18, 1), (5, 2)]  # outputs, inputs
    affines = [random_affine(rng, outputs, inputs, 12) for outputs, inputs in sizes]

    async def bench(ctx):
        await load(ctx, dut, affines, multipliers=multipliers, values=64)
        values = rng.integers(-255, 256, (4, sum(inputs for _, inputs in sizes)))
        outputs = sum(outputs for outputs, _ in sizes)
        found, begun, _ = await products(ctx, dut, values, outputs)
        assert found == expected(affines, values)
        cycles = sum(-(-o // multipliers) * max(n, multipliers) for o, n in sizes)
        assert np.diff(begun).tolist() == [cycles] * 3

    simulate(dut, bench)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_largest_sums_fit(sign: int) -> None:
    # 1024 inputs, which no board's position exceeds; the format's limit is twice that.
    dut = ProjectionEngine(ProjectionSize(8, 8192, 1024))
    matrix = np.full((2, 1024), -2048, np.int16)
    values = np.full((1, 1024), -sign * COMPONENT_MAX)
    offset = np.full(2, 2**31 - 1 if sign > 0 else -(2**31), np.int32)
    # The symbol is not clamped with this shift only if no bit of the sum is lost.
    affine = Affine(matrix, offset, 31)

    async def bench(ctx):
        await load(ctx, dut, [affine], values=1024)
        found, _, _ = await products(ctx, dut, values, 2)
        exact = (sign * 2048 * 1024 * COMPONENT_MAX + int(offset[0])) >> 31
        assert found == [exact, exact] == expected([affine], values)

    simulate(dut, bench)


def test_what_is_loaded_outlasts_a_reset() -> None:
    reset = Signal()
    dut = ProjectionEngine(ProjectionSize(8, 4096, 64))
    affine = random_affine(np.random.default_rng(7), 12, 16, 12)
    values = np.random.default_rng(8).integers(-255, 256, (2, 16))

    async def bench(ctx):
        await load(ctx, dut, [affine], 1, 64, values=64)
        ctx.set(reset, 1)
        await ctx.tick()
        ctx.set(reset, 0)
        found, _, _ = await products(ctx, dut, values, 12, page=1)
        assert found == expected([affine], values)

    simulate(ResetInserter(reset)(dut), bench)


def test_a_page_is_loaded_while_the_other_one_is_in_use() -> None:
    dut = ProjectionEngine(ProjectionSize(8, 4096, 64))
    rng = np.random.default_rng(8)
    first, second = (random_affine(rng, 12, 16, 12) for _ in range(2))
    values = rng.integers(-255, 256, (6, 16))

    async def bench(ctx):
        await load(ctx, dut, [first], 0, 0, values=64)
        words = [(FIRST, 1, [256])]
        words += [(FIRST + 1, PROJECTION_BLOCKS, projload.blocks([second], 8))]
        words += [(FIRST + 2, 64, projload.offsets([second]))]
        words += [(FIRST + 3, 256 * 4, projload.entries([second], 8))]
        pending = [
            {"en": 1, "kind": kind, "address": address + k, "data": int(word)}
            for kind, address, part in words
            for k, word in enumerate(part)
        ]

        class Loading:
            """A context that writes a word of the other page in each cycle."""

            def __getattr__(self, name: str) -> Any:
                return getattr(ctx, name)

            def tick(self) -> Any:
                ctx.set(dut.write, pending.pop(0) if pending else {"en": 0})
                return ctx.tick()

        found, _, _ = await products(Loading(), dut, values, 12)
        assert found == expected([first], values)
        assert not pending
        found, _, _ = await products(ctx, dut, values, 12, page=1)
        assert found == expected([second], values)

    simulate(dut, bench)
