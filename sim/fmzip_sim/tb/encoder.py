"""cocotb tests of the encoder: it puts out the words of ``fmzip.reference.encode``."""

from typing import Any

import cocotb

from fmzip.format import multiplier
from fmzip_sim.tb import wire
from fmzip_sim.tb.bench import BREAKS, CASES, SHORT, Bench
from fmzip_sim.tb.cases import Case
from fmzip_sim.tb.compare import take_difference, word_difference
from fmzip_sim.tb.driver import Payload, Traffic


class EncoderBench(Bench):
    def __init__(self, dut: Any) -> None:
        super().__init__(dut, ("data",), ("data", "last", "raw"), sample="take")

    def ports(self, case: Case) -> dict[str, int]:
        head = int.from_bytes(case.config.static_head(), "little")
        return {"head": head, "multiplier": multiplier(case.config.step)}

    def payloads(self, case: Case) -> list[Payload]:
        beats = wire.beats(case.values, case.config, self.lanes)
        # Lanes without a value hold something else than the zero point: they must not count.
        filler = bytes((case.config.zero_point & 0xFF) ^ 0x5A for _ in range(self.lanes))
        return [(int.from_bytes((b.values + filler)[: self.lanes], "little"),) for b in beats]

    def expected(self, case: Case) -> int:
        return len(wire.words(case.frame, self.lanes))

    def difference(self, case: Case, seen: Traffic) -> str | None:
        return take_difference(case, self.lanes, seen.sampled) or word_difference(
            case, self.lanes, seen.taken
        )

    def beats_at(self, seen: Traffic) -> list[int]:
        return seen.fed_at

    async def run(self, case: Case) -> None:
        assert self.dut.done.value == 1, "not done before a frame is started"
        await super().run(case)
        assert self.dut.done.value == 1, f"frame '{case.name}': not done after its last word"


@cocotb.test()
@cocotb.parametrize(case=list(CASES))
async def words_are_the_references(dut: Any, case: str) -> None:
    await EncoderBench(dut).single(case)


@cocotb.test(skip=len(SHORT) < 2)
async def frames_follow_each_other_without_a_pause(dut: Any) -> None:
    await EncoderBench(dut).back_to_back()


@cocotb.test(skip=len(SHORT) < 2)
@cocotb.parametrize(when=BREAKS)
async def a_reset_in_a_frame_leaves_nothing_behind(dut: Any, when: str) -> None:
    await EncoderBench(dut).broken_off(when)
