"""Feature maps, and what encoder and decoder must make of them, for the tests of the gateware."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from amaranth.hdl import Value
from tests.stream_bench import Transfer, transfer

from fmzip.codings import AnyCoding
from fmzip.format import (
    BLOCK,
    POSITION_SIDE,
    Coder,
    Dtype,
    FrameConfig,
    TileMode,
    multiplier,
    rans_multiplier,
    round_up,
)
from fmzip.reference import decode, encode, parse_head


@dataclass(frozen=True)
class Case:
    """A feature map with its configuration and a name for messages; ``coding`` with coder RANS."""

    name: str
    config: FrameConfig
    values: np.ndarray
    coding: AnyCoding | None = None

    def __str__(self) -> str:
        return f"{self.name}, {self.config}"


def value_map(config: FrameConfig, kind: str, rng: np.random.Generator) -> np.ndarray:
    """A feature map of the given kind: random, sparse, smooth, zero, max, blob or mixed."""
    shape = (config.channels, config.height, config.width)
    low, high = config.value_range
    dtype = np.int8 if config.dtype == Dtype.INT8 else np.uint8
    if kind == "zero":
        return np.full(shape, config.zero_point, dtype)
    if kind == "max":
        return np.full(shape, high, dtype)
    if kind == "random":
        return rng.integers(low, high + 1, shape).astype(dtype)
    if kind == "mixed":  # some tiles coded, some raw, some empty
        out = np.empty(shape, dtype)
        for tile in config.iter_tiles():
            part = np.s_[:, tile.row : tile.row + tile.rows, tile.col : tile.col + tile.cols]
            out[part] = value_map(config, str(rng.choice(["random", "sparse", "zero"])), rng)[part]
        return out
    spread = {"sparse": 12, "smooth": 25, "blob": 60}[kind]
    noise = rng.normal(0, spread, shape)
    if kind == "smooth":
        noise = np.cumsum(noise, axis=0) / 2
    values = config.zero_point + noise
    if kind == "sparse":
        values = np.where(rng.random(shape) < 0.7, config.zero_point, values)
    return values.clip(low, high).round().astype(dtype)


KINDS = ("random", "sparse", "smooth", "zero", "max", "blob", "mixed")


def random_case(seed: int, blocks: int = 60) -> Case:
    """A case with everything drawn at random; about ``blocks`` blocks at most."""
    rng = np.random.default_rng(seed)
    channels = int(rng.choice([1, 3, 7, 8, 9, 12, 16, 21, 33]))
    per_pixel = -(-channels // BLOCK)
    height = int(rng.integers(1, 8))
    width = int(rng.integers(1, max(2, blocks // per_pixel // height + 1)))
    dtype = Dtype(int(rng.integers(2)))
    low, high = (-128, 127) if dtype == Dtype.INT8 else (0, 255)
    config = FrameConfig(
        channels,
        height,
        width,
        dtype=dtype,
        zero_point=int(rng.choice([low, 0, int(rng.integers(low, high + 1))])),
        tile_rows=int(rng.integers(1, height + 1)),
        tile_cols=int(rng.choice([width, int(rng.integers(1, width + 1))])),
        burst_log2=int(rng.integers(3, 9)),
        coder=Coder(int(rng.integers(1, 3))),
        zero_bitmap=bool(rng.integers(2)),
        keep=int(rng.choice([0xFF, 0x01, 0x80, int(rng.integers(1, 256))])),
        step=round(128 * 2 ** rng.uniform(0, 9)) if rng.random() < 0.8 else 128,
    )
    kind = KINDS[int(rng.integers(len(KINDS)))]
    return Case(f"seed {seed}, {kind}", config, value_map(config, kind, rng))


def wire_pixels(config: FrameConfig) -> Iterator[tuple[int, int]]:
    """Row and column of each pixel in wire order: position by position, if those have several.

    Pixels that are missing from a position are there, too, with rows and columns of the map.
    """
    side = POSITION_SIDE.get(config.transform, 1)
    for tile in config.iter_tiles():
        for top in range(tile.row, tile.row + tile.rows, side):
            for left in range(tile.col, tile.col + tile.cols, side):
                for row in range(top, top + side):
                    for col in range(left, left + side):
                        yield min(row, config.height - 1), min(col, config.width - 1)


def wire_blocks(case: Case) -> Iterator[list[int]]:
    """The values of each block in wire order, as bytes; fewer than 8 in a partial block."""
    for row, col in wire_pixels(case.config):
        for first in range(0, case.config.channels, BLOCK):
            block = case.values[first : first + BLOCK, row, col]
            yield [int(v) & 0xFF for v in block]


def wire_beats(case: Case, lanes: int) -> list[list[int]]:
    """The values of each beat in wire order, as bytes."""
    return [
        block[k : k + lanes] for block in wire_blocks(case) for k in range(0, len(block), lanes)
    ]


def tile_pixels(config: FrameConfig) -> list[int]:
    """Pixels of each tile, as many as its positions have."""
    side = POSITION_SIDE.get(config.transform, 1)
    return [round_up(t.rows, side) * round_up(t.cols, side) for t in config.iter_tiles()]


def tile_beats(config: FrameConfig, lanes: int) -> list[int]:
    """Beats of each tile."""
    per_pixel = sum(
        -(-min(BLOCK, config.channels - k) // lanes) for k in range(0, config.channels, BLOCK)
    )
    return [pixels * per_pixel for pixels in tile_pixels(config)]


def frame_words(case: Case, lanes: int, frame: bytes | None = None) -> list[int]:
    """The words of the tiles as payloads: data, last, raw, by default the reference."""
    frame = encode(case.values, case.config) if frame is None else frame
    head = parse_head(frame)
    words = []
    for start, stop, mode in zip(
        head.offsets[:-1].tolist(), head.offsets[1:].tolist(), head.modes.tolist(), strict=True
    ):
        tile = frame[case.config.head_bytes + start : case.config.head_bytes + stop]
        for k in range(0, len(tile), lanes):
            last = k + lanes == len(tile)
            word = int.from_bytes(tile[k : k + lanes], "little")
            words.append(word | last << 8 * lanes | (mode == TileMode.RAW) << 8 * lanes + 1)
    return words


def decoded(case: Case) -> Case:
    """The case with the values that a decoder gets back."""
    return Case(case.name, case.config, decode(encode(case.values, case.config)))


def expected_beats(case: Case, lanes: int) -> list[int]:
    """The decoder's beats as payloads: data, keep, last; lanes without a channel hold 0."""
    ends = set(np.cumsum(tile_beats(case.config, lanes)) - 1)
    payloads = []
    for n, beat in enumerate(wire_beats(decoded(case), lanes)):
        data = int.from_bytes(bytes(beat), "little")
        keep = (1 << len(beat)) - 1
        payloads.append(data | keep << 8 * lanes | (n in ends) << 9 * lanes)
    return payloads


