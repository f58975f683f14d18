"""The golden vectors of this checkout through a board: what files of old versions look like."""

import importlib.util
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from fmzip.device import VIRTUAL, Device
from fmzip.errors import FmzipError
from fmzip.experiments.hil import check_frame, check_values
from fmzip_sim.tb import cases

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "tests" / "golden"  # with a folder for each version


@dataclass(frozen=True)
class GoldenResult:
    """What was compared.

    Members
    -------
    tier : simulated or measured
    vectors : their names, version first
    skipped : names of those that this board cannot take, and why
    frame_bytes, values : how many were equal
    """

    tier: str
    vectors: list[str]
    skipped: dict[str, str]
    frame_bytes: int
    values: int


def check(
    port: str = VIRTUAL, folder: Path = FOLDER, log: Callable[[str], None] = lambda line: None
) -> GoldenResult:
    """Encode and decode the golden vectors of all versions on a board, and compare every byte.

    Raises
    ------
    MismatchError : a frame or a value is not the one of the vector; names vector and place
    FmzipError : there are no vectors, or the board cannot be used
    """
    given = vectors(folder)
    names: list[str] = []
    skipped: dict[str, str] = {}
    frame_bytes = values = 0
    with Device(port) as device:
        for case in given:
            try:
                device.check(case.config)
            except ValueError as error:
                skipped[case.name] = str(error)
                continue
            log(case.name)
            tables = None if case.coding is None else case.coding.tables
            size = device.encode(case.values, case.config, coding=case.coding)
            check_frame(case.name, device.read_memory(0, size), case.frame)
            check_values(case.name, device.decode(case.config, tables=tables), case.decoded)
            names.append(case.name)
            frame_bytes += len(case.frame)
            values += case.values.size
        return GoldenResult(device.tier, names, skipped, frame_bytes, values)


def vectors(folder: Path = FOLDER) -> list[cases.Case]:
    """The golden vectors of all versions, named like ``v1/raw_tiles``; FmzipError without any."""
    versions = {number: path for path in folder.glob("v*") if (number := _number(path.name))}
    found = [
        replace(case, name=f"{version.name}/{case.name}")
        for _, version in sorted(versions.items())
        for case in cases.golden(version)
    ]
    if not found:
        raise FmzipError(f"{folder}: no golden vectors; they are in a checkout of the repository")
    return found


def make(version: str, root: Path = ROOT) -> list[str]:
    """Make all vectors anew, as the reference codes them now, in the folder of a new version.

    Returns
    -------
    paths below ``root`` of what was written

    Raises
    ------
    FmzipError : the version is there, since vectors are never changed; or this is not a checkout
    ValueError : that is no name of a version
    """
    if _number(version) is None:
        raise ValueError(f"a version is v and a number, such as v3, not {version!r}")
    script = root / "tests" / "make_golden.py"
    if not script.is_file():
        raise FmzipError(f"{script}: missing; golden vectors are made in a checkout")
    folder = root / "tests" / "golden" / version
    if folder.exists():
        raise FmzipError(f"{folder}: exists, and golden vectors are never changed; name a new one")
    spec = importlib.util.spec_from_file_location("make_golden", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    part = folder.with_name(f".{version}.part")  # a run that was cut off leaves no version behind
    shutil.rmtree(part, ignore_errors=True)
    module.make(part)
    part.rename(folder)
    return sorted(str(path.relative_to(root)) for path in folder.glob("*.json"))


def _number(version: str) -> int | None:
    """2 of v2; None of what is no version."""
    found = re.fullmatch(r"v([1-9]\d*)", version)
    return int(found[1]) if found else None
