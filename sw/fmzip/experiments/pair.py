"""One map before and after a codec, to look at."""

from dataclasses import dataclass

import numpy as np

from fmzip.experiments.evaluate import Evaluator, Task
from fmzip_models.pictures import Pictures
from fmzip_models.zoo import Network


@dataclass(frozen=True)
class BeforeAndAfter:
    """A stored map of one picture.

    Members
    -------
    layer, entry, picture : names
    before, after : uint8 or int8 [C, H, W]
    """

    layer: str
    entry: str
    picture: str
    before: np.ndarray
    after: np.ndarray


def before_and_after(
    task: Task, network: Network, pictures: Pictures, indices: np.ndarray
) -> BeforeAndAfter | None:
    """The map a third of the way into the network, of the first picture, which shows shapes still.

    Coded by the first lossy entry; None where there is none.
    """
    entry = next((e for e in task.entries if e.lossy), None)
    if entry is None:
        return None
    m = network.graph.maps[len(network.graph.maps) // 3]
    evaluator = Evaluator(task, network, pictures)
    before = evaluator.stored(indices[:1], entry.name)[m.name]
    after, _ = evaluator.codec(entry.name, m.name)(before)
    names = m.name, entry.name, pictures.names[indices[0]]
    return BeforeAndAfter(*names, *(v[0].cpu().numpy() for v in (before, after)))
