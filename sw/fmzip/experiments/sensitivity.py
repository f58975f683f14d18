"""What each stored map costs and saves alone: divergence and bits for a few ways to quantise it."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import numpy as np
import torch

from fmzip.experiments import metrics
from fmzip.format import (
    RANS_STEP_MIN,
    RANS_STEP_PER_LSB,
    STEP_MAX,
    Coder,
    FrameConfig,
    Transform,
    default_rans_tile,
)
from fmzip.tables import Diffusion
from fmzip_models.capture import Calibration
from fmzip_models.in_loop import InLoop, InLoopCodec
from fmzip_models.maps import Map
from fmzip_models.rans_loop import Quantising


@dataclass(frozen=True)
class Candidate:
    """A way to quantise a map; the step is chosen apart.

    Parameters
    ----------
    lossless : the map stays as it is, with steps of 1 LSB
    """

    transform: Transform
    diffusion: Diffusion = field(default_factory=Diffusion)
    lossless: bool = False


# Measured on ResNet-18 (see docs/decisions/0012): more ways, or finer weights, gain below 1 %.
CANDIDATES = (
    Candidate(Transform.BYPASS),
    Candidate(Transform.BYPASS, Diffusion(102, 8, 8, 4)),
    Candidate(Transform.BYPASS, Diffusion(102, 12, 12, 9)),
    Candidate(Transform.WHT4),
)
# Steps of a little more than 1 LSB move many integers, all in the same direction; 1 LSB moves none.
# Curves over the step do not show that, so it is a choice of its own.
LOSSLESS = Candidate(Transform.BYPASS, lossless=True)
STEPS_STD = (0.14, 0.28, 0.56, 1.1)  # at which each is measured, in standard deviations
_FINE_STD = np.exp(np.arange(np.log(0.1), np.log(1.2), np.log(1.05)))  # that may be chosen


def step_units(step_std: float, calibration: Calibration, name: str) -> int:
    """A step in standard deviations of a map's integers, in units of the frame."""
    units = round(step_std * calibration.std_lsb[name] * RANS_STEP_PER_LSB)
    return max(RANS_STEP_MIN, min(STEP_MAX, units))


def frame_of(m: Map, calibration: Calibration, transform: Transform, step: int) -> FrameConfig:
    """Frames of a map, without tables."""
    scale = calibration.scales[m.name]
    rows, cols = default_rans_tile(*m.shape, transform)
    return FrameConfig(
        *m.shape, scale.dtype, scale.zero_point, rows, cols,
        transform=transform, coder=Coder.RANS, step=step,
    )  # fmt: skip


C = TypeVar("C")  # a way to quantise: ``Candidate`` here, others elsewhere


class Trial(Protocol):
    """A way to quantise a map at some step, in the loop; see ``in_loop.InLoopCodec``.

    Members
    -------
    bits_per_value : of all values so far
    """

    @property
    def bits_per_value(self) -> float: ...

    def __call__(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]: ...


@dataclass(frozen=True)
class Curve(Generic[C]):
    """One candidate of one map, by its step.

    Members
    -------
    candidate : which
    step_std : float64 [n], steps that may be chosen, in standard deviations
    kl : float64 [n], nats, when this map alone is quantised so
    bits : float64 [n], per value
    """

    candidate: C
    step_std: np.ndarray
    kl: np.ndarray
    bits: np.ndarray


def curve(
    candidate: C, kl: np.ndarray, bits: np.ndarray, steps: Sequence[float] | None = None
) -> Curve[C]:
    """A smooth curve through what was measured at ``STEPS_STD``.

    Divergences of a few dozen pictures are noisy, and the best choice of many is the luckiest one:
    a parabola over the logarithm of the step takes a good part of that out. On ResNet-18 the
    divergence on other pictures was 20 to 30 % lower than with lines from point to point.

    Parameters
    ----------
    kl, bits : float64 [steps]
    steps : others than ``STEPS_STD``; then those from the first to the last may be chosen
    """
    at, fine = np.log(STEPS_STD), np.log(_FINE_STD)
    if steps is not None:
        at = np.log(steps)
        fine = np.arange(at[0], at[-1] + 1e-9, np.log(1.05))
    smooth = np.exp(np.polyval(np.polyfit(at, np.log(np.maximum(kl, 1e-9)), 2), fine))
    # A parabola may turn: a larger step never costs less.
    smooth = np.maximum.accumulate(smooth)
    size = np.minimum.accumulate(np.polyval(np.polyfit(at, bits, 2), fine))
    return Curve(candidate, np.exp(fine), smooth, np.maximum(size, 0.01))


