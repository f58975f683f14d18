"""Streams: register slice, and a FIFO with credits for the end of a pipeline that cannot stall.

Everywhere in fmzip a stream follows four rules: a transfer happens in a cycle in which valid and
ready are both high; an offered payload is held until it is taken; valid never waits for ready; and
ready may depend on anything but the payload offered in the same cycle.
"""

from amaranth.hdl import Module, Mux, ShapeLike, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from fmzip_hw.memory import BlockFifo
from fmzip_hw.pipeline import up_or_down


class Slice(wiring.Component):
    """Register slice: cuts payload, valid and ready paths; one transfer per cycle.

    Latency ``latency`` cycle. Holds up to two payloads under backpressure.

    Parameters
    ----------
    shape : of the payload
    """

    latency = 1

    def __init__(self, shape: ShapeLike):
        self._shape = shape
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        spare = Signal(self._shape, reset_less=True)
        spare_valid = Signal()
        m.d.comb += self.i.ready.eq(~spare_valid)
        with m.If(~self.o.valid | self.o.ready):
            m.d.sync += [
                self.o.valid.eq(self.i.valid | spare_valid),
                self.o.payload.eq(Mux(spare_valid, spare, self.i.payload)),
                spare_valid.eq(0),
            ]
        with m.Elif(self.i.valid & self.i.ready):
            m.d.sync += spare_valid.eq(1)
        with m.If(~spare_valid):
            m.d.sync += spare.eq(self.i.payload)
        return m


class CreditFifo(wiring.Component):
    """FIFO behind a pipeline that cannot stall: a place is reserved when the pipeline is entered.

    Latency ``latency`` cycles from ``put`` to ``o.valid``.

    Parameters
    ----------
    shape : of the payload
    depth : places, a power of two; for a transfer per cycle, the pipeline's length and 8 more

    Members
    -------
    free : Out(1), a place may be reserved in this cycle
    reserve : In(1), reserve a place; only while ``free``
    put, payload : In, fill the oldest reserved place
    o : Out(stream of ``shape``)
    """

    latency = BlockFifo.latency

    def __init__(self, shape: ShapeLike, depth: int):
        exact_log2(depth)
        self._depth = depth
        super().__init__({
            "free": Out(1, init=1),
            "reserve": In(1),
            "put": In(1),
            "payload": In(shape),
            "o": Out(stream.Signature(shape)),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.fifo = fifo = BlockFifo(self.o.payload.shape(), self._depth)
        m.d.comb += [fifo.i.payload.eq(self.payload), fifo.i.valid.eq(self.put)]
        wiring.connect(m, fifo.o, wiring.flipped(self.o))
        places = Signal(range(self._depth + 1), init=self._depth)
        back = self.o.valid & self.o.ready
        with m.If(self.reserve ^ back):
            m.d.sync += places.eq(up_or_down(places, self.reserve))
        # One cycle late, so two places early.
        m.d.sync += self.free.eq(places > 2)
        return m
