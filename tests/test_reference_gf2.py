"""The coder GF2 of the reference: against the text of the format, an algebra, and its limits."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.gf2_cases import frame, identity, map_of, random_coding, random_layer
from tests.test_reference_projection import plain_codes

from fmzip.errors import FormatError
from fmzip.format import BIT_TRANSFORMS, Coder, Dtype, FrameConfig, TileMode, Transform
from fmzip.gf2 import BinaryLayer, PlaneCoding, PlaneEncoder, PlaneTables, Rule, parse_planes
from fmzip.projection import Affine
from fmzip.reference import decode, encode, gf2, parse_head, summary

GOLDEN = sorted((Path(__file__).parent / "golden_gf2").glob("*.json"))
RULES = (Rule.POPCOUNT, Rule.XOR)


def plain_layer(layer: BinaryLayer, inputs: list[int]) -> list[int]:
    """Planes of a layer, docs/format.md, 12.3."""
    out = []
    for weights, t in zip(layer.weights.tolist(), layer.thresholds.tolist(), strict=True):
        total = sum(w * x for w, x in zip(weights, inputs, strict=True))
        out.append((total + t) % 2 if layer.rule == Rule.XOR else int(total >= t))
    return out


def plain_values(tables: PlaneTables, planes: list[int]) -> list[int]:
    """Values of a position above the lowest one, docs/format.md, 12.4."""
    matrix = tables.sums.matrix.tolist()
    own = len(matrix[0])
    made = planes if tables.layer is None else plain_layer(tables.layer, planes)
    out = []
    for v, row in enumerate(matrix):
        of = made if tables.layer is None else made[v * own : v * own + own]
        total = sum(g for g, z in zip(row, of, strict=True) if z) + int(tables.sums.offset[v])
        out.append(min(max(total >> tables.sums.shift, 0), 255))
    return out


def plain_planes(bits: Iterator[str], tables: PlaneTables, mode: int, coder: Coder) -> list[int]:
    """Stored planes of the next position, docs/format.md, 12.6 and 12.7."""
    if coder == Coder.GF2 or mode == TileMode.RAW:
        return [int(next(bits)) for _ in range(tables.stored)]
    assert tables.groups is not None
    out: list[int] = []
    for size, book in zip(tables.groups.sizes, tables.groups.books, strict=True):
        codes, code = plain_codes(tables.groups.lengths[book]), ""
        while code not in codes:
            code += next(bits)
        out += [codes[code] >> k & 1 for k in range(size)]
    return out


def plain_decode(data: bytes, config: FrameConfig, coding: PlaneCoding) -> np.ndarray:
    """A frame's values by the text of docs/format.md, a number at a time."""
    head = parse_head(data)
    side = 2 if config.transform == Transform.BITS4 else 1
    out = np.full((config.channels, config.height, config.width), 999, np.int64)
    for t, tile in enumerate(config.iter_tiles()):
        start = config.head_bytes + int(head.offsets[t])
        part = data[start : config.head_bytes + int(head.offsets[t + 1])]
        bits = iter("".join(f"{byte:08b}"[::-1] for byte in part))
        for row in range(tile.row, tile.row + tile.rows, side):
            for col in range(tile.col, tile.col + tile.cols, side):
                planes = plain_planes(bits, coding.tables, head.modes[t], config.coder)
                for k, value in enumerate(plain_values(coding.tables, planes)):
                    pixel, channel = divmod(k, config.channels)
                    y, x = row + pixel // side, col + pixel % side
                    if y < config.height and x < config.width:
                        out[channel, y, x] = value + config.value_range[0]
    return out


@pytest.mark.parametrize("transform", BIT_TRANSFORMS)
@pytest.mark.parametrize("decoder", Rule)
@pytest.mark.parametrize("coded", [False, True])
def test_a_reader_of_the_text_gets_the_same_values(
    transform: Transform, decoder: Rule, coded: bool
) -> None:
    rng = np.random.default_rng(10 * transform + decoder)
    for dtype in Dtype:
        coding = random_coding(rng, 5, transform, 19, decoder=decoder, coded=coded)
        tile = {"tile_rows": 2, "tile_cols": 4} if coded else {}
        config = frame(coding, (5, 5, 7), transform, dtype=dtype, zero_point=3, **tile)
        values = map_of(rng, config)
        data = encode(values, config, coding)
        assert parse_head(data).config == config
        back = decode(data, coding.tables)
        assert back.dtype == values.dtype
        np.testing.assert_array_equal(back, plain_decode(data, config, coding))


