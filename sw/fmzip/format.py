"""The frame format as tables: one definition for reference, gateware, driver and documents.

``docs/format.md`` is the normative text; the tables in it are generated from this module (``make
docs``), and a test compares them. Standard library only: the gateware imports this file too.

A frame is one coded feature map::

    head    header | configuration | totals | tile index | zeros to the burst, ending in a CRC-32
    tiles   each padded with zeros to the burst

All integers are little-endian. Bits are numbered from the least significant bit of the first byte.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import NamedTuple

MAGIC = 0x465A4D46  # b"FMZF"
VERSION = 1

BLOCK = 8  # values that one transform sees
SECTION_BYTES = 8  # the sections of a coded tile begin at multiples of this
WIDTH_BITS = 4  # one width per block
WIDTH_MAX = 11  # two's complement bits of the widest symbol
SYMBOL_MAX = 2 ** (WIDTH_MAX - 1) - 1  # no input gives a symbol beyond: |y| / STEP_MIN <= 1020

# Forward: coefficient = DCT8 @ value, no rounding, at most 18 bits. The rows have a norm of 2**7.5
# (within 0.05 %), so a step of 1 LSB of an orthonormal transform is STEP_PER_LSB.
# Source: the 8-point matrix of ITU-T H.265, 8.6.4.2.
DCT8 = (
    (64, 64, 64, 64, 64, 64, 64, 64),
    (89, 75, 50, 18, -18, -50, -75, -89),
    (83, 36, -36, -83, -83, -36, 36, 83),
    (75, -18, -89, -50, 50, 89, 18, -75),
    (64, -64, -64, 64, 64, -64, -64, 64),
    (50, -89, 18, 75, -75, -18, 89, -50),
    (36, -83, 83, -36, -36, 83, -83, 36),
    (18, -50, 75, -89, 89, -75, 50, -18),
)
STEP_PER_LSB = 2**7.5
STEP_MIN = 128
STEP_MAX = 0xFFFF
# Division by the step: symbol = (y * multiplier(step) + 2**22) >> 23.
MULTIPLIER_BITS = 17
QUANT_SHIFT = 23

# Inverse: c = clamp((symbol * step + 2**4) >> 5), value = (DCT8^T @ c + 2**9) >> 10.
DEQUANT_SHIFT = 5
DEQUANT_BITS = 13  # c is clamped to this signed width
INVERSE_SHIFT = 10

# The coder RANS. Its steps are in units of 1 / RANS_STEP_PER_LSB; v has RANS_FRACTION_BITS bits
# behind the point: v = (Y * rans_multiplier + 2**7) >> 8.
RANS_STEP_PER_LSB = 64
RANS_STEP_MIN = 64
RANS_FRACTION_BITS = 8
RANS_QUANT_SHIFT = 22  # rans_multiplier = round(2**22 / step), at most 17 bits
WEIGHT_BITS = 4  # of an error that is passed on, in units of 1 / 16
CLASS_STARTS = (0, 1, 2, 3, 4, 6, 9, 15)  # smallest magnitude of each class
CLASSES = len(CLASS_STARTS)
CONTEXTS = CLASSES**3  # of a plane: classes W, N and X
TOKENS = 32
ESCAPE = TOKENS - 1  # the token whose symbol is in the escape section
STATISTICS_MAX = 32
TOTAL_BITS = 8  # the frequencies of a statistic add up to 2**8
STATE_SETS = 10  # slot t uses set t mod 10: what a pipeline needs to close its loop
STATE_BYTES = 2
STATE_MIN = 1 << TOTAL_BITS  # a state is 2**8 to 2**16 - 1, and renormalised byte by byte
ESCAPES_MAX = 4095  # of a tile
PRICE_PER_BIT = 16
# A state has as few as 8 bits, so that a symbol may cost more than it is worth: half a bit more on
# average in the worst sequence of symbols, nothing in others. With it in the price no coded tile
# is larger than a raw one, whatever the tables.
PRICE_MARGIN = PRICE_PER_BIT // 2

# The coder HUFFMAN: components of a position, each a product of its values with a row of a matrix.
PROJECTION_BITS = 12  # of the entries of both matrices, two's complement
PROJECTION_INPUTS_MAX = 2048  # values, or components, of one product
PROJECTION_SHIFT_MAX = 31
COMPONENT_BITS = 11  # of a symbol, as the number u
COMPONENT_MAX = 2 ** (COMPONENT_BITS - 1) - 1  # magnitude of a symbol
SUM_BITS = 34  # signed: no sum of products and offset is wider, whatever the matrix
HUFFMAN_EXACT_BITS = 5  # numbers below 2**5 are tokens; above, each half of an octave is one
HUFFMAN_ESCAPE = 2**HUFFMAN_EXACT_BITS + 2 * (COMPONENT_BITS - HUFFMAN_EXACT_BITS)  # then u itself
HUFFMAN_TOKENS = HUFFMAN_ESCAPE + 1
CODEBOOK_BYTES = (HUFFMAN_TOKENS + 1) // 2
CODE_BITS_MAX = 15  # of a token
CODEBOOKS_MAX = 16

# Bit planes, of the coder GF2 and of HUFFMAN behind it. Integers that planes are added up to are
# those of PROJECTION_BITS.
VALUE_PLANES = 8  # of a value
STORED_PLANES_MAX = 2048  # of a position
THRESHOLD_BITS = 16  # two's complement; a sum of 16384 planes at most
GROUP_PLANES_MAX = HUFFMAN_EXACT_BITS  # planes of a symbol where they are coded further


class Dtype(IntEnum):
    """Type of a stored value."""

    UINT8 = 0
    INT8 = 1


class Transform(IntEnum):
    """Transform of a block, which also fixes the block's shape."""

    DCT8 = 1  # 8-point integer DCT over 8 channels of one pixel
    # Those of the coder RANS: what a position is, and in how many planes its symbols are coded.
    BYPASS = 2  # a pixel, one plane
    NIBBLES = 3  # a pixel, the upper and the lower four bits of its symbols
    WHT4 = 4  # 2 x 2 pixels, the four coefficients of a Walsh-Hadamard transform
    # Those of the coder HUFFMAN: what a position is.
    PROJECTION = 5  # a pixel, all its channels times a matrix
    PROJECTION4 = 6  # 2 x 2 pixels, the same
    # Those of the coder GF2, and of HUFFMAN behind it: what a position is.
    BITS = 7  # a pixel, the bit planes of all its channels through a binary layer
    BITS4 = 8  # 2 x 2 pixels, the same


