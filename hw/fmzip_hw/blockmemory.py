"""Block RAM behind the memory port, for boards without a DRAM that is supported."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In
from amaranth.utils import exact_log2

from fmzip.regs import PORT_BYTES, ROW_BYTES
from fmzip_hw.memory import BlockRam
from fmzip_hw.memport import PORT_BITS, ROW_WORDS, MemoryPort


class BlockMemory(wiring.Component):
    """A memory of one word per cycle within a request, and one cycle between requests.

    The first word of a read comes ``latency`` cycles behind its request. Under backpressure two
    words wait at the output. Addresses beyond the end begin anew.

    Parameters
    ----------
    size_log2 : log2 of its bytes; a row at least

    Members
    -------
    port : In(MemoryPort)
    """

    latency = 1 + BlockRam.latency

    def __init__(self, size_log2: int):
        if size_log2 < exact_log2(ROW_BYTES):
            raise ValueError(f"size_log2 must be at least {exact_log2(ROW_BYTES)}, not {size_log2}")
        self._depth = (1 << size_log2) // PORT_BYTES
        super().__init__({"port": In(MemoryPort)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        request, w, r = self.port.request, self.port.w, self.port.r
        m.submodules.ram = ram = BlockRam(PORT_BITS, self._depth)
        address = Signal(range(self._depth))
        left = Signal(range(ROW_WORDS + 1))
        busy, writing = Signal(), Signal()  # busy: words are left
        fetched = Signal()  # the array's output is a word that was asked for
        step, next_word = Signal(), Signal()
        m.d.comb += [
            request.ready.eq(~busy),
            next_word.eq(~r.valid | r.ready),
            ram.r_next.eq(next_word),
            ram.r_en.eq(~fetched | next_word),
            ram.r_addr.eq(address),
            ram.w_addr.eq(address),
            ram.w_data.eq(w.payload),
            ram.w_en.eq(busy & writing & w.valid),
            w.ready.eq(busy & writing),
            step.eq(busy & ((writing & w.valid) | (~writing & ram.r_en))),
            r.payload.eq(ram.r_data),
        ]
        with m.If(ram.r_en):
            m.d.sync += fetched.eq(busy & ~writing)
        with m.If(next_word):
            m.d.sync += r.valid.eq(fetched)
        with m.If(step):
            m.d.sync += [address.eq(address + 1), left.eq(left - 1), busy.eq(left != 1)]
        with m.If(~busy & request.valid):
            m.d.sync += [
                address.eq(request.payload.address),
                left.eq(request.payload.words),
                writing.eq(request.payload.write),
                busy.eq(1),
            ]
        return m
