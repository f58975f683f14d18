"""Projections inside a network: the reference's numbers, principal components, folding."""

import numpy as np
import pytest
import torch
from tests.projection_cases import frame, map_of, random_coding
from torch import nn
from torch.nn import functional

from fmzip.format import COMPONENT_MAX, PROJECTIONS, Dtype, Transform
from fmzip.reference import decode, encode
from fmzip_models import capture, pca
from fmzip_models.capture import Calibration, calibrate
from fmzip_models.default import open_job
from fmzip_models.fold import fold, foldable, with_norm
from fmzip_models.graph import Map, trace
from fmzip_models.in_loop import FakeQuantiser, InLoop
from fmzip_models.pca import Components, Fit, Moments, Shape, shape_for
from fmzip_models.pictures import Pictures
from fmzip_models.projecting import ProjectionLoop, columns, from_columns
from fmzip_models.zoo import Network

torch.set_num_threads(1)  # see test_models_capture


@pytest.fixture(scope="module")
def job() -> tuple[Network, Pictures]:
    return open_job()


@pytest.fixture(scope="module")
def calibration(job: tuple[Network, Pictures]) -> Calibration:
    network, pictures = job
    return calibrate(network, pictures, pictures.split(16)[0], before_relu=True)


@pytest.fixture(scope="module")
def early(job: tuple[Network, Pictures]) -> dict[str, torch.Tensor]:
    """All maps of some pictures in front of their ReLUs: float32 [n, C, H, W]."""
    network, pictures = job
    found: dict[str, list[torch.Tensor]] = {m.name: [] for m in network.graph.maps}

    def see(m: Map, values: torch.Tensor) -> None:
        found[m.name].append(values.clone())

    for _ in capture.run(network, pictures, pictures.split(16)[0], see, before_relu=True):
        pass
    return {name: torch.cat(values) for name, values in found.items()}


