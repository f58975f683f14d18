"""The codec of a network in one TOML file: what ``fmzip allocate`` makes and all else takes.

For each stored map: how it is quantised to 8 bits, and transform, step, rounding and diffusion of
errors, and the tables of the coder RANS; or, of all maps, the projections of the coder HUFFMAN,
which stores them in front of their ReLUs; or the binary layers of the coder GF2, of all maps or of
some, where the others are stored as they are. For each module whose output drifts under
compression: a gain and an offset of every channel, which are folded into its parameters. Tables and
corrections are base64 text.
"""

import base64
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fmzip.codings import AnyCoding
from fmzip.errors import FormatError
from fmzip.format import (
    BIT_TRANSFORMS,
    DEFAULT_BURST_LOG2,
    PLANES,
    PROJECTIONS,
    RANS_STEP_MIN,
    RANS_STEP_PER_LSB,
    RANS_TRANSFORMS,
    STEP_MAX,
    TILE_SLOTS_MAX,
    Coder,
    Dtype,
    FrameConfig,
    Transform,
    default_bits_tile,
    default_projection_tile,
    default_rans_tile,
)
from fmzip.gf2 import PlaneCoding, PlaneEncoder, parse_planes
from fmzip.projection import Affine, ProjectionCoding, parse_projection
from fmzip.tables import Coding, Diffusion, parse_tables

VERSION = 1
_NAME = re.compile(r"[A-Za-z0-9_.+-]{1,64}")


@dataclass(frozen=True)
class LayerCodec:
    """How one stored map is coded.

    Parameters
    ----------
    shape : channels, height, width
    scale, zero_point, dtype : of its 8-bit integers, see ``fmzip_models.quantise.Scale``
    transform, step : see ``format.FrameConfig``
    coding : tables and diffusion, or projections, or binary layers
    """

    shape: tuple[int, int, int]
    scale: float
    zero_point: int
    dtype: Dtype
    transform: Transform
    step: int
    coding: AnyCoding

    def frame(
        self, burst_log2: int = DEFAULT_BURST_LOG2, slots_max: int = TILE_SLOTS_MAX
    ) -> FrameConfig:
        """Configuration of its frames; of the coder RANS, with so many slots in a tile at most."""
        if isinstance(self.coding, ProjectionCoding):
            rows, cols = default_projection_tile(*self.shape, self.transform)
            return FrameConfig(
                *self.shape, self.dtype, self.zero_point, rows, cols, burst_log2, self.transform,
                Coder.HUFFMAN, tables=self.coding.tables.id,
                components=self.coding.tables.components,
            )  # fmt: skip
        if isinstance(self.coding, PlaneCoding):
            tables = self.coding.tables
            coder = Coder.GF2 if tables.groups is None else Coder.HUFFMAN
            rows, cols = default_bits_tile(*self.shape, self.transform, coder)
            return FrameConfig(
                *self.shape, self.dtype, self.zero_point, rows, cols, burst_log2, self.transform,
                coder, tables=tables.id, components=tables.stored,
            )  # fmt: skip
        rows, cols = default_rans_tile(*self.shape, self.transform, slots_max)
        return FrameConfig(
            *self.shape, self.dtype, self.zero_point, rows, cols, burst_log2, self.transform,
            Coder.RANS, step=self.step, tables=self.coding.tables.id,
        )  # fmt: skip


@dataclass(frozen=True)
class PlainLayer:
    """A stored map that is not coded; members as those of ``LayerCodec``."""

    shape: tuple[int, int, int]
    scale: float
    zero_point: int
    dtype: Dtype


@dataclass(frozen=True)
class Correction:
    """What a module's output is multiplied by and what is added to it, a number each per channel.

    Parameters
    ----------
    gain, offset : float32 [channels]
    """

    gain: np.ndarray
    offset: np.ndarray


@dataclass(frozen=True)
class CodecFile:
    """All of a network's codec.

    Parameters
    ----------
    name : of the codec in results
    network, weights_hash : what it was made for
    layers : of each stored map, by its name, in the order of storing
    corrections : by name of the module
    about : how it was made and what was found, for people
    plain : of the stored maps that are not coded, by their names
    """

    name: str
    network: str
    weights_hash: str
    layers: Mapping[str, LayerCodec]
    corrections: Mapping[str, Correction] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)
    plain: Mapping[str, PlainLayer] = field(default_factory=dict)

    @property
    def of_planes(self) -> bool:
        """True where maps are stored as bit planes."""
        return any(isinstance(layer.coding, PlaneCoding) for layer in self.layers.values())

    @property
    def maps(self) -> dict[str, LayerCodec | PlainLayer]:
        """All stored maps, coded or not, by name."""
        return {**self.layers, **self.plain}

    @property
    def projects(self) -> bool:
        """True where maps are stored as projections, in front of their ReLUs."""
        return any(isinstance(layer.coding, ProjectionCoding) for layer in self.layers.values())

    @property
    def table_bytes(self) -> int:
        """Bytes of all tables, loaded once for a network like its weights."""
        return sum(len(layer.coding.tables.to_bytes()) for layer in self.layers.values())


