"""One process of a run: opens network and pictures when it begins, and computes batches."""

import signal
import sys
from contextlib import redirect_stdout

import numpy as np

from fmzip.errors import FmzipError
from fmzip.experiments.checkpoint import Arrays
from fmzip.experiments.evaluate import Evaluator, Task
from fmzip.experiments.manifest import network_digest
from fmzip_models.default import open_job

_evaluator: Evaluator | Exception | None = None


def begin(task: Task) -> None:
    """Called once in each process; what goes wrong is raised by the first batch."""
    global _evaluator
    # The main process decides what an interrupt means; it shows no traceback here.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with redirect_stdout(sys.stderr):
            network, pictures = open_job(task.model, task.weights, task.images, task.input)
            if network_digest(network) != task.weights_hash:
                raise FmzipError(
                    f"{network.name}: has other weights each time it is made; give --weights, "
                    f"or --workers 1"
                )
            _evaluator = Evaluator(task, network, pictures)
    except Exception as error:
        _evaluator = error


def evaluate(indices: np.ndarray) -> Arrays:
    """Results of a batch, see ``Evaluator``."""
    if not isinstance(_evaluator, Evaluator):
        raise _evaluator or RuntimeError("begin was not called")
    with redirect_stdout(sys.stderr):
        return _evaluator(indices)
