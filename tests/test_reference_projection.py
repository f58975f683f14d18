"""The coder HUFFMAN of the reference: against the text of the format, and its limits."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.projection_cases import fitting_coding, frame, map_of, random_coding

from fmzip.codebooks import code_lengths, count_tokens, make_codebooks
from fmzip.errors import FormatError
from fmzip.format import (
    CODE_BITS_MAX,
    COMPONENT_MAX,
    HUFFMAN_ESCAPE,
    HUFFMAN_TOKENS,
    PROJECTION_INPUTS_MAX,
    PROJECTIONS,
    SUM_BITS,
    Coder,
    Dtype,
    FrameConfig,
    TileMode,
    Transform,
    default_projection_tile,
)
from fmzip.projection import Affine, ProjectionCoding, parse_projection
from fmzip.reference import decode, encode, huffman, parse_head, project, summary

GOLDEN = sorted((Path(__file__).parent / "golden_projection").glob("*.json"))


def plain_codes(lengths: np.ndarray) -> dict[str, int]:
    """Token of each code, a string of bits: docs/format.md, 11.5."""
    codes, code, before = {}, 0, 0
    for length, token in sorted((int(n), t) for t, n in enumerate(lengths) if n):
        code <<= length - before
        codes[f"{code:0{length}b}"] = token
        code, before = code + 1, length
    return codes


def plain_decode(data: bytes, config: FrameConfig, coding: ProjectionCoding) -> np.ndarray:
    """A frame's values by the text of docs/format.md, a number at a time."""
    head = parse_head(data)
    tables = coding.tables
    side = 2 if config.transform == Transform.PROJECTION4 else 1
    groups, per_group = len(tables.inverse), config.channels // len(tables.inverse)
    out = np.full((config.channels, config.height, config.width), 99, np.int64)
    for t, tile in enumerate(config.iter_tiles()):
        start = config.head_bytes + int(head.offsets[t])
        part = data[start : config.head_bytes + int(head.offsets[t + 1])]
        bits = iter("".join(f"{byte:08b}"[::-1] for byte in part))
        for row in range(tile.row, tile.row + tile.rows, side):
            for col in range(tile.col, tile.col + tile.cols, side):
                symbols = [
                    plain_symbol(bits, plain_codes(tables.lengths[book]), head.modes[t])
                    for book in tables.books
                ]
                at = 0
                for g, inverse in enumerate(tables.inverse):
                    own = symbols[at : at + inverse.matrix.shape[1]]
                    at += len(own)
                    for k in range(len(inverse.matrix)):
                        total = sum(int(a) * s for a, s in zip(inverse.matrix[k], own, strict=True))
                        value = (total + int(inverse.offset[k])) >> inverse.shift
                        pixel, channel = divmod(k, per_group)
                        y, x = row + pixel // side, col + pixel % side
                        if y < config.height and x < config.width:
                            low, high = config.value_range
                            value = min(max(value + config.zero_point, low), high)
                            out[g * per_group + channel, y, x] = value
    assert groups * per_group == config.channels
    return out


