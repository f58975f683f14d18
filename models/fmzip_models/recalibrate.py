"""Mean and spread of a compressed network's channels, set back to those of the plain one.

Quantised maps shift what the layers behind them put out. On calibration pictures, the output of
each convolution (behind its batch norm, where there is one) is compared with that of the plain int8
network, module after module in the order in which they run, each with all modules before it set
right already. A gain and an offset per channel bring mean and deviation back; both are folded into
the module's parameters, so that they cost nothing at run time. No labels, no training.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from fmzip.codecfile import Correction

_GAIN_LIMITS = 0.5, 2.0  # a channel that is nearly constant says nothing of its gain
_Moments = dict[str, tuple[torch.Tensor, torch.Tensor]]


def sites(module: nn.Module) -> dict[str, nn.Module]:
    """Modules that can be corrected, by name: with a weight and a bias for each output channel."""
    return {
        name: m
        for name, m in module.named_modules()
        if (type(m) is nn.BatchNorm2d and m.affine) or (type(m) is nn.Conv2d and m.bias is not None)
    }


def moments(module: nn.Module, run: Callable[[], object]) -> _Moments:
    """Mean and deviation of each site's output channels: float64 [channels] each.

    Parameters
    ----------
    run : runs all calibration pictures through the network, at once
    """
    found: _Moments = {}
    shared = set()  # modules that run twice: one correction cannot fit both

    def see(name: str, output: torch.Tensor) -> None:
        if name in found:
            shared.add(name)
        found[name] = _moments(output)

    with _hooked(module, see):
        run()
    return {name: m for name, m in found.items() if name not in shared}


@torch.no_grad()
def find(module: nn.Module, plain: _Moments, run: Callable[[], object]) -> dict[str, Correction]:
    """Corrections of a compressed network; the network itself stays as it is.

    Parameters
    ----------
    plain : ``moments`` of the plain network, on the same pictures
    run : runs them through the compressed network, at once
    """
    found: dict[str, Correction] = {}

    def correct(name: str, output: torch.Tensor) -> torch.Tensor | None:
        if name not in plain:
            return None
        mean, deviation = _moments(output)
        wanted_mean, wanted = plain[name]
        gain = torch.where(deviation > 0, wanted / deviation.clamp(min=1e-30), 1.0)
        gain = gain.clamp(*_GAIN_LIMITS).float()
        offset = (wanted_mean - gain * mean).float()
        found[name] = Correction(gain.cpu().numpy(), offset.cpu().numpy())
        return _wide(gain) * output + _wide(offset)

    with _hooked(module, correct):
        run()
    return found


def joined(
    first: Mapping[str, Correction], then: Mapping[str, Correction]
) -> dict[str, Correction]:
    """One correction in place of two of each module, the second found with the first applied."""
    return {
        name: Correction(
            c.gain * first[name].gain if name in first else c.gain,
            c.gain * first[name].offset + c.offset if name in first else c.offset,
        )
        for name, c in then.items()
    }


@contextmanager
def applied(module: nn.Module, corrections: Mapping[str, Correction]) -> Iterator[None]:
    """The network with corrections folded in.

    Raises
    ------
    ValueError : a module that is corrected is not there, or has another number of channels
    """
    there = sites(module)
    before: list[tuple[nn.Parameter, torch.Tensor]] = []
    try:
        for name, correction in corrections.items():
            if name not in there:
                raise ValueError(f"module {name} cannot be corrected: no such module")
            weight, bias = there[name].weight, there[name].bias
            assert isinstance(weight, nn.Parameter)
            assert isinstance(bias, nn.Parameter)
            if len(bias) != len(correction.gain):
                raise ValueError(
                    f"module {name} has {len(bias)} channels, its correction {len(correction.gain)}"
                )
            gain, offset = (
                torch.from_numpy(np.array(part)).to(bias)
                for part in (correction.gain, correction.offset)
            )
            before += [(weight, weight.data), (bias, bias.data)]
            weight.data = weight.data * gain.view(-1, *[1] * (weight.ndim - 1))
            bias.data = bias.data * gain + offset
        yield
    finally:
        for parameter, data in before:
            parameter.data = data


def _moments(output: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    wide = output.double()
    return wide.mean((0, 2, 3)), wide.std((0, 2, 3), correction=0)


def _wide(values: torch.Tensor) -> torch.Tensor:
    return values[:, None, None]


@contextmanager
def _hooked(
    module: nn.Module, see: Callable[[str, torch.Tensor], torch.Tensor | None]
) -> Iterator[None]:
    """Call ``see`` with each site's output; what it returns, if anything, takes its place."""
    handles = [
        site.register_forward_hook(
            lambda _m, _i, output, name=name: see(name, output) if output.ndim == 4 else None
        )
        for name, site in sites(module).items()
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
