"""The feature maps that a network stores, and a way to run it that shows them.

``graph`` finds them in a trace by torch.fx, ``hooks`` at the modules of a network that cannot be
traced.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import nn

from fmzip_models.quantise import Scale


@dataclass(frozen=True)
class Map:
    """A feature map that is stored.

    Members
    -------
    name : the module that makes its final values, or the name of a function that does, behind that
        of the module that calls it. The second use has ``_1`` behind its name, and so on
    shape : channels, height, width
    reads : how often it is fetched
    signed : it can hold negative values
    source : the operations that are fused to make it, such as ``conv2d + relu``
    scale : how the network itself quantises it to 8 bits; None where it does not
    relu : it can be stored in front of its ReLU, which its readers then apply
    """

    name: str
    shape: tuple[int, int, int]
    reads: int
    signed: bool
    source: str = field(default="", compare=False)
    scale: Scale | None = field(default=None, compare=False)
    relu: bool = field(default=False, compare=False)

    @property
    def values(self) -> int:
        """Number of values of one picture."""
        channels, height, width = self.shape
        return channels * height * width


AtMap = Callable[[Map, torch.Tensor], torch.Tensor | None]


class Graph(ABC):
    """A network as the maps that it stores, and a way to run it that shows them.

    Members
    -------
    maps : in the order in which they are stored
    method : how they were found
    note : what is not known about them, one line; empty where nothing is
    """

    maps: tuple[Map, ...]
    method: str
    note: str = ""

    @abstractmethod
    def run(
        self, pictures: torch.Tensor, at_map: AtMap | None = None, *, before_relu: bool = False
    ) -> torch.Tensor:
        """Run the network without gradients: float32 [n, channels, H, W] to logits [n, classes].

        Parameters
        ----------
        pictures : see ``Network.normalise``
        at_map : called when a map is stored, with its values, float32 [n, C, H, W]. Returns what
            the map's readers get instead, or None for the values as they are. A network may
            overwrite them later on: copy what is to be kept
        before_relu : show the maps that have a ``relu`` as they are in front of it, and apply it to
            what ``at_map`` returns
        """

    def tail(
        self, m: Map, pictures: torch.Tensor, at_map: AtMap, *, before_relu: bool = False
    ) -> tuple[torch.Tensor, Callable[[torch.Tensor], torch.Tensor]]:
        """The values of one map, and the network behind it: what its readers get, to logits.

        The part in front of it, with ``at_map`` at its maps, is computed once where the graph can
        do that, and each time where it cannot.

        Parameters
        ----------
        m : one of ``maps``
        pictures, at_map, before_relu : see ``run``; ``at_map`` is called for all maps but m
        """

        found: list[torch.Tensor] = []

        def see(other: Map, values: torch.Tensor) -> torch.Tensor | None:
            if other == m:
                found.append(values.clone())
            return at_map(other, values)

        self.run(pictures, see, before_relu=before_relu)

        def logits(value: torch.Tensor) -> torch.Tensor:
            return self.run(
                pictures,
                lambda other, values: value if other == m else at_map(other, values),
                before_relu=before_relu,
            )

        return found[0], logits


def blank(module: nn.Module, shape: tuple[int, int, int]) -> torch.Tensor:
    """Two blank pictures, [2, *shape], where the network is.

    Two, so that a network that only works on a single picture is found out before it is run.
    """
    for tensor in (*module.parameters(), *module.buffers()):
        return torch.zeros(2, *shape, device=tensor.device)
    return torch.zeros(2, *shape)


def size_text(shape: tuple[int, int, int]) -> str:
    """A picture's size for a message."""
    return "x".join(map(str, shape))


def first_line(error: BaseException) -> str:
    """What an error of somebody else's code says, in one line."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
