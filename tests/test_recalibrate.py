"""Corrections of modules whose output drifts: ``fmzip_models.recalibrate``."""

import numpy as np
import pytest
import torch
from torch import nn

from fmzip.codecfile import Correction
from fmzip_models.recalibrate import applied, find, joined, moments, sites

torch.set_num_threads(1)  # see test_models_capture


class Net(nn.Module):
    """A convolution with bias, one without behind a batch norm, and one that runs twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.second = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.twice = nn.Conv2d(8, 8, 1)
        self.drift = 1.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.first(x)) * self.drift + (0.3 if self.drift != 1 else 0)
        x = self.norm(self.second(x))
        return self.twice(self.twice(x))


@pytest.fixture
def net() -> Net:
    torch.manual_seed(1)
    return Net().eval()


PICTURES = torch.randn(6, 3, 12, 12, generator=torch.Generator().manual_seed(2))


def test_sites_are_modules_with_a_bias_per_channel(net: Net) -> None:
    assert list(sites(net)) == ["first", "norm", "twice"]


@torch.no_grad()
def test_corrections_bring_mean_and_deviation_back(net: Net) -> None:
    plain = moments(net, lambda: net(PICTURES))
    assert "twice" not in plain  # one correction cannot fit both of its runs
    before = {k: v.clone() for k, v in net.state_dict().items()}
    net.drift = 0.8
    found = find(net, plain, lambda: net(PICTURES))
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())
    drifted = moments(net, lambda: net(PICTURES))
    with applied(net, found):
        corrected = moments(net, lambda: net(PICTURES))
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())
    mean, deviation = plain["norm"]
    assert not torch.allclose(drifted["norm"][0], mean, atol=1e-3)
    assert torch.allclose(corrected["norm"][0], mean, atol=1e-5)
    assert torch.allclose(corrected["norm"][1], deviation, atol=1e-5)


@torch.no_grad()
def test_a_network_that_does_not_drift_is_left_alone(net: Net) -> None:
    plain = moments(net, lambda: net(PICTURES))
    for correction in find(net, plain, lambda: net(PICTURES)).values():
        assert np.allclose(correction.gain, 1, atol=1e-5)
        assert np.allclose(correction.offset, 0, atol=1e-5)


@torch.no_grad()
def test_two_corrections_in_a_row_are_one(net: Net) -> None:
    rng = np.random.default_rng(3)

    def some() -> dict[str, Correction]:
        gain, offset = rng.uniform(0.5, 2, 8), rng.normal(size=8)
        return {"norm": Correction(gain.astype(np.float32), offset.astype(np.float32))}

    first, then = some(), some()
    with applied(net, first), applied(net, then):
        expected = net(PICTURES)
    with applied(net, joined(first, then)):
        assert torch.allclose(net(PICTURES), expected, atol=1e-4)


def test_corrections_of_another_network_are_refused_and_change_nothing(net: Net) -> None:
    before = {k: v.clone() for k, v in net.state_dict().items()}
    good = Correction(np.full(8, 2, np.float32), np.zeros(8, np.float32))
    with (
        pytest.raises(ValueError, match="module nowhere cannot be corrected"),
        applied(net, {"first": good, "nowhere": good}),
    ):
        pass
    short = Correction(np.ones(4, np.float32), np.zeros(4, np.float32))
    with (
        pytest.raises(ValueError, match="module norm has 8 channels, its correction 4"),
        applied(net, {"norm": short}),
    ):
        pass
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())


def test_a_channel_that_never_changes_gets_an_offset_alone(net: Net) -> None:
    with torch.no_grad():
        plain = moments(net, lambda: net(PICTURES))
        net.first.weight[0] = 0
        found = find(net, plain, lambda: net(PICTURES))
    assert found["first"].gain[0] == 1
    assert np.isfinite(found["first"].offset).all()
