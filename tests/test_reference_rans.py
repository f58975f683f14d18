"""The coder RANS of the reference: round trips, bounds, kernels, and what it refuses."""

import hashlib
import json
import os
import re
import subprocess
import sys
import tracemalloc
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.rans_cases import (
    SEEDS,
    Case,
    cases,
    fitting_tables,
    map_of,
    random_tables,
    rans_config,
    statistic,
)

from fmzip import format as fmt
from fmzip.errors import FormatError
from fmzip.format import (
    POSITION_SIDE,
    RANS_STEP_PER_LSB,
    RANS_TRANSFORMS,
    STATE_SETS,
    Coder,
    Dtype,
    FrameConfig,
    TileMode,
    Transform,
)
from fmzip.reference import decode, encode, parse_head, planes, rans, ransframe
from fmzip.tables import Coding, Diffusion, Tables, parse_tables

ROOT = Path(__file__).parents[1]
GOLDEN = sorted((ROOT / "tests" / "golden" / "v2").glob("*.json"))
EXACT = (Transform.BYPASS, Transform.NIBBLES)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(cases(side=14, channels=30))
def test_numbers_come_back_from_the_frame(case: Case) -> None:
    config = case.config
    frame = encode(case.values, config, case.coding)
    found = decode(frame, case.coding.tables)
    assert found.dtype == case.values.dtype
    assert found.flags.c_contiguous
    assert found.flags.writeable
    model = rans.model_of(case.coding.tables)
    for tile in config.iter_tiles():
        z = ransframe.numbers(case.values, config, case.coding, tile)
        slots = planes.to_slots(z, config)
        assert (planes.from_slots(slots, config, *z.shape[2:]) == z).all()
        expected = planes.values_of(z, config, tile)
        part = np.s_[:, tile.row : tile.row + tile.rows, tile.col : tile.col + tile.cols]
        assert (found[part] == expected).all()
        tokens, _ = ransframe.tokens(z, config, model)
        states, data = rans.encode(tokens, model)
        layout = rans.layout_of(config, z.shape[3])
        again, used = rans.decode(len(slots), layout, model, states, data, tokens.escapes)
        assert (again == slots).all()
        assert used == len(data)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.sampled_from(EXACT).flatmap(lambda t: cases(side=12, transform=t, step=64)))
def test_a_step_of_one_lsb_is_lossless_without_a_spatial_transform(case: Case) -> None:
    offsets = case.values.astype(int) - case.config.zero_point
    assume(case.config.unipolar or (offsets.min() >= -128 and offsets.max() <= 127))
    frame = encode(case.values, case.config, Coding(case.coding.tables))
    assert (decode(frame, case.coding.tables) == case.values).all()


@settings(max_examples=100, deadline=None, derandomize=True)
@given(cases(side=12))
def test_no_value_is_farther_off_than_the_step_allows(case: Case) -> None:
    config = case.config
    wht4 = config.transform == Transform.WHT4
    half = config.step / RANS_STEP_PER_LSB / 2
    numbers = [
        ransframe.numbers(case.values, config, Coding(case.coding.tables), tile)
        for tile in config.iter_tiles()
    ]
    assume(all(z.max() < 254 for z in numbers))  # not clamped
    frame = encode(case.values, config, Coding(case.coding.tables))
    error = np.abs(decode(frame, case.coding.tables).astype(int) - case.values.astype(int))
    # Four coefficients of WHT4, each off by half a step, and each half a value's.
    assert error.max() <= (2 * half if wht4 else half) * 1.01 + 1


@settings(max_examples=200, deadline=None, derandomize=True)
@given(cases(side=14, channels=30))
def test_no_tile_is_larger_than_a_raw_one(case: Case) -> None:
    frame = encode(case.values, case.config, case.coding)
    head = parse_head(frame)
    assert len(frame) <= case.config.max_bytes
    assert len(frame) % case.config.burst_bytes == 0
    for tile, size in zip(case.config.iter_tiles(), np.diff(head.offsets), strict=True):
        raw = case.config.raw_bytes(tile.rows, tile.cols)
        assert size <= fmt.round_up(raw, case.config.burst_bytes)


