"""Encoder and decoder with AXI4-Stream data and AXI4-Lite registers."""

from typing import Any

from amaranth.hdl import (
    Cat,
    ClockDomain,
    ClockSignal,
    Const,
    Module,
    Mux,
    ResetSignal,
    Signal,
    Value,
)
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from fmzip.format import BLOCK
from fmzip.ipregs import (
    ADDRESS_BITS,
    CONFIGURATION,
    CORE_MAP,
    CORE_REGISTER,
    VERSION,
    CoreFault,
    core_bits,
    core_ident,
)
from fmzip.regs import WORD_BYTES, Access
from fmzip_hw.axilite import AxiLite, axi_lite_members
from fmzip_hw.cores import codec_of
from fmzip_hw.framecores import FrameDecoder, FrameEncoder

PREFIX = "s_axil"
_WORD_SHIFT = 2


class CoreRegisters(wiring.Component):
    """The registers of ``fmzip.ipregs`` behind an AXI4-Lite port.

    Parameters
    ----------
    decoder, rans, lanes : of the core; registers that it does not need read as zero

    Members
    -------
    s_axil_awaddr and the like : the AXI4-Lite port
    busy : In(1), writes to the configuration are refused
    ended : In(1), strobe: a frame has ended
    fault, whole, words, first : In, see ``FrameEncoder``
    head, multiplier, diffusion : Out, as they were written
    start, tile, raw, abort, tables_start : Out(1), strobes
    tables, tables_valid : Out, bytes for the tables; tables_ready : In(1)
    irq : Out(1)
    """

    def __init__(self, *, decoder: bool, rans: bool, lanes: int):
        self._decoder, self._rans, self._lanes = decoder, rans, lanes
        size = {r.name: 8 * WORD_BYTES * r.words for r in CORE_MAP}
        super().__init__({
            **axi_lite_members(PREFIX, ADDRESS_BITS),
            "busy": In(1),
            "ended": In(1),
            "fault": In(8),
            "whole": In(1),
            "words": In(29),
            "first": In(10),
            "head": Out(size["head"]),
            "multiplier": Out(17),
            "diffusion": Out(20),
            "start": Out(1),
            "tile": Out(1),
            "raw": Out(1),
            "abort": Out(1),
            "tables_start": Out(1),
            "tables": Out(8),
            "tables_valid": Out(1),
            "tables_ready": In(1),
            "irq": Out(1),
        })  # fmt: skip

    def _exists(self, name: str) -> bool:
        """The core has this register."""
        if name in ("multiplier", "frame_bytes"):
            return not self._decoder
        if name == "diffusion":
            return self._rans and not self._decoder
        return name != "tables" or self._rans

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.port = port = AxiLite(PREFIX, ADDRESS_BITS)
        for name, member in axi_lite_members(PREFIX, ADDRESS_BITS).items():
            ours, inner = getattr(self, name), getattr(port, name)
            m.d.comb += inner.eq(ours) if member.flow == In else ours.eq(inner)
        done, enable = Signal(), Signal()
        word = port.write_address[_WORD_SHIFT:]
        m.d.comb += [port.write_ack.eq(port.write), self.irq.eq(done & enable)]

        def here(name: str, k: int = 0) -> Value:
            return word == (CORE_REGISTER[name].address >> _WORD_SHIFT) + k

        stored = {"head": self.head, "multiplier": self.multiplier, "interrupt": enable}
        stored |= {"diffusion": self.diffusion}
        known = [
            here(r.name, k)
            for r in CORE_MAP
            if r.access != Access.READ and self._exists(r.name)
            for k in range(r.words)
        ]
        locked = [here(name, k) for name in CONFIGURATION for k in range(CORE_REGISTER[name].words)]
        allowed = Signal()
        m.d.comb += [
            allowed.eq(Cat(known).any() & ~(self.busy & Cat(locked).any())),
            port.write_error.eq(~allowed),
        ]
        for name, target in stored.items():
            if not self._exists(name):
                continue
            for k in range(CORE_REGISTER[name].words):
                with m.If(port.write & allowed & here(name, k)):
                    for byte in range(WORD_BYTES):
                        low = 8 * (WORD_BYTES * k + byte)
                        part = target[low : low + 8]
                        if len(part):
                            with m.If(port.write_strobe[byte]):
                                m.d.sync += part.eq(port.write_data[8 * byte : 8 * byte + 8])

        self._commands(m, port, port.write & here("control"), done)
        if self._rans:
            self._tables(m, port, here("tables") & allowed)

        status = Cat(self.busy, done, self.whole, Const(0, 5), self.fault)
        build = Cat(
            Const(self._lanes, 7), Const(self._rans, 1), Const(self._decoder, 1), Const(0, 7),
            Const(VERSION, 8),
        )  # fmt: skip
        values = stored | {
            "ident": Const(core_ident(), 32),
            "build": build,
            "status": status,
            "frame_bytes": self.words << 3,
            "head_bytes": self.first << 3,
        }
        chosen = Signal(8 * WORD_BYTES)
        with m.Switch(port.read_address[_WORD_SHIFT:]):
            for r in CORE_MAP:
                if r.name in values and self._exists(r.name):
                    for k in range(r.words):
                        with m.Case((r.address >> _WORD_SHIFT) + k):
                            value = Value.cast(values[r.name])[32 * k : 32 * k + 32]
                            m.d.comb += chosen.eq(value)
        m.d.sync += port.read_data.eq(chosen)
        return m

    def _commands(self, m: Module, port: AxiLite, here: Value, done: Signal) -> None:
        def bit(name: str) -> Value:
            number = core_bits("control", name).low
            return here & port.write_data[number] & port.write_strobe[number // 8]

        idle = ~self.busy
        m.d.comb += [
            self.start.eq(bit("start") & idle),
            self.tile.eq(bit("tile") & idle),
            self.raw.eq(bit("raw")),
            self.abort.eq(bit("abort")),
            self.tables_start.eq(bit("tables") & idle),
        ]
        with m.If(self.ended):
            m.d.sync += done.eq(1)
        with m.Elif(bit("ack") | self.start | self.tile):
            m.d.sync += done.eq(0)

    def _tables(self, m: Module, port: AxiLite, here: Value) -> None:
        """Four bytes for each write, which ends when the last one has been taken."""
        part = Signal(range(WORD_BYTES))
        m.d.comb += [
            self.tables.eq(port.write_data.word_select(part, 8)),
            self.tables_valid.eq(port.write & here),
        ]
        with m.If(self.tables_valid):
            m.d.comb += port.write_ack.eq(self.tables_ready & (part == WORD_BYTES - 1))
            with m.If(self.tables_ready):
                m.d.sync += part.eq(part + 1)


def _stream(prefix: str, manager: bool, size: int, *others: tuple[str, int]) -> dict[str, Any]:
    """Ports of an AXI4-Stream; ``manager`` drives it."""
    forth, back = (Out, In) if manager else (In, Out)
    ports = {"tdata": forth(size), "tvalid": forth(1), "tready": back(1), "tlast": forth(1)}
    ports |= {name: forth(bits) for name, bits in others}
    return {f"{prefix}_{name}": port for name, port in ports.items()}


class _AxiCore(wiring.Component):
    """What both cores share: clock and reset by AXI's names, registers, tables."""

    lanes: int
    _rans: bool

    def _domain(self, m: Module) -> None:
        m.domains.sync = ClockDomain()
        m.d.comb += [ClockSignal().eq(self.aclk), ResetSignal().eq(~self.aresetn)]

    def _registers(self, m: Module, core: Any, *, decoder: bool) -> CoreRegisters:
        registers = CoreRegisters(decoder=decoder, rans=self._rans, lanes=self.lanes)
        m.submodules.registers = registers
        for name, member in axi_lite_members(PREFIX, ADDRESS_BITS).items():
            ours, inner = getattr(self, name), getattr(registers, name)
            m.d.comb += inner.eq(ours) if member.flow == In else ours.eq(inner)
        was_busy = Signal()
        m.d.sync += was_busy.eq(core.busy)
        m.d.comb += [
            registers.busy.eq(core.busy),
            # Refused ones end, too.
            registers.first.eq(core.first),
            core.head.eq(registers.head),
            core.start.eq(registers.start),
            core.abort.eq(registers.abort),
            self.irq.eq(registers.irq),
        ]
        refused = Signal()
        m.d.sync += refused.eq((registers.start | registers.tile) & ~registers.abort)
        m.d.comb += registers.ended.eq(~core.busy & (was_busy | refused))
        if self._rans:
            m.d.comb += [
                core.tables.payload.eq(registers.tables),
                core.tables.valid.eq(registers.tables_valid),
                registers.tables_ready.eq(core.tables.ready),
                core.tables_start.eq(registers.tables_start),
                registers.whole.eq(core.tables_whole),
            ]
        return registers


class AxiEncoder(_AxiCore):
    """``FrameEncoder`` with AXI ports: a packet of values in, packets of tiles and of the head out.

    Parameters
    ----------
    codec, lanes : see ``fmzip_hw.cores``

    Members
    -------
    aclk, aresetn : In(1), clock of everything and its synchronous reset, active low
    s_axil_* : AXI4-Lite, the registers of ``fmzip.ipregs``
    irq : Out(1), see there
    s_axis_* : values, ``lanes`` bytes per beat in wire order. TLAST ends the frame; where it does
        not, ``fault`` says so, and the values count all the same
    m_axis_* : words of 8 bytes. TDEST is 0 in the packet of the tiles, 1 in that of the head, which
        goes to the begin of the frame in memory
    """

    def __init__(self, codec: str = "dctcm", lanes: int = BLOCK):
        self._core = FrameEncoder(codec, lanes)
        self._rans, self.lanes = codec_of(codec, lanes).tables, lanes
        self.latency = self._core.latency
        super().__init__({
            "aclk": In(1),
            "aresetn": In(1),
            **axi_lite_members(PREFIX, ADDRESS_BITS),
            "irq": Out(1),
            **_stream("s_axis", False, 8 * lanes),
            **_stream("m_axis", True, 8 * BLOCK, ("tkeep", BLOCK), ("tdest", 1)),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        self._domain(m)
        m.submodules.core = core = self._core
        registers = self._registers(m, core, decoder=False)
        word = core.o.payload
        m.d.comb += [
            core.multiplier.eq(registers.multiplier),
            registers.words.eq(core.words),
            Value.cast(core.i.payload).eq(self.s_axis_tdata),
            core.i.valid.eq(self.s_axis_tvalid),
            self.s_axis_tready.eq(core.i.ready),
            self.m_axis_tdata.eq(word.data),
            self.m_axis_tkeep.eq((1 << BLOCK) - 1),
            self.m_axis_tlast.eq(word.last),
            self.m_axis_tdest.eq(word.head),
            self.m_axis_tvalid.eq(core.o.valid),
            core.o.ready.eq(self.m_axis_tready),
        ]
        if self._rans:
            m.d.comb += core.diffusion.eq(registers.diffusion)
        # TLAST must be at the frame's last beat: not before another one, nor missing at the end.
        last, early, late = Signal(), Signal(), Signal()
        some = Signal()
        with m.If(registers.start):
            m.d.sync += [last.eq(0), early.eq(0), some.eq(0), late.eq(0)]
        with m.Elif(self.s_axis_tvalid & self.s_axis_tready):
            m.d.sync += [last.eq(self.s_axis_tlast), some.eq(1), early.eq(early | last)]
        with m.Elif(some & core.all):
            m.d.sync += late.eq(~last)
        # A packet that ends early is said while the encoder waits for the rest of the frame.
        waiting = early | (last & ~core.all)
        framing = Mux(waiting, CoreFault.SHORT, Mux(late, CoreFault.LONG, CoreFault.NONE))
        m.d.comb += registers.fault.eq(Mux(core.fault == CoreFault.NONE, framing, core.fault))
        return m


class AxiDecoder(_AxiCore):
    """``FrameDecoder`` with AXI ports: a packet that is a frame, as in memory, in; values out.

    Parameters
    ----------
    codec, lanes : see ``fmzip_hw.cores``

    Members
    -------
    aclk, aresetn, s_axil_*, irq : see ``AxiEncoder``
    s_axis_* : words of 8 bytes; a word whose TKEEP is zero is no word. TLAST ends the frame, or the
        tile
    m_axis_* : values, ``lanes`` bytes per beat in wire order; TKEEP marks those that there are, in
        a pixel's last beat. TLAST ends the frame
    """

    def __init__(self, codec: str = "dctcm", lanes: int = BLOCK):
        self._core = FrameDecoder(codec, lanes)
        self._rans, self.lanes = codec_of(codec, lanes).tables, lanes
        self.latency = self._core.latency
        super().__init__({
            "aclk": In(1),
            "aresetn": In(1),
            **axi_lite_members(PREFIX, ADDRESS_BITS),
            "irq": Out(1),
            **_stream("s_axis", False, 8 * BLOCK, ("tkeep", BLOCK)),
            **_stream("m_axis", True, 8 * lanes, ("tkeep", lanes)),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        self._domain(m)
        m.submodules.core = core = self._core
        registers = self._registers(m, core, decoder=True)
        null, whole = Signal(), Signal()
        beat = core.o.payload
        m.d.comb += [
            null.eq(~self.s_axis_tkeep.any()),
            whole.eq(self.s_axis_tkeep.all()),
            core.tile.eq(registers.tile),
            core.raw.eq(registers.raw),
            core.i.payload.data.eq(self.s_axis_tdata),
            core.i.payload.last.eq(self.s_axis_tlast),
            core.i.payload.null.eq(null),
            core.i.valid.eq(self.s_axis_tvalid),
            self.s_axis_tready.eq(core.i.ready),
            self.m_axis_tdata.eq(Value.cast(beat.data)),
            self.m_axis_tkeep.eq(beat.keep),
            self.m_axis_tlast.eq(beat.last),
            self.m_axis_tvalid.eq(core.o.valid),
            core.o.ready.eq(self.m_axis_tready),
        ]
        torn = Signal()
        with m.If(registers.start | registers.tile):
            m.d.sync += torn.eq(0)
        with m.Elif(self.s_axis_tvalid & self.s_axis_tready & ~null & ~whole):
            m.d.sync += torn.eq(1)
        m.d.comb += registers.fault.eq(Mux(torn, CoreFault.KEEP, core.fault))
        return m
