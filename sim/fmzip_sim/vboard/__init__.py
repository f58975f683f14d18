"""The virtual board: the whole system compiled to native code, behind a pyserial URL.

``fmzip.ports`` in ``pyproject.toml`` names this package; pyserial then finds the scheme
``vboard:`` in ``protocol_vboard``.
"""
