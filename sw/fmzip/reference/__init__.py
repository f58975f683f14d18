"""The bit-exact NumPy reference: integer arrays in, integer arrays out, no float, no globals."""

from fmzip.reference.frame import decode, encode
from fmzip.reference.head import Head, frame_bytes, parse_head, split_frame
from fmzip.reference.summary import summary

__all__ = ["Head", "decode", "encode", "frame_bytes", "parse_head", "split_frame", "summary"]
