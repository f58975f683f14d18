"""Makes golden vectors of bit planes: ``python -m tests.make_gf2_golden``.

A vector is ``tests/golden_gf2/NAME.json``: as those of ``make_golden``, with ``tables`` and
``encoder``, the bytes of both in hex. They are added, never edited: a file that exists is left
alone, and new ones go to the end of the table, since a place is a seed.
"""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
from tests.gf2_cases import frame, map_of, random_coding

from fmzip.format import Dtype, Transform
from fmzip.gf2 import Rule
from fmzip.reference import decode, encode

FOLDER = Path(__file__).parent / "golden_gf2"

# Shape, transform, stored planes, rules of encoder and decoder, coded further, configuration.
CASES = {
    "sums": ((4, 3, 5), Transform.BITS, 13, Rule.POPCOUNT, Rule.NONE, False, {}),
    "popcount_int8": (
        (3, 4, 4), Transform.BITS, 17, Rule.POPCOUNT, Rule.POPCOUNT, False,
        {"dtype": Dtype.INT8, "zero_point": -20, "burst_log2": 5},
    ),
    "xor_odd": ((2, 5, 7), Transform.BITS4, 20, Rule.XOR, Rule.XOR, False, {}),
    "coded": (
        (5, 6, 6), Transform.BITS, 14, Rule.POPCOUNT, Rule.NONE, True, {"tile_rows": 2},
    ),
}  # fmt: skip


def main() -> None:
    for seed, (name, case) in enumerate(CASES.items()):
        path = FOLDER / f"{name}.json"
        if path.exists():
            continue
        shape, transform, stored, encoder, decoder, coded, given = case
        rng = np.random.default_rng(seed)
        coding = random_coding(rng, shape[0], transform, stored, encoder, decoder, coded=coded)
        config = frame(coding, shape, transform, **given)
        values = map_of(rng, config)
        data = encode(values, config, coding)
        vector = {
            "config": asdict(config),
            "tables": coding.tables.to_bytes().hex(),
            "encoder": coding.encoder.to_bytes().hex(),
            "values": values.ravel().tolist(),
            "frame": data.hex(),
            "decoded": decode(data, coding.tables).ravel().tolist(),
        }
        FOLDER.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(vector) + "\n", encoding="utf-8")
        print(path.name)


if __name__ == "__main__":
    main()