def dump(codec: CodecFile) -> str:
    """The file's text."""
    lines = [
        f"version = {VERSION}",
        f"name = {_text(codec.name)}",
        f"network = {_text(codec.network)}",
        f"weights_hash = {_text(codec.weights_hash)}",
        "",
        "[about]",
        *(f"{key} = {_value(value)}" for key, value in codec.about.items()),
    ]
    for name, layer in codec.layers.items():
        lines += [
            "",
            f"[layers.{_text(name)}]",
            *_map_lines(layer),
            f"transform = {_text(layer.transform.name.lower())}",
            *_coding_lines(layer),
        ]
    for name, plain in codec.plain.items():
        lines += ["", f"[plain.{_text(name)}]", *_map_lines(plain)]
    for name, correction in codec.corrections.items():
        lines += [
            "",
            f"[corrections.{_text(name)}]",
            *(
                f'{key} = "{base64.b64encode(values.astype("<f4").tobytes()).decode()}"'
                for key, values in (("gain", correction.gain), ("offset", correction.offset))
            ),
        ]
    return "\n".join(lines) + "\n"


def _map_lines(layer: LayerCodec | PlainLayer) -> list[str]:
    return [
        f"shape = {list(layer.shape)}",
        f"scale = {layer.scale!r}",
        f"zero_point = {layer.zero_point}",
        f"dtype = {_text(layer.dtype.name.lower())}",
    ]


def _coding_lines(layer: LayerCodec) -> list[str]:
    tables = base64.b64encode(layer.coding.tables.to_bytes()).decode()
    if isinstance(layer.coding, ProjectionCoding):
        forward = b"".join(a.to_bytes() for a in layer.coding.forward)
        return [
            f'projection = "{tables}"',
            f'forward = "{base64.b64encode(forward).decode()}"',
        ]
    if isinstance(layer.coding, PlaneCoding):
        encoder = base64.b64encode(layer.coding.encoder.to_bytes()).decode()
        return [f'planes = "{tables}"', f'encoder = "{encoder}"']
    diffusion = layer.coding.diffusion
    return [
        f"step = {layer.step}  # in 1/{RANS_STEP_PER_LSB} LSB",
        f"rounding = {diffusion.rounding}",
        f"diffusion = [{diffusion.left}, {diffusion.above}, {diffusion.corner}]",
        f'tables = "{tables}"',
    ]