@pytest.mark.parametrize("transform", RANS_TRANSFORMS)
@pytest.mark.parametrize("dtype", list(Dtype))
def test_noise_grows_by_its_head_alone(dtype: Dtype, transform: Transform) -> None:
    tables = fitting_tables(transform)
    tile = fmt.default_rans_tile(64, 32, 16, transform)
    base = rans_config(
        transform, 64, 32, 16, dtype, tables=tables, tile_rows=tile[0], tile_cols=tile[1], step=64
    )
    config = replace(base, zero_point=base.value_range[0])
    shape = (64, 32, 16)
    rng = np.random.default_rng(2)
    values = rng.integers(*config.value_range, shape, config.dtype.name.lower(), endpoint=True)
    frame = encode(values, config, Coding(tables))
    assert (parse_head(frame).modes == TileMode.RAW).all()
    assert len(frame) == config.max_bytes <= 1.01 * values.size
    if transform in EXACT:
        assert (decode(frame, tables) == values).all()


def mutate_frequencies(rng: np.random.Generator, of: np.ndarray) -> np.ndarray:
    """Move some of the frequency of one token to another, the limit staying what it is."""
    of = of.copy()
    used = np.flatnonzero(of)
    giver, taker = rng.choice(used, 2)
    moved = int(rng.integers(0, of[giver]))
    of[giver] -= moved
    of[taker] += moved
    return of if of.max() < 256 else mutate_frequencies(rng, of)


@pytest.mark.parametrize("seed", range(4))
def test_climbing_towards_the_largest_coded_tile_does_not_reach_its_price(seed: int) -> None:
    """Tables and symbols change where that makes more bytes of what the tokens are worth."""
    rng = np.random.default_rng(seed)
    slots = 1000
    config = FrameConfig(
        8, 1, slots, transform=Transform.BYPASS, coder=Coder.RANS, step=64, tile_cols=slots
    )
    layout = rans.layout_of(config, slots)
    of = np.frombuffer(statistic(rng, 30, 0.9), np.uint8).astype(np.int64)
    period = rng.integers(0, 31, (2, 1))
    best = 0.0
    for _ in range(400):
        new_of, new_period = of, period.copy()
        if rng.random() < 0.5:
            new_of = mutate_frequencies(rng, of)
        else:
            new_period[rng.integers(2)] = rng.integers(0, 31)
        model = rans.model_of(Tables(bytes(512), new_of.astype(np.uint8).tobytes()))
        turns = np.repeat(new_period, STATE_SETS, axis=1)  # in each state
        symbols = np.repeat(np.resize(turns.astype(np.uint8), slots)[:, None], 8, axis=1)
        found = rans.tokens_of(symbols, layout, model)
        states, data = rans.encode(found, model)
        assert len(data) + 2 * states.size + 8 <= found.price_bytes
        worth = (8 - np.log2(new_of[found.tokens])).sum() / 8
        if len(data) / worth >= best:
            best, of, period = len(data) / worth, new_of, new_period
    assert best > 1.01  # it does climb


def uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the kernels as what they are written in."""
    for module in (planes, rans):
        for name, kernel in vars(module).copy().items():
            if hasattr(kernel, "py_func"):
                monkeypatch.setattr(module, name, kernel.py_func)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(cases(side=6))
def test_compiled_kernels_equal_their_definition(case: Case) -> None:
    def both() -> tuple[bytes, list[Any]]:
        frame = encode(case.values, case.config, case.coding)
        return frame, decode(frame, case.coding.tables).tolist()

    compiled = both()
    with pytest.MonkeyPatch.context() as monkeypatch:
        uncompiled(monkeypatch)
        assert not hasattr(rans._encode, "py_func")
        assert both() == compiled


SCRIPT = """
import hashlib, sys
sys.modules["numba"] = None
import numpy as np
from fmzip.format import Transform
from fmzip.reference import decode, encode, rans
from fmzip.tables import Coding, Diffusion
from tests.rans_cases import fitting_tables, map_of, rans_config
assert not hasattr(rans._encode, "py_func")
for transform in (Transform.BYPASS, Transform.NIBBLES, Transform.WHT4):
    tables = fitting_tables(transform)
    config = rans_config(transform, 24, 12, 8, tables=tables, tile_rows=12, tile_cols=8, step=64)
    weights = (7, 5, 1) if transform == Transform.BYPASS else ()
    values = map_of(config, 1, 3.0)
    frame = encode(values, config, Coding(tables, Diffusion(128, *weights)))
    print(hashlib.sha256(frame + decode(frame, tables).tobytes()).hexdigest())
