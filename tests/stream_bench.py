"""One bench for every component with streams: feeds, drains, and checks the stream contract.

Stall patterns are named, so that a failing test says which one it was. ``run`` drives Amaranth's
own simulator; the benches on emitted Verilog have their twin in ``fmzip_sim.tb``.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from amaranth.hdl import Elaboratable
from amaranth.sim import Simulator

# Each pattern yields True in cycles in which the side is willing.
PATTERNS: dict[str, Callable[[], Iterator[bool]]] = {
    "never": lambda: iter(lambda: True, None),
    "alternate": lambda: (t % 2 == 0 for t in iter(int, 1) for t in range(2)),
    "random": lambda: (lambda r: (r.random() < 0.6 for _ in iter(int, 1)))(random.Random(1)),
    "bursts": lambda: (t % 48 < 24 for _ in iter(int, 1) for t in range(48)),
    "rare": lambda: (t % 9 == 8 for _ in iter(int, 1) for t in range(9)),
}


def run(
    dut: Elaboratable,
    inputs: Sequence[Any],
    outputs: int,
    *,
    feed: str = "never",
    drain: str = "never",
    setup: Callable[[Any], None] | None = None,
    ready: Callable[[Any], bool] | None = None,
    deadline: int = 100_000,
) -> tuple[list[Any], dict[str, Any]]:
    """Feed ``inputs`` into ``dut.i`` and take ``outputs`` payloads from ``dut.o``.

    Checks that an offered payload is held until it is taken.

    Parameters
    ----------
    inputs : payloads
    outputs : how many payloads to take
    feed, drain : names of stall patterns
    setup : called with the simulation context before the first cycle and before the second

    Returns
    -------
    The payloads taken (integers), and cycles at which things happened.
    """
    taken: list[Any] = []
    times: dict[str, Any] = {"in": [], "out": [], "ready": 0}

    async def feeder(ctx: Any) -> None:
        if setup:
            setup(ctx)
            await ctx.tick()
            ctx.set(dut.start, 0)
            times["now"] = 0
        pattern = PATTERNS[feed]()
        for payload in inputs:
            while not next(pattern):
                await ctx.tick()
            ctx.set(dut.i.payload, payload)
            ctx.set(dut.i.valid, 1)
            await ctx.tick().until(dut.i.ready)
            times["in"].append(times["now"])
            ctx.set(dut.i.valid, 0)

    async def drainer(ctx: Any) -> None:
        pattern = PATTERNS[drain]()
        offered = None
        for cycle in range(deadline):
            times["now"] = cycle
            willing = next(pattern)
            ctx.set(dut.o.ready, willing)
            _, _, valid, payload = await ctx.tick().sample(dut.o.valid, dut.o.payload)
            bits = payload if isinstance(payload, int) else payload.as_bits()
            if offered is not None:
                assert valid, f"cycle {cycle}: an offered payload was withdrawn"
                assert bits == offered, f"cycle {cycle}: an offered payload changed"
            offered = bits if valid and not willing else None
            if valid and willing:
                taken.append(bits)
                times["out"].append(cycle)
                if len(taken) == outputs:
                    return
        raise AssertionError(f"{len(taken)} of {outputs} payloads after {deadline} cycles")

    sim = Simulator(dut)
    sim.add_clock(1e-8)
    sim.add_testbench(drainer)
    sim.add_testbench(feeder, background=True)
    sim.run()
    return taken, times
