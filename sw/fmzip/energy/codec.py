"""The energy of a codec's own logic: modelled from its operations, where fmzip has gateware for it.

A model with two steps, neither of them measured:

1. What the gateware does to one value, times what Horowitz (Computing's energy problem, ISSCC 2014,
   figure 1.1.9: 45 nm, 0.9 V) gives for such an operation: a 32-bit addition 0.1 pJ, a 32-bit
   multiplication 3.1 pJ, 64 bits from 8 KiB of SRAM 10 pJ. Additions are scaled by their width,
   multiplications by both widths. Registers, clock tree, control and wires are left out.
2. On an FPGA, 14 times that: the average ratio of dynamic power of Kuon and Rose (Measuring the gap
   between FPGAs and ASICs, IEEE TCAD 26(2), 2007), at 90 nm and for logic without hard blocks.

So the first is a lower bound for standard cells at 45 nm, and the second right within a factor of a
few. A measurement at the board's supply replaces both.
"""

from dataclasses import dataclass

ADD_PJ_PER_BIT = 0.1 / 32
MULTIPLY_PJ_PER_BIT2 = 3.1 / 32**2
SRAM_PJ_PER_BIT = 10 / 64
FPGA_FACTOR = 14.0
SOURCE = (
    "operations of fmzip's gateware x Horowitz, ISSCC 2014 (45 nm), without registers, clock and "
    "wires: a lower bound"
)
FPGA_SOURCE = f"{SOURCE}; x {FPGA_FACTOR:g} for an FPGA, Kuon and Rose, TCAD 2007"


@dataclass(frozen=True)
class Operations:
    """What is done to one value in one direction.

    Members
    -------
    add_bits : bits of all additions; shifts by a constant are free
    multiply_bits2 : product of the factors' widths, of all multiplications
    raw_sram_bits : bits written to or read from buffers, whatever they are coded to
    coded_accesses : how often each coded bit is written to or read from buffers
    """

    add_bits: float
    multiply_bits2: float
    raw_sram_bits: float
    coded_accesses: float

    def pj(self, coded_bits: float) -> float:
        """Energy of one value that is coded to so many bits, pJ, standard cells at 45 nm."""
        sram_bits = self.raw_sram_bits + self.coded_accesses * coded_bits
        return (
            ADD_PJ_PER_BIT * self.add_bits
            + MULTIPLY_PJ_PER_BIT2 * self.multiply_bits2
            + SRAM_PJ_PER_BIT * sram_bits
        )


# 50 additions of 18 bits for 8 values are the 8-point transform of H.265 without multipliers. The
# encoder multiplies 18 by 17 bits, rounds, and keeps each tile raw and coded until the smaller is
# known; the decoder multiplies 12 by 16 bits, rounds, and keeps the coded sections.
_TRANSFORM_BITS = 50 * 18 / 8
_ENCODE = Operations(_TRANSFORM_BITS + 11, 18 * 17, 8, 2)
_DECODE = Operations(_TRANSFORM_BITS + 13 + 8, 12 * 16, 0, 2)
# fmz: 2 additions of 11 bits for a Walsh-Hadamard transform; the encoder multiplies 11 by 17 bits,
# three errors of 9 bits by 4, a state of 16 bits by a reciprocal of 17, its quotient of 8 by a
# frequency of 8, and adds in 17 bits or so six times. Its buffers: class (3 bits) and error (9) of
# the row above, symbol and statistic (13) until the tile is turned round, each written and read;
# read from tables: statistic (5), limit and price (13), frequency, sum and reciprocal (36). The
# decoder multiplies 8 by 8 and 11 by 16; classes, and statistic, token and frequency read.
_FMZ_ENCODE = Operations(2 * 11 + 6 * 17, 11 * 17 + 3 * 9 * 4 + 16 * 17 + 8 * 8, 2 * 25 + 54, 2)
_FMZ_DECODE = Operations(2 * 11 + 4 * 17, 8 * 8 + 11 * 16, 2 * 3 + 5 + 5 + 16, 2)
# pcavlc and cap: products of 9 by 12 bits in the encoder, of 8 by 12 in the decoder, each added in
# 34 bits, each entry read from a memory for each product; code and length of a symbol (19 bits)
# read in the encoder, token and length (10) in the decoder, some additions in 8 bits, and the bits
# of a tile kept until it is known whether it is raw. Products differ from map to map.
_HUFFMAN_ENCODE = Operations(2 * 8, 0, 8 + 19, 2)
_HUFFMAN_DECODE = Operations(4 * 16, 0, 10, 2)
# gf2: each weight of a layer is read from a memory for each position, two bits or one over GF(2). A
# plane that is counted costs an adder of a bit for each sign, one over GF(2) a gate, taken as half
# of such an adder. Of a decoder's sums each integer has 12 bits and is added in 24.
_COUNTED = Operations(2, 0, 2, 0)
_XORED = Operations(0.5, 0, 1, 0)
_ADDED = Operations(24, 0, 12, 0)
_OPERATIONS = {
    "dctcm": (_ENCODE, _DECODE),
    "dctcm-width": (_ENCODE, _DECODE),
    "fmz": (_FMZ_ENCODE, _FMZ_DECODE),
}
_PROJECTING = (_HUFFMAN_ENCODE, _HUFFMAN_DECODE)
_FORWARD_PRODUCT = Operations(34, 9 * 12, 12, 0)
_INVERSE_PRODUCT = Operations(34, 8 * 12, 12, 0)