@pytest.mark.parametrize("rule", RULES)
def test_planes_are_those_of_the_text(rule: Rule) -> None:
    rng = np.random.default_rng(rule)
    coding = random_coding(rng, 4, Transform.BITS, 21, encoder=rule)
    config = frame(coding, (4, 3, 5), Transform.BITS, dtype=Dtype.INT8, zero_point=-7)
    values = map_of(rng, config)
    found = gf2.unpacked(gf2.planes_of(values, config, coding.encoder), 21)
    for position, planes in enumerate(found.tolist()):
        row, col = divmod(position, config.width)
        inputs = []
        for c, value in enumerate(values[:, row, col].tolist()):
            u = value + 128 + int(coding.encoder.bias[c])
            u = min(max(u, 0), int(coding.encoder.top[c]))
            inputs += [u >> b & 1 for b in range(8)]
        assert planes == plain_layer(coding.encoder.layer, inputs)


@pytest.mark.parametrize("coded", [False, True])
def test_the_size_of_a_frame_is_known_before_it_is_coded(coded: bool) -> None:
    rng = np.random.default_rng(3)
    coding = random_coding(rng, 6, Transform.BITS, 13, coded=coded)
    config = frame(coding, (6, 9, 11), Transform.BITS, burst_log2=5)
    sizes = {len(encode(map_of(rng, config), config, coding)) for _ in range(4)}
    if coded:
        assert max(sizes) <= config.max_bytes
    else:
        # 9 * 11 positions of 13 bits, and a head without an index.
        assert sizes == {64 + 192}
        assert config.head_bytes == 64


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("decoder", Rule)
def test_all_planes_as_they_are_lose_nothing(rule: Rule, decoder: Rule) -> None:
    rng = np.random.default_rng(4)
    coding = identity(6, rule, decoder)
    config = frame(coding, (6, 4, 5), Transform.BITS, dtype=Dtype.INT8, zero_point=-3)
    values = map_of(rng, config)
    data = encode(values, config, coding)
    np.testing.assert_array_equal(decode(data, coding.tables), values)
    assert summary(data).rows()["planes"] == 48
    assert len(data) == config.head_bytes + values.size


def test_layers_over_gf2_are_products_of_its_matrices() -> None:
    """Against a product of integers, and against galois where it is installed."""
    rng = np.random.default_rng(5)
    layer = random_layer(rng, Rule.XOR, 37, 61)
    inputs = rng.integers(0, 2, (50, 61), np.uint8)
    packed = np.packbits(inputs, axis=1, bitorder="little")
    found = gf2.unpacked(gf2.through(layer, packed), 37)
    expected = (inputs.astype(int) @ layer.weights.T.astype(int) + layer.thresholds) % 2
    np.testing.assert_array_equal(found, expected)
    galois = pytest.importorskip("galois")
    field = galois.GF(2)
    product = field(inputs) @ field(layer.weights.astype(np.uint8)).T
    np.testing.assert_array_equal(found, product + field(layer.thresholds.astype(np.uint8)))


def test_an_invertible_layer_and_its_inverse_lose_nothing() -> None:
    """A code over GF(2) with as many planes as it has inputs, undone by the decoder's layer."""
    galois = pytest.importorskip("galois")
    field = galois.GF(2)
    rng = np.random.default_rng(6)
    while True:
        matrix = field(rng.integers(0, 2, (16, 16), np.uint8))
        if np.linalg.det(matrix) == 1:
            break
    inverse = np.array(np.linalg.inv(matrix), np.int8)
    base = identity(2, decoder=Rule.XOR)
    encoder = PlaneEncoder(
        base.encoder.bias, base.encoder.top,
        BinaryLayer(Rule.XOR, np.array(matrix, np.int8), np.zeros(16)),
    )  # fmt: skip
    layer = BinaryLayer(Rule.XOR, inverse, np.zeros(16))
    coding = PlaneCoding(PlaneTables(16, base.tables.sums, layer), encoder)
    config = frame(coding, (2, 5, 6), Transform.BITS)
    values = map_of(rng, config)
    np.testing.assert_array_equal(decode(encode(values, config, coding), coding.tables), values)


