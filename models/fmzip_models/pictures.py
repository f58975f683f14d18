"""Labelled pictures: a user's directory, or arrays in memory.

A picture that is not of the network's size goes through torchvision's evaluation transform: the
shorter side is resized to 256/224 of the size (bilinear, antialiased), then the centre is cropped.
"""

import csv
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from fmzip.errors import FmzipError

LABELS = "labels.csv"
SUFFIXES = (".jpg", ".jpeg", ".png")
MODES = {1: "L", 3: "RGB"}  # Pillow's name of a picture with so many channels
_RESIZE = 256 / 224  # torchvision: resize to 256, crop 224


def split(n: int, calibration: int, fold: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the calibration pictures, evenly strided, and of all others.

    Parameters
    ----------
    n : number of pictures
    calibration : how many are for calibration, 1 to n - 1
    fold : how far behind the first of every few they are: with half of all, 1 gives the other half

    Returns
    -------
    int64 [calibration], int64 [n - calibration], both ascending, without a common element

    Raises
    ------
    ValueError : nothing would be left on one side, or there is no such fold
    """
    if n < 2:
        raise ValueError(f"{n} pictures: at least two are needed, one for calibration")
    if not 1 <= calibration < n:
        raise ValueError(f"calibration must be 1 to {n - 1} of {n} pictures, not {calibration}")
    chosen = _strided(n, calibration, fold)
    return chosen, np.setdiff1d(np.arange(n), chosen)


def _strided(n: int, count: int, fold: int) -> np.ndarray:
    if not 0 <= fold < n // count:
        raise ValueError(f"fold must be 0 to {n // count - 1} for {count} of {n}, not {fold}")
    return np.arange(count) * n // count + fold


class Pictures(ABC):
    """Labelled pictures, decoded when they are read.

    Members
    -------
    names : str [n], for messages and results
    labels : int64 [n], the class of each
    size, channels : shape of what ``read`` returns
    """

    def __init__(self, names: Sequence[str], labels: np.ndarray, size: int, channels: int) -> None:
        if channels not in MODES:
            raise ValueError(f"pictures must have 1 or 3 channels, not {channels}")
        self.names = tuple(names)
        self.labels = np.asarray(labels, np.int64)
        self.size = size
        self.channels = channels

    def __len__(self) -> int:
        return len(self.names)

    def read(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Decode pictures: uint8 [len(indices), size, size, channels].

        Raises
        ------
        FmzipError : a file is not a picture
        IndexError : an index lies outside 0..n - 1
        """
        shape = (len(indices), self.size, self.size, self.channels)
        pictures = np.empty(shape, np.uint8)
        for k, index in enumerate(indices):
            if not 0 <= index < len(self):
                raise IndexError(f"picture {index} of {len(self)}")
            pictures[k] = self._one(int(index)).reshape(shape[1:])
        return pictures

    def split(self, calibration: int, fold: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Calibration and evaluation indices of this collection, see ``split``."""
        return split(len(self), calibration, fold)

    @abstractmethod
    def _one(self, index: int) -> np.ndarray:
        """Decode one picture: uint8 [size, size, channels], or [size, size] where grey."""


class ArrayPictures(Pictures):
    """Pictures in memory, some of which may be reserved for calibration.

    Parameters
    ----------
    names, labels : see ``Pictures``
    pictures : uint8 [n, size, size, channels]
    reserved : how many pictures, from the first, serve for calibration only, such as those that
        the network was trained on; 0 where all may be evaluated
    """

    def __init__(
        self, names: Sequence[str], labels: np.ndarray, pictures: np.ndarray, reserved: int = 0
    ) -> None:
        super().__init__(names, labels, pictures.shape[1], pictures.shape[3])
        self._pictures = pictures
        self.reserved = reserved

    def split(self, calibration: int, fold: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """As ``split``; where some are reserved, calibration uses these and evaluation the rest."""
        if not self.reserved:
            return super().split(calibration, fold)
        if not 1 <= calibration <= self.reserved:
            raise ValueError(f"calibration must be 1 to {self.reserved}, not {calibration}")
        chosen = _strided(self.reserved, calibration, fold)
        return chosen, np.arange(self.reserved, len(self))

    def _one(self, index: int) -> np.ndarray:
        return self._pictures[index]


class FolderPictures(Pictures):
    """Pictures of a user's directory.

    Either ``labels.csv`` with the columns ``file`` (relative to the directory) and ``label`` (an
    integer; more columns are ignored), or one folder per class: a name that is a number is the
    label; of other names there must be one for each class, and sorted they are 0, 1, and so on.
    No picture may be without a label.

    Parameters
    ----------
    directory : where the pictures lie
    size, channels : what the network takes
    classes : labels are 0 to ``classes - 1``

    Raises
    ------
    FmzipError : the directory is missing, holds no pictures, or its labels are wrong
    """

    def __init__(self, directory: Path, size: int, channels: int, classes: int) -> None:
        if not directory.is_dir():
            raise FmzipError(f"{directory}: no such directory; expected pictures")
        table = directory / LABELS
        rows = _from_table(table) if table.is_file() else _from_folders(directory, classes)
        for file, label, where in rows:
            if not 0 <= label < classes:
                raise FmzipError(f"{where}: label {label} is not one of 0 to {classes - 1}")
            if not (directory / file).is_file():
                raise FmzipError(f"{where}: no such file {directory / file}")
        listed: set[Path] = set()
        for file, _, where in rows:
            path = (directory / file).resolve()
            if path in listed:
                # It could be in calibration and in evaluation, or have two labels.
                raise FmzipError(f"{where}: {file} is listed twice")
            listed.add(path)
        unlabelled = [p for p in _files(directory) if p.resolve() not in listed]
        if unlabelled:
            raise FmzipError(
                f"{directory}: {len(unlabelled)} pictures without a label, such as {unlabelled[0]}"
            )
        self._directory = directory
        super().__init__([r[0] for r in rows], np.array([r[1] for r in rows]), size, channels)

    def _one(self, index: int) -> np.ndarray:
        path = self._directory / self.names[index]
        try:
            with Image.open(path, formats=("JPEG", "PNG")) as image:
                return np.asarray(fit(image.convert(MODES[self.channels]), self.size))
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
            # All of these are raised by Pillow for damaged files.
            raise FmzipError(f"{path}: not a readable picture; expected jpg or png") from None


def _from_table(table: Path) -> list[tuple[str, int, str]]:
    """File, label and where it was said, for each row of a labels file."""
    rows = []
    try:
        # utf-8-sig: spreadsheets put a byte order mark before the first column's name.
        with table.open(newline="", encoding="utf-8-sig") as lines:
            reader = csv.DictReader(lines)
            header = reader.fieldnames or []
            if "file" not in header or "label" not in header:
                raise FmzipError(
                    f"{table}: needs the columns file,label; found {','.join(header) or 'nothing'}"
                )
            for row in reader:
                where = f"{table}, line {reader.line_num}"
                try:
                    rows.append((row["file"] or "", int(row["label"]), where))
                except (TypeError, ValueError):  # None where the row is too short
                    raise FmzipError(f"{where}: label {row['label']!r} is not an integer") from None
    except (UnicodeDecodeError, csv.Error):
        raise FmzipError(f"{table}: not a comma-separated text file in UTF-8") from None
    if not rows:
        raise FmzipError(f"{table}: lists no pictures")
    return rows


def _from_folders(directory: Path, classes: int) -> list[tuple[str, int, str]]:
    """File, label and folder, for each picture in a folder per class."""
    folders = sorted(p.name for p in directory.iterdir() if p.is_dir() and p.name[0] != ".")
    files = [(folder, path) for folder in folders for path in _files(directory / folder)]
    if not files:
        loose = len(_files(directory))
        found = f"{loose} pictures without a label" if loose else "no pictures"
        raise FmzipError(f"{directory}: {found}; expected {LABELS} or one folder per class")
    if all(_is_number(f) for f in folders):
        labels = {folder: int(folder) for folder in folders}
    else:
        labels = {folder: label for label, folder in enumerate(folders)}
        if len(folders) != classes:
            # Labels made of some of the names would be silently wrong.
            raise FmzipError(
                f"{directory}: {len(folders)} folders, but the network has {classes} classes; "
                f"expected one folder per class, folders that are numbers, or {LABELS}"
            )
    return [
        (str(path.relative_to(directory)), labels[folder], str(directory / folder))
        for folder, path in files
    ]


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdecimal()


def _files(directory: Path) -> list[Path]:
    """The pictures in a directory and below, sorted; nothing that is hidden."""
    return sorted(
        path
        for path in directory.rglob("*")
        if path.suffix.lower() in SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(directory).parts)
    )


def fit(image: Image.Image, size: int) -> Image.Image:
    """Resize the shorter side and crop the centre, where the picture is not ``size x size``."""
    if image.size == (size, size):
        return image
    short = round(size * _RESIZE)
    width, height = (int(short * side / min(image.size)) for side in image.size)
    image = image.resize((width, height), Image.Resampling.BILINEAR)
    left, top = round((width - size) / 2), round((height - size) / 2)
    return image.crop((left, top, left + size, top + size))
