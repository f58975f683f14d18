"""Proofs of the gateware: what holds for every input, by induction or for so many cycles.

solve     SymbiYosys, yosys and Z3
streams   the stream contract, order of what passes
packing   bits through the packer
axilite   handshakes of the register port
sdram     timing table and refresh of the SDRAM controller
liveness  nothing stops the frame parser
seed      components with a bug, which a proof must find
proofs    the list
"""
