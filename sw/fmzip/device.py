"""The one way to a board, real or virtual: registers, stage, memory and frames over a port."""

import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from types import TracebackType

import numpy as np

from fmzip import planeload, projload, regs
from fmzip.codings import AnyCoding, AnyTables
from fmzip.errors import FormatError, LinkError
from fmzip.format import (
    BLOCK,
    POSITION_SIDE,
    POSITION_SLOTS_MAX,
    ROW_SLOTS_MAX,
    FrameConfig,
    ceil_div,
    multiplier,
    rans_multiplier,
    round_up,
)
from fmzip.gf2 import PlaneTables
from fmzip.port import Port
from fmzip.projection import Affine, Projection, ProjectionCoding
from fmzip.reference import gf2frame, projframe, ransframe, tiling
from fmzip.reference.beats import beat_count, from_beats, to_beats
from fmzip.tables import Tables

VIRTUAL = "vboard:"
_STUCK_S = 10.0  # a piece moves at most a few hundred kB
_LEAST_HZ = 20e3  # of a virtual board on a busy machine: for what takes many cycles

_FAULTS = {
    regs.Fault.HEAD_DIFFERS: "the head in memory is not the configured one",
    regs.Fault.HEAD_CRC: "CRC-32 of the head does not match",
    regs.Fault.TILES_CRC: "CRC-32 of the tiles does not match",
    regs.Fault.INDEX: "the tile index does not ascend",
    regs.Fault.CONFIG: f"no such coder, or more than the {regs.MAX_TILES} tiles of its index",
    regs.Fault.STATES: "tables, projection or layers are not the frame's, or its tiles are damaged",
}


