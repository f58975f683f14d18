"""cocotb tests of the decoder of the coder RANS: the values of ``fmzip.reference.decode``."""

from typing import Any

import cocotb

from fmzip.format import BLOCK
from fmzip_sim.tb import fmz, wire
from fmzip_sim.tb.bench import BREAKS, CASES, SHORT
from fmzip_sim.tb.cases import Case
from fmzip_sim.tb.driver import Payload, Traffic


class DecoderBench(fmz.FmzBench):
    def __init__(self, dut: Any) -> None:
        super().__init__(dut, ("data", "last", "raw"), ("data", "keep", "last"))

    def payloads(self, case: Case) -> list[Payload]:
        return [(w.data, w.last, w.raw) for w in wire.words(case.frame, BLOCK)]

    def expected(self, case: Case) -> int:
        return len(fmz.takes(case))

    def difference(self, case: Case, seen: Traffic) -> str | None:
        return fmz.beat_difference(case, seen.taken)

    def beats_at(self, seen: Traffic) -> list[int]:
        return seen.taken_at


@cocotb.test()
@cocotb.parametrize(case=list(CASES))
async def values_are_the_references(dut: Any, case: str) -> None:
    bench = DecoderBench(dut)
    await bench.single(case)
    assert dut.broken.value == 0, f"frame '{case}': a tile is said to be broken"


@cocotb.test(skip=len(SHORT) < 2)
async def frames_follow_each_other_without_a_reset(dut: Any) -> None:
    await DecoderBench(dut).back_to_back()


@cocotb.test(skip=len(SHORT) < 2)
@cocotb.parametrize(when=BREAKS)
async def a_reset_in_a_frame_leaves_nothing_behind(dut: Any, when: str) -> None:
    await DecoderBench(dut).broken_off(when)
