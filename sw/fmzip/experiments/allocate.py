"""The codec of a network: transform, step, rounding and tables of each map, for a budget.

1. Each map alone: what a few ways to quantise it cost in divergence and save in bits
   (``sensitivity``). That takes nearly all the time, and finished maps are kept.
2. Allocation: for a price of a nat in bits, each map's best choice; the price is searched until the
   network with all maps compressed, and its modules recalibrated, meets the budget.
3. Tables of the coder RANS from the symbols of that network, and what its frames take.

All on calibration pictures, without labels, and with a fixed seed.
"""

import math
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fmzip.codecfile import CodecFile, Correction, LayerCodec
from fmzip.errors import FmzipError
from fmzip.experiments import metrics, sensitivity
from fmzip.experiments.checkpoint import Checkpoint
from fmzip.experiments.evaluate import codec_loop, cores
from fmzip.experiments.making import Making, Progress
from fmzip.experiments.sensitivity import Candidate, Curve
from fmzip_models import quantise, recalibrate
from fmzip_models.augment import augmented
from fmzip_models.capture import Calibration, calibrate
from fmzip_models.in_loop import InLoop
from fmzip_models.rans_loop import Quantising
from fmzip_models.spec import Input
from fmzip_models.zoo import Network

BUDGETS = ("kl", "drop", "bits")
_PRICE = 6.0  # first price of a nat, in bits per value of the network
_STRIDE = 0.5  # of the logarithm of the price, until it is beyond the budget on one side
_EVEN = 4  # strides that are equal; those behind them double
_TRIES = 12
_CLOSE = 0.04  # then the search ends
_PASSES = 2  # of recalibration: the second sees what the first one changed behind it
_BATCH = 32
# A small network is sure of pictures that it was trained on, and says little of errors there.
_VIEWS_VALUES, _VIEWS_MOST = 50e6, 4
_SEED = 1


@dataclass(frozen=True)
class Budget:
    """What an allocation may cost.

    Parameters
    ----------
    measure : ``kl`` nats, ``drop`` expected drop of top-1 in points, see ``metrics``; ``bits`` per
        value, all counted; or ``lossless``
    limit : most of it

    Raises
    ------
    ValueError : an unknown measure, or a limit that is not a positive number
    """

    measure: str
    limit: float = 0.0

    def __post_init__(self) -> None:
        if self.measure == "lossless":
            return
        if self.measure not in BUDGETS:
            raise ValueError(
                f"budget must be lossless, or {' or '.join(BUDGETS)} and a limit, "
                f"such as kl=0.05, not {self.measure!r}"
            )
        if not 0 < self.limit < math.inf:
            raise ValueError(f"limit of {self.measure} must be above 0, not {self.limit:g}")

    def __str__(self) -> str:
        return self.measure if self.measure == "lossless" else f"{self.measure}={self.limit:g}"


def parse_budget(text: str) -> Budget:
    """A budget such as ``kl=0.05``, ``drop=0.5``, ``bits=1.6`` or ``lossless``."""
    measure, found, limit = text.partition("=")
    if not found:
        return Budget(measure)
    try:
        return Budget(measure, float(limit))
    except ValueError as error:
        if "could not convert" in str(error):
            raise ValueError(f"limit of {measure} must be a number, not {limit!r}") from None
        raise


@dataclass(frozen=True)
class AllocateConfig:
    """What to run; members that are not explained here are those of ``MeasureConfig``.

    Parameters
    ----------
    budgets : one result each
    name : of the codec
    uniform : one step factor and one transform for all maps, without allocation: what allocation
        is compared with
    """

    budgets: tuple[Budget, ...]
    model: str | None = None
    weights: Path | None = None
    images: Path | None = None
    name: str = "fmz"
    calibration: int | None = None
    scales: str = "max"
    device: str = "cpu"
    resume: Path | None = None
    input: Input | None = None
    uniform: bool = False

    def __post_init__(self) -> None:
        if not self.budgets:
            raise ValueError("give at least one budget")
        if self.calibration is not None and self.calibration < 1:
            raise ValueError(f"calibration must be at least 1, not {self.calibration}")
        quantise.check_method(self.scales)


