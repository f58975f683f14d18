"""Pictures of an .npz file, good and bad, and how large a network's pictures are."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fmzip.errors import FmzipError
from fmzip_models.archive import common_side, open_pictures
from fmzip_models.pictures import FolderPictures

X = np.random.default_rng(1).integers(0, 256, (4, 12, 12, 3), dtype=np.uint8)
Y = np.array([3, 0, 9, 3], np.int32)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    np.savez_compressed(tmp_path / "pictures.npz", x=X, y=Y)
    return tmp_path / "pictures.npz"


def test_pictures_and_labels_are_those_of_the_arrays(file: Path) -> None:
    pictures = open_pictures(file, 12, 3, classes=10)
    assert len(pictures) == 4
    assert pictures.names[2] == "x[2]"
    assert pictures.labels.dtype == np.int64
    assert pictures.labels.tolist() == Y.tolist()
    np.testing.assert_array_equal(pictures.read([2, 0]), X[[2, 0]])
    chosen, others = pictures.split(2)
    assert sorted([*chosen, *others]) == [0, 1, 2, 3]


def test_another_size_or_number_of_channels_goes_the_way_of_picture_files(
    file: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for k, picture in enumerate(X):
        Image.fromarray(picture).save(folder / f"{k}.png")
    rows = [f"{k}.png,{label}" for k, label in enumerate(Y)]
    (folder / "labels.csv").write_text("\n".join(["file,label", *rows]))
    for size, channels in ((24, 3), (12, 1), (7, 1)):
        found = open_pictures(file, size, channels, 10).read(range(4))
        expected = open_pictures(folder, size, channels, 10).read(range(4))
        np.testing.assert_array_equal(found, expected)


def test_grey_arrays_become_rgb(file: Path) -> None:
    np.savez(file, x=X[..., :1], y=Y)
    found = open_pictures(file, 12, 3, 10).read([1])
    np.testing.assert_array_equal(found[0], np.repeat(X[1, ..., :1], 3, axis=2))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": X}, "holds no array 'y'; expected x and y"),
        ({"images": X, "y": Y}, "holds no array 'x'; expected x and y"),
        ({"x": X / 255, "y": Y}, r"x is float64 \[4, 12, 12, 3\], expected uint8 \[n, height"),
        ({"x": X.transpose(0, 3, 1, 2), "y": Y}, r"x is uint8 \[4, 3, 12, 12\], expected uint8"),
        ({"x": X[:0], "y": Y[:0]}, "holds no pictures"),
        ({"x": X, "y": Y[:3]}, r"y is int32 \[3\], expected integers \[4\], a label each"),
        ({"x": X, "y": Y.astype(float)}, r"y is float64 \[4\], expected integers"),
        ({"x": X, "y": Y + 1}, "label 10 of picture 2 is not one of 0 to 9"),
        ({"x": X, "y": -Y}, "label -3 of picture 0 is not one of 0 to 9"),
        ({"x": X, "y": np.array(["a"] * 4, object)}, "not a readable .npz file"),
    ],
)
def test_other_arrays_are_refused(file: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    np.savez(file, **arrays)
    with pytest.raises(FmzipError, match=rf"^{file}: {message}"):
        open_pictures(file, 12, 3, classes=10)


@pytest.mark.parametrize("damage", ["foreign", "empty", "truncated", "one array"])
def test_a_file_that_is_no_archive_is_refused(file: Path, damage: str) -> None:
    if damage == "one array":
        with file.open("wb") as out:
            np.save(out, X)
    else:
        whole = file.read_bytes()
        file.write_bytes({"foreign": b"text", "empty": b"", "truncated": whole[:900]}[damage])
    with pytest.raises(FmzipError, match=r"not a readable \.npz file of arrays x and y"):
        open_pictures(file, 12, 3, classes=10)


def test_what_is_neither_directory_nor_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK")
    with pytest.raises(FmzipError, match=r"expected a directory of pictures or an \.npz file"):
        open_pictures(tmp_path / "a.zip", 12, 3, 10)
    with pytest.raises(FmzipError, match="no such directory; expected pictures"):
        open_pictures(tmp_path / "nothing", 12, 3, 10)
    with pytest.raises(FmzipError, match="no such file; expected pictures"):
        open_pictures(tmp_path / "nothing.npz", 12, 3, 10)


def test_the_common_side_is_that_of_square_pictures_of_one_size(file: Path, tmp_path: Path) -> None:
    assert common_side(file) == 12
    folder = tmp_path / "folder" / "3"
    folder.mkdir(parents=True)
    assert common_side(folder.parent) is None
    for k in range(3):
        Image.fromarray(X[k]).save(folder / f"{k}.png")
    (folder / "damaged.png").write_bytes(b"")
    assert common_side(folder.parent) == 12
    Image.fromarray(X[0, :8]).save(folder / "9.png")
    assert common_side(folder.parent) is None
    assert isinstance(open_pictures(folder.parent, 12, 3, 10), FolderPictures)
