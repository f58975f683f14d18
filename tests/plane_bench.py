"""Values and the slots of their numbers, for the tests of the coder RANS's transforms."""

import random
from dataclasses import replace

import numpy as np
from amaranth.hdl import Module
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import Out
from tests.codec_bench import KINDS, Case, value_map, wire_beats
from tests.rans_bench import parted, random_tables

from fmzip.format import (
    BLOCK,
    PLANES,
    RANS_TRANSFORMS,
    ROW_SLOTS_MAX,
    Coder,
    Dtype,
    FrameConfig,
    Tile,
    Transform,
    ceil_div,
)
from fmzip.reference import planes
from fmzip.tables import Coding, Diffusion
from fmzip_hw.planes import PlaneCoder
from fmzip_hw.stream import CreditFifo


class QueuedCoder(wiring.Component):
    """A ``PlaneCoder`` with a stream of slots behind it; all other members are its own."""

    latency = 1 + PlaneCoder.latency + CreditFifo.latency

    def __init__(self, lanes: int = BLOCK) -> None:
        self._coder, self.lanes = PlaneCoder(lanes), lanes
        own = {"free", "leave", "ends", "o_valid", "o", "slot", "sets"}
        members = self._coder.signature.members
        super().__init__({
            **{name: member for name, member in members.items() if name not in own},
            "o": Out(stream.Signature(data.ArrayLayout(8, lanes))),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.coder = coder = self._coder
        m.submodules.out = out = CreditFifo(self.o.payload.shape(), depth=32)
        wiring.connect(m, wiring.flipped(self.i), coder.i)
        wiring.connect(m, out.o, wiring.flipped(self.o))
        m.d.comb += [
            *(getattr(coder, name).eq(getattr(self, name))
              for name in ("head", "multiplier", "diffusion", "start")),
            self.take.eq(coder.take),
            self.done.eq(coder.done),
            coder.free.eq(out.free),
            out.reserve.eq(coder.leave),
            out.put.eq(coder.o_valid),
            out.payload.eq(coder.o),
        ]  # fmt: skip
        return m


def numbers_of(case: Case, tile: Tile, diffusion: Diffusion) -> np.ndarray:
    """z of a tile, as ``reference.planes`` has them."""
    part = np.s_[:, tile.row : tile.row + tile.rows, tile.col : tile.col + tile.cols]
    return planes.numbers(case.values[part], case.config, diffusion)


def _whole(z: np.ndarray, config: FrameConfig) -> np.ndarray:
    """Slots of numbers that are not parted."""
    return planes.to_slots(z, replace(config, transform=Transform.BYPASS))


def coder_slots(case: Case, diffusion: Diffusion, lanes: int = BLOCK) -> np.ndarray:
    """z of each slot of the frame; with nibbles both slots of a group have it in full."""
    twice = 2 if case.config.transform == Transform.NIBBLES else 1
    return np.concatenate([
        _whole(np.concatenate([numbers_of(case, tile, diffusion)] * twice), case.config)
        for tile in case.config.iter_tiles()
    ]).reshape(-1, lanes)  # fmt: skip


def decoder_slots(
    case: Case, diffusion: Diffusion, raw: list[bool], lanes: int = BLOCK
) -> list[int]:
    """The slots that an entropy decoder puts out, as payloads: z, last, raw."""
    payloads = []
    for tile, is_raw in zip(case.config.iter_tiles(), raw, strict=True):
        z = numbers_of(case, tile, diffusion)
        slots = _whole(z, case.config) if is_raw else planes.to_slots(z, case.config)
        part = [int.from_bytes(slot.tobytes(), "little") | is_raw << 65 for slot in slots]
        part[-1] |= 1 << 64
        payloads += part
    return parted(payloads, lanes)


def decoded_beats(case: Case, diffusion: Diffusion, lanes: int = BLOCK) -> list[int]:
    """The beats that a decoder puts out, as payloads: data, keep, last; 0 without a channel."""
    payloads = []
    for tile in case.config.iter_tiles():
        z = numbers_of(case, tile, diffusion)
        side = 2 if len(z) == 4 else 1
        shape = (side * z.shape[2], side * z.shape[3])  # with the pixels that the map lacks
        values = planes.values_of(z, case.config, Tile(0, 0, *shape))
        rows = {"height": shape[0], "width": shape[1], "tile_rows": shape[0], "tile_cols": shape[1]}
        whole = Case(case.name, replace(case.config, **rows), values)
        part = [
            int.from_bytes(bytes(beat), "little") | ((1 << len(beat)) - 1) << 8 * lanes
            for beat in wire_beats(whole, lanes)
        ]
        part[-1] |= 1 << 9 * lanes
        payloads += part
    return payloads


def plane_case(seed: int, pixels: int = 40) -> tuple[Case, Diffusion]:
    """A case with everything drawn at random; about so many pixels at most."""
    rng = np.random.default_rng(seed)
    transform = Transform(int(rng.choice(RANS_TRANSFORMS)))
    side = 2 if transform == Transform.WHT4 else 1
    height = int(rng.integers(1, 9))
    width = int(rng.integers(1, max(2, pixels // height + 1)))
    dtype = Dtype(int(rng.integers(2)))
    low, high = (-128, 127) if dtype == Dtype.INT8 else (0, 255)
    tile_rows, tile_cols = (
        min(whole, -(-int(rng.integers(1, whole + 1)) // side) * side) for whole in (height, width)
    )
    channels = int(rng.choice([1, 3, 8, 9, 16, 24, 33, 64, 80]))
    most = side * (ROW_SLOTS_MAX // (PLANES[transform] * ceil_div(channels, BLOCK)))
    config = FrameConfig(
        channels,
        height,
        width,
        dtype=dtype,
        zero_point=int(rng.choice([low, low, 0, int(rng.integers(low, high + 1))])),
        tile_rows=tile_rows,
        tile_cols=min(most, int(rng.choice([width, tile_cols]))),
        transform=transform,
        coder=Coder.RANS,
        step=round(64 * 2 ** rng.uniform(0, 9.9)) if rng.random() < 0.8 else 64,
    )
    weights = (0, 0, 0)
    if transform == Transform.BYPASS:
        weights = tuple(int(w) for w in rng.choice([0, 7, 15, int(rng.integers(16))], 3))
    diffusion = Diffusion(int(rng.choice([0, 128, 255, int(rng.integers(256))])), *weights)
    kind = str(rng.choice(KINDS))
    return Case(f"seed {seed}, {kind}", config, value_map(config, kind, rng)), diffusion


def with_tables(case: Case, diffusion: Diffusion, seed: int) -> Case:
    """The case with random tables."""
    tables = random_tables(case.config.transform, random.Random(seed))
    config = replace(case.config, tables=tables.id)
    return replace(case, config=config, coding=Coding(tables, diffusion))
