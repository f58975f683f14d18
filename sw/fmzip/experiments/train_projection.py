"""The codec ``cap`` of a network: fewer components than values, with matrices that are learned.

1. Principal components of each map in front of its ReLU, errors being weighed by what they do to
   the answers (``fisher``), and each map alone: what a few numbers of components and steps cost in
   divergence and save in bits (``sensitivity``). Finished maps are kept.
2. Allocation, by the same metric as that of ``fmzip allocate``: the choices that together take the
   bits that are wanted.
3. Matrices learn to make up for what is lost (``fmzip_models.learn``). Finished epochs are kept.
   A part of the pictures is held out: what gives the network's answers best on them is taken,
   behind any epoch or in the beginning.
4. Integers, and codebooks from the symbols of the compressed network; with or without offsets that
   set means right, as it is best on the same pictures.
"""

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from fmzip.codecfile import CodecFile, LayerCodec
from fmzip.codecs import CAP
from fmzip.experiments import metrics, sensitivity
from fmzip.experiments.checkpoint import Checkpoint
from fmzip.experiments.evaluate import cores
from fmzip.experiments.making import Making, Progress
from fmzip.experiments.project import step_lsb
from fmzip.experiments.sensitivity import Curve
from fmzip_models import capture, fisher, learn, pca, quantise
from fmzip_models.augment import augmented
from fmzip_models.capture import Calibration
from fmzip_models.graph import TracedGraph
from fmzip_models.in_loop import InLoop, InLoopCodec
from fmzip_models.learn import Learned, Recipe
from fmzip_models.learnstate import LearnState
from fmzip_models.maps import Map
from fmzip_models.pca import Components, Fit, Linear, Shape
from fmzip_models.pictures import Pictures
from fmzip_models.projecting import ProjectionLoop
from fmzip_models.spec import Input
from fmzip_models.zoo import Network

STEPS_STD = (0.1, 0.25, 0.6)  # at which each candidate is measured
DEAD = (0.25, 0.75)  # standard deviations in steps below which a component is left out
_SIDES = (1, 2)
# Of the range in front of a ReLU. On ResNet-18 (32 pictures, components of a pixel, 4 bits) the
# divergence was a third lower than with the whole range. With the price that a forward matrix does
# not fold into the convolution: between the two is the clamp.
_BELOW = 0.25
# Of the pictures that are learned on, as many as have so many values, within these limits. A small
# network is sure of its training pictures: with 32 of CIFAR-10's the allocation was up to chance.
_SENSITIVITY_VALUES, _SENSITIVITY_PICTURES = 45e6, (32, 256)
_FIT_VALUES, _FIT_PICTURES = 90e6, (64, 512)
_BATCH = 16
_WEIGHT_PICTURES = 500  # that errors are weighed on; where there are fewer, each several times
_EVEN = 0.1  # of the mean weight, that all errors have besides
_HELD_SHARE, _HELD_MOST = 5, 256  # of the pictures, at least every so many is held out; at most


@dataclass(frozen=True)
class Cut:
    """What a map's positions are, and which components are left out."""

    shape: Shape
    dead: float


@dataclass(frozen=True)
class Way:
    """Projections of all maps, by their names.

    Members
    -------
    name : where they are from
    raised : the means of what comes back are set right
    """

    name: str
    linear: dict[str, Linear]
    raised: bool


@dataclass(frozen=True)
class TrainConfig:
    """What to run; members that are not explained here are those of ``MeasureConfig``.

    Parameters
    ----------
    bits : per value, that the allocation aims at; heads and padding come on top
    recipe : of learning; without epochs the components stay as they are
    calibration : pictures that everything is made on; None for 64, or a quarter where these are few
    name : of the codec
    weighted : components of errors that are weighed by what they do to the answers, where gradients
        pass through the network; else of plain squared errors
    fold : which pictures, see ``fmzip_models.pictures.split``
    """

    bits: float
    recipe: Recipe = field(default_factory=lambda: Recipe(augment=True))
    model: str | None = None
    weights: Path | None = None
    images: Path | None = None
    name: str = CAP
    calibration: int | None = None
    scales: str = "max"
    device: str = "cpu"
    resume: Path | None = None
    input: Input | None = None
    fold: int = 0
    weighted: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.bits <= 8:
            raise ValueError(f"bits must be above 0 and at most 8, not {self.bits:g}")
        if self.calibration is not None and self.calibration < 1:
            raise ValueError(f"calibration must be at least 1, not {self.calibration}")
        quantise.check_method(self.scales)


