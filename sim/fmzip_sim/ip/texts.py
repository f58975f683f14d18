"""Files of an exported core that follow from tables: registers, bench, packaging."""

from collections.abc import Iterable
from textwrap import wrap

from fmzip import __version__
from fmzip import format as fmt
from fmzip.format import HEAD, Coder, Transform
from fmzip.ipregs import ADDRESS_BITS, CORE_MAP, FAULT_MEANING, CoreFault, core_ident
from fmzip.regs import MAX_TILES, Access
from fmzip_sim.ip.vectors import Vectors
from fmzip_sim.ip.verilog import SIDES, core_name

_LICENCE = "SPDX-License-Identifier: Apache-2.0"
_NUMBERS = (
    "MAGIC", "VERSION", "STATIC_BYTES", "CONFIG_BYTES", "INDEX_OFFSET", "INDEX_BYTES",
    "INDEX_OFFSET_BITS", "CRC_BYTES", "QUANT_SHIFT", "RANS_QUANT_SHIFT", "DEQUANT_SHIFT",
    "DEQUANT_BITS", "INVERSE_SHIFT", "WIDTH_BITS", "WIDTH_MAX", "ESCAPES_MAX",
    "TILE_BLOCKS_MAX", "TILE_SLOTS_MAX", "ROW_SLOTS_MAX", "POSITION_SLOTS_MAX",
)  # fmt: skip


def c_header() -> str:
    """Registers and numbers of the format as C macros."""
    lines = [
        f"/* {_LICENCE}", " * Registers of the cores, numbers of the frame format. Generated. */",
        "#ifndef FMZIP_CORE_H", "#define FMZIP_CORE_H", "",
        f"#define FMZIP_IDENT_VALUE {core_ident():#010x}u",
        f"#define FMZIP_ADDRESS_BITS {ADDRESS_BITS}",
        f"#define FMZIP_MAX_TILES {MAX_TILES}", "",
    ]  # fmt: skip
    for r in CORE_MAP:
        upper = r.name.upper()
        lines.append(f"#define FMZIP_{upper} {r.address:#04x} /* {r.meaning} */")
        for f in r.fields:
            mask = ((1 << f.size) - 1) << f.low
            lines.append(f"#define FMZIP_{upper}_{f.name.upper()} {mask:#x}u /* {f.meaning} */")
            if f.size > 1:
                lines.append(f"#define FMZIP_{upper}_{f.name.upper()}_LOW {f.low}")
    lines += ["", "enum {"]
    lines += [f"    FMZIP_FAULT_{e.name} = {e.value}, /* {FAULT_MEANING[e]} */" for e in CoreFault]
    lines += ["};", ""]
    lines += [f"#define FMZIP_{name} {getattr(fmt, name):#x}" for name in _NUMBERS]
    lines += [f"#define FMZIP_CODER_{c.name} {c.value}" for c in Coder]
    lines += [f"#define FMZIP_TRANSFORM_{t.name} {t.value}" for t in Transform]
    for field in HEAD:
        lines.append(f"#define FMZIP_AT_{field.name.upper()} {field.offset}")
        lines.append(f"#define FMZIP_SIZE_{field.name.upper()} {field.size}")
    numbers = {
        "CLASS_STARTS": fmt.CLASS_STARTS,
        "PRICES": [0, *(fmt.price(f) for f in range(1, 256))],  # by frequency, in 1/16 bit
    }
    for name, found in numbers.items():
        text = " \\\n    ".join(wrap(", ".join(map(str, found)), 90))
        lines.append(f"#define FMZIP_{name} {{ \\\n    {text}}}")
    rows = ", \\\n    ".join("{" + ", ".join(map(str, row)) + "}" for row in fmt.DCT8)
    lines += [f"#define FMZIP_DCT8 {{ \\\n    {rows}}}", "", "#endif", ""]
    return "\n".join(lines)


