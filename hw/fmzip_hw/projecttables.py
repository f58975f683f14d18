"""What the memories of the coder HUFFMAN are told: matrices, offsets, codes; the bus to them."""

from amaranth.hdl import Module, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from fmzip.regs import PROJECTION_KIND_SHIFT, WORD_BYTES
from fmzip_hw.bus import WINDOW_BITS, WORD_SHIFT, Bus
from fmzip_hw.pipeline import register, register_flag

_ADDRESS_BITS = PROJECTION_KIND_SHIFT - WORD_SHIFT

ProjectionWrite = data.StructLayout({
    "en": 1,
    "kind": WINDOW_BITS - PROJECTION_KIND_SHIFT,  # see ``fmzip.regs.ProjectionKind``
    "address": _ADDRESS_BITS,
    "data": 8 * WORD_BYTES,
})  # fmt: skip


def write_of(write: data.View, kind: int) -> Value:
    """Whether a write is one of that kind."""
    return write.en & (write.kind == kind)


class ProjectionWindow(wiring.Component):
    """Takes words for the memories of the coder HUFFMAN, one an access. Reads give 0.

    Members
    -------
    bus : In(Bus)
    write : Out(ProjectionWrite)
    """

    bus: In(Bus)
    write: Out(ProjectionWrite)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bus, write = self.bus, self.write
        m.d.comb += [
            bus.ack.eq(bus.valid),
            write.en.eq(register_flag(m, bus.valid & bus.write)),
            write.kind.eq(register(m, bus.address[PROJECTION_KIND_SHIFT:])),
            write.address.eq(register(m, bus.address[WORD_SHIFT:PROJECTION_KIND_SHIFT])),
            write.data.eq(register(m, bus.data)),
        ]
        return m
