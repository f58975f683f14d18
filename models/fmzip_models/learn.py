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

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from fmzip.errors import FmzipError
from fmzip.format import COMPONENT_MAX
from fmzip_models.graph import TracedGraph
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
    """

    epochs: int = 8
    batch: int = 8
    rate: float = 1e-3
    features: float = 1.0
    labels: float = 0.0
    seed: int = 1

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
    begin: tuple[int, np.ndarray] | None = None,
    step: Callable[[int, int, float], None] = lambda *_: None,
    epoch: Callable[[int, np.ndarray], None] = lambda *_: None,
) -> None:  # fmt: skip
    """Learn the codecs of all maps, or of some.

    Parameters
    ----------
    indices : of the pictures
    learned : of each map, by its name; maps without one stay as they are
    before_relu : maps are stored in front of their ReLU
    begin : epochs that are done, and the state that ``epoch`` was given behind the last of them
    step : called behind each step with its number, that of all steps, and the loss
    epoch : called behind each epoch with the number of them that are done, and a state

    Raises
    ------
    FmzipError : gradients do not pass through the network: torch.fx cannot trace it
    """
    graph = network.graph
    if not isinstance(graph, TracedGraph):
        raise FmzipError(f"{network.name}: torch.fx cannot trace it, so codecs cannot learn")
    modules = nn.ModuleList(m for m in learned.values() if isinstance(m, nn.Module)).to(device)
    parameters = list(modules.parameters())
    optimiser = torch.optim.Adam(parameters, recipe.rate)
    steps = -(-len(indices) // recipe.batch)
    done = 0
    if begin is not None:
        done = begin[0]
        _restore(optimiser, parameters, begin[1], done * steps)
    frozen = [p for p in network.module.parameters() if p.requires_grad]
    for parameter in frozen:
        parameter.requires_grad_(False)
    spread, slope = begin[1][-2:].tolist() if begin is not None else (np.nan, np.nan)
    weights = {m.name: m.values for m in graph.maps}
    try:
        for number in range(done, recipe.epochs):
            order = np.random.default_rng((recipe.seed, number)).permutation(indices)
            for k in range(steps):
                share = (number * steps + k) / (recipe.epochs * steps)
                optimiser.param_groups[0]["lr"] = recipe.rate * (0.5 + 0.5 * np.cos(np.pi * share))
                chosen = order[k * recipe.batch : (k + 1) * recipe.batch]
                batch = network.normalise(pictures.read(chosen)).to(device)
                labels = torch.from_numpy(np.asarray(pictures.labels)[chosen]).to(device)
                loss = _loss(graph, batch, labels, learned, recipe, before_relu)
                bits = _spread(learned, weights)
                if np.isnan(spread):
                    spread, slope = float(bits.detach()), float(_SLOPE * loss.detach())
                optimiser.zero_grad()
                more = bits - spread
                (loss + slope * more + _RATE_PRICE * more.square()).backward()
                optimiser.step()
                step(number * steps + k + 1, recipe.epochs * steps, float(loss.detach()))
            epoch(number + 1, _state(optimiser, parameters, spread, slope))
    finally:
        for parameter in frozen:
            parameter.requires_grad_(True)


def _loss(
    graph: TracedGraph, batch: torch.Tensor, labels: torch.Tensor,
    learned: Mapping[str, LearnedMap], recipe: Recipe, before_relu: bool,
) -> torch.Tensor:  # fmt: skip
    wanted: dict[str, torch.Tensor] = {}
    answers = graph.run(batch, lambda m, v: wanted.__setitem__(m.name, v.clone()))
    errors: list[torch.Tensor] = []

    def project(m: Map, values: torch.Tensor) -> torch.Tensor:
        if m.name not in learned:
            return values
        back = learned[m.name](values)
        seen = functional.relu(back) if m.relu and before_relu else back
        power = wanted[m.name].var() + 1e-12
        errors.append((seen - wanted[m.name]).square().mean() / power)
        return back

    logits = graph.forward(batch, project, before_relu=before_relu)
    loss = functional.kl_div(
        logits.log_softmax(1), answers.log_softmax(1), log_target=True, reduction="batchmean"
    )
    loss = loss + recipe.features * torch.stack(errors).mean()
    if recipe.labels:
        loss = loss + recipe.labels * functional.cross_entropy(logits, labels)
    return loss


def _spread(learned: Mapping[str, LearnedMap], weights: Mapping[str, int]) -> torch.Tensor:
    """Mean logarithm of the spread of all symbols, in bits."""
    total = sum(weights.values())
    return torch.stack([weights[n] / total * of.log_spread for n, of in learned.items()]).sum()


def _state(
    optimiser: torch.optim.Adam, parameters: list[nn.Parameter], *beginning: float
) -> np.ndarray:
    """Parameters, Adam's two means, and what is kept of the beginning: float32 [3 n + 2]."""
    parts = [p.detach() for p in parameters]
    for name in ("exp_avg", "exp_avg_sq"):
        parts += [optimiser.state[p][name] for p in parameters]
    flat = torch.cat([part.reshape(-1) for part in parts]).float().cpu().numpy()
    return np.append(flat, np.array(beginning, np.float32))


def _restore(
    optimiser: torch.optim.Adam, parameters: list[nn.Parameter], state: np.ndarray, steps: int
) -> None:
    flat = torch.from_numpy(state[:-2])
    sizes = [p.numel() for p in parameters]
    parts = [
        part.view_as(p).to(p) for part, p in zip(flat.split(3 * sizes), parameters * 3, strict=True)
    ]
    n = len(parameters)
    with torch.no_grad():
        for k, parameter in enumerate(parameters):
            parameter.copy_(parts[k])
            optimiser.state[parameter] = {
                "step": torch.tensor(float(steps)),
                "exp_avg": parts[n + k].clone(),
                "exp_avg_sq": parts[2 * n + k].clone(),
            }
