"""The bus's way to the tables of the coder RANS."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from fmzip.regs import WORD_BYTES
from fmzip_hw.bus import WORD_SHIFT, Bus
from fmzip_hw.layout import HeadLayout
from fmzip_hw.tables import ContextWrite, EntryWrite, LimitWrite, TableLoader, TokenWrite

_ADDRESS_BITS = 16  # more than the longest tables need

TableWrites = wiring.Signature({
    "context": Out(ContextWrite),
    "token": Out(TokenWrite),
    "entry": Out(EntryWrite),
    "limit": Out(LimitWrite),
})  # fmt: skip


class TableWindow(wiring.Component):
    """Takes the string of the tables, four bytes an access, in ascending order.

    An access is acknowledged when its bytes have been written: in a few hundred cycles at most. A
    word that is not the next one is lost, but for the first one, which begins anew. Reads give 0.

    Members
    -------
    bus : In(Bus)
    head : In(HeadLayout), for the transform; constant while tables are loaded
    writes : Out(TableWrites)
    whole : Out(1), see ``TableLoader``
    """

    bus: In(Bus)
    head: In(HeadLayout)
    writes: Out(TableWrites)
    whole: Out(1)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bus = self.bus
        m.submodules.loader = loader = TableLoader()
        for name in TableWrites.members:
            m.d.comb += getattr(self.writes, name).eq(getattr(loader, name))
        m.d.comb += [loader.head.eq(self.head), self.whole.eq(loader.whole)]

        word = bus.address[WORD_SHIFT : WORD_SHIFT + _ADDRESS_BITS]
        upcoming = Signal(_ADDRESS_BITS)
        part = Signal(range(WORD_BYTES))
        final = part == WORD_BYTES - 1
        m.d.comb += loader.i.payload.eq(bus.data.word_select(part, 8))
        with m.FSM():
            with m.State("idle"), m.If(bus.valid):
                with m.If(bus.write & (word == 0)):
                    m.d.comb += loader.start.eq(1)
                    m.next = "bytes"
                with m.Elif(bus.write & (word == upcoming)):
                    m.next = "bytes"
                with m.Else():
                    m.d.comb += bus.ack.eq(1)
            with m.State("bytes"):
                m.d.comb += loader.i.valid.eq(1)
                with m.If(loader.i.ready):
                    m.d.sync += part.eq(part + 1)
                    with m.If(final):
                        m.next = "written"
            with m.State("written"), m.If(loader.i.ready):
                m.d.comb += bus.ack.eq(1)
                m.d.sync += upcoming.eq(word + 1)
                m.next = "idle"
        return m