"""


def test_everything_works_without_numba() -> None:
    found = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT],
        capture_output=True, text=True, check=True, cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, sys.path))},
    )  # fmt: skip
    expected = []
    for transform in RANS_TRANSFORMS:
        tables = fitting_tables(transform)
        config = rans_config(
            transform, 24, 12, 8, tables=tables, tile_rows=12, tile_cols=8, step=64
        )
        weights = (7, 5, 1) if transform == Transform.BYPASS else ()
        values = map_of(config, 1, 3.0)
        frame = encode(values, config, Coding(tables, Diffusion(128, *weights)))
        assert parse_head(frame).modes.tolist() == [TileMode.CODED]
        expected.append(hashlib.sha256(frame + decode(frame, tables).tobytes()).hexdigest())
    assert found.stdout.split() == expected


def test_errors_do_not_cross_tiles_or_channels() -> None:
    tables = fitting_tables(Transform.BYPASS)
    config = rans_config(
        Transform.BYPASS, 8, 8, 8, tables=tables, tile_rows=8, tile_cols=8, step=500
    )
    coding = Coding(tables, Diffusion(128, 7, 5, 1))
    values = map_of(config, 5, 20.0)
    found = decode(encode(values, config, coding), tables)
    for part in (np.s_[:4], np.s_[:, :4], np.s_[:, :, :4]):
        piece = values[part]
        own = replace(config, channels=piece.shape[0], height=piece.shape[1], width=piece.shape[2],
                      tile_rows=piece.shape[1], tile_cols=piece.shape[2])  # fmt: skip
        assert (decode(encode(piece, own, coding), tables) == found[part]).all()


def test_diffusion_keeps_the_mean_of_a_flat_map() -> None:
    tables = fitting_tables(Transform.BYPASS)
    config = rans_config(
        Transform.BYPASS, 8, 32, 32, tables=tables, tile_rows=32, tile_cols=32, step=640
    )
    values = np.full((8, 32, 32), 13, np.uint8)
    plain = decode(encode(values, config, Coding(tables)), tables)
    spread = decode(encode(values, config, Coding(tables, Diffusion(128, 8, 8, 0))), tables)
    assert (plain == 10).all()
    assert spread.mean() == pytest.approx(13, abs=0.2)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.integers(1, 2048),
    st.integers(1, 3000),
    st.integers(1, 3000),
    st.sampled_from(RANS_TRANSFORMS),
    st.sampled_from([fmt.TILE_SLOTS_MAX, 3840]),
)
def test_default_tiles_fit_the_map_and_the_buffers_of_the_gateware(
    channels: int, height: int, width: int, transform: Transform, most: int
) -> None:
    rows, cols = fmt.default_rans_tile(channels, height, width, transform, most)
    tables = Tables(bytes(512 * fmt.PLANES[transform]), statistic(np.random.default_rng(0), 3, 0.5))
    config = rans_config(
        transform, channels, height, width, tables=tables, tile_rows=rows, tile_cols=cols, step=64
    )
    side = POSITION_SIDE[transform]
    slots = fmt.PLANES[transform] * config.blocks_per_pixel
    down, across = fmt.ceil_div(rows, side), fmt.ceil_div(cols, side)
    assert slots * across <= max(fmt.ROW_SLOTS_MAX, slots)
    assert slots * across * down <= max(most, slots)
    # Neither a column nor a row more would have fitted, but for making tiles of equal size.
    if cols < width:
        assert slots * fmt.ceil_div(width, side) > fmt.ROW_SLOTS_MAX
    if rows < height:
        assert slots * across * fmt.ceil_div(height, side) > most
    assert config.tiles >= 1


def test_memory_for_a_large_map_is_a_small_multiple_of_the_map() -> None:
    tables = fitting_tables(Transform.WHT4)
    config = rans_config(
        Transform.WHT4, 64, 128, 128, tables=tables, tile_rows=14, tile_cols=128, step=128
    )
    values = map_of(config, 6, 5)
    encode(values, config, Coding(tables))  # imports, kernels and tables
    tracemalloc.start()
    try:
        decode(encode(values, config, Coding(tables)), tables)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= 12 * values.size


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"transform": Transform.DCT8}, "coder rans does not take transform dct8"),
        ({"coder": Coder.WIDTH, "tables": 0}, "coder width does not take transform wht4"),
        ({"zero_bitmap": True}, "coder rans has no zero bitmap"),
        ({"keep": 0x7F}, "keep must be 255 to 255, not 127"),
        ({"step": 63}, "step must be 64 to 65535, not 63"),
        ({"tables": 65536}, "tables must be 0 to 65535, not 65536"),
        ({"tile_rows": 3}, "tile_rows must be even with transform wht4, not 3"),
        ({"tile_cols": 1}, "tile_cols must be even with transform wht4, not 1"),
    ],
)
def test_a_configuration_of_the_coder_that_cannot_be_is_refused(
    given: dict[str, Any], says: str
) -> None:
    config = rans_config(
        Transform.WHT4, 8, 6, 6, tables=fitting_tables(Transform.WHT4), tile_rows=2, tile_cols=4
    )
    with pytest.raises(ValueError, match=f"^{re.escape(says)}$"):
        replace(config, **given)


GOOD = bytes([200] + [5] * 9 + [1] * 3 + [0] * 18 + [8])


@pytest.mark.parametrize(
    ("contexts", "frequencies", "says"),
    [
        (bytes(511), GOOD, "tables: 511 contexts, expected 512, 1024 or 2048"),
        (b"", GOOD, "tables: 0 contexts, expected 512, 1024 or 2048"),
        (bytes(1536), GOOD, "tables: 1536 contexts, expected 512, 1024 or 2048"),
        (bytes(512), b"", "tables: 0 frequencies, expected 32 for each of 1 to 32 statistics"),
        (bytes(512), GOOD[:-1], "tables: 31 frequencies, expected 32 for each of 1 to 32 statis"),
        (bytes(512), 33 * GOOD, "tables: 1056 frequencies, expected 32 for each of 1 to 32 statis"),
        (bytes([0] * 511 + [1]), GOOD, "tables: a context has statistic 1, there are 1"),
        (bytes(512), b"\xc7" + GOOD[1:], "tables: frequencies of statistic 0 add up to 255"),
        (bytes(512), GOOD + bytes(32), "tables: frequencies of statistic 1 add up to 0"),
        (bytes(512), bytes([208]) + GOOD[1:31] + b"\0", "tables: statistic 0 has a frequency of 0"),
        (bytes(512), bytes([199, 0, 6]) + GOOD[2:3] * 8 + bytes([2, 1]) + bytes(18) + b"\x08",
         "tables: statistic 0 has a frequency of 0 below its limit"),
        (bytes(512), bytes([0, 205]) + GOOD[2:], "tables: statistic 0 has a frequency of 0"),
        (bytes(512), bytes(31) + b"\xff", "tables: frequencies of statistic 0 add up to 255"),
    ],
)  # fmt: skip
def test_tables_that_cannot_be_are_refused(contexts: bytes, frequencies: bytes, says: str) -> None:
    Tables(bytes(512), GOOD)
    with pytest.raises(FormatError, match=f"^{re.escape(says)}"):
        Tables(contexts, frequencies)


@pytest.mark.parametrize("transform", RANS_TRANSFORMS)
def test_tables_come_back_from_their_bytes(transform: Transform) -> None:
    for seed in range(20):
        tables = random_tables(np.random.default_rng(seed), transform)
        data = tables.to_bytes()
        assert parse_tables(data, fmt.PLANES[transform]) == tables
        assert parse_tables(bytearray(data), fmt.PLANES[transform]) == tables  # type: ignore[arg-type]
    with pytest.raises(FormatError, match=r"^tables: 100 bytes, \d planes have"):
        parse_tables(data[:100], fmt.PLANES[transform])
    with pytest.raises(FormatError, match=r"^tables: 0 frequencies"):
        parse_tables(data[: 512 * fmt.PLANES[transform]], fmt.PLANES[transform])


@pytest.mark.parametrize("name", ["rounding", "left", "above", "corner"])
def test_a_diffusion_out_of_range_is_refused(name: str) -> None:
    limit = 255 if name == "rounding" else 15
    for value in (-1, limit + 1):
        with pytest.raises(ValueError, match=f"^{name} must be 0 to {limit}, not {value}$"):
            Diffusion(**{name: value})
    for wrong in (1.0, "1", None):
        with pytest.raises(TypeError, match=f"^{name} must be an integer, not "):
            Diffusion(**{name: wrong})  # type: ignore[arg-type]


def test_wrong_and_missing_tables_are_named() -> None:
    tables, other = (random_tables(np.random.default_rng(s), Transform.BYPASS) for s in (1, 2))
    config = rans_config(Transform.BYPASS, 8, 4, 4, tables=tables, step=64)
    values = map_of(config, 1, 3)
    frame = encode(values, config, Coding(tables))
    wrong_id = f"tables have the id {other.id:#06x}, the frame's is {tables.id:#06x}"
    with pytest.raises(ValueError, match=r"^coder rans needs tables$"):
        encode(values, config)
    with pytest.raises(ValueError, match=f"^{wrong_id}$"):
        encode(values, config, Coding(other))
    with pytest.raises(ValueError, match=f"^the frame needs the tables {tables.id:#06x}$"):
        decode(frame)
    with pytest.raises(ValueError, match=f"^{wrong_id}$"):
        decode(frame, other)
    planes_differ = "tables are for 4 planes, transform bypass has 1"
    with pytest.raises(ValueError, match=f"^{planes_differ}$"):
        decode(frame, fitting_tables(Transform.WHT4))
    with pytest.raises(ValueError, match=f"^{planes_differ}$"):
        encode(values, config, Coding(fitting_tables(Transform.WHT4)))


@pytest.mark.parametrize("transform", [Transform.NIBBLES, Transform.WHT4])
def test_errors_are_diffused_with_bypass_only(transform: Transform) -> None:
    tables = fitting_tables(transform)
    config = rans_config(transform, 8, 4, 4, tables=tables, tile_rows=4, tile_cols=4)
    with pytest.raises(ValueError, match=r"^errors are diffused with transform bypass only$"):
        encode(np.zeros((8, 4, 4), np.uint8), config, Coding(tables, Diffusion(corner=1)))


@settings(max_examples=30, deadline=None, derandomize=True)
@given(SEEDS)
def test_arrays_in_any_memory_order_are_coded_alike(seed: int) -> None:
    tables = fitting_tables(Transform.WHT4)
    config = rans_config(Transform.WHT4, 12, 7, 9, tables=tables, tile_rows=2, tile_cols=9, step=90)
    values = map_of(config, seed, 5)
    frame = encode(values, config, Coding(tables))
    read_only = values.copy()
    read_only.flags.writeable = False
    for same in (np.asfortranarray(values), values[::-1].copy()[::-1], read_only):
        assert encode(same, config, Coding(tables)) == frame


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden_vectors_are_encoded_and_decoded_as_ever(path: Path) -> None:
    vector = json.loads(path.read_text(encoding="utf-8"))
    config = FrameConfig(**vector["config"])
    # Vectors are never edited: one that is older than a field has its default.
    assert json.loads(json.dumps(asdict(config))).items() >= vector["config"].items()
    tables = parse_tables(bytes.fromhex(vector["tables"]), config.planes)
    coding = Coding(tables, Diffusion(**vector["diffusion"]))
    shape = (config.channels, config.height, config.width)
    dtype = np.dtype(config.dtype.name.lower())
    values = np.array(vector["values"], dtype).reshape(shape)
    frame = bytes.fromhex(vector["frame"])
    assert encode(values, config, coding) == frame
    assert parse_head(frame).config == config
    found = decode(frame, tables)
    assert found.dtype == dtype
    assert found.shape == shape
    assert found.ravel().tolist() == vector["decoded"]


def test_there_are_golden_vectors_of_all_transforms_modes_and_dtypes() -> None:
    heads = [parse_head(bytes.fromhex(json.loads(p.read_text())["frame"])) for p in GOLDEN]
    modes = {(h.config.transform, TileMode(int(m))) for h in heads for m in h.modes}
    assert modes == {(t, m) for t in RANS_TRANSFORMS for m in TileMode}
    dtypes = {(h.config.transform, h.config.dtype) for h in heads}
    assert dtypes == {(t, d) for t in RANS_TRANSFORMS for d in Dtype}
    assert all(p.stat().st_size < 16384 for p in GOLDEN)
