"""Keep masks found on calibration pictures: coefficients that are worth their bits.

DCT-CM names masks and does not say how they are made, so this is ours: of a sample of blocks, bits
and squared error are found with each mask, and a coefficient is dropped as long as that lowers
``error + slope * bits``. The slope is what the quantiser itself pays at its step: with an error of
``step**2 / 12`` per coefficient, which a further bit divides by 4, ``2 ln 2 step**2 / 12`` per bit.
"""

import math
from dataclasses import replace

import numpy as np

from fmzip.format import BLOCK, STEP_PER_LSB, WIDTH_BITS, FrameConfig
from fmzip.reference import bitpack, dct, quantise
from fmzip.reference.bitpack import Packing

BLOCKS_PER_PICTURE = 512
_SLOPE = 2 * math.log(2) / 12


class BlockSample:
    """Some blocks of a layer, drawn at random from its maps.

    Parameters
    ----------
    seed : of the draws
    """

    def __init__(self, seed: int = 1) -> None:
        self._rng = np.random.default_rng(seed)
        self._parts: list[np.ndarray] = []

    def add(self, values: np.ndarray, zero_point: int) -> None:
        """Draw from one map: uint8 or int8 [C, H, W]."""
        channels = values.shape[0]
        blocks = -(-channels // BLOCK)
        at = self._rng.integers(blocks * values[0].size, size=BLOCKS_PER_PICTURE)
        block, pixel = np.divmod(at, values[0].size)
        lanes = BLOCK * block + np.arange(BLOCK)[:, None]
        drawn = values.reshape(channels, -1)[np.minimum(lanes, channels - 1), pixel]
        # Lanes without a channel hold the zero point.
        self._parts.append(np.where(lanes < channels, drawn.astype(np.int32) - zero_point, 0))

    def coefficients(self) -> np.ndarray:
        """Of all blocks: int32 [8, n], see ``dct.forward``."""
        return dct.forward(np.concatenate(self._parts, axis=1))


def worth_their_bits(sample: BlockSample, config: FrameConfig) -> FrameConfig:
    """The configuration with the mask that the sample asks for."""
    coefficients = sample.coefficients()
    symbols = quantise.quantise(coefficients, config.step)
    # In LSB squared, of each coefficient when it is kept, and when it is not.
    kept = _power(coefficients - symbols.astype(np.int64) * config.step)
    dropped = _power(coefficients)
    slope = _SLOPE * (config.step / STEP_PER_LSB) ** 2

    def cost(keep: int) -> float:
        flags = np.array([keep >> k & 1 for k in range(BLOCK)], bool)
        error = float(np.where(flags, kept, dropped).sum())
        return error + slope * _bits(symbols * flags[:, None], keep, config)

    keep = config.keep
    best = cost(keep)
    while True:
        candidates = [keep & ~(1 << k) for k in range(BLOCK) if keep >> k & 1]
        costs = {mask: cost(mask) for mask in candidates if mask}
        mask = min(costs, key=costs.__getitem__, default=keep)
        if not costs or costs[mask] >= best:
            return replace(config, keep=keep)
        keep, best = mask, costs[mask]


def _power(differences: np.ndarray) -> np.ndarray:
    """Sum of squares of each row, in LSB squared: float64 [8]."""
    return np.square(differences / STEP_PER_LSB).sum(axis=1)


def _bits(symbols: np.ndarray, keep: int, config: FrameConfig) -> int:
    """Bits of the blocks in a coded tile, but for padding."""
    packing = Packing(config.coder, keep, unsigned_first=config.unipolar)
    _, present, widths = bitpack.codes(symbols, packing)
    bits = WIDTH_BITS * len(widths)
    bits += int((bitpack.counts(present).astype(np.int64) * widths).sum())
    return bits + replace(config, keep=keep).bitmap_bits * int(np.count_nonzero(widths))
