"""Finished batches of a run on disk, so that the same command goes on where it was stopped."""

import hashlib
import io
import json
import os
import shutil
import time
import zipfile
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from fmzip.errors import FmzipError
from fmzip.files import write_atomic

Arrays = dict[str, np.ndarray]

_ABOUT = "manifest.json"
_KEPT_S = 30 * 24 * 3600  # then unfinished work in the cache is removed


def _forget_old(directory: Path) -> None:
    """Remove work that nobody came back to."""
    for about in directory.glob(f"*/{_ABOUT}"):
        with suppress(OSError):
            if time.time() - about.stat().st_mtime > _KEPT_S:
                shutil.rmtree(about.parent, ignore_errors=True)


def cache_directory() -> Path:
    """Where work is kept that no option names a place for."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "fmzip" / "measure"


class Checkpoint:
    """One directory per manifest.

    Parameters
    ----------
    manifest : everything that the results depend on, as JSON values
    directory : that holds the directories; None for the user's cache

    Raises
    ------
    FmzipError, OSError : the directory cannot be made
    """

    def __init__(self, manifest: Mapping[str, Any], directory: Path | None = None) -> None:
        text = json.dumps(manifest, sort_keys=True, indent=2) + "\n"
        key = hashlib.sha256(text.encode()).hexdigest()[:24]
        self._given = directory is not None
        if not self._given:
            _forget_old(cache_directory())
        self.path = (cache_directory() if directory is None else directory) / key
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise FmzipError(f"{self.path.parent}: not a directory for unfinished work") from None
        write_atomic(self.path / _ABOUT, text.encode())

    def _file(self, batch: int) -> Path:
        return self.path / f"batch-{batch:06d}.npz"

    def save(self, batch: int, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep a batch; OSError where that is impossible, such as on a full disk."""
        data = io.BytesIO()
        np.savez(data, **arrays)  # type: ignore[arg-type]
        write_atomic(self._file(batch), data.getvalue())

    def load(self, batch: int, names: Collection[str], pictures: int) -> Arrays | None:
        """A batch that was kept; None if there is none, or if it is damaged.

        Parameters
        ----------
        names, pictures : what a whole one has
        """
        try:
            with self._file(batch).open("rb") as file, np.load(file, allow_pickle=False) as found:
                arrays = dict(found)
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
            return None  # it is computed again
        whole = arrays.keys() == set(names) and all(len(a) == pictures for a in arrays.values())
        return arrays if whole else None

    def discard(self) -> None:
        """Remove what was kept, unless its directory was named by the user."""
        if not self._given:
            shutil.rmtree(self.path, ignore_errors=True)
