"""Benches of the coders that take values position by position, by what codes their cases."""

from typing import Any

from fmzip.gf2 import PlaneCoding
from fmzip.projection import ProjectionCoding
from fmzip.tables import Coding
from fmzip_sim.tb.bench import CASES
from fmzip_sim.tb.fmz import FmzBench
from fmzip_sim.tb.planes import PlaneBench
from fmzip_sim.tb.projection import ProjectionBench

_BENCHES: dict[type, type[Any]] = {
    Coding: FmzBench,
    ProjectionCoding: ProjectionBench,
    PlaneCoding: PlaneBench,
}


def bench_of(side: type[Any]) -> type[Any]:
    """The ``PositionBench`` of the coder that the cases are of, on a side of ``positionwise``."""
    coding = next(iter(CASES.values())).coding
    return type(side.__name__, (side, _BENCHES[type(coding)]), {})
