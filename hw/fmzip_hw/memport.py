"""The memory port: row-burst requests and their data, as a DRAM controller wants them.

A request names a direction, an address and a number of words, and stays inside one row, so that a
controller opens a row once and streams. Requests are served in order; the words of a write follow
on ``w`` in the order of the requests, those of a read come back on ``r``. A request may be sent
before the words of the one before it have moved. The requester has all words of a write at hand,
or soon, and room for all words of a read, before it asks: the memory never waits long.
"""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from fmzip.regs import PORT_BYTES, ROW_BYTES, WINDOW_BYTES
from fmzip_hw.pipeline import register, register_flag
from fmzip_hw.stream import Slice

PORT_BITS = 8 * PORT_BYTES
ROW_WORDS = ROW_BYTES // PORT_BYTES
ADDRESS_BITS = exact_log2(WINDOW_BYTES // PORT_BYTES)

Request = data.StructLayout({
    "write": 1,
    "address": ADDRESS_BITS,  # in words
    "words": range(ROW_WORDS + 1),  # 1 to ROW_WORDS, not beyond the end of the row
})  # fmt: skip

MemoryPort = wiring.Signature({
    "request": Out(stream.Signature(Request)),
    "w": Out(stream.Signature(PORT_BITS)),
    "r": In(stream.Signature(PORT_BITS)),
})  # fmt: skip


def to_row_end(address: Signal) -> Signal:
    """Words from ``address`` to the end of its row: 1 to ROW_WORDS."""
    return ROW_WORDS - address[: exact_log2(ROW_WORDS)]


class PortSlice(wiring.Component):
    """Cuts the paths of words between users and memory; each word is a cycle later.

    Requests pass as they are: ``PortSwitch`` has cut them.

    Members
    -------
    user : In(MemoryPort)
    port : Out(MemoryPort)
    """

    def __init__(self) -> None:
        super().__init__({"user": In(MemoryPort), "port": Out(MemoryPort)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.w = w = Slice(PORT_BITS)
        m.submodules.r = r = Slice(PORT_BITS)
        user, port = wiring.flipped(self.user), wiring.flipped(self.port)
        wiring.connect(m, user.request, port.request)
        wiring.connect(m, user.w, w.i)
        wiring.connect(m, w.o, port.w)
        wiring.connect(m, port.r, r.i)
        wiring.connect(m, r.o, user.r)
        return m


class PortSwitch(wiring.Component):
    """Gives one memory port to several users, of which one works at a time.

    Another user gets the port when all words of the one before have moved. A request takes a
    cycle; words pass without delay. A user's requests that are under way all go in one direction.

    Parameters
    ----------
    users : how many

    Members
    -------
    users : In(MemoryPort) each
    port : Out(MemoryPort)
    abort : In(1), the users are reset in this cycle: what the memory still expects or delivers is
        made up or dropped
    idle : Out(1), nothing is under way
    owner : Out, whose words are under way
    """

    def __init__(self, users: int):
        self._count = users
        super().__init__({
            "users": In(MemoryPort).array(users),
            "port": Out(MemoryPort),
            "abort": In(1),
            "idle": Out(1),
            "owner": Out(range(users)),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        port, owner = self.port, self.owner
        m.submodules.requests = requests = Slice(Request)
        wiring.connect(m, requests.o, wiring.flipped(port.request))
        draining = Signal()
        owed = Signal(range(8 * ROW_WORDS))  # words that are still to move
        room = owed < 6 * ROW_WORDS  # and two requests more
        asked = requests.i.valid & requests.i.ready
        moved = (port.w.valid & port.w.ready) | (port.r.valid & port.r.ready)
        owes = Signal()  # words are still to move
        # A request's words come to those that are owed, and moved ones go, a cycle late.
        claimed = register(m, Mux(asked, requests.i.payload.words, 0))
        total = (owed + claimed - register_flag(m, moved))[: len(owed)]
        m.d.sync += [owed.eq(total), owes.eq(asked | (owes & ~(moved & (total == 1))))]
        # A memory may take words ahead of their request: none is made up that is not owed.
        writing, made_up = Signal(), Signal()
        with m.If(asked):
            m.d.sync += writing.eq(requests.i.payload.write)
        m.d.comb += made_up.eq(draining & writing & owes)
        m.d.comb += self.idle.eq(~owes & ~draining)
        with m.If(self.abort):
            m.d.sync += draining.eq(1)
        with m.Elif(~owes):
            m.d.sync += draining.eq(0)
        with m.Switch(owner):
            for k in range(self._count):
                user = self.users[k]
                with m.Case(k):
                    m.d.comb += [
                        requests.i.payload.eq(user.request.payload),
                        # In the cycle of an abort, too: what is asked for then is owed.
                        requests.i.valid.eq(user.request.valid & room & ~draining),
                        user.request.ready.eq(requests.i.ready & room & ~draining),
                        port.w.payload.eq(user.w.payload),
                        port.w.valid.eq(Mux(draining, made_up, user.w.valid)),
                        user.w.ready.eq(port.w.ready & ~draining),
                        user.r.payload.eq(port.r.payload),
                        user.r.valid.eq(port.r.valid & ~draining),
                        port.r.ready.eq(user.r.ready | draining),
                    ]
                    with m.If(~owes & ~user.request.valid):
                        for other in reversed(range(self._count)):
                            with m.If(self.users[other].request.valid):
                                m.d.sync += owner.eq(other)
        return m
