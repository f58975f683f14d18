"""Replays in the whole system: what the passes move, how often, and when the marker is high."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.board_bench import check_sums
from tests.codec_bench import Case, beat_payloads, value_map
from tests.memory_bench import simulate_with
from tests.test_hw_soc import RING, Host

from fmzip import regs
from fmzip.format import BLOCK, Coder, FrameConfig
from fmzip.reference import decode, encode
from fmzip.regs import Replay
from fmzip.sdram import PARTS
from fmzip_hw.soc import Soc
from fmzip_sim.sdram_model import SdramChip
from fmzip_sim.sdram_pins import ChipPins

BASE = 3 * regs.ROW_BYTES


def whole_case(lanes: int) -> Case:
    """All lanes of all beats are values: what the others hold is not defined."""
    config = FrameConfig(
        16, 2, 7, tile_rows=1, tile_cols=4, coder=Coder.BITMAP, zero_bitmap=True, burst_log2=4
    )
    return Case("mixed", config, value_map(config, "mixed", np.random.default_rng(lanes)))


class Board:
    """A system with its chip, and its host."""

    def __init__(self, lanes: int = 8):
        part = replace(PARTS["IS42S16160B-7"], power_up_ns=1000)
        self.dut = Soc(lanes=lanes, part=part, stage_log2=8, ring_blocks=RING[lanes])
        self.chip, self.host = SdramChip(part, 100e6), Host(self.dut, lanes)
        self._pins = ChipPins(self.chip, self.dut.sdram)
        self.marks: list[int] = []  # lengths of the times in which the marker was high

    async def memory(self, ctx: Any) -> None:
        before = 0
        while True:
            (*_, value, marker) = await ctx.tick().sample(self._pins.outputs, self.dut.marker)
            self._pins.step(ctx, value, bool(marker))
            if marker and not before:
                self.marks.append(0)
            if marker:
                self.marks[-1] += 1
            before = marker

    async def stage(self, ctx: Any, beats: Sequence[int]) -> None:
        await self.host.write(ctx, regs.STAGE, b"".join(b.to_bytes(BLOCK, "little") for b in beats))

    async def replay(self, ctx: Any, kind: Replay, beats: int, passes: int, awake: int = 0) -> None:
        await self.host.set(ctx, "replay_beats", beats=beats)
        await self.host.set(ctx, "replay", passes=passes, kind=kind, awake=awake)
        for _ in range(200):
            status = await self.host.status(ctx)
            if not status["replaying"]:
                assert not status["differs"]
                assert await self.register(ctx, "replay_done") == passes
                return
        raise AssertionError("the replay does not end")

    async def register(self, ctx: Any, name: str) -> int:
        return int.from_bytes(await self.host.read(ctx, regs.REGISTER[name].address, 4), "little")

    def run(self, bench: Any) -> None:
        simulate_with(self.dut, bench, self.memory, self.host.link.collect)
        assert self.chip.violations == []


@pytest.mark.parametrize("lanes", [8, pytest.param(4, marks=pytest.mark.soak)])
def test_passes_move_the_same_each_time_and_count_for_nothing_else(lanes: int) -> None:
    board, passes = Board(lanes), 2
    case = whole_case(lanes)
    frame = encode(case.values, case.config)
    beats = beat_payloads(case, lanes)
    beats += [0] * (-len(beats) % (BLOCK // lanes))  # whole words, for the way without codec
    used = len(beat_payloads(case, lanes))
    joined = b"".join(b.to_bytes(lanes, "little") for b in beats)
    words = [int.from_bytes(joined[k : k + 8], "little") for k in range(0, len(joined), 8)]
    decoded = beat_payloads(Case("", case.config, decode(frame)), lanes)
    expected = {
        Replay.RAW: (len(beats), words, 8 * len(words), 0),
        Replay.CODED: (used, decoded, len(frame), used),
        Replay.CODEC: (used, decoded, 0, used),
    }

    async def bench(ctx):
        await board.host.configure(ctx, case.config, BASE)
        await board.stage(ctx, beats)
        for kind, (count, items, size, coded) in expected.items():
            await board.host.counters(ctx)
            before, marks = +board.chip.counts, len(board.marks)
            await board.replay(ctx, kind, count, passes)
            counters = await board.host.counters(ctx)
            assert await board.register(ctx, "replay_check") == regs.replay_check(items)
            assert counters["write_bytes"] == counters["read_bytes"] == passes * size
            assert 2 * counters["wr"] == 2 * counters["rd"] == passes * size
            assert counters["encoder_beats"] == counters["decoder_beats"] == passes * coded
            # One window, which the chip counts, too.
            assert board.marks[marks:] == [counters["cycles"]]
            seen = board.chip.counts - before
            assert {name: counters[name] for name in seen} == seen
            check_sums(counters)

    board.run(bench)


def test_an_idle_window_is_as_long_as_it_shall_be_asleep_or_awake() -> None:
    board, cycles = Board(), 1800

    async def bench(ctx):
        for awake in (0, 1):
            await board.host.set(ctx, "replay", awake=awake)
            await ctx.tick().repeat(200)
            await board.host.counters(ctx)
            await board.replay(ctx, Replay.IDLE, cycles // 2, 2, awake)
            counters = await board.host.counters(ctx)
            assert 0 <= counters["cycles"] - cycles <= 10
            asleep = counters["closed_low_cycles"]
            assert asleep == 0 if awake else asleep > 0.8 * cycles
            refi = 781
            assert abs(counters["ref"] - cycles // refi) <= 6
            check_sums(counters)

    board.run(bench)


def test_a_frame_that_is_refused_ends_the_passes_and_a_reset_ends_them_all() -> None:
    board = Board()
    case = whole_case(8)
    beats = beat_payloads(case, 8)

    async def bench(ctx):
        await board.host.configure(ctx, case.config, BASE)
        await board.stage(ctx, beats)
        await board.host.set(ctx, "replay_beats", beats=len(beats) - 1)  # one is missing
        await board.host.set(ctx, "replay", passes=5, kind=Replay.CODED)
        await ctx.tick().repeat(3000)
        assert (await board.host.status(ctx))["replaying"]
        await board.host.set(ctx, "control", reset=1)
        assert not (await board.host.status(ctx))["replaying"]
        await board.replay(ctx, Replay.RAW, 8, 1)

    board.run(bench)
