"""Projections of maps onto their principal components, made on calibration pictures.

Source: Chmiel et al., Feature Map Transform Coding, arXiv 1905.10830: covariance of the values of a
position, one step for all components, so that small ones get few levels, and a correction of what
the reconstruction's mean is off by. Theirs finds the range of the symbols on every batch; here all
is static. Where the map has a ReLU behind it, the mean that is set right is the one behind it.
Ours, too, is which components are dead: those that hardly ever give a symbol but 0.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from fmzip import codebooks
from fmzip.format import (
    CODEBOOK_BYTES,
    HUFFMAN_ESCAPE,
    HUFFMAN_TOKENS,
    POSITION_SIDE,
    PROJECTION_INPUTS_MAX,
    PROJECTION_SHIFT_MAX,
    Coder,
    FrameConfig,
    Transform,
    default_projection_tile,
)
from fmzip.projection import ENTRY_MAX, Affine, Projection, ProjectionCoding
from fmzip.reference import huffman
from fmzip_models.in_loop import FakeQuantiser
from fmzip_models.maps import Map
from fmzip_models.projecting import ProjectionLoop, columns
from fmzip_models.quantise import Scale

# Standard deviation, in steps, below which a component is dead: it would give a symbol but 0 once
# in twenty times, and still takes a bit each time.
DEAD = 0.25
_WIDE = 512  # values of a position of 2 x 2 pixels that suits a map
_OFFSET_MAX = 2**31 - 1
EachMap = Callable[[Callable[[Map, torch.Tensor], None]], None]


@dataclass(frozen=True)
class Shape:
    """What a position is, and how many products.

    Parameters
    ----------
    transform : one of ``format.PROJECTIONS``
    groups : of channels, each with a matrix of its own
    """

    transform: Transform
    groups: int = 1

    @property
    def side(self) -> int:
        """Rows and columns of a position."""
        return POSITION_SIDE[self.transform]

    def fits(self, m: Map) -> bool:
        """True where a map can be cut so."""
        channels = m.shape[0]
        inputs = channels * self.side**2 // self.groups
        return channels % self.groups == 0 and inputs <= PROJECTION_INPUTS_MAX


def shape_for(m: Map, side: int, groups: int) -> Shape:
    """The nearest shape that suits a map: fewer groups, smaller positions.

    Positions of 2 x 2 pixels suit it where rows and columns are even, since half positions are
    coded whole, and where there are few channels: wide maps are small, and have too few positions
    to tell how the values of four pixels are correlated.
    """
    channels, height, width = m.shape
    count = max(g for g in range(1, groups + 1) if channels % g == 0)
    for transform in (Transform.PROJECTION4, Transform.PROJECTION):
        shape = Shape(transform, count)
        suits = shape.side == 1 or (
            height % 2 == width % 2 == 0 and shape.side**2 * channels <= _WIDE * count
        )
        if shape.side <= side and shape.fits(m) and suits:
            return shape
    per_group = -(-channels // PROJECTION_INPUTS_MAX)
    count = next(g for g in range(max(count, per_group), channels + 1) if channels % g == 0)
    return Shape(Transform.PROJECTION, count)


class Moments:
    """Sums over the positions of a map: means and covariances of their values.

    Parameters
    ----------
    shape : of a position
    """

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self._count = 0
        self._sum: torch.Tensor | None = None
        self._square: torch.Tensor | None = None

    def add(self, values: torch.Tensor) -> None:
        """Count a batch: float64 [n, C, H, W], relative to the zero point."""
        inputs = columns(values, self.shape.transform, self.shape.groups)
        flat = inputs.permute(1, 2, 0, 3).flatten(2)  # group, value | position
        total, square = flat.sum(2), flat @ flat.transpose(1, 2)
        self._count += flat.shape[2]
        self._sum = total if self._sum is None else self._sum + total
        self._square = square if self._square is None else self._square + square

    def components(self) -> "Components":
        """Principal components of each group, the largest first.

        Where there are few positions for many values, directions that did not occur look dead. So
        variances are drawn towards their mean, by as much as there are values for each position.
        """
        assert self._sum is not None
        assert self._square is not None
        mean = self._sum / self._count
        covariance = self._square / self._count - mean[:, :, None] * mean[:, None]
        variance, vectors = torch.linalg.eigh(covariance)
        share = variance.shape[1] / (variance.shape[1] + self._count)
        drawn = (1 - share) * variance + share * variance.mean(1, keepdim=True)
        return Components(
            mean.cpu().numpy(),
            drawn.flip(1).clamp(min=0).cpu().numpy(),
            vectors.flip(2).transpose(1, 2).cpu().numpy(),
        )


@dataclass(frozen=True, eq=False)
class Components:
    """Principal components of the groups of a position.

    Members
    -------
    mean : float64 [groups, values]
    variance : float64 [groups, values], of each component, not ascending
    vectors : float64 [groups, components, values], values to components
    back : float64 [groups, values, components], the inverse; None where vectors are orthonormal
    """

    mean: np.ndarray
    variance: np.ndarray
    vectors: np.ndarray
    back: np.ndarray | None = None

    def weighted(self, weights: np.ndarray, even: float) -> "Components":
        """Components in whose units all errors matter alike.

        The best transform for squared errors with such weights is that of values that are
        multiplied with the root of the weights. The mean weight is one, so that a step of
        quantisation stays comparable.

        Parameters
        ----------
        weights : float64 [groups, values, values], of products of errors; positive semidefinite
        even : weight of plain squared errors that is added, of the mean one: weights that were
            found on few pictures say that some directions do not matter at all
        """
        found = []
        for variance, vectors, own in zip(self.variance, self.vectors, weights, strict=True):
            values = len(own)
            mean = np.trace(own) / values
            level = even * mean if mean > 0 else 1.0
            powers, axes = np.linalg.eigh(own + level * np.eye(values))
            root = np.sqrt(np.maximum(powers, level / 2) / (mean + level))
            there, back = (axes * root) @ axes.T, (axes / root) @ axes.T
            covariance = there @ (vectors.T * variance) @ vectors @ there
            variance, axes = np.linalg.eigh(covariance)
            axes = axes[:, ::-1]
            found.append((variance[::-1].clip(min=0), axes.T @ there, back @ axes))
        return Components(self.mean, *(np.stack(part) for part in zip(*found, strict=True)))

    def kept(self, step: float, dead: float = DEAD, explained: float = 1.0) -> list[int]:
        """How many components of each group are kept, at least one.

        Parameters
        ----------
        step : of quantisation
        dead : components with a smaller standard deviation, in steps, are left out
        explained : the largest that together have this share of all variance are enough
        """
        alive = (np.sqrt(self.variance) > dead * step).sum(axis=1)
        flat = np.sort(self.variance.ravel())[::-1]
        share = np.cumsum(flat) / max(flat.sum(), 1e-30)
        last = flat[min(int(np.searchsorted(share, explained)), len(flat) - 1)]
        enough = (self.variance >= last).sum(axis=1)
        return np.maximum(1, np.minimum(alive, enough)).tolist()

    def linear(self, step: float, kept: Sequence[int]) -> "Linear":
        """Projection onto so many components of each group, in steps, and back."""
        forward = [v[:k] / step for v, k in zip(self.vectors, kept, strict=True)]
        back = self.vectors.transpose(0, 2, 1) if self.back is None else self.back
        inverse = [b[:, :k] * step for b, k in zip(back, kept, strict=True)]
        means = [mean.copy() for mean in self.mean]
        offsets = [-f @ m for f, m in zip(forward, means, strict=True)]
        return Linear(forward, offsets, inverse, means)


@dataclass(eq=False)
class Linear:
    """A projection before its numbers are integers, for each group of channels.

    Members
    -------
    forward, forward_offset : float64 [components, values], [components]: values to symbols
    inverse, inverse_offset : float64 [values, components], [values]: back
    """

    forward: list[np.ndarray]
    forward_offset: list[np.ndarray]
    inverse: list[np.ndarray]
    inverse_offset: list[np.ndarray]

    @property
    def affines(self) -> tuple[tuple[Affine, ...], tuple[Affine, ...]]:
        """With integers, forward and back."""
        forward = map(integers, self.forward, self.forward_offset)
        inverse = map(integers, self.inverse, self.inverse_offset)
        return tuple(forward), tuple(inverse)


def integers(matrix: np.ndarray, offset: np.ndarray) -> Affine:
    """The nearest integer matrix, with as many bits behind the point as fit, rounding to nearest.

    Parameters
    ----------
    matrix, offset : float64 [outputs, inputs], [outputs]
    """
    largest = max(float(np.abs(matrix).max()), 1e-9)
    shift = int(np.clip(np.floor(np.log2((ENTRY_MAX + 0.5) / largest)), 0, PROJECTION_SHIFT_MAX))
    while shift and (np.abs(offset).max() + 1) * 2.0**shift > _OFFSET_MAX:
        shift -= 1
    entries = np.clip(np.rint(matrix * 2.0**shift), -ENTRY_MAX, ENTRY_MAX)
    half = 2.0 ** (shift - 1) if shift else 0.0
    offsets = np.clip(np.rint(offset * 2.0**shift + half), -_OFFSET_MAX, _OFFSET_MAX)
    return Affine(entries.astype(np.int16), offsets.astype(np.int32), shift)


def frame_of(m: Map, scale: Scale, projection: Projection, transform: Transform) -> FrameConfig:
    """Frames of a map."""
    rows, cols = default_projection_tile(*m.shape, transform)
    return FrameConfig(
        *m.shape, scale.dtype, scale.zero_point, rows, cols, transform=transform,
        coder=Coder.HUFFMAN, tables=projection.id, components=projection.components,
    )  # fmt: skip


class Fit:
    """Finds the codebooks of a projection and sets the mean of its reconstruction right.

    Parameters
    ----------
    m, scale : the map
    shape : of a position
    linear : the projection
    most : codebooks that there may be, see ``codebooks.make_codebooks``
    """

    def __init__(self, m: Map, scale: Scale, shape: Shape, linear: Linear, most: int = 16) -> None:
        self._m, self._scale, self._shape, self._most = m, scale, shape, most
        forward, inverse = linear.affines
        components = sum(len(f.matrix) for f in forward)
        # Until symbols have been counted: one codebook, with nothing but the escape.
        lengths = np.zeros((1, HUFFMAN_TOKENS), np.uint8)
        lengths[0, HUFFMAN_ESCAPE] = 1
        blank = Projection(inverse, lengths, np.zeros(components, np.uint8))
        self._coding = ProjectionCoding(blank, forward)
        self._config = frame_of(m, scale, blank, shape.transform)
        self._loop = ProjectionLoop(self._config, self._coding)
        self._counts = np.zeros((components, HUFFMAN_TOKENS), np.int64)
        self._maps = 0
        self._missing = np.zeros(m.shape[0])
        self._open = np.zeros(m.shape[0])

    def __call__(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Count a batch in the loop, see ``in_loop.InLoopCodec``; it is sized when all are counted.

        Parameters
        ----------
        values : integers, uint8 or int8 [n, C, H, W]
        """
        symbols = self._loop.symbols(values)
        wide = symbols.permute(1, 0, 2).flatten(1).cpu().numpy()
        self._counts += codebooks.count_tokens(huffman.tokens_of(huffman.numbers_of(wide)))
        self._maps += len(values)
        zero = self._config.zero_point
        low, high = (limit - zero for limit in self._config.value_range)
        before = values.to(torch.float64) - zero
        after = self._loop.values(symbols, values.shape).clamp(low, high)
        if self._m.relu:
            before, after = before.clamp(min=0), after.clamp(min=0)
            self._open += (after > 0).sum((0, 2, 3)).cpu().numpy()
        else:
            self._open += after.numel() / len(self._open)
        self._missing += (before - after).sum((0, 2, 3)).cpu().numpy()
        decoded = (after + zero).to(torch.int16).to(values.dtype)
        return decoded, torch.zeros(len(values), dtype=torch.int64)

    @property
    def bits_per_value(self) -> float:
        """Bits of all symbols and codebooks, without heads and padding."""
        lengths, books = codebooks.make_codebooks(self._counts, self._maps, self._most)
        tokens = np.where(lengths > 0, lengths, 0)[books] + codebooks.FOLLOWING_BITS
        size = 8 * self._maps * (len(lengths) * CODEBOOK_BYTES + len(books) / 2)
        return float((self._counts * tokens).sum() + size) / (self._maps * self._m.values)

    def rises(self) -> np.ndarray:
        """What offsets have to rise by to set the mean right: float64 [groups, values], in LSB."""
        # What a channel's offset has to rise by: only what is above zero rises with it.
        enough = self._open > 0.05 * self._open.max(initial=1.0)
        rise = np.where(enough, self._missing / np.maximum(self._open, 1), 0.0)
        per_group = rise.reshape(self._shape.groups, 1, -1)
        rises = np.repeat(per_group, self._shape.side**2, axis=1)
        return rises.reshape(self._shape.groups, -1)

    def finish(self, raised: bool = True) -> tuple[FrameConfig, ProjectionCoding]:
        """Frames and coding of the map.

        Parameters
        ----------
        raised : set the mean of what comes back right
        """
        lengths, books = codebooks.make_codebooks(self._counts, self._maps, self._most)
        inverse = self._coding.tables.inverse
        if raised:
            inverse = tuple(
                Affine(a.matrix, a.offset + np.rint(r * 2.0**a.shift).astype(np.int32), a.shift)
                for a, r in zip(inverse, self.rises(), strict=True)
            )
        projection = Projection(inverse, lengths, books)
        coding = ProjectionCoding(projection, self._coding.forward)
        return frame_of(self._m, self._scale, projection, self._shape.transform), coding


def moments(
    maps: Sequence[Map], scales: Mapping[str, Scale], shapes: Mapping[str, Shape], each: EachMap
) -> dict[str, Components]:
    """Components of some maps, by their names.

    Parameters
    ----------
    maps : those
    scales, shapes : of each of them, by its name
    each : calls a function with all maps of some pictures, float32 [n, C, H, W], in front of ReLUs
    """
    found = {m.name: Moments(shapes[m.name]) for m in maps}
    quantisers = {m.name: FakeQuantiser(scales[m.name]) for m in maps}

    def add(m: Map, values: torch.Tensor) -> None:
        if m.name not in found:
            return
        codes = quantisers[m.name].round(values)
        found[m.name].add(codes.to(torch.float64).sub_(scales[m.name].zero_point))

    each(add)
    return {name: m.components() for name, m in found.items()}
