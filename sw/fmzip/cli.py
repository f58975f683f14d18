"""The command line: thin commands that call functions elsewhere.

Foreseen errors end in one line on stderr and exit code 1, usage errors in 2, an interrupt in 130.
What is slow to import is imported in the command that needs it, so that ``--help`` is fast.
"""

import json
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from fmzip import __version__
from fmzip.codecs import BURST_BYTES, CODECS, Codec, codec_of
from fmzip.errors import FmzipError
from fmzip.files import write_atomic
from fmzip.format import VERSION, Coder, Dtype

if TYPE_CHECKING:
    import numpy as np

app = typer.Typer(
    name="fmzip",
    help="Compress feature maps as the fmzip gateware does, bit for bit.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # plain help, without the time it takes to import rich
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Entry point of the script ``fmzip``."""
    try:
        app(prog_name="fmzip")
    except KeyboardInterrupt:
        sys.exit(130)
    except MemoryError as error:
        _fail(f"not enough memory: {error}")
    except OSError as error:
        _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except (FmzipError, ValueError, TypeError) as error:
        _fail(str(error))


def _fail(text: str) -> None:
    print(f"fmzip: error: {' '.join(text.split())}", file=sys.stderr)
    sys.exit(1)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"fmzip {__version__}, frame format {VERSION}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    pass


@app.command()
def encode(
    source: Annotated[Path, typer.Argument(metavar="IN.npy", help="uint8 or int8 [C, H, W]")],
    target: Annotated[Path, typer.Argument(metavar="OUT.fmz", help="frame to write")],
    codec: Annotated[str, typer.Option(help=" or ".join(CODECS))] = "dctcm",
    step: Annotated[float, typer.Option(help="quantisation step in LSB, 0.707 to 362.03")] = 4.0,
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
    zero_point: Annotated[int, typer.Option(help="stored value that means zero")] = 0,
    tile: Annotated[
        str | None, typer.Option(metavar="ROWSxCOLS", help="size of a tile in pixels")
    ] = None,
    burst: Annotated[int, typer.Option(help="DRAM burst in bytes, 8 to 256")] = BURST_BYTES,
) -> None:
    """Code a feature map."""
    chosen = _codec(codec)
    if coder is not None:
        chosen = replace(chosen, coder=Coder[coder.upper()])
    if zero_bitmap is not None:
        chosen = replace(chosen, zero_bitmap=zero_bitmap)
    if keep is not None:
        chosen = replace(chosen, keep=_mask(keep))
    size = _tile(tile) if tile is not None else None
    _check_pair(source, target)
    from fmzip.reference import encode as encode_map
    from fmzip.reference import summary

    values = _load_map(source)
    dtype = Dtype[values.dtype.name.upper()]
    config = chosen.config(values.shape, dtype, zero_point, step, tile=size, burst_bytes=burst)
    frame = encode_map(values, config)
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
) -> None:
    """Decode a frame."""
    _check_pair(source, target)
    import io

    import numpy as np

    from fmzip.reference import decode as decode_frame

    data = source.read_bytes()
    with _about(source):
        values = decode_frame(data)
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
    with _about(source):
        rows = summary(data).rows()
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    for name, value in rows.items():
        print(f"{name:<16}{value}")


@app.command()
def hil(
    model: Annotated[str | None, typer.Option(help="resnet18, resnet34 or resnet50")] = None,
    weights: Annotated[Path | None, typer.Option(help=".safetensors or .pth")] = None,
    images: Annotated[
        Path | None, typer.Option(help="folder with labels.csv, or one folder per class")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="pictures")] = 4,
    codec: Annotated[str, typer.Option(help=" or ".join(CODECS))] = "dctcm",
    step: Annotated[
        float, typer.Option(help="quantisation step in standard deviations of the map")
    ] = 0.25,
    port: Annotated[
        str, typer.Option(help="vboard: or a serial device or pyserial URL")
    ] = "vboard:",
    calibration: Annotated[int, typer.Option(min=1, help="pictures that scales are made on")] = 32,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="write the results there, too")
    ] = None,
) -> None:
    """Stream a network's stored maps through a board, and compare every byte."""
    _codec(codec)
    _check_writable(json_file)
    _say_what_is_slow()
    from rich.console import Console

    from fmzip.experiments.hil import HilConfig, run
    from fmzip.experiments.provenance import provenance
    from fmzip.experiments.show import hil_lines, hil_table, progress_bar

    config = HilConfig(model, weights, images, limit, codec, step, port, calibration)
    with progress_bar() as report:
        result = run(config, report)
    console = Console()
    if not console.is_terminal:
        console = Console(width=120)
    console.print(hil_table(result))
    for line in hil_lines(result):
        console.print(line, soft_wrap=True, highlight=False)
    if json_file is not None:
        found = {**result.json(), "provenance": provenance()}
        write_atomic(json_file, (json.dumps(found, indent=2) + "\n").encode())


@app.command()
def area(
    component: Annotated[
        Literal["encoder", "decoder", "both"], typer.Option(help="what to build")
    ] = "both",
    lanes: Annotated[int, typer.Option(help="values per beat: 2, 4 or 8")] = 8,
    seeds: Annotated[str, typer.Option(metavar="N,N...", help="of the placer")] = "1,2,3",
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="write the results there, too")
    ] = None,
) -> None:
    """Size and speed of the codec's gateware on an ECP5-85F, speed grade 6, out of context."""
    numbers = _seeds(seeds)
    _check_writable(json_file)
    _say_what_is_slow()
    import logging
    from dataclasses import asdict

    from rich.console import Console

    from fmzip.experiments.provenance import provenance
    from fmzip.experiments.show import area_table
    from fmzip_boards.area import measure, tool_versions
    from fmzip_sim.emit import build_root

    log = logging.getLogger("fmzip").info
    rows = []
    for name in ("encoder", "decoder") if component == "both" else (component,):
        rows += measure(name, numbers, lanes=lanes, build_dir=build_root() / "area", log=log)
    console = Console()
    console.print(area_table(rows))
    tools = ", ".join(f"{name} {number}" for name, number in tool_versions().items())
    console.print(f"after place and route, modelled by nextpnr's timing analysis; {tools}")
    if json_file is not None:
        found = {"rows": [asdict(row) for row in rows], "provenance": provenance()}
        write_atomic(json_file, (json.dumps(found, indent=2) + "\n").encode())


