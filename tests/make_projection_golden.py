"""Makes golden vectors of the coder HUFFMAN: ``python -m tests.make_projection_golden``.

A vector is ``tests/golden_projection/NAME.json``: as those of ``make_golden``, with ``tables``, the
bytes of the projection in hex, and ``forward``, those of each group's forward matrix. Boards do not
have this coder, so its vectors are not among those that ``fmzip golden check`` runs. They are
added, never edited: a file that exists is left alone, and new ones go to the end of the table,
since a place is a seed.
"""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from tests.make_golden import Draw, extremes, half_noise, linear, relu

from fmzip.format import (
    HUFFMAN_ESCAPE,
    HUFFMAN_TOKENS,
    POSITION_SIDE,
    Coder,
    Dtype,
    FrameConfig,
    Transform,
)
from fmzip.projection import Affine, Projection, ProjectionCoding
from fmzip.reference import decode, encode

FOLDER = Path(__file__).parent / "golden_projection"
PROJECTION = {"transform": Transform.PROJECTION, "coder": Coder.HUFFMAN}
PROJECTION4 = {"transform": Transform.PROJECTION4, "coder": Coder.HUFFMAN}

# With the number of groups; components and the id of the tables are put into the configuration.
PROJECTION_CASES: dict[str, tuple[Draw, FrameConfig, int]] = {
    "projection": (
        relu,
        FrameConfig(8, 4, 6, tile_rows=2, tile_cols=6, **PROJECTION, components=8),
        1,
    ),
    "projection_groups_int8": (
        linear,
        FrameConfig(
            12, 5, 4, Dtype.INT8, -20, tile_rows=3, tile_cols=4, burst_log2=3, **PROJECTION,
            components=9,
        ),
        3,
    ),
    "projection_coded_and_raw": (
        half_noise,
        FrameConfig(6, 6, 6, tile_rows=1, tile_cols=6, burst_log2=3, **PROJECTION, components=6),
        1,
    ),
    "projection4_odd": (
        linear,
        FrameConfig(
            4, 5, 7, Dtype.INT8, 3, tile_rows=2, tile_cols=4, burst_log2=3, **PROJECTION4,
            components=10,
        ),
        2,
    ),
    "projection4_extremes": (
        extremes,
        FrameConfig(
            3, 6, 6, Dtype.INT8, 127, tile_rows=6, tile_cols=6, burst_log2=3, **PROJECTION4,
            components=1,
        ),
        1,
    ),
}  # fmt: skip


def projection_of(rng: np.random.Generator, config: FrameConfig, groups: int) -> ProjectionCoding:
    """Matrices with noise around an identity, two codebooks for small and for larger symbols."""
    values = config.channels * POSITION_SIDE[config.transform] ** 2 // groups
    kept = config.components // groups

    def affine(outputs: int, inputs: int, gain: int, shift: int) -> Affine:
        matrix = rng.integers(-gain // 16, gain // 16 + 1, (outputs, inputs))
        matrix[:, : min(outputs, inputs)] += gain * np.eye(outputs, min(outputs, inputs), dtype=int)
        offset = rng.integers(0, 1 << shift, outputs)
        return Affine(matrix.astype(np.int16), offset.astype(np.int32), shift)

    lengths = np.zeros((2, HUFFMAN_TOKENS), np.uint8)
    lengths[0, [0, 1, 2, 3, HUFFMAN_ESCAPE]] = 1, 2, 4, 4, 3
    lengths[1, :26] = 5
    lengths[1, 32:36] = 5
    lengths[1, HUFFMAN_ESCAPE] = 4
    tables = Projection(
        tuple(affine(values, kept, 1500, 9) for _ in range(groups)),
        lengths,
        rng.integers(0, 2, config.components, np.uint8),
    )
    return ProjectionCoding(tables, tuple(affine(kept, values, 1400, 12) for _ in range(groups)))


def main() -> None:
    for seed, (name, (draw, config, groups)) in enumerate(PROJECTION_CASES.items()):
        path = FOLDER / f"{name}.json"
        if path.exists():
            continue
        rng = np.random.default_rng(seed)
        values = draw(rng, (config.channels, config.height, config.width))
        coding = projection_of(rng, config, groups)
        config = replace(config, tables=coding.tables.id)
        frame = encode(values, config, coding)
        vector = {
            "config": asdict(config),
            "tables": coding.tables.to_bytes().hex(),
            "forward": [affine.to_bytes().hex() for affine in coding.forward],
            "values": values.ravel().tolist(),
            "frame": frame.hex(),
            "decoded": decode(frame, coding.tables).ravel().tolist(),
        }
        FOLDER.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(vector) + "\n", encoding="utf-8")
        print(path.name)


if __name__ == "__main__":
    main()
