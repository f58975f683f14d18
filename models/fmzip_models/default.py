"""What the command line works on: the user's network and pictures, or the embedded stand-in."""

from pathlib import Path

from fmzip_models import digits, spec
from fmzip_models.archive import open_pictures
from fmzip_models.pictures import Pictures
from fmzip_models.spec import Input
from fmzip_models.zoo import Network


def open_job(
    model: str | None = None,
    weights: Path | None = None,
    images: Path | None = None,
    given: Input | None = None,
) -> tuple[Network, Pictures]:
    """Network and pictures of a run.

    Use ``pictures.split`` to choose calibration and evaluation pictures: of the stand-in's, it
    leaves only digits for evaluation that training never saw.

    Parameters
    ----------
    model : see ``spec``; None for the stand-in of ``digits``
    weights : file with its weights, see ``weights.load``; may be left out where the model brings
        its own
    images : directory or file of labelled pictures, see ``archive.open_pictures``
    given : size and normalisation of the pictures, where they are not the usual ones

    Raises
    ------
    ValueError : an unknown model, or what is needed is missing
    FmzipError : model, weights or pictures cannot be used
    """
    needed: dict[str, object] = {"--model": model, "--weights": weights, "--images": images}
    if model is None and weights is None and images is None:
        if given is not None and given != Input():
            raise ValueError("size, mean and std of the pictures need a --model")
        return digits.load()
    if model is not None:
        spec.check(model)
        if spec.brings_weights(model):
            del needed["--weights"]
    missing = [option for option, value in needed.items() if value is None]
    others = [option for option, value in needed.items() if value is not None]
    if model is None or images is None or missing:
        raise ValueError(f"{' and '.join(others)} given, {' and '.join(missing)} missing")
    network = spec.open_network(model, weights, given, images)
    return network, open_pictures(images, network.size, network.channels, network.classes)
