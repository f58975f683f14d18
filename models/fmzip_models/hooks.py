"""Which feature maps a network stores that torch.fx cannot trace, found with hooks on its modules.

A blank picture runs through the network once. Of what passes between its leaf modules (those
without modules in them), these are maps:

- what a module other than a norm, activation or pooling reads;
- what an activation or pooling returns to a function, such as a sum. What a convolution or norm
  returns to a function is not: that sums or activates it. Nor is what a concatenation takes.

A module of an unknown class without parameters, that changes no shape, counts as an activation.
Fusion is as in ``graph``, as far as modules tell. How often functions read a map is unknown, and so
is its sign where a function made it: every map counts as read once, and as signed if it may be.
What functions make and only functions read is not seen.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from fmzip.errors import FmzipError
from fmzip_models import ops
from fmzip_models.graph import trace
from fmzip_models.maps import AtMap, Graph, Map, blank, first_line, size_text
from fmzip_models.ops import Kind
from fmzip_models.quantise import Scale
from fmzip_models.watch import IN, OUT, Concatenations, LeafHooks, Place

_FUSED = (Kind.NORM, Kind.ACTIVATION, Kind.IDENTITY, Kind.POOL)


def find(module: nn.Module, shape: tuple[int, int, int]) -> Graph:
    """Find the stored maps of a network, by torch.fx if it can trace it, else with hooks.

    Parameters
    ----------
    module, shape : see ``graph.trace``

    Raises
    ------
    FmzipError : the network does not run on this shape, or stores no map
    """
    try:
        graph: Graph = trace(module, shape)
    except FmzipError as error:
        graph = hook(module, shape, str(error))
    if not graph.maps:
        raise FmzipError(
            f"{type(module).__name__}: stores no feature map of more than one pixel "
            f"between its layers ({graph.method})"
        )
    return graph


class HookedGraph(Graph):
    """A network that runs as it is, with hooks on its modules.

    Parameters
    ----------
    taps : the map at each place, in the order of storing
    path : all places, in the order in which a blank picture passes them
    """

    method = "module hooks"

    def __init__(
        self, module: nn.Module, taps: dict[Place, Map], path: list[Place], note: str
    ) -> None:
        self._module = module
        self._path = path
        self._taps = taps
        self.maps = tuple(taps.values())
        self.note = note

    @torch.no_grad()
    def run(
        self, pictures: torch.Tensor, at_map: AtMap | None = None, *, before_relu: bool = False
    ) -> torch.Tensor:
        """As ``Graph.run``; no map is known to have a ReLU, so ``before_relu`` changes nothing.

        Raises
        ------
        FmzipError : for these pictures, the network calls other modules than for a blank one
        """
        self._module.eval()
        path: list[Place] = []

        def show(place: Place, values: torch.Tensor) -> torch.Tensor | None:
            path.append(place)
            stored = self._taps.get(place)
            if stored is None or at_map is None:
                return None
            real = values if stored.scale is None else _decoded(values, stored.scale)
            changed = at_map(stored, real)
            if changed is None or stored.scale is None:
                return changed
            return _encoded(changed, stored.scale)

        with LeafHooks(self._module, show):
            result = self._module(pictures)
        if path != self._path:
            raise FmzipError(
                f"{type(self._module).__name__}: calls other modules for these pictures than for "
                "a blank one, so which maps it stores is not known"
            )
        return result


@dataclass
class _Call:
    """A call of a leaf module, as seen in the run on a blank picture."""

    place: tuple[str, int]
    module: nn.Module
    inputs: list[torch.Tensor]
    output: Any = None
    before: list["_Call | None"] = field(default_factory=list)  # what made each input, if a module
    after: list["_Call"] = field(default_factory=list)

    @property
    def kind(self) -> Kind:
        kind = ops.kind_of(self.module)
        if kind == Kind.POOL and not _is_map(self.output):
            return Kind.OTHER  # global
        if kind == Kind.OTHER and _is_map(self.output) and not _has_parameters(self.module):
            return Kind.ACTIVATION if self.output.shape == self.inputs[0].shape else kind
        return kind


@torch.no_grad()
def hook(module: nn.Module, shape: tuple[int, int, int], reason: str) -> HookedGraph:
    """Find the stored maps with hooks, and put the network into evaluation mode.

    Parameters
    ----------
    module, shape : see ``graph.trace``
    reason : why there is no trace, for the note

    Raises
    ------
    FmzipError : the network does not run on this shape
    """
    module.eval()
    pictures = blank(module, shape)
    calls: list[_Call] = []
    by_place: dict[tuple[str, int], _Call] = {}
    made: dict[int, _Call] = {}  # by the identity of the tensor; ``calls`` keeps all of them alive
    path: list[Place] = []

    def watch(place: Place, value: torch.Tensor) -> None:
        path.append(place)
        name, use, side = place
        key = name, use
        if side == IN:
            call = by_place.get(key)
            if call is None:
                call = by_place[key] = _Call(key, module.get_submodule(name), [])
                calls.append(call)
            call.inputs.append(value)
            before = made.get(id(value))
            call.before.append(before)
            if before is not None:
                before.after.append(call)
        elif key in by_place:
            by_place[key].output = value
            made[id(value)] = by_place[key]

    try:
        with LeafHooks(module, watch), Concatenations() as joined:
            module(pictures)
    except Exception as error:  # the network's own
        raise FmzipError(
            f"{type(module).__name__}: does not run on a {size_text(shape)} picture: "
            f"{first_line(error)}"
        ) from None
    taps: dict[Place, Map] = {}
    known = {pictures.untyped_storage().data_ptr()}  # the picture is no map, nor is a part of it
    for call in calls:
        for tensor, before in zip(call.inputs[:1], call.before[:1], strict=True):
            # What the first module reads is the picture, prepared by functions.
            made_by_function = before is None and call is not calls[0]
            fetched = made_by_function and call.kind not in (*_FUSED, Kind.ADDRESS)
            storage = tensor.untyped_storage().data_ptr()
            if fetched and _is_map(tensor) and storage not in known:
                known.add(storage)
                taps[*call.place, IN] = _map(call, tensor, IN)
        alone = call.after or id(call.output) not in joined.operands
        if _is_map(call.output) and alone and _is_stored(call):
            known.add(call.output.untyped_storage().data_ptr())
            taps[*call.place, OUT] = _map(call, call.output, OUT)
    note = (
        f"{reason}; maps found with module hooks: those between functions are not seen, "
        "reads unknown and counted as 1"
    )
    return HookedGraph(module, taps, path, note)


def _is_map(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.ndim == 4 and value[0, 0].numel() > 1


def _has_parameters(module: nn.Module) -> bool:
    return next(module.parameters(), None) is not None


def _is_stored(call: _Call) -> bool:
    """Whether what a module returns has to wait for another operation."""
    if call.kind == Kind.ADDRESS:
        return False
    if not call.after:
        maker: _Call | None = call
        while maker is not None and maker.kind == Kind.IDENTITY:
            maker = maker.before[0]
        return maker is not None and maker.kind not in (Kind.CONV, Kind.NORM)
    return len(call.after) > 1 or call.after[0].kind not in _FUSED


def _map(call: _Call, tensor: torch.Tensor, side: str) -> Map:
    name, use = call.place
    name = f"{name}_{use}" if use else name
    _, channels, height, width = tensor.shape
    shape = channels, height, width
    if side == IN:
        return Map(f"{name}.input", shape, 1, signed=True, source="unknown")
    scale = _own_scale(call)
    signed = scale.zero_point != 0 if scale is not None else not _never_negative(call)
    return Map(name, shape, 1, signed, " + ".join(_chain(call)), scale)


def _chain(call: _Call | None) -> list[str]:
    """What is fused to make a module's result, first to last."""
    names: list[str] = []
    while call is not None and not (names and _is_stored(call)):
        names.insert(0, ops.operation_of(call.module))
        call = call.before[0] if call.kind in _FUSED else None
    return names


