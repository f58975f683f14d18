"""A decoder's binary layer, grown plane by plane: what each value is made of.

A value begins with its own stored planes. Then, as long as it has room for more planes, the one is
added that lowers its squared error most: any stored plane, or one of two of them, their sum over
GF(2) or, where planes are counted, both, one of them, or one without the other. What planes stand
for is found by least squares each time.
"""

import numpy as np
import torch

from fmzip.format import VALUE_PLANES, Transform
from fmzip.gf2 import BinaryLayer, PlaneEncoder, Rule
from fmzip_models.plane_learn import Start
from fmzip_models.plane_loop import EncoderLoop
from fmzip_models.plane_start import Range
from fmzip_models.projecting import columns

_POSITIONS = 2048  # that planes are compared on
_NEAR = 48  # planes that know most of what is left of a value, of which pairs are tried
_GAIN = 0.005  # of a value's error that another plane must save
_RIDGE = 1e-5


class Sample:
    """Positions of a map.

    Parameters
    ----------
    encoder : makes the stored planes
    transform : of the frames
    lowest : of the stored values
    device : where the tensors are
    """

    def __init__(
        self, encoder: PlaneEncoder, transform: Transform, lowest: int, device: torch.device
    ) -> None:
        self._encoder, self._transform, self._lowest = encoder, transform, lowest
        self._encode = EncoderLoop(encoder, transform, lowest, device)
        self._planes: list[np.ndarray] = []
        self._values: list[np.ndarray] = []

    def add(self, stored: torch.Tensor) -> None:
        """Take some positions of a batch of stored maps: uint8 or int8 [n, C, H, W]."""
        planes = self._encode(stored).transpose(1, 2).flatten(0, 1)
        values = columns(stored.to(torch.int16), self._transform, 1)[:, 0] - self._lowest
        values = values.transpose(1, 2).flatten(0, 1)
        some = slice(len(self._planes) % 7, None, max(1, len(planes) // _POSITIONS))
        self._planes.append(planes[some].cpu().numpy().astype(np.float32))
        self._values.append(values[some].cpu().numpy().astype(np.float32))

    def grow(self, rule: Rule, ranges: list[Range | None]) -> Start:
        """The decoder's layer, and what its planes stand for.

        Parameters
        ----------
        rule : of the layer
        ranges : of the values, in the order of the stored planes
        """
        planes, values = np.concatenate(self._planes), np.concatenate(self._values)
        some = np.linspace(0, len(planes) - 1, min(len(planes), _POSITIONS)).astype(np.int64)
        planes, values = planes[some], values[some]
        counts = [0 if of is None else of.planes for of in ranges]
        own = max(1, max(counts), min(VALUE_PLANES, max(counts) + 2))
        stored = planes.shape[1]
        weights = np.zeros((len(ranges), own, stored), np.int8)
        never = 1 if rule == Rule.POPCOUNT else 0
        thresholds = np.full((len(ranges), own), never, np.int16)
        sums, constant = np.zeros((len(ranges), own)), np.zeros(len(ranges))
        at = 0
        for v, count in enumerate(counts):
            mine = list(range(at, at + count))
            at += count
            for q, m in enumerate(mine):
                weights[v, q, m] = 1
            features = planes[:, mine]
            fitted, constant[v], residual = _fit(features, values[:, v])
            for q in range(count, own):
                found = _best(planes, residual, rule)
                if found is None:
                    break
                weights[v, q], thresholds[v, q], column = found
                features = np.concatenate((features, column[:, None]), axis=1)
                fitted, constant[v], residual = _fit(features, values[:, v])
            sums[v, : len(fitted)] = fitted
        layer = BinaryLayer(rule, weights.reshape(-1, stored), thresholds.ravel())
        return Start(self._encoder, sums, constant, layer)


def _fit(features: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, float, np.ndarray]:
    """What columns stand for, what is always added, and what is left: float64."""
    rows = np.concatenate((features, np.ones((len(features), 1))), axis=1).astype(np.float64)
    system = rows.T @ rows + np.diag([_RIDGE * len(rows)] * features.shape[1] + [0.0])
    found = np.linalg.solve(system, rows.T @ wanted.astype(np.float64))
    return found[:-1], float(found[-1]), wanted - rows @ found


def _best(
    planes: np.ndarray, residual: np.ndarray, rule: Rule
) -> tuple[np.ndarray, int, np.ndarray] | None:
    """Weights, threshold and values of the plane that saves most; None where none saves enough."""
    n, stored = planes.shape
    error = float(residual @ residual)
    if error <= 1e-6 * n:
        return None
    left = residual.astype(np.float32)
    # The residual has no mean, so this is the covariance.
    near = np.sort(np.argsort(-np.abs(left @ planes), kind="stable")[:_NEAR])
    planes = planes[:, near]
    mean, with_left = planes.mean(0), left @ planes
    together = planes.T @ planes / n
    with_both = planes.T @ (planes * left[:, None])
    if rule == Rule.XOR:
        # a + b - 2 a b
        covariance = with_left[:, None] + with_left[None] - 2 * with_both
        share = mean[:, None] + mean[None] - 2 * together
        np.fill_diagonal(covariance, with_left)
        np.fill_diagonal(share, mean)
        kinds = [(covariance, share)]
    else:
        both = (with_both, together)  # its diagonal is the plane itself
        without = (with_left[:, None] - with_both, mean[:, None] - together)
        kinds = [both, without]
    best, gain = None, _GAIN * error
    for kind, (covariance, share) in enumerate(kinds):
        variance = n * share * (1 - share)
        saved = np.where(variance > 0.005 * n, covariance**2 / np.maximum(variance, 1e-9), 0)
        k = int(saved.argmax())
        if saved.flat[k] > gain:
            best, gain = (kind, *divmod(k, len(near))), float(saved.flat[k])
    if best is None:
        return None
    kind, a, b = best
    weights = np.zeros(stored, np.int8)
    weights[near[a]] = 1
    threshold = 0 if rule == Rule.XOR else 1
    column = planes[:, a]
    if rule == Rule.XOR and a != b:
        weights[near[b]] = 1
        column = (planes[:, a] != planes[:, b]).astype(np.float32)
    elif rule == Rule.POPCOUNT and kind == 0 and a != b:
        weights[near[b]], threshold = 1, 2
        column = planes[:, a] * planes[:, b]
    elif rule == Rule.POPCOUNT and kind == 1:
        weights[near[b]] = -1
        column = planes[:, a] * (1 - planes[:, b])
    return weights, threshold, column
