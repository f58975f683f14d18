"""Putting escapes back into the slots of a decoded tile."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from fmzip.format import BLOCK, ESCAPE, ESCAPES_MAX
from fmzip_hw.bytering import WORD
from fmzip_hw.slots import slot_layout
from fmzip_hw.stream import Slice

_COUNT_BITS = ESCAPES_MAX.bit_length()
_COUNT_SIZE = 16  # of the field in front of the escapes


class EscapeMerger(wiring.Component):
    """Replaces token 31 by the escape that it stands for.

    A slot per cycle, and a cycle more for each escape in it; one more for each word of escapes.

    Members
    -------
    i : In(stream of slot_layout), tokens, or the numbers of a raw tile
    words : In(stream of 64), the escape sections of the tiles that are not raw
    o : Out(stream of slot_layout)
    wrong : Out(1), a tile had more or fewer escapes than its section
    """

    def __init__(self) -> None:
        shape = slot_layout()
        super().__init__({
            "i": In(stream.Signature(shape)),
            "words": In(stream.Signature(WORD)),
            "o": Out(stream.Signature(shape)),
            "wrong": Out(1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.out = out = Slice(slot_layout())  # cuts the way back
        wiring.connect(m, out.o, wiring.flipped(self.o))
        word = self.words.payload
        held, held_valid = Signal(slot_layout()), Signal()
        pending = Signal(BLOCK)  # lanes of it that wait for an escape
        waiting = Signal()  # there are any
        escapes = Signal(WORD)
        bytes_held = Signal(range(BLOCK + 1))
        left = Signal(_COUNT_BITS)  # escapes of the tile
        some, more = Signal(), Signal()  # neither of the two is 0
        headed = Signal()  # the number of escapes of the tile at hand, or of the next one, is known
        dropping = Signal()  # the tile has ended before its escapes

        take = some & more & (waiting | dropping)
        refill = ~some & more & self.words.valid
        head = ~headed & ~dropping & self.words.valid
        m.d.comb += self.words.ready.eq(refill | head)
        with m.If(head):
            m.d.sync += [
                headed.eq(1),
                some.eq(1),
                more.eq(word[:_COUNT_BITS].any()),
                escapes.eq(word[_COUNT_SIZE:]),
                bytes_held.eq((WORD - _COUNT_SIZE) // 8),
                left.eq(word[:_COUNT_BITS]),
            ]
        with m.Elif(refill):
            m.d.sync += [escapes.eq(word), bytes_held.eq(BLOCK), some.eq(1)]
        with m.Elif(take):
            m.d.sync += [escapes.eq(escapes >> 8), bytes_held.eq(bytes_held - 1), left.eq(left - 1)]
            m.d.sync += [some.eq(bytes_held != 1), more.eq(left != 1)]

        done = Signal()  # the slot leaves
        lowest = pending & (~pending + 1)[:BLOCK]
        others = pending & (pending - 1)[:BLOCK]
        m.d.comb += [
            out.i.payload.eq(held),
            out.i.valid.eq(held_valid & ~waiting),
            done.eq(out.i.valid & out.i.ready),
        ]
        # Where there is none left, the token stays.
        with m.If(waiting & headed & (some | ~more)):
            m.d.sync += [pending.eq(others), waiting.eq(others.any())]
            for lane in range(BLOCK):
                with m.If(lowest[lane] & more):
                    m.d.sync += held.z[lane].eq(escapes[:8])
        with m.If(dropping & ~more):
            m.d.sync += dropping.eq(0)
        ends = done & held.last & ~held.raw
        with m.If(ends):
            m.d.sync += [headed.eq(0), dropping.eq(more)]

        fresh = Cat(z == ESCAPE for z in self.i.payload.z) & (~self.i.payload.raw).replicate(BLOCK)
        m.d.comb += self.i.ready.eq((~held_valid | done) & ~dropping & ~ends)
        with m.If(self.i.ready):
            m.d.sync += [held.eq(self.i.payload), held_valid.eq(self.i.valid)]
            m.d.sync += [pending.eq(fresh), waiting.eq(self.i.valid & fresh.any())]
        with m.Elif(done):
            m.d.sync += held_valid.eq(0)

        damaged = (head & word[_COUNT_BITS:_COUNT_SIZE].any()) | (ends & more)
        m.d.sync += self.wrong.eq(damaged | (waiting & headed & ~more))
        return m
