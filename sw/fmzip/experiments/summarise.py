"""From the results of all batches to the figures of a run, as JSON values.

Accuracies in percent, drops in points, divergences in nats; sums over all evaluated pictures.
"""

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np

from fmzip import energy
from fmzip.codecs import CAP, CODECS
from fmzip.experiments import metrics, traffic
from fmzip.experiments.checkpoint import Arrays
from fmzip.experiments.entries import Entry
from fmzip.experiments.evaluate import FLOAT, INT8, Task, logits_key, size_key
from fmzip.format import BLOCK, DEFAULT_BURST_BYTES, VALUE_PLANES, FrameConfig, ceil_div
from fmzip.gf2 import BinaryLayer, PlaneCoding, Rule
from fmzip.projection import ProjectionCoding, projection_transform
from fmzip_models import fold
from fmzip_models.graph import Map
from fmzip_models.zoo import Network

# Cycles between tiles in which encoder and decoder take no beat (``fmzip_hw``: ``tile_gap``).
TILE_GAP = 2


def summarise(
    task: Task, network: Network, labels: np.ndarray, found: Arrays, seed: int
) -> dict[str, Any]:
    """Baseline and codecs of a run.

    Parameters
    ----------
    labels : int64 [n], of the evaluated pictures
    found : see ``Evaluator``, of all pictures
    seed : of the bootstrap
    """
    reference = found[INT8]
    base = metrics.correct(reference, labels)
    codecs = {}
    for entry in task.entries:
        logits = found[logits_key(entry)] if entry.lossy else reference
        codecs[entry.name] = {
            "kind": entry.kind,
            "lossless": entry.lossless,
            "bound": entry.bound,
            "source": entry.source,
            **_sizes(task, network, entry, found[size_key(entry)]),
            **_accuracy(logits, labels),
            **_change(reference, logits, base, labels, seed),
        }
    return {
        "baseline": {
            "pictures": len(labels),
            "maps": len(network.graph.maps),
            "values": sum(m.values for m in network.graph.maps),
            **{f"float_{name}": v for name, v in _accuracy(found[FLOAT], labels).items()},
            **{f"int8_{name}": v for name, v in _accuracy(reference, labels).items()},
            "int8_agreement": metrics.agreement(found[FLOAT], reference),
            "int8_kl": metrics.kl_nats(found[FLOAT], reference),
        },
        "codecs": codecs,
    }


