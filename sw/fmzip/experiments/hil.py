"""Hardware in the loop: the stored maps of a network through the codec of a board.

With the codec of a file they are the maps of the network that is compressed with it.
Every map is encoded by the board into its memory, the frame is compared byte by byte with the one
of the reference, decoded by the board, and compared again. Then it is replayed from the board's
stage without the link, once as it is and once through the codec: the energy is a model's figure for
what the counters say of these windows.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from fmzip import codecfile, reference
from fmzip.codecs import FMZ, PROJECTION_CODECS, codec_of
from fmzip.codings import AnyCoding
from fmzip.device import VIRTUAL, Device
from fmzip.errors import MismatchError
from fmzip.experiments.compressed import stored_maps
from fmzip.experiments.entries import FILE_SUFFIX, entries
from fmzip.experiments.manifest import network_digest
from fmzip.experiments.meters import open_meter
from fmzip.experiments.power import measure, model_power
from fmzip.experiments.prepare import check_file
from fmzip.experiments.project import project
from fmzip.experiments.windows import add_counters, bands, compare, replay_map
from fmzip.format import TILE_SLOTS_MAX, FrameConfig
from fmzip.reference import parse_head
from fmzip_models.capture import StoredMap, calibrate, capture
from fmzip_models.default import open_job
from fmzip_models.in_loop import frame_configs
from fmzip_models.pictures import Pictures
from fmzip_models.zoo import Network


@dataclass(frozen=True)
class HilConfig:
    """What to run.

    Parameters
    ----------
    model, weights, images : see ``fmzip_models.default.open_job``; None for the stand-in
    limit : pictures
    codec : name of a codec, or a file that ``fmzip allocate``, ``train-projection`` or
        ``train-gf2`` made
    step_std : quantisation step of a map in standard deviations of its layer; a file has its own
    port : of the board
    calibration : pictures that scales and steps are made on; none of them is evaluated
    meter : a power meter, see ``fmzip.experiments.meters.open_meter``; None for none
    """

    model: str | None = None
    weights: Path | None = None
    images: Path | None = None
    limit: int = 4
    codec: str = "dctcm"
    step_std: float = 0.25
    port: str = VIRTUAL
    calibration: int = 32
    meter: str | None = None

    def __post_init__(self) -> None:
        for name in ("limit", "calibration"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not self.step_std > 0:
            raise ValueError(f"step must be above 0 standard deviations, not {self.step_std:g}")
        if not self.is_file and self.codec not in PROJECTION_CODECS:
            codec_of(self.codec)

    @property
    def is_file(self) -> bool:
        """The codec is a file."""
        return self.codec.endswith(FILE_SUFFIX)

    @property
    def name(self) -> str:
        """The codec's, as ``energy.codec_energy`` knows it."""
        return FMZ if self.is_file else self.codec


@dataclass
class Layer:
    """One stored map, summed over the pictures.

    Members
    -------
    name, shape : of the map
    values : of all pictures; so are all other sums
    raw_bytes : a byte per value
    coded_bytes : written through the memory port, counted: head, index, tiles, padding
    predicted_bytes : size of the reference's frames
    bit_exact : frames and decoded values of the board are those of the reference
    encoder_stalls, decoder_stalls : cycles in which the codec was waited for, counted
    encoder_cycles, decoder_cycles : of the whole frames, counted
    error : sum of squared errors of the decoded values, in LSB squared
    power : sum of squared deviations of the values from their mean, in LSB squared
    """

    name: str
    shape: tuple[int, ...]
    values: int = 0
    raw_bytes: int = 0
    coded_bytes: int = 0
    predicted_bytes: int = 0
    bit_exact: bool = True
    encoder_stalls: int = 0
    decoder_stalls: int = 0
    encoder_cycles: int = 0
    decoder_cycles: int = 0
    error: float = 0.0
    power: float = 0.0

    @property
    def ratio(self) -> float:
        """Raw bytes per coded byte."""
        return self.raw_bytes / self.coded_bytes

    @property
    def relative_error(self) -> float:
        """Squared error over variance."""
        return self.error / self.power if self.power else 0.0


