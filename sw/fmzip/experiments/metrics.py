"""What a codec costs in accuracy: top-k, agreement, divergence, and how sure a drop is.

Logits are [pictures, classes] of any float type; all sums are in float64.
"""

from dataclasses import dataclass

import numpy as np

LEVEL = 95  # percent of ``Interval``


@dataclass(frozen=True)
class Interval:
    """A confidence interval of ``LEVEL`` percent, in points."""

    low: float
    high: float


def correct(logits: np.ndarray, labels: np.ndarray, k: int = 1) -> np.ndarray:
    """Which pictures have their label among the k highest logits: bool [n].

    A label counts as found if fewer than k classes come before it: those with a higher logit, and
    of those with the same one, the classes of a lower number. So a network that says the same for
    all classes is not right on all pictures, and for k = 1 this is ``argmax``.

    Parameters
    ----------
    labels : integers [n], 0 to classes - 1
    k : 1 or more; with k at least the number of classes, every picture counts

    Raises
    ------
    ValueError : wrong shapes, no pictures, a label without a class, logits that are not numbers
    """
    _check(logits)
    if labels.shape != (len(logits),):
        raise ValueError(f"labels must be [{len(logits)}], not {list(labels.shape)}")
    classes = logits.shape[1]
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(f"labels must be 0 to {classes - 1}, not {labels.min()} to {labels.max()}")
    if k < 1:
        raise ValueError(f"k must be 1 or more, not {k}")
    own = np.take_along_axis(logits, labels[:, None].astype(np.int64), axis=1)
    lower = np.arange(classes) < labels[:, None]
    before = np.count_nonzero((logits > own) | ((logits == own) & lower), axis=1)
    return np.asarray(before < k)


def topk(logits: np.ndarray, labels: np.ndarray, k: int = 1) -> float:
    """Top-k accuracy, percent; see ``correct``."""
    return 100 * float(correct(logits, labels, k).mean())


def agreement(a: np.ndarray, b: np.ndarray) -> float:
    """Pictures on which two networks have the same top-1 class, percent, whatever the labels."""
    _check(a)
    _check(b)
    _check_same(a, b)
    return 100 * float((a.argmax(axis=1) == b.argmax(axis=1)).mean())


def kl_nats(reference: np.ndarray, logits: np.ndarray) -> float:
    """Mean Kullback-Leibler divergence of the predicted distributions from the reference's, nats.

    ``sum_c p (log p - log q)``, p of the reference, by a log-softmax in float64. Never negative;
    rounding below zero is cut off.
    """
    _check(reference)
    _check(logits)
    _check_same(reference, logits)
    log_p, log_q = _log_softmax(reference), _log_softmax(logits)
    divergence = (np.exp(log_p) * (log_p - log_q)).sum(axis=1)
    return float(np.maximum(divergence, 0).mean())


def expected_drop(reference: np.ndarray, logits: np.ndarray) -> float:
    """Drop of top-1, points, if the reference's probabilities are right; needs no labels.

    The mean of ``p(own answer) - p(new answer)``, p of the reference. It is far less noisy than the
    drop of counted answers; where the reference is surer than right, it is too small.
    """
    _check(reference)
    _check(logits)
    _check_same(reference, logits)
    p, rows = np.exp(_log_softmax(reference)), np.arange(len(reference))
    lost = p[rows, reference.argmax(axis=1)] - p[rows, logits.argmax(axis=1)]
    return 100 * float(lost.mean())


def drop_interval(
    base_correct: np.ndarray, correct: np.ndarray, seed: int, resamples: int = 10_000
) -> Interval:
    """Confidence interval of an accuracy drop, points, by a paired bootstrap.

    Pictures are drawn with replacement, each with both networks' answers on it: what makes a
    picture hard is hard for both, so the interval is much narrower than that of two accuracies. It
    is the percentile interval of Efron; with few pictures that change sides it is coarse, and where
    none does, it is [0, 0], which says that more pictures are wanted, not that there is no drop.

    Parameters
    ----------
    base_correct, correct : bool [n], of the uncompressed and the compressed network, same pictures
    seed : of the draws
    resamples : number of draws

    Returns
    -------
    Interval of ``100 * (mean(base_correct) - mean(correct))``; above 0 where accuracy is lost

    Raises
    ------
    ValueError : not two [n] of the same pictures, or no resamples
    """
    if base_correct.ndim != 1 or base_correct.shape != correct.shape or not len(correct):
        shapes = f"{list(base_correct.shape)} and {list(correct.shape)}"
        raise ValueError(f"both must be [n], n at least 1, not {shapes}")
    if resamples < 1:
        raise ValueError(f"resamples must be 1 or more, not {resamples}")
    lost = base_correct.astype(np.int64) - correct.astype(np.int64)  # per picture: -1, 0 or 1
    n = len(lost)
    # How often a draw of n takes each kind of picture is multinomial: no need to draw pictures.
    kinds = np.array([-1, 0, 1])
    shares = np.array([np.count_nonzero(lost == kind) for kind in kinds]) / n
    draws = np.random.default_rng(seed).multinomial(n, shares, size=resamples)
    low, high = np.percentile(draws @ kinds / n, [(100 - LEVEL) / 2, (100 + LEVEL) / 2])
    return Interval(100 * float(low), 100 * float(high))


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def _check(logits: np.ndarray) -> None:
    if logits.ndim != 2 or 0 in logits.shape:
        raise ValueError(
            f"logits must be [pictures, classes], 1 or more each, not {list(logits.shape)}"
        )
    if not np.isfinite(logits).all():
        raise ValueError("logits must be finite numbers")


def _check_same(a: np.ndarray, b: np.ndarray) -> None:
    if a.shape != b.shape:
        raise ValueError(f"logits must have one shape, not {list(a.shape)} and {list(b.shape)}")