@dataclass
class _Point:
    """A network with all maps compressed, as calibration pictures see it."""

    quantising: dict[str, Quantising]
    corrections: dict[str, Correction]
    logits: np.ndarray
    bits_bound: float
    found: dict[str, float] = field(default_factory=dict)
    sized: bool = False  # its bits are those of frames, not an estimate


class Allocation(Making):
    """One run, which can be interrupted and begun again.

    Parameters
    ----------
    config : what to run
    """

    def __init__(self, config: AllocateConfig) -> None:
        super().__init__(config)
        self.config = config

    def run(self, progress: Progress = lambda *_: None) -> list[CodecFile]:
        """A codec for each budget.

        Raises
        ------
        ValueError, FmzipError : something cannot be used, or a budget cannot be met
        KeyboardInterrupt : finished maps are kept, and the next run goes on behind them
        """
        with redirect_stdout(sys.stderr), torch.no_grad(), _threads() as threads:
            return self._run(progress, threads)

    def _run(self, progress: Progress, threads: Executor) -> list[CodecFile]:
        config = self.config
        job = self.open("sensitivity", progress)
        network, indices = job.network, job.indices
        calibration = calibrate(network, job.pictures, indices, config.scales)
        network.module.to(job.device)
        whole = network.normalise(_views(job.pictures.read(indices), network)).to(job.device)
        work = _Work(network, calibration, whole, threads, progress)
        known = self.checkpoint(job.about)
        curves = {} if config.uniform else work.curves(known, config.budgets)
        return [
            self._codec(work, budget, curves, job.weights_hash, len(indices))
            for budget in config.budgets
        ]

    def _codec(
        self, work: "_Work", budget: Budget, curves: dict[str, list[Curve[Candidate]]],
        weights_hash: str, pictures: int,
    ) -> CodecFile:  # fmt: skip
        config = self.config
        if budget.measure == "lossless":
            point = work.lossless()
        elif config.uniform:
            point = work.search(budget, work.uniform)
        else:
            point = work.search(
                budget,
                lambda price: sensitivity.finer(
                    sensitivity.choose(curves, work.values, price), curves, work.values, price
                ),
            )
        layers = work.finish(point)
        return CodecFile(
            config.name, work.network.name, weights_hash, layers, point.corrections,
            {
                "budget": str(budget),
                "calibration_pictures": pictures,
                "bits_per_value": round(point.found["bits"], 4),
                "bits_bound": round(point.bits_bound, 4),
                "kl": round(point.found["kl"], 5),
                "expected_drop": round(point.found["drop"], 3),
                "agreement": round(metrics.agreement(work.plain, point.logits), 2),
                "table_bytes": sum(len(c.coding.tables.to_bytes()) for c in layers.values()),
            },
        )  # fmt: skip


