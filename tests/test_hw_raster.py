"""The buffers between raster order and wire order, against the walk over tiles and pixels."""

import random

import numpy as np
import pytest
from tests.codec_bench import begin
from tests.rans_bench import rans_config
from tests.stream_bench import Transfer, simulate, transfer

from fmzip.format import FrameConfig, Transform, ceil_div
from fmzip_hw.raster import RasterToWire, WireToRaster
from fmzip_sim.ip.frames import raster_beats

CONFIGS = [
    FrameConfig(1, 1, 1),
    FrameConfig(8, 3, 4, tile_rows=2, tile_cols=4),
    FrameConfig(20, 5, 7, tile_rows=2, tile_cols=3),
    FrameConfig(9, 4, 6, tile_rows=4, tile_cols=1),
    rans_config(Transform.WHT4, 16, 5, 7, 2, 4),
    rans_config(Transform.WHT4, 3, 2, 3, 2, 2),
    rans_config(Transform.WHT4, 8, 7, 12, 4, 12),
    rans_config(Transform.WHT4, 1, 1, 1, 1, 1),
]


def values_of(config: FrameConfig) -> np.ndarray:
    rng = np.random.default_rng(config.channels)
    shape = (config.channels, config.height, config.width)
    return rng.integers(0, 256, shape, dtype=np.uint8)


def raster_of(values: np.ndarray, lanes: int) -> list[int]:
    pixels = values.transpose(1, 2, 0)
    pixels = np.pad(pixels, ((0, 0), (0, 0), (0, -values.shape[0] % lanes)))
    return beats_of(pixels.tobytes(), lanes)


def beats_of(data: bytes, lanes: int) -> list[int]:
    return [int.from_bytes(data[k : k + lanes], "little") for k in range(0, len(data), lanes)]


def kept(beats: list[int], config: FrameConfig, lanes: int, *, last: bool) -> list[int]:
    """As payloads of beat_layout."""
    per_pixel = ceil_div(config.channels, lanes)
    out = []
    for n, beat in enumerate(beats):
        keep = (1 << min(lanes, config.channels - n % per_pixel * lanes)) - 1
        ends = last and n == len(beats) - 1
        out.append(beat | keep << 8 * lanes | ends << 9 * lanes)
    return out


def move(
    dut: RasterToWire | WireToRaster,
    config: FrameConfig,
    given: list[int],
    count: int,
    **stalls: str,
) -> list[Transfer]:
    """Two frames of one configuration, one behind the other."""
    seen = []

    async def bench(ctx):
        for _ in range(2):
            await begin(ctx, dut, config)
            seen.append(await transfer(ctx, dut, given, count, quiet=20, **stalls))

    simulate(dut, bench)
    return seen


@pytest.mark.parametrize("lanes", [8, 2])
@pytest.mark.parametrize("config", CONFIGS)
def test_raster_and_wire(config: FrameConfig, lanes: int) -> None:
    values = values_of(config)
    raster, wire = raster_of(values, lanes), beats_of(raster_beats(values, config, lanes), lanes)
    stalls = random.Random(config.width).choice([{}, {"feed": "random", "drain": "random"}])
    for seen in move(RasterToWire(lanes, 512), config, raster, len(wire), **stalls):
        assert seen.taken == wire
    for seen in move(
        WireToRaster(lanes, 512),
        config,
        kept(wire, config, lanes, last=True),
        len(raster),
        **stalls,
    ):
        assert seen.taken == kept(raster, config, lanes, last=True)


@pytest.mark.parametrize("transform", [Transform.BYPASS, Transform.WHT4])
def test_a_beat_moves_in_every_cycle(transform: Transform) -> None:
    config = rans_config(transform, 16, 32, 12, 2, 6)
    values = values_of(config)
    raster, wire = raster_of(values, 8), beats_of(raster_beats(values, config, 8), 8)
    back = kept(wire, config, 8, last=True)
    for dut, given, count in (
        (RasterToWire(8, 128), raster, len(wire)),
        (WireToRaster(8, 128), back, len(raster)),
    ):
        (seen, _) = move(dut, config, given, count)
        assert seen.fed_at[-1] - seen.fed_at[0] + 1 == len(given)
        assert seen.taken_at[-1] - seen.taken_at[0] + 1 == count
