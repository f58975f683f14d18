"""cocotb tests of both cores with AXI ports: random frames, pauses, registers, resets, packets.

Runs inside the simulator. The pauses, the order of accesses and the frames are drawn from the seed
that a message names.
"""

import json
import logging
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge, SimTimeoutError, Timer, with_timeout
from cocotbext.axi import (
    AxiLiteBus,
    AxiLiteMaster,
    AxiStreamBus,
    AxiStreamFrame,
    AxiStreamSink,
    AxiStreamSource,
)

from fmzip.format import BLOCK, INDEX_OFFSET, TileMode, multiplier, rans_multiplier
from fmzip.ipregs import CORE_REGISTER, CoreFault, core_bits, core_ident
from fmzip.reference import decode, parse_head
from fmzip_sim.ip.frames import Frame, random_frame, raster_beats
from fmzip_sim.ip.pair import settings

PERIOD_NS = 10
LIMIT_US = 300  # of simulated time, for any single thing
OKAY, SLVERR = 0, 2


def _pauses(rng: random.Random, share: float) -> Iterator[bool]:
    """Pauses of random lengths, so long together."""
    while True:
        paused = rng.random() < share
        for _ in range(rng.choice([1, 1, 2, 3, 17])):
            yield paused


class Core:
    """One core behind its ports."""

    def __init__(self, dut: Any, side: str) -> None:
        self.dut, self.side = dut, side
        common = (dut.aclk, dut.aresetn, False)
        bus = AxiLiteBus.from_prefix(dut, f"{side}_s_axil")
        self.registers = AxiLiteMaster(bus, *common)
        self.source = AxiStreamSource(AxiStreamBus.from_prefix(dut, f"{side}_s_axis"), *common)
        self.sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, f"{side}_m_axis"), *common)
        self.irq = getattr(dut, f"{side}_irq")
        for part in (self.source, self.sink):
            part.log.setLevel(logging.ERROR)
        for interface in (self.registers.write_if, self.registers.read_if):
            interface.log.setLevel(logging.ERROR)

    def pause(self, rng: random.Random, share: float) -> None:
        """Pauses on every channel; none with a share of 0."""
        write, read = self.registers.write_if, self.registers.read_if
        channels = (
            self.source, self.sink, write.aw_channel, write.w_channel, write.b_channel,
            read.ar_channel, read.r_channel,
        )  # fmt: skip
        for channel in channels:
            channel.clear_pause_generator()
            channel.pause = False
            if share:
                channel.set_pause_generator(_pauses(random.Random(rng.random()), share))

    async def write(self, name: str, value: int, k: int = 0) -> int:
        """Write a word of a register; returns the response."""
        address = CORE_REGISTER[name].address + 4 * k
        done = await self.registers.write(address, value.to_bytes(4, "little"))
        return int(done.resp)

    async def read(self, name: str, k: int = 0) -> int:
        found = await self.registers.read(CORE_REGISTER[name].address + 4 * k, 4)
        assert int(found.resp) == OKAY
        return int.from_bytes(found.data, "little")

    async def field(self, register: str, name: str) -> int:
        bits = core_bits(register, name)
        return await self.read(register) >> bits.low & (1 << bits.size) - 1

    async def command(self, *names: str) -> int:
        return await self.write("control", sum(1 << core_bits("control", n).low for n in names))

    async def configure(self, frame: Frame, config: Any = None) -> None:
        """All registers that this core has, the tables included."""
        config = config or frame.config
        head = config.static_head()
        for k in range(len(head) // 4):
            word = int.from_bytes(head[4 * k : 4 * k + 4], "little")
            assert await self.write("head", word, k) == OKAY
        if self.side == "enc":
            of = (
                rans_multiplier(config.step, config.transform)
                if config.rans
                else multiplier(config.step)
            )
            assert await self.write("multiplier", of) == OKAY
        if frame.coding is None:
            return
        if self.side == "enc":
            given, value = frame.coding.diffusion, 0
            for name in ("rounding", "left", "above", "corner"):
                value |= getattr(given, name) << core_bits("diffusion", name).low
            assert await self.write("diffusion", value) == OKAY
        assert await self.command("tables") == OKAY
        data = frame.coding.tables.to_bytes()
        for k in range(0, len(data), 4):
            await self.write("tables", int.from_bytes(data[k : k + 4], "little"))
        assert await self.field("status", "tables")

    async def ended(self, seed: object) -> int:
        """Wait for the interrupt, and return the fault; the interrupt is then acknowledged."""
        for _ in range(LIMIT_US * 1000 // PERIOD_NS):
            if self.irq.value == 1:
                break
            await RisingEdge(self.dut.aclk)
        else:
            raise AssertionError(f"{self.side}, seed {seed}: no interrupt")
        status = await self.read("status")
        assert status & 1 == 0, "done, and busy"
        await self.command("ack")
        assert await self.field("status", "done") == 0
        assert self.irq.value == 0
        return status >> core_bits("status", "fault").low & 0xFF

    async def disturb(self, rng: random.Random) -> None:
        """Accesses while a frame is in work: reads answer, writes to what it needs are refused."""
        for _ in range(rng.randrange(1, 5)):
            if await self.field("status", "busy") == 0:
                return
            what = rng.choice(["ident", "status", "head_bytes", "head"])
            if what == "head":
                kept = await self.read("head", 2)
                refused = await self.write("head", kept ^ 0x55, 2)
                if await self.field("status", "busy"):
                    assert refused == SLVERR
                    assert await self.read("head", 2) == kept
                elif refused == OKAY:
                    await self.write("head", kept, 2)
            else:
                await self.read(what)


async def _begin(dut: Any) -> tuple[Core, Core]:
    logging.getLogger("cocotb").setLevel(logging.WARNING)
    dut.aresetn.value = 0
    cores = Core(dut, "enc"), Core(dut, "dec")
    await Timer(PERIOD_NS, "ns")
    Clock(dut.aclk, PERIOD_NS, "ns").start()
    await _reset(dut, cores)
    return cores


async def _reset(dut: Any, cores: tuple[Core, Core]) -> None:
    dut.aresetn.value = 0
    for _ in range(3):
        await RisingEdge(dut.aclk)
    dut.aresetn.value = 1
    await RisingEdge(dut.aclk)
    for core in cores:
        for part in (core.source, core.sink):
            part.clear()
        assert await core.write("interrupt", 1) == OKAY


async def encode_into(core: Core, memory: bytearray, base: int, frame: Frame) -> None:
    """The packets of a frame to where they belong: what a DMA engine with two descriptors does."""
    config = frame.config
    tiles = await core.sink.recv()
    head = await core.sink.recv()
    assert (_dest(tiles), _dest(head)) == (0, 1)
    assert len(head.tdata) == config.head_bytes
    memory[base + config.head_bytes : base + config.head_bytes + len(tiles.tdata)] = tiles.tdata
    memory[base : base + config.head_bytes] = head.tdata


def _dest(packet: AxiStreamFrame) -> int:
    return packet.tdest if isinstance(packet.tdest, int) else packet.tdest[0]


async def _send(core: Core, data: bytes, keep: list[int] | None = None) -> None:
    await core.source.send(AxiStreamFrame(data, tkeep=keep))


def _with_nulls(data: bytes, rng: random.Random) -> tuple[bytes, list[int]]:
    """A packet with words that are none in it."""
    out = b""
    keep: list[int] = []
    for k in range(0, len(data), BLOCK):
        while rng.random() < 0.1:
            out, keep = out + rng.randbytes(BLOCK), keep + [0] * BLOCK
        out, keep = out + data[k : k + BLOCK], keep + [1] * BLOCK
    return out, keep


async def _one(dut: Any, cores: tuple[Core, Core], seed: int) -> None:
    """One frame there and back, with everything around it drawn from the seed."""
    encoder, decoder = cores
    rng = random.Random(seed)
    asked = settings()
    frame = random_frame(asked["codec"], seed)
    config, lanes = frame.config, asked["lanes"]
    for core in cores:
        core.pause(rng, rng.choice([0, 0.2, 0.5, 0.8]))
    memory = bytearray(2 * len(frame.data) + 1024)
    base = 8 * rng.randrange(16)
    beats = raster_beats(frame.values, config, lanes, filler=rng.randrange(256))

    if rng.random() < 0.3:  # a frame that a reset ends
        for core in cores:
            await core.configure(frame)
            await core.command("start")
        await _send(encoder, beats)
        await _send(decoder, frame.data)
        for _ in range(rng.randrange(1, 200)):
            await RisingEdge(dut.aclk)
        await _reset(dut, cores)

    await encoder.configure(frame)
    early = rng.random() < 0.5
    if early:  # the data may be there before the command
        await _send(encoder, beats)
    assert await encoder.command("start") == OKAY
    if not early:
        await _send(encoder, beats)
    moving = cocotb.start_soon(encode_into(encoder, memory, base, frame))
    await encoder.disturb(rng)
    await with_timeout(moving, LIMIT_US, "us")
    assert await encoder.ended(seed) == CoreFault.NONE
    assert await encoder.read("frame_bytes") == len(frame.data)
    assert await encoder.read("head_bytes") == config.head_bytes
    assert bytes(memory[base : base + len(frame.data)]) == frame.data, f"seed {seed}: frame"

    await decoder.configure(frame)
    assert await decoder.command("start") == OKAY
    data = bytes(memory[base : base + len(frame.data)])
    await _send(decoder, *(_with_nulls(data, rng) if rng.random() < 0.5 else (data,)))
    await decoder.disturb(rng)
    values = await with_timeout(decoder.sink.recv(), LIMIT_US, "us")
    assert await decoder.ended(seed) == CoreFault.NONE
    assert bytes(values.tdata) == raster_beats(frame.decoded, config), f"seed {seed}: values"
    assert decoder.sink.empty()
    await _one_tile(decoder, frame, memory, base, rng)


async def _one_tile(
    core: Core, frame: Frame, memory: bytearray, base: int, rng: random.Random
) -> None:
    """One tile by itself: its place from the index in memory, its values from the core."""
    config = frame.config
    number = rng.randrange(config.tiles)
    entries = [
        int.from_bytes(memory[base + INDEX_OFFSET + 4 * k :][:4], "little")
        for k in range(config.tiles)
    ]
    mask = (1 << 30) - 1
    start = (entries[number] & mask) * config.burst_bytes
    stop = len(frame.data) - config.head_bytes
    if number + 1 < config.tiles:
        stop = (entries[number + 1] & mask) * config.burst_bytes
    raw = entries[number] >> 30 == TileMode.RAW
    tile = list(config.iter_tiles())[number]
    alone = replace(
        config, height=tile.rows, width=tile.cols, tile_rows=tile.rows, tile_cols=tile.cols
    )
    await core.configure(frame, alone)
    assert await core.command("tile", *(["raw"] if raw else [])) == OKAY
    first = base + config.head_bytes
    await _send(core, bytes(memory[first + start : first + stop]))
    values = await with_timeout(core.sink.recv(), LIMIT_US, "us")
    assert await core.ended("tile") == CoreFault.NONE
    part = frame.decoded[:, tile.row_slice, tile.col_slice]
    assert bytes(values.tdata) == raster_beats(part, alone)


@cocotb.test()
async def frames_go_there_and_back_whatever_the_pauses(dut: Any) -> None:
    cores = await _begin(dut)
    for core in cores:
        assert await core.read("ident") == core_ident()
        assert await core.field("build", "lanes") == settings()["lanes"]
        assert await core.field("build", "decoder") == (core.side == "dec")
    for seed in range(*settings()["seeds"]):
        try:
            await _one(dut, cores, seed)
        except (AssertionError, SimTimeoutError) as error:
            raise AssertionError(f"seed {seed}: {error!r}") from error


@cocotb.test()
async def packets_that_are_too_short_too_long_or_torn_are_named(dut: Any) -> None:
    encoder, decoder = await _begin(dut)
    asked = settings()
    frame = random_frame(asked["codec"], 3)
    beats = raster_beats(frame.values, frame.config, asked["lanes"])
    size = len(frame.data)

    async def decoded(data: bytes, keep: list[int] | None = None) -> int:
        await decoder.command("start")
        await _send(decoder, data, keep)
        return await decoder.ended("packets")

    await decoder.configure(frame)
    assert await decoded(frame.data[: size - BLOCK]) == CoreFault.SHORT
    assert await decoded(frame.data + bytes(BLOCK)) == CoreFault.LONG
    torn = [1] * size
    torn[size - 1] = 0
    assert await decoded(frame.data, torn) == CoreFault.KEEP
    assert await decoded(frame.data[:9] + b"\xff" + frame.data[10:]) == CoreFault.HEAD_DIFFERS
    while not decoder.sink.empty():
        decoder.sink.recv_nowait()
    assert await decoded(frame.data) == CoreFault.NONE
    values = decoder.sink.recv_nowait()
    assert bytes(values.tdata) == raster_beats(frame.decoded, frame.config)

    # The encoder goes by its configuration, and says where TLAST was not at the end.
    await encoder.configure(frame)
    half = len(beats) // asked["lanes"] // 2 * asked["lanes"]
    await encoder.command("start")
    for part in (beats[:half], beats[half:]):
        await _send(encoder, part)
    assert await encoder.ended("short") == CoreFault.SHORT
    for _ in range(2):
        await with_timeout(encoder.sink.recv(), LIMIT_US, "us")
    assert await encoder.write("ident", 0) == SLVERR


@cocotb.test()
async def an_abort_frees_the_cores(dut: Any) -> None:
    cores = await _begin(dut)
    frame = random_frame(settings()["codec"], 5)
    for core in cores:
        await core.configure(frame)
        await core.command("start")
        assert await core.field("status", "busy")
        assert await core.command("abort") == OKAY
        assert await core.field("status", "busy") == 0
    await _reset(dut, cores)
    await _one(dut, cores, 5)


@cocotb.test()
async def throughput_is_that_of_the_codec(dut: Any) -> None:
    """Beats of a large frame without pauses, and the cycles from the first to the last."""
    cores = await _begin(dut)
    asked = settings()
    frame = random_frame(asked["codec"], 1, large=True)
    seen: dict[str, list[int]] = {"encoder": [], "decoder": []}

    async def watch() -> None:
        ports = {
            "encoder": (dut.enc_s_axis_tvalid, dut.enc_s_axis_tready),
            "decoder": (dut.dec_m_axis_tvalid, dut.dec_m_axis_tready),
        }
        cycle = 0
        while True:
            await RisingEdge(dut.aclk)
            cycle += 1
            for name, (valid, ready) in ports.items():
                if valid.value == 1 and ready.value == 1:
                    seen[name].append(cycle)

    watching = cocotb.start_soon(watch())
    for core in cores:
        await core.configure(frame)
        await core.command("start")
    beats = raster_beats(frame.values, frame.config, asked["lanes"])
    await _send(cores[0], beats)
    for _ in range(2):
        await with_timeout(cores[0].sink.recv(), LIMIT_US, "us")
    await _send(cores[1], frame.data)
    await with_timeout(cores[1].sink.recv(), LIMIT_US, "us")
    watching.cancel()
    figures = {name: {"beats": len(at), "cycles": at[-1] - at[0] + 1} for name, at in seen.items()}
    Path(asked["figures"]).write_text(json.dumps(figures))
    assert np.array_equal(decode(frame.data, frame.tables), frame.decoded)
    assert parse_head(frame.data).config == frame.config
