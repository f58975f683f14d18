"""Bit planes in the loop of a network, and what they begin with and learn."""

import numpy as np
import pytest
import torch
from tests.gf2_cases import frame, map_of, random_coding

from fmzip.format import BIT_TRANSFORMS, Dtype, Transform
from fmzip.gf2 import BinaryLayer, PlaneEncoder, Rule
from fmzip.reference import decode, encode
from fmzip_models import plane_grow, plane_start
from fmzip_models.maps import Map
from fmzip_models.plane_learn import LearnedPlanes, Start
from fmzip_models.plane_loop import PlaneLoop
from fmzip_models.plane_start import Moments, Range
from fmzip_models.quantise import Scale

torch.set_num_threads(1)  # see test_models_capture


@pytest.mark.parametrize("transform", BIT_TRANSFORMS)
@pytest.mark.parametrize("decoder", Rule)
@pytest.mark.parametrize("coded", [False, True])
def test_the_loop_is_the_reference(transform: Transform, decoder: Rule, coded: bool) -> None:
    rng = np.random.default_rng(transform + 10 * decoder)
    encoder = Rule.XOR if decoder == Rule.XOR else Rule.POPCOUNT
    for dtype in Dtype:
        coding = random_coding(rng, 5, transform, 23, encoder, decoder, coded=coded)
        tile = {"tile_rows": 2} if coded else {}
        config = frame(coding, (5, 7, 6), transform, dtype=dtype, zero_point=5, **tile)
        values = np.stack([map_of(rng, config) for _ in range(3)])
        decoded, sizes = PlaneLoop(config, coding)(torch.from_numpy(values))
        for k, one in enumerate(values):
            data = encode(one, config, coding)
            np.testing.assert_array_equal(decoded[k].numpy(), decode(data, coding.tables))
            codes = coding.tables.code_bytes
            assert sizes[k] == len(data) + -(-codes // config.burst_bytes) * config.burst_bytes


def test_sums_that_float32_does_not_hold_are_exact_too() -> None:
    rng = np.random.default_rng(1)
    coding = random_coding(rng, 4, Transform.BITS, 20)
    sums = coding.tables.sums
    object.__setattr__(sums, "offset", np.array([2**25 + 1] * 4, np.int32))
    config = frame(coding, (4, 3, 3), Transform.BITS)
    values = map_of(rng, config)
    decoded, _ = PlaneLoop(config, coding)(torch.from_numpy(values[None]))
    back = decode(encode(values, config, coding), coding.tables)
    np.testing.assert_array_equal(decoded[0].numpy(), back)


def relu_map(rng: np.random.Generator, channels: int, n: int = 8) -> np.ndarray:
    """Like maps behind a ReLU, channels of different spread: uint8 [n, C, 8, 8]."""
    spread = np.geomspace(3, 80, channels)[:, None, None]
    return np.clip(rng.normal(size=(n, channels, 8, 8)) * spread, 0, 255).astype(np.uint8)


def counts_of(values: np.ndarray) -> np.ndarray:
    return np.stack([np.bincount(of.ravel(), minlength=256) for of in values.swapaxes(0, 1)])


def test_more_planes_are_given_to_channels_that_need_them() -> None:
    values = relu_map(np.random.default_rng(2), 6)
    m = Map("map", (6, 8, 8), 1, False)
    known = {"map": plane_start.choices(counts_of(values))}
    errors = known["map"].error
    assert (np.diff(errors, axis=1) <= 1e-9).all()
    assert errors[-1, 8] == pytest.approx(0, abs=1e-6)
    found = plane_start.allocate((m,), known, {"map": np.ones(6)}, 64 * 16, Transform.BITS)["map"]
    assert found.sum() <= 16
    assert found.sum() >= 14
    assert found[-1] > found[0]
    # What has no influence on the answers gets no plane.
    weight = np.array([1.0, 1, 1, 1, 1, 0])
    found = plane_start.allocate((m,), known, {"map": weight}, 64 * 12, Transform.BITS)["map"]
    assert found[-1] == 0


@pytest.mark.parametrize("rule", [Rule.POPCOUNT, Rule.XOR])
def test_the_planes_of_a_range_are_the_upper_ones_above_its_bias(rule: Rule) -> None:
    ranges = [Range(6, 2, -8), None, Range(8, 8, 0)]
    encoder = plane_start.encoder_of(ranges, rule)
    values = torch.arange(256, dtype=torch.uint8).expand(3, 256).reshape(1, 3, 16, 16)
    planes = plane_start.EncoderLoop(encoder, Transform.BITS, 0)(values)[0].numpy()
    numbers = np.clip(np.arange(256) - 8, 0, 63)
    np.testing.assert_array_equal(planes[0] + 2 * planes[1], numbers >> 4)
    np.testing.assert_array_equal((planes[2:].T @ (1 << np.arange(8))), np.arange(256))


def start_of(values: np.ndarray, bits: int, rule: Rule) -> Start:
    channels = values.shape[1]
    m = Map("map", (channels, 8, 8), 1, False)
    known = plane_start.choices(counts_of(values))
    weight = {"map": np.ones(channels)}
    planes = plane_start.allocate((m,), {"map": known}, weight, 64 * bits, Transform.BITS)["map"]
    ranges = [known.ranges[c][b - 1] if b else None for c, b in enumerate(planes)]
    encoder = plane_start.encoder_of(ranges, Rule.XOR if rule == Rule.XOR else Rule.POPCOUNT)
    if rule == Rule.NONE:
        moments = Moments(encoder, Transform.BITS, 0, torch.device("cpu"))
        moments.add(torch.from_numpy(values))
        return Start(encoder, *moments.solve())
    sample = plane_grow.Sample(encoder, Transform.BITS, 0, torch.device("cpu"))
    sample.add(torch.from_numpy(values))
    return sample.grow(rule, ranges)


@pytest.mark.parametrize("rule", Rule)
def test_what_is_learned_begins_with_the_integers_and_ends_with_them(rule: Rule) -> None:
    values = relu_map(np.random.default_rng(3), 8)
    start = start_of(values, 30, rule)
    coding = start.coding()
    config = frame(coding, (8, 8, 8), Transform.BITS)
    decoded, _ = PlaneLoop(config, coding)(torch.from_numpy(values))
    error = np.square(decoded.numpy().astype(float) - values).mean()
    assert error < 0.1 * values.astype(float).var()
    learned = LearnedPlanes(start, Transform.BITS, Scale(0.5, 0, Dtype.UINT8))
    back = learned(torch.from_numpy(values).float() * 0.5)
    assert (back / 0.5 - decoded.float()).abs().max() <= 1  # fractions of the integers
    back.square().sum().backward()
    for name, parameter in learned.changes.items():
        assert parameter.grad is not None, name
    assert learned.start().coding().tables.to_bytes() == coding.tables.to_bytes()
    assert learned.start().coding().encoder.to_bytes() == coding.encoder.to_bytes()


def test_a_weight_is_learned_where_gradients_ask_for_it() -> None:
    """A plane that is made of the wrong one finds that which its integer stands for."""
    values = np.random.default_rng(4).integers(0, 256, (4, 1, 8, 8)).astype(np.uint8)
    weights = np.zeros((2, 8), np.int8)
    weights[[0, 1], [7, 6]] = 1
    encoder = PlaneEncoder(
        np.zeros(1), np.array([255]), BinaryLayer(Rule.POPCOUNT, weights, np.ones(2))
    )
    start = Start(encoder, np.array([[64.0, 0.0]]), np.zeros(1))
    learned = LearnedPlanes(start, Transform.BITS, Scale(1.0, 0, Dtype.UINT8))
    wanted = torch.from_numpy(values & 0x40).float()
    optimiser = torch.optim.Adam([learned.changes["weights"]], 0.05)
    for _ in range(200):
        optimiser.zero_grad()
        loss = (learned(torch.from_numpy(values).float()) - wanted).square().mean()
        loss.backward()
        optimiser.step()
    assert float(loss.detach()) == 0
    found = learned.start().encoder.layer.weights
    assert found[0].tolist() == [0, 0, 0, 0, 0, 0, 1, 0]


@pytest.mark.parametrize("rule", [Rule.POPCOUNT, Rule.XOR])
def test_a_grown_layer_finds_what_two_planes_say_together(rule: Rule) -> None:
    rng = np.random.default_rng(5)
    planes = rng.integers(0, 2, (4000, 6)).astype(np.float32)
    both = planes[:, 1] * planes[:, 4]
    either = (planes[:, 1] != planes[:, 4]).astype(np.float32)
    wanted = 10 * (either if rule == Rule.XOR else both)
    found = plane_grow._best(planes, wanted - wanted.mean(), rule)
    assert found is not None
    weights, threshold, column = found
    assert np.flatnonzero(weights).tolist() == [1, 4]
    assert threshold == (0 if rule == Rule.XOR else 2)
    np.testing.assert_array_equal(column, wanted / 10)
