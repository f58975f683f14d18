"""Pictures that are drawn from others."""

import numpy as np
import pytest

from fmzip_models.augment import augmented


@pytest.mark.parametrize("shape", [(32, 32, 3), (17, 40, 1)])
def test_pictures_are_turned_and_shifted_and_nothing_else(shape: tuple[int, int, int]) -> None:
    rows, cols, _ = shape
    pictures = np.arange(40 * np.prod(shape), dtype=np.int64).reshape(40, *shape).astype(np.uint8)
    before = pictures.copy()
    found = augmented(pictures, np.random.default_rng(1))
    np.testing.assert_array_equal(pictures, before)
    assert found.shape == pictures.shape
    assert found.dtype == np.uint8
    turned, shifts = 0, set()
    down, right = -(-rows // 8), -(-cols // 8)
    for picture, drawn in zip(pictures, found, strict=True):
        # What every shift leaves inside, and where it is found.
        centre = drawn[down : rows - down, right : cols - right]
        for flip in (False, True):
            there = picture[:, ::-1] if flip else picture
            for top in range(2 * down + 1):
                for left in range(2 * right + 1):
                    part = there[top : top + rows - 2 * down, left : left + cols - 2 * right]
                    if np.array_equal(part, centre):
                        turned += flip
                        shifts.add((top, left))
                        break
                else:
                    continue
                break
            else:
                continue
            break
        else:
            raise AssertionError("not a part of the picture")
    assert 8 <= turned <= 32
    assert len(shifts) > 15
