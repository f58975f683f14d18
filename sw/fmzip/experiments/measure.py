"""What a codec saves on a network, and what it costs in accuracy: the function behind the command.

All pictures go through the float network, the int8 network, which is the baseline of every
comparison, and through one compressed network for each lossy codec. A lossless method cannot change
an answer, so it only needs the maps of the int8 network.
"""

import sys
from collections.abc import Callable, Generator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, redirect_stdout
from dataclasses import dataclass
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import Any

import numpy as np

from fmzip.errors import FmzipError
from fmzip.experiments import worker
from fmzip.experiments.checkpoint import Arrays, Checkpoint
from fmzip.experiments.entries import entries
from fmzip.experiments.evaluate import Evaluator, Task, array_names, check_device, cores
from fmzip.experiments.manifest import manifest, pictures_digest, source_digest
from fmzip.experiments.pair import BeforeAndAfter, before_and_after
from fmzip.experiments.prepare import CALIBRATION, prepare
from fmzip.experiments.summarise import summarise
from fmzip_models import quantise
from fmzip_models.default import open_job
from fmzip_models.pictures import Pictures
from fmzip_models.spec import Input
from fmzip_models.zoo import Network

MASKS = ("calibrated", "all")
Progress = Callable[[str, int, int], None]  # what is done, pictures done, pictures in all