class Device:
    """A board behind a pyserial port.

    Parameters
    ----------
    port : ``vboard:``, a device such as ``/dev/ttyUSB0``, or any pyserial URL

    Members
    -------
    lanes, rans, max_blocks, max_slots, stage_beats, memory_bytes, clock_hz : how the gateware was
        built
    multipliers, max_symbols, max_entries, max_values : of the coder HUFFMAN; 0 without it
    max_plane_values, max_stored, adders : of the coder GF2, values and stored planes of a position,
        and integers that are added up in a cycle; 0 without it
    part, build : name of the memory part; first 32 bits of the digest that names the build

    Raises
    ------
    LinkError : no such port, nothing answers, or the board's tables are not those of this program
    ToolError : the virtual board cannot be built
    """

    def __init__(self, port: str = VIRTUAL):
        if not port:
            raise LinkError(f"no port given; expected {VIRTUAL}, a serial device or a pyserial URL")
        self.port = port.rstrip(":")  # as messages name it
        self._tables: Tables | None = None  # that the board is known to have
        # What the coders HUFFMAN and GF2 are known to have been told.
        self._told: dict[str, object] = {"write": None, "read": None, "encoder": None, "sums": None}
        self._frame_cycles = 0  # of the configured frame, where the codec is what takes them
        self._port = Port(port, self.port)
        try:
            self._greet()
        except BaseException:
            self.close()
            raise

    def _greet(self) -> None:
        hello = self._port.hello
        if hello.ident != regs.ident():
            raise LinkError(
                f"{self.port}: the board's tables are {hello.ident:08x}, this program's "
                f"{regs.ident():08x}: build both from the same version"
            )
        self.clock_hz, self.part, self.build = hello.clock_hz, hello.part, hello.build
        self._control("reset")
        build = regs.fields_of("build", self._register("build"))
        self.lanes = build["lanes"]
        self.rans = bool(build["rans"])
        self.stage_beats = 1 << build["stage_log2"]
        self.memory_bytes = 1 << build["memory_log2"]
        self.max_blocks = (1 << build["max_blocks_log2"]) * 15 // 16
        self.max_slots = (1 << build["max_slots_log2"]) * 15 // 16
        build = regs.fields_of("projections", self._register("projections"))
        self.multipliers = build["multipliers"]
        self.max_symbols = (1 << build["symbols_log2"]) * 15 // 16
        self.max_entries, self.max_values = 1 << build["entries_log2"], 1 << build["values_log2"]
        self.max_plane_values = self.max_stored = self.adders = 0
        if build["plane_values_log2"]:
            self.max_plane_values = 1 << build["plane_values_log2"]
            self.max_stored = BLOCK << build["stored_eights_log2"]
            self.adders = 1 << build["adders_log2"]

    def close(self) -> None:
        """Close the port."""
        self._port.close()

    def __enter__(self) -> "Device":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def tier(self) -> str:
        """The word for every result that comes from this port: simulated or measured."""
        # The port says so itself: its URL may be spelt in many ways.
        return str(getattr(self._port.serial, "tier", "measured"))

    # Words ---------------------------------------------------------------------------------------

    def read_words(self, address: int, count: int) -> bytes:
        """``count`` words from ``address`` on, as bytes."""
        return self._port.read(address, count)

    def write_words(self, address: int, data: bytes) -> None:
        """Write words; ValueError if ``data`` is not whole words."""
        self._port.write(address, data)

    def read_memory(self, address: int, size: int) -> bytes:
        """``size`` bytes of the DRAM, not counted; both multiples of 8."""
        self._check_memory(address, size)
        return self.read_words(regs.MEMORY + address, size // 4)

    def write_memory(self, address: int, data: bytes) -> None:
        """Write bytes of the DRAM, not counted; address and size are multiples of 8."""
        self._check_memory(address, len(data))
        self.write_words(regs.MEMORY + address, data)

    def _check_memory(self, address: int, size: int) -> None:
        step = regs.PORT_BYTES
        if address % step or size % step or not 0 <= address <= self.memory_bytes - size:
            raise ValueError(
                f"memory has {self.memory_bytes} bytes in words of {step}, "
                f"not {size} bytes at {address:#x}"
            )

    # Counters ------------------------------------------------------------------------------------

    def counters(self, *, clear: bool = False) -> dict[str, int]:
        """All counters, caught in one clock cycle; ``clear`` sets them to zero behind that.

        Raises
        ------
        LinkError : a counter has reached its end
        """
        self._control(*(("snapshot", "clear") if clear else ("snapshot",)))
        first = regs.REGISTER[regs.COUNTERS[0].name].address
        data = self.read_words(first, 2 * len(regs.COUNTERS))
        if regs.fields_of("status", self._register("status"))["overflow"]:
            raise LinkError(f"{self.port}: a counter has reached its end")
        values = np.frombuffer(data, "<u8").tolist()
        return {counter.name: v for counter, v in zip(regs.COUNTERS, values, strict=True)}

    # Frames --------------------------------------------------------------------------------------

    def check(self, config: FrameConfig) -> None:
        """ValueError if the board cannot work with a frame of this configuration."""
        if config.of_planes:
            self._check_planes(config)
        elif config.huffman:
            self._check_huffman(config)
        elif config.rans:
            self._check_rans(config)
        elif config.tile_blocks > self.max_blocks:
            raise ValueError(
                f"a tile has {config.tile_blocks} blocks, the board holds {self.max_blocks}"
            )
        if config.tiles > regs.MAX_TILES:
            raise ValueError(f"{config.tiles} tiles, the board's index has {regs.MAX_TILES}")
        if config.max_bytes > self.memory_bytes:
            raise ValueError(
                f"a frame of {config.max_bytes} bytes, the memory has {self.memory_bytes}"
            )

    def _check_rans(self, config: FrameConfig) -> None:
        if not self.rans:
            raise ValueError("the board is built without the coder rans")
        side = POSITION_SIDE[config.transform]
        position = config.planes * config.blocks_per_pixel
        row = position * ceil_div(config.tile_cols, side)
        for what, slots, most in (
            ("a position", position, POSITION_SLOTS_MAX),
            ("a row of a tile", row, ROW_SLOTS_MAX),
            ("a tile", row * ceil_div(config.tile_rows, side), self.max_slots),
        ):
            if slots > most:
                raise ValueError(f"{what} has {slots} slots, the board holds {most}")

    def _check_huffman(self, config: FrameConfig) -> None:
        if not self.multipliers:
            raise ValueError("the board is built without the coder huffman")
        symbols = config.positions(config.tile_rows, config.tile_cols) * config.components
        for what, count, most in (
            ("a position has {} values", config.position_values, self.max_values),
            ("a tile has {} symbols", symbols, self.max_symbols),
        ):
            if count > most:
                raise ValueError(f"{what.format(count)}, the board holds {most}")
        if POSITION_SIDE[config.transform] > 1 and config.channels % BLOCK:
            raise ValueError(
                f"a board has positions of 2 x 2 pixels of a multiple of {BLOCK} channels only, "
                f"not of {config.channels}"
            )

    def _check_planes(self, config: FrameConfig) -> None:
        if not self.max_stored:
            raise ValueError("the board is built without the coder gf2")
        if config.huffman:
            raise ValueError("no board has bit planes behind the coder huffman")
        values = POSITION_SIDE[config.transform] ** 2 * round_up(config.channels, BLOCK)
        for what, count, most in (
            ("values", values, self.max_plane_values),
            ("stored planes", config.components, self.max_stored),
        ):
            if count > most:
                raise ValueError(f"a position has {count} {what}, the board holds {most}")

    def _check_matrices(self, config: FrameConfig, affines: tuple[Affine, ...]) -> None:
        if POSITION_SIDE[config.transform] > 1 and len(affines) > 1:
            raise ValueError(
                f"a board has positions of 2 x 2 pixels of one group only, not of {len(affines)}"
            )
        entries = projload.rows_of(affines, self.multipliers) * self.multipliers
        if entries > self.max_entries:
            raise ValueError(
                f"a matrix takes {entries} entries, the board holds {self.max_entries}"
            )

    def encode(
        self,
        values: np.ndarray,
        config: FrameConfig,
        base: int = 0,
        coding: AnyCoding | None = None,
    ) -> int:
        """Stream a map through the encoder into memory.

        Parameters
        ----------
        values : uint8 or int8 [C, H, W]
        base : address of the frame, a multiple of ``regs.ROW_BYTES``
        coding : what the coders RANS, HUFFMAN and GF2 need

        Returns
        -------
        size of the frame in bytes

        Raises
        ------
        ValueError : the board cannot hold such a frame, or shape or tables are not the configured
            ones
        TypeError : the values do not have the configured type
        LinkError : the board does not answer, or does not finish
        """
        tiling.check_values(values, config)
        self._configure_encoder(config, base, coding)
        beats = to_beats(values, config, self.lanes)
        self._control("write")
        for start in range(0, len(beats), self.stage_beats):
            piece = beats[start : start + self.stage_beats]
            self._port.write(regs.STAGE, piece.tobytes(), wait=False)
            self._move(len(piece), encode=True)
            self._wait("piece")
        self._wait("writing")
        return self._register("frame_bytes")

    def decode(
        self, config: FrameConfig, base: int = 0, tables: AnyTables | None = None
    ) -> np.ndarray:
        """Read a frame from memory through the decoder: uint8 or int8 [C, H, W].

        Parameters
        ----------
        base : address of the frame
        tables : what the coders RANS, HUFFMAN and GF2 need

        Raises
        ------
        ValueError : the board cannot hold such a frame, or the tables are not the configured ones
        FormatError : the frame in memory is not intact, or not of this configuration
        LinkError : the board does not answer, or does not finish
        """
        if config.rans:
            known = ransframe.checked_tables(config, tables)
            self._configure(config, base)
            self._load(known)
        elif config.of_planes:
            planes = gf2frame.check_planes(config, tables)
            self._configure(config, base)
            self._load_sums(config, planes)
        elif config.huffman:
            projection = projframe.check_projection(config, tables)
            self._configure(config, base)
            self._load_inverse(config, projection)
            self._expect(config, projection.inverse)
        else:
            self._configure(config, base)
        beats = beat_count(config, self.lanes)
        pieces = []
        for start in range(0, beats, self.stage_beats):
            count = min(self.stage_beats, beats - start)
            self._move(count, encode=False)
            if start == 0:
                # Behind its piece: the time to the first beat counts, and none for the host.
                self._control("read")
            self._wait("piece")
            data = self.read_words(regs.STAGE, count * BLOCK // 4)
            pieces.append(np.frombuffer(data, np.uint8).reshape(count, BLOCK)[:, : self.lanes])
        self._wait("reading")
        return from_beats(np.concatenate(pieces), config)

    # Replays -------------------------------------------------------------------------------------

    def stage(
        self,
        values: np.ndarray,
        config: FrameConfig,
        base: int = 0,
        coding: AnyCoding | None = None,
    ) -> int:
        """Put a map into the stage, for replays; returns its beats. See ``encode``.

        Raises
        ------
        ValueError : the stage does not hold it, or the board no such frame
        TypeError : the values do not have the configured type
        """
        tiling.check_values(values, config)
        beats = to_beats(values, config, self.lanes)
        # Without the codec, whole words are moved.
        whole = -(-len(beats) * self.lanes // regs.PORT_BYTES) * regs.PORT_BYTES // self.lanes
        if whole > self.stage_beats:
            raise ValueError(f"a map of {len(beats)} beats, the stage holds {self.stage_beats}")
        self._configure_encoder(config, base, coding)
        padding = np.zeros((whole - len(beats), BLOCK), np.uint8)
        self.write_words(regs.STAGE, np.concatenate((beats, padding)).tobytes())
        return len(beats)

    def check_of(self, values: np.ndarray, config: FrameConfig) -> int:
        """The check sum of passes that put out these values, if all lanes of beats hold some."""
        beats = to_beats(values, config, self.lanes)[:, : self.lanes]
        return regs.replay_check(int.from_bytes(beat.tobytes(), "little") for beat in beats)

    def keep_awake(self, awake: bool) -> None:
        """Keep the memory's CKE high from now on, or let it go low when nothing is to be done."""
        self._set("replay", int(awake) << regs.bits("replay", "awake").low)

    def replay(
        self,
        kind: regs.Replay,
        beats: int,
        passes: int,
        *,
        awake: bool = False,
        silence_s: float = 0.0,
    ) -> dict[str, int]:
        """Make passes over what is in the stage, and count what the memory does in that window.

        The board's marker is high from the first pass to the end of the last one.

        Parameters
        ----------
        beats : of a pass, as ``stage`` says; of ``IDLE``, clock cycles
        passes : how many
        awake : keep the memory's CKE high
        silence_s : time in which nothing is sent, so that the link is no part of the window

        Returns
        -------
        the counters, and ``check``: see ``fmzip.regs.replay_check``

        Raises
        ------
        ValueError : no such number of beats or passes
        FormatError : a frame was refused, or passes differ from each other
        LinkError : the board does not answer, or does not finish
        """
        if kind is regs.Replay.RAW:
            beats = -(-beats * self.lanes // regs.PORT_BYTES) * regs.PORT_BYTES // self.lanes
        for name, value, word in (("beats", beats, "replay_beats"), ("passes", passes, "replay")):
            end = 1 << regs.bits(word, name).size
            if not 1 <= value < end:
                raise ValueError(f"{name} must be 1 to {end - 1}, not {value}")
        self._set("replay_beats", beats)
        self.counters(clear=True)
        fields = {"passes": passes, "kind": int(kind), "awake": int(awake)}
        self._set("replay", regs.value_of("replay", fields))
        time.sleep(silence_s)
        self._wait("replaying", stuck_s=silence_s, passes=passes)
        done = self._register("replay_done")
        if done != passes or regs.fields_of("status", self._register("status"))["differs"]:
            raise FormatError(f"{self.port}: passes differ, {done} of {passes} were completed")
        return {**self.counters(), "check": self._register("replay_check")}

    def _configure(self, config: FrameConfig, base: int) -> None:
        self.check(config)
        if base % regs.ROW_BYTES or not 0 <= base <= self.memory_bytes - config.max_bytes:
            raise ValueError(
                f"base must be a multiple of {regs.ROW_BYTES} with {config.max_bytes} bytes "
                f"behind it, not {base:#x}"
            )
        self._control("reset")  # whatever an interrupted call has left behind
        self._frame_cycles = 0
        self._set("base", base)
        self._port.write(regs.REGISTER["head"].address, config.static_head(), wait=False)
        if config.rans:
            self._set("multiplier", rans_multiplier(config.step, config.transform))
        elif not config.counts_components:
            self._set("multiplier", multiplier(config.step))

    def _configure_encoder(self, config: FrameConfig, base: int, coding: AnyCoding | None) -> None:
        if config.rans:
            known = ransframe.check_coding(config, coding)
            self._configure(config, base)
            self._load(known.tables)
            self._set("diffusion", regs.value_of("diffusion", asdict(known.diffusion)))
        elif config.of_planes:
            planes = gf2frame.check_coding(config, coding)
            self._configure(config, base)
            words = partial(planeload.encoder_words, planes.encoder, config.channels)
            self._load_planes("encoder", (planes.encoder, config.channels), words)
            # A replay decodes, too.
            self._load_sums(config, planes.tables)
        elif config.huffman:
            projecting = projframe.check_projecting(config, coding)
            self._configure(config, base)
            self._load_forward(config, projecting)
            # A replay decodes, too.
            self._load_inverse(config, projecting.tables)
            self._expect(config, projecting.forward, projecting.tables.inverse)
        else:
            self._configure(config, base)

    def _expect(self, config: FrameConfig, *matrices: tuple[Affine, ...]) -> None:
        """Allow for the time that the products of a frame take, and its symbols."""
        positions = config.positions(config.height, config.width)
        rows = sum(projload.rows_of(affines, self.multipliers) for affines in matrices)
        self._frame_cycles = positions * (rows + 8 * config.components)

    def _load_forward(self, config: FrameConfig, coding: ProjectionCoding) -> None:
        """Load what the encoder needs, into page 0, unless the board has it."""
        self._check_matrices(config, coding.forward)
        if self._told["write"] is not coding:
            words = projload.encoder_words(coding, 0, 0, self.multipliers, self.max_values)
            self._load_words("write", coding, words)

    def _load_inverse(self, config: FrameConfig, projection: Projection) -> None:
        """Load what the decoder needs, into page 0, unless the board has it."""
        self._check_matrices(config, projection.inverse)
        if self._told["read"] is not projection:
            words = projload.decoder_words(projection, 0, 0, self.multipliers, self.max_values)
            self._load_words("read", projection, words)

    def _load_words(self, way: str, of: object, words: list[projload.Words]) -> None:
        self._told[way] = None
        self._set("page", 0)
        for kind, address, part in words:
            start = regs.PROJECTIONS + (kind << regs.PROJECTION_KIND_SHIFT)
            self.write_words(start + regs.WORD_BYTES * address, part.astype("<u4").tobytes())
        self._told[way] = of

    def _load_sums(self, config: FrameConfig, tables: PlaneTables) -> None:
        """Load what the decoder of bit planes needs, and allow for the time that a frame takes."""
        if tables.layer is not None:
            raise ValueError("a board's decoder of bit planes has no layer, only integers")
        words = partial(planeload.decoder_words, tables, config.channels, self.adders)
        self._load_planes("sums", (tables, config.channels), words)
        # An eight of planes in the encoder, as many integers as there are adders in the decoder.
        cycles = ceil_div(config.components, BLOCK)
        cycles += BLOCK * ceil_div(config.components, self.adders)
        self._frame_cycles = beat_count(config, self.lanes) * cycles

    def _load_planes(
        self, way: str, of: tuple[object, int], words: Callable[[], list[planeload.Words]]
    ) -> None:
        """Load the numbers of encoder or decoder, unless the board has them, for such a map."""
        if self._told[way] == of:  # compared by identity
            return
        self._told[way] = None
        for kind, part in words():
            start = regs.PLANES + (kind << regs.PROJECTION_KIND_SHIFT)
            self.write_words(start, part.astype("<u4").tobytes())
        self._told[way] = of

    def _load(self, tables: Tables) -> None:
        """Load tables, behind the head, unless the board has them."""
        if self._tables != tables:
            self._tables = None
            self.write_words(regs.TABLES, tables.to_bytes())
            if not regs.fields_of("status", self._register("status"))["tables"]:
                raise LinkError(f"{self.port}: the board has not taken the tables")
            self._tables = tables

    def _move(self, beats: int, *, encode: bool) -> None:
        self._set("piece", regs.value_of("piece", {"beats": beats, "encode": int(encode)}))

    def _wait(self, flag: str, stuck_s: float = 0.0, passes: int = 1) -> None:
        """Wait until a flag of STATUS is 0; at least ``_STUCK_S`` if need be."""
        rate_hz = self.clock_hz if self.tier == "measured" else _LEAST_HZ
        stuck_s = max(stuck_s, _STUCK_S) * self._port.pace + passes * self._frame_cycles / rate_hz
        deadline = time.monotonic() + stuck_s
        while True:
            status = regs.fields_of("status", self._register("status"))
            if status["fault"]:
                fault = status["fault"]
                known = _FAULTS[regs.Fault(fault)] if fault in _FAULTS else f"fault {fault}"
                self._control("reset", wait=True)
                raise FormatError(f"{self.port}: {known}")
            if not status[flag]:
                return
            if time.monotonic() > deadline:
                self._control("reset", wait=True)
                raise LinkError(f"{self.port}: the board still says `{flag}` after {stuck_s:g} s")

    # Registers -----------------------------------------------------------------------------------

    def _register(self, name: str) -> int:
        return int.from_bytes(self.read_words(regs.REGISTER[name].address, 1), "little")

    def _set(self, name: str, value: int, *, wait: bool = False) -> None:
        """Set a register; without waiting where something comes behind that is waited for."""
        self._port.write(regs.REGISTER[name].address, value.to_bytes(4, "little"), wait=wait)

    def _control(self, *names: str, wait: bool = False) -> None:
        value = sum(1 << regs.bits("control", name).low for name in names)
        self._set("control", value, wait=wait)