@dataclass(frozen=True)
class Products:
    """Multiply-accumulates of projections.

    Members
    -------
    write, read : for each value that is written, and that is read
    """

    write: float
    read: float


@dataclass(frozen=True)
class PlaneWork:
    """What bit planes take for the maps of one picture: numbers of one-bit or integer operations.

    Members
    -------
    counted : weights that planes are counted with: -1, 0 or 1
    xored : weights over GF(2)
    added : integers that are added where a plane is 1
    symbols, read_symbols : of planes that are coded further, written and read
    """

    counted: float = 0.0
    xored: float = 0.0
    added: float = 0.0
    symbols: float = 0.0
    read_symbols: float = 0.0

    def __add__(self, other: "PlaneWork") -> "PlaneWork":
        own, others = vars(self), vars(other)
        return PlaneWork(**{name: own[name] + others[name] for name in own})

    @property
    def pj(self) -> float:
        """Energy, pJ, standard cells at 45 nm."""
        return (
            _COUNTED.pj(0) * self.counted
            + _XORED.pj(0) * self.xored
            + _ADDED.pj(0) * self.added
            + _HUFFMAN_ENCODE.pj(0) * self.symbols
            + _HUFFMAN_DECODE.pj(0) * self.read_symbols
        )


@dataclass(frozen=True)
class CodecEnergy:
    """Energy of a codec's own logic for some traffic, pJ; each is None where it is not known.

    Members
    -------
    cells_pj : standard cells at 45 nm
    fpga_pj : an FPGA
    reason : why both are None, or ""
    """

    cells_pj: float | None
    fpga_pj: float | None
    reason: str = ""


def codec_energy(
    name: str | None, write_values: int, read_values: int, coded_bits: float,
    products: Products | None = None, planes: PlaneWork | None = None,
) -> CodecEnergy:  # fmt: skip
    """Energy of encoding what is written and decoding what is read.

    Parameters
    ----------
    name : of the codec; None where it has none
    write_values, read_values : number of values
    coded_bits : bits per value on the bus
    products : of a codec that projects
    planes : of a codec of bit planes, for all that is written and read
    """
    if planes is not None:
        return CodecEnergy(planes.pj, FPGA_FACTOR * planes.pj)
    if products is not None:
        encode, decode = _PROJECTING
        pj = encode.pj(coded_bits) * write_values + decode.pj(coded_bits) * read_values
        pj += _FORWARD_PRODUCT.pj(0) * products.write * write_values
        pj += _INVERSE_PRODUCT.pj(0) * products.read * read_values
        return CodecEnergy(pj, FPGA_FACTOR * pj)
    if name not in _OPERATIONS:
        which = "this codec" if name is None else name
        return CodecEnergy(None, None, f"fmzip has no gateware for {which}: nothing to count")
    encode, decode = _OPERATIONS[name]
    pj = encode.pj(coded_bits) * write_values + decode.pj(coded_bits) * read_values
    return CodecEnergy(pj, FPGA_FACTOR * pj)
