"""The worked examples of docs/adding-a-codec.md, run as they stand there."""

import re
from pathlib import Path

import numpy as np
import pytest
from amaranth.hdl import Value
from tests.codec_bench import Case, beat_payloads
from tests.core_bench import configure, packet, run_core, strobe, words_of
from tests.stream_bench import simulate

from fmzip.baselines import BASELINES
from fmzip.errors import FormatError
from fmzip.format import FrameConfig
from fmzip.reference import decode
from fmzip_hw.cores import CODECS
from fmzip_hw.framecores import FrameDecoder, FrameEncoder

GUIDE = Path(__file__).parent.parent / "docs" / "adding-a-codec.md"


def code_of(heading: str) -> str:
    """The Python code below a heading of the guide's first level."""
    part = GUIDE.read_text().split(f"\n# {heading}\n")[1].split("\n# ")[0]
    code = "".join(re.findall(r"^```python\n(.*?)^```$", part, re.M | re.S))
    assert 10 < len(code.splitlines()) < 100
    return code


def test_the_baseline_of_the_guide_passes_what_all_baselines_do() -> None:
    before = dict(BASELINES)
    try:
        exec(compile(code_of("A codec for `measure`"), str(GUIDE), "exec"), {})
        (baseline,) = (b for name, b in BASELINES.items() if name not in before)
    finally:
        BASELINES.clear()
        BASELINES.update(before)
    rng = np.random.default_rng(1)
    values = rng.integers(0, 256, (3, 5, 7), np.uint8)
    values[rng.random(values.shape) < 0.5] = 3
    for array, zero in ((values, 0), ((values.astype(int) - 128).astype(np.int8), -100)):
        stream = baseline.encode(array, zero)
        assert baseline.bits(array, zero) == 8 * len(stream)
        np.testing.assert_array_equal(
            baseline.decode(stream, array.shape, array.dtype, zero), array
        )
    for damaged in (b"", stream[:-1], stream + b"\1"):
        with pytest.raises(FormatError, match=r"^high4: "):
            baseline.decode(damaged, values.shape, np.uint8)


def test_the_codec_of_the_guide_makes_frames_that_the_reference_reads() -> None:
    code = code_of("A codec with gateware")
    before = dict(CODECS)
    try:
        exec(compile(code, str(GUIDE), "exec"), {"__name__": "guide"})
        assert [name for name in CODECS if name not in before] == ["plain"]
        encoder, decoder = FrameEncoder("plain"), FrameDecoder("plain")
    finally:
        CODECS.clear()
        CODECS.update(before)
    config = FrameConfig(16, 5, 4, tile_rows=2, tile_cols=4, burst_log2=3)
    values = np.random.default_rng(1).integers(0, 256, (16, 5, 4), np.uint8)
    case = Case("plain", config, values)
    frames: list[bytes] = []

    async def encode(ctx):
        configure(ctx, encoder, case)
        await strobe(ctx, encoder.start)
        words, _ = await run_core(ctx, encoder, beat_payloads(case, 8), drain="random")
        tiles = [w for w in words if not w >> 65]
        head = [w for w in words if w >> 65]
        frames.append(b"".join((w & (1 << 64) - 1).to_bytes(8, "little") for w in head + tiles))

    simulate(encoder, encode)
    np.testing.assert_array_equal(decode(frames[0]), values)

    async def back(ctx):
        ctx.set(Value.cast(decoder.head), int.from_bytes(config.static_head(), "little"))
        await strobe(ctx, decoder.start)
        beats, _ = await run_core(ctx, decoder, packet(words_of(frames[0])), drain="random")
        data = [beat & (1 << 64) - 1 for beat in beats]
        assert data == beat_payloads(case, 8)

    simulate(decoder, back)
