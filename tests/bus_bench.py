"""The host's side of the link and of the inner bus, for tests of what is behind them."""

import random
from typing import Any

from fmzip.packets import Receiver, Reply


async def access(
    ctx: Any, bus: Any, address: int, data: int | None = None, deadline: int = 400
) -> tuple[int, int]:
    """One access; a write with ``data``. What was read, and the cycles it took."""
    ctx.set(bus.address, address)
    ctx.set(bus.write, data is not None)
    ctx.set(bus.data, data or 0)
    ctx.set(bus.valid, 1)
    for cycles in range(1, deadline):
        _, _, ack, value = await ctx.tick().sample(bus.ack, bus.read)
        if ack:
            ctx.set(bus.valid, 0)
            return value, cycles
    raise AssertionError(f"no answer to {address:#x} in {deadline} cycles")


async def read(ctx: Any, bus: Any, address: int) -> int:
    value, _ = await access(ctx, bus, address)
    return value


async def write(ctx: Any, bus: Any, address: int, data: int) -> None:
    await access(ctx, bus, address, data)


class Link:
    """Sends bytes and collects what comes back, with stalls on both sides."""

    def __init__(self, i: Any, o: Any, eager: bool = True, seed: int = 1):
        self.i, self.o, self.receiver = i, o, Receiver()
        self.got: list[Reply] = []
        self._generator, self._share = random.Random(seed), 1.0 if eager else 0.5
        self.raw = bytearray()
        self.now = 0  # cycles

    async def collect(self, ctx: Any) -> None:
        while True:
            willing = self._generator.random() < self._share
            ctx.set(self.o.ready, willing)
            _, _, valid, byte = await ctx.tick().sample(self.o.valid, self.o.payload)
            self.now += 1
            if valid and willing:
                self.raw.append(byte)
                self.got += self.receiver.feed(bytes((byte,)))

    async def send(self, ctx: Any, data: bytes) -> None:
        for byte in data:
            while self._generator.random() >= self._share:
                await ctx.tick()
            ctx.set(self.i.payload, byte)
            ctx.set(self.i.valid, 1)
            await ctx.tick().until(self.i.ready)
            ctx.set(self.i.valid, 0)

    async def ask(self, ctx: Any, packet: bytes, cycles: int = 20_000) -> Reply:
        """Send a request and wait for exactly one reply."""
        before = len(self.got)
        await self.send(ctx, packet)
        for _ in range(cycles):
            if len(self.got) > before:
                assert len(self.got) == before + 1
                return self.got[-1]
            await ctx.tick()
        raise AssertionError("no reply")
