"""Numbers of the coder GF2 into the memories of a component, as a board's window writes them."""

from collections.abc import Sequence
from typing import Any

from fmzip.planeload import Words


async def put(ctx: Any, dut: Any, words: Sequence[Words]) -> None:
    """Write words from the begin of each memory on."""
    for kind, of in words:
        for address, word in enumerate(of.tolist()):
            ctx.set(dut.write, {"en": 1, "kind": kind, "address": address, "data": word})
            await ctx.tick()
    ctx.set(dut.write.en, 0)
    await ctx.tick().repeat(3)
