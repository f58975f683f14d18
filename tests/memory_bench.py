"""A memory behind the memory port, which checks every request and stalls as it is told."""

from collections.abc import Awaitable, Callable, Iterator
from itertools import cycle
from typing import Any

from amaranth.hdl import Elaboratable
from amaranth.sim import Simulator
from tests.stream_bench import PATTERNS

from fmzip_hw.memport import ROW_WORDS

ALWAYS: Callable[[], Iterator[bool]] = lambda: cycle([True])  # noqa: E731 (a default)


class Memory:
    """Words by address; those that were never written are ``None``.

    Members
    -------
    requests : all that were accepted: write, address, words
    made_up : the value that stands for words that nobody has written
    """

    def __init__(self, port: Any, *, latency: int = 6, stalls: str = "never", depth: int = 2):
        self.port = port
        self.words: dict[int, int] = {}
        self.requests: list[tuple[bool, int, int]] = []
        self.latency, self.depth = latency, depth
        self.stalls = stalls

    def load(self, address: int, data: bytes) -> None:
        for k in range(0, len(data), 8):
            self.words[address + k // 8] = int.from_bytes(data[k : k + 8], "little")

    def bytes(self, address: int, size: int) -> bytes:
        """What was written; KeyError where nothing was."""
        words = range(address, address + size // 8)
        return b"".join(self.words[k].to_bytes(8, "little") for k in words)

    async def serve(self, ctx: Any) -> None:
        port, pattern = self.port, PATTERNS[self.stalls]()
        payload = port.request.payload
        queue: list[list[int]] = []
        wait = 0
        offered = None
        while True:
            willing = next(pattern)
            now = queue[0] if queue and wait == 0 else None
            room = len(queue) < self.depth and willing
            w_ready = now is not None and now[0] and willing
            # A word that was offered is held.
            r_valid = now is not None and not now[0] and (willing or offered is not None)
            ctx.set(port.request.ready, room)
            ctx.set(port.w.ready, w_ready)
            ctx.set(port.r.valid, r_valid)
            if r_valid:
                assert now is not None
                offered = self.words.get(now[1], 0)
                ctx.set(port.r.payload, offered)
            _, _, asked, write, address, words, w_valid, data, r_ready = await ctx.tick().sample(
                port.request.valid, payload.write, payload.address, payload.words, port.w.valid,
                port.w.payload, port.r.ready,
            )  # fmt: skip
            wait -= wait > 0
            moved = (w_ready and w_valid) or (r_valid and r_ready)
            if moved:
                assert now is not None
                offered = None
                if now[0]:
                    self.words[now[1]] = data
                now[1] += 1
                now[2] -= 1
                if now[2] == 0:
                    queue.pop(0)
                    wait = self.latency
            if asked and room:
                assert 1 <= words <= ROW_WORDS - address % ROW_WORDS, (
                    f"a request for {words} words at {address:#x} leaves its row"
                )
                self.requests.append((bool(write), address, words))
                if not queue:
                    wait = self.latency
                queue.append([write, address, words])


def simulate_with(
    dut: Elaboratable,
    bench: Callable[[Any], Awaitable[None]],
    *beside: Callable[[Any], Awaitable[None]],
) -> None:
    """Run ``bench(context)`` on ``dut`` with a clock, and others beside it until it ends."""
    sim = Simulator(dut)
    sim.add_clock(1e-8)
    sim.add_testbench(bench)
    for other in beside:
        sim.add_testbench(other, background=True)
    sim.run()
