"""The board's system: link bridge, registers, stage, codec, memory port and its counters."""

from amaranth.hdl import Cat, Module, Mux, ResetInserter, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from fmzip.format import BLOCK, MULTIPLIER_BITS
from fmzip.regs import (
    LATENCY_BINS,
    MEMORY,
    PLANES,
    PORT_BYTES,
    PROJECTIONS,
    REGISTER,
    REGISTERS,
    ROW_BYTES,
    STAGE,
    TABLES,
    bits,
)
from fmzip.sdram import SdramPart
from fmzip_hw.bridge import Bridge
from fmzip_hw.bus import BusSplitter, HostMemory
from fmzip_hw.counters import Counters
from fmzip_hw.csr import RegisterFile
from fmzip_hw.framepath import FramePath
from fmzip_hw.memport import MemoryPort, PortSlice, PortSwitch
from fmzip_hw.meters import LatencyMeter
from fmzip_hw.pipeline import register, register_flag
from fmzip_hw.planesize import PlaneSize
from fmzip_hw.projectsize import ProjectionSize
from fmzip_hw.projecttables import ProjectionWindow
from fmzip_hw.ransencode import RING_SLOTS
from fmzip_hw.rawpath import RawPath
from fmzip_hw.replay import Replay
from fmzip_hw.sdram import SdramController
from fmzip_hw.sdramevents import EVENTS, SdramEvents
from fmzip_hw.sdrampins import sdram_pins
from fmzip_hw.stage import Stage
from fmzip_hw.stream import Slice
from fmzip_hw.tablewindow import TableWindow

