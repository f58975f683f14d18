"""Binary layers and sums of one map with numbers that can be learned; ``learn`` teaches them.

Weights are kept as real numbers and are -1, 0 or 1 where they are used; thresholds, biases and sums
likewise. Gradients pass a comparison as if it were the sum itself where that is within one plane of
the threshold, pass rounding as if it were not there, and go from a bit plane to its value with the
plane's significance, so that all planes of a value together pass on what one number would.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from fmzip.errors import FormatError
from fmzip.format import PROJECTION_BITS, PROJECTION_SHIFT_MAX, VALUE_PLANES, Transform
from fmzip.gf2 import BinaryLayer, PlaneCoding, PlaneEncoder, PlaneTables, Rule
from fmzip.projection import Affine
from fmzip_models.plane_loop import bits_of
from fmzip_models.projecting import columns, from_columns
from fmzip_models.quantise import Scale

_WINDOW = 1.0  # planes from its threshold at which a sum still passes gradients
_ON = 0.5  # magnitude above which a weight is not 0
_SUM_LIMIT = 2 ** (PROJECTION_BITS - 1) - 1
_SHIFT_MAX = 6  # fractions of an LSB that sums may have: finer ones change nothing
# How far a number moves for one unit of the rate, in its own unit: an LSB, a plane, a weight. Of
# what is 0 or 1 little: a weight that changes makes another plane of a plane, and noise must not.
_UNITS = {"sums": 4.0, "constant": 4.0, "bias": 4.0, "threshold": 0.2, "weights": 0.2}


@dataclass(frozen=True)
class Start:
    """Where a map's planes begin.

    Parameters
    ----------
    encoder : makes the stored planes
    sums, constant : float64 [values, planes], [values], what planes stand for in LSB
    layer : of the decoder, or None
    """

    encoder: PlaneEncoder
    sums: np.ndarray
    constant: np.ndarray
    layer: BinaryLayer | None = None

    def coding(self) -> PlaneCoding:
        """As integers, with as fine fractions as fit."""
        largest = max(float(np.abs(self.sums).max()), 1e-9)
        shift = int(np.clip(np.floor(np.log2(_SUM_LIMIT / largest)), 0, _SHIFT_MAX))
        assert shift <= PROJECTION_SHIFT_MAX
        scale = 1 << shift
        matrix = np.rint(self.sums * scale)
        if np.abs(matrix).max() > _SUM_LIMIT:
            raise FormatError(f"planes: one stands for {largest:.0f} LSB, which does not fit")
        offset = np.rint((self.constant + 0.5) * scale)
        affine = Affine(matrix.astype(np.int16), offset.astype(np.int32), shift)
        tables = PlaneTables(len(self.encoder.layer.weights), affine, self.layer)
        return PlaneCoding(tables, self.encoder)


class _Compare(torch.autograd.Function):
    """1 where a number is not below 0; gradients as of the number, near 0."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return (x >= 0).to(x.dtype)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *grads: torch.Tensor) -> torch.Tensor:
        (x,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return grads[0] * (x.abs() <= _WINDOW)


class _Bits(torch.autograd.Function):
    """Bit planes of numbers 0 to 255, those that are used: [n, values, p] to [n, planes, p]."""

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx, numbers: torch.Tensor, used: torch.Tensor
    ) -> torch.Tensor:
        ctx.save_for_backward(used)
        ctx.size = numbers.shape[1]  # type: ignore[attr-defined]
        return bits_of(numbers.to(torch.int16))[:, used].to(numbers.dtype)

    @staticmethod
    def backward(
        ctx: torch.autograd.function.FunctionCtx, *grads: torch.Tensor
    ) -> tuple[torch.Tensor, None]:
        (used,) = ctx.saved_tensors  # type: ignore[attr-defined]
        size = ctx.size  # type: ignore[attr-defined]
        grad = grads[0]
        value = torch.div(used, VALUE_PLANES, rounding_mode="floor")
        significance = (1 << used % VALUE_PLANES).to(grad)
        total = grad.new_zeros(size).index_add_(0, value, significance.square())
        weighted = grad * significance[:, None]
        out = grad.new_zeros(len(grad), size, grad.shape[2]).index_add_(1, value, weighted)
        return out / total.clamp(min=1)[:, None], None


def _rounded(x: torch.Tensor) -> torch.Tensor:
    return x + (x.round() - x).detach()


def _ternary(weights: torch.Tensor) -> torch.Tensor:
    return weights + ((weights.abs() > _ON) * weights.sign() - weights).detach()


