"""The report as one page that loads nothing: style, plots and tables are in the file."""

from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from fmzip import __version__
from fmzip.errors import FmzipError
from fmzip.files import write_atomic
from fmzip.report import text
from fmzip.report.fields import flatten
from fmzip.report.headline import (
    DROP_LIMIT,
    RAW_BITS,
    energy_line,
    headline,
    memory_of,
    representatives,
)
from fmzip.report.memories import Memory, Saving
from fmzip.report.merge import merge
from fmzip.report.pairs import MapPair, window
from fmzip.report.published import beside
from fmzip.report.result import Coded, Result, parse

GLOSSARY = (
    ("counted", "every byte was counted: heads, tables, index, padding and burst rounding"),
    ("simulated", "counted in a simulation of the gateware, cycle by cycle"),
    ("modelled", "computed by a formula from counted numbers and a data file, such as the "
     "currents of a DRAM's datasheet; not a measurement"),
    ("measured", "read from an instrument or a board"),
    ("bound", "no code stores this; what is shown is a limit that some codes cannot go below"),
    ("lossless", "every integer of the map comes back, so that no answer changes"),
    ("incremental", "the energy that the traffic adds to a memory that is on anyway: no "
     "background, no refresh"),
    ("uncompressed", "the int8 network without codec, which every drop is relative to; its own "
     "loss against floats is shown beside it"),
)  # fmt: skip
_COLUMNS = 9  # codecs beside each other in a table of all maps
_KINDS = {"codec": "lossy", "lossless": "lossless", "bound": "bound", "requantise": "no codec"}


def write_html(
    results: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    path: Path,
    *,
    maps: Sequence[MapPair] = (),
) -> None:
    """Write the page of one or more results of ``fmzip measure``, as its JSON.

    Results of one network on the same pictures share their plots; others follow one another.

    Raises
    ------
    FmzipError : this is no such result, or the extra ``report`` is not installed
    OSError : the file cannot be written; what was there before stays
    """
    found = [results] if isinstance(results, Mapping) else list(results)
    write_atomic(path, html([parse(result) for result in found], maps).encode())


def html(results: Sequence[Result], maps: Sequence[MapPair] = ()) -> str:
    """The page; the same results give the same text.

    Parameters
    ----------
    maps : of the first result's network
    """
    if not results:
        raise ValueError("there is no result to report")
    try:
        import jinja2

        from fmzip.report.plots import style
        from fmzip.report.plots.files import energy_codec, plots_of
    except ModuleNotFoundError as error:
        raise FmzipError(
            f"{error.name} is not installed: pip install 'fmzip[report]' brings it"
        ) from None
    folder = resources.files("fmzip.report") / "templates"
    sources = {file.name: file.read_text("utf-8") for file in folder.iterdir() if file.is_file()}
    environment = jinja2.Environment(
        loader=jinja2.DictLoader(sources),
        autoescape=True,  # of every name that comes from a file
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "bits": text.number, "points": text.number, "percent": text.percent,
        "interval": text.interval, "joules": text.joules, "shown": text.shown, "size": text.size,
        "data": text.data,
    }  # fmt: skip
    sections = []
    merged = merge(results)
    for k, result in enumerate(merged):
        pairs = maps if k == 0 else ()
        plots = {
            name: tuple(
                # Safe: matplotlib escapes the names in it.
                environment.filters["safe"](style.inline_svg(draw, f"s{k}-{name}", narrow))
                for narrow in (False, True)
            )
            for name, draw in plots_of(result, pairs)
        }
        sections.append(_section(result, plots, energy_codec(result), pairs, k))
    return environment.get_template("page.html").render(
        sections=sections, glossary=GLOSSARY, version=__version__, css=sources["page.css"],
        title=", ".join(dict.fromkeys(text.shown(result.network, 40) for result in merged)),
    )  # fmt: skip


