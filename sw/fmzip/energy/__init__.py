"""DRAM energy from counted activity or planned traffic. Every result is modelled."""

from fmzip.energy.bus import dq_toggles
from fmzip.energy.codec import CodecEnergy, PlaneWork, Products, codec_energy
from fmzip.energy.counted import counted_activity
from fmzip.energy.export import accelergy_table, action_energies, command_trace
from fmzip.energy.frame import busy_activity, frame_activity
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
from fmzip.energy.per_bit import PerBit, load_per_bit, per_bit_names, read_per_bit
from fmzip.energy.report import FRAME_S, Traffic, report
from fmzip.energy.sdr import sdr_currents
from fmzip.energy.trace import activity_of_trace

__all__ = [
    "ESTIMATED_LOAD",
    "FRAME_S",
    "Activity",
    "Breakdown",
    "CodecEnergy",
    "IoLoad",
    "Part",
    "PerBit",
    "PlaneWork",
    "Products",
    "Traffic",
    "accelergy_table",
    "action_energies",
    "activity_of_trace",
    "busy_activity",
    "codec_energy",
    "command_trace",
    "counted_activity",
    "dq_toggles",
    "energy",
    "frame_activity",
    "incremental",
    "load",
    "load_per_bit",
    "names",
    "paper_bits_model",
    "per_bit_names",
    "read_part",
    "read_per_bit",
    "report",
    "sdr_currents",
    "traffic_activity",
]