@app.command()
def docs(
    check: Annotated[bool, typer.Option("--check", help="change nothing, fail if stale")] = False,
) -> None:
    """Regenerate the generated parts of the documents of this checkout."""
    from fmzip.docgen import update

    stale = update(write=not check)
    if check and stale:
        raise FmzipError(f"stale, run fmzip docs: {', '.join(stale)}")
    for name in stale:
        print(f"{name}: updated")


def _say_what_is_slow() -> None:
    """Messages of slow steps, such as a compilation, on stderr."""
    import logging

    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(name)s: %(message)s"))
    logger = logging.getLogger("fmzip")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)


def _check_writable(path: Path | None) -> None:
    """Find out before a long run, not behind it, that its results could not be written."""
    if path is None:
        return
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise FmzipError(f"{path}: not a file in an existing directory")


def _codec(name: str) -> Codec:
    try:
        return codec_of(name)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--codec") from None


def _mask(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is not a number such as 15, 0x0f or 0b1111", param_hint="--keep"
        ) from None


def _seeds(text: str) -> list[int]:
    parts = text.split(",")
    if not all(part.strip().isdecimal() for part in parts):
        raise typer.BadParameter(f"{text!r} is not numbers such as 1,2,3", param_hint="--seeds")
    return [int(part) for part in parts]


def _tile(text: str) -> tuple[int, int]:
    rows, _, cols = text.partition("x")
    if not (rows.isdecimal() and cols.isdecimal()):
        raise typer.BadParameter(
            f"{text!r} is not rows and columns such as 2x56", param_hint="--tile"
        )
    return int(rows), int(cols)


def _check_pair(source: Path, target: Path) -> None:
    """Refuse to overwrite the input."""
    if target.exists() and source.exists() and target.samefile(source):
        raise FmzipError(f"{target}: is the input itself; choose another file for the output")


@contextmanager
def _about(path: Path) -> Iterator[None]:
    """Put the file's name in front of what is wrong with its content."""
    try:
        yield
    except (FmzipError, ValueError, TypeError) as error:
        raise FmzipError(f"{path}: {error}") from None


def _load_map(path: Path) -> "np.ndarray":
    """A map from a .npy file, never unpickling anything: uint8 or int8 [C, H, W]."""
    import numpy as np

    with path.open("rb") as file, _about(path), warnings.catch_warnings():
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