def _accuracy(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    return {"top1": metrics.topk(logits, labels), "top5": metrics.topk(logits, labels, 5)}


def _change(
    reference: np.ndarray, logits: np.ndarray, base: np.ndarray, labels: np.ndarray, seed: int
) -> dict[str, Any]:
    """How the answers differ from those of the int8 network."""
    correct = metrics.correct(logits, labels)
    interval = metrics.drop_interval(base, correct, seed)
    return {
        "top1_drop": 100 * float(base.mean() - correct.mean()),
        "top1_drop_interval": [interval.low, interval.high],
        "expected_drop": metrics.expected_drop(reference, logits),
        "agreement": metrics.agreement(reference, logits),
        "kl": metrics.kl_nats(reference, logits),
    }


def _sizes(task: Task, network: Network, entry: Entry, sizes: np.ndarray) -> dict[str, Any]:
    """Bits, bytes, layers and energy of an entry.

    Parameters
    ----------
    sizes : [pictures, maps], bytes; bits of a bound
    """
    maps, pictures = network.graph.maps, len(sizes)
    frames = task.configs.get(entry.name, {})
    layers = []
    for m, column in zip(maps, sizes.T, strict=True):
        raw = pictures * m.values
        # A bound moves nothing: its bits are neither rounded nor bytes on a bus.
        bits = float(column.sum()) if entry.bound else 8 * int(column.sum())
        layers.append({
            "name": m.name,
            "shape": list(m.shape),
            "signed": m.signed,
            "reads": m.reads,
            "values": raw,
            "raw_bytes": raw,
            "bus_bytes": None if entry.bound else int(column.sum()),
            "bits_per_value": bits / raw,
            **(_frame(frames.get(m.name)) if frames else {}),
        })  # fmt: skip
    values = pictures * sum(m.values for m in maps)
    bits = float(sizes.sum()) if entry.bound else 8 * int(sizes.sum())
    return {
        "bits_per_value": bits / values,
        "ratio": 8 * values / bits,
        "raw_bytes": values,
        "bus_bytes": None if entry.bound else int(sizes.sum()),
        "cycles_per_value": _cycles_per_value(frames) if frames else None,
        "config": _config(task, entry),
        "layers": layers,
        **_traffic(
            entry,
            maps,
            frames,
            sizes,
            _products(task, entry, maps),
            _plane_work(task, entry, maps),
        ),
    }


def _frame(config: FrameConfig | None) -> dict[str, Any]:
    """What is set for one layer; None where it is stored as it is."""
    if config is None:
        return {"transform": "none"}
    if config.of_planes:
        steps: dict[str, Any] = {
            "planes": config.components,
            "of_planes": VALUE_PLANES * config.position_values,
        }
    elif config.huffman:
        steps = {
            "components": config.components,
            "of_values": config.position_values,
        }
    else:
        steps = {"step_lsb": config.step_lsb}
        if not config.rans:
            steps["keep"] = f"{config.keep:#04x}"
    return {
        "transform": config.transform.name.lower(),
        **steps,
        "tile": [config.tile_rows, config.tile_cols],
    }


def _config(task: Task, entry: Entry) -> dict[str, Any]:
    if entry.name in task.files:
        file = task.files[entry.name]
        return {
            "codec": entry.method,
            "file": entry.file.name if entry.file else None,
            "coder": _coder(task.configs[entry.name]),
            "burst_bytes": DEFAULT_BURST_BYTES,
            "table_bytes": file.table_bytes,
            **_matrices(_projections(task, entry)),
            **_layers(task, entry),
            "corrected_modules": len(file.corrections),
            "allocation": dict(file.about),
        }
    if entry.projection is not None:
        return {
            "codec": entry.method,
            "step_std": entry.step_std,
            "coder": "huffman",
            "burst_bytes": DEFAULT_BURST_BYTES,
            **_matrices(_projections(task, entry)),
        }
    if entry.kind == "codec":
        codec = CODECS[entry.method]
        return {
            "codec": codec.name,
            "step_std": entry.step_std,
            "transform": codec.transform.name.lower(),
            "coder": codec.coder.name.lower(),
            "zero_bitmap": codec.zero_bitmap,
            "burst_bytes": DEFAULT_BURST_BYTES,
        }
    if entry.bound:
        return {}
    config: dict[str, Any] = {"burst_bytes": DEFAULT_BURST_BYTES}
    if entry.kind == "requantise" and task.bits4_steps:
        config["steps_lsb"] = dict(task.bits4_steps)
    return config


def _coder(frames: Mapping[str, FrameConfig]) -> str:
    return next(iter(frames.values())).coder.name.lower()


def _layers(task: Task, entry: Entry) -> dict[str, Any]:
    """Bytes of binary layers, loaded once, how many maps they are for, and of codebooks."""
    codings = _planes(task, entry)
    if not codings:
        return {}
    file = task.files[entry.name]
    shapes = [file.layers[name].shape for name in codings]
    return {
        "layer_bytes": sum(len(c.encoder.to_bytes()) for c in codings.values()) + file.table_bytes,
        "decoder_bytes": file.table_bytes,
        "codebook_bytes": sum(c.tables.code_bytes for c in codings.values()),
        "coded_maps": len(codings),
        "coded_values": sum(prod(shape) for shape in shapes),
    }


def _planes(task: Task, entry: Entry) -> dict[str, PlaneCoding]:
    """Of an entry's maps, by name; none where it stores no bit planes."""
    if entry.name not in task.files:
        return {}
    layers = task.files[entry.name].layers
    return {n: of.coding for n, of in layers.items() if isinstance(of.coding, PlaneCoding)}


def _matrices(codings: Mapping[str, ProjectionCoding]) -> dict[str, Any]:
    """Bytes of matrices, loaded once, and of codebooks, counted with every map."""
    if not codings:
        return {}
    found = codings.values()
    return {
        "matrix_bytes": sum(coding.matrix_bytes for coding in found),
        "inverse_matrix_bytes": sum(
            len(a.to_bytes()) for coding in found for a in coding.tables.inverse
        ),
        "codebook_bytes": sum(coding.tables.code_bytes for coding in found),
    }


def _projections(task: Task, entry: Entry) -> dict[str, ProjectionCoding]:
    """Of an entry's maps, by name; none where it does not project."""
    found: Mapping[str, object] = task.projections.get(entry.name, {})
    if entry.name in task.files:
        found = {name: layer.coding for name, layer in task.files[entry.name].layers.items()}
    return {name: c for name, c in found.items() if isinstance(c, ProjectionCoding)}


def _products(task: Task, entry: Entry, maps: tuple[Map, ...]) -> energy.Products | None:
    """Multiply-accumulates for each value; those that fold into a convolution are none."""
    codings = _projections(task, entry)
    if not codings:
        return None
    write = read = 0.0
    for m in maps:
        tables = codings[m.name].tables
        each = m.values * tables.products / tables.values
        transform = projection_transform(tables, m.shape[0])
        folds = entry.method != CAP and fold.foldable(m, transform)
        write += 0.0 if folds else each
        read += m.reads * each
    values = sum(m.values for m in maps)
    return energy.Products(write / values, read / sum(m.reads * m.values for m in maps))


def _plane_work(task: Task, entry: Entry, maps: tuple[Map, ...]) -> energy.PlaneWork | None:
    """What binary layers and sums take for each value, of a codec that has them."""
    codings = _planes(task, entry)
    if not codings:
        return None
    found = energy.PlaneWork()
    for m in maps:
        if m.name not in codings:
            continue
        coding = codings[m.name]
        positions = m.values / coding.tables.values
        encoder, layer = coding.encoder.layer, coding.tables.layer
        found += _layer_work(encoder, positions)
        if layer is not None:
            found += _layer_work(layer, m.reads * positions)
        groups = 0 if coding.tables.groups is None else len(coding.tables.groups.sizes)
        found += energy.PlaneWork(
            added=m.reads * coding.tables.sums.matrix.size * positions,
            symbols=groups * positions,
            read_symbols=m.reads * groups * positions,
        )
    return found


def _layer_work(layer: BinaryLayer, positions: float) -> energy.PlaneWork:
    ones = layer.weights.size * positions
    if layer.rule == Rule.XOR:
        return energy.PlaneWork(xored=ones)
    return energy.PlaneWork(counted=ones)


def _cycles_per_value(frames: "dict[str, FrameConfig] | Any") -> float:
    """Cycles of encoder or decoder at 8 lanes while nothing is waited for: beats and tile gaps.

    With the coder GF2 those of the encoder, which makes an eight of planes a cycle.
    """
    cycles = sum(
        f.slots * ceil_div(f.components, BLOCK) if f.gf2 else f.slots + TILE_GAP * (f.tiles - 1)
        for f in frames.values()
    )
    return cycles * (BLOCK // 8) / sum(f.values for f in frames.values())


def _traffic(
    entry: Entry, maps: tuple[Map, ...], frames: "dict[str, FrameConfig] | Any", sizes: np.ndarray,
    products: energy.Products | None, planes: energy.PlaneWork | None,
) -> dict[str, Any]:  # fmt: skip
    """Traffic and energy of one write and all reads of every map; nothing for a bound."""
    if entry.bound:
        return {"traffic": None, "energy": None}
    reads = [m.reads for m in maps]
    heads = [frames[m.name].head_bytes if m.name in frames else 0 for m in maps] if frames else None
    coded = traffic.plan(sizes, reads, heads)
    raw = traffic.raw_plan([m.values for m in maps], reads, len(sizes))
    # A frame is one picture: what an average one moves.
    planned = {
        name: round(count / len(sizes))
        for name, count in (
            ("write_bytes", coded.write_bytes),
            ("read_bytes", coded.read_bytes),
            ("row_switches", coded.row_switches),
            ("raw_write_bytes", raw.write_bytes),
            ("raw_read_bytes", raw.read_bytes),
            ("raw_row_switches", raw.row_switches),
        )
    }
    return {
        "traffic": {"label": "modelled", "per": "picture, on average", **planned},
        "energy": energy.report(
            energy.Traffic(**planned), codec=entry.method, products=products, planes=planes
        ),
    }