class Coder(IntEnum):
    """How the symbols of a block are packed."""

    WIDTH = 1  # one width for the block, every kept symbol
    BITMAP = 2  # one width for the block, zero flags, the symbols that are not zero
    RANS = 3  # asymmetric numeral system with static tables per layer and context
    HUFFMAN = 4  # canonical Huffman codes, static for each component of a layer
    GF2 = 5  # the planes that a binary layer makes, a bit each


BLOCK_CODERS = (Coder.WIDTH, Coder.BITMAP)  # those of sections 4 to 7
RANS_TRANSFORMS = (Transform.BYPASS, Transform.NIBBLES, Transform.WHT4)
PROJECTIONS = (Transform.PROJECTION, Transform.PROJECTION4)
BIT_TRANSFORMS = (Transform.BITS, Transform.BITS4)
PLANES = {Transform.BYPASS: 1, Transform.NIBBLES: 2, Transform.WHT4: 4}  # of symbols
POSITION_SIDE = {
    Transform.BYPASS: 1,
    Transform.NIBBLES: 1,
    Transform.WHT4: 2,
    Transform.PROJECTION: 1,
    Transform.PROJECTION4: 2,
    Transform.BITS: 1,
    Transform.BITS4: 2,
}  # in pixels


_TRANSFORMS = {
    Coder.WIDTH: (Transform.DCT8,),
    Coder.BITMAP: (Transform.DCT8,),
    Coder.RANS: RANS_TRANSFORMS,
    Coder.HUFFMAN: PROJECTIONS + BIT_TRANSFORMS,
    Coder.GF2: BIT_TRANSFORMS,
}


