"""Export of encoder and decoder as cores for other designs: Verilog, and all that goes with it.

names     readable identifiers for what Amaranth emits
verilog   the cores as Verilog
vectors   frames that the exported benches run, from the reference
texts     files that depend on codec, lanes and ports
export    the folder
"""
