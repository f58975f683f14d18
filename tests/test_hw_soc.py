"""The system in Amaranth's own simulator, behind a memory that stalls, driven over its link."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.board_bench import LOOSE, check_sums, traffic
from tests.bus_bench import Link
from tests.codec_bench import Case, beat_payloads, value_map, wire_beats
from tests.memory_bench import Memory, simulate_with

from fmzip import regs
from fmzip.format import BLOCK, Coder, FrameConfig, multiplier
from fmzip.packets import request
from fmzip.protocol import Op
from fmzip.reference import decode, encode
from fmzip.sdram import PARTS
from fmzip_hw.soc import Soc
from fmzip_sim.sdram_model import SdramChip
from fmzip_sim.sdram_pins import ChipPins

RING = {2: 256, 4: 512, 8: 1024}
STAGE_LOG2 = 4


class Host:
    """The driver's work, in the simulation's own time."""

    def __init__(self, dut: Soc, lanes: int):
        self.lanes = lanes
        self.link = Link(dut.rx, dut.tx)
        self._sequence: int | None = None  # of the next request, once a session has begun

    async def _ask(self, ctx: Any, op: Op, address: int, count: int, data: bytes = b"") -> bytes:
        if self._sequence is None:
            await self.link.ask(ctx, request(Op.HELLO, 0, 0, 0))
            self._sequence = 0
        reply = await self.link.ask(ctx, request(op, self._sequence, address, count, data))
        assert (reply.op, reply.sequence, reply.count) == (op, self._sequence, count)
        self._sequence = (self._sequence + 1) % 256
        return reply.data

    async def write(self, ctx: Any, address: int, data: bytes) -> None:
        await self._ask(ctx, Op.WRITE, address, len(data) // 4, data)

    async def read(self, ctx: Any, address: int, size: int) -> bytes:
        return await self._ask(ctx, Op.READ, address, size // 4)

    async def set(self, ctx: Any, name: str, **fields: int) -> None:
        value = sum(v << regs.bits(name, f).low for f, v in fields.items())
        await self.write(ctx, regs.REGISTER[name].address, value.to_bytes(4, "little"))

    async def status(self, ctx: Any) -> dict[str, int]:
        word = await self.read(ctx, regs.REGISTER["status"].address, 4)
        return regs.fields_of("status", int.from_bytes(word, "little"))

    async def wait(self, ctx: Any, flag: str) -> None:
        for _ in range(400):
            status = await self.status(ctx)
            assert status["fault"] == 0
            if not status[flag]:
                return
        raise AssertionError(f"the board still says {flag}")

    async def configure(self, ctx: Any, config: FrameConfig, base: int) -> None:
        for name, data in (
            ("base", base.to_bytes(4, "little")),
            ("head", config.static_head()),
            ("multiplier", multiplier(config.step).to_bytes(4, "little")),
        ):
            await self.write(ctx, regs.REGISTER[name].address, data)

    async def encode(self, ctx: Any, case: Case) -> None:
        """All beats, in pieces of the whole stage."""
        beats = beat_payloads(case, self.lanes)
        for start in range(0, len(beats), 1 << STAGE_LOG2):
            piece = beats[start : start + (1 << STAGE_LOG2)]
            data = b"".join(b.to_bytes(BLOCK, "little") for b in piece)
            await self.write(ctx, regs.STAGE, data)
            await self.set(ctx, "piece", beats=len(piece), encode=1)
            await self.wait(ctx, "piece")
        await self.wait(ctx, "writing")

    async def decode(self, ctx: Any, beats: list[list[int]]) -> list[list[int]]:
        """Beats of the given sizes."""
        got: list[list[int]] = []
        for start in range(0, len(beats), 1 << STAGE_LOG2):
            sizes = [len(b) for b in beats[start : start + (1 << STAGE_LOG2)]]
            await self.set(ctx, "piece", beats=len(sizes), encode=0)
            await self.wait(ctx, "piece")
            data = await self.read(ctx, regs.STAGE, BLOCK * len(sizes))
            got += [list(data[BLOCK * k : BLOCK * k + n]) for k, n in enumerate(sizes)]
        await self.wait(ctx, "reading")
        return got

    async def counters(self, ctx: Any) -> dict[str, int]:
        await self.set(ctx, "control", snapshot=1, clear=1)
        names = [*regs.COUNTER]
        data = await self.read(ctx, regs.REGISTER[names[0]].address, 8 * len(names))
        return dict(zip(names, np.frombuffer(data, "<u8").tolist(), strict=True))


def case_of(kind: str, lanes: int) -> Case:
    config = FrameConfig(
        11, 2, 9, tile_rows=1, tile_cols=6, coder=Coder.BITMAP, zero_bitmap=True, burst_log2=4
    )
    return Case(kind, config, value_map(config, kind, np.random.default_rng(lanes)))


def counted(counters: dict[str, int]) -> dict[str, int]:
    """The counters that do not depend on the memory's stalls, as far as they are not zero."""
    return {name: value for name, value in counters.items() if value and name not in LOOSE}


def predicted(case: Case, frame: bytes, base: int, lanes: int) -> dict[str, int]:
    head = case.config.head_bytes
    return {
        **traffic("write", [(base + head, base + len(frame)), (base, base + head)]),
        "encoder_beats": len([*wire_beats(case, lanes)]),
        "codec_bits_in": 8 * case.config.values,
        "codec_bits_out": 8 * (len(frame) - head),
    }


def soc(lanes: int) -> Soc:
    return Soc(lanes=lanes, stage_log2=STAGE_LOG2, memory_log2=20, ring_blocks=RING[lanes])


