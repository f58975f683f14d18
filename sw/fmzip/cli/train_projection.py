"""The command that learns the projections of a network."""

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


@app.command("train-projection")
def train_projection(
    output: CodecOutput,
    bits: Annotated[
        float, typer.Option(help="per value, that steps and numbers of components aim at")
    ] = 2.7,
    model: Model = None,
    weights: Weights = None,
    images: Images = None,
    name: Annotated[str, typer.Option(help="of the codec in results")] = "cap",
    calibration: Annotated[
        int | None, typer.Option(min=1, help="pictures to learn on; 64, or fewer")
    ] = None,
    epochs: Annotated[
        int, typer.Option(min=0, help="passes over them; 0 keeps principal components")
    ] = 12,
    batch: Annotated[int, typer.Option(min=1, help="pictures for each step")] = 8,
    rate: Annotated[float, typer.Option(help="of learning, at its highest")] = 1e-3,
    labels: Annotated[
        float, typer.Option(help="weight of the labels; 0 to learn without them")
    ] = 0.0,
    augment: Annotated[
        bool, typer.Option("--augment/--as-they-are", help="turn and shift pictures, or do not")
    ] = True,
    weighted: Annotated[
        bool,
        typer.Option(
            "--weighted/--plain", help="weigh errors by what they do to answers, or all alike"
        ),
    ] = True,
    scales: Scales = "max",
    device: Device = "cpu",
    seed: Annotated[int, typer.Option(min=0, help="of the order of the pictures")] = 1,
    resume: Resume = None,
    size: Size = None,
    mean: Mean = None,
    std: Std = None,
    fold: Annotated[
        int, typer.Option(min=0, help="which pictures are learned on, as with fmzip measure")
    ] = 0,
) -> None:
    """Choose components of every map of a network, and learn the matrices that make them."""
    normalisation = numbers_of(mean, "--mean"), numbers_of(std, "--std")
    check_writable(output)
    check_pair(weights, output)
    say_what_is_slow()
    from rich.console import Console

    from fmzip import codecfile
    from fmzip.experiments.train_projection import TrainConfig, Training
    from fmzip_models.learn import Recipe
    from fmzip_models.spec import Input

    known = Input(size, *normalisation)
    config = TrainConfig(
        bits, Recipe(epochs, batch, rate, labels=labels, seed=seed, augment=augment),
        model, weights, images, name, calibration, scales, device, resume,
        known if known != Input() else None, fold, weighted,
    )  # fmt: skip
    training = Training(config)
    found = with_bar(training.run, "maps and epochs")
    write_atomic(output, codecfile.dump(found).encode())
    training.discard()
    about = found.about
    Console().print(
        f"{output}: {about['bits_per_value']:.3f} bits per value, KL {about['kl']:.4f} nats, "
        f"expected drop {about['expected_drop']:.2f} points on {about['calibration_pictures']} "
        f"pictures, which it was made on",
        soft_wrap=True,
        highlight=False,
    )