def measure_map(
    m: Map, calibration: Calibration, loop: InLoop, batches: list[torch.Tensor],
    plain: np.ndarray, threads: Executor | None,
    each: Callable[[], None] = lambda: None,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Divergence and bits of one map's candidates: float64 [candidates + 1, steps] each.

    Parameters
    ----------
    batches : pictures, see ``Network.normalise``
    plain : logits of the int8 network, of all of them
    each : called behind each of them
    """

    def make(candidate: Candidate, step_std: float) -> Quantising:
        return quantising(m, calibration, candidate, step_std, threads)

    runs = [loop.one_map(m, batch) for batch in batches]
    ways = measure_ways(runs, plain, make, CANDIDATES, STEPS_STD, each)
    exact = measure_ways(runs, plain, make, (LOSSLESS,), (0.0,))
    kl, bits = (
        np.concatenate((found, np.repeat(once, len(STEPS_STD), 1)))
        for found, once in zip(ways, exact, strict=True)
    )
    return kl, bits


def quantising(
    m: Map, calibration: Calibration, candidate: Candidate, step_std: float,
    threads: Executor | None,
) -> Quantising:  # fmt: skip
    """A candidate at a step in standard deviations, in the loop."""
    step = step_units(step_std, calibration, m.name) if not candidate.lossless else RANS_STEP_MIN
    frame = frame_of(m, calibration, candidate.transform, step)
    return Quantising(frame, candidate.diffusion, threads)


def curves_of_map(kl: np.ndarray, bits: np.ndarray) -> list[Curve[Candidate]]:
    """Curves of what ``measure_map`` found."""
    found = [curve(candidate, kl[k], bits[k]) for k, candidate in enumerate(CANDIDATES)]
    return [*found, Curve(LOSSLESS, np.zeros(1), kl[-1, :1], bits[-1, :1])]


def measure_ways(
    runs: Sequence[Callable[[InLoopCodec], torch.Tensor]], plain: np.ndarray,
    make: Callable[[C, float], Trial], candidates: Sequence[C], steps: Sequence[float],
    each: Callable[[], None] = lambda: None,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Divergence and bits of one map's candidates: float64 [candidates, steps] each.

    Parameters
    ----------
    runs : of each batch of pictures, see ``InLoop.one_map``
    plain, each : see ``measure_map``
    make : a way to quantise the map, of a candidate and a step in standard deviations
    """
    kl = np.empty((len(candidates), len(steps)))
    bits = np.empty_like(kl)
    for k, candidate in enumerate(candidates):
        for s, step_std in enumerate(steps):
            trial = make(candidate, step_std)
            logits = [run(trial) for run in runs]
            kl[k, s] = metrics.kl_nats(plain, torch.cat(logits).cpu().numpy())
            bits[k, s] = trial.bits_per_value
            each()
    return kl, bits


def curve_of(curves: Sequence[Curve[C]], candidate: C) -> Curve[C]:
    """The one of a map's curves that is a candidate's."""
    return next(c for c in curves if c.candidate == candidate)


def choose(
    curves: Mapping[str, list[Curve[C]]], values: Mapping[str, int], price: float
) -> dict[str, tuple[C, float]]:
    """Candidate and step of each map with the least of bits plus ``price`` times divergence.

    That is where a greedy selection by divergence per bit saved ends up, on the convex hull of each
    map's choices (Shoham and Gersho, IEEE Trans. ASSP 36(9), 1988); the idea to allocate by what a
    bit costs in accuracy is that of Tai et al., arXiv 2110.08828.

    Parameters
    ----------
    curves : of each map, by name
    values : of each map
    price : bits that a nat is worth
    """
    chosen = {}
    for name, of in curves.items():
        costs = [values[name] * c.bits + price * c.kl for c in of]
        k = int(np.argmin([cost.min() for cost in costs]))
        chosen[name] = (of[k].candidate, float(of[k].step_std[costs[k].argmin()]))
    return chosen


def finer(
    chosen: Mapping[str, tuple[C, float]], curves: Mapping[str, list[Curve[C]]],
    values: Mapping[str, int], price: float,
) -> dict[str, tuple[C, float]]:  # fmt: skip
    """What ``choose`` gave, with steps below the finest of a curve where the price is worth it.

    There divergence goes with the square of the step and bits with its logarithm, as with any
    quantiser of high rate (Gersho and Gray, Vector Quantization and Signal Compression, 1992).
    """
    found = {}
    for name, (candidate, step_std) in chosen.items():
        of = curve_of(curves[name], candidate)
        if step_std == of.step_std[0] > 0:
            # Where another nat costs as many bits as it is worth.
            square = values[name] / (2 * np.log(2) * price * of.kl[0])
            step_std *= float(np.sqrt(min(1.0, square)))
        found[name] = (candidate, step_std)
    return found


def choose_within(
    curves: Mapping[str, list[Curve[C]]], values: Mapping[str, int], bits: float
) -> dict[str, tuple[C, float]]:
    """As ``choose``, at the price at which all maps together take so many bits for each value.

    Raises
    ------
    ValueError : even the coarsest choices take more
    """

    def taken(chosen: Mapping[str, tuple[C, float]]) -> float:
        total = 0.0
        for name, (candidate, step_std) in chosen.items():
            of = curve_of(curves[name], candidate)
            total += values[name] * of.bits[int(np.argmin(np.abs(of.step_std - step_std)))]
        return total / sum(values.values())

    low, high = -30.0, 60.0  # logarithm of the price: what takes few bits, what takes many
    if taken(choose(curves, values, float(np.exp(low)))) > bits:
        raise ValueError(f"no choice of steps takes {bits:g} bits per value or less")
    for _ in range(60):
        middle = (low + high) / 2
        if taken(choose(curves, values, float(np.exp(middle)))) > bits:
            high = middle
        else:
            low = middle
    return choose(curves, values, float(np.exp(low)))
