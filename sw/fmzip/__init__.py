"""fmzip: feature-map compression for CNN accelerators, bit-exact from NumPy to gateware."""

__version__ = "0.1.0"
