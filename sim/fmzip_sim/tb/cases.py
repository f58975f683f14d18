"""Frames that the benches run, each with the values, the coded frame, and the stalls around it.

In a file a case is what a golden vector is, with a name, the decoded values and the stall patterns
added: ``config`` (the arguments of ``FrameConfig``, enumerations as integers), ``values`` (in C
order of [C, H, W]), ``frame`` (hexadecimal); with the coder RANS ``tables`` (hexadecimal) and
``diffusion`` (the arguments of ``Diffusion``) besides, with the coder HUFFMAN ``tables`` and
``forward`` (each group's matrix, hexadecimal), with the coder GF2 ``tables`` and ``encoder`` (both
hexadecimal).
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from fmzip import reference
from fmzip.codings import AnyCoding
from fmzip.format import BLOCK_CODERS, STEP_MAX, STEP_MIN, Coder, Dtype, FrameConfig, Transform
from fmzip.gf2 import PlaneCoding, PlaneEncoder, parse_planes
from fmzip.projection import Affine, ProjectionCoding, parse_projection
from fmzip.reference.tiling import DTYPES
from fmzip.tables import Coding, Diffusion, parse_tables
from fmzip_sim.patterns import PATTERNS, SHY

_ENUMS = {"dtype": Dtype, "transform": Transform, "coder": Coder}


@dataclass(frozen=True)
class Case:
    """One frame.

    Members
    -------
    name : in messages, and of the cocotb test
    config : FrameConfig
    values : uint8 or int8 [C, H, W]
    frame : what the reference makes of ``values``
    decoded : uint8 or int8 [C, H, W], what the reference makes of ``frame``
    feed, drain : stall patterns on the input and on the output
    coding : what the coders RANS, HUFFMAN and GF2 need
    """

    name: str
    config: FrameConfig
    values: np.ndarray
    frame: bytes
    decoded: np.ndarray
    feed: str = "never"
    drain: str = "never"
    coding: AnyCoding | None = None

    @property
    def stalls(self) -> bool:
        """True where something outside stalls."""
        return (self.feed, self.drain) != ("never", "never")

    def to_json(self) -> dict[str, Any]:
        coding: dict[str, Any] = {}
        if self.coding is not None:
            coding["tables"] = self.coding.tables.to_bytes().hex()
        if isinstance(self.coding, Coding):
            coding["diffusion"] = asdict(self.coding.diffusion)
        elif isinstance(self.coding, PlaneCoding):
            coding["encoder"] = self.coding.encoder.to_bytes().hex()
        elif self.coding is not None:
            coding["forward"] = [affine.to_bytes().hex() for affine in self.coding.forward]
        return coding | {
            "name": self.name,
            "config": asdict(self.config),
            "values": self.values.ravel().tolist(),
            "frame": self.frame.hex(),
            "decoded": self.decoded.ravel().tolist(),
            "feed": self.feed,
            "drain": self.drain,
        }

    @classmethod
    def from_json(cls, given: dict[str, Any]) -> "Case":
        known: dict[str, Any] = dict(given["config"])
        for name, enum in _ENUMS.items():
            known[name] = enum(known[name])
        config = FrameConfig(**known)
        shape = (config.channels, config.height, config.width)
        values = np.array(given["values"], DTYPES[config.dtype]).reshape(shape)
        frame = bytes.fromhex(given["frame"])
        coding = _coding(given, config)
        if "decoded" in given:
            decoded = np.array(given["decoded"], values.dtype).reshape(shape)
        else:
            decoded = reference.decode(frame, None if coding is None else coding.tables)
        stalls = {side: given[side] for side in ("feed", "drain") if side in given}
        return cls(given["name"], config, values, frame, decoded, **stalls, coding=coding)


def _coding(given: dict[str, Any], config: FrameConfig) -> AnyCoding | None:
    if "tables" not in given:
        return None
    data = bytes.fromhex(given["tables"])
    if "diffusion" in given:
        return Coding(parse_tables(data, config.planes), Diffusion(**given["diffusion"]))
    if "encoder" in given:
        encoder = PlaneEncoder.parse(bytes.fromhex(given["encoder"]))
        return PlaneCoding(parse_planes(data), encoder)
    projection = parse_projection(data)
    pairs = zip(given["forward"], projection.inverse, strict=True)
    forward = [Affine.parse(bytes.fromhex(f), *i.matrix.shape[::-1]) for f, i in pairs]
    return ProjectionCoding(projection, tuple(forward))


def make(name: str, values: np.ndarray, **config: Any) -> Case:
    """A case from values, as the reference codes them; the shape and dtype are the values'."""
    dtype = Dtype(DTYPES.index(values.dtype))
    channels, height, width = values.shape
    made = FrameConfig(channels, height, width, dtype, **config)
    frame = reference.encode(values, made)
    return Case(name, made, values, frame, reference.decode(frame))


class AsJson(Protocol):
    """What a bench is given."""

    def to_json(self) -> dict[str, Any]: ...


def save(path: Path, cases: Sequence[AsJson]) -> None:
    path.write_text(json.dumps([case.to_json() for case in cases]))


