"""Codecs inside a network: what readers get, which sizes are found, which coefficients are kept."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from fmzip.codecs import CODECS, STEP_LSB_MAX, STEP_LSB_MIN
from fmzip.format import BLOCK_CODERS, STEP_MAX, STEP_MIN, Coder, Dtype, FrameConfig
from fmzip.reference import decode, encode
from fmzip_models.capture import Calibration, calibrate, capture
from fmzip_models.default import open_job
from fmzip_models.graph import Map
from fmzip_models.in_loop import FakeQuantiser, InLoop, MapByMap, frame_configs
from fmzip_models.masks import BlockSample, worth_their_bits
from fmzip_models.pictures import Pictures
from fmzip_models.quantise import Scale
from fmzip_models.twin import Twin
from fmzip_models.zoo import Network

torch.set_num_threads(1)  # see test_models_capture


@pytest.fixture(scope="module")
def job() -> tuple[Network, Pictures]:
    return open_job()


@pytest.fixture(scope="module")
def calibration(job: tuple[Network, Pictures]) -> Calibration:
    network, pictures = job
    return calibrate(network, pictures, pictures.split(16)[0])


@pytest.fixture(scope="module")
def batch(job: tuple[Network, Pictures]) -> torch.Tensor:
    network, pictures = job
    return network.normalise(pictures.read(pictures.split(16)[1][:8]))


@pytest.mark.parametrize("scale", [Scale(0.0317, 0, Dtype.UINT8), Scale(0.11, -3, Dtype.INT8)])
def test_tensors_become_the_integers_and_floats_that_arrays_do(scale: Scale) -> None:
    rng = np.random.default_rng(1)
    step = np.float32(scale.scale)
    values = np.concatenate((
        rng.normal(0, 60 * scale.scale, 100_000).astype(np.float32),
        (np.arange(-600, 600, dtype=np.float32) + np.float32(0.5)) * step,  # at or near a tie
        np.array([0, -0.0, 1e9, -1e9], np.float32),
    ))  # fmt: skip
    quantiser = FakeQuantiser(scale)
    before = torch.from_numpy(values.copy())
    codes = quantiser.quantise(before)
    assert np.array_equal(before.numpy(), values)
    np.testing.assert_array_equal(codes.numpy(), scale.quantise(values))
    assert codes.dtype == (torch.int8 if scale.limits[0] else torch.uint8)
    np.testing.assert_array_equal(quantiser.round(before).numpy(), codes.numpy())
    expected = scale.dequantise(codes.numpy())
    np.testing.assert_array_equal(quantiser.dequantise(codes).numpy(), expected)


def test_readers_of_the_int8_network_get_what_was_stored(
    job: tuple[Network, Pictures], calibration: Calibration, batch: torch.Tensor
) -> None:
    network, _ = job
    stored: dict[str, np.ndarray] = {}

    def plain(m: Map, values: torch.Tensor) -> torch.Tensor:
        scale = calibration.scales[m.name]
        stored[m.name] = scale.quantise(values.numpy())
        return torch.from_numpy(scale.dequantise(stored[m.name]))

    expected = network.graph.run(batch, plain)
    seen: dict[str, torch.Tensor] = {}
    loop = InLoop(network, calibration.scales)
    with_see = loop.int8_pass(batch, lambda m, codes: seen.__setitem__(m.name, codes))
    assert torch.equal(with_see.logits, expected)
    assert torch.equal(loop.int8_pass(batch).logits, expected)
    assert list(seen) == [m.name for m in network.graph.maps]
    for name, codes in seen.items():
        np.testing.assert_array_equal(codes.numpy(), stored[name])
    assert torch.equal(loop.float_pass(batch), network.graph.run(batch))
    assert not torch.equal(loop.float_pass(batch), expected)


def test_a_codec_without_loss_gives_the_int8_networks_answers(
    job: tuple[Network, Pictures], calibration: Calibration, batch: torch.Tensor
) -> None:
    network, _ = job
    loop = InLoop(network, calibration.scales)
    same = MapByMap(lambda values: (values, values.size))
    found = loop.codec_pass(batch, {m.name: same for m in network.graph.maps})
    assert torch.equal(found.logits, loop.int8_pass(batch).logits)
    for m in network.graph.maps:
        assert found.bus_bytes[m.name].tolist() == [m.values] * len(batch)


@pytest.mark.parametrize("name", CODECS)
def test_twin_and_reference_in_the_loop_give_one_answer(
    name: str, job: tuple[Network, Pictures], calibration: Calibration, batch: torch.Tensor
) -> None:
    network, _ = job
    loop = InLoop(network, calibration.scales)
    configs = frame_configs(CODECS[name], network.graph.maps, calibration, 0.5)

    def reference(config: FrameConfig) -> MapByMap:
        def recode(values: np.ndarray) -> tuple[np.ndarray, int]:
            frame = encode(values, config)
            return decode(frame), len(frame)

        return MapByMap(recode)

    slow = loop.codec_pass(batch, {m: reference(c) for m, c in configs.items()})
    fast = loop.codec_pass(batch, {m: Twin(c) for m, c in configs.items()})
    assert torch.equal(fast.logits, slow.logits)
    assert not torch.equal(fast.logits, loop.int8_pass(batch).logits)
    for m in configs:
        assert fast.bus_bytes[m].tolist() == slow.bus_bytes[m].tolist()


def test_steps_follow_the_deviation_of_a_layer_within_the_formats_limits(
    job: tuple[Network, Pictures], calibration: Calibration
) -> None:
    maps = job[0].graph.maps
    name = maps[3].name
    configs = frame_configs(CODECS["dctcm"], maps, calibration, 0.5)
    assert configs[name].step == round(0.5 * calibration.std_lsb[name] * 2**7.5)
    one_value = np.bincount([7], minlength=256)
    odd = replace(calibration, counts={m.name: one_value for m in maps})
    assert {c.step for c in frame_configs(CODECS["dctcm"], maps, odd, 1).values()} == {STEP_MIN}
    assert STEP_LSB_MIN * 2**7.5 == STEP_MIN
    found = frame_configs(CODECS["dctcm"], maps, calibration, 1e6)
    assert {c.step for c in found.values()} == {STEP_MAX}
    assert round(STEP_LSB_MAX * 2**7.5) == STEP_MAX


def _mask(values: np.ndarray, step: float, coder: Coder = Coder.BITMAP) -> int:
    sample = BlockSample()
    sample.add(values, 0)
    codec = replace(CODECS["dctcm"], coder=coder)
    return worth_their_bits(sample, codec.config(values.shape, Dtype.UINT8, 0, step)).keep


@pytest.mark.parametrize("coder", BLOCK_CODERS)
def test_coefficients_that_hold_nothing_are_dropped(coder: Coder) -> None:
    rng = np.random.default_rng(2)
    pixels = rng.integers(0, 256, (1, 40, 40))
    equal = np.repeat(pixels, 16, axis=0).astype(np.uint8)
    assert _mask(equal, 4, coder) == 0x01
    ramp = np.tile(np.arange(8), 2)[:, None, None] * rng.integers(0, 30, (1, 40, 40))
    assert _mask(ramp.astype(np.uint8), 4, coder) & 0x03 == 0x03
    assert _mask(ramp.astype(np.uint8), 4, coder) != 0xFF


@pytest.mark.parametrize("coder", BLOCK_CODERS)
def test_coefficients_of_noise_are_all_worth_their_bits(coder: Coder) -> None:
    noise = np.random.default_rng(3).integers(0, 256, (16, 40, 40)).astype(np.uint8)
    assert _mask(noise, 4, coder) == 0xFF


def test_where_no_coefficient_is_ever_stored_none_is_dropped() -> None:
    assert _mask(np.zeros((8, 4, 4), np.uint8), 4) == 0xFF


def test_a_ragged_last_block_is_drawn_with_zeros_behind_its_channels() -> None:
    sample = BlockSample()
    sample.add(np.full((3, 2, 2), 100, np.uint8), 100)
    assert not sample.coefficients().any()
    assert sample.coefficients().shape[0] == 8


def test_maps_of_the_loop_are_those_that_capture_stores(
    job: tuple[Network, Pictures], calibration: Calibration
) -> None:
    # Up to the first map nothing has been rounded: the same network has run.
    network, pictures = job
    indices = pictures.split(16)[1][:8]
    first = [maps[0] for maps in capture(network, pictures, indices, calibration.scales)]
    seen: list[torch.Tensor] = []
    loop = InLoop(network, calibration.scales)
    loop.int8_pass(network.normalise(pictures.read(indices)), lambda _, codes: seen.append(codes))
    np.testing.assert_array_equal(seen[0].numpy(), np.stack([m.values for m in first]))
