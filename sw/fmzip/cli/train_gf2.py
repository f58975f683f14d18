"""The command that learns the binary layers of a network."""

from typing import Annotated, Literal

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


@app.command("train-gf2")
def train_gf2(
    output: CodecOutput,
    bits: Annotated[
        float, typer.Option(help="per value of the coded maps, heads and padding included")
    ] = 4.0,
    form: Annotated[
        Literal["sums", "popcount", "xor"],
        typer.Option(help="of the decoder: integers added up, planes counted, or sums over GF(2)"),
    ] = "sums",
    maps: Annotated[
        str, typer.Option(metavar="NAME,NAME...", help="that are coded; else all, see fmzip graph")
    ] = "",
    entropy: Annotated[
        bool, typer.Option("--entropy", help="code the planes further, with Huffman codes")
    ] = False,
    side: Annotated[int, typer.Option(min=1, max=2, help="pixels of a position, each way")] = 1,
    model: Model = None,
    weights: Weights = None,
    images: Images = None,
    name: Annotated[str, typer.Option(help="of the codec in results")] = "gf2",
    calibration: Annotated[
        int | None, typer.Option(min=1, help="pictures to learn on; 64, or fewer")
    ] = None,
    epochs: Annotated[
        int, typer.Option(min=0, help="passes over them; 0 keeps the chosen planes")
    ] = 4,
    batch: Annotated[int, typer.Option(min=1, help="pictures for each step")] = 32,
    rate: Annotated[float, typer.Option(help="of learning, at its highest")] = 5e-3,
    labels: Annotated[
        float, typer.Option(help="weight of the labels; 0 to learn without them")
    ] = 0.0,
    augment: Annotated[
        bool, typer.Option("--augment/--as-they-are", help="turn and shift pictures, or do not")
    ] = False,
    features: Annotated[
        float, typer.Option(min=0, help="weight of the maps' errors beside the answers'")
    ] = 1.0,
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
    """Choose bit planes of the maps of a network, and learn the binary layers around them."""
    normalisation = numbers_of(mean, "--mean"), numbers_of(std, "--std")
    check_writable(output)
    check_pair(weights, output)
    say_what_is_slow()
    from rich.console import Console

    from fmzip import codecfile
    from fmzip.experiments.train_gf2 import TrainConfig, Training
    from fmzip_models.learn import Recipe
    from fmzip_models.spec import Input

    known = Input(size, *normalisation)
    config = TrainConfig(
        bits, form, side, entropy, tuple(part.strip() for part in maps.split(",") if part.strip()),
        Recipe(epochs, batch, rate, features, labels, seed, augment), model, weights, images, name,
        calibration, scales, device, resume, known if known != Input() else None, fold,
    )  # fmt: skip
    training = Training(config)
    found = with_bar(training.run, "epochs")
    write_atomic(output, codecfile.dump(found).encode())
    training.discard()
    about = found.about
    Console().print(
        f"{output}: {about['bits_per_value']:.3f} bits per value of {len(found.layers)} maps, KL "
        f"{about['kl']:.4f} nats, expected drop {about['expected_drop']:.2f} points on pictures "
        f"that it was made on",
        soft_wrap=True,
        highlight=False,
    )
