"""What differs between two results: what was found, and what had been set."""

from collections.abc import Iterator
from dataclasses import dataclass

from fmzip.report.fields import flatten
from fmzip.report.headline import memory_of
from fmzip.report.merge import is_digest
from fmzip.report.result import Coded, Result
from fmzip.report.text import shown


@dataclass(frozen=True)
class Row:
    """One codec of both results; None where one has not got the figure.

    Members
    -------
    name : of the codec
    bits : per value, of the first and of the second
    drop : of top-1, points
    saved : fraction of the incremental energy, on ``part``
    """

    name: str
    bits: tuple[float | None, float | None]
    drop: tuple[float | None, float | None]
    saved: tuple[float | None, float | None]
    part: str | None


@dataclass(frozen=True)
class Comparison:
    """Members
    -------
    rows : of the codecs, those of the first result first
    baseline : name, first, second, where they differ
    settings : the same of the manifests
    remarks : why a difference may not be what it looks like
    """

    rows: tuple[Row, ...]
    baseline: tuple[tuple[str, str, str], ...]
    settings: tuple[tuple[str, str, str], ...]
    remarks: tuple[str, ...]


def compare(a: Result, b: Result) -> Comparison:
    """The difference of two results."""
    first, second = ({coded.name: coded for coded in result.codecs} for result in (a, b))
    rows = tuple(_row(name, first.get(name), second.get(name)) for name in {**first, **second})
    settings = tuple(_differences(a.manifest, b.manifest))
    configs = ({name: c.config for name, c in side.items() if name in first and name in second}
               for side in (first, second))  # fmt: skip
    settings += tuple(_differences(*configs))
    return Comparison(rows, tuple(_differences(a.baseline, b.baseline)), settings,
                      tuple(_remarks(a, b, settings)))  # fmt: skip


def _row(name: str, a: Coded | None, b: Coded | None) -> Row:
    part = _common_part(a, b)
    return Row(
        name,
        (a.bits if a else None, b.bits if b else None),
        (a.drop if a else None, b.drop if b else None),
        (_saved(a, part), _saved(b, part)),
        part,
    )


def _common_part(a: Coded | None, b: Coded | None) -> str | None:
    """A memory that both know, or the only one's, verified ones first."""
    if a is None or b is None:
        memory = memory_of(a or b) if a or b else None  # type: ignore[arg-type]
        return memory.part if memory else None
    known = {memory.part for memory in b.memories}
    found = sorted((m for m in a.memories if m.part in known), key=lambda m: not m.verified)
    return found[0].part if found else None


def _saved(coded: Coded | None, part: str | None) -> float | None:
    memories = coded.memories if coded else ()
    return next((m.incremental.saved for m in memories if m.part == part), None)


def _differences(a: dict, b: dict) -> Iterator[tuple[str, str, str]]:
    first, second = dict(flatten(a)), dict(flatten(b))
    for key in {**first, **second}:
        if key not in first or key not in second or first[key] != second[key]:
            yield shown(key), _text(first, key), _text(second, key)


def _text(found: dict, key: str) -> str:
    return shown(found[key]) if key in found else "(none)"


def _remarks(a: Result, b: Result, settings: tuple[tuple[str, str, str], ...]) -> Iterator[str]:
    if a.network != b.network:
        yield (
            f"the networks differ ({shown(a.network)}, {shown(b.network)}): so do the maps, and "
            f"a difference says little about the codecs"
        )
    changed = [key for key, *_ in settings if is_digest(key)]
    if changed:
        yield f"{', '.join(changed)} differ: bits and drops are of other pictures or weights"
    if a.pictures != b.pictures:
        yield f"{a.pictures} and {b.pictures} pictures: drops have intervals of other widths"
