"""The reference codec on batches of maps in PyTorch: decoded values and frame sizes, no bits.

Every result is the reference's, integer by integer and byte by byte, on any device. All arithmetic
is on integers; most of them are held in float32, which is exact here: each number that occurs,
partial sums in any order included, is a multiple of a power of two and below 2**24 of it.

    forward   y * multiplier + 2**22 is split into high * 2**11 + low, two matrix products of less
              than 2**24 each, since one product of 34 bits would not be exact
    inverse   |symbol * step| < 2**18, |DCT8^T @ c| < 2**21

Blocks are planar, ``[blocks, 8, pixels]``, which is how a map [C, H, W] lies in memory anyway. They
are worked on in chunks that stay in the processor's cache.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch

from fmzip.format import (
    BLOCK,
    DCT8,
    DEQUANT_BITS,
    DEQUANT_SHIFT,
    INVERSE_SHIFT,
    QUANT_SHIFT,
    SECTION_BYTES,
    Coder,
    FrameConfig,
    multiplier,
)
from fmzip_models.tiles import TileGrid

_LOW_BITS = 11  # of y * multiplier + 2**22 that are in the second matrix product
_CHUNK_VALUES = 1 << 17  # worked on at once: a few float32 arrays of them fit the cache
_FLOAT_BIAS = 126  # bit length of an integer x >= 1: exponent field of float32(x), less this
_DTYPES = (torch.uint8, torch.int8)  # indexed by format.Dtype


@contextmanager
def _exact_products() -> Iterator[None]:
    """Matrix products of float32 in float32: a user may have allowed TF32, which rounds."""
    backends = (torch.backends.cuda.matmul, torch.backends.mkldnn.matmul)  # type: ignore[attr-defined]
    before = [backend.fp32_precision for backend in backends]
    try:
        for backend in backends:
            backend.fp32_precision = "ieee"
        yield
    finally:
        for backend, precision in zip(backends, before, strict=True):
            backend.fp32_precision = precision


class Twin:
    """Encode and decode of all frames of one configuration.

    ``twin(values)`` takes uint8 or int8 [N, C, H, W] on ``device`` and returns what
    ``reference.decode(reference.encode(values[n]))`` gives, same dtype and shape, and
    ``len(reference.encode(values[n]))``, int64 [N].

    Parameters
    ----------
    config : of the frames
    device : where the maps are

    Raises (by a call)
    ------
    TypeError, ValueError : dtype or shape of the values differ from the configuration
    """

    def __init__(self, config: FrameConfig, device: torch.device | str = "cpu") -> None:
        self.config = config
        self.device = torch.device(device)
        self._grid = TileGrid(config, self.device)
        kept = [k for k in range(BLOCK) if config.keep >> k & 1]
        self._kept = len(kept)
        self._has_first = config.unipolar and kept[0] == 0  # symbol 0 is coded without a sign
        matrix = np.array(DCT8, np.int64)[kept]
        scaled = matrix * multiplier(config.step)
        # What is added to scaled @ values; the last lane of the input is always 1.
        constant = (1 << QUANT_SHIFT - 1) - config.zero_point * scaled.sum(axis=1)
        scaled = np.column_stack((scaled, constant))
        low = scaled & (1 << _LOW_BITS) - 1
        high = (scaled - low) >> _LOW_BITS
        high_shift = QUANT_SHIFT - _LOW_BITS
        self._forward = self._matrix(np.vstack((high, low)), [high_shift, _LOW_BITS])
        self._carry = 2.0**-high_shift
        self._rescale = config.step / (1 << DEQUANT_SHIFT)
        self._half = torch.tensor(0.5, device=self.device)
        self._limit = self._coefficient_limit()
        # The zero point is added by the constant lane, and 128 if signed: then truncation rounds
        # down. With a zero bitmap, the values are needed without it first.
        offset = 0 if config.zero_bitmap else config.zero_point - config.value_range[0]
        constant = np.full(BLOCK, (1 << INVERSE_SHIFT - 1) + (offset << INVERSE_SHIFT))
        inverse = np.column_stack((matrix.T, constant))
        self._inverse = self._matrix(inverse, [INVERSE_SHIFT])

    def _matrix(self, integers: np.ndarray, shifts: list[int]) -> torch.Tensor:
        """``integers >> shift`` without rounding, a shift for each equal part of the rows."""
        parts = np.split(integers.astype(np.float64), len(shifts))
        scaled = np.vstack([p * 2.0**-s for p, s in zip(parts, shifts, strict=True)])
        return torch.tensor(scaled, dtype=torch.float32, device=self.device)

    def _coefficient_limit(self) -> tuple[int, int] | None:
        """Limits of a dequantised coefficient, or None where no symbol gets there."""
        limit = 1 << (DEQUANT_BITS - 1)
        largest = int(np.abs(DCT8).sum(axis=1).max()) * 255
        symbol = (largest * multiplier(self.config.step) + (1 << QUANT_SHIFT - 1)) >> QUANT_SHIFT
        reached = (symbol * self.config.step + (1 << DEQUANT_SHIFT - 1)) >> DEQUANT_SHIFT
        return (-limit, limit - 1) if reached >= limit else None

    def __call__(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        config = self.config
        dtype, shape = _DTYPES[config.dtype], (config.channels, config.height, config.width)
        if values.dtype != dtype:
            raise TypeError(f"values must be {dtype}, not {values.dtype}")
        if values.ndim != 4 or values.shape[1:] != shape:
            expected = ", ".join(map(str, shape))
            raise ValueError(f"shape must be [N, {expected}], not {list(values.shape)}")
        padded = values.contiguous()
        if config.channels % BLOCK:
            lanes = config.blocks_per_pixel * BLOCK
            padded = values.new_full((len(values), lanes, *shape[1:]), config.zero_point)
            padded[:, : config.channels] = values
        pixels = config.height * config.width
        blocks = padded.view(-1, BLOCK, pixels)
        decoded = torch.empty_like(padded)
        widths = torch.empty(len(blocks), pixels, dtype=torch.float32, device=self.device)
        stored = torch.empty_like(widths)  # symbols of each block
        with _exact_products():
            self._chunks(blocks, decoded.view(-1, BLOCK, pixels), widths, stored)
        decoded = decoded[:, : config.channels]
        sizes, raw = self._sizes(widths, stored)
        if bool(raw.any()):
            decoded = torch.where(self._grid.pixels_of(raw), values, decoded)
        return decoded.contiguous(), sizes

    def _chunks(
        self, blocks: torch.Tensor, decoded: torch.Tensor,
        widths: torch.Tensor, stored: torch.Tensor,
    ) -> None:  # fmt: skip
        """Fill ``decoded``, and width and number of codes of each block, chunk by chunk."""
        n, _, pixels = blocks.shape
        per_chunk = n if self.device.type != "cpu" else max(1, _CHUNK_VALUES // (BLOCK * pixels))
        per_chunk = max(1, min(n, per_chunk))

        def rows(count: int) -> torch.Tensor:
            return torch.empty(per_chunk, count, pixels, device=self.device)

        source, split, back = rows(BLOCK + 1), rows(2 * self._kept), rows(self._kept + 1)
        lanes = rows(BLOCK)
        source[:, BLOCK] = 1
        back[:, self._kept] = 1
        for start in range(0, n, per_chunk):
            part = slice(start, min(n, start + per_chunk))
            m = part.stop - start
            values = blocks[part]
            source[:m, :BLOCK].copy_(values)
            torch.matmul(self._forward, source[:m], out=split[:m])
            high, low = split[:m, : self._kept], split[:m, self._kept :]
            symbols = high.add_(low.floor_(), alpha=self._carry).floor_()
            width, count = self._widths(symbols, low)
            widths[part] = width
            stored[part] = count
            # c = (symbol * step + 2**4) >> 5
            coefficients = back[:m, : self._kept]
            torch.add(self._half, symbols, alpha=self._rescale, out=coefficients).floor_()
            if self._limit is not None:
                coefficients.clamp_(*self._limit)
            result = torch.matmul(self._inverse, back[:m], out=lanes[:m])
            self._finish(result, values, width, decoded[part])

    def _widths(
        self, symbols: torch.Tensor, work: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Width of each block's codes and how many it has: float32 [m, pixels] each.

        Parameters
        ----------
        symbols : float32 [m, kept, pixels]
        work : of the same shape, is overwritten
        """
        if self.config.coder == Coder.BITMAP:
            # The code of s > 0 is s - 1, that of s < 0 is s: |s| - 1 has the bits of either.
            size = torch.abs(symbols, out=work)
            first = size[:, 0].clone() if self._has_first else None
            signed = _tree(torch.maximum, size[:, 1:] if self._has_first else size)
            need = 2 * signed - 1 if signed is not None else None
            if first is not None:
                # Without a sign: bits of s - 1, but at least one where s is not 0.
                alone = torch.maximum(first - 1, first.clamp(max=1))
                need = alone if need is None else torch.maximum(need, alone)
            assert need is not None
            count = _tree(torch.add, size.clamp_(max=1))
            assert count is not None
        else:
            # The code is s: bits of s, or of -s - 1 where it is negative, and the sign.
            rest = symbols[:, 1:] if self._has_first else symbols
            top, bottom = _tree(torch.maximum, rest), _tree(torch.minimum, rest)
            need = None
            if top is not None and bottom is not None:
                need = 2 * torch.maximum(top, -bottom - 1)
                need += (top != 0) | (bottom != 0)
            if self._has_first:
                need = symbols[:, 0] if need is None else torch.maximum(need, symbols[:, 0])
            assert need is not None
            count = torch.full_like(need, self._kept)
        # torch.frexp computes the same, several times slower.
        exponent = need.contiguous().view(torch.int32) >> 23
        return exponent.sub_(_FLOAT_BIAS).clamp_(min=0).float(), count

    def _finish(
        self, lanes: torch.Tensor, values: torch.Tensor, width: torch.Tensor, out: torch.Tensor
    ) -> None:
        """Values from the results of the inverse transform, float32 [m, 8, pixels]."""
        config = self.config
        low, high = config.value_range
        if config.zero_bitmap:
            lanes.floor_()
            if config.unipolar:  # then a value that is not zero is at least one above it
                lanes.clamp_(min=1)
            lanes.mul_((values != config.zero_point) & (width > 0).unsqueeze(1))
            lanes.add_(config.zero_point - low)
        lanes.clamp_(0, high - low)
        # By way of int16: several times faster than to 8 bits at once.
        short = lanes.to(torch.int16)
        out.copy_(short.add_(low) if low else short)

    def _sizes(
        self, widths: torch.Tensor, stored: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Bytes of each frame, int64 [N], and which tiles are raw, bool [N, rows, cols]."""
        config, grid = self.config, self._grid
        word = 8 * SECTION_BYTES
        values = _ceil_words(grid.sum(widths * stored), word)
        bits = config.bitmap_bits
        coded = grid.width_bytes + SECTION_BYTES * values
        if bits:
            coded += SECTION_BYTES * _ceil_words(bits * grid.sum(widths.clamp(max=1)), word)
        bursts = (coded + config.burst_bytes - 1) // config.burst_bytes
        raw = grid.raw_bursts <= bursts
        bursts = torch.minimum(bursts, grid.raw_bursts)
        return config.head_bytes + config.burst_bytes * bursts.sum(dim=(1, 2)), raw


def _ceil_words(bits: torch.Tensor, word: int) -> torch.Tensor:
    return (bits + (word - 1)) // word


def _tree(
    operation: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], lanes: torch.Tensor
) -> torch.Tensor | None:
    """All lanes of [m, lanes, pixels] as one, [m, pixels]; None without a lane.

    Halves are combined with each other: a reduction over a dimension that is not the last one is
    several times slower.
    """
    if lanes.shape[1] == 0:
        return None
    odd = []
    while (count := lanes.shape[1]) > 1:
        half = count // 2
        if count % 2:
            odd.append(lanes[:, -1])
        lanes = operation(lanes[:, :half], lanes[:, half : 2 * half])
    found = lanes[:, 0]
    for lane in odd:
        found = operation(found, lane)
    return found