def plain_symbol(bits: Iterator[str], codes: dict[str, int], mode: int) -> int:
    def number(size: int) -> int:
        return sum(int(next(bits)) << k for k in range(size))

    def symbol(u: int) -> int:
        return -((u + 1) // 2) if u % 2 else u // 2

    if mode == TileMode.RAW:
        return symbol(number(11))
    code = ""
    while code not in codes:
        code += next(bits)
    token = codes[code]
    if token == HUFFMAN_ESCAPE:
        return symbol(number(11))
    if token < 32:
        return symbol(token)
    octave = 5 + (token - 32) // 2
    low = 2**octave if token % 2 == 0 else 3 * 2 ** (octave - 1)
    return symbol(low + number(octave - 1))


@pytest.mark.parametrize("transform", PROJECTIONS)
@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("dtype", Dtype)
def test_a_reader_of_the_text_gets_the_same_values(
    transform: Transform, groups: int, dtype: Dtype
) -> None:
    rng = np.random.default_rng(groups + 10 * transform)
    for coding in (
        random_coding(rng, 6, transform, groups),
        fitting_coding(rng, 6, transform, groups),
    ):
        config = frame(
            coding, (6, 5, 7), transform, dtype=dtype, zero_point=3, tile_rows=2, tile_cols=4
        )
        values = map_of(rng, config)
        data = encode(values, config, coding)
        assert len(data) <= config.max_bytes
        assert parse_head(data).config == config
        back = decode(data, coding.tables)
        assert back.dtype == values.dtype
        np.testing.assert_array_equal(back, plain_decode(data, config, coding))


def test_an_orthonormal_projection_loses_what_its_step_says() -> None:
    rng = np.random.default_rng(2)
    coding = fitting_coding(rng, 16, Transform.PROJECTION)
    config = frame(coding, (16, 12, 12), Transform.PROJECTION, dtype=Dtype.INT8)
    values = map_of(rng, config)
    data = encode(values, config, coding)
    error = decode(data, coding.tables).astype(float) - values
    assert np.square(error).mean() == pytest.approx(4**2 / 12 + 1 / 12, rel=0.1)
    found = summary(data)
    assert found.tiles_coded == 1
    assert found.rows()["components"] == 16
    assert found.bits_per_value < 5


def test_no_sum_is_wider_than_the_format_says() -> None:
    """Both products with the worst numbers of all: every bit of the sum is there."""
    n = PROJECTION_INPUTS_MAX
    limit = 1 << SUM_BITS - 1
    for sign in (1, -1):
        # The largest products: the most negative entry times either end of the inputs.
        worst = Affine(np.full((1, n), -2048), np.array([sign * (2**31 - 1)], np.int32), 31)
        for inputs in (-255, 255):
            total = int(worst.matrix[0].astype(object) @ np.full(n, inputs, object))
            assert abs(total + int(worst.offset[0])) < limit
            values = np.full((n, 1), inputs, np.int32)
            expected = max(-COMPONENT_MAX, min(COMPONENT_MAX, total + int(worst.offset[0]) >> 31))
            assert project.symbols_of(values, (worst,)).tolist() == [[expected]]
    wide = Affine(np.full((1, n), -2048), np.array([-(2**31)], np.int32), 0)
    symbols = np.full((1, n), COMPONENT_MAX, np.int16)
    assert project.values_of(symbols, (wide,)).tolist() == [[-2048 * n * COMPONENT_MAX - 2**31]]
    # A sum of one bit less would not do.
    assert 2048 * n * 255 + 2**31 >= limit >> 2


def test_symbols_are_clamped_and_ties_go_up() -> None:
    up = Affine(np.array([[1], [-1], [100], [-100]]), np.array([1, 1, 0, 0], np.int32), 1)
    found = project.symbols_of(np.array([[3], [-3], [255]]).T.astype(np.int32), (up,))
    assert found.tolist() == [[2, -1, 150, -150], [-1, 2, -150, 150], [128, -127, 1023, -1023]]


def test_a_projection_is_read_as_it_was_written() -> None:
    rng = np.random.default_rng(3)
    for groups in (1, 2):
        coding = random_coding(rng, 10, Transform.PROJECTION4, groups, books=5)
        data = coding.tables.to_bytes()
        back = parse_projection(data)
        assert back.to_bytes() == data
        for one, other in zip(back.inverse, coding.tables.inverse, strict=True):
            np.testing.assert_array_equal(one.matrix, other.matrix)
            np.testing.assert_array_equal(one.offset, other.offset)
        for size in range(len(data)):
            with pytest.raises(FormatError, match=r"^projection: "):
                parse_projection(data[:size])
        with pytest.raises(FormatError, match=r"^projection: "):
            parse_projection(data + b"\0")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"matrix": np.full((2, 3), 2048)}, "12 bits"),
        ({"offset": np.zeros(3)}, "3 offsets for 2 rows"),
        ({"shift": 32}, "shift must be 0 to 31"),
        ({"matrix": np.zeros((2, 2049))}, "2 x 2049"),
    ],
)
def test_impossible_matrices_are_refused(change: dict, message: str) -> None:
    given = {"matrix": np.zeros((2, 3)), "offset": np.zeros(2), "shift": 3, **change}
    with pytest.raises(FormatError, match=message):
        Affine(**given)


def test_code_lengths_are_the_shortest_prefix_code() -> None:
    rng = np.random.default_rng(4)
    for _ in range(50):
        counts = np.floor(rng.exponential(200, HUFFMAN_TOKENS)) * rng.integers(0, 2, HUFFMAN_TOKENS)
        lengths = code_lengths(counts).astype(int)
        assert lengths[HUFFMAN_ESCAPE] > 0
        assert ((lengths > 0) >= (counts > 0)).all()
        assert sum(2.0**-n for n in lengths[lengths > 0]) == 1
        total = counts.sum()
        entropy = float((counts[counts > 0] * np.log2(total / counts[counts > 0])).sum())
        assert entropy <= lengths @ counts < entropy + total
    # Counts that grow like Fibonacci's numbers ask for a code of 63 bits.
    steep = code_lengths(1.618 ** np.arange(HUFFMAN_TOKENS)).astype(int)
    assert steep.max() == CODE_BITS_MAX
    assert sum(2.0**-n for n in steep) == 1
    assert code_lengths(np.zeros(HUFFMAN_TOKENS)).tolist() == [0] * HUFFMAN_ESCAPE + [1]


def test_tokens_are_numbers_and_then_halves_of_octaves() -> None:
    numbers = np.arange(2 * COMPONENT_MAX + 1)
    tokens = huffman.tokens_of(numbers)
    assert tokens[:32].tolist() == list(range(32))
    starts = [32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536]
    assert np.flatnonzero(np.diff(tokens, prepend=-1)).tolist() == [*range(32), *starts]
    assert tokens[-1] == HUFFMAN_ESCAPE - 1
    np.testing.assert_array_equal(huffman.numbers_of(huffman.symbols_of(numbers)), numbers)