@pytest.mark.parametrize(("lanes", "stalls"), [(8, "random"), (4, "rare"), (2, "bursts")])
def test_a_map_goes_into_a_memory_that_stalls_and_comes_back(lanes: int, stalls: str) -> None:
    dut = soc(lanes)
    memory, host = Memory(dut.memory, stalls=stalls), Host(dut, lanes)
    case, base = case_of("mixed", lanes), 5 * regs.ROW_BYTES
    frame = encode(case.values, case.config)

    async def bench(ctx):
        build = await host.read(ctx, regs.REGISTER["build"].address, 4)
        assert regs.fields_of("build", int.from_bytes(build, "little")) == {
            "lanes": lanes, "rans": 0, "stage_log2": STAGE_LOG2, "max_slots_log2": 0,
            "memory_log2": 20, "max_blocks_log2": RING[lanes].bit_length() - 1,
        }  # fmt: skip
        await host.configure(ctx, case.config, base)
        await host.set(ctx, "control", write=1)
        await host.encode(ctx, case)
        size = await host.read(ctx, regs.REGISTER["frame_bytes"].address, 4)
        assert int.from_bytes(size, "little") == len(frame)
        assert memory.bytes(base // 8, len(frame)) == frame
        assert len(memory.words) == len(frame) // 8
        assert counted(await host.counters(ctx)) == predicted(case, frame, base, lanes)

        await host.set(ctx, "control", read=1)
        beats = [*wire_beats(Case("", case.config, decode(frame)), lanes)]
        assert await host.decode(ctx, beats) == beats
        head = (base, base + case.config.head_bytes)
        assert counted(await host.counters(ctx)) == {
            **traffic("read", [head, (head[1], base + len(frame))]),
            "decoder_beats": len(beats),
        }
        # The host's own way to the memory, which is not counted.
        assert await host.read(ctx, regs.MEMORY + base, 64) == frame[:64]
        assert not any((await host.counters(ctx)).values())

    simulate_with(dut, bench, memory.serve, host.link.collect)


@pytest.mark.parametrize("first", ["write", "read"])
def test_a_frame_that_replaces_another_is_right_and_counted_alone(first: str) -> None:
    # So slow a memory still owes words of the first frame when the second one begins.
    dut, lanes = soc(8), 8
    memory, host = Memory(dut.memory, stalls="rare", latency=100), Host(dut, lanes)
    config = FrameConfig(16, 3, 8, tile_cols=8, burst_log2=8, step=128)
    values = value_map(config, "random", np.random.default_rng(1))
    before, case = Case("random", config, values), case_of("mixed", lanes)
    frame = encode(case.values, case.config)

    async def bench(ctx):
        if first == "read":
            memory.load(0, encode(values, config))
        await host.configure(ctx, config, 0)
        beats = b"".join(b.to_bytes(BLOCK, "little") for b in beat_payloads(before, 8)[:16])
        await host.write(ctx, regs.STAGE, beats)
        await host.set(ctx, "control", **{first: 1})
        if first == "write":
            for _ in range(3):
                await host.set(ctx, "piece", beats=16, encode=1)
                await host.wait(ctx, "piece")
        await ctx.tick().until(dut.memory.request.valid & dut.memory.request.ready)
        await host.set(ctx, "control", reset=1)
        await host.configure(ctx, case.config, 8 * regs.ROW_BYTES)
        moved = len(memory.words)
        await host.set(ctx, "control", write=1, clear=1)
        await ctx.tick().repeat(20)
        assert first == "read" or len(memory.words) > moved, "too late to see anything"
        await host.encode(ctx, case)
        assert memory.bytes(regs.ROW_BYTES, len(frame)) == frame
        expected = predicted(case, frame, 8 * regs.ROW_BYTES, lanes)
        assert counted(await host.counters(ctx)) == expected

    simulate_with(dut, bench, memory.serve, host.link.collect)


def test_a_map_goes_through_the_sdram_and_the_counters_are_what_the_chip_counts() -> None:
    lanes, base = 8, 5 * regs.ROW_BYTES
    part = replace(PARTS["IS42S16160B-7"], power_up_ns=1000)
    dut = Soc(lanes=lanes, part=part, stage_log2=STAGE_LOG2, ring_blocks=RING[lanes])
    chip, host = SdramChip(part, 100e6), Host(dut, lanes)
    pins = ChipPins(chip, dut.sdram)
    case = case_of("mixed", lanes)
    frame = encode(case.values, case.config)

    async def memory(ctx):
        while True:
            _, _, value, counted = await ctx.tick().sample(pins.outputs, dut.marker)
            pins.step(ctx, value, bool(counted))

    async def bench(ctx):
        await host.configure(ctx, case.config, base)
        await host.set(ctx, "control", write=1)
        await host.encode(ctx, case)
        writing = await host.counters(ctx)
        wrote = +chip.counts
        assert {name: writing[name] for name in wrote} == wrote
        await host.set(ctx, "control", read=1)
        beats = [*wire_beats(Case("", case.config, decode(frame)), lanes)]
        assert await host.decode(ctx, beats) == beats
        reading = await host.counters(ctx)
        assert {name: reading[name] + writing[name] for name in chip.counts} == chip.counts
        assert reading["latency_min"] > 6
        for counters in (writing, reading):
            check_sums(counters)
            assert counters["act"] + counters["row_hits"] > 0
        assert (writing["wr"], reading["rd"]) == (len(frame) // 2, len(frame) // 2)
        assert await host.read(ctx, regs.MEMORY + base, 64) == frame[:64]
        assert not any((await host.counters(ctx)).values())

    simulate_with(dut, bench, memory, host.link.collect)
    assert chip.violations == []
    assert chip.lost == []
