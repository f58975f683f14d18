"""The generated parts of the documents: one registry, one mechanism."""

from fmzip.docgen.update import DOCUMENTS, PARTS, ROOT, update

__all__ = ["DOCUMENTS", "PARTS", "ROOT", "update"]