@pytest.mark.parametrize("decoder", Rule)
@pytest.mark.parametrize("coded", [False, True])
def test_tables_are_read_as_they_were_written(decoder: Rule, coded: bool) -> None:
    rng = np.random.default_rng(7)
    coding = random_coding(rng, 3, Transform.BITS4, 11, Rule.XOR, decoder, coded=coded)
    data, encoder = coding.tables.to_bytes(), coding.encoder.to_bytes()
    assert parse_planes(data).to_bytes() == data
    assert PlaneEncoder.parse(encoder).to_bytes() == encoder
    for size in range(len(data)):
        with pytest.raises(FormatError):
            parse_planes(data[:size])
    with pytest.raises(FormatError):
        parse_planes(data + b"\0")
    for size in range(0, len(encoder), 7):
        with pytest.raises(FormatError):
            PlaneEncoder.parse(encoder[:size])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BinaryLayer(Rule.NONE, np.zeros((2, 3)), np.zeros(2)), "rule 0"),
        (lambda: BinaryLayer(Rule.XOR, np.full((2, 3), -1), np.zeros(2)), "weights must be 0 to 1"),
        (lambda: BinaryLayer(Rule.XOR, np.zeros((2, 3)), np.full(2, 2)), "thresholds must be 0"),
        (lambda: BinaryLayer(Rule.POPCOUNT, np.zeros((2, 3)), np.zeros(3)), "3 thresholds for 2"),
        (lambda: BinaryLayer(Rule.POPCOUNT, np.zeros((2, 3)), np.full(2, 1 << 15)), "thresholds"),
        (lambda: PlaneTables(4, Affine(np.zeros((2, 3)), np.zeros(2), 0)), "integers for 3"),
        (lambda: PlaneTables(0, Affine(np.zeros((2, 3)), np.zeros(2), 0)), "0 stored"),
        (lambda: PlaneTables(2049, Affine(np.zeros((2, 3)), np.zeros(2), 0)), "2049 stored"),
    ],
)  # fmt: skip
def test_impossible_layers_are_refused(make: object, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        make()  # type: ignore[operator]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"components": 0}, "components must be 1 to 40"),
        ({"components": 41}, "components must be 1 to 40"),
        ({"tile_rows": 2}, "tile_rows must be 4 with coder gf2"),
        (
            {"transform": Transform.PROJECTION, "components": 5},
            "does not take transform projection",
        ),
        ({"keep": 1}, "keep must be 255"),
        ({"zero_bitmap": True}, "no zero bitmap"),
    ],
)
def test_impossible_configurations_are_refused(given: dict, message: str) -> None:
    fits = {
        "tile_rows": 4, "tile_cols": 3, "transform": Transform.BITS, "coder": Coder.GF2,
        "components": 9, **given,
    }  # fmt: skip
    with pytest.raises(ValueError, match=message):
        FrameConfig(5, 4, 3, **fits)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden_vectors_still_hold(path: Path) -> None:
    vector = json.loads(path.read_text())
    config = FrameConfig(**vector["config"])
    tables = parse_planes(bytes.fromhex(vector["tables"]))
    coding = PlaneCoding(tables, PlaneEncoder.parse(bytes.fromhex(vector["encoder"])))
    shape = (config.channels, config.height, config.width)
    dtype = np.int8 if config.dtype == Dtype.INT8 else np.uint8
    values = np.array(vector["values"], dtype).reshape(shape)
    data = bytes.fromhex(vector["frame"])
    assert encode(values, config, coding) == data
    np.testing.assert_array_equal(decode(data, tables).ravel(), vector["decoded"])


def test_there_are_golden_vectors() -> None:
    assert len(GOLDEN) >= 4