class Training(Making):
    """One run, which can be interrupted and begun again.

    Parameters
    ----------
    config : what to run
    """

    def __init__(self, config: TrainConfig) -> None:
        super().__init__(config)
        self.config = config

    def run(self, progress: Progress = lambda *_: None) -> CodecFile:
        """The codec.

        Raises
        ------
        ValueError, FmzipError : something cannot be used, or the bits cannot be met
        KeyboardInterrupt : finished maps and epochs are kept, and the next run goes on behind them
        """
        with redirect_stdout(sys.stderr):
            return self._run(progress)

    def _run(self, progress: Progress) -> CodecFile:
        config = self.config
        job = self.open("projections", progress, config.fold)
        about = {**job.about, "weighted": config.weighted}
        known = self.checkpoint(about)
        learned = self.checkpoint({**about, "bits": config.bits, "recipe": vars(config.recipe)})
        network = job.network
        with ThreadPoolExecutor(cores()) as threads:
            work = _Work(network, job.pictures, job.indices, config, job.device, threads, progress)
            curves = work.curves(known)
            values = {m.name: m.values for m in network.graph.maps}
            chosen = sensitivity.choose_within(curves, values, config.bits)
            ways, held = work.ways(chosen, learned)
            layers, found = work.finish(chosen, ways)
        return CodecFile(
            config.name, network.name, job.weights_hash, layers, {},
            {
                "budget": f"bits={config.bits:g}",
                "epochs": config.recipe.epochs,
                "seed": config.recipe.seed,
                "calibration_pictures": len(job.indices),
                **found,
                **held,
            },
        )  # fmt: skip


