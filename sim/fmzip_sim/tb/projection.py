"""What the benches of the coder HUFFMAN share: loading matrices, offsets and codes."""

from typing import Any

from cocotb.triggers import RisingEdge

from fmzip import projload
from fmzip.projection import ProjectionCoding
from fmzip_hw.projecttables import ProjectionWrite
from fmzip_sim.tb.bench import SHORT
from fmzip_sim.tb.cases import Case
from fmzip_sim.tb.positionwise import PositionBench
from fmzip_sim.tb.sizes import PROJECTION as SIZE


class ProjectionBench(PositionBench):
    """A codec of the coder HUFFMAN. Each projection goes to the page that is not in use."""

    short = SHORT[:4]  # loading takes most of the time
    _loaded: ProjectionCoding | None = None
    _page = 0

    def ports(self, case: Case) -> dict[str, int]:
        head = int.from_bytes(case.config.static_head(), "little")
        return {"head": head, "page": self._page}

    async def begin(self) -> None:
        self.dut.write.value = 0
        await super().begin()

    async def prepare(self, case: Case) -> None:
        """Load the case's projection, if it is another one."""
        coding = case.coding
        assert isinstance(coding, ProjectionCoding)
        if self._loaded is coding:
            return
        self._loaded, self._page = coding, 1 - self._page
        row = self._page * SIZE.entries // SIZE.multipliers // 2
        size = (self._page, row, SIZE.multipliers, SIZE.values)
        if hasattr(self.dut, "take"):
            memories = projload.encoder_words(coding, *size)
        else:
            memories = projload.decoder_words(coding.tables, *size)
        for kind, first, words in memories:
            for address, word in enumerate(words.tolist(), first):
                await self._write(en=1, kind=kind, address=address, data=word)
        self.dut.write.value = 0

    async def _write(self, **fields: Any) -> None:
        self.dut.write.value = ProjectionWrite.const(fields).as_value().value
        await RisingEdge(self.dut.clk)
