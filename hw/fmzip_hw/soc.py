"""The board's system: link bridge, registers, stage, codec, memory port and its counters."""

from amaranth.hdl import Cat, Module, Mux, ResetInserter, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from fmzip.format import MULTIPLIER_BITS
from fmzip.regs import BURST_BYTES, MEMORY, PORT_BYTES, REGISTERS, ROW_BYTES, STAGE, bits
from fmzip.sdram import SdramPart
from fmzip_hw.bridge import Bridge
from fmzip_hw.bus import BusSplitter, HostMemory
from fmzip_hw.counters import Counters
from fmzip_hw.csr import RegisterFile
from fmzip_hw.framepath import FramePath
from fmzip_hw.memport import MemoryPort, PortSlice, PortSwitch
from fmzip_hw.sdram import SdramController
from fmzip_hw.sdrampins import sdram_pins
from fmzip_hw.stage import Stage
from fmzip_hw.stream import Slice

_HOST = 2  # its place among the users of the memory port


class Soc(wiring.Component):
    """All of a board but pads and clock: link bytes on one side, the memory on the other.

    Parameters
    ----------
    lanes : values per beat
    clock_hz : rate of the clock that the board will run it at
    stage_log2 : log2 of the beats that the stage holds
    part : the SDRAM; without one, the memory port itself leads out
    cas, read_delay : of the SDRAM's controller, see ``SdramController``
    memory_log2 : log2 of the bytes of the memory behind the port; of an SDRAM, the part says it
    ring_blocks : blocks of the codec's tile buffers
    build : first 32 bits of the digest that names the build
    fifo_bytes : of the link's FIFO

    Members
    -------
    rx, tx : streams of bytes from and to the host
    sdram : Out(``sdram_pins``), with a part
    memory : Out(MemoryPort), without one
    marker : Out(1), a frame is in work
    """

    def __init__(
        self,
        *,
        lanes: int = 8,
        clock_hz: int = 100_000_000,
        stage_log2: int = 14,
        part: SdramPart | None = None,
        cas: int = 3,
        read_delay: int = 0,
        memory_log2: int = 25,
        ring_blocks: int = 2048,
        build: int = 0,
        fifo_bytes: int = 4096,
    ):
        self._sdram, name = None, "no SDRAM"
        if part is not None:
            name = part.name
            self._sdram = SdramController(part, clock_hz, cas, read_delay=read_delay)
            memory_log2 = exact_log2(part.size_bytes)
        self._bridge = Bridge(clock_hz=clock_hz, build=build, part=name, fifo_bytes=fifo_bytes)
        self._stage = Stage(lanes, 1 << stage_log2)
        self._path = FramePath(lanes, ring_blocks)
        self._build = {
            "lanes": lanes,
            "stage_log2": stage_log2,
            "memory_log2": memory_log2,
            "max_blocks_log2": exact_log2(ring_blocks),
        }
        super().__init__({
            "rx": In(stream.Signature(8)),
            "tx": Out(stream.Signature(8)),
            "marker": Out(1),
            **({"memory": Out(MemoryPort)} if part is None else {"sdram": Out(sdram_pins(part))}),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        stage, path = self._stage, self._path
        m.submodules.bridge = bridge = self._bridge
        m.submodules.windows = windows = BusSplitter([REGISTERS, STAGE, MEMORY])
        m.submodules.registers = registers = RegisterFile()
        m.submodules.stage = stage
        m.submodules.host_memory = host_memory = HostMemory()
        m.submodules.path = path
        m.submodules.switch = switch = PortSwitch(3)
        m.submodules.counters = counters = Counters()
        wiring.connect(m, wiring.flipped(self.rx), bridge.i)
        wiring.connect(m, bridge.o, wiring.flipped(self.tx))
        wiring.connect(m, bridge.bus, windows.bus)
        wiring.connect(m, windows.windows[0], registers.bus)
        wiring.connect(m, windows.windows[1], stage.bus)
        wiring.connect(m, windows.windows[2], host_memory.bus)
        wiring.connect(m, path.writes, switch.users[0])
        wiring.connect(m, path.reads, switch.users[1])
        wiring.connect(m, host_memory.port, switch.users[_HOST])
        m.submodules.cut = cut = PortSlice()
        wiring.connect(m, switch.port, cut.user)
        if self._sdram is None:
            wiring.connect(m, cut.port, wiring.flipped(self.memory))
        else:
            m.submodules.sdram = self._sdram
            wiring.connect(m, cut.port, self._sdram.port)
            wiring.connect(m, self._sdram.pins, wiring.flipped(self.sdram))
        wiring.connect(m, path.o, stage.i)

        control = {f: registers.w.control[bits("control", f).low]
                   for f in ("reset", "write", "read", "snapshot", "clear")}  # fmt: skip
        beats = Slice(path.i.payload.shape())  # cuts the way from the encoder to the block RAMs
        m.submodules.beats = ResetInserter(control["reset"])(beats)
        wiring.connect(m, stage.o, beats.i)
        wiring.connect(m, beats.o, path.i)
        piece = stage.busy | path.i.valid
        m.d.comb += [
            path.head.eq(registers.w.head),
            path.multiplier.eq(registers.w.multiplier[:MULTIPLIER_BITS]),
            path.base.eq(registers.w.base >> exact_log2(PORT_BYTES)),
            path.reset.eq(control["reset"]),
            path.write.eq(control["write"]),
            path.read.eq(control["read"]),
            switch.abort.eq(path.abort),
            path.idle.eq(switch.idle),
            stage.stop.eq(control["reset"]),
            stage.load.eq(registers.written.piece),
            stage.beats.eq(registers.w.piece[: bits("piece", "beats").size]),
            stage.writing.eq(registers.w.piece[bits("piece", "encode").low]),
            counters.snapshot.eq(control["snapshot"]),
            counters.clear.eq(control["clear"]),
            self.marker.eq(path.running),
            registers.r.frame_bytes.eq(path.words << exact_log2(PORT_BYTES)),
        ]
        for name, value in self._build.items():
            field = bits("build", name)
            m.d.comb += registers.r.build[field.low : field.low + field.size].eq(value)
        status = {
            "writing": path.writing,
            "reading": path.reading,
            "piece": piece,
            "overflow": counters.overflow,
            "fault": path.fault,
        }
        for name, value in status.items():
            field = bits("status", name)
            m.d.comb += registers.r.status[field.low : field.low + field.size].eq(value)
        for name in counters.values.signature.members:
            m.d.comb += getattr(registers.r, name).eq(getattr(counters.values, name))
        self._count(m, counters, switch, piece)
        return m

    def _count(self, m: Module, counters: Counters, switch: PortSwitch, piece: Value) -> None:
        """The events of every cycle. The host's own accesses to the memory are not counted."""
        path, port, events = self._path, switch.port, counters.events
        request, host = port.request, Signal()
        m.d.comb += host.eq(~path.running | (switch.owner == _HOST))
        asked = request.valid & request.ready & ~host
        writes = request.payload.write
        wrote = port.w.valid & port.w.ready & ~host
        read = port.r.valid & port.r.ready & ~host
        words = request.payload.words
        # A request of n words needs a column command per burst that it touches.
        per_burst = BURST_BYTES // PORT_BYTES
        first = request.payload.address[: exact_log2(per_burst)]
        commands = (words + first + (per_burst - 1)) >> exact_log2(per_burst)
        row = request.payload.address >> exact_log2(ROW_BYTES // PORT_BYTES)
        last_row, any_row = Signal.like(row), Signal()
        with m.If(asked):
            m.d.sync += [last_row.eq(row), any_row.eq(1)]
        begun = Signal()  # the decoder's first beat of the frame has been seen
        with m.If(~path.reading):
            m.d.sync += begun.eq(0)
        with m.Elif(path.o.valid):
            m.d.sync += begun.eq(1)
        moved_in = path.i.valid & path.i.ready
        m.d.comb += [
            # Waiting for the host: values are still to come or go, but there is no piece.
            events.cycles.eq(path.running & (piece | ~path.flowing)),
            events.write_requests.eq(asked & writes),
            events.read_requests.eq(asked & ~writes),
            events.write_commands.eq(Mux(asked & writes, commands, 0)),
            events.read_commands.eq(Mux(asked & ~writes, commands, 0)),
            events.write_beats.eq(wrote),
            events.read_beats.eq(read),
            events.write_bytes.eq(Mux(wrote, PORT_BYTES, 0)),
            events.read_bytes.eq(Mux(read, PORT_BYTES, 0)),
            events.row_switches.eq(asked & (~any_row | (row != last_row))),
            events.request_stalls.eq(request.valid & ~request.ready & ~host),
            events.write_stalls.eq(port.w.valid & ~port.w.ready & ~host),
            events.read_stalls.eq(port.r.valid & ~port.r.ready & ~host),
            events.encoder_beats.eq(moved_in),
            events.encoder_stalls.eq(path.writing & path.i.valid & ~path.i.ready),
            events.decoder_beats.eq(path.o.valid & path.o.ready),
            events.decoder_stalls.eq(path.reading & begun & path.o.ready & ~path.o.valid),
            events.codec_bits_in.eq(Mux(moved_in, Cat(0, 0, 0, path.taken), 0)),
            events.codec_bits_out.eq(Mux(path.coded, 8 * PORT_BYTES, 0)),
        ]
