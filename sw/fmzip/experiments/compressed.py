"""The maps that a network stores with the codec of a file at each of them."""

from collections.abc import Iterator

import numpy as np
import torch

from fmzip.codecfile import CodecFile
from fmzip.experiments.evaluate import file_codec, scales_of
from fmzip.format import TILE_SLOTS_MAX
from fmzip_models import recalibrate
from fmzip_models.capture import StoredMap
from fmzip_models.in_loop import InLoop
from fmzip_models.maps import Map
from fmzip_models.pictures import Pictures
from fmzip_models.zoo import Network


def stored_maps(
    network: Network, pictures: Pictures, indices: np.ndarray, codec: CodecFile,
    slots_max: int = TILE_SLOTS_MAX,
) -> Iterator[list[StoredMap]]:  # fmt: skip
    """What the codecs get, one list per picture, in the order of storing.

    Each map is made of what came back of those before it, by modules with the file's corrections.

    Parameters
    ----------
    indices : of the pictures, in this order
    codec : of the network
    slots_max : see ``LayerCodec.frame``
    """
    scales = scales_of(codec)
    loop = InLoop(network, scales, before_relu=codec.projects)
    codecs = {
        m.name: file_codec(codec, m, torch.device("cpu"), None, slots_max)
        for m in network.graph.maps
    }
    found: list[StoredMap] = []

    def see(m: Map, codes: torch.Tensor) -> None:
        found.append(StoredMap(m.name, codes[0].numpy(), scales[m.name], m.reads))

    for index in indices:
        found.clear()
        picture = network.normalise(pictures.read([index]))
        with recalibrate.applied(network.module, codec.corrections), torch.no_grad():
            loop.codec_pass(picture, codecs, see)
        yield list(found)