def beat_payloads(case: Case, lanes: int) -> list[int]:
    """The encoder's input; lanes without a channel hold noise, which must not matter."""
    noise = np.random.default_rng(1).bytes(lanes)
    return [
        int.from_bytes(bytes(beat) + noise[len(beat) :], "little")
        for beat in wire_beats(case, lanes)
    ]


def assert_same(got: list[int], expected: list[int], case: Case, lanes: int, what: str) -> None:
    """Compare payloads; the message says frame, tile, block or word, and lane."""
    for n, (a, b) in enumerate(zip(got, expected, strict=True)):
        if a == b:
            continue
        flags = " and flags" if (a ^ b) >> 8 * lanes else ""
        bad = [k for k in range(lanes) if ((a ^ b) >> 8 * k) & 0xFF]
        place = f"word {n}"
        if what == "beat":
            sizes = tile_beats(case.config, lanes)
            ends = np.cumsum(sizes)
            tile = int(np.searchsorted(ends, n, side="right"))
            in_tile = n - int(ends[tile]) + sizes[tile]
            per_pixel = sizes[tile] // tile_pixels(case.config)[tile]
            pixel, beat = divmod(in_tile, per_pixel)
            place = f"tile {tile}, pixel {pixel}, block {beat * lanes // BLOCK}, beat {beat}"
        else:
            last = 8 * lanes
            place = f"tile {sum(w >> last & 1 for w in expected[:n])}, word {n}"
        raise AssertionError(f"{case}: {place}, lanes {bad}{flags}: {a:#x}, not {b:#x}")


async def begin(ctx: Any, dut: Any, config: FrameConfig) -> None:
    """Start a frame."""
    ctx.set(Value.cast(dut.head), int.from_bytes(config.static_head(), "little"))
    if hasattr(dut, "multiplier"):
        rans = rans_multiplier(config.step, config.transform)
        ctx.set(dut.multiplier, rans if config.rans else multiplier(config.step))
    ctx.set(dut.start, 1)
    await ctx.tick()
    ctx.set(dut.start, 0)


async def check_encoder(ctx: Any, dut: Any, case: Case, **options: Any) -> Transfer:
    """Code a frame and compare it with the reference; also which lanes the encoder takes."""
    words = frame_words(case, dut.lanes)
    await begin(ctx, dut, case.config)
    inputs = beat_payloads(case, dut.lanes)
    seen = await transfer(ctx, dut, inputs, len(words), watch=dut.take, **options)
    assert_same(seen.taken, words, case, dut.lanes, "word")
    assert seen.watched == [len(beat) for beat in wire_beats(case, dut.lanes)], f"{case}: take"
    assert ctx.get(dut.done), f"{case}: done"
    return seen


async def check_decoder(ctx: Any, dut: Any, case: Case, **options: Any) -> Transfer:
    """Decode a frame and compare it with the reference."""
    beats = expected_beats(case, dut.lanes)
    await begin(ctx, dut, case.config)
    seen = await transfer(ctx, dut, frame_words(case, dut.lanes), len(beats), **options)
    lanes = dut.lanes
    # What lanes without a channel carry is not defined.
    taken = []
    for payload in seen.taken:
        keep = payload >> 8 * lanes & (1 << lanes) - 1
        mask = sum(0xFF << 8 * k for k in range(lanes) if keep >> k & 1)
        taken.append(payload & (mask | ~((1 << 8 * lanes) - 1)))
    assert_same(taken, beats, case, lanes, "beat")
    return seen


async def abandon(
    ctx: Any, dut: Any, case: Case, reset: Value, inputs: list[int], cycles: int
) -> None:
    """Begin a frame, and reset everything some cycles later."""
    await begin(ctx, dut, case.config)
    source, ready = iter(inputs), True
    ctx.set(dut.o.ready, 1)
    for _ in range(cycles):
        if ready:
            payload = next(source, None)
            ctx.set(dut.i.valid, payload is not None)
            if payload is not None:
                ctx.set(Value.cast(dut.i.payload), payload)
        _, _, ready = await ctx.tick().sample(dut.i.ready)
    ctx.set(dut.i.valid, 0)
    ctx.set(reset, 1)
    await ctx.tick()
    ctx.set(reset, 0)
