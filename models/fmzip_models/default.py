"""What the command line works on: the user's network and pictures, or the embedded stand-in."""

from pathlib import Path

from fmzip_models import digits, zoo
from fmzip_models.pictures import FolderPictures, Pictures
from fmzip_models.weights import load as load_weights
from fmzip_models.zoo import Network


def open_job(
    model: str | None = None, weights: Path | None = None, images: Path | None = None
) -> tuple[Network, Pictures]:
    """Network and pictures of a run.

    Use ``pictures.split`` to choose calibration and evaluation pictures: of the stand-in's, it
    leaves only digits for evaluation that training never saw.

    Parameters
    ----------
    model : one of ``zoo.names()``; None for the stand-in of ``digits``
    weights : file with its weights, see ``weights.load``
    images : directory of labelled pictures, see ``FolderPictures``

    Raises
    ------
    ValueError : an unknown model, or one of the three is missing
    FmzipError : weights or pictures cannot be used
    """
    given = {"--model": model, "--weights": weights, "--images": images}
    missing = [option for option, value in given.items() if value is None]
    if model is None and weights is None and images is None:
        return digits.load()
    if model is not None:
        zoo.check_name(model)
    if model is None or weights is None or images is None:
        others = [option for option in given if option not in missing]
        raise ValueError(f"{' and '.join(others)} given, {' and '.join(missing)} missing")
    network = load_weights(weights, model)
    pictures = FolderPictures(images, network.size, network.channels, network.classes)
    return network, pictures
