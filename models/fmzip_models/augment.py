"""Pictures that are drawn from others, so that few of them say more.

A network is sure of pictures that it was trained on, or that are easy, and says little about errors
there. Of a shifted one it is less sure.
"""

import numpy as np

_SHIFT = 8  # pictures are shifted by up to this part of their sides


def augmented(pictures: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Half of the pictures the other way round, all shifted; behind an edge they are mirrored.

    Parameters
    ----------
    pictures : uint8 [n, rows, columns, channels]; they are not changed
    """
    found = np.empty_like(pictures)
    rows, cols = pictures.shape[1:3]
    down, right = (-(-side // _SHIFT) for side in (rows, cols))
    for k, picture in enumerate(pictures):
        there = picture[:, ::-1] if rng.random() < 0.5 else picture
        padded = np.pad(there, ((down, down), (right, right), (0, 0)), mode="symmetric")
        top, left = int(rng.integers(2 * down + 1)), int(rng.integers(2 * right + 1))
        found[k] = padded[top : top + rows, left : left + cols]
    return found
