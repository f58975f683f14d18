"""Directories of pictures, good and bad, and the split."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fmzip.errors import FmzipError
from fmzip_models.pictures import ArrayPictures, FolderPictures, split


def picture(seed: int, width: int = 8, height: int = 8) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def pixels_of(image: Image.Image) -> np.ndarray:
    return np.asarray(image)


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """Three pictures and a labels file with an extra column and a byte order mark."""
    for k in range(3):
        picture(k).save(tmp_path / f"{k}.png")
    rows = ["file,label,author", "2.png,7,somebody", '0.png,0,"a, b"', "1.png,9,"]
    (tmp_path / "labels.csv").write_text("\n".join(rows), encoding="utf-8-sig")
    return tmp_path


def opened(directory: Path, size: int = 8, channels: int = 3) -> FolderPictures:
    return FolderPictures(directory, size, channels, classes=10)


def error_of(directory: Path) -> str:
    with pytest.raises(FmzipError) as caught:
        opened(directory)
    text = str(caught.value)
    assert "\n" not in text
    assert str(directory) in text
    return text


def test_a_labels_file_gives_order_and_labels(labelled: Path) -> None:
    pictures = opened(labelled)
    assert len(pictures) == 3
    assert pictures.names == ("2.png", "0.png", "1.png")
    assert pictures.labels.dtype == np.int64
    assert pictures.labels.tolist() == [7, 0, 9]


def test_reading_gives_the_pixels_in_the_order_asked_for(labelled: Path) -> None:
    found = opened(labelled).read([2, 0])
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, [pixels_of(picture(1)), pixels_of(picture(2))])


def test_grey_pictures_have_one_channel(labelled: Path) -> None:
    found = opened(labelled, channels=1).read([1])
    assert found.shape == (1, 8, 8, 1)
    np.testing.assert_array_equal(found[0, ..., 0], pixels_of(picture(0).convert("L")))


def test_grey_and_transparent_files_become_rgb(labelled: Path) -> None:
    picture(0).convert("L").save(labelled / "0.png")
    picture(1).convert("RGBA").save(labelled / "1.png")
    found = opened(labelled).read([1, 2])
    assert (found[0] == found[0, ..., :1]).all()
    np.testing.assert_array_equal(found[1], pixels_of(picture(1)))


def test_a_folder_per_class_is_labelled_by_sorted_name(tmp_path: Path) -> None:
    for name in ("cat", "ant", "bee"):
        (tmp_path / name).mkdir()
        picture(1).save(tmp_path / name / "b.JPG", format="jpeg")
        picture(2).save(tmp_path / name / "a.png")
        (tmp_path / name / "readme.txt").write_text("no picture")
    pictures = FolderPictures(tmp_path, 8, 3, classes=3)
    assert pictures.names[:3] == ("ant/a.png", "ant/b.JPG", "bee/a.png")
    assert pictures.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert pictures.read(range(6)).shape == (6, 8, 8, 3)


def test_another_size_is_resized_and_its_centre_cropped(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    original = picture(1, width=512, height=300)
    original.save(tmp_path / "7" / "a.png")
    found = opened(tmp_path, size=224).read([0])[0]
    # torchvision: Resize(256) to 256 x int(256 * 512 / 300) = 436, CenterCrop(224) at 16, 106.
    resized = original.resize((436, 256), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(found, pixels_of(resized)[16:240, 106:330])


def test_a_picture_of_the_right_size_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    picture(1, 224, 224).save(tmp_path / "7" / "a.png")
    found = opened(tmp_path, size=224).read([0])[0]
    np.testing.assert_array_equal(found, pixels_of(picture(1, 224, 224)))


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    assert "no such directory" in error_of(tmp_path / "nowhere")


def test_a_directory_without_pictures_is_refused(tmp_path: Path) -> None:
    assert "expected labels.csv or one folder per class" in error_of(tmp_path)
    picture(0).save(tmp_path / "loose.png")
    (tmp_path / "empty").mkdir()
    assert "expected labels.csv or one folder per class" in error_of(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "needs the columns file,label; found nothing"),
        ("name,label\n0.png,1\n", "needs the columns file,label; found name,label"),
        ("file,label\n", "lists no pictures"),
        ("file,label\n0.png,1\n1.png,cat\n", "line 3: label 'cat' is not an integer"),
        ("file,label\n0.png\n", "line 2: label None is not an integer"),
        ("file,label\n0.png,10\n", "line 2: label 10 is not one of 0 to 9"),
        ("file,label\n0.png,-1\n", "line 2: label -1 is not one of 0 to 9"),
        ("file,label\n9.png,1\n", "line 2: no such file"),
        ("label,file\n1\n", "line 2: no such file"),
        ("file,label\n0.png,1\n1.png,1\n0.png,2\n", "line 4: 0.png is listed twice"),
        ("file,label\n\xff\xfe\n", "not a comma-separated text file in UTF-8"),
    ],
)
def test_a_bad_labels_file_is_refused(labelled: Path, content: str, message: str) -> None:
    (labelled / "labels.csv").write_bytes(content.encode("latin-1"))
    assert message in error_of(labelled)


@pytest.mark.parametrize("names", ["abcdefghijk", "abc"])
def test_another_number_of_folders_than_classes_is_refused(tmp_path: Path, names: str) -> None:
    for name in names:
        (tmp_path / name).mkdir()
        picture(1).save(tmp_path / name / "a.png")
    assert f"{len(names)} folders, but the network has 10 classes" in error_of(tmp_path)


def test_a_folder_whose_name_is_a_number_has_that_label(tmp_path: Path) -> None:
    for name in ("1", "3", "007"):
        (tmp_path / name / "deeper").mkdir(parents=True)
        picture(1).save(tmp_path / name / "deeper" / "a.png")
    pictures = opened(tmp_path)
    assert sorted(zip(pictures.labels.tolist(), pictures.names, strict=True)) == [
        (1, "1/deeper/a.png"),
        (3, "3/deeper/a.png"),
        (7, "007/deeper/a.png"),
    ]
    (tmp_path / "10").mkdir()
    picture(1).save(tmp_path / "10" / "a.png")
    assert "label 10 is not one of 0 to 9" in error_of(tmp_path)


def test_pictures_without_a_label_are_counted_and_one_is_named(labelled: Path) -> None:
    picture(1).save(labelled / "another.png")
    assert error_of(labelled).endswith(
        f"1 pictures without a label, such as {labelled / 'another.png'}"
    )
    (labelled / "labels.csv").unlink()
    assert "4 pictures without a label; expected labels.csv" in error_of(labelled)


@pytest.mark.parametrize("damage", ["foreign", "empty", "truncated"])
def test_an_unreadable_picture_is_named_when_it_is_read(labelled: Path, damage: str) -> None:
    path = labelled / "0.png"
    whole = path.read_bytes()
    path.write_bytes({"foreign": b"GIF89a", "empty": b"", "truncated": whole[:60]}[damage])
    pictures = opened(labelled)
    assert pictures.read([0]).shape == (1, 8, 8, 3)
    with pytest.raises(FmzipError, match=r"0\.png: not a readable picture; expected jpg or png"):
        pictures.read([1])


def test_an_index_outside_the_collection_is_refused(labelled: Path) -> None:
    with pytest.raises(IndexError, match="picture 3 of 3"):
        opened(labelled).read([3])


def test_pictures_of_two_channels_are_refused(labelled: Path) -> None:
    with pytest.raises(ValueError, match="pictures must have 1 or 3 channels, not 2"):
        opened(labelled, channels=2)


@pytest.mark.parametrize(("n", "calibration"), [(2, 1), (10, 3), (10, 9), (500, 100), (501, 7)])
def test_the_two_parts_of_a_split_never_overlap_and_cover_all(n: int, calibration: int) -> None:
    chosen, others = split(n, calibration)
    assert len(chosen) == calibration
    assert sorted([*chosen, *others]) == list(range(n))
    gaps = np.diff(np.append(chosen, n))
    assert gaps.max() - gaps.min() <= 1  # evenly strided
    np.testing.assert_array_equal(chosen, split(n, calibration)[0])


@pytest.mark.parametrize("calibration", [0, -1, 10, 11])
def test_a_split_that_leaves_nothing_is_refused(calibration: int) -> None:
    with pytest.raises(ValueError, match=f"calibration must be 1 to 9 of 10 .* not {calibration}"):
        split(10, calibration)


def test_folds_are_different_pictures_and_together_all_of_them() -> None:
    assert sorted(np.concatenate([split(12, 4, k)[0] for k in range(3)])) == list(range(12))
    for half, other in (split(500, 250, 0), split(500, 250, 1)[::-1]):
        assert half.tolist() == list(range(0, 500, 2))
        assert other.tolist() == list(range(1, 500, 2))
    with pytest.raises(ValueError, match="fold must be 0 to 1 for 250 of 500, not 2"):
        split(500, 250, 2)
    pictures = ArrayPictures("abcdef", np.arange(6), np.zeros((6, 4, 4, 1), np.uint8), reserved=4)
    assert pictures.split(2, 1)[0].tolist() == [1, 3]


def test_reserved_pictures_serve_for_calibration_only() -> None:
    stack = np.zeros((10, 4, 4, 1), np.uint8)
    pictures = ArrayPictures([str(k) for k in range(10)], np.arange(10), stack, reserved=6)
    chosen, others = pictures.split(3)
    assert chosen.tolist() == [0, 2, 4]
    assert others.tolist() == [6, 7, 8, 9]
    with pytest.raises(ValueError, match="calibration must be 1 to 6, not 7"):
        pictures.split(7)


def test_pictures_in_memory_are_read_like_those_of_a_directory() -> None:
    stack = np.arange(3 * 4 * 4).reshape(3, 4, 4, 1).astype(np.uint8)
    pictures = ArrayPictures("abc", np.arange(3), stack)
    np.testing.assert_array_equal(pictures.read([2, 0]), stack[[2, 0]])
    assert len(pictures.split(1)[1]) == 2
