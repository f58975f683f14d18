"""The codec ``gf2`` of a network, or of some of its maps: bit planes through binary layers.

1. Which planes of which channel are stored, of all maps together, by histograms and by what a
   change of each channel does to the answers (``plane_start``), and the integers that stand for
   them, by least squares.
2. Layers, thresholds and integers learn to make up for what is lost (``plane_learn``), with the
   network as its own teacher. Finished epochs are kept.
3. Integers; where planes are coded further, codebooks from the compressed network's planes.
"""

import hashlib
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from fmzip.codebooks import count_tokens, make_codebooks
from fmzip.codecfile import CodecFile, LayerCodec, PlainLayer
from fmzip.codecs import GF2
from fmzip.errors import FmzipError
from fmzip.experiments import metrics
from fmzip.experiments.checkpoint import Checkpoint
from fmzip.experiments.evaluate import cores
from fmzip.experiments.making import Making, Opened, Progress
from fmzip.format import (
    BIT_TRANSFORMS,
    CRC_BYTES,
    DEFAULT_BURST_BYTES,
    GROUP_PLANES_MAX,
    HUFFMAN_TOKENS,
    INDEX_OFFSET,
    POSITION_SIDE,
    Transform,
    round_up,
)
from fmzip.gf2 import Groups, PlaneCoding, Rule
from fmzip.reference import gf2, huffman
from fmzip_models import capture, fisher, learn, plane_grow, plane_start, quantise
from fmzip_models.in_loop import InLoop, Uncoded
from fmzip_models.learn import Recipe
from fmzip_models.learnstate import LearnState
from fmzip_models.maps import Map
from fmzip_models.plane_learn import LearnedPlanes, Start
from fmzip_models.plane_loop import PlaneLoop
from fmzip_models.plane_start import Moments, Range
from fmzip_models.spec import Input

FORMS = {"sums": Rule.NONE, "popcount": Rule.POPCOUNT, "xor": Rule.XOR}
_FISHER_PICTURES = 512  # of those that are learned on
_COUNT_PICTURES = 256
_FIT_PICTURES = 128
_BATCH = 16
_DIGITS = 32  # of a digest, hexadecimal
_HEAD_BYTES = round_up(INDEX_OFFSET + CRC_BYTES, DEFAULT_BURST_BYTES)  # without an index


