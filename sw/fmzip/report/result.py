"""What ``fmzip measure`` wrote, read back and checked."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fmzip.errors import FmzipError
from fmzip.report.fields import Fields, flatten
from fmzip.report.memories import Memory, Saving, about_energy, memories_of

_OF_LAYERS = (
    "name", "shape", "signed", "reads", "values", "raw_bytes", "bus_bytes", "bits_per_value",
)  # fmt: skip
KINDS = ("codec", "lossless", "bound", "requantise")


@dataclass(frozen=True)
class Layer:
    """One stored map, under one codec.

    Members
    -------
    name, shape, signed, reads : see ``fmzip_models.graph.Map``
    values, raw_bytes, bus_bytes : counts; ``bus_bytes`` is None for a bound
    bits : per value, on the bus
    settings : what else the file says of it, such as step and mask
    """

    name: str
    shape: tuple[int, ...]
    signed: bool
    reads: int
    values: int
    raw_bytes: int
    bus_bytes: float | None
    bits: float
    settings: dict[str, Any]


@dataclass(frozen=True)
class Coded:
    """One codec, baseline or bound.

    Members
    -------
    name, family : what it is called, and what is drawn as one curve with others
    kind : one of ``KINDS``
    bits, ratio, raw_bytes, bus_bytes : on the bus, everything counted
    top1, top5, agreement : percent; kl : nats; None where unknown
    drop, interval : of top-1, points; 95 %
    cycles : of the gateware per value, None where there is none
    frames : pictures that the energies are of, None where unknown
    paper : energy by a published formula that is kept for comparison, with what it leaves out
    remarks : what the file says on its energies: reasons and sources
    published : what its authors say, as in the file
    """

    name: str
    family: str
    kind: str
    lossless: bool
    bound: bool
    bits: float
    ratio: float
    raw_bytes: int
    bus_bytes: float | None
    top1: float | None
    top5: float | None
    drop: float | None
    interval: tuple[float, float] | None
    agreement: float | None
    kl: float | None
    cycles: float | None
    config: dict[str, Any]
    layers: tuple[Layer, ...]
    memories: tuple[Memory, ...]
    frames: int | None = None
    paper: Saving | None = None
    remarks: tuple[str, ...] = ()
    published: Any = None

    @property
    def lossy(self) -> bool:
        return not self.lossless and not self.bound


@dataclass(frozen=True)
class Result:
    """One network on one set of pictures."""

    manifest: dict[str, Any]
    baseline: dict[str, Any]
    codecs: tuple[Coded, ...] = field(default=())

    def value(self, *names: str) -> Any:
        """The first value of one of these keys anywhere in the manifest; None if there is none."""
        flat = dict(flatten(self.manifest))
        for name in names:
            for key, value in flat.items():
                if key.rsplit(".", 1)[-1] == name and value is not None:
                    return value
        return None

    @property
    def network(self) -> str:
        return str(self.value("network", "model", "model_name") or "network")

    @property
    def pictures(self) -> int | None:
        found = self.baseline.get("pictures", self.value("evaluation_pictures", "pictures"))
        return found if isinstance(found, int) and not isinstance(found, bool) else None

    def baseline_number(self, key: str) -> float | None:
        return Fields(self.baseline, "baseline").maybe(key)


def load(path: Path) -> Result:
    """The result in a file.

    Raises
    ------
    FmzipError : it is not JSON, or not what ``fmzip measure`` writes; its text names the file
    OSError : it cannot be read
    """
    data = path.read_bytes()
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        raise FmzipError(f"{path}: is not JSON") from None
    try:
        return parse(found)
    except FmzipError as error:
        raise FmzipError(f"{path}: is not a result of fmzip measure: {error}") from None


def parse(found: object) -> Result:
    """The result in the JSON of ``fmzip measure``; FmzipError says what is missing or wrong."""
    top = Fields(found, "the file" if not isinstance(found, Mapping) else "")
    manifest, baseline = top.table("manifest"), top.table("baseline")
    baseline.number("int8_top1")
    codecs = tuple(_coded(name, fields) for name, fields in top.items("codecs"))
    if not codecs:
        raise FmzipError("codecs is empty")
    return Result(manifest.raw(), baseline.raw(), codecs)


def _coded(name: str, found: Fields) -> Coded:
    kind = found.text("kind")
    if kind not in KINDS:
        raise FmzipError(f"codecs.{name}.kind must be one of {', '.join(KINDS)}, not {kind!r}")
    lossless, bound = found.flag("lossless"), found.flag("bound")
    interval = found.numbers("top1_drop_interval") if "top1_drop_interval" in found else ()
    if len(interval) not in (0, 2):
        raise FmzipError(f"codecs.{name}.top1_drop_interval is not two numbers")
    drop = found.maybe("top1_drop")
    return Coded(
        name=name,
        family=family_of(name),
        kind=kind,
        lossless=lossless,
        bound=bound,
        bits=found.number("bits_per_value"),
        ratio=found.number("ratio"),
        raw_bytes=int(found.number("raw_bytes")),
        bus_bytes=found.maybe("bus_bytes"),
        top1=found.maybe("top1"),
        top5=found.maybe("top5"),
        # What gives back every integer cannot change an answer.
        drop=0.0 if drop is None and (lossless or bound) else drop,
        interval=(interval[0], interval[1]) if interval else None,
        agreement=found.maybe("agreement"),
        kl=found.maybe("kl"),
        cycles=found.maybe("cycles_per_value"),
        config=found.table("config").raw() if "config" in found else {},
        layers=tuple(_layer(row) for row in found.rows("layers")),
        memories=tuple(memories_of(found)),
        **about_energy(found),
        published=found.raw().get("published"),
    )


def _layer(row: Fields) -> Layer:
    return Layer(
        name=row.text("name"),
        shape=tuple(int(side) for side in row.numbers("shape")),
        signed=row.flag("signed"),
        reads=int(row.number("reads")),
        values=int(row.number("values")),
        raw_bytes=int(row.number("raw_bytes")),
        bus_bytes=row.maybe("bus_bytes"),
        bits=row.number("bits_per_value"),
        settings={key: value for key, value in row.raw().items() if key not in _OF_LAYERS},
    )


def family_of(name: str) -> str:
    """What a name says before its setting: "dctcm" of "dctcm@0.25" and "dctcm (step 2)"."""
    return re.split(r"[@:=/\s(\[]", name, maxsplit=1)[0] or name
