"""The command that says what codecs save on a network, and what they cost."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from fmzip.cli.app import app
from fmzip.cli.checks import check_pair, check_writable, numbers_of, say_what_is_slow
from fmzip.cli.options import Device, Images, Mean, Model, Resume, Scales, Size, Std, Weights
from fmzip.errors import FmzipError
from fmzip.files import write_atomic


@app.command()
def measure(
    model: Model = None,
    weights: Weights = None,
    images: Images = None,
    codec: Annotated[
        str, typer.Option(metavar="NAME,NAME...", help="codecs and baselines")
    ] = "dctcm,zvc,rle,ebpc,zstd,entropy",
    limit: Annotated[int | None, typer.Option(min=1, help="pictures to evaluate")] = None,
    calibration: Annotated[
        int | None,
        typer.Option(min=1, help="pictures that scales, steps and masks are made on; 64, or fewer"),
    ] = None,
    scales: Scales = "max",
    step: Annotated[
        float, typer.Option(help="quantisation step in standard deviations of a layer")
    ] = 0.25,
    steps: Annotated[
        str | None, typer.Option(metavar="X,X...", help="several steps, a curve of each codec")
    ] = None,
    masks: Annotated[
        Literal["calibrated", "all"], typer.Option(help="which coefficients codecs keep")
    ] = "calibrated",
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="write the results there")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="write a page of the results")
    ] = None,
    device: Device = "cpu",
    workers: Annotated[
        int | None, typer.Option(min=1, help="processes; one per core if not given")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="pictures that run at once")] = 8,
    seed: Annotated[int, typer.Option(min=0, help="of the confidence intervals")] = 1,
    resume: Resume = None,
    size: Size = None,
    mean: Mean = None,
    std: Std = None,
    fold: Annotated[
        int, typer.Option(min=0, help="which pictures calibrate; 1: those behind the usual ones")
    ] = 0,
) -> None:
    """Measure bits, accuracy and DRAM energy of codecs on a network."""
    several = numbers_of(steps, "--steps") or (step,)
    normalisation = numbers_of(mean, "--mean"), numbers_of(std, "--std")
    check_writable(json_file)
    check_writable(html)
    for target in (json_file, html):
        check_pair(weights, target)
    say_what_is_slow()
    from rich.console import Console

    from fmzip.experiments.measure import MeasureConfig, Measurement
    from fmzip.experiments.measure_table import measure_lines, measure_table, picture_bar

    config = MeasureConfig(
        model, weights, images, tuple(name.strip() for name in codec.split(",")), limit,
        calibration, scales, several, masks, batch, workers, device, seed, resume, size,
        *normalisation, fold,
    )  # fmt: skip
    measurement = Measurement(config)
    try:
        with picture_bar() as report:
            result = measurement.run(report)
    except KeyboardInterrupt:
        raise FmzipError(
            "interrupted; finished pictures are kept, and the same command goes on behind them"
        ) from None
    if json_file is not None:
        write_atomic(json_file, (json.dumps(result, indent=2) + "\n").encode())
    if html is not None:
        from fmzip.report import MapPair, write_html

        pair = measurement.before_and_after()
        maps = [MapPair(pair.layer, pair.entry, pair.before, pair.after)] if pair else []
        write_html(result, html, maps=maps)
    measurement.discard()
    console = Console()
    if not console.is_terminal:
        console = Console(width=140)
    console.print(measure_table(result))
    for line in measure_lines(result):
        console.print(line, soft_wrap=True, highlight=False, markup=False)
