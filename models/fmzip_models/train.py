"""Train the embedded default, a stand-in: ``python -m fmzip_models.train``.

A minute or two on one core. The same recipe on the same machine with the same versions writes the
same bytes; the manifest beside the weights says which these were.
"""

import argparse
import hashlib
import json
import math
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from safetensors.torch import save
from torch.nn import functional

from fmzip_models import capture, digits, zoo
from fmzip_models.pictures import ArrayPictures
from fmzip_models.zoo import Network

_PACKAGES = ("numpy", "safetensors", "scikit-learn", "torch")


@dataclass(frozen=True)
class Recipe:
    """How the stand-in is trained.

    Parameters
    ----------
    seed : of the split, the initial weights, the order and the augmentation
    held_out : digits that training does not see
    epochs, batch : passes over the training part, and pictures per step
    rate, decay : peak learning rate (one cycle) and weight decay of AdamW
    smoothing : share of a label that is spread over all classes
    """

    seed: int = 1
    held_out: int = 360
    epochs: int = 30
    batch: int = 48
    rate: float = 4e-3
    decay: float = 0.02
    smoothing: float = 0.05


def train(recipe: Recipe, *, quiet: bool = False) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Weights, float16 by name, and the manifest without their checksum.

    Parameters
    ----------
    quiet : show no progress
    """
    held_out = split(digits.SCANS, recipe)
    pictures = digits.pictures(held_out)
    torch.manual_seed(recipe.seed)
    network = zoo.build(
        digits.NETWORK,
        width=digits.WIDTH,
        classes=digits.CLASSES,
        channels=len(digits.MEAN),
        mean=digits.MEAN,
        std=digits.STD,
        size=digits.SIZE,
    )
    before = torch.are_deterministic_algorithms_enabled(), torch.get_num_threads()
    torch.use_deterministic_algorithms(True)
    # The network is too narrow to gain from a second thread, and gradients are summed thread by
    # thread: with one, the bytes do not depend on the number of cores.
    torch.set_num_threads(1)
    try:
        _fit(network, pictures, recipe, quiet)
    finally:
        torch.use_deterministic_algorithms(before[0])
        torch.set_num_threads(before[1])
    state = {
        key: value.half().contiguous()
        for key, value in network.module.state_dict().items()
        if value.is_floating_point()
    }
    # The accuracy that counts is that of the weights as they are stored.
    network.module.load_state_dict({k: v.float() for k, v in state.items()}, strict=False)
    manifest = {
        "what": "a stand-in: a narrow ResNet-18 on scikit-learn's handwritten digits",
        "made_by": "python -m fmzip_models.train",
        **asdict(recipe),
        "versions": {"python": platform.python_version(), **{p: version(p) for p in _PACKAGES}},
        "held_out_top1": round(top1(network, pictures), 4),
        "held_out_scans": held_out,
    }
    return state, manifest


def split(n: int, recipe: Recipe) -> list[int]:
    """Which of ``n`` scans are held out, ascending."""
    order = np.random.default_rng(recipe.seed).permutation(n)
    return sorted(order[: recipe.held_out].tolist())


def top1(network: Network, pictures: ArrayPictures) -> float:
    """Share of the pictures that are not reserved that is classified right, 0 to 1."""
    indices = np.arange(pictures.reserved, len(pictures))
    found = capture.logits(network, pictures, indices).argmax(axis=1)
    return float(np.mean(found == pictures.labels[indices]))


def write(directory: Path, state: dict[str, torch.Tensor], manifest: dict[str, Any]) -> None:
    """Write weights and manifest; a file that is there is replaced as a whole or not at all."""
    directory.mkdir(parents=True, exist_ok=True)
    content = save(state)
    manifest = {**manifest, "weights_sha256": hashlib.sha256(content).hexdigest()}
    _replace(directory / digits.WEIGHTS, content)
    _replace(directory / digits.MANIFEST, (_json(manifest) + "\n").encode())


def _json(manifest: dict[str, Any]) -> str:
    # One line per entry: an indented list of 360 numbers would take 360.
    lines = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in manifest.items()]
    return "{\n" + ",\n".join(lines) + "\n}"


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_name(path.name + ".part")
    partial.write_bytes(content)
    os.replace(partial, path)


def _fit(network: Network, pictures: ArrayPictures, recipe: Recipe, quiet: bool) -> None:
    n = pictures.reserved
    inputs = network.normalise(pictures.read(range(n)))
    labels = torch.from_numpy(pictures.labels[:n])
    optimiser = torch.optim.AdamW(
        network.module.parameters(), lr=recipe.rate, weight_decay=recipe.decay
    )
    steps = n // recipe.batch  # the few that are left over come in other epochs
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.rate, total_steps=steps * recipe.epochs
    )
    network.module.train()
    for _ in track(range(recipe.epochs), "training", console=Console(stderr=True, quiet=quiet)):
        for chosen in torch.randperm(n)[: steps * recipe.batch].view(steps, recipe.batch):
            scores = network.module(_vary(inputs[chosen], network))
            loss = functional.cross_entropy(
                scores, labels[chosen], label_smoothing=recipe.smoothing
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    network.module.eval()


def _vary(inputs: torch.Tensor, network: Network) -> torch.Tensor:
    """Turn, zoom, slant and shift each picture a little: float32 [n, 1, H, W]."""
    n = len(inputs)

    def uniform(limit: float) -> torch.Tensor:
        return (2 * torch.rand(n) - 1) * limit

    angle, zoom, slant = uniform(math.radians(12)), 1 + uniform(0.12), uniform(0.12)
    cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    shift_x, shift_y = uniform(0.12), uniform(0.12)
    rows = torch.stack((cos, slant - sin, shift_x, sin, cos, shift_y), dim=1)
    grid = functional.affine_grid(rows.view(n, 2, 3), list(inputs.shape), align_corners=False)
    # Outside of a picture is black, which is not 0 once it is normalised.
    black = -network.mean[0] / network.std[0]
    return functional.grid_sample(inputs - black, grid, align_corners=False) + black


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line: ``python -m fmzip_models.train [--out DIR] [--epochs N] [--seed N]``."""
    parser = argparse.ArgumentParser(prog="python -m fmzip_models.train", description=__doc__)
    parser.add_argument("--out", type=Path, default=digits.DATA, help="directory to write to")
    parser.add_argument("--epochs", type=int, default=Recipe.epochs)
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    options = parser.parse_args(arguments)
    state, manifest = train(Recipe(seed=options.seed, epochs=options.epochs))
    write(options.out, state, manifest)
    Console(soft_wrap=True).print(
        f"{options.out / digits.WEIGHTS}: {100 * manifest['held_out_top1']:.2f} % of "
        f"{len(manifest['held_out_scans'])} held-out digits"
    )


if __name__ == "__main__":
    main()
