"""The maps that a network stores with the codec of a file at each of them."""

from collections.abc import Iterator, Mapping

import numpy as np
import torch

from fmzip.codecfile import CodecFile
from fmzip.codings import AnyCoding
from fmzip.experiments.evaluate import codec_loop, scales_of
from fmzip.format import FrameConfig
from fmzip_models import recalibrate
from fmzip_models.capture import StoredMap
from fmzip_models.in_loop import InLoop, Uncoded
from fmzip_models.maps import Map
from fmzip_models.pictures import Pictures
from fmzip_models.zoo import Network


def stored_maps(
    network: Network, pictures: Pictures, indices: np.ndarray, codec: CodecFile,
    codings: Mapping[str, tuple[FrameConfig, AnyCoding]],
) -> Iterator[list[StoredMap]]:  # fmt: skip
    """What the codecs get, one list per picture, in the order of storing.

    Each map is made of what came back of those before it, by modules with the file's corrections.

    Parameters
    ----------
    indices : of the pictures, in this order
    codec : of the network
    codings : of its coded maps, by their names
    """
    scales = scales_of(codec)
    loop = InLoop(network, scales, before_relu=codec.projects)
    codecs = {
        m.name: codec_loop(*codings[m.name], torch.device("cpu"), None)
        if m.name in codings
        else Uncoded(m.values)
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
