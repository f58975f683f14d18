"""Named codecs: configurations of the one pipeline, by the names that papers and users give them.

Bits per value of whole frames on ResNet-18 (4 photographs, all 17 stored maps after ReLU, max
calibration, default tiles, burst of 32 bytes), the step being ``c`` standard deviations of the
map's layer, and squared error relative to the variance:

    ==============  ===========  =======  ========  =======
    codec           zero bitmap  c = 0.1  c = 0.25  c = 1.0
    ==============  ===========  =======  ========  =======
    dctcm           no             6.42      4.91     2.57
    dctcm           yes            7.34      5.87     3.49
    dctcm-width     no             5.71      4.46     2.75
    dctcm-width     yes            6.68      5.42     3.67
    error           no           0.0008    0.0043    0.062
    error           yes          0.0006    0.0030    0.045
    ==============  ===========  =======  ========  =======

So at the steps that keep accuracy ``dctcm-width`` needs about a tenth less than the bitmaps of the
paper, and a zero bitmap costs more than a smaller step that lowers the error as much: it is off
unless zeros must survive.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from fmzip.format import (
    CODEBOOKS_MAX,
    DEFAULT_BURST_BYTES,
    RANS_STEP_MIN,
    RANS_STEP_PER_LSB,
    STEP_MAX,
    STEP_MIN,
    STEP_PER_LSB,
    Coder,
    Dtype,
    FrameConfig,
    Transform,
    default_rans_tile,
    default_tile,
)

STEP_LSB_MIN = STEP_MIN / STEP_PER_LSB  # 0.71
STEP_LSB_MAX = STEP_MAX / STEP_PER_LSB  # 362.03
FMZ = "fmz"  # the codec that needs tables; see ``fmz_config``
CAP = "cap"  # the one whose projections are learned; see ``fmzip_models.learn``
GF2 = "gf2"  # the one whose binary layers are learned; see ``fmzip.experiments.train_gf2``
_BURSTS = tuple(1 << k for k in range(3, 9))
_BURST_LIST = ", ".join(map(str, _BURSTS))


@dataclass(frozen=True)
class Codec:
    """What a codec's name stands for; the map's own properties and the step are not part of it.

    Parameters
    ----------
    name : what the command line calls it
    source : where it comes from
    coder, zero_bitmap, keep : see ``format.FrameConfig``
    """

    name: str
    source: str
    transform: Transform = Transform.DCT8
    coder: Coder = Coder.BITMAP
    zero_bitmap: bool = False
    keep: int = 0xFF

    def config(
        self,
        shape: Sequence[int],
        dtype: Dtype,
        zero_point: int,
        step_lsb: float,
        *,
        tile: tuple[int, int] | None = None,
        burst_bytes: int = DEFAULT_BURST_BYTES,
    ) -> FrameConfig:
        """Configuration of one map's frame.

        Parameters
        ----------
        shape : channels, height, width
        dtype, zero_point : of the stored values
        step_lsb : quantisation step in LSB, ``STEP_LSB_MIN`` to ``STEP_LSB_MAX``
        tile : rows and columns; None for ``format.default_tile``
        burst_bytes : of the DRAM, a power of two from 8 to 256

        Raises
        ------
        ValueError : a parameter is outside its range
        """
        channels, height, width = _sides(shape)
        rows, cols = tile if tile is not None else default_tile(channels, height, width)
        return FrameConfig(
            channels,
            height,
            width,
            dtype,
            zero_point,
            rows,
            cols,
            burst_log2(burst_bytes),
            self.transform,
            self.coder,
            self.zero_bitmap,
            self.keep,
            step_units(step_lsb),
        )


def _sides(shape: Sequence[int]) -> tuple[int, int, int]:
    if len(shape) != 3 or not all(1 <= side <= 0xFFFF for side in shape):
        raise ValueError(f"shape must be [C, H, W], 1 to 65535 each, not {list(map(int, shape))}")
    channels, height, width = map(int, shape)
    return channels, height, width


def burst_log2(burst_bytes: int) -> int:
    """Logarithm of a burst's bytes; ValueError where it is not one that frames can have."""
    if burst_bytes not in _BURSTS:
        raise ValueError(f"burst must be {_BURST_LIST} bytes, not {burst_bytes}")
    return burst_bytes.bit_length() - 1


