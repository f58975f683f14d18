"""Products that the projection engine's bench asks for: matrices, positions, and what comes out."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fmzip.format import COMPONENT_MAX, ceil_div
from fmzip.projection import Affine
from fmzip.reference.project import values_of
from fmzip_sim.tb.sizes import PROJECTION


@dataclass(frozen=True)
class Products:
    """Positions behind each other.

    Members
    -------
    name : in messages, and of the cocotb test
    affines : of each group of inputs
    inputs : int64 [positions, values]
    expected : int64 [positions, outputs]
    cycles : that a position takes where nothing is waited for
    page : which of the memories' two the matrices go to
    wants : stall pattern of what makes inputs and takes outputs
    """

    name: str
    affines: tuple[Affine, ...]
    inputs: np.ndarray
    expected: np.ndarray
    cycles: int
    page: int = 0
    wants: str = "never"

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "affines": [(*a.matrix.shape, a.to_bytes().hex()) for a in self.affines],
            "inputs": self.inputs.tolist(),
            "expected": self.expected.tolist(),
            "cycles": self.cycles,
            "page": self.page,
            "wants": self.wants,
        }

    @classmethod
    def from_json(cls, given: dict[str, Any]) -> "Products":
        affines = tuple(Affine.parse(bytes.fromhex(text), o, n) for o, n, text in given["affines"])
        inputs, expected = np.array(given["inputs"]), np.array(given["expected"])
        rest = given["cycles"], given["page"], given["wants"]
        return cls(given["name"], affines, inputs, expected, *rest)


def draw(
    name: str, seed: int, sizes: list[tuple[int, int]], positions: int, **given: Any
) -> Products:
    """Random matrices and inputs, with outputs that are clamped and others that are not.

    A position takes as many products a cycle as there are multipliers; outputs that are no multiple
    of these, and fewer inputs than these, take more.

    Parameters
    ----------
    sizes : outputs and inputs of each group
    """
    rng = np.random.default_rng(seed)
    affines = tuple(
        Affine(
            rng.integers(-2048, 2048, size, np.int16),
            rng.integers(-(2**20), 2**20, size[0], np.int32),
            int(rng.integers(9, 16)),
        )
        for size in sizes
    )
    inputs = rng.integers(-255, 256, (positions, sum(n for _, n in sizes)))
    sums = values_of(inputs, affines).T
    expected = np.clip(sums, -COMPONENT_MAX, COMPONENT_MAX)
    lanes = PROJECTION.multipliers
    cycles = sum(ceil_div(o, lanes) * max(n, lanes) for o, n in sizes)
    return Products(name, affines, inputs, expected, cycles, **given)