@dataclass(frozen=True)
class TrainConfig:
    """What to run; members that are not explained here are those of ``MeasureConfig``.

    Parameters
    ----------
    bits : per value of the maps that are coded, heads and padding included
    form : of the decoder, one of ``FORMS``; with ``xor`` the encoder, too, is linear over GF(2)
    side : of a position in pixels, 1 or 2
    entropy : planes are coded further, with the coder HUFFMAN
    maps : names of the maps that are coded; empty for all
    recipe : of learning; without epochs the codec stays as it begins
    calibration : pictures that everything is made on; None for 64, or a quarter where these are
        few. All may be used where others are evaluated
    name : of the codec
    fold : which pictures, see ``fmzip_models.pictures.split``
    """

    bits: float
    form: str = "sums"
    side: int = 1
    entropy: bool = False
    maps: tuple[str, ...] = ()
    recipe: Recipe = field(default_factory=lambda: Recipe(batch=32, rate=5e-3))
    model: str | None = None
    weights: Path | None = None
    images: Path | None = None
    name: str = GF2
    calibration: int | None = None
    scales: str = "max"
    device: str = "cpu"
    resume: Path | None = None
    input: Input | None = None
    fold: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.bits <= 9:
            raise ValueError(f"bits must be above 0 and at most 9, not {self.bits:g}")
        if self.form not in FORMS:
            raise ValueError(f"form must be {' or '.join(FORMS)}, not {self.form!r}")
        if self.side not in (1, 2):
            raise ValueError(f"side must be 1 or 2, not {self.side}")
        if self.calibration is not None and self.calibration < 1:
            raise ValueError(f"calibration must be at least 1, not {self.calibration}")
        quantise.check_method(self.scales)

    @property
    def transform(self) -> Transform:
        return next(t for t in BIT_TRANSFORMS if POSITION_SIDE[t] == self.side)


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
        KeyboardInterrupt : finished epochs are kept, and the next run goes on behind them
        """
        with redirect_stdout(sys.stderr):
            return self._run(progress)

    def _run(self, progress: Progress) -> CodecFile:
        config = self.config
        job = self.open("planes", progress, config.fold)
        known = self.checkpoint({
            **job.about, "bits": config.bits, "form": config.form, "side": config.side,
            "maps": list(config.maps), "recipe": vars(config.recipe),
        })  # fmt: skip
        with ThreadPoolExecutor(cores()) as threads:
            work = _Work(job, config, threads, progress)
            begin = work.begin()
            starts = work.learned(begin, known)
            layers, plain, found = work.finish(starts)
        return CodecFile(
            config.name, job.network.name, job.weights_hash, layers, {},
            {
                "budget": f"bits={config.bits:g}",
                "form": config.form,
                "epochs": config.recipe.epochs,
                "seed": config.recipe.seed,
                "rate": config.recipe.rate,
                "batch": config.recipe.batch,
                "features": config.recipe.features,
                "augmented": config.recipe.augment,
                "calibration_pictures": len(job.indices),
                "pictures_hash": job.about["pictures"],
                "layers_hash": _hash(layers),
                "torch": str(torch.__version__),
                **found,
            },
            plain,
        )  # fmt: skip


def _hash(layers: dict[str, LayerCodec]) -> str:
    """Digest of all binary layers and integers, by the names of their maps; SHA-256, shortened."""
    digest = hashlib.sha256()
    for name, layer in layers.items():
        assert isinstance(layer.coding, PlaneCoding)
        digest.update(f"{name}\n".encode())
        digest.update(layer.coding.encoder.to_bytes())
        digest.update(layer.coding.tables.to_bytes())
    return digest.hexdigest()[:_DIGITS]


class _Work:
    """The network on the pictures that its codec is made on."""

    def __init__(
        self, job: Opened, config: TrainConfig, threads: ThreadPoolExecutor, progress: Progress
    ) -> None:
        self._job, self._config, self._threads, self._progress = job, config, threads, progress
        self._network, self._device = job.network, job.device
        all_maps = self._network.graph.maps
        unknown = set(config.maps) - {m.name for m in all_maps}
        if unknown:
            raise FmzipError(f"{self._network.name} has no map {min(unknown)}: see fmzip graph")
        self._maps = tuple(m for m in all_maps if not config.maps or m.name in config.maps)
        calibration = capture.calibrate(
            self._network, job.pictures, self._some(_COUNT_PICTURES), config.scales
        )
        self._scales = calibration.scales
        self._network.module.to(self._device)
        self._loop = InLoop(self._network, self._scales, self._device)

    def _some(self, count: int) -> np.ndarray:
        """Indices of some of the pictures, evenly strided."""
        indices = self._job.indices
        return indices[:: max(1, len(indices) // count)][:count]

    def _batches(self, count: int) -> list[torch.Tensor]:
        chosen = self._some(count)
        parts = np.array_split(chosen, range(_BATCH, len(chosen), _BATCH))
        return [
            self._network.normalise(self._job.pictures.read(part)).to(self._device)
            for part in parts
        ]

    def _budget(self) -> float:
        """Bits that stored planes may take: without heads, and half a burst of padding each."""
        values = sum(m.values for m in self._maps)
        burst = DEFAULT_BURST_BYTES / 2
        return self._config.bits * values - 8 * len(self._maps) * (_HEAD_BYTES + burst)

    def begin(self) -> dict[str, Start]:
        """Which planes are stored, and what they stand for."""
        self._progress("choosing planes", 0, 0)
        batches = self._batches(_FISHER_PICTURES)
        weight = fisher.of_channels(self._network, self._scales, self._maps, batches)

        def each(see: Callable[[Map, np.ndarray], None]) -> None:
            def look(m: Map, stored: torch.Tensor) -> None:
                see(m, stored.cpu().numpy())

            for batch in self._batches(_COUNT_PICTURES):
                self._loop.int8_pass(batch, look)

        counts = plane_start.histograms(self._maps, each, self._scales)
        known = {name: plane_start.choices(of) for name, of in counts.items()}
        transform, side2 = self._config.transform, self._config.side**2
        planes = plane_start.allocate(self._maps, known, weight, self._budget(), transform)
        ranges: dict[str, list[Range | None]] = {
            name: [known[name].ranges[c][b - 1] if b else None for c, b in enumerate(of)] * side2
            for name, of in planes.items()
        }
        rule = FORMS[self._config.form]
        encoders = {
            name: plane_start.encoder_of(of, Rule.XOR if rule == Rule.XOR else Rule.POPCOUNT)
            for name, of in ranges.items()
        }
        moments = {
            m.name: Moments(
                encoders[m.name], transform, self._scales[m.name].limits[0], self._device
            )
            for m in self._maps
        }
        samples = {
            m.name: plane_grow.Sample(
                encoders[m.name], transform, self._scales[m.name].limits[0], self._device
            )
            for m in self._maps
        }  # fmt: skip

        def look(m: Map, stored: torch.Tensor) -> None:
            if m.name in moments:
                moments[m.name].add(stored)
                if rule != Rule.NONE:
                    samples[m.name].add(stored)

        for batch in self._batches(_FIT_PICTURES):
            self._loop.int8_pass(batch, look)
        found = {}
        for k, (name, encoder) in enumerate(encoders.items()):
            if rule == Rule.NONE:
                found[name] = Start(encoder, *moments[name].solve())
            else:
                self._progress(f"layer of {name}", k, len(encoders))
                found[name] = samples[name].grow(rule, ranges[name])
        return found

    def learned(self, begin: dict[str, Start], checkpoint: Checkpoint) -> dict[str, Start]:
        """Layers and sums behind the last epoch."""
        config, recipe = self._config, self._config.recipe
        if not recipe.epochs:
            return begin
        modules = {
            name: LearnedPlanes(of, config.transform, self._scales[name])
            for name, of in begin.items()
        }
        size = LearnState.size(sum(p.numel() for of in modules.values() for p in of.parameters()))
        known = [
            (done, found["state"])
            for done in range(1, recipe.epochs + 1)
            if (found := checkpoint.load(done, ("state",), size)) is not None
        ]
        learn.learn(
            self._network, self._job.pictures, self._job.indices, modules, recipe, self._device,
            before_relu=False,
            begin=known[-1] if known else None,
            step=lambda k, of, loss: self._progress(f"learning, loss {loss:.4f}", k, of),
            epoch=lambda done, state: checkpoint.save(done, {"state": state}),
        )  # fmt: skip
        return {name: module.start() for name, module in modules.items()}

    @torch.no_grad()
    def finish(
        self, starts: dict[str, Start]
    ) -> tuple[dict[str, LayerCodec], dict[str, PlainLayer], dict[str, float]]:
        """Integers of each map, and what some of the pictures say of them."""
        self._progress("counting bits", 0, 0)
        batches = self._batches(_COUNT_PICTURES)
        layers = {name: self._layer(name, start.coding()) for name, start in starts.items()}
        if self._config.entropy:
            layers = self._with_groups(layers, batches)
        plain = {}
        codecs: dict[str, PlaneLoop | Uncoded] = {}
        for m in self._network.graph.maps:
            if m.name in layers:
                layer = layers[m.name]
                assert isinstance(layer.coding, PlaneCoding)
                codecs[m.name] = PlaneLoop(layer.frame(), layer.coding, self._device, self._threads)
            else:
                scale = self._scales[m.name]
                plain[m.name] = PlainLayer(m.shape, scale.scale, scale.zero_point, scale.dtype)
                codecs[m.name] = Uncoded(round_up(m.values, DEFAULT_BURST_BYTES))
        passes = [self._loop.codec_pass(batch, codecs) for batch in batches]
        logits = torch.cat([p.logits for p in passes]).cpu().numpy()
        plain_logits = torch.cat([self._loop.some_pass(b, {}) for b in batches]).cpu().numpy()
        size = sum(int(p.bus_bytes[m.name].sum()) for p in passes for m in self._maps)
        values = len(logits) * sum(m.values for m in self._maps)
        return layers, plain, {
            "bits_per_value": round(8 * size / values, 4),
            "kl": round(metrics.kl_nats(plain_logits, logits), 5),
            "expected_drop": round(metrics.expected_drop(plain_logits, logits), 3),
            "agreement": round(metrics.agreement(plain_logits, logits), 2),
        }  # fmt: skip

    def _layer(self, name: str, coding: PlaneCoding) -> LayerCodec:
        scale = self._scales[name]
        shape = next(m.shape for m in self._maps if m.name == name)
        transform = self._config.transform
        return LayerCodec(shape, scale.scale, scale.zero_point, scale.dtype, transform, 0, coding)

    def _with_groups(
        self, layers: dict[str, LayerCodec], batches: list[torch.Tensor]
    ) -> dict[str, LayerCodec]:
        """The same layers with codebooks for their planes, all maps compressed."""
        loops, counts = {}, {}
        for name, layer in layers.items():
            assert isinstance(layer.coding, PlaneCoding)
            sizes = _group_sizes(layer.coding)
            loops[name] = _Counting(PlaneLoop(layer.frame(), layer.coding, self._device), sizes)
            counts[name] = sizes
        for batch in batches:
            self._loop.some_pass(batch, loops)
        pictures = sum(map(len, batches))
        found = {}
        for name, layer in layers.items():
            assert isinstance(layer.coding, PlaneCoding)
            lengths, books = make_codebooks(loops[name].counts, pictures)
            groups = Groups(counts[name], lengths, books)
            tables = replace(layer.coding.tables, groups=groups)
            found[name] = replace(layer, coding=replace(layer.coding, tables=tables))
        return found


class _Counting:
    """A codec in the loop that counts the symbols of its planes."""

    def __init__(self, loop: PlaneLoop, sizes: np.ndarray) -> None:
        self._loop, self._sizes = loop, sizes
        self.counts = np.zeros((len(sizes), HUFFMAN_TOKENS), np.int64)

    def __call__(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        planes = self._loop.planes(values).transpose(1, 2).flatten(0, 1)
        packed = np.packbits(planes.to(torch.uint8).cpu().numpy(), axis=1, bitorder="little")
        numbers = huffman.numbers_of(gf2.symbols_of(packed, self._sizes))
        self.counts += count_tokens(huffman.tokens_of(numbers).T)
        return self._loop(values)


def _group_sizes(coding: PlaneCoding) -> np.ndarray:
    """Planes of each symbol: those of one value belong together, five at most."""
    weights = coding.encoder.layer.weights
    value = np.abs(weights).argmax(axis=1) // 8  # the first that a plane is made of
    sizes: list[int] = []
    for v, planes in zip(*np.unique(value, return_counts=True), strict=True):
        del v
        while planes > 0:
            sizes.append(min(int(planes), GROUP_PLANES_MAX))
            planes -= sizes[-1]
    return np.array(sizes, np.uint8)
