"""Frames around a frame writer or reader: index memory beside it, memory behind its port."""

from typing import Any

from amaranth.hdl import Module, Value
from amaranth.lib import wiring

from fmzip.format import FrameConfig
from fmzip_hw.frameindex import IndexMemory

SETTLE = 8  # cycles that the sizes of the head need behind the configuration


class WithIndex(wiring.Component):
    """A frame writer or reader with its index memory."""

    def __init__(self, part: Any):
        self.part = part
        super().__init__({})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.part = self.part
        m.submodules.index = index = IndexMemory()
        wiring.connect(m, self.part.index, index.users[0])
        return m


async def start(ctx: Any, part: Any, config: FrameConfig, base: int) -> None:
    """Configure, wait, start; ``base`` in words."""
    ctx.set(Value.cast(part.head), int.from_bytes(config.static_head(), "little"))
    ctx.set(part.base, base)
    await ctx.tick().repeat(SETTLE)
    assert ctx.get(part.done)
    ctx.set(part.start, 1)
    await ctx.tick()
    ctx.set(part.start, 0)
    assert not ctx.get(part.done)
