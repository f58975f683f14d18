"""Commands on files: maps to frames, frames to maps."""

import json
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from fmzip.cli.app import app
from fmzip.cli.checks import about, check_pair
from fmzip.codecs import CODECS, FMZ, Codec, burst_log2, fmz_config
from fmzip.errors import FmzipError
from fmzip.files import write_atomic
from fmzip.format import DEFAULT_BURST_BYTES, PLANES, Coder, Dtype, Transform
from fmzip.tables import Coding, Tables, parse_tables

if TYPE_CHECKING:
    import numpy as np

    from fmzip.codings import AnyCoding, AnyTables

_STEP_LSB = 4.0
TransformName = Literal["bypass", "nibbles", "wht4"]


@app.command()
def encode(
    source: Annotated[Path, typer.Argument(metavar="IN.npy", help="uint8 or int8 [C, H, W]")],
    target: Annotated[Path, typer.Argument(metavar="OUT.fmz", help="frame to write")],
    codec: Annotated[
        str, typer.Option(help=f"{', '.join((*CODECS, FMZ))} or a file CODEC.toml of a network")
    ] = "dctcm",
    map_name: Annotated[
        str | None,
        typer.Option("--map", metavar="NAME", help="of CODEC.toml; else the only one that fits"),
    ] = None,
    step: Annotated[
        float | None,
        typer.Option(
            help="quantisation step in LSB, 0.707 to 362.03; fmz: 1 to 1023.98  "
            f"[default: {_STEP_LSB:g}]"
        ),
    ] = None,
    coder: Annotated[
        Literal["width", "bitmap"] | None, typer.Option(help="instead of the codec's")
    ] = None,
    zero_bitmap: Annotated[
        bool | None,
        typer.Option("--zero-bitmap/--no-zero-bitmap", help="keep zeros exactly, for about 1 bit"),
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option(metavar="MASK", help="bit k set: coefficient k is kept, such as 0x0f"),
    ] = None,
    tables: Annotated[
        Path | None,
        typer.Option(metavar="FILE.fmzt", help="of codec fmz, made by the command tables"),
    ] = None,
    transform: Annotated[
        TransformName | None, typer.Option(help="of codec fmz, bypass by default")
    ] = None,
    zero_point: Annotated[
        int | None, typer.Option(help="stored value that means zero  [default: 0]")
    ] = None,
    tile: Annotated[
        str | None, typer.Option(metavar="ROWSxCOLS", help="size of a tile in pixels")
    ] = None,
    burst: Annotated[int, typer.Option(help="DRAM burst in bytes, 8 to 256")] = DEFAULT_BURST_BYTES,
) -> None:
    """Code a feature map."""
    of_blocks: dict[str, object] = {"--coder": coder, "--zero-bitmap": zero_bitmap, "--keep": keep}
    of_fmz: dict[str, object] = {"--tables": tables, "--transform": transform}
    chosen = None
    file = Path(codec) if Path(codec).suffix == ".toml" else None
    if file is not None:
        given = {"--step": step, "--zero-point": zero_point, "--tile": tile}
        _has_none(codec, of_blocks | of_fmz | given, "brings its own")
    else:
        _has_none(codec, {"--map": map_name})
        if codec == FMZ:
            _has_none(codec, of_blocks)
        else:
            _has_none(codec, of_fmz)
            chosen = _block_codec(codec, coder, zero_bitmap, keep)
    step = _STEP_LSB if step is None else step
    zero_point = zero_point or 0
    size = _tile(tile) if tile is not None else None
    check_pair(source, target)
    from fmzip.reference import encode as encode_map
    from fmzip.reference import summary

    values = load_map(source)
    dtype = Dtype[values.dtype.name.upper()]
    coding: AnyCoding | None = None
    if file is not None:
        from fmzip.cli.codec_map import layer_of

        layer = layer_of(file, map_name, values.shape, dtype)
        coding, config = layer.coding, layer.frame(burst_log2(burst))
    elif chosen is None:
        kind = Transform[(transform or "bypass").upper()]
        coding = Coding(load_tables(tables, kind))
        config = fmz_config(
            values.shape, dtype, zero_point, step, kind, coding.tables.id,
            tile=size, burst_bytes=burst,
        )  # fmt: skip
    else:
        config = chosen.config(values.shape, dtype, zero_point, step, tile=size, burst_bytes=burst)
    frame = encode_map(values, config, coding)
    write_atomic(target, frame)
    found = summary(frame)
    print(
        f"{target}: {found.frame_bytes} bytes, {found.bits_per_value:.3f} bits per value, "
        f"ratio {found.ratio:.3f}"
    )


