"""Putting escapes back into the slots of a decoded tile."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from fmzip.format import BLOCK, ESCAPE, ESCAPES_MAX
from fmzip_hw.slots import slot_layout
from fmzip_hw.stream import Slice

_COUNT_BITS = ESCAPES_MAX.bit_length()
_COUNT_SIZE = 16  # of the field in front of the escapes


class EscapeMerger(wiring.Component):
    """Replaces token 31 by the escape that it stands for.

    A slot per cycle, and a cycle more for each escape in it but the first one, and for each word
    of escapes.

    Parameters
    ----------
    lanes : 2, 4 or 8; see ``slots`` for what a slot is with less than 8

    Members
    -------
    i : In(stream of slot_layout), tokens, or the numbers of a raw tile
    words : In(stream of 8 x lanes), the escape sections of the tiles that are not raw, without
        whole words of padding
    o : Out(stream of slot_layout)
    wrong : Out(1), a tile had more or fewer escapes than its section
    """

    def __init__(self, lanes: int = BLOCK) -> None:
        self._lanes = lanes
        shape = slot_layout(lanes)
        super().__init__({
            "i": In(stream.Signature(shape)),
            "words": In(stream.Signature(8 * lanes)),
            "o": Out(stream.Signature(shape)),
            "wrong": Out(1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lanes, layout = self._lanes, slot_layout(self._lanes)
        m.submodules.slot = slot = Slice(layout)  # these two cut the way back
        m.submodules.out = out = Slice(layout)
        wiring.connect(m, wiring.flipped(self.i), slot.i)
        wiring.connect(m, out.o, wiring.flipped(self.o))
        word = self.words.payload
        held, held_valid = Signal(layout), Signal()
        pending = Signal(lanes)  # lanes of it that wait for an escape
        waiting, single = Signal(), Signal()  # there are any; there is one
        escapes = Signal(8 * lanes)
        bytes_held = Signal(range(lanes + 1))
        left = Signal(_COUNT_BITS)  # escapes of the tile
        some, more = Signal(), Signal()  # neither of the two is 0
        headed = Signal()  # the number of escapes of the tile at hand, or of the next one, is known
        dropping = Signal()  # the tile has ended before its escapes

        done = Signal()  # the slot leaves
        at_hand = headed & (some | ~more)  # an escape, or it is known that there is none left
        early = waiting & ~single & at_hand  # all but the last one, while the slot is held
        take = some & more & (early | (done & waiting) | dropping)
        refill = ~some & more & self.words.valid
        head = ~headed & ~dropping & self.words.valid
        m.d.comb += self.words.ready.eq(refill | head)
        behind_count = lanes - _COUNT_SIZE // 8  # bytes of the first word
        with m.If(head):
            m.d.sync += [
                headed.eq(1),
                some.eq(behind_count > 0),
                more.eq(word[:_COUNT_BITS].any()),
                escapes.eq(word[_COUNT_SIZE:]),
                bytes_held.eq(behind_count),
                left.eq(word[:_COUNT_BITS]),
            ]
        with m.Elif(refill):
            m.d.sync += [escapes.eq(word), bytes_held.eq(lanes), some.eq(1)]
        with m.Elif(take):
            m.d.sync += [escapes.eq(escapes >> 8), bytes_held.eq(bytes_held - 1), left.eq(left - 1)]
            m.d.sync += [some.eq(bytes_held != 1), more.eq(left != 1)]

        lowest = lowest_flag(pending)
        others = pending & ~lowest
        m.d.comb += [
            out.i.payload.eq(held),
            out.i.valid.eq(held_valid & (~waiting | (single & at_hand))),
            done.eq(out.i.valid & out.i.ready),
        ]
        for lane in range(lanes):
            # Where there is none left, the token stays.
            with m.If(lowest[lane] & more):
                m.d.comb += out.i.payload.z[lane].eq(escapes[:8])
                with m.If(early):
                    m.d.sync += held.z[lane].eq(escapes[:8])
        with m.If(early):
            m.d.sync += [pending.eq(others), single.eq(_exactly_one(others))]
        with m.If(dropping & ~more):
            m.d.sync += dropping.eq(0)
        ends = done & held.last & ~held.raw
        left_over = Mux(take, left != 1, more)
        with m.If(ends):
            m.d.sync += [headed.eq(0), dropping.eq(left_over)]

        fresh = Cat(z == ESCAPE for z in slot.o.payload.z) & (~slot.o.payload.raw).replicate(lanes)
        m.d.comb += slot.o.ready.eq((~held_valid | done) & ~dropping & ~ends)
        with m.If(slot.o.ready):
            m.d.sync += [held.eq(slot.o.payload), held_valid.eq(slot.o.valid)]
            m.d.sync += [pending.eq(fresh), single.eq(_exactly_one(fresh))]
            m.d.sync += waiting.eq(slot.o.valid & fresh.any())
        with m.Elif(done):
            m.d.sync += [held_valid.eq(0), pending.eq(0), waiting.eq(0)]

        damaged = (head & word[_COUNT_BITS:_COUNT_SIZE].any()) | (ends & left_over)
        m.d.sync += self.wrong.eq(damaged | (held_valid & waiting & headed & ~more))
        return m


def lowest_flag(flags: Value) -> Value:
    """The lowest flag that is set; no carry chain."""
    return Cat(flags[k] & ~flags[:k].any() for k in range(len(flags)))


def several(flags: Value) -> Value:
    """More than one flag is set."""
    return _counted(flags)[1]


def _exactly_one(flags: Value) -> Value:
    """One flag is set."""
    some, many = _counted(flags)
    return some & ~many


def _counted(flags: Value) -> tuple[Value, Value]:
    """Whether any flag is set, and more than one; not one carry behind the other."""
    found = [(flag, Const(0, 1)) for flag in flags]
    while len(found) > 1:
        found = [
            (a | b, many_a | many_b | (a & b))
            for (a, many_a), (b, many_b) in zip(found[0::2], found[1::2], strict=True)
        ]
    return found[0]
