"""The list of proofs; each with a bug that it must find."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any

from fmzip_hw import (
    axilite,
    bitpack,
    bitunpack,
    codecs,
    decoder,
    encoder,
    framecompose,
    frameparse,
    framewriter,
    memory,
    sdram,
    sdrampower,
    sections,
)
from fmzip_hw import stream as hw_stream
from fmzip_sim.formal.axilite import Handshakes
from fmzip_sim.formal.decoding import EveryField, NeverHangs
from fmzip_sim.formal.inner import credit_inside, fifo_inside, slice_inside
from fmzip_sim.formal.packing import EveryBit
from fmzip_sim.formal.sdram import PowerUpOrder, Timing
from fmzip_sim.formal.seed import original, seeded
from fmzip_sim.formal.solve import Verdict, solve
from fmzip_sim.formal.streams import CreditOrder, Held, InOrder

Modules = Callable[[ModuleType], Any]  # gives a module, as it is or with a bug
_HELD = "what is offered is held until it is taken"
_ORDER = "nothing is lost, doubled or moved"
# What may be anything in a proof: selections of yosys by what they are.
CUTS = {
    "": "",
    "products": "t:$mul",  # payloads are held whatever they are
    "sums": "w:*crc.match w:*crc.crc",  # so that no frame has to be found whose sums are right
}


@dataclass(frozen=True)
class Proof:
    """One proof.

    Members
    -------
    name : of the proof, and of its component
    claim : what holds
    build : makes the component with its assertions
    mode, depth : see ``solve``; a proof by induction holds for all times, the other so many cycles
    bug : module, a line of it, and what is put in its place; the proof must fail then
    cut : what may be anything, of ``CUTS``
    """

    name: str
    claim: str
    build: Callable[[Modules], Any]
    mode: str
    depth: int
    bug: tuple[ModuleType, str, str]
    cut: str = ""


def check(proof: Proof, *, bug: bool = False) -> Verdict:
    """Run a proof, or look for its bug."""
    get = seeded(*proof.bug) if bug else original
    name = f"{proof.name}{'-bug' * bug}"
    return solve(name, proof.build(get), proof.mode, proof.depth, cut=CUTS[proof.cut])


def _held(
    name: str, module: ModuleType, *arguments: Any, **options: Any
) -> Callable[[Modules], Any]:
    return lambda get: Held(getattr(get(module), name)(*arguments), **options)


def _timing(part: str, clock_hz: float, cas: int, line: str, wrong: str = "") -> Proof:
    """Of the SDRAM controller with a chip; its bug leaves a line out, or changes it."""
    return Proof(
        f"{part}-CL{cas}",
        f"SdramController: timing, bank states and refresh of this chip at {clock_hz / 1e6:g} MHz",
        lambda get: Timing(get(sdram), part, clock_hz, cas),
        "prove",
        18,
        (sdram, line, wrong),
    )


_CONFIG = ("head", "multiplier", "base", "shift", "payload")  # constant while a frame is in work
PROOFS = (
    Proof(
        "Slice",
        _HELD,
        _held("Slice", hw_stream, 8),
        "prove",
        3,
        (hw_stream, "with m.If(~self.o.valid | self.o.ready):", "with m.If(1):"),
    ),
    Proof(
        "Slice-order",
        _ORDER,
        lambda get: InOrder(get(hw_stream).Slice(8), 2, 1, slice_inside),
        "prove",
        3,
        (hw_stream, "with m.If(~spare_valid):", "with m.If(1):"),
    ),
    Proof(
        "BlockFifo",
        _HELD,
        _held("BlockFifo", memory, 8, 16),
        "prove",
        4,
        (memory, "ram.r_next.eq(~self.o.valid | self.o.ready),", "ram.r_next.eq(1),"),
    ),
    Proof(
        "BlockFifo-order",
        _ORDER,
        lambda get: InOrder(get(memory).BlockFifo(4, 8), 10, 3, partial(fifo_inside, depth=8)),
        "prove",
        5,
        (memory, "full.eq(count >= self._depth - 2)", "full.eq(count > self._depth)"),
    ),
    Proof(
        "CreditFifo",
        _HELD,
        _held("CreditFifo", hw_stream, 8, 16),
        "prove",
        4,
        (
            hw_stream,
            "wiring.connect(m, fifo.o, wiring.flipped(self.o))",
            "m.d.comb += [self.o.valid.eq(fifo.o.valid & ~self.put), "
            "self.o.payload.eq(fifo.o.payload), fifo.o.ready.eq(self.o.ready)]",
        ),
    ),
    Proof(
        "CreditFifo-order",
        _ORDER,
        lambda get: CreditOrder(get(hw_stream).CreditFifo(4, 8), 10, 3, credit_inside),
        "prove",
        5,
        (hw_stream, "self.free.eq(places > 2)", "self.free.eq(1)"),
    ),
    Proof(
        "WordJoiner",
        _HELD,
        _held("WordJoiner", sections, 2),
        "prove",
        3,
        (sections, "self.o.valid.eq(self.i.valid & final),", "self.o.valid.eq(final),"),
    ),
    Proof(
        "WordSplitter",
        _HELD,
        _held("WordSplitter", codecs, 2),
        "prove",
        3,
        (codecs, "self.i.ready.eq(self.o.ready & final),", "self.i.ready.eq(1),"),
    ),
    Proof(
        "FrameComposer",
        _HELD,
        _held("FrameComposer", framecompose, constant=_CONFIG),
        "prove",
        3,
        (framecompose, "self.o.payload.last.eq(final),", "self.o.payload.last.eq(self.i.valid),"),
    ),
    Proof(
        "FrameParser",
        _HELD,
        _held("FrameParser", frameparse, constant=_CONFIG),
        "prove",
        3,
        (
            frameparse,
            "self.o.valid.eq(passing & self.i.valid),",
            "self.o.valid.eq(passing & self.i.valid & ~self.start),",
        ),
    ),
    Proof(
        "TileLengths",
        _HELD,
        _held("TileLengths", frameparse, constant=_CONFIG),
        "bmc",
        16,
        (
            frameparse,
            'with m.State("offer"), m.If(self.o.ready):',
            'with m.State("offer"), m.If(1):',
        ),
    ),
    Proof(
        "PortWriter",
        _HELD,
        _held("PortWriter", framewriter),
        "bmc",
        14,
        (framewriter, "with m.If(request.valid & request.ready):", "with m.If(request.valid):"),
    ),
    Proof(
        "Encoder",
        _HELD,
        _held("Encoder", encoder, 2, 256, constant=_CONFIG),
        "prove",
        2,
        (
            encoder,
            "wiring.connect(m, buffer.o, wiring.flipped(self.o))",
            "m.d.comb += [self.o.valid.eq(buffer.o.valid & ~self.i.valid), "
            "self.o.payload.eq(buffer.o.payload), buffer.o.ready.eq(self.o.ready)]",
        ),
        "products",
    ),
    Proof(
        "Decoder",
        _HELD,
        _held("Decoder", decoder, 2, 256, constant=_CONFIG),
        "prove",
        2,
        (
            decoder,
            "self.o.valid.eq(out.o.valid & ~empty),",
            "self.o.valid.eq(out.o.valid & ~empty & ~self.i.valid),",
        ),
        "products",
    ),
    Proof(
        "AxiLite",
        "what is offered is held; an access has one answer, within 8 cycles",
        lambda get: Handshakes(get(axilite).AxiLite("s_axil", 7), "s_axil"),
        "bmc",
        12,
        (axilite, 'with m.Elif(p("bready")):', "with m.Elif(1):"),
    ),
    Proof(
        "BitPacker",
        "every bit of a section comes out once, where it belongs",
        lambda get: EveryBit(get(bitpack).BitPacker(4, 8)),
        "bmc",
        10,
        (
            bitpack,
            "held.eq(Mux(full, bits[self.word_bits :], merged)),",
            "held.eq(Mux(full, 0, merged)),",
        ),
    ),
    Proof(
        "FieldUnpacker",
        "every bit of a section comes out once, in its field, and in time",
        lambda get: EveryField(get(bitunpack).FieldUnpacker(4, 15, 16), 16, 8),
        "bmc",
        13,
        (bitunpack, "position.eq(after),", "position.eq(after[:-1] & ~(crosses & last)),"),
    ),
    Proof(
        "FrameParser-end",
        "whatever its words are, one is taken within 12 cycles, or the frame ends",
        lambda get: NeverHangs(get(frameparse).FrameParser(), 12),
        "bmc",
        48,
        (frameparse, "with m.If(length.last | length.bad):", "with m.If(1):"),
        "sums",
    ),
    Proof(
        "PowerUp",
        "PRE, eight refreshes, MRS, each at its time, and an end",
        lambda get: PowerUpOrder(get(sdrampower), "IS42S16160G-7"),
        "bmc",
        110,
        (sdrampower, "m.d.sync += [wait.eq(t.rfc), ", "m.d.sync += [wait.eq(t.rp), "),
    ),
    _timing(
        "IS42S16160G-7",
        100e6,
        2,
        "now.valid & now.opened & may_column[now.bank] & ~(give.column & now.last)",
        "now.valid & now.opened & ~(give.column & now.last)",
    ),
    _timing("IS42S16160G-7", 133e6, 3, "bus.start.eq(give.read),"),
    _timing(
        "W9825G6JH-6",
        133e6,
        3,
        "refreshes.eq(power_up.done & sleep.awake & debt.go),",
        "refreshes.eq(power_up.done & sleep.awake & debt.go & ~queue.now.valid),",
    ),
)
