"""What the benches of the coder GF2 share: loading layers and integers."""

from typing import Any

from cocotb.triggers import RisingEdge

from fmzip import planeload
from fmzip.gf2 import PlaneCoding
from fmzip_hw.projecttables import ProjectionWrite
from fmzip_sim.tb.bench import SHORT
from fmzip_sim.tb.cases import Case
from fmzip_sim.tb.positionwise import PositionBench
from fmzip_sim.tb.sizes import PLANES


class PlaneBench(PositionBench):
    """A codec of the coder GF2."""

    short = SHORT[:2]  # loading takes most of the time
    _loaded: PlaneCoding | None = None

    def ports(self, case: Case) -> dict[str, int]:
        return {"head": int.from_bytes(case.config.static_head(), "little")}

    async def begin(self) -> None:
        self.dut.write.value = 0
        await super().begin()

    async def prepare(self, case: Case) -> None:
        """Load what the case's frame is coded with, if it is something else."""
        coding = case.coding
        assert isinstance(coding, PlaneCoding)
        if self._loaded is coding:
            return
        self._loaded = coding
        if hasattr(self.dut, "take"):
            memories = planeload.encoder_words(coding.encoder, case.config.channels)
        else:
            memories = planeload.decoder_words(coding.tables, case.config.channels, PLANES.adders)
        for kind, words in memories:
            for address, word in enumerate(words.tolist()):
                await self._write(en=1, kind=kind, address=address, data=word)
        self.dut.write.value = 0

    async def _write(self, **fields: Any) -> None:
        self.dut.write.value = ProjectionWrite.const(fields).as_value().value
        await RisingEdge(self.dut.clk)