class TileMode(IntEnum):
    """How one tile is stored."""

    CODED = 0
    RAW = 1  # the values themselves; chosen where coding would not save a burst


class Field(NamedTuple):
    """One little-endian unsigned field of the head: byte offset and size."""

    name: str
    offset: int
    size: int
    meaning: str

    @property
    def bits(self) -> slice:
        """The field's bits, counted from bit 0 of byte 0."""
        return slice(8 * self.offset, 8 * (self.offset + self.size))


def _layout(*rows: tuple[str, int, str]) -> tuple[Field, ...]:
    table, offset = [], 0
    for name, size, meaning in rows:
        table.append(Field(name, offset, size, meaning))
        offset += size
    return tuple(table)


HEAD = _layout(
    ("magic", 4, f"{MAGIC:#010x}, the bytes `FMZF`"),
    ("version", 1, f"{VERSION}"),
    ("dtype", 1, "0: uint8, 1: int8"),
    ("zero_point", 1, "the stored value that means zero, in the type `dtype`"),
    ("burst_log2", 1, "log2 of the DRAM burst in bytes, 3 to 8"),
    ("channels", 2, "C, 1 to 65535"),
    ("height", 2, "H, 1 to 65535"),
    ("width", 2, "W, 1 to 65535"),
    ("tile_rows", 2, "rows of a tile, 1 to H"),
    ("tile_cols", 2, "columns of a tile, 1 to W"),
    ("config_bytes", 2, "size of the configuration that follows `tiles`: 8"),
    ("tiles", 4, "number of tiles, ceil(H / tile_rows) * ceil(W / tile_cols)"),
    ("transform", 1, "1: DCT-8 over channels; 2: bypass, 3: nibbles, 4: WHT of 2 x 2 pixels; "
     "5: projection of a pixel, 6: of 2 x 2 pixels; 7: bit planes of a pixel, 8: of 2 x 2 pixels"),
    ("coder", 1, "1: width, 2: bitmap, with transform 1; 3: rANS, with 2 to 4; 4: Huffman, with 5 "
     "to 8; 5: GF(2), with 7 and 8"),
    ("options", 1, "bit 0: zero bitmap; other bits 0"),
    ("keep", 1, "bit k set: coefficient k is kept; not 0"),
    ("step", 2, "quantisation step, 128 to 65535 in units of 2**-7.5 LSB; section 10: 64 to 65535; "
     "section 11: number of components; section 12: number of stored planes"),
    ("tables", 2, "low 16 bits of the CRC-32 of the tables; 0 where there are none"),
    ("payload_bursts", 4, "size of all tiles, in bursts"),
    ("tiles_crc", 4, "CRC-32 of all tiles, padding included"),
)  # fmt: skip
FIELD = {f.name: f for f in HEAD}
# What is known before the first value is coded; the two totals behind it are not.
STATIC_BYTES = FIELD["payload_bursts"].offset
INDEX_OFFSET = HEAD[-1].offset + HEAD[-1].size
CONFIG_BYTES = STATIC_BYTES - FIELD["transform"].offset
OPTION_ZERO_BITMAP = 1

INDEX_BYTES = 4  # one entry per tile: where it starts, in bursts behind the head, and its mode
INDEX_OFFSET_BITS = 30
PAYLOAD_BURSTS_MAX = 1 << INDEX_OFFSET_BITS  # so that the index reaches every tile
CRC_BYTES = 4  # the last bytes of the head: CRC-32 of all bytes before them