_HOST = 3  # its place among the users of the memory port


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
    rans : with the coder RANS
    ring_slots : slots of its tile buffers
    projection : with the coder HUFFMAN, of that size; it has 8 lanes
    planes : with the coder GF2, of that size; it has 8 lanes, too

    Members
    -------
    rx, tx : streams of bytes from and to the host
    marker : Out(1), the bandwidth counter counts in this cycle
    sdram : Out(``sdram_pins``), with a part
    memory : Out(MemoryPort), without one
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
        rans: bool = False,
        ring_slots: int = RING_SLOTS,
        projection: ProjectionSize | None = None,
        planes: PlaneSize | None = None,
    ):
        self._loaded = Signal()  # tables
        self._sdram, name = None, "no SDRAM"
        if part is not None:
            name = part.name
            self._sdram = SdramController(part, clock_hz, cas, read_delay=read_delay)
            self._sdram_events = SdramEvents(self._sdram, cas, read_delay)
            memory_log2 = exact_log2(part.size_bytes)
        self._bridge = Bridge(clock_hz=clock_hz, build=build, part=name, fifo_bytes=fifo_bytes)
        self._stage = Stage(lanes, 1 << stage_log2)
        self._path = FramePath(lanes, ring_blocks, rans, ring_slots, projection, planes)
        self._raw, self._replay, self._lanes = RawPath(lanes), Replay(), lanes
        self._build = {
            "lanes": lanes,
            "rans": int(rans),
            "stage_log2": stage_log2,
            "memory_log2": memory_log2,
            "max_slots_log2": exact_log2(ring_slots) if rans else 0,
            "max_blocks_log2": exact_log2(ring_blocks),
        }
        self._projection = {}
        if projection is not None:
            self._projection = {
                "multipliers": projection.multipliers,
                "values_log2": exact_log2(projection.values),
                "symbols_log2": exact_log2(projection.symbols),
                "entries_log2": exact_log2(projection.entries),
            }
        self._planes = {}
        if planes is not None:
            self._planes = {
                "plane_values_log2": exact_log2(planes.values),
                "stored_eights_log2": exact_log2(planes.stored // BLOCK),
                "adders_log2": exact_log2(planes.adders),
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
        starts = [REGISTERS, STAGE, MEMORY, TABLES, PROJECTIONS]
        m.submodules.windows = windows = BusSplitter(starts + [PLANES] * bool(self._planes))
        m.submodules.registers = registers = RegisterFile()
        m.submodules.stage = stage
        m.submodules.host_memory = host_memory = HostMemory()
        m.submodules.path = path
        m.submodules.switch = switch = PortSwitch(4)
        m.submodules.counters = counters = Counters()
        wiring.connect(m, wiring.flipped(self.rx), bridge.i)
        wiring.connect(m, bridge.o, wiring.flipped(self.tx))
        wiring.connect(m, bridge.bus, windows.bus)
        wiring.connect(m, windows.windows[0], registers.bus)
        wiring.connect(m, windows.windows[1], stage.bus)
        wiring.connect(m, windows.windows[2], host_memory.bus)
        self._tables(m, windows.windows[3])
        self._projections(m, windows.windows[4])
        if self._planes:
            m.submodules.layers = layers = ProjectionWindow()
            wiring.connect(m, windows.windows[5], layers.bus)
            m.d.comb += path.layers.eq(layers.write)
        wiring.connect(m, path.writes, switch.users[0])
        wiring.connect(m, path.reads, switch.users[1])
        wiring.connect(m, self._raw.port, switch.users[2])
        wiring.connect(m, host_memory.port, switch.users[_HOST])
        m.submodules.cut = cut = PortSlice()
        wiring.connect(m, switch.port, cut.user)
        if self._sdram is None:
            wiring.connect(m, cut.port, wiring.flipped(self.memory))
        else:
            m.submodules.sdram = self._sdram
            wiring.connect(m, cut.port, self._sdram.port)
            wiring.connect(m, self._sdram.pins, wiring.flipped(self.sdram))
        memory_busy = Signal()  # the chip has work that the port does not see any more
        if self._sdram is not None:
            m.d.comb += memory_busy.eq(self._sdram.busy)
        control = {f: registers.w.control[bits("control", f).low]
                   for f in ("reset", "write", "read", "snapshot", "clear")}  # fmt: skip
        beats = Slice(path.i.payload.shape())  # cuts the way from the encoder to the block RAMs
        m.submodules.beats = ResetInserter(control["reset"])(beats)
        wiring.connect(m, stage.o, beats.i)
        piece = stage.busy | path.i.valid
        m.d.comb += [
            path.head.eq(registers.w.head),
            path.multiplier.eq(registers.w.multiplier[:MULTIPLIER_BITS]),
            Value.cast(path.diffusion).eq(registers.w.diffusion),
            path.page.eq(registers.w.page),
            path.base.eq(registers.w.base >> exact_log2(PORT_BYTES)),
            path.reset.eq(register_flag(m, control["reset"])),
            path.write.eq(register_flag(m, control["write"] | self._replay.write)),
            path.read.eq(register_flag(m, control["read"] | self._replay.read)),
            path.loop.eq(register_flag(m, self._replay.loop)),
            switch.abort.eq(path.abort),
            path.idle.eq(switch.idle & ~memory_busy),
            stage.stop.eq(control["reset"]),
            counters.snapshot.eq(control["snapshot"]),
            counters.clear.eq(control["clear"]),
            counters.address.eq(registers.counter),
            registers.counter_value.eq(counters.value),
            registers.hold.eq(counters.hold),
            registers.r.frame_bytes.eq(path.words << exact_log2(PORT_BYTES)),
        ]
        others = {**self._projection, **self._planes}
        for place, build in (("build", self._build), ("projections", others)):
            for name, value in build.items():
                field = bits(place, name)
                word = getattr(registers.r, place)
                m.d.comb += word[field.low : field.low + field.size].eq(value)
        # A frame is in memory when the chip has taken its last word.
        settling, wrote = Signal(), Signal()
        m.d.comb += settling.eq(wrote & self.marker & ~self._replay.busy)
        m.d.sync += wrote.eq((path.writing | settling) & ~path.abort)
        status = {
            "writing": path.writing | settling,
            "reading": path.reading,
            "piece": piece,
            "overflow": counters.overflow,
            "replaying": self._replay.busy,
            "differs": self._replay.differs,
            "tables": self._loaded,
            "fault": path.fault,
        }
        for name, value in status.items():
            field = bits("status", name)
            m.d.comb += registers.r.status[field.low : field.low + field.size].eq(value)
        self._connect_replay(m, registers, control["reset"], beats)
        self._count(m, counters, switch, memory_busy, piece)
        return m

    def _tables(self, m: Module, bus: wiring.PureInterface) -> None:
        """The window of the tables, where there is a coder that needs them."""
        if not self._build["rans"]:
            m.d.comb += bus.ack.eq(1)
            return
        m.submodules.tables = tables = TableWindow()
        wiring.connect(m, bus, tables.bus)
        wiring.connect(m, tables.writes, self._path.tables)
        m.d.comb += [tables.head.eq(self._path.head), self._loaded.eq(tables.whole)]

    def _projections(self, m: Module, bus: wiring.PureInterface) -> None:
        """The window of projections, where there is a coder that needs them."""
        if not self._projection:
            m.d.comb += bus.ack.eq(1)
            return
        m.submodules.projections = projections = ProjectionWindow()
        wiring.connect(m, bus, projections.bus)
        m.d.comb += self._path.projections.eq(projections.write)

    def _connect_replay(
        self, m: Module, registers: RegisterFile, reset: Signal, beats: Slice
    ) -> None:
        """The stage's beats go to the codec or, without it, to the memory; who says when."""
        stage, path, raw, replay = self._stage, self._path, self._raw, self._replay
        m.submodules.raw = ResetInserter(reset)(raw)
        m.submodules.replay = ResetInserter(reset)(replay)
        fields = {}
        for name in ("piece", "replay", "replay_beats"):
            for field in REGISTER[name].fields:
                word = getattr(registers.w, name)
                fields[f"{name}.{field.name}"] = word[field.low : field.low + field.size]
        lanes_log2 = exact_log2(self._lanes)
        m.d.comb += [
            replay.start.eq(registers.written.replay),
            replay.kind.eq(fields["replay.kind"]),
            replay.passes.eq(fields["replay.passes"]),
            replay.beats.eq(fields["replay_beats.beats"]),
            replay.path_busy.eq(register_flag(m, path.writing | path.reading | path.looping)),
            replay.raw_busy.eq(raw.busy),
            replay.fault.eq(path.fault != 0),
            registers.r.replay_done.eq(replay.done),
            registers.r.replay_check.eq(replay.check),
            raw.base.eq(path.base),
            raw.words.eq(replay.beats << lanes_log2 >> exact_log2(PORT_BYTES)),
            raw.write.eq(replay.raw_write),
            raw.read.eq(replay.raw_read),
            raw.o.ready.eq(1),
            replay.item.eq(Mux(replay.raw, raw.o.payload, path.o.payload.as_value())),
            replay.item_valid.eq(replay.busy & (path.o.valid | raw.o.valid)),
            stage.load.eq(registers.written.piece | replay.load),
            stage.beats.eq(Mux(replay.busy, replay.beats, fields["piece.beats"])),
            stage.writing.eq(replay.busy | fields["piece.encode"]),
            path.i.payload.eq(beats.o.payload),
            path.i.valid.eq(beats.o.valid & ~replay.raw),
            raw.i.payload.eq(beats.o.payload),
            raw.i.valid.eq(beats.o.valid & replay.raw),
            beats.o.ready.eq(Mux(replay.raw, raw.i.ready, path.i.ready)),
            stage.i.payload.eq(path.o.payload),
            stage.i.valid.eq(path.o.valid & ~replay.busy),
            path.o.ready.eq(replay.busy | stage.i.ready),
        ]
        if self._sdram is not None:
            m.d.comb += self._sdram.keep_awake.eq(fields["replay.awake"])

    def _count(
        self, m: Module, counters: Counters, switch: PortSwitch, memory_busy: Signal, piece: Value
    ) -> None:
        """The events of every cycle. The host's own accesses to the memory are not counted."""
        path, port, events = self._path, switch.port, counters.events
        request = port.request

        def late(value: Value) -> Signal:
            """Registers between what is counted and the counters; all events are as late."""
            return register_flag(m, value)

        host = late((~path.running & ~self._raw.busy) | (switch.owner == _HOST))
        asks, granted = late(request.valid), late(request.ready)
        writes = late(request.payload.write)
        w_valid, w_ready = late(port.w.valid), late(port.w.ready)
        r_valid, r_ready = late(port.r.valid), late(port.r.ready)
        i_valid, i_ready = late(path.i.valid), late(path.i.ready)
        o_valid, o_ready = late(path.o.valid), late(path.o.ready)
        writing, reading = late(path.writing), late(path.reading)
        asked, wrote, came = asks & granted & ~host, w_valid & w_ready & ~host, r_valid & r_ready
        row = register(m, request.payload.address >> exact_log2(ROW_BYTES // PORT_BYTES))
        last_row, any_row = Signal.like(row), Signal()
        with m.If(asked):
            m.d.sync += [last_row.eq(row), any_row.eq(1)]
        begun = Signal()  # the decoder's first beat of the frame has been seen
        with m.If(~reading):
            m.d.sync += begun.eq(0)
        with m.Elif(o_valid):
            m.d.sync += begun.eq(1)
        moved_in = i_valid & i_ready
        m.submodules.latency = latency = LatencyMeter()
        # Waiting for the host does not count: values are to come or go, but there is no piece. What
        # is still on its way to or from the memory does.
        on_its_way = memory_busy & (switch.owner != _HOST) & (path.running | self.marker)
        m.d.sync += self.marker.eq(
            self._replay.busy
            | (~path.abort & path.running & (piece | ~path.flowing))
            | (~path.abort & on_its_way)
        )
        m.d.comb += [
            events.cycles.eq(self.marker),
            events.write_requests.eq(asked & writes),
            events.read_requests.eq(asked & ~writes),
            events.write_bytes.eq(Mux(wrote, PORT_BYTES, 0)),
            events.read_bytes.eq(Mux(came & ~host, PORT_BYTES, 0)),
            events.row_switches.eq(asked & (~any_row | (row != last_row))),
            events.request_stalls.eq(asks & ~granted & ~host),
            events.write_stalls.eq(w_valid & ~w_ready & ~host),
            events.read_stalls.eq(r_valid & ~r_ready & ~host),
            events.encoder_beats.eq(moved_in),
            events.encoder_stalls.eq(writing & i_valid & ~i_ready),
            events.decoder_beats.eq(o_valid & o_ready),
            events.decoder_stalls.eq(reading & begun & o_ready & ~o_valid),
            events.codec_bits_in.eq(Mux(moved_in, Cat(0, 0, 0, register(m, path.taken)), 0)),
            events.codec_bits_out.eq(Mux(late(path.coded), 8 * PORT_BYTES, 0)),
            latency.asked.eq(asks & granted & ~writes),
            latency.words.eq(register(m, request.payload.words)),
            latency.came.eq(came),
            latency.counted.eq(~host),
            events.latency.eq(latency.latency),
            events.latency_min.eq(latency.latency),
            events.latency_max.eq(latency.latency),
        ]
        for k, start in enumerate((0, *LATENCY_BINS)):
            m.d.comb += getattr(events, f"latency_from_{start}").eq(latency.bins[k])
        if self._sdram is None:
            return
        m.submodules.sdram_events = seen = self._sdram_events
        m.d.comb += seen.counted.eq(self.marker)
        for name in EVENTS:
            m.d.comb += getattr(events, name).eq(getattr(seen.events, name))
