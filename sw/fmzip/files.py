"""Writing files so that a reader sees either the whole new file or what was there before."""

import errno
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file through a temporary one in the same directory, flushed and then renamed.

    A link is followed, and permissions are those of the old file, or the default ones. Whatever
    fails, the temporary file is removed, and what was at ``path`` stays as it was.

    Raises
    ------
    OSError : with ``path`` as its file name
    """
    target = Path(os.path.realpath(path))
    try:
        mode = _mode(target)
        # A fixed prefix: one made of the file's name could be too long for the file system.
        handle, temporary = tempfile.mkstemp(prefix=".fmzip-", suffix=".tmp", dir=target.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                os.fchmod(handle, mode)
                file.write(data)
                file.flush()
                os.fsync(handle)
            Path(temporary).replace(target)
        except BaseException:
            with suppress(OSError):
                Path(temporary).unlink()
            raise
        _sync_directory(target.parent)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def _mode(target: Path) -> int:
    """Permissions for the new file; OSError where something other than a file is in its place."""
    try:
        found = target.stat().st_mode
    except FileNotFoundError:
        umask = os.umask(0)
        os.umask(umask)
        return 0o666 & ~umask
    if not stat.S_ISREG(found):
        # Renaming would replace a device or pipe by a file.
        raise OSError(errno.EINVAL, "is not a regular file, so it cannot be written", str(target))
    return stat.S_IMODE(found)


def _sync_directory(directory: Path) -> None:
    """Make a rename durable; not every file system can, and then the file is still complete."""
    with suppress(OSError):
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