@app.command()
def decode(
    source: Annotated[Path, typer.Argument(metavar="IN.fmz", help="frame to read")],
    target: Annotated[Path, typer.Argument(metavar="OUT.npy", help="array to write")],
    tables: Annotated[
        Path | None, typer.Option(metavar="FILE.fmzt", help="those that the frame was coded with")
    ] = None,
    codec: Annotated[
        Path | None,
        typer.Option(metavar="CODEC.toml", help="of the network, in place of the tables"),
    ] = None,
) -> None:
    """Decode a frame."""
    check_pair(source, target)
    if tables is not None and codec is not None:
        raise typer.BadParameter("give one of --tables and --codec", param_hint="--codec")
    import io

    import numpy as np

    from fmzip.reference import decode as decode_frame
    from fmzip.reference import parse_head

    data = source.read_bytes()
    with about(source):
        config = parse_head(data).config
        if tables is not None and not config.rans:
            raise FmzipError(f"coder {config.coder.name.lower()} takes no tables")
        if codec is not None and config.coder in (Coder.WIDTH, Coder.BITMAP):
            raise FmzipError(f"coder {config.coder.name.lower()} needs no codec file")
    found: AnyTables | None = None
    if codec is not None:
        from fmzip.cli.codec_map import layer_behind

        found = layer_behind(codec, config).coding.tables
    elif config.rans:
        found = load_tables(tables, config.transform)
    with about(source):
        values = decode_frame(data, found)
    file = io.BytesIO()
    np.lib.format.write_array(file, values, allow_pickle=False)
    write_atomic(target, file.getvalue())
    shape = " x ".join(map(str, values.shape))
    print(f"{target}: {values.dtype} {shape}")


@app.command()
def info(
    source: Annotated[Path, typer.Argument(metavar="FILE.fmz", help="frame to read")],
    as_json: Annotated[bool, typer.Option("--json", help="machine-readable")] = False,
) -> None:
    """Say what a frame holds and what it costs, every bit counted."""
    from fmzip.reference import summary

    data = source.read_bytes()
    with about(source):
        rows = summary(data).rows()
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    for name, value in rows.items():
        print(f"{name:<16}{value}")


def load_tables(path: Path | None, transform: Transform) -> Tables:
    """Tables of the coder RANS, from a file that has the bytes of ``Tables.to_bytes``."""
    if path is None:
        raise FmzipError("tables are needed: give --tables FILE, which fmzip tables makes")
    data = path.read_bytes()
    with about(path):
        return parse_tables(data, PLANES[transform])


def _has_none(codec: str, options: Mapping[str, object], why: str = "has none") -> None:
    for name, value in options.items():
        if value is not None:
            raise typer.BadParameter(f"codec {codec} {why}", param_hint=name)


def _block_codec(name: str, coder: str | None, zero_bitmap: bool | None, keep: str | None) -> Codec:
    if name not in CODECS:
        raise typer.BadParameter(
            f"codec must be {', '.join((*CODECS, FMZ))} or a file CODEC.toml, not {name!r}",
            param_hint="--codec",
        )
    chosen = CODECS[name]
    if coder is not None:
        chosen = replace(chosen, coder=Coder[coder.upper()])
    if zero_bitmap is not None:
        chosen = replace(chosen, zero_bitmap=zero_bitmap)
    if keep is not None:
        chosen = replace(chosen, keep=_mask(keep))
    return chosen


def _mask(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is not a number such as 15, 0x0f or 0b1111", param_hint="--keep"
        ) from None


def _tile(text: str) -> tuple[int, int]:
    rows, _, cols = text.partition("x")
    if not (rows.isdecimal() and cols.isdecimal()):
        raise typer.BadParameter(
            f"{text!r} is not rows and columns such as 2x56", param_hint="--tile"
        )
    return int(rows), int(cols)


def load_map(path: Path) -> "np.ndarray":
    """A map from a .npy file, never unpickling anything: uint8 or int8 [C, H, W]."""
    import numpy as np

    with path.open("rb") as file, about(path), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd headers: the array is read, or it is not
        try:
            # Not np.load, which opens archives and pickles too.
            values = np.lib.format.read_array(file, allow_pickle=False)
        except (MemoryError, OSError):
            raise
        except Exception as error:  # a damaged header brings up anything, tokenize.TokenError too
            raise FmzipError(f"not a .npy file of numbers: {error}") from None
        if values.dtype not in (np.uint8, np.int8):
            raise FmzipError(f"values must be uint8 or int8, not {values.dtype}")
        if values.ndim != 3 or not values.size:
            raise FmzipError(f"shape must be [C, H, W], none of them 0, not {list(values.shape)}")
        if file.read(1):
            raise FmzipError("bytes follow the array")
    return values
