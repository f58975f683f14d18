"""Accuracy, agreement, divergence and the interval of a drop."""

import math

import numpy as np
import pytest
import torch

from fmzip.experiments.metrics import (
    agreement,
    correct,
    drop_interval,
    expected_drop,
    kl_nats,
    topk,
)


def random_logits(seed: int, n: int = 200, classes: int = 10) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 2, (n, classes)).astype(np.float32)


class TestAccuracy:
    def test_topk_counts_labels_among_the_highest(self) -> None:
        logits = np.array([[3.0, 2, 1], [1, 2, 3], [2, 3, 1], [1, 3, 2]])
        labels = np.array([0, 0, 0, 0])
        assert topk(logits, labels) == 25
        assert topk(logits, labels, 2) == 50
        assert topk(logits, labels, 3) == 100
        assert topk(logits, labels, 9) == 100
        assert correct(logits, labels, 2).tolist() == [True, False, True, False]

    def test_topk_equals_torch(self) -> None:
        logits = random_logits(1)
        labels = np.random.default_rng(2).integers(0, 10, 200)
        for k in (1, 3, 5):
            best = torch.tensor(logits).topk(k).indices.numpy()
            assert topk(logits, labels, k) == 100 * (best == labels[:, None]).any(axis=1).mean()

    def test_equal_logits_are_not_all_right(self) -> None:
        logits = np.zeros((10, 10), np.float32)
        assert topk(logits, np.arange(10)) == 10
        assert topk(logits, np.arange(10), 5) == 50

    def test_agreement_is_that_of_the_first_classes(self) -> None:
        a = np.array([[1.0, 0], [0, 1], [0, 1], [1, 0]])
        b = np.array([[5.0, 0], [0, 1], [1, 0], [1, 1]])
        assert agreement(a, b) == 75
        assert agreement(a, a) == 100

    def test_impossible_arguments_are_refused(self) -> None:
        logits = random_logits(3, 4)
        labels = np.zeros(4, np.int64)
        with pytest.raises(ValueError, match=r"labels must be \[4\], not \[3\]"):
            topk(logits, labels[:3])
        with pytest.raises(ValueError, match="labels must be 0 to 9, not 0 to 10"):
            topk(logits, np.array([0, 1, 2, 10]))
        with pytest.raises(ValueError, match="k must be 1 or more, not 0"):
            topk(logits, labels, 0)
        with pytest.raises(ValueError, match=r"1 or more each, not \[0, 10\]"):
            topk(logits[:0], labels[:0])
        with pytest.raises(ValueError, match="logits must be finite"):
            agreement(logits, np.full_like(logits, np.nan))
        with pytest.raises(ValueError, match=r"one shape, not \[4, 10\] and \[4, 9\]"):
            kl_nats(logits, logits[:, :9])


class TestDivergence:
    def test_it_equals_torch_in_float64(self) -> None:
        p, q = random_logits(4), random_logits(5)
        expected = torch.nn.functional.kl_div(
            torch.tensor(q).double().log_softmax(1),
            torch.tensor(p).double().log_softmax(1),
            log_target=True,
            reduction="batchmean",
        )
        assert kl_nats(p, q) == pytest.approx(expected.item(), rel=1e-12)

    def test_it_is_in_nats_and_has_a_direction(self) -> None:
        even, sure = np.log([[0.5, 0.5]]), np.log([[0.75, 0.25]])
        assert kl_nats(even, sure) == pytest.approx(
            0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25)
        )
        assert kl_nats(sure, even) != pytest.approx(kl_nats(even, sure))

    def test_it_is_zero_for_the_same_distribution_whatever_the_offset_and_never_below(self) -> None:
        logits = random_logits(6)
        assert kl_nats(logits, logits) == 0
        assert 0 <= kl_nats(logits, logits + np.float32(100)) < 1e-9

    def test_large_logits_do_not_overflow(self) -> None:
        a = np.array([[1e4, -1e4]], np.float32)
        assert kl_nats(a, -a) == pytest.approx(2e4)


class TestDropInterval:
    def test_it_holds_the_drop_and_is_the_same_every_time(self) -> None:
        rng = np.random.default_rng(7)
        base = rng.random(500) < 0.8
        coded = base & (rng.random(500) < 0.95)
        drop = 100 * (base.mean() - coded.mean())
        interval = drop_interval(base, coded, seed=1)
        assert interval.low < drop < interval.high
        assert interval == drop_interval(base, coded, seed=1)
        # The spread of a share p of n pictures is sqrt(p (1 - p) / n).
        p = drop / 100
        half = 196 * math.sqrt(p * (1 - p) / 500)
        assert interval.high - interval.low == pytest.approx(2 * half, rel=0.08)

    def test_it_equals_a_bootstrap_that_draws_pictures(self) -> None:
        rng = np.random.default_rng(8)
        base, coded = rng.random(300) < 0.8, rng.random(300) < 0.75
        drops = []
        for _ in range(4000):
            drawn = rng.integers(0, 300, 300)
            drops.append(100 * (base[drawn].mean() - coded[drawn].mean()))
        low, high = np.percentile(drops, [2.5, 97.5])
        interval = drop_interval(base, coded, seed=2)
        assert (interval.low, interval.high) == pytest.approx((low, high), abs=0.7)

    def test_pairing_makes_it_narrower(self) -> None:
        rng = np.random.default_rng(9)
        base = rng.random(500) < 0.8
        coded = base.copy()
        coded[:10] = ~coded[:10]
        paired = drop_interval(base, coded, seed=3)
        shuffled = drop_interval(base, rng.permutation(coded), seed=3)
        assert paired.high - paired.low < (shuffled.high - shuffled.low) / 3

    def test_it_covers_the_truth_about_as_often_as_it_says(self) -> None:
        rng = np.random.default_rng(10)
        hits = 0
        for trial in range(200):
            base = rng.random(400) < 0.8
            coded = base & (rng.random(400) < 0.9)  # true drop: 8 points
            interval = drop_interval(base, coded, trial, resamples=500)
            hits += interval.low <= 8 <= interval.high
        assert 180 <= hits <= 199

    def test_no_picture_that_changes_gives_no_width(self) -> None:
        same = np.array([True, False, True])
        interval = drop_interval(same, same, seed=4)
        assert (interval.low, interval.high) == (0, 0)

    def test_impossible_arguments_are_refused(self) -> None:
        ok = np.array([True, False])
        with pytest.raises(ValueError, match=r"both must be \[n\], n at least 1, not \[2\] and"):
            drop_interval(ok, ok[:1], 0)
        with pytest.raises(ValueError, match="n at least 1"):
            drop_interval(ok[:0], ok[:0], 0)
        with pytest.raises(ValueError, match="resamples must be 1 or more, not 0"):
            drop_interval(ok, ok, 0, 0)


def test_the_expected_drop_needs_no_labels() -> None:
    plain = np.log(np.array([[0.7, 0.2, 0.1], [0.5, 0.4, 0.1]]))
    assert expected_drop(plain, plain) == 0
    other = np.array([[1.0, 2.0, 0.0], [1.0, 0.0, 0.0]])
    assert expected_drop(plain, other) == pytest.approx(100 * (0.7 - 0.2) / 2)