def load(path: Path) -> list[Case]:
    return [Case.from_json(given) for given in json.loads(path.read_text())]


def golden(directory: Path) -> list[Case]:
    """The golden vectors of a directory, in the order of their names."""
    found = []
    for path in sorted(directory.glob("*.json")):
        found.append(Case.from_json({"name": path.stem} | json.loads(path.read_text())))
    return found


def relu_map(rng: np.random.Generator, *shape: int, scale: float = 40) -> np.ndarray:
    """Values as behind a ReLU: half of them zero, large ones rare. uint8 [C, H, W]."""
    return rng.normal(0, scale, shape).clip(0, 255).astype(np.uint8)


def linear_map(rng: np.random.Generator, *shape: int, zero_point: int = 0) -> np.ndarray:
    """Values as behind a linear layer: int8 [C, H, W] around the zero point, some equal to it."""
    noise = rng.normal(0, 20, shape) * (rng.random(shape) < 0.7)
    return (zero_point + noise).clip(-128, 127).astype(np.int8)


def basic() -> Iterator[Case]:
    """What every width of the data path has to do."""
    rng = np.random.default_rng(1)
    tile = {"tile_rows": 2, "tile_cols": 6}
    yield make("random", rng.integers(0, 256, (20, 4, 6), np.uint8), **tile)
    yield make("sparse", relu_map(rng, 24, 4, 6), **tile)
    yield make("all zero", np.zeros((24, 4, 6), np.uint8), **tile)
    yield make("all maximal", np.full((24, 4, 6), 255, np.uint8), **tile)
    incompressible = rng.integers(0, 256, (21, 4, 6), np.uint8)
    yield make("incompressible", incompressible, step=STEP_MIN, **tile)
    yield make("one element", np.full((1, 1, 1), 77, np.uint8))
    yield make("ragged", relu_map(rng, 13, 7, 11), tile_rows=3, tile_cols=4)
    yield make("raw between coded tiles", _raw_between(rng), step=STEP_MIN, tile_cols=6)
    for bitmap, coder in product((False, True), BLOCK_CODERS):
        name = f"int8, {coder.name.lower()}{', zero bitmap' * bitmap}"
        values = linear_map(rng, 19, 3, 5, zero_point=-3)
        options = {"coder": coder, "zero_bitmap": bitmap}
        yield make(name, values, zero_point=-3, tile_rows=2, tile_cols=3, **options)


def _raw_between(rng: np.random.Generator) -> np.ndarray:
    values = np.zeros((11, 5, 6), np.uint8)
    values[:, 1::2] = rng.integers(0, 256, (11, 2, 6))
    return values


def full() -> Iterator[Case]:
    """Everything else that a configuration can ask for."""
    rng = np.random.default_rng(2)
    tile = {"tile_rows": 2, "tile_cols": 5}
    for name, shape in {"3 channels": (3, 5, 7), "column": (40, 9, 1), "row": (40, 1, 9)}.items():
        yield make(name, relu_map(rng, *shape), tile_rows=min(2, shape[1]), tile_cols=1)
    for zero_point in (-128, 0, 127):
        values = linear_map(rng, 17, 3, 5, zero_point=zero_point)
        for bitmap in (False, True):
            name = f"int8 around {zero_point}{', zero bitmap' * bitmap}"
            yield make(name, values, zero_point=zero_point, zero_bitmap=bitmap, **tile)
    for bitmap, coder, keep in product((False, True), BLOCK_CODERS, (0x01, 0x0F, 0x80, 0xA6, 0xFF)):
        name = f"keep {keep:#04x}, {coder.name.lower()}{', zero bitmap' * bitmap}"
        values = relu_map(rng, 24, 3, 5)
        yield make(name, values, coder=coder, keep=keep, zero_bitmap=bitmap, **tile)
    for step, coder in product((STEP_MIN, 2000, STEP_MAX), BLOCK_CODERS):
        name = f"step {step}, {coder.name.lower()}"
        # Rows of the transform's signs: the largest coefficients of each kind.
        signs = rng.choice(np.array([0, 255], np.uint8), (24, 3, 5))
        yield make(name, signs, step=step, coder=coder, **tile)
    for burst_log2 in (3, 8):
        values = relu_map(rng, 24, 4, 5)
        yield make(f"burst of {1 << burst_log2}", values, burst_log2=burst_log2, **tile)
    yield make("many small tiles", relu_map(rng, 8, 6, 20), burst_log2=3)
    yield make("largest tile", relu_map(rng, 128, 2, 120), tile_rows=1, tile_cols=120)


def stalled(feeds: Sequence[str] = (*PATTERNS,)) -> Iterator[Case]:
    """Every stall pattern on both sides, and an output that is taken only when it was offered."""
    rng = np.random.default_rng(3)
    values = _raw_between(rng)
    values[:, :, :4] //= 16
    case = make("stalls", values, tile_cols=3, step=STEP_MIN, coder=Coder.BITMAP)
    for feed, drain in product(feeds, (*PATTERNS, SHY)):
        if (feed, drain) != ("never", "never"):
            yield replace(case, name=f"feed {feed}, drain {drain}", feed=feed, drain=drain)