_DCTCM = "Shi et al., DCT-CM, arXiv 2106.12850"
CODECS = {
    codec.name: codec
    for codec in (
        Codec("dctcm", f"{_DCTCM}: DCT over 8 channels, bitmap and packed values"),
        Codec(
            "dctcm-width",
            f"the transform of {_DCTCM}, one width per block in place of its bitmaps",
            coder=Coder.WIDTH,
        ),
    )
}


@dataclass(frozen=True)
class ProjectionCodec:
    """A codec whose matrices are made on calibration pictures: their principal components.

    Parameters
    ----------
    name, source : see ``Codec``
    side : rows and columns of a position
    groups : of channels, with a matrix each
    explained : share of the variance that the kept components have
    codebooks : most of a layer
    """

    name: str
    source: str
    side: int = 1
    groups: int = 1
    explained: float = 1.0
    codebooks: int = CODEBOOKS_MAX


_PCAVLC = "Chmiel et al., Feature Map Transform Coding, arXiv 1905.10830"
PROJECTION_CODECS = {
    codec.name: codec
    for codec in (
        ProjectionCodec("pcavlc", f"{_PCAVLC}: principal components of a pixel, Huffman codes"),
        ProjectionCodec("pcavlc-layer", f"{_PCAVLC}: one Huffman code for a layer", codebooks=1),
        ProjectionCodec("pcavlc-2x2", f"{_PCAVLC}: blocks of 2 x 2 pixels", side=2),
        ProjectionCodec("pcavlc-groups", f"{_PCAVLC}: four groups of channels", groups=4),
        ProjectionCodec("pcavlc-truncated", f"{_PCAVLC}: 99 % of the variance", explained=0.99),
    )
}


def codec_of(name: str) -> Codec:
    """The codec of a name; ValueError if there is none."""
    if name not in CODECS:
        raise ValueError(f"codec must be {' or '.join(CODECS)}, not {name!r}")
    return CODECS[name]


def codec_config(
    name: str, shape: Sequence[int], dtype: Dtype, zero_point: int, step_lsb: float
) -> FrameConfig:
    """Configuration of one map's frame with a named codec, see ``Codec.config``."""
    return codec_of(name).config(shape, dtype, zero_point, step_lsb)


def fmz_config(
    shape: Sequence[int],
    dtype: Dtype,
    zero_point: int,
    step_lsb: float,
    transform: Transform,
    tables: int,
    *,
    tile: tuple[int, int] | None = None,
    burst_bytes: int = DEFAULT_BURST_BYTES,
) -> FrameConfig:
    """Configuration of one map's frame with the coder RANS.

    Parameters
    ----------
    shape, dtype, zero_point, burst_bytes : see ``Codec.config``
    step_lsb : quantisation step in LSB, 1 to ``STEP_MAX / RANS_STEP_PER_LSB``
    tables : their id
    tile : rows and columns; None for ``format.default_rans_tile``

    Raises
    ------
    ValueError : a parameter is outside its range
    """
    sides = _sides(shape)
    rows, cols = tile if tile is not None else default_rans_tile(*sides, transform)
    return FrameConfig(
        *sides, dtype, zero_point, rows, cols, burst_log2(burst_bytes), transform, Coder.RANS,
        step=step_units(step_lsb, RANS_STEP_PER_LSB, RANS_STEP_MIN), tables=tables,
    )  # fmt: skip


def step_units(step_lsb: float, per_lsb: float = STEP_PER_LSB, lowest: int = STEP_MIN) -> int:
    """A step in LSB in the unit of the frame, ``1 / per_lsb`` LSB.

    Raises
    ------
    ValueError : it is not a number that gives ``lowest`` to ``STEP_MAX`` units
    """
    # Half a unit of tolerance, so that a limit rounded by a user or by a float is accepted.
    if not lowest - 0.5 <= step_lsb * per_lsb <= STEP_MAX + 0.5:
        raise ValueError(
            f"step must be {lowest / per_lsb:.3f} to {STEP_MAX / per_lsb:.2f} LSB, not {step_lsb:g}"
        )
    return max(lowest, min(STEP_MAX, round(step_lsb * per_lsb)))
