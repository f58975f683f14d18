"""Amaranth gateware of fmzip: encoder and decoder, and the system around them.

Widths, matrices and the layout of the head come from ``fmzip.format``; nothing here imports the
NumPy reference, so that both are independent readings of one format.
"""
