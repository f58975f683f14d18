"""The errors of fmzip, and who is to blame for each.

ValueError, TypeError   the caller passed something impossible (plain Python errors)
FmzipError              everything else that is foreseen; its text is one line, fit for a user
  FormatError           the bytes are not a frame, or not an intact one
  LinkError             the board is missing, mute, or says something impossible
  ToolError             an external tool is missing or failed
  MismatchError         two things that must be equal are not
"""


class FmzipError(Exception):
    """Base of all errors that fmzip raises on purpose; ``str()`` is one line for a user."""


class FormatError(FmzipError):
    """Bytes that are not a valid frame: foreign, truncated, corrupt, or of another version."""


class LinkError(FmzipError):
    """A device that cannot be opened, does not answer in time, or answers nonsense."""


class ToolError(FmzipError):
    """An external tool (compiler, synthesiser, simulator) that is missing or failed."""


class MismatchError(FmzipError):
    """Board and reference, or two other things that must agree, do not."""
