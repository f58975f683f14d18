"""DRAM energy from counted activity: parts, formulas, command traces. Every result is modelled."""

from fmzip.energy.model import (
    ESTIMATED_LOAD,
    Activity,
    Breakdown,
    IoLoad,
    energy,
    incremental,
    paper_bits_model,
    traffic_activity,
)
from fmzip.energy.parts import Part, load, names, read_part
from fmzip.energy.sdr import sdr_currents
from fmzip.energy.trace import activity_of_trace

__all__ = [
    "ESTIMATED_LOAD",
    "Activity",
    "Breakdown",
    "IoLoad",
    "Part",
    "activity_of_trace",
    "energy",
    "incremental",
    "load",
    "names",
    "paper_bits_model",
    "read_part",
    "sdr_currents",
    "traffic_activity",
]
