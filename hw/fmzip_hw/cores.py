"""The codecs that are exported as cores, each an encoder and its decoder, by name."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fmzip.format import BLOCK_CODERS, Coder
from fmzip_hw.decoder import Decoder
from fmzip_hw.encoder import Encoder
from fmzip_hw.fmzdecoder import FmzDecoder
from fmzip_hw.fmzencoder import FmzEncoder


@dataclass(frozen=True)
class Codec:
    """One codec.

    Members
    -------
    encoder, decoder : make the component for a number of lanes
    lanes : numbers of lanes that there are
    coders : values of the head's field ``coder`` that it takes
    tables : whether it has tables, which the host loads
    """

    encoder: Callable[[int], Any]
    decoder: Callable[[int], Any]
    lanes: tuple[int, ...]
    coders: tuple[Coder, ...]
    tables: bool = False


CODECS = {
    "dctcm": Codec(Encoder, Decoder, (2, 4, 8), BLOCK_CODERS),
    "fmz": Codec(FmzEncoder, FmzDecoder, (2, 4, 8), (Coder.RANS,), True),
}


def codec_of(name: str, lanes: int) -> Codec:
    """A codec that is known and has so many lanes; ValueError otherwise."""
    if name not in CODECS:
        raise ValueError(f"codec must be {' or '.join(CODECS)}, not {name!r}")
    codec = CODECS[name]
    if lanes not in codec.lanes:
        known = " or ".join(map(str, codec.lanes))
        raise ValueError(f"codec {name}: lanes must be {known}, not {lanes}")
    return codec
