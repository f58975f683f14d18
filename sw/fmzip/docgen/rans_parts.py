"""Limits and worked example of section 10 of ``docs/format.md``, from tables and reference."""

import numpy as np

from fmzip import format as fmt
from fmzip.docgen.format_parts import Dump, pixel_rows, table
from fmzip.format import (
    BLOCK,
    CLASSES,
    CONTEXTS,
    ESCAPE,
    STATE_BYTES,
    STATE_MIN,
    STATE_SETS,
    Coder,
    FrameConfig,
    Transform,
)
from fmzip.reference import encode, planes, rans
from fmzip.reference.rans import Model, Tokens
from fmzip.tables import Coding, Diffusion, Tables

_STATISTICS = 3
_FREQUENCIES = (
    (224, 20, 5, 2, 1, 1, 1, 1),
    (150, 60, 24, 10, 5, 3, 2, 1),
    (70, 60, 50, 30, 20, 12, 8, 5),
)
_TRACED = 14  # slots: some sets are used twice


def rans_limits() -> str:
    largest = (1 << STATE_BYTES * 8) - 1
    return table(
        ("quantity", "limit"),
        (
            ("step", f"{fmt.RANS_STEP_MIN} to {fmt.STEP_MAX}, in units of "
             f"1/{fmt.RANS_STEP_PER_LSB} LSB"),
            ("R", f"{fmt.rans_multiplier(fmt.STEP_MAX, Transform.WHT4)} to "
             f"{fmt.rans_multiplier(fmt.RANS_STEP_MIN, Transform.BYPASS)} (17 bits)"),
            ("coefficient Y", "-255 to 255 (9 bits); with `wht4`, -1020 to 1020 (11 bits)"),
            ("number z", "0 to 255"),
            ("classes, contexts of a plane", f"{CLASSES}, {CONTEXTS}"),
            ("statistics", f"1 to {fmt.STATISTICS_MAX}"),
            ("tokens of a statistic", f"{fmt.TOKENS}, the last one of escapes"),
            ("frequencies of a statistic", f"add up to {1 << fmt.TOTAL_BITS}"),
            ("bytes of tables", f"{CONTEXTS + fmt.TOKENS} to "
             f"{CONTEXTS * max(fmt.PLANES.values()) + fmt.TOKENS * fmt.STATISTICS_MAX}"),
            ("state", f"{STATE_MIN} to {largest}"),
            (f"sets of {BLOCK} states", str(STATE_SETS)),
            ("escapes of a coded tile", f"0 to {fmt.ESCAPES_MAX}"),
            ("price of a token", f"{fmt.price(255)} to {fmt.price(1)}, in units of "
             f"1/{fmt.PRICE_PER_BIT} bit"),
            ("slots of a tile", f"none; the gateware's buffers hold {fmt.TILE_SLOTS_MAX} as built "
             f"by default, {fmt.ROW_SLOTS_MAX} in a row of positions, "
             f"{fmt.POSITION_SLOTS_MAX} in a position"),
        ),
    )  # fmt: skip


def example_tables() -> Tables:
    w, n, x = np.unravel_index(np.arange(CONTEXTS), (CLASSES,) * 3)
    contexts = np.minimum(w + n + x, _STATISTICS - 1)
    frequencies = b"".join(bytes([*f, *[0] * (ESCAPE - len(f)), 1]) for f in _FREQUENCIES)
    return Tables(contexts.astype(np.uint8).tobytes(), frequencies)


def example_config() -> FrameConfig:
    return FrameConfig(
        8, 4, 8, tile_rows=4, tile_cols=8, burst_log2=3, transform=Transform.BYPASS,
        coder=Coder.RANS, step=fmt.RANS_STEP_MIN, tables=example_tables().id,
    )  # fmt: skip


def example_values() -> np.ndarray:
    """The map of the example: uint8 [C, H, W], sparse, with one value that is an escape."""
    c, y, x = np.indices((8, 4, 8))
    values = np.maximum(0, 3 - np.abs(x - 2 - y) - c % 4) + ((c == 5) & (x == 6))
    values[2, 1, 4] = 40
    return values.astype(np.uint8)


def rans_example() -> str:
    config, tables, values = example_config(), example_tables(), example_values()
    frame = encode(values, config, Coding(tables))
    model = rans.model_of(tables)
    z = planes.numbers(values, config, Diffusion())
    found = rans.tokens_of(planes.to_slots(z, config), rans.layout_of(config, config.width), model)
    states, data = rans.encode(found, model)
    dump = Dump(frame)
    section = fmt.round_up(2 + len(found.escapes), fmt.SECTION_BYTES)
    dump.add(section, "tile 0, escapes", f"{len(found.escapes)}, then the symbols")
    for index in range(len(states)):
        meaning = ", ".join(map(str, states[index])) if index < 2 else ""
        dump.add(STATE_BYTES * BLOCK, f"tile 0, set {index}", meaning)
    dump.add(len(frame) - config.head_bytes - section - 2 * states.size, "tile 0, bytes",
             f"{len(data)}, then padding")  # fmt: skip
    frequencies = "\n".join(
        f"statistic {k}: " + " ".join(f"{f:3d}" for f in _FREQUENCIES[k])
        for k in range(_STATISTICS)
    )
    return (
        f"C = {config.channels}, H = {config.height}, W = {config.width}, uint8, `bypass`, step "
        f"{config.step}, one tile, burst {config.burst_bytes}. The statistic of context "
        f"64 W + 8 N + X is min(W + N + X, {_STATISTICS - 1}). Frequencies of tokens 0 to "
        f"{len(_FREQUENCIES[0]) - 1}; that of token {ESCAPE} is 1, the others are 0:\n\n"
        f"```\n{frequencies}\n```\n\nThe pixels, channel 0 to {BLOCK - 1}:\n\n"
        f"```\n{pixel_rows(values)}\n```\n\nThe frame, {len(frame)} bytes; size is "
        f"{found.price_bytes}, raw {values.size}:\n\n```\n{dump}\n```\n\n"
        f"Lane 0 of the first slots, as they are decoded:\n\n{_trace(found, states, data, model)}"
    )


def _trace(found: Tokens, states: np.ndarray, data: np.ndarray, model: Model) -> str:
    rows = []
    stream = iter(data.tolist())
    states = states.tolist()
    for t in range(_TRACED):
        for lane in range(BLOCK):
            k, token = int(found.statistics[t, lane]), int(found.tokens[t, lane])
            of = states[t % STATE_SETS]
            before = of[lane]
            x = int(model.frequencies[k, token]) * (before >> 8) + (before & 255)
            x -= int(model.cumulated[k, token])
            taken = ""
            if x < STATE_MIN:
                taken = str(next(stream))
                x = x << 8 | int(taken)
            of[lane] = x
            if lane == 0:
                rows.append((t, t % STATE_SETS, k, before, before & 255, token, taken, x))
    return table(
        ("slot", "set", "statistic", "state x", "x & 255", "token u", "byte", "x after"), rows
    )