@dataclass
class HilResult:
    """What was found.

    Members
    -------
    tier : simulated or measured
    network : its name
    pictures : how many
    layers : in the order of storing
    counters : summed over all maps, each written once and read once
    windows : counters of the replays without the codec and with it, each map written and read once
    clock_hz : of the board
    power : what the meter found on the largest map, see ``fmzip.experiments.power``
    """

    tier: str
    port: str
    codec: str
    network: str
    stand_in: bool
    step_std: float | None
    pictures: int = 0
    layers: list[Layer] = field(default_factory=list)
    counters: dict[str, int] = field(default_factory=dict)
    windows: dict[str, dict[str, int]] = field(default_factory=dict)
    clock_hz: float = 100e6
    power: dict[str, Any] | None = None

    def energy(self) -> dict[str, Any]:
        """Energy of the counted traffic, without the codec and with it, modelled."""
        return compare(self.clock_hz, self.windows)

    def json(self) -> dict[str, Any]:
        """As the command line writes it."""
        return {
            "tier": self.tier,
            "port": self.port,
            "codec": self.codec,
            "network": self.network,
            "stand_in": self.stand_in,
            "step_std": self.step_std,
            "pictures": self.pictures,
            "layers": [
                {
                    "name": layer.name,
                    "shape": list(layer.shape),
                    "values": layer.values,
                    "raw_bytes": layer.raw_bytes,
                    "coded_bytes": layer.coded_bytes,
                    "predicted_bytes": layer.predicted_bytes,
                    "bit_exact": layer.bit_exact,
                    "ratio": layer.ratio,
                    "relative_error": layer.relative_error,
                    "encoder_stalls": layer.encoder_stalls,
                    "decoder_stalls": layer.decoder_stalls,
                    "encoder_cycles": layer.encoder_cycles,
                    "decoder_cycles": layer.decoder_cycles,
                }
                for layer in self.layers
            ],
            "counters": self.counters,
            "windows": self.windows,
            "energy": self.energy(),
            "power": self.power,
        }


Progress = Callable[[str, int, int], None]  # what is done, values done, values in all


def run(config: HilConfig, progress: Progress = lambda *_: None) -> HilResult:
    """Stream all stored maps of ``limit`` pictures through the board.

    Raises
    ------
    MismatchError : board and reference differ; names map, tile and place
    ValueError, FmzipError : model, weights, pictures or board cannot be used
    """
    # The board first: a missing one is found out before the network is run.
    with Device(config.port) as device:
        if config.meter is not None:
            model_w = model_power(config.name, device.clock_hz, device.lanes)
            meter = open_meter(config.meter, model_w)
        network, pictures = open_job(config.model, config.weights, config.images)
        calibration, evaluation = pictures.split(config.calibration)
        if len(evaluation) == 0:
            raise ValueError(
                f"{len(pictures)} pictures are all used for calibration: give more, or fewer of "
                f"the {config.calibration} with --calibration"
            )
        evaluation = evaluation[: config.limit]
        progress("calibrating", 0, 0)
        codings, each = _maps(config, network, pictures, calibration, evaluation, device)
        result = HilResult(
            device.tier, config.port, Path(config.codec).name, network.name, config.model is None,
            None if config.is_file else config.step_std, clock_hz=device.clock_hz,
        )  # fmt: skip
        done = total = 0
        for every in each:
            maps = [m for m in every if m.name in codings]  # of a file, perhaps some
            total = total or len(evaluation) * sum(m.values.size for m in maps)
            if not result.layers:
                result.layers = [Layer(m.name, m.values.shape) for m in maps]
            for layer, stored in zip(result.layers, maps, strict=True):
                progress(f"picture {result.pictures + 1}, {stored.name}", done, total)
                _one(device, layer, stored, *codings[stored.name], result)
                done += stored.values.size
            result.pictures += 1
        if config.meter is not None:
            largest = max(maps, key=lambda m: m.values.size)
            frame, coding = codings[largest.name]
            _, end = next(bands(frame, device))
            part = np.ascontiguousarray(largest.values[:, :end])
            result.power = measure(
                device, meter, model_w, part, replace(frame, height=end), coding=coding,
                progress=progress,
            )  # fmt: skip
        progress("done", done, total)
    return result


Codings = dict[str, tuple[FrameConfig, AnyCoding | None]]


