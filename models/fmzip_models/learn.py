"""Projections that are learned to undo what they lose: both matrices of every map at once.

The idea is that of Tai et al., Compression-aware Projection with Greedy Dimension Reduction, arXiv
2110.08828: fewer components than channels, and matrices that are trained to make up for it. Their
recipe was not at hand; this one is ours. Matrices start as principal components. The network itself
stays as it is, and is its own teacher: the compressed network is to give its answers, by their
divergence, and its feature maps behind every projection, by squared error. So no labels are needed;
where they are wanted, the cross-entropy of the right answers is added. Rounding passes gradients as
if it were not there. Changes are learned of whitened inputs and of symbols in units of their
spread, so that a step of Adam moves every sum by about the same part of a quantisation step. What
the symbols take is held where it was by a price on the logarithm of their spread. It works both
ways: a price on what is above alone lets the noise from batch to batch wear the spread down, and
the errors up.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from fmzip.errors import FmzipError
from fmzip.format import COMPONENT_MAX
from fmzip_models.augment import augmented
from fmzip_models.graph import TracedGraph
from fmzip_models.learnstate import LearnState
from fmzip_models.maps import Map
from fmzip_models.pca import Components, Linear, Shape
from fmzip_models.pictures import Pictures
from fmzip_models.projecting import columns, from_columns
from fmzip_models.quantise import Scale
from fmzip_models.zoo import Network

# A bit more for each component divides squared errors by 4: what a bit is worth in the beginning.
_SLOPE = 2 * float(np.log(2))
_RATE_PRICE = 5.0  # of the square of the bits that the spread of symbols is off by


@dataclass(frozen=True)
class Recipe:
    """How projections are learned.

    Parameters
    ----------
    epochs, batch : passes over the pictures, and pictures for each step
    rate : of Adam, falling to 0 in half a cosine
    features : weight of the squared error of the maps, relative to their power
    labels : weight of the cross-entropy of the labels; 0 without
    seed : of the order of the pictures
    augment : pictures are turned and shifted, see ``augment.augmented``
    """

    epochs: int = 12
    batch: int = 8
    rate: float = 1e-3
    features: float = 1.0
    labels: float = 0.0
    seed: int = 1
    augment: bool = False

    def __post_init__(self) -> None:
        if self.epochs < 0 or self.batch < 1 or self.seed < 0:
            raise ValueError("epochs and seed must not be negative, batch must be at least 1")
        if self.rate <= 0 or self.features < 0 or self.labels < 0:
            raise ValueError("rate must be above 0, weights must not be negative")


class LearnedMap(Protocol):
    """What ``learn`` needs of one map's codec, a ``torch.nn.Module``.

    Members
    -------
    log_spread : what its symbols took in the last batch, in bits; of a fixed rate always 0
    """

    @property
    def log_spread(self) -> torch.Tensor: ...

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        """What comes back of a map: float32 [n, C, H, W]."""
        ...


class Learned(nn.Module):
    """One map's projection with numbers that can be learned.

    Parameters
    ----------
    linear : where it begins, the first of the components
    shape : of a position
    scale : of the map's integers
    step : of quantisation in LSB, which changes of the matrices are relative to
    components : of the map
    """

    def __init__(
        self, linear: Linear, shape: Shape, scale: Scale, step: float, components: Components
    ) -> None:
        super().__init__()
        self._shape, self._scale, self._step = shape, scale, step
        # Of each group: what makes spreads of inputs one, their mean behind it, spread of symbols.
        # Directions that are lost in the noise of rounding are not blown up.
        self._units = []
        for vectors, mean, variance, kept in zip(
            components.vectors, components.mean, components.variance, linear.forward, strict=True
        ):
            spread = np.sqrt(np.maximum(variance, (step / 2) ** 2))
            white = vectors / spread[:, None]
            symbols = np.maximum(spread[: len(kept)] / step, 1)
            # Of many inputs each moves a sum less.
            white, symbols = white / np.sqrt(len(white)), symbols * np.sqrt(len(kept))
            parts = (white, white @ mean, symbols)
            self._units.append([torch.from_numpy(part).float() for part in parts])
        self._begin = [
            [torch.from_numpy(np.array(part)).float() for part in parts]
            for parts in zip(
                linear.forward, linear.forward_offset, linear.inverse, linear.inverse_offset,
                strict=True,
            )
        ]  # fmt: skip
        self.changes = nn.ParameterList(
            nn.Parameter(torch.zeros_like(part)) for parts in self._begin for part in parts
        )
        self.log_spread = torch.zeros(())  # mean over the components of the last batch, in bits

    def _parts(self, group: int) -> list[torch.Tensor]:
        matrix, offset, back, back_offset = self.changes[4 * group : 4 * group + 4]
        white, mean, spread = (unit.to(matrix) for unit in self._units[group])
        changes = (
            matrix @ white, offset - matrix @ mean, self._step / spread * back,
            self._step * back_offset,
        )  # fmt: skip
        begin = self._begin[group]
        return [b.to(c) + c for b, c in zip(begin, changes, strict=True)]

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """What comes back of a map: float32 [n, C, H, W]."""
        low, high = (limit - self._scale.zero_point for limit in self._scale.limits)
        inputs = (values / self._scale.scale).clamp(low, high)
        split = columns(inputs, self._shape.transform, self._shape.groups)
        found, spreads = [], []
        for g in range(self._shape.groups):
            matrix, offset, back, back_offset = self._parts(g)
            sums = matrix @ split[:, g] + offset[:, None]
            # With the noise of rounding, so that what is below it costs nothing.
            spreads.append(0.5 * torch.log2(1 + 12 * sums.square().mean((0, 2))))
            symbols = sums + (sums.round() - sums).detach()
            symbols = symbols.clamp(-COMPONENT_MAX, COMPONENT_MAX)
            found.append(back @ symbols + back_offset[:, None])
        self.log_spread = torch.cat(spreads).mean()
        back = from_columns(torch.stack(found, 1), self._shape.transform, values.shape)
        return back.clamp(low, high) * self._scale.scale

    def linear(self) -> Linear:
        """As numbers."""
        with torch.no_grad():
            groups = [self._parts(g) for g in range(self._shape.groups)]
        parts = zip(*[[p.double().cpu().numpy() for p in of] for of in groups], strict=True)
        return Linear(*(list(part) for part in parts))


def learn(
    network: Network, pictures: Pictures, indices: np.ndarray, learned: Mapping[str, LearnedMap],
    recipe: Recipe, device: torch.device, *,
    before_relu: bool = True,
    held: Sequence[int] | np.ndarray = (),
    begin: tuple[int, np.ndarray] | None = None,
    step: Callable[[int, int, float], None] = lambda *_: None,
    epoch: Callable[[int, np.ndarray], None] = lambda *_: None,
) -> tuple[float, float]:  # fmt: skip
    """Learn the codecs of all maps, or of some.

    Parameters
    ----------
    indices : of the pictures
    learned : of each map, by its name; maps without one stay as they are
    before_relu : maps are stored in front of their ReLU
    held : other pictures, which nothing is learned on. What the codecs are in the end is what had
        the least divergence on these, behind any epoch or in the beginning; without, the last one
    begin : epochs that are done, and the state that ``epoch`` was given behind the last of them
    step : called behind each step with its number, that of all steps, and the loss
    epoch : called behind each epoch with the number of them that are done, and a state

    Returns
    -------
    first, best : divergence on ``held`` in the beginning and in the end, nats; nan without

    Raises
    ------
    FmzipError : gradients do not pass through the network: torch.fx cannot trace it
    """
    graph = network.graph
    if not isinstance(graph, TracedGraph):
        raise FmzipError(f"{network.name}: torch.fx cannot trace it, so codecs cannot learn")
    modules = nn.ModuleList(m for m in learned.values() if isinstance(m, nn.Module)).to(device)
    state = LearnState(list(modules.parameters()), recipe.rate)
    steps = -(-len(indices) // recipe.batch)
    done = 0

    def read(chosen: np.ndarray, *seed: int) -> torch.Tensor:
        found = pictures.read(chosen)
        if recipe.augment:
            found = augmented(found, np.random.default_rng((recipe.seed, *seed)))
        return network.normalise(found).to(device)

    @torch.no_grad()
    def held_kl() -> float:
        if not len(held):
            return np.nan
        total = 0.0
        for k in range(0, len(held), recipe.batch):
            batch = read(np.asarray(held[k : k + recipe.batch]), k)
            kl, _ = _divergence(graph, batch, learned, before_relu)
            total += float(kl) * len(batch)
        return total / len(held)

    if begin is not None:
        done = begin[0]
        state.restore(begin[1], done * steps)
    else:
        state.see(held_kl())
    frozen = [p for p in network.module.parameters() if p.requires_grad]
    for parameter in frozen:
        parameter.requires_grad_(False)
    weights = {m.name: m.values for m in graph.maps}
    try:
        for number in range(done, recipe.epochs):
            order = np.random.default_rng((recipe.seed, number)).permutation(indices)
            for k in range(steps):
                share = (number * steps + k) / (recipe.epochs * steps)
                rate = recipe.rate * (0.5 + 0.5 * np.cos(np.pi * share))
                chosen = order[k * recipe.batch : (k + 1) * recipe.batch]
                batch = read(chosen, number, k)
                labels = torch.from_numpy(np.asarray(pictures.labels)[chosen]).to(device)
                loss = _loss(graph, batch, labels, learned, recipe, before_relu)
                bits = _spread(learned, weights)
                if np.isnan(state.spread):
                    state.spread = float(bits.detach())
                    state.slope = float(_SLOPE * loss.detach())
                more = bits - state.spread
                state.step(loss + state.slope * more + _RATE_PRICE * more.square(), rate)
                step(number * steps + k + 1, recipe.epochs * steps, float(loss.detach()))
            state.see(held_kl())
            epoch(number + 1, state.flat())
    finally:
        for parameter in frozen:
            parameter.requires_grad_(True)
    return state.first_kl, state.take_best()


def _loss(
    graph: TracedGraph, batch: torch.Tensor, labels: torch.Tensor,
    learned: Mapping[str, LearnedMap], recipe: Recipe, before_relu: bool,
) -> torch.Tensor:  # fmt: skip
    errors: list[torch.Tensor] = []
    loss, logits = _divergence(graph, batch, learned, before_relu, errors)
    loss = loss + recipe.features * torch.stack(errors).mean()
    if recipe.labels:
        loss = loss + recipe.labels * functional.cross_entropy(logits, labels)
    return loss


def _divergence(
    graph: TracedGraph, batch: torch.Tensor, learned: Mapping[str, LearnedMap], before_relu: bool,
    errors: list[torch.Tensor] | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    """Mean divergence of the answers, and logits; ``errors`` gets those of the maps."""
    wanted: dict[str, torch.Tensor] = {}
    answers = graph.run(batch, lambda m, v: wanted.__setitem__(m.name, v.clone()))

    def project(m: Map, values: torch.Tensor) -> torch.Tensor:
        if m.name not in learned:
            return values
        back = learned[m.name](values)
        if errors is not None:
            seen = functional.relu(back) if m.relu and before_relu else back
            power = wanted[m.name].var() + 1e-12
            errors.append((seen - wanted[m.name]).square().mean() / power)
        return back

    logits = graph.forward(batch, project, before_relu=before_relu)
    return functional.kl_div(
        logits.log_softmax(1), answers.log_softmax(1), log_target=True, reduction="batchmean"
    ), logits


def _spread(learned: Mapping[str, LearnedMap], weights: Mapping[str, int]) -> torch.Tensor:
    """Mean logarithm of the spread of all symbols, in bits."""
    total = sum(weights.values())
    return torch.stack([weights[n] / total * of.log_spread for n, of in learned.items()]).sum()