def _section(
    result: Result,
    plots: Mapping[str, Any],
    energy: Coded | None,
    maps: Sequence[MapPair],
    number: int,
) -> dict[str, Any]:
    head = headline(result)
    memories = energy.memories if energy else ()
    compared = [c for c in representatives(result.codecs) if c.memories]
    return {
        "id": f"s{number}",
        "network": result.network,
        "baseline": result.baseline,
        "head": head,
        "tiles": list(_tiles(result, head.best, head.memory)),
        "codecs": list(_codec_rows(result)),
        "limit": DROP_LIMIT,
        "drawn_families": len(representatives(result.codecs)) < len(result.codecs),
        "layer_count": len({la.name for coded in result.codecs for la in coded.layers}),
        "layers": list(_layer_tables(result)),
                "energy": energy,
        "energy_line": _energy_line(energy),
        "memories": memories,
        "energy_codecs": compared,
        "saved": [[_saved(coded, memory.part) for coded in compared] for memory in memories],
        "published": [(row, _beside(result, row.family)) for row in beside(result.codecs)],
        "maps": [
            (pair, f"map{k + 1}", window(pair.before.shape)) for k, pair in enumerate(maps)
        ],
        "manifest": [(key, _value(value)) for key, value in flatten(result.manifest)],
        "baseline_rows": [(key, _value(value)) for key, value in flatten(result.baseline)],
        "settings": [
            (coded.name, list(coded.layers[0].settings), _settings(coded))
            for coded in representatives(result.codecs)
            if coded.layers and coded.layers[0].settings
        ],
        "configurations": [
            (coded.name, [(key, _value(value)) for key, value in flatten(coded.config)])
            for coded in result.codecs
            if coded.config
        ],
        "plots": plots,
    }  # fmt: skip


def _beside(result: Result, family: str) -> list[Coded]:
    """Our own figures that are set beside a published one."""
    return [c for c in representatives(result.codecs) if c.family.split("-")[0] == family]


def _saved(coded: Coded, part: str) -> Saving | None:
    """Incremental energies of a codec on a part; None where unknown."""
    found = next((memory for memory in coded.memories if memory.part == part), None)
    return found.incremental if found else None


def _energy_line(energy: Coded | None) -> str:
    memory = memory_of(energy) if energy else None
    return energy_line(energy, memory) if energy and memory else ""


def _tiles(result: Result, best: Coded | None, memory: Memory | None) -> Iterator[tuple[str, ...]]:
    """The figures that are large on the page: value, name, label."""
    if best is not None:
        yield text.number(best.bits), "bits per value", f"counted; uncompressed {RAW_BITS:g}"
        yield f"{text.number(best.ratio)}\N{MULTIPLICATION SIGN}", "smaller on the bus", "counted"
        if memory is not None:
            saved = text.percent(memory.incremental.saved)
            yield saved, "energy of the traffic saved", f"{memory.label}; {memory.part}"
        if best.lossless:
            yield "0", "points of top-1 lost", "lossless"
        else:
            yield text.number(best.drop), "points of top-1 lost", (
                f"95 %: {text.interval(best.interval)}"
            )  # fmt: skip
    plain, floats = map(result.baseline_number, ("int8_top1", "float_top1"))
    shown = (f"{text.number(value, 1)}{text.SPACE}%" for value in (plain, floats))
    yield next(shown), "top-1, uncompressed", f"int8; float {next(shown)}"


def _codec_rows(result: Result) -> Iterator[dict[str, Any]]:
    best = headline(result).best
    for coded in sorted(result.codecs, key=lambda c: (c.bound, c.bits)):
        memory = memory_of(coded)
        yield {
            "coded": coded,
            "kind": _KINDS[coded.kind],
            "best": coded is best,
            "saved": memory.incremental.saved if memory else None,
            "memory": memory,
        }


def _layer_tables(result: Result) -> Iterator[dict[str, Any]]:
    """Tables of all maps, each with as many codecs beside them as fit on paper."""
    for start in range(0, len(result.codecs), _COLUMNS):
        codecs = result.codecs[start : start + _COLUMNS]
        # A name may be missing under some codecs.
        by_name = [{layer.name: layer for layer in coded.layers} for coded in codecs]
        rows = []
        for name in dict.fromkeys(name for layers in by_name for name in layers):
            row = [layers.get(name) for layers in by_name]
            first = next(layer for layer in row if layer is not None)
            rows.append({"layer": first, "bits": [la.bits if la else None for la in row]})
        yield {"names": [coded.name for coded in codecs], "rows": rows}


def _settings(coded: Coded) -> list[tuple[str, list[str]]]:
    """What was set for each map: its name, and a text for each setting of the first map."""
    keys = list(coded.layers[0].settings)
    return [(la.name, [_value(la.settings.get(key)) for key in keys]) for la in coded.layers]


def _value(value: Any) -> str:
    """A value of the manifest as one would write it."""
    if isinstance(value, list | tuple):
        return ", ".join(map(_value, value)) or text.MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return text.MISSING
    return f"{value:g}" if isinstance(value, float) else text.shown(value)
