"""The torch twin equals the reference: every value, every frame's size, on any configuration."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.codec_bench import KINDS, random_case, value_map

from fmzip.codecs import CODECS
from fmzip.format import BLOCK_CODERS, STEP_MAX, STEP_MIN, Coder, Dtype, FrameConfig, multiplier
from fmzip.reference import decode, encode
from fmzip_models.capture import calibrate, capture
from fmzip_models.default import open_job
from fmzip_models.twin import Twin

torch.set_num_threads(1)  # see test_models_capture

DATA = os.environ.get("FMZIP_DATA")
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def check(config: FrameConfig, maps: list[np.ndarray], device: str = "cpu") -> None:
    """Twin and reference agree on a batch of maps."""
    decoded, sizes = Twin(config, device)(torch.from_numpy(np.stack(maps)).to(device))
    assert sizes.dtype == torch.int64
    for values, back, size in zip(maps, decoded.cpu().numpy(), sizes.tolist(), strict=True):
        frame = encode(values, config)
        assert size == len(frame), config
        expected = decode(frame)
        assert back.dtype == expected.dtype
        np.testing.assert_array_equal(back, expected, str(config))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("group", range(8))
def test_random_configurations_give_the_references_values_and_sizes(
    group: int, device: str
) -> None:
    for seed in range(150 * group, 150 * (group + 1)):
        case = random_case(seed)
        rng = np.random.default_rng(seed)
        kinds = rng.choice(KINDS, 2)
        maps = [case.values, *(value_map(case.config, str(kind), rng) for kind in kinds)]
        check(case.config, maps, device)


@pytest.mark.parametrize("coder", BLOCK_CODERS)
def test_all_keep_masks_are_exact(coder: Coder) -> None:
    rng = np.random.default_rng(3)
    for keep in range(1, 256):
        zero_point = [0, -128, 17][keep % 3]
        dtype = Dtype.INT8 if keep % 3 else Dtype.UINT8
        config = FrameConfig(
            20, 5, 6, dtype, zero_point, 2, 4, coder=coder, keep=keep, step=300,
            zero_bitmap=bool(keep & 4),
        )  # fmt: skip
        check(config, [value_map(config, kind, rng) for kind in ("blob", "mixed")])


def extreme_map(config: FrameConfig, seed: int) -> np.ndarray:
    """Values at both ends of the range only: the largest coefficients of all signs."""
    rng = np.random.default_rng(seed)
    low, high = config.value_range
    shape = (config.channels, config.height, config.width)
    return np.where(rng.random(shape) < 0.5, low, high).astype(
        np.int8 if config.dtype == Dtype.INT8 else np.uint8
    )


@pytest.mark.parametrize("dtype", list(Dtype))
def test_the_largest_coefficients_at_every_kind_of_step_are_exact(dtype: Dtype) -> None:
    steps = {STEP_MIN, STEP_MIN + 1, 181, 959, 960, 961, 4095, 8191, 65534, STEP_MAX}
    steps |= {round(STEP_MIN * 2 ** (k / 4)) for k in range(36)}
    for step in sorted(steps):
        low, high = FrameConfig(8, 1, 1, dtype, 0).value_range
        for zero_point in (low, 0, high):
            config = FrameConfig(8, 8, 32, dtype, zero_point, 8, 32, step=step)
            maps = [extreme_map(config, seed) for seed in range(2)]
            check(config, maps)


def test_every_coefficient_that_is_near_a_tie_is_rounded_as_the_reference_does() -> None:
    # A constant block has only its mean, y = 512 t: find steps at which that is near a tie.
    found = 0
    values = np.broadcast_to(np.arange(256, dtype=np.uint8), (8, 256)).reshape(8, 1, 256)
    for step in range(STEP_MIN, 8000):
        rest = (512 * np.arange(1, 256) * multiplier(step) + (1 << 22)) % (1 << 23)
        if (np.minimum(rest, (1 << 23) - rest) <= 64).any():
            found += 1
            check(FrameConfig(8, 1, 256, tile_cols=256, step=step), [values.copy()])
    assert found > 20


def test_maps_without_a_value_and_maps_of_one_value_work() -> None:
    for zero_bitmap in (False, True):
        config = FrameConfig(1, 1, 1, zero_bitmap=zero_bitmap)
        check(config, [np.full((1, 1, 1), k, np.uint8) for k in (0, 1, 255)])
    decoded, sizes = Twin(config)(torch.empty(0, 1, 1, 1, dtype=torch.uint8))
    assert decoded.shape == (0, 1, 1, 1)
    assert sizes.shape == (0,)


def test_chunks_and_batches_change_nothing() -> None:
    rng = np.random.default_rng(5)
    # More values than a chunk holds, and a number of blocks that no chunk divides.
    config = FrameConfig(61, 48, 57, tile_rows=3, tile_cols=57, coder=Coder.BITMAP, step=900)
    check(config, [value_map(config, kind, rng) for kind in ("sparse", "smooth", "mixed")])


def test_strided_maps_are_read_as_they_are() -> None:
    config = FrameConfig(16, 6, 6, tile_rows=6, tile_cols=6)
    values = torch.randint(0, 90, (2, 6, 6, 16), dtype=torch.uint8).permute(0, 3, 1, 2)
    twin = Twin(config)
    for found, expected in zip(twin(values), twin(values.contiguous()), strict=True):
        assert torch.equal(found, expected)


def test_wrong_types_and_shapes_are_refused() -> None:
    twin = Twin(FrameConfig(8, 2, 2))
    with pytest.raises(TypeError, match=r"values must be torch.uint8, not torch.int8"):
        twin(torch.zeros(1, 8, 2, 2, dtype=torch.int8))
    with pytest.raises(ValueError, match=r"shape must be \[N, 8, 2, 2\], not \[1, 8, 2, 3\]"):
        twin(torch.zeros(1, 8, 2, 3, dtype=torch.uint8))


@pytest.mark.parametrize("codec", CODECS)
def test_the_stand_ins_maps_are_exact(codec: str) -> None:
    _check_real(codec, *open_job(), pictures=3)


@pytest.mark.skipif(not DATA, reason="FMZIP_DATA does not name the directory of real data")
@pytest.mark.parametrize("codec", CODECS)
def test_the_maps_of_a_real_resnet18_are_exact(codec: str) -> None:
    folder = Path(str(DATA))
    job = open_job("resnet18", folder / "resnet18.safetensors", folder / "photos")
    _check_real(codec, *job, pictures=2)


def _check_real(codec: str, network: object, images: object, pictures: int) -> None:
    calibration, evaluation = images.split(8)  # type: ignore[attr-defined]
    found = calibrate(network, images, calibration)  # type: ignore[arg-type]
    maps = list(capture(network, images, evaluation[:pictures], found.scales))  # type: ignore[arg-type]
    for same in zip(*maps, strict=True):
        stored = same[0]
        for zero_bitmap in (False, True):
            chosen = replace(CODECS[codec], zero_bitmap=zero_bitmap)
            config = chosen.config(
                stored.values.shape,
                stored.scale.dtype,
                stored.scale.zero_point,
                max(0.25 * found.std_lsb[stored.name], 1),
            )
            check(config, [m.values for m in same])


@pytest.mark.parametrize("precision", ["high", "medium"])
def test_a_users_coarser_matrix_products_change_nothing(precision: str) -> None:
    rng = np.random.default_rng(8)
    config = FrameConfig(64, 40, 40, tile_rows=4, tile_cols=40, coder=Coder.BITMAP, step=200)
    torch.set_float32_matmul_precision(precision)
    try:
        check(config, [value_map(config, kind, rng) for kind in ("random", "smooth")])
        assert torch.get_float32_matmul_precision() == precision
    finally:
        torch.set_float32_matmul_precision("highest")
