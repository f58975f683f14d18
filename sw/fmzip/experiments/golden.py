"""The golden vectors of this checkout through a board: what files of old versions look like."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fmzip.device import VIRTUAL, Device
from fmzip.errors import FmzipError
from fmzip.experiments.hil import check_frame, check_values
from fmzip_sim.tb import cases

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "tests" / "golden" / "v1"  # of the format that boards speak


@dataclass(frozen=True)
class GoldenResult:
    """What was compared.

    Members
    -------
    tier : simulated or measured
    vectors : their names
    skipped : names of those that this board is too small for, and why
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
    """Encode and decode every golden vector on a board, and compare every byte.

    Raises
    ------
    MismatchError : a frame or a value is not the one of the vector; names vector and place
    FmzipError : there are no vectors, or the board cannot be used
    """
    given = _vectors(folder)
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
            size = device.encode(case.values, case.config)
            check_frame(case.name, device.read_memory(0, size), case.frame)
            check_values(case.name, device.decode(case.config), case.decoded)
            names.append(case.name)
            frame_bytes += len(case.frame)
            values += case.values.size
        return GoldenResult(device.tier, names, skipped, frame_bytes, values)


def _vectors(folder: Path) -> list[cases.Case]:
    found = cases.golden(folder)
    if not found:
        raise FmzipError(f"{folder}: no golden vectors; they are in a checkout of the repository")
    return found


def make(root: Path = ROOT) -> list[str]:
    """Make the vectors that are missing; those that are there stay as they are, whatever changed.

    Returns
    -------
    paths below ``root`` of what was written

    Raises
    ------
    FmzipError : this is not a checkout
    """
    script = root / "tests" / "make_golden.py"
    if not script.is_file():
        raise FmzipError(f"{script}: missing; golden vectors are made in a checkout")
    spec = importlib.util.spec_from_file_location("make_golden", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    folder = root / "tests" / "golden"
    before = set(folder.rglob("*.json"))
    module.main()
    return sorted(str(path.relative_to(root)) for path in set(folder.rglob("*.json")) - before)
