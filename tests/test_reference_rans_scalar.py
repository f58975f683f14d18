"""The coder RANS against a second reading of docs/format.md, section 10: plain integers, in order.

The codec below is written from the text alone, its numbers included, so that a slip in
``fmzip.format``, ``fmzip.tables`` or the reference cannot hide in both.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, log2
from zlib import crc32

import numpy as np
import pytest
from hypothesis import event, given, settings
from tests.rans_cases import Case, cases, fitting_tables, map_of, rans_config, statistic

from fmzip.format import RANS_TRANSFORMS, STATE_SETS, TileMode, Transform
from fmzip.reference import decode, encode, parse_head, rans, ransframe
from fmzip.tables import Coding, Diffusion, Tables

BYPASS, NIBBLES, WHT4 = 2, 3, 4
CLASS_OF = [0, 1, 2, 3, 4, 4, 5, 5, 5, *[6] * 6, *[7] * 300]

Values = list[list[list[int]]]  # [C, H, W]


def padded(data: bytes, multiple: int) -> bytes:
    return data + bytes(-len(data) % multiple)


@dataclass
class Scalar:
    """A frame's configuration and its tables."""

    dtype: int
    zero_point: int
    burst: int
    channels: int
    height: int
    width: int
    tile_rows: int
    tile_cols: int
    transform: int
    step: int
    tables: bytes

    @property
    def low(self) -> int:
        return -128 if self.dtype else 0

    @property
    def unipolar(self) -> bool:
        return self.zero_point == self.low

    @property
    def side(self) -> int:
        return 2 if self.transform == WHT4 else 1

    @property
    def coefficients(self) -> int:
        return 4 if self.transform == WHT4 else 1

    @property
    def planes(self) -> int:
        return {BYPASS: 1, NIBBLES: 2, WHT4: 4}[self.transform]

    @property
    def groups(self) -> int:
        return ceil(self.channels / 8)

    def tiles(self) -> Iterator[tuple[int, int, int, int]]:
        """First row and column of each tile, and its size in positions."""
        for top in range(0, self.height, self.tile_rows):
            for left in range(0, self.width, self.tile_cols):
                rows = min(self.tile_rows, self.height - top)
                cols = min(self.tile_cols, self.width - left)
                yield top, left, ceil(rows / self.side), ceil(cols / self.side)

    def unsigned(self, coefficient: int) -> bool:
        return self.unipolar and coefficient == 0

    def statistic_of(self, context: int) -> list[int]:
        """Frequencies that the tables have for a context."""
        number = self.tables[context]
        start = 512 * self.planes + 32 * number
        return list(self.tables[start : start + 32])


def limit_of(f: list[int]) -> int:
    return max(u for u in range(31) if f[u])


# Symbols of a tile by plane, channel (whole groups of 8), row and column of the position.
Symbols = dict[tuple[int, int, int, int], int]