@pytest.mark.parametrize("transform", PROJECTIONS)
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("dtype", Dtype)
def test_values_and_bytes_in_the_loop_are_those_of_the_reference(
    transform: Transform, groups: int, dtype: Dtype
) -> None:
    rng = np.random.default_rng(groups)
    coding = random_coding(rng, 12, transform, groups)
    config = frame(
        coding, (12, 7, 9), transform, dtype=dtype, zero_point=-3 if dtype else 9, tile_rows=4
    )
    maps = np.stack([map_of(rng, config, spread) for spread in (3.0, 30.0)])
    loop = ProjectionLoop(config, coding)
    decoded, sizes = loop(torch.from_numpy(maps))
    of_codes = -(-coding.tables.code_bytes // config.burst_bytes) * config.burst_bytes
    for values, back, size in zip(maps, decoded.numpy(), sizes.tolist(), strict=True):
        data = encode(values, config, coding)
        np.testing.assert_array_equal(back, decode(data, coding.tables))
        assert size == len(data) + of_codes


@pytest.mark.parametrize("transform", PROJECTIONS)
def test_values_by_position_come_back(transform: Transform) -> None:
    values = torch.arange(2 * 6 * 5 * 7, dtype=torch.float64).reshape(2, 6, 5, 7)
    found = columns(values, transform, 3)
    assert found.shape[1] == 3
    torch.testing.assert_close(from_columns(found, transform, values.shape), values)


def test_components_are_the_principal_ones() -> None:
    rng = np.random.default_rng(1)
    spread, mean = np.array([9.0, 4.0, 1.0, 0.1]), np.array([3.0, -2.0, 0.0, 7.0])
    basis = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    drawn = basis @ (rng.normal(size=(4, 100_000)) * spread[:, None]) + mean[:, None]
    moments = Moments(Shape(Transform.PROJECTION))
    for part in np.split(drawn, 4, axis=1):
        moments.add(torch.from_numpy(part.reshape(1, 4, 100, -1)))
    found = moments.components()
    np.testing.assert_allclose(np.sqrt(found.variance[0]), spread, rtol=0.06)
    np.testing.assert_allclose(found.mean[0], mean, atol=0.1)
    np.testing.assert_allclose(np.abs(found.vectors[0] @ basis), np.eye(4), atol=0.02)
    assert found.kept(1.0) == [3]
    assert found.kept(0.1) == [4]
    assert found.kept(0.1, explained=0.8) == [1]
    assert found.kept(0.1, explained=0.95) == [2]
    assert found.kept(100.0) == [1]


def test_directions_that_few_positions_do_not_show_are_not_dead() -> None:
    moments = Moments(Shape(Transform.PROJECTION))
    moments.add(torch.from_numpy(np.random.default_rng(2).normal(size=(1, 64, 4, 4))))
    found = moments.components()
    assert found.variance.min() > 0.5


def test_a_map_is_cut_into_what_its_channels_allow() -> None:
    def of(channels: int, side: int, groups: int) -> Shape:
        return shape_for(Map("m", (channels, 8, 8), 1, True), side, groups)

    assert of(512, 1, 1) == Shape(Transform.PROJECTION)
    assert of(128, 2, 1) == Shape(Transform.PROJECTION4)
    assert of(129, 2, 1) == Shape(Transform.PROJECTION)
    assert shape_for(Map("m", (8, 7, 8), 1, True), 2, 1) == Shape(Transform.PROJECTION)
    assert of(18, 1, 4) == Shape(Transform.PROJECTION, 3)
    assert of(4096, 1, 1) == Shape(Transform.PROJECTION, 2)


def test_the_mean_behind_the_relu_is_that_of_the_plain_map(
    job: tuple[Network, Pictures], calibration: Calibration, early: dict[str, torch.Tensor]
) -> None:
    """With a coarse step values of either sign become noise, and a ReLU makes a mean of noise."""
    m = job[0].graph.maps[1]
    scale = calibration.scales[m.name]
    stored = FakeQuantiser(scale).quantise(early[m.name])
    moments = Moments(Shape(Transform.PROJECTION))
    moments.add(stored.double() - scale.zero_point)
    components = moments.components()
    linear = components.linear(calibration.std_lsb[m.name], [4])
    fit = Fit(m, scale, Shape(Transform.PROJECTION), linear)
    fit(stored)
    config, coding = fit.finish()
    blind = pca.ProjectionCoding(
        pca.Projection(linear.affines[1], coding.tables.lengths, coding.tables.books),
        coding.forward,
    )
    blind_config = pca.frame_of(m, scale, blind.tables, Transform.PROJECTION)

    def bias(loop: ProjectionLoop) -> float:
        behind = [(v.double() - scale.zero_point).clamp(min=0) for v in (loop(stored)[0], stored)]
        return float((behind[0] - behind[1]).mean((0, 2, 3)).abs().mean())

    assert bias(ProjectionLoop(config, coding)) < 0.5 * bias(ProjectionLoop(blind_config, blind))


def test_maps_are_seen_in_front_of_their_relu_and_the_network_stays_the_same(
    job: tuple[Network, Pictures], early: dict[str, torch.Tensor]
) -> None:
    network, pictures = job
    batch = network.normalise(pictures.read(pictures.split(16)[0][:8]))
    late: dict[str, torch.Tensor] = {}
    plain = network.graph.run(batch, lambda m, v: late.__setitem__(m.name, v.clone()))
    copied = network.graph.run(batch, lambda _, v: v.clone(), before_relu=True)
    torch.testing.assert_close(copied, plain, rtol=0, atol=0)
    for m in network.graph.maps:
        assert m.relu
        assert float(early[m.name].min()) < 0
        torch.testing.assert_close(early[m.name][:8].relu(), late[m.name], rtol=0, atol=0)
        # Readers get what comes back through the ReLU.
        values, tail = network.graph.tail(m, batch, lambda _, v: v, before_relu=True)
        torch.testing.assert_close(values, early[m.name][:8], rtol=0, atol=0)
        torch.testing.assert_close(tail(values), plain, rtol=0, atol=0)
        torch.testing.assert_close(tail(values.relu()), plain, rtol=0, atol=0)
    nothing = network.graph.run(batch, lambda _, v: v.abs().neg(), before_relu=True)
    zeros = network.graph.run(batch, lambda _, v: torch.zeros_like(v))
    torch.testing.assert_close(nothing, zeros)


class Others(nn.Module):
    """Maps that end with something else than a ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3)
        self.d, self.e = nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3)
        self.norm, self.fc = nn.BatchNorm2d(4), nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu6(self.a(x))
        x = functional.avg_pool2d(self.b(x).relu(), 2)
        x = self.norm(torch.relu(self.c(x)))
        x = functional.max_pool2d(functional.relu(self.d(x)), 2)
        return self.fc(functional.silu(self.e(x)).mean((2, 3)))


def test_only_what_commutes_with_a_relu_may_follow_it() -> None:
    torch.manual_seed(1)
    graph = trace(Others(), (3, 40, 40))
    assert {m.source: m.relu for m in graph.maps} == {
        "conv2d + relu6": True,
        "conv2d + relu + avgpool2d": False,
        "conv2d + relu + batchnorm2d": False,
        "conv2d + relu + maxpool2d": True,
        "conv2d + silu": False,
    }
    pictures = torch.randn(2, 3, 40, 40)
    plain = graph.run(pictures)
    torch.testing.assert_close(graph.run(pictures, lambda _, v: v, before_relu=True), plain)


def test_a_fine_step_hardly_changes_the_network(
    job: tuple[Network, Pictures], calibration: Calibration, early: dict[str, torch.Tensor]
) -> None:
    network, pictures = job
    maps = network.graph.maps
    shapes = {m.name: shape_for(m, 1, 1) for m in maps}
    codecs = {}
    for m in maps:
        scale = calibration.scales[m.name]
        stored = FakeQuantiser(scale).quantise(early[m.name])
        moments = Moments(shapes[m.name])
        moments.add(stored.double() - scale.zero_point)
        components = moments.components()
        linear = components.linear(0.1 * calibration.std_lsb[m.name], components.kept(0.1))
        fit = Fit(m, scale, shapes[m.name], linear)
        fit(stored)
        codecs[m.name] = ProjectionLoop(*fit.finish())
    batch = network.normalise(pictures.read(pictures.split(16)[1][:32]))
    loop = InLoop(network, calibration.scales, before_relu=True)
    plain, coded = loop.int8_pass(batch).logits, loop.codec_pass(batch, codecs)
    assert (plain.argmax(1) == coded.logits.argmax(1)).float().mean() > 0.9
    assert set(coded.bus_bytes) == set(codecs)


def test_a_folded_projection_is_the_same_on_integers() -> None:
    rng = np.random.default_rng(3)
    weight = torch.from_numpy(rng.integers(-127, 128, (16, 8, 3, 3)))
    bias = torch.from_numpy(rng.integers(-(2**15), 2**15, 16))
    matrix = torch.from_numpy(rng.integers(-2047, 2048, (12, 16)))
    offset = torch.from_numpy(rng.integers(-(2**20), 2**20, 12))
    x = torch.from_numpy(rng.integers(0, 256, (2, 8, 9, 9)))

    def conv(w: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        # float64 holds all of these integers.
        return functional.conv2d(x.double(), w.double(), b.double(), padding=1).long()

    apart = torch.einsum("ko,nohw->nkhw", matrix, conv(weight, bias)) + offset.view(-1, 1, 1)
    together = conv(*fold(weight, bias, matrix, offset))
    assert torch.equal(apart, together)
    assert int(apart.abs().max()) > 2**30


def test_a_folded_network_gives_the_symbols_of_the_other(
    job: tuple[Network, Pictures], calibration: Calibration, early: dict[str, torch.Tensor]
) -> None:
    """Every map of a convolution alone: its symbols, and what the readers get, with the matrix in
    the convolution and behind it.
    """
    network, pictures = job
    batch = network.normalise(pictures.read(pictures.split(16)[0][:16])).double()
    modules = dict(network.module.named_modules())
    tried = 0
    network.module.double()
    try:
        inputs: dict[str, torch.Tensor] = {}
        plain: dict[str, torch.Tensor] = {}
        handles = [
            module.register_forward_hook(
                lambda _m, given, _o, name=name: inputs.__setitem__(name, given[0].clone())
            )
            for name, module in modules.items()
            if isinstance(module, nn.Conv2d)
        ]
        network.graph.run(
            batch, lambda m, v: plain.__setitem__(m.name, v.clone()), before_relu=True
        )
        for handle in handles:
            handle.remove()
        for m in network.graph.maps:
            if not foldable(m, Transform.PROJECTION):
                assert "add" in m.source or "pool" in m.source
                continue
            tried += 1
            block, unit = m.name.rsplit(".", 1)
            conv, norm = (modules[f"{block}.{kind}{unit[-1]}"] for kind in ("conv", "bn"))
            assert isinstance(conv, nn.Conv2d)
            assert isinstance(norm, nn.BatchNorm2d)
            scale = calibration.scales[m.name].scale
            moments = Moments(Shape(Transform.PROJECTION))
            moments.add(plain[m.name] / scale)
            components = moments.components()
            linear = components.linear(0.2 * calibration.std_lsb[m.name], components.kept(0.1))
            forward, offset = (
                torch.from_numpy(part) for part in (linear.forward[0], linear.forward_offset[0])
            )
            weight, bias = with_norm(conv, norm)
            folded = fold(weight / scale, bias / scale, forward, offset)
            given = inputs[f"{block}.conv{unit[-1]}"]
            together = functional.conv2d(given, *folded, conv.stride, conv.padding)
            apart = torch.einsum("kc,nchw->nkhw", forward, plain[m.name] / scale)
            apart = apart + offset.view(-1, 1, 1)
            torch.testing.assert_close(together, apart, rtol=1e-9, atol=1e-9)
            symbols = [v.round().clamp(-COMPONENT_MAX, COMPONENT_MAX) for v in (together, apart)]
            assert torch.equal(*symbols)
            # Against a projection of 8-bit values, as the frame has them, nearly all are the same.
            rounded = calibration.scales[m.name].quantise(plain[m.name].float().numpy())
            stored = torch.from_numpy(rounded).double() - calibration.scales[m.name].zero_point
            coarse = torch.einsum("kc,nchw->nkhw", forward, stored) + offset.view(-1, 1, 1)
            off = (coarse.round().clamp(-COMPONENT_MAX, COMPONENT_MAX) - symbols[0]).abs()
            assert off.max() <= 2
            assert (off > 0).double().mean() < 0.25
    finally:
        network.module.float()
    assert tried >= 8
    assert not foldable(network.graph.maps[1], Transform.PROJECTION4)


def test_integers_keep_as_many_bits_as_fit() -> None:
    components = Components(np.zeros((1, 2)), np.ones((1, 2)), np.eye(2)[None])
    forward, inverse = components.linear(3.0, [2]).affines
    assert forward[0].matrix.tolist() == [[1365, 0], [0, 1365]]
    assert forward[0].shift == 12
    assert forward[0].offset.tolist() == [2048, 2048]
    assert inverse[0].matrix.tolist() == [[1536, 0], [0, 1536]]
    assert inverse[0].shift == 9


def test_weighed_components_make_errors_matter_alike() -> None:
    rng = np.random.default_rng(3)
    mix, spread = rng.normal(size=(6, 6)), rng.normal(size=(6, 6))
    covariance, weights = mix @ mix.T, spread @ spread.T
    variance, vectors = np.linalg.eigh(covariance)
    plain = Components(np.zeros((1, 6)), variance[None], vectors.T[None])
    even = 0.1
    found = plain.weighted(weights[None], even)
    forward, back = found.vectors[0], found.back[0]
    np.testing.assert_allclose(back @ forward, np.eye(6), atol=1e-9)
    # Uncorrelated, the largest first, and an error of any of them costs the same.
    np.testing.assert_allclose(
        forward @ covariance @ forward.T, np.diag(found.variance[0]), atol=1e-9
    )
    assert (np.diff(found.variance[0]) <= 0).all()
    level = even * np.trace(weights) / 6
    cost = back.T @ (weights + level * np.eye(6)) @ back
    np.testing.assert_allclose(cost, np.eye(6) * np.trace(cost) / 6, atol=1e-9)
    assert np.trace(cost) / 6 == pytest.approx(np.trace(weights) / 6 + level)
    # Where nothing matters, they are what they were.
    same = plain.weighted(np.zeros((1, 6, 6)), even)
    np.testing.assert_allclose(same.variance, np.sort(plain.variance)[:, ::-1], atol=1e-9)
    linear = found.linear(0.5, [6])
    np.testing.assert_allclose(linear.inverse[0] @ linear.forward[0], np.eye(6), atol=1e-9)
