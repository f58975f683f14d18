"""Benches on the emitted Verilog: encoder and decoder against the NumPy reference.

    cases     frames to run: made from seeds, or from golden vectors and real maps
    wire      what must be on the wires, transfer by transfer
    compare   the first difference, by tile, block and lane
    driver    drives one component and checks the stream contract
    products  matrices and positions of the projection engine's bench
    encoder, decoder   what runs inside the simulator, as cocotb tests
    runner    builds, runs, and reads the results

A bench needs no PyTorch: real maps come to it through a file.
"""
