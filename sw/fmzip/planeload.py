"""What a board is told of bit planes: words for the memories behind ``regs.PLANES``.

A board takes a position's values beat by beat, so a pixel's values are filled up to whole beats:
with values whose weights, integers and offsets are 0.
"""

import numpy as np

from fmzip.format import BLOCK, VALUE_PLANES, ceil_div, round_up
from fmzip.gf2 import PlaneEncoder, PlaneTables, Rule
from fmzip.regs import PlaneKind

PART_BITS = 32  # weights in a word
_WORD_INPUTS = VALUE_PLANES * BLOCK  # that a layer reads in a cycle

Words = tuple[PlaneKind, np.ndarray]  # memory, what is written from its begin


def _beats(of: np.ndarray, channels: int) -> np.ndarray:
    """Rows of values with each pixel filled up to whole beats: [rows, ...]."""
    pixels = of.reshape(-1, channels, *of.shape[1:])
    filled = np.zeros((len(pixels), round_up(channels, BLOCK), *of.shape[1:]), of.dtype)
    filled[:, :channels] = pixels
    return filled.reshape(-1, *of.shape[1:])


def _pairs(numbers: np.ndarray) -> np.ndarray:
    pairs = (numbers.astype(np.int64) & 0xFFF).reshape(-1, 2)
    return (pairs[:, 0] | pairs[:, 1] << 16).astype(np.uint32)


def encoder_words(encoder: PlaneEncoder, channels: int) -> list[Words]:
    """What an encoder is told.

    Parameters
    ----------
    channels : of the map
    """
    layer = encoder.layer
    stored = len(layer.weights)
    by_value = layer.weights.reshape(stored, -1, VALUE_PLANES).transpose(1, 0, 2)
    inputs = _beats(by_value, channels).transpose(1, 0, 2).reshape(stored, -1)
    passes = ceil_div(stored, BLOCK)
    weights = np.zeros((passes * BLOCK, inputs.shape[1]), np.int8)
    weights[:stored] = inputs
    # [pass, row, word, inputs] to [pass, word, row, sign, inputs], an input a bit.
    split = weights.reshape(passes, BLOCK, -1, _WORD_INPUTS).transpose(0, 2, 1, 3)
    signs = np.stack((split == 1, split == -1), axis=3)
    parts = np.packbits(signs, axis=-1, bitorder="little").view("<u4").ravel()
    # Planes behind the last one are 0.
    thresholds = np.full(passes * BLOCK, int(layer.rule == Rule.POPCOUNT), np.uint32)
    thresholds[:stored] = layer.thresholds.astype(np.int64) & 0xFFFF
    bias, top = (_beats(n.astype(np.int64), channels) for n in (encoder.bias, encoder.top))
    return [
        (PlaneKind.WEIGHTS, parts),
        (PlaneKind.THRESHOLDS, thresholds),
        (PlaneKind.RANGES, (bias & 0x1FF | top << 16).astype(np.uint32)),
        (PlaneKind.RULE, np.array([layer.rule == Rule.XOR], np.uint32)),
    ]


def decoder_words(tables: PlaneTables, channels: int, adders: int) -> list[Words]:
    """What a decoder is told, of tables without a layer.

    Parameters
    ----------
    channels : of the map
    adders : of the board
    """
    assert tables.layer is None
    matrix, offset = (_beats(n, channels) for n in (tables.sums.matrix, tables.sums.offset))
    integers = np.zeros((len(matrix), round_up(tables.stored, adders)), np.int64)
    integers[:, : tables.stored] = matrix
    return [
        (PlaneKind.INTEGERS, _pairs(integers)),
        (PlaneKind.OFFSETS, offset.astype("<i4").view(np.uint32)),
        (PlaneKind.SHIFT, np.array([tables.sums.shift], np.uint32)),
    ]