def _never_negative(call: _Call) -> bool:
    before = call.before[0]
    if call.kind in (Kind.POOL, Kind.IDENTITY) and before is not None:
        return _never_negative(before)
    return ops.module_never_negative(call.module)


def _own_scale(call: _Call) -> Scale | None:
    """The scale of a module that hands on 8-bit integers and says what they stand for, or None.

    Such a module has numbers ``scale`` and ``zero_point`` or ``zp``, no parameters, and all that it
    returns for a blank picture is integers from 0 to 255.
    """
    scale = getattr(call.module, "scale", None)
    zero = getattr(call.module, "zero_point", getattr(call.module, "zp", None))
    if not isinstance(scale, float) or not isinstance(zero, int) or _has_parameters(call.module):
        return None
    if not 0 < scale < float("inf") or not 0 <= zero <= 255:
        return None
    codes = call.output
    if codes.min() < 0 or codes.max() > 255 or not torch.equal(codes, codes.round()):
        return None
    return ops.scale_of_codes(scale, zero)


def _decoded(codes: torch.Tensor, scale: Scale) -> torch.Tensor:
    """Activations of a module's integers 0 to 255."""
    return (codes - (scale.zero_point - scale.limits[0])) * scale.scale


def _encoded(values: torch.Tensor, scale: Scale) -> torch.Tensor:
    codes = torch.round(values / scale.scale) + (scale.zero_point - scale.limits[0])
    return codes.clamp(0, 255)
