"""Where bit planes begin: which planes of which value are stored, and what they stand for.

Every value of a position has a range of ``2**k`` numbers above an offset, and of the k planes of
that range the b upper ones are stored. Range and offset are those of the least squared error that
the map's histogram has with b planes. The planes of all maps are given out where they lower the
expected divergence most for each bit: half of the squared error, times the mean square of the
gradient of the network's own answers (the Fisher information, diagonal), so without labels.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from fmzip.errors import FmzipError
from fmzip.format import POSITION_SIDE, STORED_PLANES_MAX, VALUE_PLANES, Transform
from fmzip.gf2 import BinaryLayer, PlaneEncoder, Rule
from fmzip_models.maps import Map
from fmzip_models.plane_loop import EncoderLoop
from fmzip_models.projecting import columns
from fmzip_models.quantise import Scale

_NUMBERS = np.arange(256.0)
_PHASES = (0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75)  # of a step, that an offset is tried at
_LATE = (0.25, 0.5, 0.75, 1.0, 1.5)  # the same below 0: where a dead zone pays
_THRESHOLDS = 32  # that a single plane is tried with
_RIDGE = 1e-5  # of the positions: planes that hardly change


@dataclass(frozen=True)
class Range:
    """How planes of a value are made: the ``planes`` upper ones of ``clamp(u + bias, 0, top)``."""

    width: int
    planes: int
    bias: int

    @property
    def top(self) -> int:
        return (1 << self.width) - 1

    def numbers(self) -> np.ndarray:
        """What the planes say of each number 0 to 255: int64 [256]."""
        clamped = np.clip(_NUMBERS + self.bias, 0, self.top).astype(np.int64)
        return clamped >> self.width - self.planes


def _ranges() -> list[Range]:
    found = []
    for width in range(1, VALUE_PLANES + 1):
        for planes in range(1, width + 1):
            step = 1 << width - planes
            biases = {round(step * p) for p in _PHASES}
            if planes <= 2:
                biases |= {-int(step * p) for p in _LATE}
            if planes == 1:
                every = max(1, (1 << width) // _THRESHOLDS)
                biases |= {t - (1 << width - 1) for t in range(1, 1 << width, every)}
            found += [Range(width, planes, b) for b in sorted(biases) if abs(b) < 256]
    return found


_RANGES = _ranges()
_SAID = np.stack([r.numbers() for r in _RANGES]).astype(np.float64)
_PLANES = np.array([r.planes for r in _RANGES])


@dataclass(frozen=True)
class Choices:
    """Of each channel of a map, the best range for each number of planes.

    Members
    -------
    error : float64 [channels, 9], squared error in LSB
    ranges : of each channel and number of planes, 1 to 8
    """

    error: np.ndarray
    ranges: tuple[tuple[Range, ...], ...]


def choices(counts: np.ndarray) -> Choices:
    """The best ranges.

    Parameters
    ----------
    counts : [channels, 256], how often each number above the lowest occurs
    """
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    mean, power = share @ _NUMBERS, share @ _NUMBERS**2
    said, said2 = share @ _SAID.T, share @ (_SAID**2).T
    both = (share * _NUMBERS) @ _SAID.T
    variance, covariance = said2 - said**2, both - said * mean[:, None]
    own = (power - mean**2)[:, None]
    # What a straight line through the numbers that planes say leaves.
    left = own - np.where(variance > 1e-9, covariance**2 / np.maximum(variance, 1e-9), 0)
    error = [own[:, 0]]
    best = []
    for planes in range(1, VALUE_PLANES + 1):
        those = np.flatnonzero(planes == _PLANES)
        chosen = those[left[:, those].argmin(axis=1)]
        error.append(np.maximum(left[np.arange(len(left)), chosen], 0))
        best.append(chosen)
    ranges = tuple(tuple(_RANGES[i] for i in of) for of in np.stack(best, axis=1))
    return Choices(np.stack(error, axis=1), ranges)


def allocate(
    maps: tuple[Map, ...], known: Mapping[str, Choices], weight: Mapping[str, np.ndarray],
    bits: float, transform: Transform,
) -> dict[str, np.ndarray]:  # fmt: skip
    """Planes of each channel of each map: int64 [channels].

    Parameters
    ----------
    known : choices of each map
    weight : of squared errors, see ``fisher.of_channels``
    bits : of all maps together, that stored planes may take

    Raises
    ------
    FmzipError : there are not enough bits for a plane of each map
    """
    offers = []
    for m in maps:
        area = m.shape[1] * m.shape[2]
        for c, errors in enumerate(known[m.name].error * 0.5 * weight[m.name][:, None]):
            lower = _hull(errors)
            offers += [((errors[a] - errors[b]) / (b - a), m.name, c, a, b, area)
                       for a, b in pairwise(lower)]  # fmt: skip
    found = {m.name: np.zeros(m.shape[0], np.int64) for m in maps}
    left = bits
    # One plane at least of each map, that of its most valuable channel.
    offers.sort(key=lambda offer: -offer[0])
    most = STORED_PLANES_MAX // POSITION_SIDE[transform] ** 2
    for m in maps:
        first = max(range(m.shape[0]), key=lambda c: known[m.name].error[c, 0] * weight[m.name][c])
        found[m.name][first] = 1
        left -= m.shape[1] * m.shape[2]
    if left < 0:
        raise FmzipError(f"{bits:.0f} bits of a picture are too few for a plane of each map")
    for _, name, c, a, b, area in offers:
        more = b - found[name][c]
        if found[name][c] < a or more <= 0 or more * area > left or found[name].sum() + more > most:
            continue
        left -= more * area
        found[name][c] = b
    return found


def _hull(errors: np.ndarray) -> list[int]:
    """Numbers of planes on the lower convex hull of their errors, from 0 on."""
    at, found = 0, [0]
    while at < VALUE_PLANES:
        slopes = (errors[at] - errors[at + 1 :]) / np.arange(1, VALUE_PLANES + 1 - at)
        step = int(np.argmax(slopes))
        if slopes[step] <= 0:
            break
        at += step + 1
        found.append(at)
    return found


def encoder_of(ranges: list[Range | None], rule: Rule) -> PlaneEncoder:
    """The encoder that stores the chosen planes, value by value, the lowest first."""
    rows = [
        VALUE_PLANES * v + of.width - of.planes + b
        for v, of in enumerate(ranges)
        if of is not None
        for b in range(of.planes)
    ]
    weights = np.zeros((len(rows), VALUE_PLANES * len(ranges)), np.int8)
    weights[np.arange(len(rows)), rows] = 1
    # A plane is there where one is counted, or is the sum over GF(2) of itself.
    threshold = 1 if rule == Rule.POPCOUNT else 0
    layer = BinaryLayer(rule, weights, np.full(len(rows), threshold, np.int16))
    return PlaneEncoder(
        np.array([0 if of is None else of.bias for of in ranges]),
        np.array([0 if of is None else of.top for of in ranges]),
        layer,
    )


class Moments:
    """Sums of products of stored planes and values, for sums of the least squared error.

    Parameters
    ----------
    encoder : makes the planes
    transform : of the frames
    lowest : of the stored values
    device : where the tensors are
    """

    def __init__(
        self, encoder: PlaneEncoder, transform: Transform, lowest: int, device: torch.device
    ) -> None:
        self._encode = EncoderLoop(encoder, transform, lowest, device)
        self._transform, self._lowest = transform, lowest
        size, values = len(encoder.layer.weights) + 1, len(encoder.bias)
        self._products = torch.zeros(size, size, dtype=torch.float64, device=device)
        self._wanted = torch.zeros(size, values, dtype=torch.float64, device=device)

    def add(self, stored: torch.Tensor) -> None:
        """Take a batch of stored maps into account: uint8 or int8 [n, C, H, W]."""
        planes = self._encode(stored).transpose(1, 2).flatten(0, 1)
        rows = torch.cat((planes, planes.new_ones(len(planes), 1)), dim=1)
        values = columns(stored.to(rows.dtype), self._transform, 1)[:, 0] - self._lowest
        self._products += (rows.T @ rows).double()
        self._wanted += (rows.T @ values.transpose(1, 2).flatten(0, 1)).double()

    def solve(self) -> tuple[np.ndarray, np.ndarray]:
        """What planes stand for: float64 [values, stored], and what is always added [values]."""
        ridge = _RIDGE * self._products[-1, -1] * torch.ones(len(self._products))
        ridge[-1] = 0.0
        found = torch.linalg.solve(self._products + torch.diag(ridge).to(self._products),
                                   self._wanted).T.cpu().numpy()  # fmt: skip
        return found[:, :-1], found[:, -1]


def histograms(
    maps: tuple[Map, ...], each: Callable[[Callable[[Map, np.ndarray], None]], None],
    scales: Mapping[str, Scale],
) -> dict[str, np.ndarray]:  # fmt: skip
    """How often each number above the lowest occurs in each channel: int64 [channels, 256].

    Parameters
    ----------
    each : runs pictures, and calls its argument with each map's integers, [n, C, H, W]
    """
    found = {m.name: np.zeros(m.shape[0] * 256, np.int64) for m in maps}

    def count(m: Map, stored: np.ndarray) -> None:
        if m.name in found:
            channels = 256 * np.arange(m.shape[0])[:, None, None]
            numbers = stored.astype(np.int64) - scales[m.name].limits[0] + channels
            found[m.name] += np.bincount(numbers.ravel(), minlength=len(found[m.name]))

    each(count)
    return {name: of.reshape(-1, 256) for name, of in found.items()}