class LearnedPlanes(nn.Module):
    """One map's layers and sums.

    Parameters
    ----------
    start : where they begin
    transform : of the frames
    scale : of the map's integers
    """

    log_spread = torch.zeros(())  # a plane takes a bit, whatever is learned
    used: torch.Tensor
    top: torch.Tensor

    def __init__(self, start: Start, transform: Transform, scale: Scale) -> None:
        super().__init__()
        self._origin, self._transform, self._scale = start, transform, scale
        layer = start.encoder.layer
        used = np.flatnonzero(layer.weights.any(axis=0))
        self.register_buffer("used", torch.from_numpy(used), persistent=False)
        self.register_buffer(
            "top", torch.from_numpy(start.encoder.top.astype(np.float32))[:, None], persistent=False
        )
        self._begin = {
            "bias": start.encoder.bias,
            "sums": start.sums,
            "constant": start.constant,
        }
        if layer.rule == Rule.POPCOUNT:
            # Half a plane below, where sums are as far from it on both sides.
            self._begin |= {
                "weights": layer.weights[:, used],
                "threshold": layer.thresholds - 0.5,
            }
        if start.layer is not None and start.layer.rule == Rule.POPCOUNT:
            self._begin |= {
                "weights_back": start.layer.weights,
                "threshold_back": start.layer.thresholds - 0.5,
            }
        self._first = {
            name: torch.from_numpy(np.asarray(v, np.float32)) for name, v in self._begin.items()
        }
        self.changes = nn.ParameterDict(
            {name: nn.Parameter(torch.zeros_like(v)) for name, v in self._first.items()}
        )

    def _now(self, name: str) -> torch.Tensor:
        change = self.changes[name]
        return self._first[name].to(change) + _UNITS[name.removesuffix("_back")] * change

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """What comes back of a map: float32 [n, C, H, W]."""
        low = self._scale.limits[0] - self._scale.zero_point
        above = (values / self._scale.scale).round().clamp(low, low + 255) - low
        split = columns(above, self._transform, 1)[:, 0]
        numbers = (split + _rounded(self._now("bias"))[:, None]).clamp(min=0)
        numbers = torch.minimum(numbers, self.top)
        planes = self._layer(_Bits.apply(numbers, self.used), "", self._origin.encoder.layer)
        sums = self._now("sums")
        if self._origin.layer is None:
            found = sums @ planes
        else:
            made = self._layer(planes, "_back", self._origin.layer)
            found = (made.unflatten(1, sums.shape) * sums[:, :, None]).sum(2)
        found = _rounded(found + self._now("constant")[:, None]).clamp(0, 255)
        back = from_columns(found[:, None], self._transform, values.shape)
        return (back + low) * self._scale.scale

    def _layer(self, planes: torch.Tensor, which: str, layer: BinaryLayer) -> torch.Tensor:
        if layer.rule == Rule.XOR:  # not learned by gradients
            weights = torch.from_numpy(layer.weights).to(planes)
            weights = weights if which else weights[:, self.used]
            constant = torch.from_numpy(layer.thresholds).to(planes)[:, None]
            return _parity(weights, planes, constant)
        weights = _ternary(self._now("weights" + which))
        threshold = self._now("threshold" + which)
        # Sums are whole, so this is the same as the whole threshold above.
        return _Compare.apply(weights @ planes - threshold[:, None])

    def start(self) -> Start:
        """As it is now."""
        with torch.no_grad():
            now = {name: self._now(name).double().cpu().numpy() for name in self._first}
        encoder = self._origin.encoder
        bias = np.clip(np.rint(now["bias"]), -255, 255).astype(np.int16)
        layer, back = encoder.layer, self._origin.layer
        if "weights" in now:
            weights = np.zeros_like(layer.weights)
            weights[:, self.used.cpu().numpy()] = _whole(now["weights"])
            layer = BinaryLayer(Rule.POPCOUNT, weights, _thresholds(now["threshold"]))
        if back is not None and "weights_back" in now:
            back = BinaryLayer(
                Rule.POPCOUNT, _whole(now["weights_back"]), _thresholds(now["threshold_back"])
            )
        return Start(PlaneEncoder(bias, encoder.top, layer), now["sums"], now["constant"], back)


def _whole(weights: np.ndarray) -> np.ndarray:
    return (np.sign(weights) * (np.abs(weights) > _ON)).astype(np.int8)


def _thresholds(real: np.ndarray) -> np.ndarray:
    return np.clip(np.ceil(real), -(2**15), 2**15 - 1).astype(np.int16)


def _parity(weights: torch.Tensor, planes: torch.Tensor, constant: torch.Tensor) -> torch.Tensor:
    """Sums over GF(2); gradients as those of one plane where a sum has one, of none in others."""
    with torch.no_grad():
        whole = (weights @ planes + constant).remainder(2)
    single = weights * (weights.sum(1, keepdim=True) == 1) * (1 - 2 * constant)
    passed = single @ planes
    return passed + (whole - passed).detach()
