"""The stream contract of every component with streams: what it offers is held until it is taken."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

from amaranth.hdl import Cat, Value

from fmzip_hw import (
    bitunpack,
    blockread,
    cobs,
    codecs,
    decoder,
    encoder,
    fmzdecoder,
    fmzencoder,
    framecompose,
    framecores,
    frameparse,
    framereader,
    framewriter,
    memory,
    packets,
    planes,
    planewords,
    projectdecoder,
    projectencoder,
    ransdecode,
    ransencode,
    ransescape,
    raster,
    rawpath,
    sdramdata,
    sections,
    stage,
    tilebuffer,
    uart,
)
from fmzip_hw import stream as hw_stream
from fmzip_hw.planesize import PlaneSize
from fmzip_hw.projectsize import ProjectionSize
from fmzip_sim.formal.proof import Modules, Proof
from fmzip_sim.formal.streams import Held

# Constant while a frame is in work, of any component that has it.
_CONFIG = ("head", "multiplier", "base", "shift", "payload", "page", "length", "shape")
_SPLITTER = sections.SectionSplitter(256)  # whose ports a reader has; nothing is made of it
_SPLITTER._MustUse__used = True
_SIZE = ProjectionSize(multipliers=8, entries=1024, values=64, symbols=1024)


def _held(
    module: ModuleType,
    name: str,
    arguments: tuple[Any, ...],
    bug: tuple[str, str],
    *,
    mode: str = "prove",
    depth: int = 3,
    cut: str = "",
    given: Callable[[Any], list[Value]] = lambda dut: [],
) -> Proof:
    """Of a component whose configuration does not change."""

    def build(get: Modules) -> Held:
        return Held(getattr(get(module), name)(*arguments), constant=_CONFIG, given=given)

    claim = "what is offered is held until it is taken"
    return Proof(name, claim, build, mode, depth, (module, *bug), cut)


def _passed(source: str, sink: str, unless: str) -> tuple[str, str]:
    """The bug that a stream, which is only passed on, is taken back for a cycle."""
    return (
        f"wiring.connect(m, {source}, wiring.flipped({sink}))",
        f"m.d.comb += [{sink}.valid.eq({source}.valid & ~{unless}), "
        f"{sink}.payload.eq({source}.payload), {source}.ready.eq({sink}.ready)]",
    )


def _at_work(dut: Any, *streams: Any) -> Value:
    """The component is busy, or offers something: no command comes then."""
    return Cat(dut.busy, *(stream.valid for stream in streams)).any()


_OFFERED = "with m.If(~self.o.valid | self.o.ready):"
CONTRACTS = (
    _held(hw_stream, "Slice", (8,), (_OFFERED, "with m.If(1):")),
    _held(
        memory,
        "BlockFifo",
        (8, 16),
        ("ram.r_next.eq(~self.o.valid | self.o.ready),", "ram.r_next.eq(1),"),
        depth=4,
    ),
    _held(hw_stream, "CreditFifo", (8, 16), _passed("fifo.o", "self.o", "self.put"), depth=4),
    # The codec dctcm.
    _held(
        sections,
        "WordJoiner",
        (2,),
        ("self.o.valid.eq(self.i.valid & final),", "self.o.valid.eq(final),"),
    ),
    _held(
        codecs,
        "WordSplitter",
        (2,),
        ("self.i.ready.eq(self.o.ready & final),", "self.i.ready.eq(1),"),
    ),
    _held(tilebuffer, "TileBuffer", (8, 1024), _passed("drain.o", "self.o", "self.half")),
    _held(
        encoder,
        "Encoder",
        (2, 256),
        _passed("buffer.o", "self.o", "self.i.valid"),
        depth=2,
        cut="products",
    ),
    _held(sections, "SectionSplitter", (256,), _passed("fifo.o", "port", "self.start")),
    _held(bitunpack, "FieldUnpacker", (16, 255), (_OFFERED, "with m.If(1):")),
    _held(
        blockread,
        "BlockReader",
        (8, _SPLITTER),
        _passed("out.o", "self.o", "self.start"),
    ),
    _held(
        decoder,
        "Decoder",
        (2, 256),
        (
            "self.o.valid.eq(out.o.valid & ~empty),",
            "self.o.valid.eq(out.o.valid & ~empty & ~self.i.valid),",
        ),
        depth=2,
        cut="products",
    ),
    # The codec fmz.
    _held(
        ransencode,
        "RansEncoder",
        (256,),
        _passed("drain.o", "self.o", "self.enter"),
        cut="products",
    ),
    _held(
        fmzencoder,
        "FmzEncoder",
        (8, 256),
        _passed("rans.o", "self.o", "self.start"),
        depth=2,
        cut="products",
    ),
    _held(ransescape, "EscapeMerger", (), _passed("out.o", "self.o", "self.i.valid")),
    _held(
        ransdecode, "RansDecoder", (), _passed("merger.o", "self.o", "self.start"), cut="products"
    ),
    _held(planes, "PlaneScatter", (), _passed("out.o", "self.o", "self.start"), cut="products"),
    _held(
        fmzdecoder, "FmzDecoder", (), _passed("planes.o", "self.o", "self.start"), cut="products"
    ),
    # The codecs pcavlc and cap.
    _held(
        projectencoder,
        "ProjectionEncoder",
        (_SIZE,),
        _passed("tiles.o", "self.o", "self.start"),
        cut="products",
    ),
    _held(
        projectdecoder,
        "ProjectionDecoder",
        (_SIZE,),
        _passed("out.o", "self.o", "self.start"),
        cut="products",
    ),
    # The codec gf2; in front of both is a FIFO.
    _held(
        planewords,
        "PlanePacker",
        (PlaneSize(8, 16, 16),),
        ("self.i.ready.eq(~full | self.o.ready),", "self.i.ready.eq(1),"),
    ),
    _held(
        planewords,
        "PlaneUnpacker",
        (PlaneSize(8, 16, 16),),
        (
            "step.eq((~needs | (left != 0)) & (~there | self.o.ready)),",
            "step.eq(~needs | (left != 0)),",
        ),
    ),
    # Frames.
    _held(
        framecompose,
        "FrameComposer",
        (),
        ("self.o.payload.last.eq(final),", "self.o.payload.last.eq(self.i.valid),"),
    ),
    _held(
        framewriter,
        "PortWriter",
        (),
        ("with m.If(request.valid & request.ready):", "with m.If(request.valid):"),
        mode="bmc",
        depth=14,
    ),
    _held(
        framewriter,
        "FrameWriter",
        (),
        ("with m.If(request.valid & request.ready):", "with m.If(request.valid):"),
    ),
    _held(
        frameparse,
        "FrameParser",
        (),
        (
            "self.o.valid.eq(passing & self.i.valid),",
            "self.o.valid.eq(passing & self.i.valid & ~self.start),",
        ),
    ),
    _held(
        frameparse,
        "TileLengths",
        (),
        ('with m.State("offer"), m.If(self.o.ready):', 'with m.State("offer"), m.If(1):'),
        mode="bmc",
        depth=16,
    ),
    _held(
        framereader,
        "PortReader",
        (),
        ("with m.If(~request.valid & ~granted):", "with m.If(~granted):"),
        given=lambda dut: [~dut.load | dut.idle],
    ),
    _held(
        rawpath,
        "RawPath",
        (8,),
        ("with m.If(writing):", "with m.If(writing & self.i.valid):"),
        given=lambda dut: [~(dut.write | dut.read) | ~_at_work(dut, dut.port.request, dut.port.w)],
    ),
    _held(
        framecores,
        "FrameEncoder",
        ("dctcm",),
        _passed("composer.o", "self.o", "self.start"),
        cut="products",
        given=lambda dut: [~dut.abort],
    ),
    _held(
        framecores,
        "FrameDecoder",
        ("dctcm",),
        ("self.o.valid.eq(inner.o.valid),", "self.o.valid.eq(inner.o.valid & ~self.i.valid),"),
        cut="products",
        given=lambda dut: [~dut.abort, ~(dut.start | dut.tile) | ~_at_work(dut, dut.o)],
    ),
    # Raster order and back.
    _held(raster, "RasterToWire", (8, 64), _passed("out.o", "self.o", "self.start")),
    _held(raster, "WireToRaster", (8, 64), _passed("out.o", "self.o", "self.start")),
    # The system.
    _held(
        stage,
        "Stage",
        (8, 64),
        ("next_word.eq(~self.o.valid | self.o.ready),", "next_word.eq(1),"),
        mode="bmc",
        depth=16,
        given=lambda dut: [~dut.stop, ~dut.load | ~_at_work(dut, dut.o)],
    ),
    _held(
        sdramdata,
        "ReadCollector",
        (16, 3),
        _passed("fifo.o", "self.o", "self.read"),
    ),
    # The link.
    _held(uart, "UartReceiver", (4,), (_OFFERED, "with m.If(1):"), mode="bmc", depth=100),
    _held(
        cobs,
        "CobsDecoder",
        (),
        ("with m.If(self.i.valid & self.i.ready):", "with m.If(self.i.valid):"),
    ),
    _held(cobs, "CobsEncoder", (), ("read.en.eq(~fetched | self.o.ready),", "read.en.eq(1),")),
    _held(
        packets,
        "PacketReceiver",
        (64,),
        ("ram.r_next.eq(~self.o.valid | self.o.ready),", "ram.r_next.eq(1),"),
    ),
    _held(
        packets,
        "PacketSender",
        (),
        ("with m.If(self.o.valid & self.o.ready):", "with m.If(self.o.valid):"),
    ),
)
