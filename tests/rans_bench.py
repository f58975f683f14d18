"""Configurations, tables and symbols of the coder RANS, for the tests of its gateware."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from amaranth.hdl import Cat, Module, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from fmzip.format import (
    BLOCK,
    CONTEXTS,
    ESCAPE,
    PLANES,
    POSITION_SIDE,
    RANS_STEP_MIN,
    SECTION_BYTES,
    TOKENS,
    Coder,
    Dtype,
    FrameConfig,
    TileMode,
    Transform,
    ceil_div,
    round_up,
)
from fmzip.reference import planes, rans
from fmzip.tables import Tables
from fmzip_hw.layout import HeadLayout, word_layout
from fmzip_hw.pipeline import register, register_flag
from fmzip_hw.ransencode import RansEncoder
from fmzip_hw.slots import SlotSequencer
from fmzip_hw.tables import ContextWrite, EntryWrite, LimitWrite


class SequencedEncoder(wiring.Component):
    """A ``RansEncoder`` with a stream of slots in front of it, as far away as the planes are."""

    way = 9  # cycles from `enter` to the slot

    def __init__(self, depth: int, lanes: int = BLOCK):
        self._encoder, self.lanes = RansEncoder(depth, lanes), lanes
        self.tile_gap = self._encoder.tile_gap + self.way
        super().__init__({
            "head": In(HeadLayout),
            "start": In(1),
            "context": In(ContextWrite),
            "entry": In(EntryWrite),
            "limit": In(LimitWrite),
            "i": In(stream.Signature(data.ArrayLayout(8, lanes))),
            "o": Out(stream.Signature(word_layout(lanes))),
            "done": Out(1),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.encoder = encoder = self._encoder
        m.submodules.sequencer = sequencer = SlotSequencer(RansEncoder.loop, lanes=self.lanes)
        wiring.connect(m, encoder.o, wiring.flipped(self.o))
        m.d.comb += [
            *(getattr(encoder, name).eq(getattr(self, name))
              for name in ("head", "context", "entry", "limit")),
            sequencer.head.eq(self.head),
            sequencer.start.eq(self.start),
            sequencer.step.eq(encoder.enter),
            self.i.ready.eq(sequencer.valid & encoder.free),
            encoder.enter.eq(self.i.valid & self.i.ready),
            encoder.ends.eq(sequencer.slot.ends_tile),
            encoder.i_valid.eq(register_flag(m, encoder.enter, self.way)),
            Cat(encoder.z).eq(register(m, Cat(self.i.payload), self.way)),
            encoder.coming.eq(register(m, sequencer.slot, self.way - 1)),
            encoder.place.eq(register(m, encoder.coming)),
            encoder.sets.eq(register(m, sequencer.sets, self.way)),
            self.done.eq(sequencer.done),
        ]  # fmt: skip
        return m


def rans_config(
    transform: Transform, channels: int, height: int, width: int,
    tile_rows: int = 0, tile_cols: int = 0, **options: Any,
) -> FrameConfig:  # fmt: skip
    """A configuration; the tile is all of the map where no other is given."""
    return FrameConfig(
        channels, height, width, tile_rows=tile_rows or height, tile_cols=tile_cols or width,
        transform=transform, coder=Coder.RANS, step=RANS_STEP_MIN, **options,
    )  # fmt: skip


# Rows of one position and of two, few groups and many, planes with a sign and without.
CONFIGS = [
    rans_config(Transform.BYPASS, 1, 3, 3),
    rans_config(Transform.BYPASS, 64, 4, 6, 4, 3, zero_point=128),
    rans_config(Transform.BYPASS, 72, 5, 2),
    rans_config(Transform.BYPASS, 64, 6, 1),
    rans_config(Transform.BYPASS, 30, 4, 8, 2, 5, dtype=Dtype.INT8, zero_point=-128),
    rans_config(Transform.NIBBLES, 65, 3, 4, 3, 2),
    rans_config(Transform.NIBBLES, 9, 3, 5, zero_point=3),
    rans_config(Transform.WHT4, 64, 6, 6, 4, 6),
    rans_config(Transform.WHT4, 20, 7, 3, zero_point=128),
    rans_config(Transform.WHT4, 80, 4, 8, 4, 4),
]


def positions_of(config: FrameConfig) -> Iterator[tuple[int, int]]:
    """Rows and columns of each tile, in positions."""
    side = POSITION_SIDE[config.transform]
    for tile in config.iter_tiles():
        yield ceil_div(tile.rows, side), ceil_div(tile.cols, side)


def random_tables(
    transform: Transform, rng: random.Random, statistics: int = 32, limit: int | None = None
) -> Tables:
    """Tables with short and long alphabets, and frequencies that mostly fall from token to token.

    With a limit, it is that of all statistics.
    """
    frequencies = b""
    for _ in range(statistics):
        highest = rng.choice([0, 1, 2, 5, 14, 30, rng.randrange(31)]) if limit is None else limit
        tokens = [*range(highest + 1), ESCAPE]
        weights = [rng.random() / (1 + n) ** rng.choice([0, 1, 1]) for n in tokens]
        counts = [1 + int((256 - len(tokens)) * w / sum(weights)) for w in weights]
        counts[0] += 256 - sum(counts)
        row = bytearray(TOKENS)
        for token, count in zip(tokens, counts, strict=True):
            row[token] = count
        frequencies += row
    contexts = bytes(rng.randrange(statistics) for _ in range(CONTEXTS * PLANES[transform]))
    contexts = bytes([statistics - 1]) + contexts[1:]  # each must be one of the statistics
    return Tables(contexts, frequencies)


def random_symbols(
    config: FrameConfig, rows: int, cols: int, rng: np.random.Generator
) -> np.ndarray:
    """Symbols of a tile, uint8 [n, 8], most of them small; 0 in lanes without a channel."""
    slots = rows * cols * config.planes * config.blocks_per_pixel
    highest = 15 if config.transform == Transform.NIBBLES else 255
    z = rng.exponential(rng.choice([0.3, 1, 4, 40]), (slots, 8)).clip(0, highest).astype(np.uint8)
    left = config.channels - 8 * (np.arange(slots) % config.blocks_per_pixel)
    z[np.arange(8) >= left[:, None]] = 0
    return z


def coded(config: FrameConfig, tables: Tables, cols: int, symbols: np.ndarray) -> rans.Tokens:
    """Statistics and tokens of the symbols of a tile with so many positions in a row."""
    return rans.tokens_of(symbols, rans.layout_of(config, cols), rans.model_of(tables))


async def load_tables(ctx: Any, loader: Any, tables: Tables, config: FrameConfig) -> None:
    """Feed the bytes of the tables to a ``TableLoader``."""
    ctx.set(Value.cast(loader.head), int.from_bytes(config.static_head(), "little"))
    ctx.set(loader.start, 1)
    await ctx.tick()
    ctx.set(loader.start, 0)
    ctx.set(loader.i.valid, 1)
    for byte in tables.to_bytes():
        ctx.set(loader.i.payload, byte)
        await ctx.tick().until(loader.i.ready)
    ctx.set(loader.i.valid, 0)
    await ctx.tick().until(loader.whole)
    await ctx.tick().repeat(loader.latency)


def tile_words(data: bytes, mode: TileMode, config: FrameConfig) -> list[int]:
    """The words of a tile as payloads of ``word_layout(8)``."""
    data = data.ljust(round_up(len(data), config.burst_bytes), b"\0")
    words = [int.from_bytes(data[k : k + 8], "little") for k in range(0, len(data), 8)]
    return [w | (n == len(words) - 1) << 64 | mode << 65 for n, w in enumerate(words)]


def parted(payloads: list[int], lanes: int) -> list[int]:
    """Payloads of ``lanes`` bytes in place of those of 8: data, last, raw; 8 bytes may come alone.

    ``last`` is with the last part only, ``raw`` with each.
    """
    if lanes == BLOCK:
        return payloads
    data, out = (1 << 8 * lanes) - 1, []
    for payload in payloads:
        last, raw = payload >> 64 & 1, payload >> 65 & 1
        for at in range(0, BLOCK, lanes):
            ends = last and at + lanes == BLOCK
            flags = ends << 8 * lanes | raw << 8 * lanes + 1
            out.append(payload >> 8 * at & data | flags)
    return out


@dataclass
class Stream:
    """Tiles of a frame, as symbols, as slots, and as words.

    Members
    -------
    words : payloads of ``word_layout(8)``
    slots : payloads of ``slot_layout``
    masks : of each slot, the bits of its payload that are defined
    modes : of each tile
    """

    words: list[int] = field(default_factory=list)
    slots: list[int] = field(default_factory=list)
    masks: list[int] = field(default_factory=list)
    modes: list[TileMode] = field(default_factory=list)

    def parted(self, lanes: int) -> "Stream":
        """The same for fewer lanes."""
        flags = 3 << 8 * lanes
        masks = [mask | flags for mask in parted(self.masks, lanes)]
        return Stream(parted(self.words, lanes), parted(self.slots, lanes), masks, self.modes)

    def add(
        self, config: FrameConfig, tables: Tables, rows: int, cols: int, z: np.ndarray, raw: bool
    ) -> None:
        """Append a tile of the given symbols, raw or coded, whichever is smaller."""
        if raw:
            numbers = planes.from_slots(z, config, rows, cols)
            data = numbers[:, : config.channels].transpose(2, 3, 0, 1).tobytes()
            if config.transform == Transform.NIBBLES:  # a slot holds both planes
                z = planes.to_slots(numbers, replace(config, transform=Transform.BYPASS))
        else:
            data = coded_tile(config, tables, cols, z)
        mode = TileMode.RAW if raw else TileMode.CODED
        self.modes.append(mode)
        self.words += tile_words(data, mode, config)
        for n, slot in enumerate(z):
            left = config.channels - 8 * (n % config.blocks_per_pixel)
            flags = (n == len(z) - 1) | raw << 1
            self.slots.append(int.from_bytes(slot.tobytes(), "little") | flags << 64)
            keep = min(left, 8) if raw else 8
            self.masks.append(3 << 64 | (1 << 8 * keep) - 1)


def coded_tile(config: FrameConfig, tables: Tables, cols: int, symbols: np.ndarray) -> bytes:
    """A coded tile, without padding to the burst."""
    found = coded(config, tables, cols, symbols)
    states, data = rans.encode(found, rans.model_of(tables))
    escapes = len(found.escapes).to_bytes(2, "little") + found.escapes.tobytes()
    escapes = escapes.ljust(round_up(len(escapes), SECTION_BYTES), b"\0")
    return escapes + states.astype("<u2").tobytes() + data.tobytes()


def random_stream(config: FrameConfig, tables: Tables, seed: int, raw: float = 0.25) -> Stream:
    """A frame of random symbols; a part of its tiles is raw."""
    rng = np.random.default_rng(seed)
    out = Stream()
    for rows, cols in positions_of(config):
        symbols = random_symbols(config, rows, cols, rng)
        out.add(config, tables, rows, cols, symbols, rng.random() < raw)
    return out
