"""Labelled pictures from one file of arrays, and the choice between that and a directory."""

from pathlib import Path

import numpy as np
from PIL import Image

from fmzip.errors import FmzipError
from fmzip_models.pictures import MODES, SUFFIXES, FolderPictures, Pictures, fit

SUFFIX = ".npz"
_LOOKED_AT = 16  # pictures of a directory whose sizes say how large the network's are


class ArchivePictures(Pictures):
    """Pictures of an ``.npz`` file.

    Parameters
    ----------
    path : holds ``x``, uint8 [n, height, width, 1 or 3], and ``y``, integers [n]
    size, channels : what the network takes
    classes : labels are 0 to ``classes - 1``

    Raises
    ------
    FmzipError : the file is missing, unreadable, or holds something else
    """

    def __init__(self, path: Path, size: int, channels: int, classes: int) -> None:
        x, y = _arrays(path)
        wrong = np.flatnonzero((y < 0) | (y >= classes))
        if len(wrong):
            raise FmzipError(
                f"{path}: label {y[wrong[0]]} of picture {wrong[0]} is not one of 0 to "
                f"{classes - 1}"
            )
        super().__init__([f"x[{k}]" for k in range(len(x))], y, size, channels)
        self._x = x

    def _one(self, index: int) -> np.ndarray:
        picture = self._x[index]
        if picture.shape == (self.size, self.size, self.channels):
            return picture
        image = Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture)
        return np.asarray(fit(image.convert(MODES[self.channels]), self.size))


def open_pictures(path: Path, size: int, channels: int, classes: int) -> Pictures:
    """The labelled pictures of a directory or an ``.npz`` file, see the two classes.

    Raises
    ------
    FmzipError : see the two classes
    """
    if path.suffix.lower() == SUFFIX and not path.is_dir():
        return ArchivePictures(path, size, channels, classes)
    if path.is_file():
        raise FmzipError(f"{path}: expected a directory of pictures or an {SUFFIX} file")
    return FolderPictures(path, size, channels, classes)


def common_side(path: Path) -> int | None:
    """Side of the pictures in pixels where (the first ones of) all are squares of one size.

    Raises
    ------
    FmzipError : an ``.npz`` file cannot be used
    """
    if path.suffix.lower() == SUFFIX and not path.is_dir():
        height, width = _arrays(path)[0].shape[1:3]
        return height if height == width else None
    sides: set[int] = set()
    found = (p for p in sorted(path.rglob("*")) if p.suffix.lower() in SUFFIXES)
    for _, file in zip(range(_LOOKED_AT), found, strict=False):
        try:
            with Image.open(file, formats=("JPEG", "PNG")) as image:
                sides.update(image.size)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
            continue  # it is named when it is read
    return sides.pop() if len(sides) == 1 else None


def _arrays(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Pictures, uint8 [n, height, width, channels], and labels, int64 [n]."""
    if not path.is_file():
        raise FmzipError(f"{path}: no such file; expected pictures")
    try:
        # Opened here, since NumPy leaves a damaged file open.
        with path.open("rb") as raw:
            file = np.load(raw, allow_pickle=False)
            names = list(file.keys())
            missing = [name for name in ("x", "y") if name not in names]
            if missing:
                raise FmzipError(f"{path}: holds no array {missing[0]!r}; expected x and y")
            x, y = file["x"], file["y"]
    except (FmzipError, MemoryError):
        raise
    except Exception:
        # NumPy, zip and its compressions each have their own errors; an .npy file has no names.
        raise FmzipError(f"{path}: not a readable {SUFFIX} file of arrays x and y") from None
    if x.dtype != np.uint8 or x.ndim != 4 or x.shape[3] not in MODES:
        raise FmzipError(
            f"{path}: x is {x.dtype} {list(x.shape)}, expected uint8 [n, height, width, 1 or 3]"
        )
    if not x.size:
        raise FmzipError(f"{path}: holds no pictures")
    if not np.issubdtype(y.dtype, np.integer) or y.shape != x.shape[:1]:
        raise FmzipError(
            f"{path}: y is {y.dtype} {list(y.shape)}, expected integers [{len(x)}], a label each"
        )
    return x, y.astype(np.int64)
