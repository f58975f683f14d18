"""One proof: what holds of which component, and the bug that it must find."""

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from fmzip_sim.formal.seed import original, seeded
from fmzip_sim.formal.solve import Verdict, solve

Modules = Callable[[ModuleType], Any]  # gives a module, as it is or with a bug
# What may be anything in a proof: selections of yosys by what they are.
CUTS = {
    "": "",
    "products": "t:$mul",  # payloads are held whatever they are
    "sums": "w:*crc.match w:*crc.crc",  # so that no frame has to be found whose sums are right
}


@dataclass(frozen=True)
class Proof:
    """One proof.

    Members
    -------
    name : of the proof, and of its component
    claim : what holds
    build : makes the component with its assertions
    mode, depth : see ``solve``; a proof by induction holds for all times, the other so many cycles
    bug : module, a line of it, and what is put in its place; the proof must fail then
    cut : what may be anything, of ``CUTS``
    """

    name: str
    claim: str
    build: Callable[[Modules], Any]
    mode: str
    depth: int
    bug: tuple[ModuleType, str, str]
    cut: str = ""


def check(proof: Proof, *, bug: bool = False) -> Verdict:
    """Run a proof, or look for its bug."""
    get = seeded(*proof.bug) if bug else original
    name = f"{proof.name}{'-bug' * bug}"
    return solve(name, proof.build(get), proof.mode, proof.depth, cut=CUTS[proof.cut])
