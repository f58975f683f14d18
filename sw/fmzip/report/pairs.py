"""A feature map before and after a codec, which a result's JSON does not hold."""

from dataclasses import dataclass

import numpy as np

WINDOW = 96  # pixels a side; a larger map's middle is shown


@dataclass(frozen=True)
class MapPair:
    """Members
    -------
    layer, codec : names, for the caption
    before, after : uint8 or int8 [C, H, W], of one shape and type
    """

    layer: str
    codec: str
    before: np.ndarray
    after: np.ndarray

    def __post_init__(self) -> None:
        for values in (self.before, self.after):
            if values.dtype not in (np.uint8, np.int8) or values.ndim != 3 or not values.size:
                raise ValueError(
                    f"a map must be uint8 or int8 [C, H, W], not {values.dtype} "
                    f"{list(values.shape)}"
                )
        if self.before.shape != self.after.shape or self.before.dtype != self.after.dtype:
            raise ValueError(
                f"the maps before and after differ: {self.before.dtype} "
                f"{list(self.before.shape)} and {self.after.dtype} {list(self.after.shape)}"
            )

    @property
    def error_rms(self) -> float:
        """Root of the mean squared error, in LSB."""
        error = self.after.astype(np.int16) - self.before.astype(np.int16)
        return float(np.sqrt(np.mean(np.square(error, dtype=np.float64))))


def window(shape: tuple[int, ...]) -> str:
    """What part of a map is shown, where it is not all."""
    height, width = shape[1:]
    if height <= WINDOW and width <= WINDOW:
        return ""
    return f"the middle {min(height, WINDOW)} x {min(width, WINDOW)} pixels of {height} x {width}"
