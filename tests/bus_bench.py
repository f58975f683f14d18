"""The host's side of the inner bus, for tests of what is on it."""

from typing import Any


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