def load(path: Path) -> CodecFile:
    """Read a file.

    Raises
    ------
    FormatError : it is not one, with the place that is wrong
    OSError : it cannot be read
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FormatError(f"{path}: not a TOML file: {error}") from None
    try:
        return parse(data)
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from None


def parse(data: Mapping[str, Any]) -> CodecFile:
    """A codec of a parsed file; FormatError where it is not one."""
    if _get(data, "version", int) != VERSION:
        raise FormatError(f"version {data['version']}; this program reads {VERSION}")
    name = _get(data, "name", str)
    if not _NAME.fullmatch(name):
        raise FormatError(f"name must be letters, digits and _.+- only, not {name!r}")
    layers = _get(data, "layers", dict)
    if not layers:
        raise FormatError("no layers")
    found = {key: _within(f"layer {key}", _layer, value) for key, value in layers.items()}
    if len({type(layer.coding) for layer in found.values()}) > 1:
        raise FormatError("projections, planes and tables: all layers must have the same")
    plain = {
        key: _within(f"plain {key}", lambda of: PlainLayer(*_map(of)), value)
        for key, value in data.get("plain", {}).items()
    }
    if plain.keys() & found.keys():
        raise FormatError(f"a map is plain and coded: {sorted(plain.keys() & found.keys())[0]}")
    return CodecFile(
        name,
        _get(data, "network", str),
        _get(data, "weights_hash", str),
        found,
        {
            key: _within(f"correction {key}", _correction, value)
            for key, value in data.get("corrections", {}).items()
        },
        data.get("about", {}),
        plain,
    )


def _within(place: str, parse_: Any, value: Any) -> Any:
    try:
        if not isinstance(value, dict):
            raise FormatError("must be a table")
        return parse_(value)
    except (FormatError, ValueError, TypeError) as error:
        raise FormatError(f"{place}: {error}") from None


_Map = tuple[tuple[int, int, int], float, int, Dtype]


def _map(data: Mapping[str, Any]) -> _Map:
    shape = _get(data, "shape", list)
    if len(shape) != 3 or not all(isinstance(n, int) and 1 <= n <= 0xFFFF for n in shape):
        raise FormatError(f"shape must be 3 integers from 1 to 65535, not {shape}")
    sides = (shape[0], shape[1], shape[2])
    scale = data.get("scale")
    if not isinstance(scale, int | float) or not 0 < scale < float("inf"):
        raise FormatError(f"scale must be a positive number, not {scale!r}")
    dtype = _choice(data, "dtype", {t.name.lower(): t for t in Dtype})
    return sides, float(scale), _get(data, "zero_point", int), dtype


def _layer(data: Mapping[str, Any]) -> LayerCodec:
    stored = _map(data)
    if "projection" in data:
        transform = _choice(data, "transform", {t.name.lower(): t for t in PROJECTIONS})
        layer = LayerCodec(*stored, transform, 0, _projection(data))
    elif "planes" in data:
        transform = _choice(data, "transform", {t.name.lower(): t for t in BIT_TRANSFORMS})
        tables = parse_planes(_bytes(data, "planes"))
        coding = PlaneCoding(tables, PlaneEncoder.parse(_bytes(data, "encoder")))
        layer = LayerCodec(*stored, transform, 0, coding)
    else:
        layer = LayerCodec(*stored, *_tables(data))
    layer.frame()  # checks what is left
    return layer


def _projection(data: Mapping[str, Any]) -> ProjectionCoding:
    tables = parse_projection(_bytes(data, "projection"))
    forward, at, found = _bytes(data, "forward"), 0, []
    for inverse in tables.inverse:
        inputs, outputs = inverse.matrix.shape
        size = Affine.size_bytes(outputs, inputs)
        found.append(Affine.parse(forward[at : at + size], outputs, inputs))
        at += size
    if at != len(forward):
        raise FormatError(f"forward: {len(forward)} bytes, it has {at}")
    return ProjectionCoding(tables, tuple(found))


def _tables(data: Mapping[str, Any]) -> tuple[Transform, int, Coding]:
    transform = _choice(data, "transform", {t.name.lower(): t for t in RANS_TRANSFORMS})
    step = _get(data, "step", int)
    if not RANS_STEP_MIN <= step <= STEP_MAX:
        raise FormatError(f"step must be {RANS_STEP_MIN} to {STEP_MAX}, not {step}")
    weights = _get(data, "diffusion", list)
    if len(weights) != 3 or not all(isinstance(n, int) for n in weights):
        raise FormatError(f"diffusion must be 3 integers, not {weights}")
    tables = parse_tables(_bytes(data, "tables"), PLANES[transform])
    diffusion = Diffusion(_get(data, "rounding", int), *weights)
    if diffusion.spreads and transform != Transform.BYPASS:
        raise FormatError("errors are diffused with transform bypass only")
    return transform, step, Coding(tables, diffusion)


def _correction(data: Mapping[str, Any]) -> Correction:
    gain, offset = (np.frombuffer(_floats(data, key), "<f4") for key in ("gain", "offset"))
    if len(gain) != len(offset) or not len(gain):
        raise FormatError(f"{len(gain)} gains and {len(offset)} offsets")
    if not (np.isfinite(gain).all() and np.isfinite(offset).all()):
        raise FormatError("gains and offsets must be finite numbers")
    return Correction(gain, offset)


def _get(data: Mapping[str, Any], key: str, kind: type) -> Any:
    value = data.get(key)
    if not isinstance(value, kind) or isinstance(value, bool):
        what = "is missing" if value is None else f"must be {kind.__name__}, not {value!r}"
        raise FormatError(f"{key} {what}")
    return value


def _choice(data: Mapping[str, Any], key: str, choices: Mapping[str, Any]) -> Any:
    value = _get(data, key, str)
    if value not in choices:
        raise FormatError(f"{key} must be {' or '.join(choices)}, not {value!r}")
    return choices[value]


def _bytes(data: Mapping[str, Any], key: str) -> bytes:
    try:
        return base64.b64decode(_get(data, key, str), validate=True)
    except ValueError as error:
        raise FormatError(f"{key}: not base64: {error}") from None


def _floats(data: Mapping[str, Any], key: str) -> bytes:
    found = _bytes(data, key)
    if len(found) % 4:
        raise FormatError(f"{key}: {len(found)} bytes are no whole number of float32")
    return found


def _text(text: str) -> str:
    """A TOML string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in escaped) + '"'


def _value(value: Any) -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value)