@dataclass(frozen=True)
class MeasureConfig:
    """What to run.

    Parameters
    ----------
    model, weights, images : see ``fmzip_models.default.open_job``; None for the stand-in
    codecs : names of codecs and baselines
    limit : pictures that are evaluated; None for all that calibration leaves
    calibration : pictures that scales, steps and masks are made on; none of them is evaluated.
        None for 64, or for a quarter of all where these are few
    scales : how the scales are chosen, one of ``quantise.METHODS``
    steps : quantisation steps in standard deviations of a map's layer, see ``entries``
    masks : which coefficients codecs keep: those that are worth their bits on the calibration
        pictures, or all
    batch : pictures that run at once; results may depend on it in their last digits
    workers : processes; None for one per core. Results do not depend on it
    device : cpu or cuda
    seed : of the bootstrap
    resume : directory for unfinished work, kept behind the run; None for the user's cache, where
        it is removed
    size, mean, std : of the pictures, see ``fmzip_models.spec.Input``
    fold : which pictures calibrate, see ``fmzip_models.pictures.split``
    """

    model: str | None = None
    weights: Path | None = None
    images: Path | None = None
    codecs: tuple[str, ...] = ("dctcm",)
    limit: int | None = None
    calibration: int | None = None
    scales: str = "max"
    steps: tuple[float, ...] = (0.25,)
    masks: str = "calibrated"
    batch: int = 8
    workers: int | None = None
    device: str = "cpu"
    seed: int = 1
    resume: Path | None = None
    size: int | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    fold: int = 0

    def __post_init__(self) -> None:
        for name in ("limit", "calibration", "batch", "workers"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, not {value}")
        if self.seed < 0:
            raise ValueError(f"seed must not be negative, not {self.seed}")
        if self.masks not in MASKS:
            raise ValueError(f"masks must be {' or '.join(MASKS)}, not {self.masks!r}")
        quantise.check_method(self.scales)
        entries(self.codecs, self.steps)

    @property
    def input(self) -> Input | None:
        """What is known about the pictures; None where nothing is."""
        known = Input(self.size, self.mean, self.std)
        return known if known != Input() else None


class Measurement:
    """One run, which can be interrupted and begun again.

    Parameters
    ----------
    config : what to run

    Raises
    ------
    ValueError, FmzipError : model, weights, pictures or device cannot be used
    """

    def __init__(self, config: MeasureConfig) -> None:
        self.config = config
        self._checkpoint: Checkpoint | None = None
        self._ready: tuple[Task, Network, Pictures, np.ndarray] | None = None

    def run(self, progress: Progress = lambda *_: None) -> dict[str, Any]:
        """Everything that is found, as JSON values; the same for the same command.

        Raises
        ------
        ValueError, FmzipError : something cannot be used
        OSError : unfinished work cannot be kept, such as on a full disk
        KeyboardInterrupt : finished batches are kept, and the next run goes on behind them
        """
        # What the user's network prints is not part of the answer.
        with redirect_stdout(sys.stderr):
            return self._run(progress)

    def _run(self, progress: Progress) -> dict[str, Any]:
        config = self.config
        check_device(config.device)
        progress("opening network and pictures", 0, 0)
        network, pictures = open_job(config.model, config.weights, config.images, config.input)
        calibration, evaluation = _split(pictures, config)
        progress(f"calibrating on {len(calibration)} pictures", 0, 0)
        task = prepare(config, network, pictures, calibration)
        about = manifest(
            config,
            network,
            weights_hash=task.weights_hash,
            data_hash=pictures_digest(
                pictures,
                np.concatenate((calibration, evaluation)),
                lambda done, n: progress("reading pictures", done, n),
            ),
            pictures=(len(calibration), len(evaluation)),
        )
        self._ready = task, network, pictures, evaluation
        sources = source_digest("fmzip", "fmzip_models")
        self._checkpoint = Checkpoint({**about, "sources": sources}, config.resume)
        found = self._batches(task, network, pictures, evaluation, progress)
        progress("adding up", len(evaluation), len(evaluation))
        labels = pictures.labels[evaluation]
        return {"manifest": about, **summarise(task, network, labels, found, config.seed)}

    def before_and_after(self) -> BeforeAndAfter | None:
        """One map of the first picture through the first lossy method; None where none is lossy."""
        return before_and_after(*self._ready) if self._ready else None

    def discard(self) -> None:
        """Remove unfinished work, unless its directory was named by the user."""
        if self._checkpoint is not None:
            self._checkpoint.discard()

    def _batches(
        self, task: Task, network: Network, pictures: Pictures, indices: np.ndarray,
        progress: Progress,
    ) -> Arrays:  # fmt: skip
        """The results of all pictures, in their order: those on disk, and all others."""
        assert self._checkpoint is not None
        parts = np.array_split(indices, range(task.batch, len(indices), task.batch))
        names = array_names(task.entries)
        known = {k: self._checkpoint.load(k, names, len(part)) for k, part in enumerate(parts)}
        done = sum(len(parts[k]) for k, v in known.items() if v is not None)
        missing = [k for k, arrays in known.items() if arrays is None]
        workers = min(self.config.workers or cores(), len(missing))
        if task.device != "cpu" or (self.config.workers is None and len(missing) <= 2):
            workers = 1  # a process takes seconds to begin
        progress("measuring", done, len(indices))
        if workers > 1:
            results = _in_processes(task, parts, missing, workers)
        else:
            results = _in_turn(task, network, pictures, parts, missing)
        with closing(results):  # so that processes end even where this is interrupted
            for k, arrays in results:
                self._checkpoint.save(k, arrays)
                known[k] = arrays
                done += len(parts[k])
                progress("measuring", done, len(indices))
        whole = [arrays for _, arrays in sorted(known.items()) if arrays is not None]
        return {name: np.concatenate([arrays[name] for arrays in whole]) for name in whole[0]}


def run(config: MeasureConfig, progress: Progress = lambda *_: None) -> dict[str, Any]:
    """Measure, see ``Measurement.run``, and forget unfinished work."""
    measurement = Measurement(config)
    found = measurement.run(progress)
    measurement.discard()
    return found


def _split(pictures: Pictures, config: MeasureConfig) -> tuple[np.ndarray, np.ndarray]:
    """Indices of calibration and evaluation pictures."""
    if len(pictures) < 2:
        raise FmzipError("needs two pictures or more: some to calibrate on, others to evaluate")
    count = config.calibration or min(CALIBRATION, max(1, len(pictures) // 4))
    calibration, evaluation = pictures.split(count, config.fold)
    if len(evaluation) == 0:
        raise FmzipError(f"all {len(pictures)} pictures are used for calibration: none is left")
    return calibration, evaluation[: config.limit]


def _in_turn(
    task: Task, network: Network, pictures: Pictures, parts: list[np.ndarray], missing: list[int]
) -> Generator[tuple[int, Arrays], None, None]:
    evaluate = Evaluator(task, network, pictures)
    for k in missing:
        yield k, evaluate(parts[k])


def _in_processes(
    task: Task, parts: list[np.ndarray], missing: list[int], workers: int
) -> Generator[tuple[int, Arrays], None, None]:
    """Batches as they are finished; each process opens network and pictures for itself."""
    before = set(active_children())
    # Forking a process in which PyTorch has begun threads may hang.
    pool = ProcessPoolExecutor(workers, get_context("spawn"), worker.begin, (task,))
    left = iter(missing)
    running: dict[Future[Arrays], int] = {}
    try:
        while True:
            # A few more than are worked on: what is not begun need not be waited for at the end.
            for k in left:
                running[pool.submit(worker.evaluate, parts[k])] = k
                if len(running) > workers:
                    break
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(future), future.result()
    except BrokenProcessPool:
        raise FmzipError(
            "a process was ended from outside, perhaps for want of memory: try fewer --workers or "
            "a smaller --batch; finished pictures are kept"
        ) from None
    except BaseException:  # an interrupt, too: nobody wants to wait for batches that are begun
        for process in set(active_children()) - before:
            process.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
