"""The command that finds the codec of a network."""

from typing import Annotated

import typer

from fmzip.cli.app import app
from fmzip.cli.checks import check_pair, check_writable, numbers_of, say_what_is_slow
from fmzip.cli.long_run import with_bar
from fmzip.cli.options import (
    CodecOutput,
    Device,
    Images,
    Mean,
    Model,
    Resume,
    Scales,
    Size,
    Std,
    Weights,
)
from fmzip.files import write_atomic


@app.command()
def allocate(
    output: CodecOutput,
    budget: Annotated[
        str,
        typer.Option(
            metavar="BUDGET,BUDGET...",
            help="kl=NATS, drop=POINTS, bits=PER_VALUE or lossless; several make a front, "
            "a file for each",
        ),
    ] = "kl=0.05",
    model: Model = None,
    weights: Weights = None,
    images: Images = None,
    name: Annotated[str, typer.Option(help="of the codec in results")] = "fmz",
    calibration: Annotated[
        int | None, typer.Option(min=1, help="pictures to work on; 64, or fewer")
    ] = None,
    scales: Scales = "max",
    uniform: Annotated[
        bool, typer.Option("--uniform", help="one step factor for all maps, to compare with")
    ] = False,
    device: Device = "cpu",
    resume: Resume = None,
    size: Size = None,
    mean: Mean = None,
    std: Std = None,
) -> None:
    """Choose transform, step, rounding and tables of every map of a network, without training."""
    normalisation = numbers_of(mean, "--mean"), numbers_of(std, "--std")
    check_writable(output)
    check_pair(weights, output)
    say_what_is_slow()
    from rich.console import Console
    from rich.table import Table

    from fmzip import codecfile
    from fmzip.experiments.allocate import AllocateConfig, Allocation, parse_budget
    from fmzip_models.spec import Input

    known = Input(size, *normalisation)
    try:
        budgets = tuple(parse_budget(part.strip()) for part in budget.split(","))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--budget") from None
    config = AllocateConfig(
        budgets, model, weights, images, name, calibration, scales, device, resume,
        known if known != Input() else None, uniform,
    )  # fmt: skip
    allocation = Allocation(config)
    codecs = with_bar(allocation.run, "maps")
    table = Table(
        title=f"{codecs[0].network}, on {codecs[0].about['calibration_pictures']} pictures"
    )
    for column in ("budget", "bits per value", "KL, nats", "expected drop", "agreement", "file"):
        table.add_column(column, justify="left" if column in ("budget", "file") else "right")
    for found in codecs:
        about = found.about
        path = output
        if len(codecs) > 1:
            path = output.with_stem(f"{output.stem}-{str(about['budget']).replace('=', '')}")
        write_atomic(path, codecfile.dump(found).encode())
        table.add_row(
            str(about["budget"]), f"{about['bits_per_value']:.3f}", f"{about['kl']:.4f}",
            f"{about['expected_drop']:.2f} points", f"{about['agreement']:.1f} %", str(path),
        )  # fmt: skip
    allocation.discard()
    Console().print(table)