def system_rdl() -> str:
    """Registers as SystemRDL 2.0."""
    access = {Access.READ: ("r", "w"), Access.WRITE: ("rw", "r"), Access.STROBE: ("w", "r")}
    lines = [
        f"// {_LICENCE}", "// Registers of the cores. Generated.", "addrmap fmzip_core {",
        '  name = "fmzip core";', "  default regwidth = 32;", "  default accesswidth = 32;", "",
    ]  # fmt: skip
    for r in CORE_MAP:
        software, hardware = access[r.access]
        if r.name == "tables":
            software = "w"
        lines += ["  reg {", f'    desc = "{r.meaning}";']
        for f in r.fields:
            single = "; singlepulse" if r.access == Access.STROBE else ""
            reset = " = 0" if r.access == Access.STROBE else ""
            high = f.low + f.size - 1
            lines.append(
                f'    field {{ desc = "{f.meaning}"; sw = {software}; hw = {hardware}{single}; }} '
                f"{_field(f.name)}[{high}:{f.low}]{reset};"
            )
        if not r.fields:
            reset = f" = 32'h{core_ident():08x}" if r.name == "ident" else ""
            lines.append(f"    field {{ sw = {software}; hw = {hardware}; }} value[31:0]{reset};")
        array = f"[{r.words}]" if r.words > 1 else ""
        lines += [f"  }} {_field(r.name)}{array} @ {r.address:#04x};", ""]
    return "\n".join((*lines, "};", ""))


def _field(name: str) -> str:
    return f"\\{name}" if name in ("all", "abstract", "default", "alias") else name


def fusesoc(codec: str, vectors: Iterable[str], *, axi: bool) -> str:
    """A FuseSoC core file; its bench reads the files named ``vectors``."""
    hex_files = "\n".join(
        f"      - tb/vectors/{name}: {{copyto: vectors/{name}}}"
        for name in sorted(vectors)
        if name.endswith(".hex")
    )
    rtl = "\n".join(f"      - rtl/{core_name(codec, side)}.v" for side in SIDES)
    return f"""CAPI=2:
# {_LICENCE}
name: fmzip:ip:{codec}:{__version__}
description: Feature-map codec {codec}, encoder and decoder, {_ports(axi)} ports

filesets:
  rtl:
    files:
{rtl}
    file_type: verilogSource
  bench:
    files:
      - tb/fmzip_tb_params.vh: {{is_include_file: true}}
      - tb/fmzip_tb_cores.vh: {{is_include_file: true}}
      - tb/fmzip_tb.v
      - tb/fmzip_icarus.v
    file_type: verilogSource
  vectors:
    files:
{hex_files}
    file_type: user

targets:
  default: &default
    filesets: [rtl]
    toplevel: {core_name(codec, "encoder")}
  encoder:
    <<: *default
  decoder:
    <<: *default
    toplevel: {core_name(codec, "decoder")}
  sim:
    <<: *default
    filesets: [rtl, bench, vectors]
    toplevel: fmzip_icarus
    flow: sim
    flow_options:
      tool: icarus
      iverilog_options: [-g2005]
"""


def _ports(axi: bool) -> str:
    return "AXI4-Stream and AXI4-Lite" if axi else "valid/ready"


def constraints(*, axi: bool) -> dict[str, str]:
    """Clock constraints for the usual tools."""
    clock = "aclk" if axi else "clk"
    return {
        "fmzip.sdc": (
            f"# {_LICENCE}\n"
            "# The period is yours; the README of fmzip says what was reached on an ECP5.\n"
            f"create_clock -name {clock} -period 10.000 [get_ports {clock}]\n"
            "# Inputs and outputs are registered outside: a third of the period each.\n"
            f"set_input_delay -clock {clock} 3.3 [all_inputs]\n"
            f"set_output_delay -clock {clock} 3.3 [all_outputs]\n"
        ),
        "fmzip.lpf": f'# {_LICENCE}\nFREQUENCY PORT "{clock}" 100 MHZ;\n',
    }


def bench_params(lanes: int, found: Vectors) -> str:
    """Sizes of the bench."""
    of = found.lines
    rows = {
        "LANES": lanes,
        "LARGE": found.large,
        "LIMIT": 20 * sum(of.values()) + 100_000,
        "ENC_STEPS": of["encoder_program.hex"],
        "ENC_IN": of["encoder_in.hex"],
        "ENC_OUT": of["encoder_out.hex"],
        "DEC_STEPS": of["decoder_program.hex"],
        "DEC_IN": of["decoder_in.hex"],
        "DEC_OUT": of["decoder_out.hex"],
    }
    return f"// {_LICENCE}\n" + "".join(f"`define FMZIP_{k} {v}\n" for k, v in rows.items())
