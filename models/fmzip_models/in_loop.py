"""A network whose readers get what a codec gives back, batch by batch.

Every stored map is quantised with its static scale, coded, decoded, and turned back into floats.
Without a codec that is the plain int8 network, the baseline of every comparison.

A codec in the loop is a callable on a batch of one stored map: ``values`` (uint8 or int8
[N, C, H, W]) to ``(decoded, bus_bytes)``, the first of the same dtype and shape, the second int64
[N], the bytes of each picture's map on the bus: head, index, padding and burst rounding included.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch

from fmzip.codecs import STEP_LSB_MAX, STEP_LSB_MIN, Codec
from fmzip.format import Dtype, FrameConfig
from fmzip_models.capture import Calibration
from fmzip_models.graph import AtMap, Map
from fmzip_models.quantise import Scale
from fmzip_models.zoo import Network

InLoopCodec = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
SeeMap = Callable[[Map, torch.Tensor], None]

_DTYPES = {Dtype.UINT8: torch.uint8, Dtype.INT8: torch.int8}


class FakeQuantiser:
    """``Scale.quantise`` and ``Scale.dequantise`` on tensors: the same integers, the same floats.

    Parameters
    ----------
    scale : of the map
    device : where the tensors are
    """

    def __init__(self, scale: Scale, device: torch.device | str = "cpu") -> None:
        self._scale = scale
        # A tensor, since CUDA divides by a Python number by multiplying with its reciprocal.
        self._step = torch.tensor(scale.scale, dtype=torch.float32, device=device)

    def round(self, values: torch.Tensor) -> torch.Tensor:
        """Nearest integers, still float32; ``values`` are not changed."""
        codes = values.div(self._step).round_()
        if self._scale.zero_point:
            codes.add_(self._scale.zero_point)
        return codes.clamp_(*self._scale.limits)

    def quantise(self, values: torch.Tensor) -> torch.Tensor:
        """float32 of any shape to uint8 or int8."""
        # By way of int16: several times faster than to 8 bits at once.
        return self.round(values).to(torch.int16).to(_DTYPES[self._scale.dtype])

    def dequantise(self, codes: torch.Tensor) -> torch.Tensor:
        """Integers of any shape to float32; floats with integers in them are overwritten."""
        values = codes.to(torch.float32)
        if self._scale.zero_point:
            values.sub_(self._scale.zero_point)
        return values.mul_(self._step)


@dataclass
class Pass:
    """What one run of a batch gave.

    Members
    -------
    logits : float32 [n, classes]
    bus_bytes : int64 [n] of each map, by its name; empty where no codec ran
    """

    logits: torch.Tensor
    bus_bytes: dict[str, torch.Tensor] = field(default_factory=dict)


class InLoop:
    """Runs batches through a network, with and without codecs.

    Parameters
    ----------
    network : on ``device``
    scales : of each map, by its name
    device : where the network is
    before_relu : maps that have a ReLU are stored in front of it, see ``Graph.run``
    """

    def __init__(
        self, network: Network, scales: Mapping[str, Scale], device: torch.device | str = "cpu", *,
        before_relu: bool = False,
    ) -> None:  # fmt: skip
        self._network, self._before_relu = network, before_relu
        self._quantisers = {
            m.name: FakeQuantiser(scales[m.name], device) for m in network.graph.maps
        }

    def float_pass(self, pictures: torch.Tensor) -> torch.Tensor:
        """Logits of the network as it is: float32 [n, classes]."""
        return self._network.graph.run(pictures)

    def int8_pass(self, pictures: torch.Tensor, see: SeeMap | None = None) -> Pass:
        """The plain int8 network.

        Parameters
        ----------
        pictures : float32 [n, channels, H, W], see ``Network.normalise``
        see : called with each stored map, uint8 or int8 [n, C, H, W]
        """

        def at_map(m: Map, values: torch.Tensor) -> torch.Tensor:
            quantiser = self._quantisers[m.name]
            if see is None:
                return quantiser.dequantise(quantiser.round(values))
            codes = quantiser.quantise(values)
            see(m, codes)
            return quantiser.dequantise(codes)

        return Pass(self._run(pictures, at_map))

    def codec_pass(
        self, pictures: torch.Tensor, codecs: Mapping[str, InLoopCodec], see: SeeMap | None = None
    ) -> Pass:
        """The network with a codec at every stored map.

        Parameters
        ----------
        codecs : of each map, by its name
        see : called with what each codec gets, uint8 or int8 [n, C, H, W]
        """
        bus_bytes: dict[str, torch.Tensor] = {}

        def at_map(m: Map, values: torch.Tensor) -> torch.Tensor:
            quantiser = self._quantisers[m.name]
            codes = quantiser.quantise(values)
            if see is not None:
                see(m, codes)
            decoded, bus_bytes[m.name] = codecs[m.name](codes)
            return quantiser.dequantise(decoded)

        return Pass(self._run(pictures, at_map), bus_bytes)

    def some_pass(self, pictures: torch.Tensor, codecs: Mapping[str, InLoopCodec]) -> torch.Tensor:
        """Logits of the int8 network with a codec at some of its maps.

        Parameters
        ----------
        codecs : by name of the map; the others are stored as they are
        """

        def at_map(m: Map, values: torch.Tensor) -> torch.Tensor:
            quantiser = self._quantisers[m.name]
            if m.name not in codecs:
                return quantiser.dequantise(quantiser.round(values))
            decoded, _ = codecs[m.name](quantiser.quantise(values))
            return quantiser.dequantise(decoded)

        return self._run(pictures, at_map)

    def _run(self, pictures: torch.Tensor, at_map: AtMap) -> torch.Tensor:
        return self._network.graph.run(pictures, at_map, before_relu=self._before_relu)

    def one_map(self, m: Map, pictures: torch.Tensor) -> Callable[[InLoopCodec], torch.Tensor]:
        """Logits of the int8 network with a codec at one of its maps, for any number of codecs.

        The part of the network in front of the map is computed once, see ``Graph.tail``.
        """

        def at_map(other: Map, values: torch.Tensor) -> torch.Tensor:
            quantiser = self._quantisers[other.name]
            return quantiser.dequantise(quantiser.round(values))

        quantiser = self._quantisers[m.name]
        values, tail = self._network.graph.tail(m, pictures, at_map, before_relu=self._before_relu)
        stored = quantiser.quantise(values)

        def logits(codec: InLoopCodec) -> torch.Tensor:
            decoded, _ = codec(stored)
            return tail(quantiser.dequantise(decoded))

        return logits


class MapByMap:
    """A codec in the loop that is NumPy code for one map.

    Parameters
    ----------
    recode : uint8 or int8 [C, H, W] to what comes back, and its bytes on the bus
    """

    def __init__(self, recode: Callable[[np.ndarray], tuple[np.ndarray, int]]) -> None:
        self._recode = recode

    def __call__(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        found = [self._recode(one) for one in values.cpu().numpy()]
        decoded = torch.from_numpy(np.stack([back for back, _ in found])).to(values.device)
        return decoded, torch.tensor([size for _, size in found], dtype=torch.int64)


class Uncoded:
    """A codec in the loop that is none: maps are stored as they are.

    Parameters
    ----------
    bus_bytes : of each picture's map
    """

    def __init__(self, bus_bytes: int) -> None:
        self._bus_bytes = bus_bytes

    def __call__(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return values, torch.full((len(values),), self._bus_bytes, dtype=torch.int64)


def frame_configs(
    codec: Codec, maps: tuple[Map, ...], calibration: Calibration, step_std: float
) -> dict[str, FrameConfig]:
    """Configuration of each map's frames, by its name.

    Parameters
    ----------
    step_std : quantisation step in standard deviations of the map's layer; clamped to what the
        format can hold
    """
    return {
        m.name: codec.config(
            m.shape,
            calibration.scales[m.name].dtype,
            calibration.scales[m.name].zero_point,
            min(max(step_std * calibration.std_lsb[m.name], STEP_LSB_MIN), STEP_LSB_MAX),
        )
        for m in maps
    }