class _Work:
    """The network on its calibration pictures.

    Parameters
    ----------
    pictures : float32 [n, channels, H, W], where the network is
    """

    def __init__(
        self, network: Network, calibration: Calibration, pictures: torch.Tensor,
        threads: Executor, progress: Progress,
    ) -> None:  # fmt: skip
        self.network, self._calibration, self._pictures = network, calibration, pictures
        self._threads, self._progress = threads, progress
        self._loop = InLoop(network, calibration.scales, pictures.device)
        self._maps = network.graph.maps
        self.values = {m.name: m.values for m in self._maps}
        self._total = sum(self.values.values())
        self._batches = list(pictures.split(_BATCH))
        self._points: dict[object, _Point] = {}
        self.plain = self._logits({})
        self._moments = recalibrate.moments(
            network.module, lambda: self._loop.some_pass(pictures, {})
        )

    def _logits(self, codecs: Mapping[str, Any]) -> np.ndarray:
        found = [self._loop.some_pass(batch, codecs) for batch in self._batches]
        return torch.cat(found).cpu().numpy()

    def curves(
        self, checkpoint: Checkpoint, budgets: tuple[Budget, ...]
    ) -> dict[str, list[Curve[Candidate]]]:
        """The choices of each map, measured or taken from unfinished work."""
        if all(budget.measure == "lossless" for budget in budgets):
            return {}
        each = len(sensitivity.CANDIDATES) * len(sensitivity.STEPS_STD)
        rows = len(sensitivity.CANDIDATES) + 1
        done, total = 0, each * len(self._maps)
        curves = {}
        for k, m in enumerate(self._maps):
            known = checkpoint.load(k, ("kl", "bits"), rows)
            if known is None:
                place = [done]

                def step(place: list[int] = place, name: str = m.name) -> None:
                    place[0] += 1
                    self._progress(f"quantising {name} alone", place[0], total)

                kl, bits = sensitivity.measure_map(
                    m, self._calibration, self._loop, self._batches, self.plain, self._threads, step
                )
                known = {"kl": kl, "bits": bits}
                checkpoint.save(k, known)
            done += each
            self._progress(f"quantising {m.name} alone", done, total)
            curves[m.name] = sensitivity.curves_of_map(known["kl"], known["bits"])
        return curves

    def uniform(self, price: float) -> dict[str, tuple[Candidate, float]]:
        """One step factor for all maps, in place of a price."""
        factor = (_PRICE * self._total / price) ** 0.5 / 2
        return {m.name: (sensitivity.CANDIDATES[0], factor) for m in self._maps}

    def search(
        self, budget: Budget, choose: Callable[[float], dict[str, tuple[Candidate, float]]]
    ) -> _Point:
        """The cheapest network within a budget; FmzipError where there is none.

        The price goes up or down until it crosses the budget, and then to the middle of what is
        left. Neither divergence nor bits are quite monotonic in it, so the best point of all that
        were seen is taken.
        """
        best: _Point | None = None
        inside: float | None = None  # log price of the nearest points on either side of the budget
        beyond: float | None = None
        price, overhead = math.log(_PRICE * self._total), 1.05
        for attempt in range(_TRIES):
            self._progress(f"searching for {budget}", attempt, _TRIES)
            point = self.at(choose(math.exp(price)))
            point.found.setdefault("bits", point.bits_bound * overhead)
            if self._cheaper(budget, point, best):
                # Frames are sized only where that decides.
                self._size(point)
                overhead = point.found["bits"] / point.bits_bound
                if self._cheaper(budget, point, best):
                    best = point
            if _excess(budget, point) <= 0:
                inside = price
            else:
                beyond = price
            if inside is not None and beyond is not None:
                if abs(inside - beyond) < _CLOSE:
                    break
                price = (inside + beyond) / 2
            else:
                dearer = (inside is None) == (budget.measure != "bits")
                # A budget that is far off is come near to in few tries.
                stride = _STRIDE * 2 ** max(0, attempt - _EVEN + 1)
                price += stride if dearer else -stride
        if best is None:
            raise FmzipError(f"{self.network.name}: no allocation found within {budget}")
        return best

    @staticmethod
    def _cheaper(budget: Budget, point: _Point, than: _Point | None) -> bool:
        """Within the budget, and better than another point within it."""
        if _excess(budget, point) > 0:
            return False
        aim = "kl" if budget.measure == "bits" else "bits"
        return than is None or point.found[aim] < than.found[aim]

    def lossless(self) -> _Point:
        """All maps as they are: step of 1 LSB, no transform."""
        way = sensitivity.LOSSLESS
        chosen = {
            m.name: sensitivity.quantising(m, self._calibration, way, 0.0, self._threads)
            for m in self._maps
        }
        point = self._point(chosen, {})
        if (point.logits != self.plain).any():
            raise FmzipError(
                f"{self.network.name}: a map has values more than 128 from its zero point: "
                f"it cannot be lossless"
            )
        self._size(point)
        return point

    def at(self, chosen: Mapping[str, tuple[Candidate, float]]) -> _Point:
        """The network with all maps quantised, its modules recalibrated."""
        key = tuple(chosen.items())
        if key not in self._points:  # several budgets come past the same prices
            self._points[key] = self._compressed(chosen)
        return self._points[key]

    def _compressed(self, chosen: Mapping[str, tuple[Candidate, float]]) -> _Point:
        def codecs() -> dict[str, Quantising]:
            return {
                m.name: sensitivity.quantising(m, self._calibration, *chosen[m.name], self._threads)
                for m in self._maps
            }

        corrections: dict[str, Correction] = {}
        for _ in range(_PASSES):
            found = codecs()
            with recalibrate.applied(self.network.module, corrections):
                more = recalibrate.find(
                    self.network.module,
                    self._moments,
                    lambda found=found: self._loop.some_pass(self._pictures, found),  # type: ignore[misc]
                )
            corrections = recalibrate.joined(corrections, more)
        return self._point(codecs(), corrections)

    def _point(
        self, quantising: dict[str, Quantising], corrections: dict[str, Correction]
    ) -> _Point:
        with recalibrate.applied(self.network.module, corrections):
            logits = self._logits(quantising)
        bits = sum(q.bits_per_value * self.values[name] for name, q in quantising.items())
        point = _Point(quantising, corrections, logits, bits / self._total)
        point.found["kl"] = metrics.kl_nats(self.plain, logits)
        point.found["drop"] = metrics.expected_drop(self.plain, logits)
        return point

    def _size(self, point: _Point) -> None:
        """Bits of the frames of all calibration pictures, every bit counted."""
        if point.sized:
            return
        point.sized = True
        layers = self.finish(point)
        sizes: dict[str, int] = {}

        def sizing(name: str, layer: LayerCodec) -> Callable[[torch.Tensor], Any]:
            codec = codec_loop(layer.frame(), layer.coding, self._pictures.device, self._threads)

            def run(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
                decoded, bus_bytes = codec(values)
                sizes[name] = sizes.get(name, 0) + int(bus_bytes.sum())
                return decoded, bus_bytes

            return run

        with recalibrate.applied(self.network.module, point.corrections):
            self._logits({name: sizing(name, layer) for name, layer in layers.items()})
        point.found["bits"] = 8 * sum(sizes.values()) / (self._total * len(self._pictures))

    def finish(self, point: _Point) -> dict[str, LayerCodec]:
        """Tables and all else of each map, from what was counted at a point."""
        layers = {}
        for m in self._maps:
            quantising = point.quantising[m.name]
            transform, coding = quantising.finished()
            scale = self._calibration.scales[m.name]
            layers[m.name] = LayerCodec(
                m.shape, scale.scale, scale.zero_point, scale.dtype, transform,
                quantising.config.step, coding,
            )  # fmt: skip
        return layers


def _excess(budget: Budget, point: _Point) -> float:
    """Logarithm of what a point takes, over the budget's limit."""
    return math.log(max(point.found[budget.measure], 1e-9) / budget.limit)


def _views(pictures: np.ndarray, network: Network) -> np.ndarray:
    """Calibration pictures, and turned and shifted ones of them where maps are small.

    Parameters
    ----------
    pictures : uint8 [n, rows, columns, channels]
    """
    values = len(pictures) * sum(m.values for m in network.graph.maps)
    more = min(_VIEWS_MOST, int(_VIEWS_VALUES / values)) - 1
    drawn = [augmented(pictures, np.random.default_rng((_SEED, k))) for k in range(more)]
    return np.concatenate((pictures, *drawn))


@contextmanager
def _threads() -> Iterator[Executor]:
    with ThreadPoolExecutor(cores()) as pool:
        yield pool


__all__ = ["AllocateConfig", "Allocation", "Budget", "parse_budget"]
