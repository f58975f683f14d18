"""Loading the tables of the coder RANS into the memories that need them."""

from amaranth.hdl import Const, Module, Mux, Shape, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from fmzip.format import (
    CONTEXTS,
    ESCAPE,
    PLANES,
    STATISTICS_MAX,
    TOKENS,
    TOTAL_BITS,
    price,
)
from fmzip_hw.layout import HeadLayout
from fmzip_hw.pipeline import register, register_flag
from fmzip_hw.slots import PLANES_MAX

STATISTIC_BITS = ceil_log2(STATISTICS_MAX)
TOKEN_BITS = ceil_log2(TOKENS)

EntryLayout = data.StructLayout({
    "frequency": TOTAL_BITS,
    "start": TOTAL_BITS,  # the sum of the frequencies of the tokens below
    "price": TOTAL_BITS,  # `format.price` of the frequency; 0 for none
})  # fmt: skip


def write_layout(address_bits: int, shape: int | data.Layout) -> data.StructLayout:
    """A write to a memory, in one cycle."""
    return data.StructLayout({"en": 1, "address": address_bits, "data": shape})


ContextWrite = write_layout(ceil_log2(CONTEXTS * PLANES_MAX), STATISTIC_BITS)
TokenWrite = write_layout(STATISTIC_BITS + TOTAL_BITS, TOKEN_BITS)
EntryWrite = write_layout(STATISTIC_BITS + TOKEN_BITS, EntryLayout)
LimitWrite = write_layout(STATISTIC_BITS, TOKEN_BITS)


class TableLoader(wiring.Component):
    """Takes the byte string of a frame's tables, and writes it where it is looked up.

    A byte per cycle, but for one cycle for each of the 256 slots of a statistic. Writes come up to
    ``latency`` cycles behind the byte.

    Members
    -------
    head : In(HeadLayout), the transform tells the number of contexts; constant from ``start`` on
    start : In(1), begin: the next byte is the statistic of context 0
    i : In(stream of 8)
    context : Out(ContextWrite), context to statistic
    token : Out(TokenWrite), state's low byte, statistic in the upper bits, to token
    entry : Out(EntryWrite), token, statistic in the upper bits, to frequency, start, price
    limit : Out(LimitWrite), statistic to its highest token below 31 that has a frequency
    whole : Out(1), all that has come has been written, and it ends with a whole statistic
    """

    latency = 2

    head: In(HeadLayout)
    start: In(1)
    i: In(stream.Signature(8))
    context: Out(ContextWrite)
    token: Out(TokenWrite)
    entry: Out(EntryWrite)
    limit: Out(LimitWrite)
    whole: Out(1)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        head = self.head
        byte = self.i.payload
        planes: Value = Const(1)
        for transform, count in PLANES.items():
            planes = Mux(head.transform == transform, count, planes)
        last = register(m, planes * CONTEXTS - 1)[: ceil_log2(CONTEXTS * PLANES_MAX)]
        context = Signal(ceil_log2(CONTEXTS * PLANES_MAX))
        statistic, token = Signal(STATISTIC_BITS), Signal(TOKEN_BITS)
        behind = Signal()  # all contexts have come
        slot = Signal(TOTAL_BITS)  # the sum of the frequencies so far, then while they are written
        left = Signal(TOTAL_BITS)  # slots of the token that are still to be written
        spreading = Signal()
        highest = Signal(TOKEN_BITS)
        take = Signal()
        m.d.comb += [self.i.ready.eq(~spreading), take.eq(self.i.valid & ~spreading)]
        with m.If(self.start):
            m.d.sync += [context.eq(0), statistic.eq(0), token.eq(0), slot.eq(0)]
            m.d.sync += [behind.eq(0), spreading.eq(0), self.whole.eq(0)]
        with m.Elif(spreading):
            m.d.sync += [slot.eq(slot + 1), left.eq(left - 1)]
            with m.If(left == 1):
                m.d.sync += [spreading.eq(0), token.eq(token + 1)]
                with m.If(token == ESCAPE):
                    m.d.sync += [statistic.eq(statistic + 1), slot.eq(0), self.whole.eq(1)]
        with m.Elif(take & ~behind):
            m.d.sync += [context.eq(context + 1), behind.eq(context == last)]
        with m.Elif(take):
            m.d.sync += self.whole.eq(0)
            with m.If(byte.any()):
                m.d.sync += [left.eq(byte), spreading.eq(1)]
            with m.Else():
                # Token 31 has a frequency in every table; without it a statistic has no end.
                m.d.sync += token.eq(token + 1)
            with m.If(byte.any() & (token != ESCAPE)):
                m.d.sync += highest.eq(token)

        prices = [0, *(price(f) for f in range(1, 1 << TOTAL_BITS))]
        m.submodules.prices = memory = Memory(
            shape=Shape(TOTAL_BITS), depth=len(prices), init=prices
        )
        of_byte = memory.read_port()
        m.d.comb += [of_byte.en.eq(1), of_byte.addr.eq(byte)]
        of_statistic = take & behind & ~self.start
        m.d.comb += [
            self.context.en.eq(register_flag(m, take & ~behind & ~self.start)),
            self.context.address.eq(register(m, context)),
            self.context.data.eq(register(m, byte[:STATISTIC_BITS])),
            self.token.en.eq(register_flag(m, spreading & ~self.start)),
            self.token.address.eq(register(m, (statistic << TOTAL_BITS) | slot)),
            self.token.data.eq(register(m, token)),
            self.entry.en.eq(register_flag(m, of_statistic)),
            self.entry.address.eq(register(m, (statistic << TOKEN_BITS) | token)),
            self.entry.data.frequency.eq(register(m, byte)),
            self.entry.data.start.eq(register(m, slot)),
            self.entry.data.price.eq(of_byte.data),
            self.limit.en.eq(register_flag(m, of_statistic & (token == ESCAPE))),
            self.limit.address.eq(register(m, statistic)),
            self.limit.data.eq(register(m, highest)),
        ]
        return m
