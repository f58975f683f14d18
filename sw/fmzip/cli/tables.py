"""The command that makes tables of the coder RANS."""

from pathlib import Path
from typing import Annotated

import typer

from fmzip.cli.app import app
from fmzip.cli.checks import about, check_pair, check_writable
from fmzip.cli.frames import TransformName, load_map
from fmzip.codecs import fmz_config
from fmzip.errors import FmzipError
from fmzip.files import write_atomic
from fmzip.format import STATISTICS_MAX, Dtype, Transform
from fmzip.tables import Diffusion


@app.command()
def tables(
    sources: Annotated[
        list[Path], typer.Argument(metavar="MAP.npy...", help="uint8 or int8 [C, H, W], of a layer")
    ],
    target: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE.fmzt", help="tables to write")
    ],
    transform: Annotated[TransformName, typer.Option()] = "bypass",
    step: Annotated[float, typer.Option(help="quantisation step in LSB, 1 to 1023.98")] = 4.0,
    zero_point: Annotated[int, typer.Option(help="stored value that means zero")] = 0,
    statistics: Annotated[
        int, typer.Option(help=f"how many distributions, 1 to {STATISTICS_MAX}")
    ] = STATISTICS_MAX,
) -> None:
    """Make the tables of codec fmz for a layer, from maps of it."""
    check_writable(target)
    for source in sources:
        check_pair(source, target)
    from fmzip.reference import planes
    from fmzip.statistics import code_bits, count, empty_counts, make_tables

    counts, values = None, 0
    dtypes = set()
    for source in sources:
        found = load_map(source)
        dtype = Dtype[found.dtype.name.upper()]
        dtypes.add(dtype)
        with about(source):
            if len(dtypes) > 1:
                raise FmzipError(f"values are {found.dtype}, those of the maps before are not")
            config = fmz_config(
                found.shape, dtype, zero_point, step, Transform[transform.upper()], 0
            )
        if counts is None:
            counts = empty_counts(config)
        for tile in config.iter_tiles():
            part = found[:, tile.row : tile.row + tile.rows, tile.col : tile.col + tile.cols]
            count(planes.numbers(part, config, Diffusion()), config, counts)
        values += found.size
    assert counts is not None  # there is a source at least
    made = make_tables(counts, statistics)
    data = made.to_bytes()
    write_atomic(target, data)
    print(
        f"{target}: {len(data)} bytes, id {made.id:#06x}, {made.statistics} statistics; "
        f"{code_bits(counts) / values:.3f} bits per value with an ideal coder"
    )