class _Work:
    """The network on its calibration pictures."""

    def __init__(
        self, network: Network, pictures: Pictures, indices: np.ndarray, config: TrainConfig,
        device: torch.device, threads: ThreadPoolExecutor, progress: Progress,
    ) -> None:  # fmt: skip
        self._network, self._pictures, self._indices = network, pictures, indices
        self._config, self._device, self._threads = config, device, threads
        self._progress = progress
        self._maps = network.graph.maps
        self._calibration: Calibration = capture.calibrate(
            network, pictures, indices, config.scales, before_relu=True, below=_BELOW
        )
        self._scales = self._calibration.scales
        plain = capture.calibrate(network, pictures, indices, config.scales)

        def each(see: Callable[[Map, torch.Tensor], None]) -> None:
            for _ in capture.run(network, pictures, indices, see, before_relu=True):
                pass

        shapes = {m.name: self._shapes(m) for m in self._maps}
        self._components: dict[tuple[str, Shape], Components] = {}
        for side in _SIDES:
            some = {m.name: pca.shape_for(m, side, 1) for m in self._maps}
            missing = [m for m in self._maps if (m.name, some[m.name]) not in self._components]
            if missing:
                found = pca.moments(missing, self._scales, some, each)
                self._components |= {(name, some[name]): c for name, c in found.items()}
        network.module.to(device)
        if config.weighted and isinstance(network.graph, TracedGraph):
            progress("weighing errors", 0, 0)
            weights = fisher.of_positions(network, self._scales, shapes, self._drawn())
            for key, own in weights.items():
                self._components[key] = self._components[key].weighted(own, _EVEN)
        self._loop = InLoop(network, self._scales, device, before_relu=True)
        self._plain_loop = InLoop(network, plain.scales, device)

    @staticmethod
    def _shapes(m: Map) -> list[Shape]:
        return list(dict.fromkeys(pca.shape_for(m, side, 1) for side in _SIDES))

    def _read(self, indices: np.ndarray, turned: bool = False, time: int = 0) -> list[torch.Tensor]:
        """Pictures in batches, as they are or turned and shifted."""
        found = []
        for k in range(0, len(indices), _BATCH):
            batch = self._pictures.read(indices[k : k + _BATCH])
            if turned:
                rng = np.random.default_rng((self._config.recipe.seed, time, k))
                batch = augmented(batch, rng)
            found.append(self._network.normalise(batch).to(self._device))
        return found

    def _drawn(self) -> Iterator[torch.Tensor]:
        """Pictures, turned and shifted, each as often as it takes."""
        some = self._indices[:: max(1, len(self._indices) // _WEIGHT_PICTURES)]
        for time in range(-(-_WEIGHT_PICTURES // len(some))):
            yield from self._read(some, True, time)

    def _batches(self, values: float, limits: tuple[int, int]) -> list[torch.Tensor]:
        """Some of the pictures, evenly strided."""
        fit = int(values / sum(m.values for m in self._maps))
        count = min(max(fit, limits[0]), limits[1])
        chosen = self._indices[:: max(1, len(self._indices) // count)]
        parts = np.array_split(chosen, range(_BATCH, len(chosen), _BATCH))
        return [
            self._network.normalise(self._pictures.read(part)).to(self._device) for part in parts
        ]

    def _plain(self, batches: list[torch.Tensor]) -> np.ndarray:
        """Logits of the int8 network."""
        found = [self._plain_loop.some_pass(batch, {}) for batch in batches]
        return torch.cat(found).cpu().numpy()

    def _step(self, m: Map, shape: Shape, step_std: float) -> float:
        components = self._components[m.name, shape]
        return step_lsb(step_std, self._calibration.std_lsb[m.name], components)

    def _linear(self, m: Map, cut: Cut, step_std: float) -> Linear:
        components = self._components[m.name, cut.shape]
        step = self._step(m, cut.shape, step_std)
        return components.linear(step, components.kept(step, cut.dead))

    def curves(self, checkpoint: Checkpoint) -> dict[str, list[Curve[Cut]]]:
        """The choices of each map, measured or taken from unfinished work."""
        batches: list[torch.Tensor] = []
        plain = np.zeros(0)
        cuts = {m.name: self._cuts(m) for m in self._maps}
        total = len(STEPS_STD) * sum(map(len, cuts.values()))
        done, curves = 0, {}
        for k, m in enumerate(self._maps):
            of = cuts[m.name]
            known = checkpoint.load(k, ("kl", "bits"), len(of))
            if known is None:
                if not batches:
                    batches = self._batches(_SENSITIVITY_VALUES, _SENSITIVITY_PICTURES)
                    plain = self._plain(batches)

                def make(cut: Cut, step_std: float, m: Map = m) -> Fit:
                    linear = self._linear(m, cut, step_std)
                    return Fit(m, self._scales[m.name], cut.shape, linear)

                with torch.no_grad():
                    runs = [self._loop.one_map(m, batch) for batch in batches]
                    kl, bits = sensitivity.measure_ways(runs, plain, make, of, STEPS_STD)
                known = {"kl": kl, "bits": bits}
                checkpoint.save(k, known)
            done += len(of) * len(STEPS_STD)
            self._progress(f"quantising {m.name} alone", done, total)
            curves[m.name] = [
                sensitivity.curve(cut, known["kl"][c], known["bits"][c], STEPS_STD)
                for c, cut in enumerate(of)
            ]
        return curves

    def _cuts(self, m: Map) -> list[Cut]:
        return [Cut(shape, dead) for shape in self._shapes(m) for dead in DEAD]

    def components(self, chosen: dict[str, tuple[Cut, float]]) -> dict[str, Linear]:
        """Projections as they are in the beginning."""
        return {m.name: self._linear(m, *chosen[m.name]) for m in self._maps}

    def _held(self) -> np.ndarray:
        """Pictures that nothing is learned on; none where they are too few to say anything."""
        count = len(self._indices)
        if count < _HELD_SHARE:
            return self._indices[:0]
        return self._indices[:: max(_HELD_SHARE, count // _HELD_MOST)]

    def ways(
        self, chosen: dict[str, tuple[Cut, float]], checkpoint: Checkpoint
    ) -> tuple[list[Way], dict[str, float]]:
        """Projections that may be taken, and what pictures that are held out say of learning."""
        recipe = self._config.recipe
        components = Way("components", self.components(chosen), True)
        if not recipe.epochs:
            return [components], {}
        begin = self.components(chosen)
        # Learning is for what is left when the means are right.
        batches = self._batches(_FIT_VALUES, _FIT_PICTURES)
        for name, fit in self._fits(chosen, begin, batches).items():
            for offset, rise in zip(begin[name].inverse_offset, fit.rises(), strict=True):
                offset += rise
        modules = {
            m.name: Learned(
                begin[m.name], chosen[m.name][0].shape, self._scales[m.name],
                self._step(m, chosen[m.name][0].shape, chosen[m.name][1]),
                self._components[m.name, chosen[m.name][0].shape],
            )
            for m in self._maps
        }  # fmt: skip
        size = LearnState.size(sum(p.numel() for of in modules.values() for p in of.parameters()))
        known = [
            (done, found["state"])
            for done in range(1, recipe.epochs + 1)
            if (found := checkpoint.load(done, ("state",), size)) is not None
        ]
        held = self._held()
        first, best = learn.learn(
            self._network, self._pictures, np.setdiff1d(self._indices, held), modules, recipe,
            self._device, held=held, begin=known[-1] if known else None,
            step=lambda k, of, loss: self._progress(f"learning, loss {loss:.4f}", k, of),
            epoch=lambda done, state: checkpoint.save(done, {"state": state}),
        )  # fmt: skip
        about: dict[str, float] = {"held_out_pictures": len(held)}
        if len(held):
            about["held_out_kl_of_components"] = round(first, 5)
            about["held_out_kl"] = round(best, 5)
        linear = {name: module.linear() for name, module in modules.items()}
        # What is learned makes up for the maps in front, too: its means may stay.
        learned = Way("learned", linear, False)
        if not len(held):
            return [learned], about
        return [components, learned, Way("learned, means set right", linear, True)], about

    @torch.no_grad()
    def _fits(
        self, chosen: dict[str, tuple[Cut, float]], linear: dict[str, Linear],
        batches: list[torch.Tensor],
    ) -> dict[str, Fit]:  # fmt: skip
        """Symbols and means of all maps, each with the others compressed."""
        fits = {
            m.name: Fit(m, self._scales[m.name], chosen[m.name][0].shape, linear[m.name])
            for m in self._maps
        }
        for batch in batches:
            self._loop.codec_pass(batch, fits)
        return fits

    @torch.no_grad()
    def finish(
        self, chosen: dict[str, tuple[Cut, float]], ways: list[Way]
    ) -> tuple[dict[str, LayerCodec], dict[str, float | str]]:
        """Integers and codebooks of each map, and what the calibration pictures say of them.

        Of several ways, the one is taken whose integers give the network's answers best on the
        pictures that are held out, as they are and turned and shifted.
        """
        self._progress("counting symbols", 0, 0)
        batches = self._batches(_FIT_VALUES, _FIT_PICTURES)
        # Only a choice needs them.
        some = self._held() if len(ways) > 1 else self._indices[:0]
        held = self._read(some) + self._read(some, turned=True)
        expected = self._plain(held) if len(ways) > 1 else np.zeros(0)
        found: list[tuple[float, str, dict[str, LayerCodec], dict[str, InLoopCodec]]] = []
        for way in ways:
            fits = self._fits(chosen, way.linear, batches)
            layers, codecs = self._codecs(fits, way.raised)
            kl = 0.0
            if len(ways) > 1:
                logits = [self._loop.codec_pass(batch, codecs).logits for batch in held]
                kl = metrics.kl_nats(expected, torch.cat(logits).cpu().numpy())
            found.append((kl, way.name, layers, codecs))
        kl, name, layers, codecs = min(found, key=lambda of: of[0])
        passes = [self._loop.codec_pass(batch, codecs) for batch in batches]
        logits_all = torch.cat([p.logits for p in passes]).cpu().numpy()
        plain = self._plain(batches)
        size = sum(int(part.sum()) for p in passes for part in p.bus_bytes.values())
        values = len(plain) * sum(m.values for m in self._maps)
        about: dict[str, float | str] = {
            "bits_per_value": round(8 * size / values, 4),
            "kl": round(metrics.kl_nats(plain, logits_all), 5),
            "expected_drop": round(metrics.expected_drop(plain, logits_all), 3),
            "agreement": round(metrics.agreement(plain, logits_all), 2),
        }
        if len(ways) > 1:
            about |= {"taken": name, "held_out_kl_of_integers": round(kl, 5)}
        return layers, about

    def _codecs(
        self, fits: dict[str, Fit], raised: bool
    ) -> tuple[dict[str, LayerCodec], dict[str, InLoopCodec]]:
        """What is written of each map, and the same in the loop."""
        layers: dict[str, LayerCodec] = {}
        codecs: dict[str, InLoopCodec] = {}
        for m in self._maps:
            config, coding = fits[m.name].finish(raised)
            scale = self._scales[m.name]
            layers[m.name] = LayerCodec(
                m.shape, scale.scale, scale.zero_point, scale.dtype, config.transform, 0, coding
            )
            frame = layers[m.name].frame()
            codecs[m.name] = ProjectionLoop(frame, coding, self._device, self._threads)
        return layers, codecs
