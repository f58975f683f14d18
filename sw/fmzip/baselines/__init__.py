"""What fmzip's codecs are compared with: peers on the 8-bit map, a bound, and plain 4-bit values.

Each is published work or a plain method, written from its description. All see a map in
channel-first order, one stream per map. What both sides know of a layer (shape, type, zero point)
is not in the stream; everything else is. That favours them over fmzip's own frames, which carry a
head, CRCs and a tile index for random access.

Bits per value on ResNet-18 (3 photographs, 17 maps after ReLU each, uint8, whole bursts of 32
bytes), by the pictures whose maximum is the end of the range: the narrower the range, the finer the
step, and the more bits. ``bench/baselines.py`` prints the first row for two pictures, with speeds.

    =================  =====  =====  =========  =====  =====  ===============
    range from         zvc    rle    rle-pairs  ebpc   zstd   entropy (bound)
    =================  =====  =====  =========  =====  =====  ===============
    16 other pictures   5.42   5.52       7.21   4.84   3.58             3.93
    the 3 pictures      5.45   5.57       7.27   5.20   3.98             4.27
    each by itself      5.46   5.58       7.28   5.35   4.16             4.43
    =================  =====  =====  =========  =====  =====  ===============
"""

from fmzip.baselines.base import Baseline
from fmzip.baselines.ebpc import Ebpc
from fmzip.baselines.plain import Bits4, Entropy, Zstd, bits4_step
from fmzip.baselines.zeros import Rle, RlePairs, Zvc

BASELINES: dict[str, Baseline] = {
    baseline.name: baseline
    for baseline in (Zvc(), Rle(), RlePairs(), Ebpc(), Zstd(), Entropy(), Bits4())
}


def baseline_of(name: str) -> Baseline:
    """The baseline of a name; ValueError if there is none."""
    if name not in BASELINES:
        raise ValueError(f"baseline must be one of {', '.join(BASELINES)}, not {name!r}")
    return BASELINES[name]


__all__ = [
    "BASELINES",
    "Baseline",
    "Bits4",
    "Ebpc",
    "Entropy",
    "Rle",
    "RlePairs",
    "Zstd",
    "Zvc",
    "baseline_of",
    "bits4_step",
]
