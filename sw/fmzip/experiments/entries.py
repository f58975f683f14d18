"""What ``fmzip measure`` compares: codecs at one or several steps, and baselines."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fmzip import codecfile
from fmzip.baselines import BASELINES
from fmzip.codecfile import CodecFile
from fmzip.codecs import CAP, CODECS, FMZ, GF2, PROJECTION_CODECS, ProjectionCodec

FILE_SUFFIX = ".toml"  # of the names that are codec files
_FILE_SOURCES = {
    FMZ: "this project: docs/format.md, section 10; allocated without training",
    CAP: (
        "after Tai et al., arXiv 2110.08828: fewer components than channels, learned matrices; "
        "recipe and metric are this project's"
    ),
    GF2: (
        "after Gudovskiy et al., arXiv 1808.05285: bit planes through learned binary layers; start "
        "and recipe are this project's"
    ),
}

KINDS = ("codec", "lossless", "bound", "requantise")


@dataclass(frozen=True)
class Entry:
    """One line of the results.

    Members
    -------
    name : of the line: the codec's, with its step behind ``@`` where there are several
    method : key of ``CODECS``, ``PROJECTION_CODECS`` or ``BASELINES``
    kind : one of ``KINDS``
    step_std : quantisation step in standard deviations of the layer; None for baselines and where
        a file says all
    file : of a codec that ``fmzip allocate``, ``train-projection`` or ``train-gf2`` made;
        ``method`` is fmz, cap or gf2
    """

    name: str
    method: str
    kind: str
    step_std: float | None = None
    file: Path | None = None

    @property
    def lossless(self) -> bool:
        return self.kind == "lossless"

    @property
    def bound(self) -> bool:
        return self.kind == "bound"

    @property
    def lossy(self) -> bool:
        """The network answers with other integers, so it has to run with this in the loop."""
        return self.kind in ("codec", "requantise")

    @property
    def source(self) -> str:
        """Where it comes from."""
        if self.file is not None:
            return _FILE_SOURCES[self.method]
        known = CODECS.get(self.method) or self.projection or BASELINES[self.method]
        return known.source

    @property
    def projection(self) -> ProjectionCodec | None:
        """The codec whose matrices are made on the calibration pictures; None for any other."""
        return PROJECTION_CODECS.get(self.method)


def known_names() -> tuple[str, ...]:
    """Names that ``entries`` takes."""
    return (*CODECS, *PROJECTION_CODECS, *BASELINES)


def entries(names: Sequence[str], steps: Sequence[float]) -> tuple[Entry, ...]:
    """The lines of a run.

    Parameters
    ----------
    names : of codecs and baselines, and codec files, each once
    steps : in standard deviations; with more than one, each codec has a line for every step

    Raises
    ------
    ValueError : an unknown or repeated name or step, or none
    """
    if not names:
        raise ValueError(f"codec must be one or more of {', '.join(known_names())}")
    for what, given in (("codec", names), ("step", steps)):
        for item in given:
            if list(given).count(item) > 1:
                raise ValueError(f"{what} {item} is given more than once")
    if not steps:
        raise ValueError("give at least one step")
    for step in steps:
        if not 0 < step < float("inf"):
            raise ValueError(f"step must be above 0 standard deviations, not {step:g}")
    found = []
    files = {name: codecfile.load(Path(name)) for name in names if name.endswith(FILE_SUFFIX)}
    for name in names:
        if name in files:
            found.append(_of_file(Path(name), files[name], several=len(files) > 1))
        elif name in CODECS or name in PROJECTION_CODECS:
            several = len(steps) > 1
            found += [
                Entry(f"{name}@{step:g}" if several else name, name, "codec", step)
                for step in steps
            ]
        elif name in BASELINES:
            found.append(Entry(name, name, _kind(name)))
        else:
            raise ValueError(
                f"codec must be one of {', '.join(known_names())} or a file CODEC.toml, "
                f"not {name!r}"
            )
    lines = [entry.name for entry in found]
    for name in lines:
        if lines.count(name) > 1:
            raise ValueError(f"two codecs are called {name}: rename one, or its file")
    return tuple(found)


def _of_file(path: Path, codec: CodecFile, several: bool) -> Entry:
    budget = codec.about.get("budget", path.stem)
    name = f"{codec.name}@{budget}" if several else codec.name
    method = CAP if codec.projects else GF2 if codec.of_planes else FMZ
    return Entry(name, method, "codec", None, path)


def _kind(name: str) -> str:
    baseline = BASELINES[name]
    if baseline.bound:
        return "bound"
    return "lossless" if baseline.lossless else "requantise"
