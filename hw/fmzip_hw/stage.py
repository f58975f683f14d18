"""The stage: beats between the host and the codec, a piece at a time."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from fmzip.format import BLOCK
from fmzip_hw.bus import WORD_SHIFT, Bus
from fmzip_hw.layout import check_lanes
from fmzip_hw.memory import BlockRam
from fmzip_hw.pipeline import register, register_flag

_PARTS = BLOCK // 4  # 32-bit words of a beat


class Stage(wiring.Component):
    """Memory of beats; the host fills or reads it, the codec streams from or to it.

    The host sees each beat as eight bytes, of which the first ``lanes`` are values. While a piece
    is moving the stage belongs to the codec.

    Parameters
    ----------
    lanes : values per beat
    depth : beats that it holds, a power of two

    Members
    -------
    bus : In(Bus)
    load, beats, writing : In, move so many beats from address 0 on, to the encoder if ``writing``
    stop : In(1), give up the piece that is moving
    busy : Out(1), beats are still to be moved
    o : Out(stream of lanes x 8), beats for the encoder
    i : In(stream of lanes x 8), beats from the decoder
    """

    def __init__(self, lanes: int, depth: int):
        exact_log2(depth)
        self._lanes, self._depth = check_lanes(lanes), depth
        beat = data.ArrayLayout(8, lanes)
        super().__init__({
            "bus": In(Bus),
            "load": In(1),
            "beats": In(range(depth + 1)),
            "writing": In(1),
            "stop": In(1),
            "busy": Out(1),
            "o": Out(stream.Signature(beat)),
            "i": In(stream.Signature(beat)),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bits = 8 * self._lanes
        part_bits = min(bits, 32)
        parts = [BlockRam(part_bits, self._depth) for _ in range(bits // part_bits)]
        left = Signal(range(self._depth + 1))
        some = Signal()  # left != 0
        address = Signal(range(self._depth))
        fetched = Signal()
        to_codec, from_codec = Signal(), Signal()
        next_word, fetch, accept = Signal(), Signal(), Signal()
        m.d.comb += [
            self.busy.eq(some | (to_codec & (fetched | self.o.valid))),
            next_word.eq(~self.o.valid | self.o.ready),
            fetch.eq(to_codec & (~fetched | next_word)),
            self.i.ready.eq(from_codec & some),
            accept.eq(self.i.valid & self.i.ready),
        ]
        with m.If(fetch):
            m.d.sync += fetched.eq(some)
        with m.If(to_codec & next_word):
            m.d.sync += self.o.valid.eq(fetched)
        with m.If((fetch | accept) & some):
            m.d.sync += [left.eq(left - 1), some.eq(left != 1), address.eq(address + 1)]
        with m.If(self.load):
            m.d.sync += [left.eq(self.beats), some.eq(self.beats != 0), address.eq(0)]
            m.d.sync += [to_codec.eq(self.writing), from_codec.eq(~self.writing)]
            m.d.sync += [fetched.eq(0), self.o.valid.eq(0)]
        with m.If(self.stop):
            m.d.sync += [left.eq(0), some.eq(0), self.o.valid.eq(0)]
            m.d.sync += [to_codec.eq(0), from_codec.eq(0)]

        # The host's reads take as many cycles as the memory; writes are done at once.
        waited = Signal(range(BlockRam.latency + 1))
        m.d.comb += self.bus.ack.eq(self.bus.valid & (self.bus.write | waited[1]))
        with m.If(self.bus.valid & ~self.bus.ack):
            m.d.sync += waited.eq(waited + 1)
        with m.Else():
            m.d.sync += waited.eq(0)
        host_part = self.bus.address[WORD_SHIFT : WORD_SHIFT + exact_log2(_PARTS)]
        host_beat = self.bus.address[WORD_SHIFT + exact_log2(_PARTS) :]
        # Words are written a cycle late, for the way to all block RAMs; the host reads much later.
        w_addr = register(m, Mux(accept, address, host_beat))
        for k, ram in enumerate(parts):
            m.submodules[f"part{k}"] = ram
            write = self.bus.valid & self.bus.write & (host_part == k) & ~self.busy
            low = part_bits * k
            value = self.i.payload.as_value()[low : low + part_bits]
            m.d.comb += [
                ram.r_addr.eq(Mux(self.busy, address, host_beat)),
                ram.r_en.eq(fetch | ~self.busy),
                ram.r_next.eq(next_word | ~self.busy),
                ram.w_addr.eq(w_addr),
                ram.w_en.eq(register_flag(m, accept | write)),
                ram.w_data.eq(register(m, Mux(accept, value, self.bus.data))),
                # The codec shall rest while the host reads.
                self.o.payload.as_value()[low : low + part_bits].eq(
                    Mux(self.o.valid, ram.r_data, 0)
                ),
            ]
            with m.If(host_part == k):
                m.d.comb += self.bus.read.eq(ram.r_data)
        return m
