"""What a frame holds and what it costs, with every byte counted."""

from dataclasses import dataclass

import numpy as np

from fmzip.format import FrameConfig, TileMode
from fmzip.reference.head import split_frame


@dataclass(frozen=True)
class Summary:
    """A frame in numbers.

    Members
    -------
    config : of the frame
    tiles_coded, tiles_raw : number of tiles of each mode
    head_bytes, coded_bytes, raw_bytes : sizes of the head and of the tiles of each mode, padding
        included; they add up to the frame
    """

    config: FrameConfig
    tiles_coded: int
    tiles_raw: int
    head_bytes: int
    coded_bytes: int
    raw_bytes: int

    @property
    def frame_bytes(self) -> int:
        return self.head_bytes + self.coded_bytes + self.raw_bytes

    @property
    def bits_per_value(self) -> float:
        """Bits of the whole frame per value of the map."""
        return 8 * self.frame_bytes / self.config.values

    @property
    def ratio(self) -> float:
        """Bytes of the map per byte of the frame; above 1 where the frame is smaller."""
        return self.config.values / self.frame_bytes

    def rows(self) -> dict[str, object]:
        """All of it by name, for a table or as JSON; names carry units where two are possible."""
        c = self.config
        return {
            "channels": c.channels,
            "height": c.height,
            "width": c.width,
            "dtype": c.dtype.name.lower(),
            "zero_point": c.zero_point,
            "transform": c.transform.name.lower(),
            "coder": c.coder.name.lower(),
            "zero_bitmap": c.zero_bitmap,
            "keep": f"{c.keep:#04x}",
            **(
                {"planes" if c.of_planes else "components": c.components}
                if c.counts_components
                else {"step": c.step, "step_lsb": round(c.step_lsb, 4)}
            ),
            **({"tables": f"{c.tables:#06x}"} if c.rans or c.counts_components else {}),
            "tile_rows": c.tile_rows,
            "tile_cols": c.tile_cols,
            "burst_bytes": c.burst_bytes,
            "tiles_coded": self.tiles_coded,
            "tiles_raw": self.tiles_raw,
            "head_bytes": self.head_bytes,
            "coded_bytes": self.coded_bytes,
            "raw_bytes": self.raw_bytes,
            "frame_bytes": self.frame_bytes,
            "map_bytes": c.values,
            "ratio": round(self.ratio, 4),
            "bits_per_value": round(self.bits_per_value, 4),
        }


def summary(frame: bytes) -> Summary:
    """Summary of a frame; its tiles are checked by their CRC, but not decoded.

    Raises
    ------
    FormatError : the bytes are not one intact frame
    """
    head, _ = split_frame(frame)
    sizes = np.diff(head.offsets)
    raw = head.modes == TileMode.RAW
    return Summary(
        head.config,
        tiles_coded=int((~raw).sum()),
        tiles_raw=int(raw.sum()),
        head_bytes=head.config.head_bytes,
        coded_bytes=int(sizes[~raw].sum()),
        raw_bytes=int(sizes[raw].sum()),
    )
