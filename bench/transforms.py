"""What transforms and channel steps that ``fmz`` does not have would save at equal divergence.

``python bench/transforms.py [--model M --weights W --images I] [--json FILE]``; without a model the
embedded stand-in on digits. Every stored map is quantised alone, as ``fmzip allocate`` does, with
each way of rounding and transforming at four steps. Then steps and ways are chosen for all maps at
one price of a nat, with the ways that ``fmz`` has and with others beside them, and the price is
searched at which divergences add up to the same.

Bits are bounds: cross-entropy of the symbols with the contexts of ``docs/format.md``, 10.4 (planes
from the third on have the rule of plane 3), each half of the pictures priced with the statistics of
the other, so that many contexts are no advantage. Transforms are orthonormal and in float64, so
they lose nothing to rounding: what they save here is the most that integers could.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from fmzip.experiments import sensitivity
from fmzip.experiments.sensitivity import Curve
from fmzip.format import (
    BLOCK,
    RANS_STEP_MIN,
    RANS_STEP_PER_LSB,
    STEP_MAX,
    FrameConfig,
    Transform,
)
from fmzip.reference import planes, rans
from fmzip.tables import Diffusion
from fmzip_models import fisher
from fmzip_models.augment import augmented
from fmzip_models.capture import Calibration, calibrate
from fmzip_models.default import open_job
from fmzip_models.in_loop import InLoop
from fmzip_models.maps import Map

PRIOR = 16.0  # symbols of a plane's own distribution that each of its contexts has seen beforehand
STEP_SPREAD = 0.4  # a channel's step goes with its weight to the power of minus this
STEP_CLASSES = 16  # steps of channels, between the smallest and the largest


@dataclass(frozen=True)
class Way:
    """A way to store a map; the step is chosen apart.

    Parameters
    ----------
    name : in the table
    matrix : name in ``MATRICES``, or none: the transforms of ``fmz``
    side : rows and columns of the pixels that the matrix mixes; (0, 0): 8 channels of a pixel
    ordered : channels that are alike stand beside each other
    transform, diffusion : of ``fmz``
    channel_steps : steps by what a channel's errors do to the answers
    """

    name: str
    matrix: str = ""
    side: tuple[int, int] = (0, 0)
    ordered: bool = False
    transform: Transform = Transform.BYPASS
    diffusion: Diffusion = field(default_factory=Diffusion)
    channel_steps: bool = False


HAS = tuple(
    Way(f"fmz {k}", transform=c.transform, diffusion=c.diffusion)
    for k, c in enumerate(sensitivity.CANDIDATES)
)
OTHERS = {
    "WHT 2 x 4 pixels": (Way("wht2x4", "wht", (2, 4)),),
    "WHT 8 channels": (Way("wht8", "wht"),),
    "WHT 8 channels, ordered": (Way("wht8 ordered", "wht", ordered=True),),
    "DCT 8 channels": (Way("dct8", "dct"),),
    "DCT 8 channels, ordered": (Way("dct8 ordered", "dct", ordered=True),),
    "steps by channel": tuple(
        replace(way, name=f"{way.name} by channel", channel_steps=True)
        for way in HAS
        if way.transform == Transform.BYPASS
    ),
}


def wht(size: int) -> np.ndarray:
    """Orthonormal Walsh-Hadamard matrix [size, size], rows by sequency."""
    matrix = np.ones((1, 1))
    while len(matrix) < size:
        matrix = np.kron(np.array([[1, 1], [1, -1]]), matrix)
    changes = (np.diff(matrix, axis=1) != 0).sum(axis=1)
    return matrix[np.argsort(changes)] / np.sqrt(size)


def dct(size: int) -> np.ndarray:
    """Orthonormal DCT-II matrix [size, size]."""
    k, n = np.arange(size)[:, None], np.arange(size)[None]
    matrix = np.cos(np.pi * k * (2 * n + 1) / (2 * size)) * np.sqrt(2 / size)
    matrix[0] /= np.sqrt(2)
    return matrix


MATRICES: dict[str, Callable[[int], np.ndarray]] = {"wht": wht, "dct": dct}


def order(stored: np.ndarray) -> np.ndarray:
    """Channels in groups of 8 that go with each other: int64 [C].

    The group of a channel that is left takes those most correlated with it, one by one.

    Parameters
    ----------
    stored : integers [n, C, H, W]
    """
    flat = stored.transpose(1, 0, 2, 3).reshape(stored.shape[1], -1).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        likeness = np.nan_to_num(np.corrcoef(flat))
    left = list(np.argsort(-flat.var(axis=1)))
    found: list[int] = []
    while left:
        group = [left.pop(0)]
        while left and len(group) < BLOCK:
            gains = likeness[np.ix_(left, group)].mean(axis=1)
            group.append(left.pop(int(gains.argmax())))
        found += group
    return np.array(found)


class Trial:
    """A way at a step, in the loop; see ``sensitivity.Trial``.

    Parameters
    ----------
    frame : of the map, with the step
    permutation : of its channels, int64 [C]
    steps : of each channel over the map's, float64 [C]
    """

    def __init__(
        self, way: Way, frame: FrameConfig, permutation: np.ndarray, steps: np.ndarray
    ) -> None:
        self._way, self._permutation, self._steps = way, permutation, steps
        side = way.side if way.side[0] else (BLOCK, 1)
        self._count = side[0] * side[1] if way.matrix else frame.planes
        # The whole map is one tile: how tiles are cut concerns all ways alike.
        self._frame = replace(
            frame, transform=way.transform, tile_rows=frame.height, tile_cols=frame.width
        )
        self._counts = np.zeros((2, 512 * self._count, 32), np.int64)
        self._escapes = 0
        self._values = 0

    def __call__(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        stored = values.cpu().numpy()
        decoded = np.empty_like(stored)
        for n, one in enumerate(stored):
            z, signed, decoded[n] = self._matrix(one) if self._way.matrix else self._own(one)
            self._count_symbols(n % 2, z, signed)
        self._values += stored.size
        return torch.from_numpy(decoded).to(values.device), torch.zeros(len(stored))

    def _own(self, one: np.ndarray) -> tuple[np.ndarray, list[bool], np.ndarray]:
        """Numbers z, which planes are signed, and what comes back, with a transform of ``fmz``."""
        frame, diffusion = self._frame, self._way.diffusion
        tile = next(frame.iter_tiles())
        signed = [not planes.unsigned(frame, k) for k in range(frame.planes)]
        if not self._way.channel_steps:
            z = planes.numbers(one, frame, diffusion)
            return z[:, : len(one)], signed, planes.values_of(z, frame, tile)
        z = np.empty((1, *one.shape), np.uint8)
        back = np.empty_like(one)
        for step in np.unique(self._steps):
            chosen = self._steps == step
            units = min(max(RANS_STEP_MIN, round(frame.step * step)), STEP_MAX)
            narrow = replace(frame, channels=int(chosen.sum()), step=units)
            part = planes.numbers(one[chosen], narrow, diffusion)
            z[0, chosen] = part[0, : narrow.channels]
            back[chosen] = planes.values_of(part, narrow, next(narrow.iter_tiles()))
        return z, signed, back

    def _matrix(self, one: np.ndarray) -> tuple[np.ndarray, list[bool], np.ndarray]:
        frame, (rows, cols) = self._frame, self._way.side
        step = frame.step / RANS_STEP_PER_LSB
        x = one[self._permutation].astype(np.float64) - frame.zero_point
        channels, height, width = x.shape
        if rows:
            x = np.pad(x, ((0, 0), (0, -height % rows), (0, -width % cols)), "edge")
            down, across = x.shape[1] // rows, x.shape[2] // cols
            blocks = x.reshape(channels, down, rows, across, cols).transpose(2, 4, 0, 1, 3)
            blocks = blocks.reshape(rows * cols, channels, down, across)
            matrix = np.kron(MATRICES[self._way.matrix](rows), MATRICES[self._way.matrix](cols))
        else:
            x = np.pad(x, ((0, -channels % BLOCK), (0, 0), (0, 0)))
            blocks = x.reshape(-1, BLOCK, height, width).transpose(1, 0, 2, 3)
            matrix = MATRICES[self._way.matrix](BLOCK)
        coefficients = np.tensordot(matrix, blocks, 1)
        symbols = np.rint(coefficients / step)
        signed = [k > 0 or not frame.unipolar for k in range(len(matrix))]
        low = np.array([-128 if s else 0 for s in signed])[:, None, None, None]
        high = np.array([127 if s else 255 for s in signed])[:, None, None, None]
        symbols = symbols.clip(low, high)
        pixels = np.tensordot(matrix.T, symbols * step, 1)
        if rows:
            pixels = pixels.reshape(rows, cols, *pixels.shape[1:]).transpose(2, 3, 0, 4, 1)
            pixels = pixels.reshape(x.shape)[:, :height, :width]
        else:
            pixels = pixels.transpose(1, 0, 2, 3).reshape(x.shape)[:channels]
        back = np.empty_like(one)
        whole = np.rint(pixels) + frame.zero_point
        back[self._permutation] = whole.clip(*frame.value_range).astype(one.dtype)
        q = symbols.astype(np.int64)
        z = np.where(low < 0, np.where(q >= 0, 2 * q, -2 * q - 1), q).astype(np.uint8)
        return z, signed, back

    def _count_symbols(self, half: int, z: np.ndarray, signed: Sequence[bool]) -> None:
        """Count symbols [K, channels, rows, cols] in their contexts."""
        kinds = np.array(signed, np.int64)[:, None, None, None]
        classes = rans.SYMBOL_CLASSES[kinds, z].astype(np.int64)
        north = np.empty_like(classes)
        west = np.empty_like(classes)
        north[:, :, 1:] = classes[:, :, :-1]
        west[..., 1:] = classes[..., :-1]
        west[:, :, 1:, 0] = north[:, :, 1:, 0]
        west[:, :, 0, 0] = 0
        north[:, :, 0] = west[:, :, 0]
        near, far = north.copy(), north.copy()
        near[:, :, 1:, 1:] = classes[:, :, :-1, :-1]
        far[:, :, 1:, :-1] = classes[:, :, :-1, 1:]
        for k in range(len(classes)):
            if k == 0:
                more = (near[0] + far[0] + 1) >> 1
            elif k < 3:
                more = classes[0]
            else:
                more = np.minimum(7, classes[k - 2] + classes[k - 1] + ((classes[0] + 1) >> 1))
            context = 512 * k + 64 * west[k] + 8 * north[k] + more
            tokens = np.minimum(z[k], 31)
            flat = np.bincount((32 * context + tokens).ravel(), minlength=self._counts[half].size)
            self._counts[half] += flat.reshape(self._counts[half].shape)
        self._escapes += int((z > 30).sum())

    @property
    def bits_per_value(self) -> float:
        """Bits of each half with what the other half has shown, see the top of this file."""
        bits = 8.0 * self._escapes
        for half in range(2):
            seen = self._counts[1 - half].reshape(self._count, 512, 32) + 0.01
            own = seen.sum(axis=1, keepdims=True)
            likely = seen + PRIOR * own / own.sum(axis=2, keepdims=True)
            likely /= likely.sum(axis=2, keepdims=True)
            bits -= (self._counts[half].reshape(seen.shape) * np.log2(likely)).sum()
        return float(bits) / self._values


def channel_steps(weight: np.ndarray) -> np.ndarray:
    """Steps of channels over the map's: float64 [C], their logarithms 0 on average.

    Parameters
    ----------
    weight : of each channel's squared error, see ``fisher.of_channels``
    """
    log = -STEP_SPREAD * np.log(np.maximum(weight, weight.max() * 1e-6))
    log -= log.mean()
    levels = np.linspace(log.min(), log.max() + 1e-9, STEP_CLASSES)
    return np.exp(levels[np.abs(log[:, None] - levels).argmin(axis=1)])


def curves_of(
    m: Map, calibration: Calibration, loop: InLoop, batches: list[torch.Tensor],
    plain: np.ndarray, weight: np.ndarray, ways: Sequence[Way], each: Callable[[], None],
) -> list[Curve[Way]]:  # fmt: skip
    """Divergence and bits of all ways of a map."""
    seen: list[np.ndarray] = []

    def hold(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        seen.append(values.cpu().numpy())
        return values, torch.zeros(len(values))

    runs = [loop.one_map(m, batch) for batch in batches]
    for run in runs:
        run(hold)
    ordered = order(np.concatenate(seen))
    same = np.arange(m.shape[0])
    steps = channel_steps(weight)

    def make(way: Way, step_std: float) -> Trial:
        step = sensitivity.step_units(step_std, calibration, m.name)
        frame = sensitivity.frame_of(m, calibration, way.transform, step)
        return Trial(way, frame, ordered if way.ordered else same, steps)

    kl, bits = sensitivity.measure_ways(runs, plain, make, ways, sensitivity.STEPS_STD, each)
    return [sensitivity.curve(way, kl[k], bits[k]) for k, way in enumerate(ways)]


@dataclass(frozen=True)
class Row:
    """Ways beside those of ``fmz``.

    Members
    -------
    bits : per value, at the sum of divergences
    saved : percent of the bits without them
    chosen : maps that take one of them
    """

    ways: str
    kl: float
    bits: float
    saved: float
    chosen: int


def at_divergence(
    curves: dict[str, list[Curve[Way]]], values: dict[str, int], limit: float
) -> tuple[float, dict[str, Way]]:
    """Bits per value where divergences add up to a limit, and the way of each map."""
    total = sum(values.values())
    low, high = -10.0, 40.0  # logarithm of the price of a nat
    for _ in range(60):
        middle = (low + high) / 2
        chosen = sensitivity.choose(curves, values, float(np.exp(middle)))
        bits, kl = 0.0, 0.0
        for name, (way, step_std) in chosen.items():
            of = sensitivity.curve_of(curves[name], way)
            at = int(np.abs(of.step_std - step_std).argmin())
            bits += values[name] * of.bits[at] / total
            kl += of.kl[at]
        low, high = (middle, high) if kl > limit else (low, middle)
    return bits, {name: way for name, (way, _) in chosen.items()}


def measure(options: argparse.Namespace) -> tuple[str, list[Row]]:
    """Name of the network, and a row for each set of further ways and each divergence."""
    torch.set_num_threads(1)
    network, pictures = open_job(options.model, options.weights, options.images)
    chosen, _ = pictures.split(options.pictures)
    calibration = calibrate(network, pictures, chosen)
    # A network is sure of pictures that it was trained on: of shifted ones it is less so.
    views = augmented(pictures.read(chosen), np.random.default_rng(1))
    inputs = network.normalise(views)
    batches = list(inputs.split(16))
    loop = InLoop(network, calibration.scales)
    maps = network.graph.maps
    weight = fisher.of_channels(network, calibration.scales, maps, batches)
    ways = [*HAS, *(way for some in OTHERS.values() for way in some)]
    curves = {}
    with torch.no_grad(), Progress(console=Console(stderr=True)) as bar:
        plain = torch.cat([loop.some_pass(batch, {}) for batch in batches]).numpy()
        task = bar.add_task("maps", total=len(maps) * len(ways) * len(sensitivity.STEPS_STD))
        for m in maps:
            curves[m.name] = curves_of(
                m, calibration, loop, batches, plain, weight[m.name], ways,
                lambda: bar.advance(task),
            )  # fmt: skip
    values = {m.name: m.values for m in maps}

    def only(names: set[str]) -> dict[str, list[Curve[Way]]]:
        return {k: [c for c in of if c.candidate.name in names] for k, of in curves.items()}

    own = {way.name for way in HAS}
    rows = []
    for limit in options.divergences:
        base, _ = at_divergence(only(own), values, limit)
        rows.append(Row("those of fmz", limit, base, 0.0, 0))
        sets = OTHERS | {"all of these": tuple(w for some in OTHERS.values() for w in some)}
        for title, some in sets.items():
            names = {way.name for way in some}
            bits, taken = at_divergence(only(own | names), values, limit)
            count = sum(way.name in names for way in taken.values())
            rows.append(Row(title, limit, bits, 100 * (1 - bits / base), count))
    return network.name, rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--pictures", type=int, default=32, metavar="N", help="to work on")
    parser.add_argument(
        "--divergences", type=float, nargs="+", default=[0.03, 0.06], metavar="NATS",
        help="sums over all maps, each quantised alone",
    )  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file")
    options = parser.parse_args()
    name, rows = measure(options)
    table = Table(title=f"{name}, {options.pictures} pictures", title_justify="left")
    for column in ("ways beside", "KL, nats", "bits per value, a bound", "saved", "maps"):
        table.add_column(column, justify="left" if column == "ways beside" else "right")
    for row in rows:
        table.add_row(
            row.ways, f"{row.kl:g}", f"{row.bits:.3f}", f"{row.saved:.1f} %", str(row.chosen)
        )
    Console().print(table)
    if options.json:
        options.json.write_text(
            json.dumps(
                {"model": name, "pictures": options.pictures, "rows": [asdict(r) for r in rows]},
                indent=1,
            )
            + "\n"
        )


if __name__ == "__main__":
    sys.exit(main())