# The DRAM burst where the user names none: 16 bits by 16 transfers.
DEFAULT_BURST_LOG2 = 5
DEFAULT_BURST_BYTES = 1 << DEFAULT_BURST_LOG2

# The tile that is chosen where the user chooses none: whole rows, about TILE_BLOCKS_AIM blocks.
TILE_BLOCKS_AIM = 512
TILE_BLOCKS_MAX = 1920  # what the gateware's tile buffers hold as built by default
# The same of the coder RANS, in slots: its states cost 120 bytes a tile, so tiles are large.
TILE_SLOTS_MAX = 7680
ROW_SLOTS_MAX = 2048
TILE_SYMBOLS_AIM = 15_360  # of the coder HUFFMAN, were there a component for each value
POSITION_SLOTS_MAX = 1024


def ceil_div(a: int, b: int) -> int:
    """Smallest integer that is not below ``a / b``."""
    return -(-a // b)


def round_up(a: int, multiple: int) -> int:
    """Smallest multiple of ``multiple`` that is not below ``a``."""
    return ceil_div(a, multiple) * multiple


def multiplier(step: int) -> int:
    """Multiplier (17 bits, unsigned) that stands for a division by ``step`` in the encoder.

    ``symbol = (coefficient * multiplier + 2**22) >> 23``, an arithmetic shift: ties go towards
    plus infinity, for negative coefficients too.
    """
    return ((1 << QUANT_SHIFT) + step // 2) // step


def rans_multiplier(step: int, transform: Transform) -> int:
    """Multiplier (17 bits, unsigned) that stands for a division by ``step`` with the coder RANS.

    ``v = (Y * multiplier + 2**7) >> 8`` is the coefficient in steps, with 8 bits behind the point.
    """
    # The coefficients of WHT4 are twice those of an orthonormal transform.
    shift = RANS_QUANT_SHIFT - (transform == Transform.WHT4)
    return ((1 << shift) + step // 2) // step


def price(frequency: int) -> int:
    """What a token of a frequency (1 to 255 of 256) costs at most, in 1/16 bit: 8 to 136.

    ``16 * (8 - log2(frequency))`` to the nearest integer, without a float, and ``PRICE_MARGIN``.
    """
    return (257 - (frequency**32).bit_length()) // 2 + PRICE_MARGIN


def default_rans_tile(
    channels: int,
    height: int,
    width: int,
    transform: Transform,
    slots_max: int = TILE_SLOTS_MAX,
) -> tuple[int, int]:
    """Rows and columns of a tile of the coder RANS where the user gives none.

    Bands of about equal height, as few as the gateware's buffers allow: ``slots_max`` in a tile.
    """
    side, planes = POSITION_SIDE[transform], PLANES[transform]
    slots = planes * ceil_div(channels, BLOCK)
    rows, cols = ceil_div(height, side), ceil_div(width, side)
    across = max(1, min(cols, ROW_SLOTS_MAX // slots))
    across = ceil_div(cols, ceil_div(cols, across))
    down = max(1, min(rows, slots_max // (slots * across)))
    down = ceil_div(rows, ceil_div(rows, down))
    return min(height, side * down), min(width, side * across)


def default_projection_tile(
    channels: int, height: int, width: int, transform: Transform
) -> tuple[int, int]:
    """Rows and columns of a tile of the coder HUFFMAN where the user gives none.

    Bands of whole rows and about equal height.
    """
    side = POSITION_SIDE[transform]
    rows = ceil_div(height, side)
    row_symbols = channels * side**2 * ceil_div(width, side)
    down = max(1, min(rows, TILE_SYMBOLS_AIM // row_symbols))
    down = ceil_div(rows, ceil_div(rows, down))
    return min(height, side * down), width


def default_bits_tile(
    channels: int, height: int, width: int, transform: Transform, coder: Coder
) -> tuple[int, int]:
    """Rows and columns of a tile of bit planes where the user gives none.

    Of the coder GF2 always the whole map: every position is found without an index.
    """
    if coder == Coder.GF2:
        return height, width
    return default_projection_tile(channels, height, width, transform)


def default_tile(channels: int, height: int, width: int) -> tuple[int, int]:
    """Rows and columns of the tile that is used where the user gives none.

    Whole rows as long as one row has at most ``TILE_BLOCKS_MAX`` blocks, several where rows are
    short. Small tiles make random access cheap, large ones make index and padding cheap.
    """
    per_pixel = ceil_div(channels, BLOCK)
    cols = max(1, min(width, TILE_BLOCKS_MAX // per_pixel))
    rows = max(1, min(height, TILE_BLOCKS_AIM // (per_pixel * cols))) if cols == width else 1
    return rows, cols


class Tile(NamedTuple):
    """Place of one tile in the map: pixel rows ``row .. row + rows - 1``, columns alike."""

    row: int
    col: int
    rows: int
    cols: int

    @property
    def row_slice(self) -> slice:
        return slice(self.row, self.row + self.rows)

    @property
    def col_slice(self) -> slice:
        return slice(self.col, self.col + self.cols)


@dataclass(frozen=True)
class FrameConfig:
    """Everything that is known of a frame before its values are coded.

    Parameters
    ----------
    channels, height, width : shape of the map, 1 to 65535 each
    dtype : type of the stored values
    zero_point : the stored value that means zero, in the range of ``dtype``
    tile_rows, tile_cols : size of a tile in pixels; a tile holds all channels
    burst_log2 : log2 of the DRAM burst in bytes, 3 to 8
    transform, coder : stages of the pipeline
    zero_bitmap : store which values are zero, so that zeros survive the transform
    keep : bit k set: coefficient k is kept
    step : quantisation step in units of ``1 / STEP_PER_LSB`` LSB, 128 to 65535; with the coder RANS
        in units of ``1 / RANS_STEP_PER_LSB`` LSB, 64 to 65535; with HUFFMAN and GF2 it is in the
        tables, and here 0
    tables : with the coders RANS, HUFFMAN and GF2, the id of the tables, see
        ``fmzip.tables.Tables``, ``fmzip.projection.Projection`` and ``fmzip.gf2.PlaneTables``
    components : of projections, symbols of a position, 1 to as many as it has values; of bit
        planes, how many of a position are stored, 1 to as many as it has, and 2048 at most

    Raises
    ------
    ValueError : a parameter is outside its range, or the map is larger than the index can reach
    TypeError : a parameter is not an integer
    """

    channels: int
    height: int
    width: int
    dtype: Dtype = Dtype.UINT8
    zero_point: int = 0
    tile_rows: int = 1
    tile_cols: int = 1
    burst_log2: int = DEFAULT_BURST_LOG2
    transform: Transform = Transform.DCT8
    coder: Coder = Coder.WIDTH
    zero_bitmap: bool = False
    keep: int = 0xFF
    step: int = 724
    tables: int = 0
    components: int = 0

    def __post_init__(self) -> None:
        for name, choices in (
            ("dtype", Dtype),
            ("transform", Transform),
            ("coder", Coder),
        ):
            value = getattr(self, name)
            if value not in list(choices):
                known = " or ".join(f"{c.value} ({c.name.lower()})" for c in choices)
                raise ValueError(f"{name} must be {known}, not {value!r}")
            object.__setattr__(self, name, choices(value))
        if self.counts_components:
            object.__setattr__(self, "step", 0)
        whole = self.rans or self.counts_components
        for name, low, high in (
            ("channels", 1, 0xFFFF),
            ("height", 1, 0xFFFF),
            ("width", 1, 0xFFFF),
            ("zero_point", *self.value_range),
            ("tile_rows", 1, self.height),
            ("tile_cols", 1, self.width),
            ("burst_log2", 3, 8),
            ("keep", 0xFF if whole else 1, 0xFF),
            ("step", *self._steps),
            ("tables", 0, 0xFFFF if whole else 0),
            ("components", *self._components),
        ):
            value = getattr(self, name)
            if not isinstance(value, int):
                raise TypeError(f"{name} must be an integer, not {value!r}")
            if not low <= value <= high:
                raise ValueError(f"{name} must be {low} to {high}, not {value}")
        if self.transform not in _TRANSFORMS[self.coder]:
            raise ValueError(
                f"coder {self.coder.name.lower()} does not take transform "
                f"{self.transform.name.lower()}"
            )
        if whole:
            self._check_positions()
        if self.max_payload_bursts > PAYLOAD_BURSTS_MAX:
            raise ValueError(
                f"the map is too large: {self.max_payload_bursts} bursts if not compressed, "
                f"the limit is {PAYLOAD_BURSTS_MAX}"
            )

    @property
    def _steps(self) -> tuple[int, int]:
        if self.counts_components:
            return 0, 0
        return (RANS_STEP_MIN if self.rans else STEP_MIN), STEP_MAX

    @property
    def _components(self) -> tuple[int, int]:
        if not self.counts_components:
            return 0, 0
        if self.of_planes:
            return 1, min(STORED_PLANES_MAX, VALUE_PLANES * self.position_values)
        return 1, min(0xFFFF, self.position_values)

    def _check_positions(self) -> None:
        if self.zero_bitmap:
            raise ValueError(f"coder {self.coder.name.lower()} has no zero bitmap")
        for name, side in (("tile_rows", self.height), ("tile_cols", self.width)):
            size = getattr(self, name)
            if self.gf2 and size != side:
                raise ValueError(f"{name} must be {side} with coder gf2, not {size}")
            if size % POSITION_SIDE[self.transform] and size != side:
                raise ValueError(
                    f"{name} must be even with transform {self.transform.name.lower()}, not {size}"
                )

    @property
    def rans(self) -> bool:
        """True where the coder is RANS."""
        return self.coder == Coder.RANS

    @property
    def huffman(self) -> bool:
        """True where the coder is HUFFMAN."""
        return self.coder == Coder.HUFFMAN

    @property
    def gf2(self) -> bool:
        """True where the coder is GF2: one tile of a known size, and no index."""
        return self.coder == Coder.GF2

    @property
    def of_planes(self) -> bool:
        """True where bit planes are stored, whatever codes them further."""
        return self.transform in BIT_TRANSFORMS

    @property
    def counts_components(self) -> bool:
        """True where the field ``step`` is the number of components, or of stored planes."""
        return self.huffman or self.gf2

    @property
    def value_range(self) -> tuple[int, int]:
        """Lowest and highest stored value."""
        return (-128, 127) if self.dtype == Dtype.INT8 else (0, 255)

    @property
    def unipolar(self) -> bool:
        """True where no value lies below the zero point, as after a ReLU."""
        return self.zero_point == self.value_range[0]

    @property
    def values(self) -> int:
        return self.channels * self.height * self.width

    @property
    def step_lsb(self) -> float:
        """Quantisation step in LSB of an orthonormal transform."""
        return self.step / (RANS_STEP_PER_LSB if self.rans else STEP_PER_LSB)

    @property
    def burst_bytes(self) -> int:
        return 1 << self.burst_log2

    @property
    def blocks_per_pixel(self) -> int:
        """Blocks of 8 channels; the last one is filled up with zeros."""
        return ceil_div(self.channels, BLOCK)

    @property
    def planes(self) -> int:
        """Planes of symbols of the coder RANS."""
        return PLANES[self.transform]

    @property
    def bitmap_bits(self) -> int:
        """Bits of the bitmap of a block that has a width: zero bitmap and flags of symbols."""
        flags = self.keep.bit_count() if self.coder == Coder.BITMAP else 0
        return flags + (BLOCK if self.zero_bitmap else 0)

    @property
    def tiles(self) -> int:
        return ceil_div(self.height, self.tile_rows) * ceil_div(self.width, self.tile_cols)

    @property
    def slots(self) -> int:
        """Beats of 8 that a codec takes for a frame: blocks, slots of RANS, or components."""
        if not self.rans and not self.counts_components:
            return self.height * self.width * self.blocks_per_pixel
        positions = self.positions(self.height, self.width)
        if self.of_planes:
            return positions * ceil_div(self.position_values, BLOCK)
        if self.huffman:
            return positions * ceil_div(self.components, BLOCK)
        return positions * self.planes * self.blocks_per_pixel

    @property
    def position_values(self) -> int:
        """Values of a position."""
        return self.channels * POSITION_SIDE.get(self.transform, 1) ** 2

    def positions(self, rows: int, cols: int) -> int:
        """Positions of so many rows and columns, see ``POSITION_SIDE``."""
        side = POSITION_SIDE.get(self.transform, 1)
        return ceil_div(rows, side) * ceil_div(cols, side)

    @property
    def tile_blocks(self) -> int:
        """Blocks of a full tile."""
        return self.tile_rows * self.tile_cols * self.blocks_per_pixel

    @property
    def head_bytes(self) -> int:
        """Size of the head: header, configuration, totals, index and CRC, padded to the burst."""
        return round_up(INDEX_OFFSET + self.index_bytes + CRC_BYTES, self.burst_bytes)

    @property
    def index_bytes(self) -> int:
        """Size of the tile index; the coder GF2 has none."""
        return 0 if self.gf2 else INDEX_BYTES * self.tiles

    @property
    def max_bytes(self) -> int:
        """No frame of this configuration is larger: the size when every tile is raw."""
        return self.head_bytes + self.max_payload_bursts * self.burst_bytes

    @property
    def max_payload_bursts(self) -> int:
        """Most bursts that all tiles can take."""
        # Not a sum over all tiles: a damaged head may claim 2**32 of them.
        rows, cols = (
            ((full, side // full), (side % full, 1))
            for side, full in ((self.height, self.tile_rows), (self.width, self.tile_cols))
        )
        return sum(
            many_rows * many_cols * ceil_div(self.raw_bytes(r, c), self.burst_bytes)
            for r, many_rows in rows
            for c, many_cols in cols
        )

    def raw_bytes(self, rows: int, cols: int) -> int:
        """Size of a raw tile of so many rows and columns, without padding to the burst."""
        if self.counts_components:
            bits = 1 if self.of_planes else COMPONENT_BITS
            return ceil_div(self.positions(rows, cols) * self.components * bits, 8)
        side = POSITION_SIDE.get(self.transform, 1)
        return round_up(rows, side) * round_up(cols, side) * self.channels

    def iter_tiles(self) -> Iterator[Tile]:
        """The tiles in the order in which they are stored: by rows, then by columns."""
        for row in range(0, self.height, self.tile_rows):
            rows = min(self.tile_rows, self.height - row)
            for col in range(0, self.width, self.tile_cols):
                yield Tile(row, col, rows, min(self.tile_cols, self.width - col))

    def static_head(self) -> bytes:
        """The first ``STATIC_BYTES`` bytes of the frame."""
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        given |= {
            "magic": MAGIC,
            "version": VERSION,
            "zero_point": self.zero_point & 0xFF,
            "config_bytes": CONFIG_BYTES,
            "tiles": self.tiles,
            "step": self.components if self.counts_components else self.step,
            "options": OPTION_ZERO_BITMAP if self.zero_bitmap else 0,
        }
        return b"".join(
            int(given[f.name]).to_bytes(f.size, "little") for f in HEAD if f.offset < STATIC_BYTES
        )
