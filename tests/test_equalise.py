"""Scales of channels that fold into the modules around a map: ``fmzip_models.equalise``."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from fmzip_models.equalise import Channels, channels_of, fold, scales_for
from fmzip_models.graph import TracedGraph, trace
from fmzip_models.recalibrate import applied

torch.set_num_threads(1)  # see test_models_capture


class Net(nn.Module):
    """What scales pass through, and what they do not."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.grouped = nn.Conv2d(8, 8, 3, padding=1, groups=2)
        self.deep = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.back = nn.Conv2d(8, 8, 1, bias=False)
        self.back_norm = nn.BatchNorm2d(8)
        self.wide = nn.Conv2d(8, 16, 3, 2, 1)
        self.some = nn.Conv2d(16, 4, 1)
        self.more = nn.Conv2d(16, 4, 3, padding=1)
        self.pre_norm = nn.BatchNorm2d(8)
        self.bounded = nn.Conv2d(8, 8, 1)
        self.gate = nn.Conv2d(8, 8, 1)
        self.head = nn.Linear(8 * 4, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.norm(self.stem(x)))
        y = functional.max_pool2d(torch.relu(self.grouped(x)), 3, 1, 1)
        y = self.back_norm(self.back(torch.relu(self.deep(y))))
        x = torch.relu(x + y)
        short = functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 4, 4))
        x = functional.leaky_relu(self.wide(x) + short, 0.1)
        both = torch.cat((torch.relu(self.some(x)), torch.relu(self.more(x))), 1)
        x = functional.relu6(self.bounded(torch.relu(self.pre_norm(both))))
        x = x * torch.sigmoid(self.gate(both))
        return self.head(functional.adaptive_avg_pool2d(torch.relu(x), 2).flatten(1))


@pytest.fixture(scope="module")
def graph() -> TracedGraph:
    torch.manual_seed(1)
    net = Net().eval()
    for norm in (net.norm, net.back_norm, net.pre_norm):
        for tensor in (norm.weight, norm.running_var):
            nn.init.uniform_(tensor, 0.5, 2)
        for tensor in (norm.bias, norm.running_mean):
            nn.init.normal_(tensor)
    return trace(net, (3, 12, 12))


PICTURES = torch.randn(4, 3, 12, 12, generator=torch.Generator().manual_seed(2))


def maps_of(graph: TracedGraph) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    found: dict[str, torch.Tensor] = {}
    logits = graph.run(PICTURES, lambda m, values: found.update({m.name: values.clone()}))
    return logits, found


def test_a_network_with_scales_answers_the_same_and_stores_maps_divided_by_them(
    graph: TracedGraph,
) -> None:
    channels = channels_of(graph)
    scales = np.exp(np.random.default_rng(1).normal(0, 0.5, channels.scales))
    scales[0] = 1
    found = fold(channels, scales)
    logits, maps = maps_of(graph)
    with applied(graph.traced, found.corrections, found.inputs):
        again, scaled = maps_of(graph)
    assert torch.allclose(again, logits, rtol=1e-4, atol=1e-5)
    assert maps.keys() == scaled.keys() == channels.maps.keys()
    for name, numbers in channels.maps.items():
        factor = torch.from_numpy(scales[numbers]).float()[:, None, None]
        assert torch.allclose(scaled[name] * factor, maps[name], rtol=1e-4, atol=1e-5), name
    assert torch.equal(maps_of(graph)[0], logits)  # and nothing is left behind


def test_which_channels_have_scales_of_their_own(graph: TracedGraph) -> None:
    maps = channels_of(graph).maps
    assert maps["relu"].tolist() == maps["relu_3"].tolist()  # the sum needs the same
    # And so does the way around, where channels of zeros are padded.
    assert maps["leaky_relu"].tolist()[4:12] == maps["relu"].tolist()
    for name in ("relu", "max_pool2d", "relu_2", "leaky_relu", "cat"):
        assert 0 not in maps[name]
        assert len(set(maps[name].tolist())) == len(maps[name])
    # Behind a ReLU with an upper end, a gate, and what is multiplied.
    fixed = {name for name, numbers in maps.items() if not numbers.any()}
    assert fixed == {"relu6", "sigmoid", "adaptive_avg_pool2d"}


def test_scales_go_with_what_errors_do_within_limits() -> None:
    channels = Channels(4, {"a": np.array([0, 1, 2, 3]), "b": np.array([1, 1])})
    weights = {"a": np.array([5.0, 1.0, 1.0, 16.0]), "b": np.array([2.0, 2.0])}
    scales = scales_for(channels, weights)
    assert scales[0] == 1
    assert scales[1] == pytest.approx((scales[2]) ** (1 / 3))  # "b" says nothing of it, twice
    assert scales[2] / scales[3] == pytest.approx(16**0.45)
    extreme = scales_for(channels, weights | {"a": np.array([1.0, 1.0, 0.0, 1e9])})
    assert extreme.min() == 0.3
    assert extreme.max() <= 3.0
    nothing = scales_for(channels, {name: np.zeros_like(w) for name, w in weights.items()})
    assert nothing.tolist() == [1, 1, 1, 1]
    assert not fold(channels, nothing).inputs


def test_scales_of_another_network_are_refused_and_change_nothing(graph: TracedGraph) -> None:
    before = {k: v.clone() for k, v in graph.traced.state_dict().items()}
    good = {"pre_norm": np.full(8, 2, np.float32), "head": np.full(32, 2, np.float32)}
    for bad, says in (
        ({"nowhere": np.ones(8, np.float32)}, "inputs of module nowhere cannot be scaled"),
        ({"grouped": np.ones(4, np.float32)}, "module grouped reads 8 channels, its scales are 4"),
    ):
        with pytest.raises(ValueError, match=says), applied(graph.traced, {}, good | bad):
            pass
    assert all(torch.equal(before[k], v) for k, v in graph.traced.state_dict().items())
