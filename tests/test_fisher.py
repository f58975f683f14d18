"""What a change of a map does to the answers, against the divergence that a change makes."""

import numpy as np
import pytest
import torch

from fmzip.format import Transform
from fmzip_models import capture, fisher
from fmzip_models.default import open_job
from fmzip_models.maps import Map
from fmzip_models.pca import Shape

torch.set_num_threads(1)  # see test_models_capture


def test_half_of_what_is_found_is_the_divergence_of_small_errors() -> None:
    network, pictures = open_job()
    graph = network.graph
    m = graph.maps[2]
    scales = capture.calibrate(network, pictures, range(16), before_relu=True).scales
    # The network is sure of its digits, so two are laid over each other.
    batches = [
        network.normalise(
            (pictures.read(range(k, k + 32)) // 2) + pictures.read(range(k + 300, k + 332)) // 2
        )
        for k in range(0, 256, 32)
    ]
    shape = Shape(Transform.PROJECTION)
    (found,) = fisher.of_positions(network, scales, {m.name: [shape]}, batches).values()
    assert found.shape == (1, m.shape[0], m.shape[0])
    # Errors along the direction that matters most, and along the one that matters least.
    powers, axes = np.linalg.eigh(found[0])
    assert powers[0] >= -1e-12
    rng = np.random.default_rng(1)
    size = 2.0  # LSB

    def divergence(axis: np.ndarray) -> float:
        signs = rng.choice([-1.0, 1.0], (32, 1, *m.shape[1:]))
        error = torch.from_numpy(size * scales[m.name].scale * axis[:, None, None] * signs).float()
        total = 0.0
        for batch in batches:
            answers = graph.run(batch, before_relu=True).log_softmax(1)

            def change(other: Map, values: torch.Tensor) -> torch.Tensor | None:
                return values + error if other == m else None

            changed = graph.run(batch, change, before_relu=True).log_softmax(1)
            total += float((answers.exp() * (answers - changed)).sum())
        return total / 256

    positions = m.shape[1] * m.shape[2]
    for k in (-1, 0):
        expected = 0.5 * size**2 * positions * powers[k]
        assert divergence(axes[:, k]) == pytest.approx(expected, rel=0.4)
    assert powers[-1] > 5 * powers[0]