def test_components_share_a_codebook_where_that_costs_less_than_one_more() -> None:
    rng = np.random.default_rng(5)
    spreads = np.repeat([1.0, 1.05, 20.0], 4)
    symbols = np.rint(rng.normal(0, spreads[:, None], (12, 5000)))
    counts = count_tokens(huffman.tokens_of(huffman.numbers_of(symbols)))
    assert counts.sum() == symbols.size
    lengths, books = make_codebooks(counts, 1)
    assert len(lengths) == 2
    assert len(set(books[:8].tolist())) == 1
    assert books[0] != books[11]
    one, _ = make_codebooks(counts, 1, most=1)
    assert len(one) == 1
    # Over very many maps even a small gain pays, over one with few symbols none does.
    assert len(make_codebooks(counts, 1000)[0]) == 1
    with pytest.raises(ValueError, match="codebooks must be 1 to 16"):
        make_codebooks(counts, 1, most=17)


def test_no_frame_is_larger_than_raw_symbols_and_the_head() -> None:
    rng = np.random.default_rng(6)
    coding = random_coding(rng, 12, Transform.PROJECTION, 1)
    config = frame(coding, (12, 8, 8), Transform.PROJECTION, tile_rows=2)
    noise = rng.integers(0, 256, (12, 8, 8), np.uint8)
    data = encode(noise, config, coding)
    assert set(parse_head(data).modes.tolist()) == {TileMode.RAW}
    assert len(data) == config.max_bytes


@pytest.mark.parametrize("transform", PROJECTIONS)
def test_tiles_that_are_chosen_are_whole_rows_of_about_equal_height(transform: Transform) -> None:
    for shape in ((64, 56, 56), (512, 7, 7), (3, 224, 224), (2048, 14, 14), (1, 1, 1)):
        rows, cols = default_projection_tile(*shape, transform)
        assert cols == shape[2]
        config = FrameConfig(
            *shape, tile_rows=rows, tile_cols=cols, transform=transform, coder=Coder.HUFFMAN,
            components=1,
        )  # fmt: skip
        assert sum(t.rows for t in config.iter_tiles()) == shape[1]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"components": 0}, "components must be 1 to 8"),
        ({"components": 9}, "components must be 1 to 8"),
        ({"transform": Transform.BYPASS}, "coder huffman does not take transform bypass"),
        ({"coder": Coder.WIDTH, "components": 0}, "coder width does not take transform projection"),
        ({"zero_bitmap": True}, "coder huffman has no zero bitmap"),
        ({"keep": 1}, "keep must be 255"),
        ({"transform": Transform.PROJECTION4, "tile_rows": 3}, "tile_rows must be even"),
    ],
)
def test_configurations_that_are_none_are_refused(given: dict, message: str) -> None:
    known = {"transform": Transform.PROJECTION, "coder": Coder.HUFFMAN, "components": 8}
    with pytest.raises(ValueError, match=message):
        FrameConfig(8, 6, 6, **{**known, **given})


def test_a_projection_of_another_map_is_refused() -> None:
    rng = np.random.default_rng(7)
    coding = fitting_coding(rng, 8, Transform.PROJECTION)
    other = fitting_coding(rng, 8, Transform.PROJECTION)
    config = frame(coding, (8, 2, 2), Transform.PROJECTION)
    values = map_of(rng, config)
    data = encode(values, config, coding)
    with pytest.raises(ValueError, match="needs the projection"):
        decode(data)
    with pytest.raises(ValueError, match="has the id"):
        decode(data, other.tables)
    with pytest.raises(ValueError, match="needs a projection"):
        encode(values, config)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda p: p.stem)
def test_golden_vectors_are_encoded_and_decoded_as_ever(path: Path) -> None:
    vector = json.loads(path.read_text(encoding="utf-8"))
    config = FrameConfig(**vector["config"])
    tables = parse_projection(bytes.fromhex(vector["tables"]))
    forward = tuple(
        Affine.parse(bytes.fromhex(text), *inverse.matrix.shape[::-1])
        for text, inverse in zip(vector["forward"], tables.inverse, strict=True)
    )
    shape = (config.channels, config.height, config.width)
    kind = np.int8 if config.dtype == Dtype.INT8 else np.uint8
    values, decoded = (
        np.array(vector[name], kind).reshape(shape) for name in ("values", "decoded")
    )
    data = bytes.fromhex(vector["frame"])
    assert encode(values, config, ProjectionCoding(tables, forward)) == data
    np.testing.assert_array_equal(decode(data, tables), decoded)


def test_there_are_golden_vectors_of_both_transforms_modes_and_dtypes() -> None:
    heads = [parse_head(bytes.fromhex(json.loads(p.read_text())["frame"])) for p in GOLDEN]
    assert {h.config.transform for h in heads} == set(PROJECTIONS)
    assert {h.config.dtype for h in heads} == set(Dtype)
    assert {mode for h in heads for mode in h.modes.tolist()} == set(TileMode)