def _maps(
    config: HilConfig,
    network: Network,
    pictures: Pictures,
    calibration: np.ndarray,
    evaluation: np.ndarray,
    device: Device,
) -> tuple[Codings, Iterator[list[StoredMap]]]:
    """How each map is coded, and the stored maps of all pictures to evaluate.

    With a file they are those of the compressed network, else those of the plain one.
    """
    if config.is_file:
        path = Path(config.codec)
        codec = codecfile.load(path)
        check_file(path, codec, network, network_digest(network))
        most = device.max_slots if device.rans else TILE_SLOTS_MAX  # else it is refused later
        found: Codings = {
            name: (layer.frame(slots_max=most), layer.coding)
            for name, layer in codec.layers.items()
        }
        return found, stored_maps(network, pictures, evaluation, codec, most)
    if config.codec in PROJECTION_CODECS:
        (entry,) = entries((config.codec,), (config.step_std,))
        made = project(network, pictures, calibration, "max", (entry,))
        frames, codings = made.configs[entry.name], made.codings[entry.name]
        scales, early = made.scales, True
        found = {name: (f, codings[name]) for name, f in frames.items()}
    else:
        calibrated = calibrate(network, pictures, calibration)
        of_maps = network.graph.maps
        frames = frame_configs(codec_of(config.codec), of_maps, calibrated, config.step_std)
        scales, early = calibrated.scales, False
        found = {name: (frame, None) for name, frame in frames.items()}
    return found, capture(network, pictures, evaluation, scales, before_relu=early)


def _one(
    device: Device,
    layer: Layer,
    stored: StoredMap,
    config: FrameConfig,
    coding: AnyCoding | None,
    result: HilResult,
) -> None:
    """One map: to the board, into memory, back; compared and added up."""
    expected = reference.encode(stored.values, config, coding)
    tables = None if coding is None else coding.tables
    device.counters(clear=True)
    size = device.encode(stored.values, config, coding=coding)
    written = device.counters()["cycles"]
    back = device.decode(config, tables=tables)
    counters = device.counters()
    frame = device.read_memory(0, size)
    check_frame(stored.name, frame, expected)
    check_values(stored.name, back, reference.decode(expected, tables))
    for name in ("write_bytes", "read_bytes"):
        if counters[name] != len(expected):
            raise MismatchError(
                f"{stored.name}: {name} counts {counters[name]}, the frame has {len(expected)}"
            )
    layer.values += stored.values.size
    layer.raw_bytes += stored.values.size
    layer.coded_bytes += counters["write_bytes"]
    layer.predicted_bytes += len(expected)
    layer.encoder_stalls += counters["encoder_stalls"]
    layer.decoder_stalls += counters["decoder_stalls"]
    layer.encoder_cycles += written
    layer.decoder_cycles += counters["cycles"] - written
    values = stored.values.astype(np.float64)
    layer.error += float(((back - values) ** 2).sum())
    layer.power += float(((values - values.mean()) ** 2).sum())
    result.counters = add_counters(result.counters, counters)
    windows = replay_map(device, stored.name, stored.values, config, coding=coding)
    for kind, seen in windows.items():
        result.windows[kind] = add_counters(result.windows.get(kind, {}), seen)


def check_frame(name: str, got: bytes, expected: bytes) -> None:
    """MismatchError where a frame is not the reference's: names the tile, or the head."""
    if got == expected:
        return
    size = min(len(got), len(expected))
    differ = np.frombuffer(got[:size], np.uint8) != np.frombuffer(expected[:size], np.uint8)
    # Tiles first: the head, with its CRC, differs wherever a tile does.
    head = parse_head(expected)
    start = head.config.head_bytes
    tiles = np.flatnonzero(differ[start:])
    if len(tiles):
        offset = int(tiles[0])
        tile = int(np.searchsorted(head.offsets, offset, side="right")) - 1
        place = f"tile {tile}, byte {offset - int(head.offsets[tile])}"
        offset += start
    elif differ.any():
        offset = int(np.flatnonzero(differ)[0])
        place = f"head, byte {offset}"
    else:
        raise MismatchError(
            f"{name}: the board's frame has {len(got)} bytes, the reference's {len(expected)}"
        )
    raise MismatchError(
        f"{name}: frame differs at {place}: board {got[offset]:#04x}, "
        f"reference {expected[offset]:#04x}"
    )


def check_values(name: str, got: np.ndarray, expected: np.ndarray) -> None:
    """MismatchError where decoded values are not the reference's: names channel, row, column."""
    if got.shape != expected.shape or got.dtype != expected.dtype:
        raise MismatchError(
            f"{name}: board {got.dtype} {list(got.shape)}, "
            f"reference {expected.dtype} {list(expected.shape)}"
        )
    places = np.argwhere(got != expected)
    if len(places):
        c, y, x = (int(k) for k in places[0])
        raise MismatchError(
            f"{name}: {len(places)} decoded values differ, first at channel {c}, row {y}, "
            f"column {x}: board {got[c, y, x]}, reference {expected[c, y, x]}"
        )
