"""What a codec saves on several memories side by side, as JSON-ready tables; all modelled.

Three figures for each, and they answer three questions:

``incremental``   what the traffic adds to a memory that is on anyway: commands only
``device``        what the whole chip takes in a frame time, idle time and refreshes included, with
                  CKE always high and with power-down while idle
``with_codec``    the latter, or what is known, and the codec's own logic

Each is ``{"raw_pj", "coded_pj", "saved"}``, where ``saved`` is a fraction of ``raw_pj``. What is
not known is null or absent, beside a ``reason``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fmzip.energy.codec import FPGA_SOURCE, SOURCE, CodecEnergy, PlaneWork, Products, codec_energy
from fmzip.energy.frame import frame_activity
from fmzip.energy.model import (
    ESTIMATED_LOAD,
    MODELLED,
    Activity,
    IoLoad,
    energy,
    incremental,
    paper_bits_model,
)
from fmzip.energy.parts import Part, load, names
from fmzip.energy.per_bit import PerBit, load_per_bit, per_bit_names

FRAME_S = 1 / 30

Json = dict[str, Any]


@dataclass(frozen=True)
class Traffic:
    """Bytes on the bus, with a codec and without; headers and padding included.

    Members
    -------
    write_bytes, read_bytes, row_switches : with the codec. Row switches None: one for every row of
        the part that the bytes fill, which is the least; count them where maps are small
    raw_write_bytes, raw_read_bytes, raw_row_switches : of the same maps, not coded: a byte a value
    dq_toggles, raw_dq_toggles : see ``Activity``; None where not counted

    Raises
    ------
    ValueError : a negative number
    """

    write_bytes: int
    read_bytes: int
    row_switches: int | None
    raw_write_bytes: int
    raw_read_bytes: int
    raw_row_switches: int | None
    dq_toggles: int | None = None
    raw_dq_toggles: int | None = None

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value is not None and value < 0:
                raise ValueError(f"{name} must not be negative, not {value}")


@dataclass(frozen=True)
class _Side:
    """One of both: with the codec, or without."""

    read_bytes: int
    write_bytes: int
    switches: int | None
    toggles: int | None

    @property
    def bytes(self) -> int:
        return self.read_bytes + self.write_bytes

    def row_switches(self, part: Part) -> int:
        if self.switches is not None:
            return self.switches
        return -(-self.read_bytes // part.row_bytes) - (-self.write_bytes // part.row_bytes)


def report(
    traffic: Traffic,
    *,
    codec: str | None = None,
    products: Products | None = None,
    planes: PlaneWork | None = None,
    frames: int = 1,
    frame_s: float = FRAME_S,
    parts: Sequence[Part | PerBit] | None = None,
    io_load: IoLoad = ESTIMATED_LOAD,
) -> Json:
    """Energy of the traffic of one or more frames on several memories.

    Parameters
    ----------
    codec : name of the codec, for the energy of its own logic
    products : multiply-accumulates of its projections; None where it has none
    planes : work of its bit planes for one frame; None where it has none
    frames : how many frames the traffic is of: ``device`` is over so many frame times
    frame_s : from one frame to the next, s; stretched where the uncoded traffic takes longer
    parts : by default all that are shipped
    io_load : of the data lines of SDR parts, where toggles are counted

    Returns
    -------
    ``{"label", "frames", "frame_time_s", "traffic", "codec", "paper_bits_model",
    "parts": [...]}``; a part is
    ``{"part", "kind", "source", "verified", "label", "incremental", "data_lines", "device",
    "with_codec", "with_codec_fpga", "break_even_pj_per_bit", "break_even_fpga_pj_per_bit",
    "memory_pj_per_bit"}``. The codec pays where the memory's energy per bit, incremental, is above
    ``break_even``: that of its own logic per bit that it saves. Null where that is not known or
    nothing is saved
    """
    if frames < 1:
        raise ValueError(f"frames must be 1 or more, not {frames}")
    coded = _Side(traffic.read_bytes, traffic.write_bytes, traffic.row_switches, traffic.dq_toggles)
    raw = _Side(
        traffic.raw_read_bytes,
        traffic.raw_write_bytes,
        traffic.raw_row_switches,
        traffic.raw_dq_toggles,
    )
    bits = 8 * coded.bytes / raw.bytes if raw.bytes else 0.0
    own = codec_energy(codec, raw.write_bytes, raw.read_bytes, bits, products, planes)
    if parts is None:
        parts = [*map(load, names()), *map(load_per_bit, per_bit_names())]
    paper = _figure(
        paper_bits_model(8 * raw.read_bytes, 8 * raw.write_bytes),
        paper_bits_model(8 * coded.read_bytes, 8 * coded.write_bytes),
    )
    paper["leaves_out"] = "activates, precharges, background, refresh, data lines, the codec itself"
    return {
        "label": MODELLED,
        "frames": frames,
        "frame_time_s": frame_s,
        "traffic": vars(traffic).copy(),
        "codec": {
            "name": codec,
            "cells_pj": own.cells_pj,
            "fpga_pj": own.fpga_pj,
            "cells_source": SOURCE,
            "fpga_source": FPGA_SOURCE,
            "reason": own.reason or None,
            **({"products_per_value": vars(products).copy()} if products else {}),
            **({"plane_work": vars(planes).copy()} if planes else {}),
        },
        "paper_bits_model": paper,
        "parts": [_part(part, raw, coded, own, frames * frame_s, io_load) for part in parts],
    }


def _part(
    part: Part | PerBit,
    raw: _Side,
    coded: _Side,
    own: CodecEnergy,
    window_s: float,
    io_load: IoLoad,
) -> Json:
    lines: Json
    device: Json
    if isinstance(part, PerBit):
        marginal = _figure(*(part.traffic_pj(s.read_bytes, s.write_bytes) for s in (raw, coded)))
        reason = "only an energy per bit is known of this memory"
        lines = device = {"reason": reason}
        per_bit = {
            key: getattr(part, f"{key}_pj_per_bit") for key in ("read", "write", "low", "high")
        }
        extra: Json = {"pj_per_bit": {**per_bit, "scope": part.scope}}
    else:
        marginal = _figure(
            *(
                incremental(part, s.read_bytes, s.write_bytes, s.row_switches(part)).total_pj
                for s in (raw, coded)
            )
        )
        lines = _data_lines(part, raw, coded, marginal, io_load)
        device = _device(part, raw, coded, window_s)
        extra = {}
    base, of = marginal, "incremental"
    for name in ("without_power_down", "with_power_down"):
        if device.get(name) is not None:
            base, of = device[name], f"device, {name.replace('_', ' ')}"
    saved_bits = 8 * (raw.bytes - coded.bytes)
    return {
        "part": part.name,
        "kind": part.kind,
        "source": part.source,
        "verified": part.verified,
        "label": MODELLED,
        **extra,
        "incremental": marginal,
        "data_lines": lines,
        "device": device,
        "with_codec": _with_codec(base, of, own.cells_pj, own.reason),
        "with_codec_fpga": _with_codec(base, of, own.fpga_pj, own.reason),
        "break_even_pj_per_bit": _per_bit(own.cells_pj, saved_bits),
        "break_even_fpga_pj_per_bit": _per_bit(own.fpga_pj, saved_bits),
        "memory_pj_per_bit": _per_bit(marginal["raw_pj"], 8 * raw.bytes),
    }


def _figure(raw_pj: float, coded_pj: float) -> Json:
    saved = 1 - coded_pj / raw_pj if raw_pj else 0.0
    return {"raw_pj": raw_pj, "coded_pj": coded_pj, "saved": saved}


def _data_lines(part: Part, raw: _Side, coded: _Side, marginal: Json, io_load: IoLoad) -> Json:
    """Incremental energy with that of the data lines."""
    if part.kind != "SDR":
        return {"reason": f"data lines of {part.kind} are terminated; no model of that here"}
    if raw.toggles is None or coded.toggles is None:
        return {"reason": "toggles of the data lines were not counted"}
    io_pj = [
        energy(part, Activity(dq_toggles=side.toggles), io_load=io_load).io_pj or 0.0
        for side in (raw, coded)
    ]
    figure = _figure(marginal["raw_pj"] + io_pj[0], marginal["coded_pj"] + io_pj[1])
    return {
        **figure,
        "capacitance_pf": io_load.capacitance_f * 1e12,
        "uncertainty_pj": [pj * io_load.uncertainty for pj in io_pj],
    }


def _device(part: Part, raw: _Side, coded: _Side, wanted_s: float) -> Json:
    def activity(side: _Side, window_s: float, power_down: bool) -> Activity:
        switches = side.row_switches(part)
        return frame_activity(
            part, side.read_bytes, side.write_bytes, switches, window_s, power_down=power_down
        )

    # Both sides over the same time, or the comparison would be one of speeds.
    cycles = max(activity(side, wanted_s, False).cycles for side in (raw, coded))
    window_s = cycles * part.tck_s
    device: Json = {"window_s": window_s}
    if cycles > round(wanted_s * part.clock_hz):
        device["note"] = (
            f"the traffic takes longer than {wanted_s:g} s: one chip is too slow for it"
        )
    for name, power_down in (("without_power_down", False), ("with_power_down", True)):
        if power_down and part.idd2p is None:
            device |= {name: None, "reason": "the current of power-down is not known"}
            continue
        totals = (energy(part, activity(s, window_s, power_down)).total_pj for s in (raw, coded))
        device[name] = _figure(*totals)
    return device


def _with_codec(base: Json, of: str, own_pj: float | None, reason: str) -> Json:
    if own_pj is None:
        return {"codec_pj": None, "reason": reason}
    return {**_figure(base["raw_pj"], base["coded_pj"] + own_pj), "codec_pj": own_pj, "of": of}


def _per_bit(pj: float | None, bits: int) -> float | None:
    return None if pj is None or bits <= 0 else pj / bits