def numbers_of_tile(
    values: Values, s: Scalar, tile: tuple[int, int, int, int], diffusion: Diffusion
) -> Symbols:
    """Numbers z, 10.2, by coefficient, channel, row, column."""
    top, left, rows, cols = tile
    out = {}
    numerator = 2**21 if s.transform == WHT4 else 2**22
    multiplier = (numerator + s.step // 2) // s.step
    for c in range(8 * s.groups):
        errors = {}
        for y in range(rows):
            for x in range(cols):

                def at(dy: int, dx: int, c: int = c, y: int = y, x: int = x) -> int:
                    if c >= s.channels:
                        return 0
                    row = min(top + s.side * y + dy, s.height - 1)
                    col = min(left + s.side * x + dx, s.width - 1)
                    return values[c][row][col] - s.zero_point

                if s.transform == WHT4:
                    a, b, d, e = at(0, 0), at(0, 1), at(1, 0), at(1, 1)
                    found = [a + b + d + e, a - b + d - e, a + b - d - e, a - b - d + e]
                else:
                    found = [at(0, 0)]
                for k, coefficient in enumerate(found):
                    v = (coefficient * multiplier + 128) // 256
                    west = errors.get((y, x - 1), 0)
                    north = errors.get((y - 1, x), 0)
                    corner = errors.get((y - 1, x - 1), 0)
                    if s.transform == BYPASS:
                        passed = diffusion.left * west + diffusion.above * north
                        v += (passed - diffusion.corner * corner + 8) // 16
                    low, high = (0, 255) if s.unsigned(k) else (-128, 127)
                    q = max(low, min(high, (v + diffusion.rounding) // 256))
                    errors[y, x] = max(-256, min(255, v - 256 * q))
                    out[k, c, y, x] = q if s.unsigned(k) else 2 * q if q >= 0 else -2 * q - 1
    return out


def values_of_tile(z: Symbols, s: Scalar, tile: tuple[int, int, int, int], out: Values) -> None:
    """Put the values of a tile into the map, 10.3."""
    top, left, rows, cols = tile
    for c in range(s.channels):
        for y in range(rows):
            for x in range(cols):
                q = []
                for k in range(s.coefficients):
                    number = z[k, c, y, x]
                    if not s.unsigned(k):
                        number = number // 2 if number % 2 == 0 else -(number + 1) // 2
                    q.append(number)
                if s.transform == WHT4:
                    sums = [
                        q[0] + q[1] + q[2] + q[3],
                        q[0] - q[1] + q[2] - q[3],
                        q[0] + q[1] - q[2] - q[3],
                        q[0] - q[1] - q[2] + q[3],
                    ]
                    pixels = [(v * s.step + 64) // 128 for v in sums]
                else:
                    pixels = [(q[0] * s.step + 32) // 64]
                for number, pixel in enumerate(pixels):
                    row, col = top + s.side * y + number // 2, left + s.side * x + number % 2
                    if row < s.height and col < s.width:
                        value = pixel + s.zero_point
                        out[c][row][col] = max(s.low, min(s.low + 255, value))


def symbols_of_numbers(z: Symbols, s: Scalar) -> Symbols:
    if s.transform != NIBBLES:
        return z
    upper = {(0, c, y, x): number // 16 for (_, c, y, x), number in z.items()}
    return upper | {(1, c, y, x): number % 16 for (_, c, y, x), number in z.items()}


def numbers_of_symbols(symbols: Symbols, s: Scalar) -> Symbols:
    if s.transform != NIBBLES:
        return symbols
    return {
        (0, c, y, x): 16 * symbol + symbols[1, c, y, x]
        for (k, c, y, x), symbol in symbols.items()
        if k == 0
    }


class Contexts:
    """Classes of the symbols of a tile that are known, and the contexts that follow, 10.4."""

    def __init__(self, s: Scalar, cols: int) -> None:
        self.s, self.cols = s, cols
        self.classes: Symbols = {}
        self.known: Symbols = {}

    def context(self, k: int, c: int, y: int, x: int) -> int:
        def of(row: int, col: int) -> int | None:
            return self.classes.get((k, c, row, col)) if 0 <= col < self.cols else None

        north = of(y - 1, x)
        west = of(y, x - 1)
        if west is None:
            west = 0 if y == 0 else north
        assert west is not None
        if y == 0:
            north = corner = far = west
        else:
            assert north is not None
            corner = of(y - 1, x - 1)
            corner = north if corner is None else corner
            far = of(y - 1, x + 1)
            far = north if far is None else far
        here = [self.classes[plane, c, y, x] for plane in range(k)]
        if k == 0:
            other = (corner + far + 1) // 2
        elif k < 3:
            other = here[0]
        else:
            other = min(7, here[1] + here[2] + (here[0] + 1) // 2)
        return 512 * k + 64 * west + 8 * north + other

    def learn(self, k: int, c: int, y: int, x: int, symbol: int, escape: bool) -> None:
        nibbles = self.s.transform == NIBBLES
        magnitude = symbol if nibbles or self.s.unsigned(k) else (symbol + 1) // 2
        class_ = CLASS_OF[magnitude]
        if escape or (nibbles and k == 1 and self.known[0, c, y, x] != 0):
            class_ = 7
        self.classes[k, c, y, x] = class_
        self.known[k, c, y, x] = symbol


def order(s: Scalar, rows: int, cols: int) -> Iterator[tuple[int, int, tuple[int, int, int, int]]]:
    """Slot, lane and place of each symbol of a tile."""
    t = 0
    for y in range(rows):
        for x in range(cols):
            for k in range(s.planes):
                for group in range(s.groups):
                    for lane in range(8):
                        yield t, lane, (k, 8 * group + lane, y, x)
                    t += 1


@dataclass
class ScalarTile:
    """Both forms of a tile without padding to the burst, and which one it is."""

    raw: bytes
    coded: bytes
    escapes: int
    size: int

    @property
    def mode(self) -> int:
        return int(self.size >= len(self.raw) or self.escapes > 4095)


def scalar_tile(z: Symbols, s: Scalar, rows: int, cols: int) -> ScalarTile:
    symbols = symbols_of_numbers(z, s)
    contexts = Contexts(s, cols)
    escapes = []
    tokens = []
    cost = 0
    for t, lane, place in order(s, rows, cols):
        f = s.statistic_of(contexts.context(*place))
        symbol = symbols[place]
        escape = symbol > limit_of(f)
        token = 31 if escape else symbol
        if escape:
            escapes.append(symbol)
            cost += 128
        cost += round(16 * (8.5 - log2(f[token])))
        contexts.learn(*place, symbol, escape)
        tokens.append((t, lane, f, token))
    sets = min(tokens[-1][0] + 1, 10)
    states = {(i, lane): 256 for i in range(sets) for lane in range(8)}
    stream = []
    for t, lane, f, token in reversed(tokens):
        x = states[t % 10, lane]
        if x >= 256 * f[token]:
            stream.append(x & 255)
            x >>= 8
        states[t % 10, lane] = 256 * (x // f[token]) + x % f[token] + sum(f[:token])
    section = padded(struct.pack("<H", len(escapes)) + bytes(escapes), 8)
    raw = bytes(
        z[k, c, y, x]
        for y in range(rows)
        for x in range(cols)
        for k in range(s.coefficients)
        for c in range(s.channels)
    )
    coded = section + struct.pack(f"<{len(states)}H", *states.values()) + bytes(reversed(stream))
    return ScalarTile(raw, coded, len(escapes), ceil(cost / 128) + 16 * sets + 8)


def scalar_symbols(data: bytes, s: Scalar, rows: int, cols: int) -> Symbols:
    """Symbols of a coded tile and of its padding to the burst."""
    slots = rows * cols * s.planes * s.groups
    (count,) = struct.unpack_from("<H", data)
    escapes = list(data[2 : 2 + count])
    at = len(padded(data[: 2 + count], 8))
    states = {}
    for i in range(min(slots, 10)):
        for lane in range(8):
            (states[i, lane],) = struct.unpack_from("<H", data, at)
            at += 2
    contexts = Contexts(s, cols)
    for t, lane, place in order(s, rows, cols):
        f = s.statistic_of(contexts.context(*place))
        x = states[t % 10, lane]
        assert 256 <= x <= 65535
        (token,) = [u for u in range(32) if sum(f[:u]) <= x & 255 < sum(f[: u + 1])]
        x = f[token] * (x >> 8) + (x & 255) - sum(f[:token])
        if x < 256:
            x = 256 * x + data[at]
            at += 1
        states[t % 10, lane] = x
        symbol = escapes.pop(0) if token == 31 else token
        contexts.learn(*place, symbol, token == 31)
    assert set(states.values()) == {256}
    assert escapes == []
    assert not any(data[at:])
    assert len(data) - at < s.burst
    return contexts.known


HEAD = "<4sBBBBHHHHHHIBBBBHHII"


def scalar_encode(
    values: Values, s: Scalar, diffusion: Diffusion, *, all_coded: bool = False
) -> bytes:
    payload, index = b"", b""
    for tile in s.tiles():
        found = scalar_tile(numbers_of_tile(values, s, tile, diffusion), s, *tile[2:])
        mode = 0 if all_coded else found.mode
        index += struct.pack("<I", len(payload) // s.burst | mode << 30)
        payload += padded(found.raw if mode else found.coded, s.burst)
    head = struct.pack(
        HEAD, b"FMZF", 1, s.dtype, s.zero_point & 0xFF, s.burst.bit_length() - 1,
        s.channels, s.height, s.width, s.tile_rows, s.tile_cols, 8, len(index) // 4,
        s.transform, 3, 0, 0xFF, s.step, crc32(s.tables) & 0xFFFF,
        len(payload) // s.burst, crc32(payload),
    )  # fmt: skip
    head += index
    head += bytes(-(len(head) + 4) % s.burst)
    return head + struct.pack("<I", crc32(head)) + payload


def scalar_decode(frame: bytes, tables: bytes) -> tuple[Scalar, Values]:
    (magic, version, dtype, zero, burst_log2, channels, height, width, tile_rows, tile_cols, size,
     tiles, transform, coder, options, keep, step, tables_id, bursts, payload_crc,
    ) = struct.unpack_from(HEAD, frame)  # fmt: skip
    assert (magic, version, size, coder, options, keep) == (b"FMZF", 1, 8, 3, 0, 0xFF)
    assert tables_id == crc32(tables) & 0xFFFF
    zero = zero - 256 if dtype and zero > 127 else zero
    s = Scalar(
        dtype, zero, 1 << burst_log2, channels, height, width, tile_rows, tile_cols,
        transform, step, tables,
    )  # fmt: skip
    head_bytes = -(-(40 + 4 * tiles + 4) // s.burst) * s.burst
    assert struct.unpack_from("<I", frame, head_bytes - 4)[0] == crc32(frame[: head_bytes - 4])
    payload = frame[head_bytes:]
    assert (len(payload), crc32(payload)) == (bursts * s.burst, payload_crc)
    index = struct.unpack_from(f"<{tiles}I", frame, 40)
    bounds = [(entry & (1 << 30) - 1) * s.burst for entry in index] + [len(payload)]
    out = [[[0] * width for _ in range(height)] for _ in range(channels)]
    for t, tile in enumerate(s.tiles()):
        data = payload[bounds[t] : bounds[t + 1]]
        _, _, rows, cols = tile
        if index[t] >> 30:
            places = [
                (k, c, y, x)
                for y in range(rows)
                for x in range(cols)
                for k in range(s.coefficients)
                for c in range(channels)
            ]
            z = dict(zip(places, data, strict=False))
        else:
            z = numbers_of_symbols(scalar_symbols(data, s, rows, cols), s)
        values_of_tile(z, s, tile, out)
    return s, out


def scalar_of(case: Case) -> Scalar:
    c = case.config
    return Scalar(
        int(c.dtype), c.zero_point, c.burst_bytes, c.channels, c.height, c.width,
        c.tile_rows, c.tile_cols, int(c.transform), c.step, case.coding.tables.to_bytes(),
    )  # fmt: skip


def check(case: Case) -> list[int]:
    """Both codecs make the same of a case; the modes of its tiles."""
    frame = encode(case.values, case.config, case.coding)
    s, expected = scalar_decode(frame, case.coding.tables.to_bytes())
    assert s == scalar_of(case)
    assert decode(frame, case.coding.tables).tolist() == expected
    assert frame == scalar_encode(case.values.tolist(), s, case.coding.diffusion)
    return parse_head(frame).modes.tolist()


@settings(max_examples=100, deadline=None, derandomize=True)
@given(cases(side=14, channels=30))
def test_encoder_and_decoder_equal_the_scalar_codec(case: Case) -> None:
    for mode in set(check(case)):
        event(f"{case.config.transform.name}, {TileMode(mode).name}")


@pytest.mark.soak
@settings(max_examples=3000, deadline=None, derandomize=True)
@given(cases(side=20, channels=40))
def test_many_more_cases_equal_the_scalar_codec(case: Case) -> None:
    check(case)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(cases())
def test_coded_tiles_equal_the_scalar_ones_where_a_writer_would_choose_raw_ones(case: Case) -> None:
    config, tables = case.config, case.coding.tables
    s = scalar_of(case)
    diffusion = case.coding.diffusion
    frame = scalar_encode(case.values.tolist(), s, diffusion, all_coded=True)
    _, expected = scalar_decode(frame, tables.to_bytes())
    assert decode(frame, tables).tolist() == expected
    model = rans.model_of(tables)
    for tile, place in zip(config.iter_tiles(), s.tiles(), strict=True):
        wanted = scalar_tile(
            numbers_of_tile(case.values.tolist(), s, place, diffusion), s, *place[2:]
        )
        z = ransframe.numbers(case.values, config, case.coding, tile)
        found, raw = ransframe.tokens(z, config, model)
        assert (found.price_bytes, raw) == (wanted.size, bool(wanted.mode))
        assert ransframe.coded_tile(found, model) == wanted.coded
        assert ransframe.tile_bytes(z, config, model) == len(wanted.raw if raw else wanted.coded)


@pytest.mark.parametrize("transform", RANS_TRANSFORMS)
@pytest.mark.parametrize("zero_point", [0, 9])
@pytest.mark.parametrize("step", [64, 333])
def test_coded_tiles_of_larger_maps_equal_the_scalar_codec(
    step: int, zero_point: int, transform: Transform
) -> None:
    tables = fitting_tables(transform)
    config = rans_config(
        transform, 13, 15, 23, tables=tables, zero_point=zero_point,
        tile_rows=8, tile_cols=12, burst_log2=3, step=step,
    )  # fmt: skip
    weights = (7, 5, 1) if transform == Transform.BYPASS else (0, 0, 0)
    values = map_of(config, 3, 3.0)
    coding = Coding(tables, Diffusion(120, *weights))
    assert check(Case(config, coding, values)) == [TileMode.CODED] * 4


@pytest.mark.parametrize("slots", range(1, 2 * STATE_SETS + 2))
def test_tiles_of_few_slots_have_as_many_sets_of_states(slots: int) -> None:
    tables = Tables(bytes(512), statistic(np.random.default_rng(0), 3, 0.1))
    # Tiles that are coded though they are small, since most lanes hold what costs nearly nothing.
    config = rans_config(Transform.BYPASS, 8 * slots, 1, 1, tables=tables, burst_log2=3, step=64)
    values = np.zeros((8 * slots, 1, 1), np.uint8)
    values[3::8] = 1
    check(Case(config, Coding(tables), values))


@pytest.mark.parametrize(("escapes", "mode"), [(4095, TileMode.CODED), (4096, TileMode.RAW)])
def test_a_tile_of_more_than_4095_escapes_is_raw(escapes: int, mode: TileMode) -> None:
    tables = Tables(bytes(512), statistic(np.random.default_rng(0), 1, 0.1, 100))
    config = rans_config(
        Transform.BYPASS, 8, 32, 64, tables=tables, tile_rows=32, tile_cols=64, step=64
    )
    values = np.zeros(config.values, np.uint8)
    values[np.random.default_rng(1).permutation(config.values)[:escapes]] = 9
    values = values.reshape(8, 32, 64)
    assert check(Case(config, Coding(tables), values)) == [mode]
