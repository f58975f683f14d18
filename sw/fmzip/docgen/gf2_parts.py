"""Limits and worked example of section 12 of ``docs/format.md``, and what bit planes cost."""

from typing import Any

import numpy as np

from fmzip import format as fmt
from fmzip.docgen.format_parts import Dump, pixel_rows, table
from fmzip.docgen.measure_parts import LOGIC, codec_rows, logic
from fmzip.docgen.result_parts import RESULTS, load_result
from fmzip.format import Coder, FrameConfig, Transform
from fmzip.gf2 import BinaryLayer, PlaneCoding, PlaneEncoder, PlaneTables, Rule
from fmzip.projection import Affine
from fmzip.reference import decode, encode, gf2
from fmzip_hw.planesize import PlaneSize

_PIXELS = (((12, 200), (9, 90)), ((3, 0), (40, 130)))
# Inputs of each stored plane: plane b of channel c is input 8 c + b.
_STORED = ((3,), (14,), (15,), (4, 5, 6))


def gf2_limits() -> str:
    return table(
        ("quantity", "limit"),
        (
            ("stored planes M", f"1 to {fmt.STORED_PLANES_MAX}, and to 8 of each value"),
            ("values V of a position", f"1 to {fmt.PROJECTION_INPUTS_MAX}"),
            ("own planes Q of a value", f"1 to {fmt.VALUE_PLANES}"),
            ("threshold", f"{fmt.THRESHOLD_BITS} bits, signed"),
            ("integer of a plane", f"{fmt.PROJECTION_BITS} bits, signed"),
            ("sum", f"{fmt.SUM_BITS} bits"),
            ("planes of a symbol, coder `huffman`", f"1 to {fmt.GROUP_PLANES_MAX}"),
        ),
    )


def example_coding() -> PlaneCoding:
    """Four planes of two channels, and integers for them."""
    weights = np.zeros((len(_STORED), 16), np.int8)
    for row, inputs in zip(weights, _STORED, strict=True):
        row[list(inputs)] = 1
    layer = BinaryLayer(Rule.POPCOUNT, weights, np.ones(len(_STORED), np.int16))
    sums = Affine(np.array([[8, 0, 0, 40], [0, 64, 128, 0]]), np.array([4, 32], np.int32), 0)
    encoder = PlaneEncoder(np.array([0, 32]), np.array([255, 255], np.uint8), layer)
    return PlaneCoding(PlaneTables(len(_STORED), sums), encoder)


def gf2_example() -> str:
    coding = example_coding()
    config = FrameConfig(
        2, 2, 2, tile_rows=2, tile_cols=2, burst_log2=3, transform=Transform.BITS, coder=Coder.GF2,
        tables=coding.tables.id, components=len(_STORED),
    )  # fmt: skip
    values = np.array(_PIXELS, np.uint8).transpose(2, 0, 1)
    frame = encode(values, config, coding)
    planes = gf2.unpacked(gf2.planes_of(values, config, coding.encoder), len(_STORED))
    dump = Dump(frame)
    dump.add(len(frame) - config.head_bytes, "tile 0", f"{planes.size} bits, then padding")
    back = decode(frame, coding.tables)
    rows = []
    for index, own in enumerate(planes.tolist()):
        row, col = divmod(index, config.width)
        rows.append((f"{row}, {col}", *values[:, row, col].tolist(), *own,
                     *back[:, row, col].tolist()))  # fmt: skip
    stored = "; ".join(
        f"y[{m}] = 1 where {' + '.join(f'x[{i}]' for i in inputs)} >= 1"
        for m, inputs in enumerate(_STORED)
    )
    header = ("row, column", "value 0", "value 1", *(f"y[{m}]" for m in range(len(_STORED))),
              "back 0", "back 1")  # fmt: skip
    return (
        f"C = 2, H = 2, W = 2, uint8, `bits`, M = {len(_STORED)}, burst 8. Biases 0 and 32, tops "
        f"255; {stored}. No layer in the decoder; its integers are (8, 0, 0, 40) and (0, 64, 128, "
        f"0), offsets 4 and 32, shift 0. The tables have the CRC-32 that ends in "
        f"{config.tables:#06x}. The pixels:\n\n```\n{pixel_rows(values)}\n```\n\n"
        f"The frame, {len(frame)} bytes:\n\n```\n{dump}\n```\n\n"
        f"Planes of the positions, and the values that come back:\n\n{table(header, rows)}"
    )


def planes() -> str:
    """A line for each codec of bit planes, of all runs."""
    header = (
        "network", "codec", "decoder", "coder", "maps", "bits per value of these", "drop, points",
        "KL, nats", "layers, KB", "planes counted or XORed a value", "integers added a value",
        *LOGIC,
    )  # fmt: skip
    return table(header, codec_rows("bit planes", "layer_bytes", _costs))


def _costs(found: dict[str, Any]) -> tuple[str, ...]:
    config, work = found["config"], found["energy"]["codec"]["plane_work"]
    coded = [layer for layer in found["layers"] if layer["transform"] != "none"]
    values = sum(layer["values"] for layer in coded)
    bits = 8 * sum(layer["bus_bytes"] for layer in coded) / values
    moved = sum((1 + layer["reads"]) * layer["shape"][0] * layer["shape"][1] * layer["shape"][2]
                for layer in coded)  # fmt: skip
    read = moved - config["coded_values"]
    return (
        config["allocation"]["form"],
        f"`{config['coder']}`",
        f"{config['coded_maps']} of {len(found['layers'])}",
        f"{bits:.3f}",
        f"{found['top1_drop']:.1f}",
        f"{found['kl']:.4f}",
        f"{config['layer_bytes'] / 1000:.0f}",
        f"{(work['counted'] + work['xored']) / moved:.0f}",
        f"{work['added'] / read:.0f}",
        *logic(found),
    )


def planes_area() -> str:
    """Size of the gateware, and what a value in each cycle would take, of 4 bits a value."""
    rows = []
    for path in sorted(RESULTS.glob("area-gf2-*.json"), reverse=True):
        for row in load_result(path.name)["rows"]:
            name = row["component"]
            for values in (16, 64):
                # A position's cycles over its values, see Gf2Encoder and Gf2Decoder.
                planes = values * 4
                encodes = name == "gf2-encoder"
                cycles = planes / 64 if encodes else fmt.ceil_div(planes, PlaneSize().adders)
                rows.append((
                    name, row["part"], row["seed"], row["lut4"], row["ff"], row["ebr"], row["dsp"],
                    f"{row['fmax_mhz']:.1f}", values, f"{cycles:g}",
                    f"{row['fmax_mhz'] / cycles:.1f}", f"{row['lut4'] * cycles:.0f}",
                ))  # fmt: skip
    header = (
        "component", "part", "seed", "LUT4", "FF", "EBR", "DSP", "Fmax MHz", "channels",
        "cycles a value", "Mvalue/s", "LUT4 per value per cycle",
    )  # fmt: skip
    return table(header, rows)
