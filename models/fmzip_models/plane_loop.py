"""Bit planes in the loop of a network: the reference's own integers and sizes, in batches.

Planes are numbers 0 and 1 in float32 or float64, whichever holds every sum exactly.
"""

from concurrent.futures import Executor

import numpy as np
import torch

from fmzip.format import VALUE_PLANES, FrameConfig, Transform
from fmzip.gf2 import BinaryLayer, PlaneCoding, PlaneEncoder, PlaneTables, Rule
from fmzip.reference import gf2, gf2frame, huffman
from fmzip_models.projecting import columns, frame_bytes, from_columns

_FLOAT32_EXACT = 1 << 24


def sum_type(most: int, device: torch.device | str) -> torch.dtype:
    """The float type for sums of integers up to ``most``; a GPU may round products of float32."""
    exact = torch.device(device).type == "cpu" and most < _FLOAT32_EXACT
    return torch.float32 if exact else torch.float64


def bits_of(numbers: torch.Tensor) -> torch.Tensor:
    """Bit planes of numbers below 256: int [n, values, positions] to [n, 8 * values, positions]."""
    shifts = torch.arange(VALUE_PLANES, dtype=numbers.dtype, device=numbers.device)
    planes = numbers[:, :, None] >> shifts[:, None] & 1
    return planes.reshape(len(numbers), -1, numbers.shape[-1])


class LayerLoop:
    """``BinaryLayer`` on batches.

    Parameters
    ----------
    layer : what to compute
    device : where the tensors are
    """

    def __init__(self, layer: BinaryLayer, device: torch.device | str = "cpu") -> None:
        self._xor = layer.rule == Rule.XOR
        used = np.flatnonzero(layer.weights.any(axis=0))
        dtype = sum_type(layer.weights.shape[1], device)
        self._used = torch.from_numpy(used).to(device)
        self._weights = torch.from_numpy(layer.weights[:, used]).to(device, dtype)
        self._thresholds = torch.from_numpy(layer.thresholds.astype(np.int64)).to(device, dtype)[
            :, None
        ]

    def __call__(self, planes: torch.Tensor) -> torch.Tensor:
        """Planes [n, inputs, positions] to [n, outputs, positions], floats 0 and 1."""
        sums = self._weights @ planes[:, self._used].to(self._weights.dtype)
        if self._xor:
            return (sums + self._thresholds).remainder_(2)
        return (sums >= self._thresholds).to(sums.dtype)


class EncoderLoop:
    """Stored planes of batches of maps.

    Parameters
    ----------
    encoder : what to compute
    transform : of the frames
    lowest : of the stored values
    device : where the tensors are
    """

    def __init__(
        self, encoder: PlaneEncoder, transform: Transform, lowest: int,
        device: torch.device | str = "cpu",
    ) -> None:  # fmt: skip
        self._transform = transform
        self._bias = torch.from_numpy(encoder.bias.astype(np.int16) - lowest).to(device)[:, None]
        self._top = torch.from_numpy(encoder.top.astype(np.int16)).to(device)[:, None]
        self._layer = LayerLoop(encoder.layer, device)

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        """uint8 or int8 [n, C, H, W] to floats 0 and 1, [n, stored, positions]."""
        above = columns(values.to(torch.int16), self._transform, 1)[:, 0] + self._bias
        numbers = torch.minimum(above.clamp_(min=0), self._top)
        return self._layer(bits_of(numbers))


class DecoderLoop:
    """Values of stored planes, above the lowest one and clamped to 0 to 255.

    Parameters
    ----------
    tables : what to compute
    transform : of the frames
    device : where the tensors are
    """

    def __init__(
        self, tables: PlaneTables, transform: Transform, device: torch.device | str = "cpu"
    ) -> None:
        self._transform = transform
        sums = tables.sums
        matrix, offset = sums.matrix.astype(np.int64), sums.offset.astype(np.int64)
        most = int((np.abs(matrix).sum(axis=1) + np.abs(offset)).max())
        dtype = sum_type(most, device)
        # Scaled by a power of two, which changes no bit of a sum.
        scale = 2.0**-sums.shift
        self._matrix = torch.from_numpy(matrix * scale).to(device, dtype)
        self._offset = torch.from_numpy(offset * scale).to(device, dtype)[:, None]
        self._layer = None if tables.layer is None else LayerLoop(tables.layer, device)

    def __call__(self, planes: torch.Tensor, shape: torch.Size) -> torch.Tensor:
        """Floats 0 and 1, [n, stored, positions], to integers in floats, [n, C, H, W]."""
        own = planes.to(self._matrix.dtype)
        if self._layer is None:
            found = self._matrix @ own
        else:
            made = self._layer(own).to(self._matrix.dtype)
            made = made.unflatten(1, self._matrix.shape)
            found = (made * self._matrix[:, :, None]).sum(2)
        above = found.add_(self._offset).floor_().clamp_(0, 255)
        return from_columns(above[:, None], self._transform, shape)


class PlaneLoop:
    """Encode and decode of all frames of one configuration, as ``in_loop.InLoopCodec``.

    Each map's bytes on the bus are those of its frame, and of the codebooks where planes are coded
    further, as though these were stored with every frame; layers and integers are loaded once, like
    weights.

    Parameters
    ----------
    config : of the frames
    coding : of encoder and decoder
    device : where the tensors are
    threads : size several maps at once

    Raises
    ------
    ValueError : the coding is not one of that configuration
    """

    def __init__(
        self, config: FrameConfig, coding: PlaneCoding, device: torch.device | str = "cpu",
        threads: Executor | None = None,
    ) -> None:  # fmt: skip
        self.config, self.coding = config, gf2frame.check_coding(config, coding)
        self._lowest = config.value_range[0]
        self._encode = EncoderLoop(coding.encoder, config.transform, self._lowest, device)
        self._decode = DecoderLoop(coding.tables, config.transform, device)
        self._threads = threads
        self._groups = coding.tables.groups if config.huffman else None
        self._codes = None if self._groups is None else huffman.codes_of(self._groups)

    def planes(self, values: torch.Tensor) -> torch.Tensor:
        """Stored planes of a batch: floats 0 and 1, [n, stored, positions]."""
        return self._encode(values)

    def __call__(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        config = self.config
        planes = self._encode(values)
        decoded = self._decode(planes, values.shape).add_(self._lowest)
        decoded = decoded.to(torch.int16).to(values.dtype)
        if self._groups is None:
            return decoded, torch.full((len(values),), config.max_bytes, dtype=torch.int64)
        stored = planes.transpose(1, 2).to(torch.uint8).cpu().numpy()
        each = map if self._threads is None else self._threads.map
        return decoded, torch.tensor(list(each(self._frame_bytes, stored)), dtype=torch.int64)

    def _frame_bytes(self, planes: np.ndarray) -> int:
        """Bytes of a frame and its codebooks: uint8 [positions of the map, stored]."""
        config, groups, codes = self.config, self._groups, self._codes
        assert groups is not None
        assert codes is not None
        symbols = gf2.symbols_of(np.packbits(planes, axis=1, bitorder="little"), groups.sizes)
        return frame_bytes(
            symbols,
            config,
            groups.code_bytes,
            lambda tile: gf2frame.coded_tile_bytes(tile, config, codes),
        )
