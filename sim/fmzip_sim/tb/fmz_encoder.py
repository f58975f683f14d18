"""cocotb tests of the encoder of the coder RANS: the words of ``fmzip.reference.encode``."""

from typing import Any

import cocotb

from fmzip.format import BLOCK
from fmzip_sim.tb import fmz, wire
from fmzip_sim.tb.bench import BREAKS, CASES, SHORT
from fmzip_sim.tb.cases import Case
from fmzip_sim.tb.driver import Payload, Traffic


class EncoderBench(fmz.FmzBench):
    def __init__(self, dut: Any) -> None:
        super().__init__(dut, ("data",), ("data", "last", "raw"), sample="take")

    def payloads(self, case: Case) -> list[Payload]:
        # Lanes without a value hold something else than the zero point: they must not count.
        return [(beat,) for beat in fmz.beats(case, case.config.zero_point & 0xFF ^ 0x5A)]

    def expected(self, case: Case) -> int:
        return len(wire.words(case.frame, BLOCK))

    def difference(self, case: Case, seen: Traffic) -> str | None:
        for k, (take, got) in enumerate(zip(fmz.takes(case), seen.sampled, strict=False)):
            if take != got:
                return f"frame '{case.name}': beat {k}: take is {got}, not {take}"
        return fmz.word_difference(case, seen.taken)

    def beats_at(self, seen: Traffic) -> list[int]:
        return seen.fed_at


@cocotb.test()
@cocotb.parametrize(case=list(CASES))
async def words_are_the_references(dut: Any, case: str) -> None:
    await EncoderBench(dut).single(case)


@cocotb.test(skip=len(SHORT) < 2)
async def frames_follow_each_other_without_a_reset(dut: Any) -> None:
    await EncoderBench(dut).back_to_back()


@cocotb.test(skip=len(SHORT) < 2)
@cocotb.parametrize(when=BREAKS)
async def a_reset_in_a_frame_leaves_nothing_behind(dut: Any, when: str) -> None:
    await EncoderBench(dut).broken_off(when)
