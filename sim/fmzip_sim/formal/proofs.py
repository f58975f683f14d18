"""The list of proofs; each with a bug that it must find."""

from functools import partial

from fmzip_hw import (
    axilite,
    bitpack,
    bitunpack,
    frameparse,
    memory,
    sdram,
    sdrampower,
    sections,
)
from fmzip_hw import stream as hw_stream
from fmzip_hw.decoder import Decoder
from fmzip_sim.formal.axilite import Handshakes
from fmzip_sim.formal.contracts import CONTRACTS
from fmzip_sim.formal.decoding import AlwaysEnds, NeverHangs, SameFields
from fmzip_sim.formal.inner import credit_inside, fifo_inside, slice_inside
from fmzip_sim.formal.packing import SameWords
from fmzip_sim.formal.proof import Modules, Proof
from fmzip_sim.formal.sdram import PowerUpOrder, Timing
from fmzip_sim.formal.seed import seeded
from fmzip_sim.formal.streams import CreditOrder, InOrder

_ORDER = "nothing is lost, doubled or moved"


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


_SPLIT = "BlockFifo(ValueWord, 512)"


def _small_decoder(get: Modules) -> Decoder:
    """A ``Decoder`` whose FIFOs hold a few words, which a short frame does not fill."""
    module = get(sections)
    if module is sections:
        module = seeded(sections, _SPLIT, _SPLIT)(sections)  # one of our own
    fifo = module.BlockFifo
    module.BlockFifo = lambda shape, depth: fifo(shape, min(depth, 8))
    made = Decoder(8, 64)
    made._splitter._MustUse__used = True  # it gives way to
    made._splitter = module.SectionSplitter(64)
    return made


PROOFS = (
    *CONTRACTS,
    Proof(
        "Slice-order",
        _ORDER,
        lambda get: InOrder(get(hw_stream).Slice(8), 2, 1, slice_inside),
        "prove",
        3,
        (hw_stream, "with m.If(~spare_valid):", "with m.If(1):"),
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
        "CreditFifo-order",
        _ORDER,
        lambda get: CreditOrder(get(hw_stream).CreditFifo(4, 8), 10, 3, credit_inside),
        "prove",
        5,
        (hw_stream, "self.free.eq(places > 2)", "self.free.eq(1)"),
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
        "BitPacker-words",
        "field lies behind field, from word to word; a section ends with zeros",
        lambda get: SameWords(get(bitpack).BitPacker(4, 8)),
        "prove",
        6,
        (
            bitpack,
            "held.eq(Mux(full, bits[self.word_bits :], merged)),",
            "held.eq(Mux(full, 0, merged)),",
        ),
    ),
    Proof(
        "FieldUnpacker-bits",
        "fields come out as they lie in a section's words, each once and in time",
        lambda get: SameFields(get(bitunpack).FieldUnpacker(4, 15, 16), 16, 8),
        "prove",
        7,
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
        "Decoder-end",
        "whatever the words of a frame of two blocks are, its beats come within 76 cycles",
        lambda get: AlwaysEnds(_small_decoder(get), 4, 76),
        "end",
        77,
        (sections, "got = ended | self.i.valid", "got = self.i.valid & ~ended"),
        "products",
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
