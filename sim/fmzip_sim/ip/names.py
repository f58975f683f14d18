"""Readable names: RTLIL as Amaranth writes it, with plain Verilog identifiers.

Amaranth joins the parts of a name by two underscores, those of a module by dots, and numbers names
that meet in one module. All of that is legal, but has to be escaped in Verilog.
"""

import re
from collections.abc import Iterable

_IDENTIFIER = re.compile(r"\\\S+")
# Lines whose identifiers are names of the module; others have names of attributes and parameters.
_NAMING = ("wire", "memory", "assign", "switch", "case", "update", "memwr", "sync")
# Names that occur, or could, and that Verilog or SystemVerilog reserves.
_KEYWORDS = frozenset("""
    always and assign begin bit buf byte case cell checker class clocking config const context
    cover default do edge else end enum event expect export extends final first_match for force
    fork function generate global if import include initial inout input inside instance int
    integer interface join large let library local logic longint medium module nand negedge new
    nor not null or output package parameter posedge primitive priority program property pull0
    pull1 rand real ref reg release repeat restrict return scalared sequence shortint signed
    small solve specify static string strong struct super supply0 supply1 table tagged task this
    throughout time timeprecision timeunit tri type union unique unsigned until use var vectored
    virtual void wait weak while wildcard wire with within xnor xor
""".split())  # fmt: skip # noqa: SIM905


def _plain(name: str) -> str:
    """An identifier without what would have to be escaped; its number is taken off."""
    name = re.sub(r"\$\d+$", "", name.lstrip("\\"))
    name = re.sub(r"[^A-Za-z0-9_]+|__+", "_", name).strip("_") or "net"
    return f"n_{name}" if name[0].isdigit() or name in _KEYWORDS else name


def _mapping(names: Iterable[str]) -> dict[str, str]:
    """A plain name for each, all different; those that are plain already stay."""
    given = list(dict.fromkeys(names))
    taken = {n[1:] for n in given if _plain(n) == n[1:]}
    out = {n: n for n in given if n[1:] in taken}
    for name in given:
        if name in out:
            continue
        base = plain = _plain(name)
        number = 1
        while plain in taken:
            number += 1
            plain = f"{base}_{number}"
        taken.add(plain)
        out[name] = f"\\{plain}"
    return out


def readable(netlist: str) -> str:
    """RTLIL text with plain names of modules, cells, ports and wires; ports of the top stay.

    Parameters
    ----------
    netlist : as ``amaranth.back.rtlil`` writes it, without attributes of the source
    """
    lines = netlist.splitlines()
    modules: dict[str, list[str]] = {}
    current = ""
    for line in lines:
        words = line.split()
        if not words:
            continue
        if words[0] == "module":
            current = words[1]
            modules[current] = []
        elif words[0] in ("wire", "memory") and words[-1].startswith("\\"):
            modules[current].append(words[-1])
        elif words[0] == "cell" and words[2].startswith("\\"):
            modules[current].append(words[2])
    maps = {name: _mapping(names) for name, names in modules.items()}
    types = _mapping(modules)
    out = []
    of_cell: dict[str, str] | None = None  # names of the ports of the cell
    for line in lines:
        words = line.split()
        kind = words[0] if words else ""
        if kind == "module":
            current = words[1]
            line = f"module {types[current]}"
        elif kind == "cell":
            of_cell = maps.get(words[1])
            inst = maps[current].get(words[2], words[2])
            line = f"  cell {types.get(words[1], words[1])} {inst}"
        elif kind == "connect" and of_cell is not None:
            rest = line.split(None, 2)[2]
            line = f"    connect {of_cell[words[1]]} {_rename(rest, maps[current])}"
        elif kind == "connect" or kind in _NAMING:
            # A port of a primitive cell has no entry, and stays.
            line = _rename(line, maps[current])
        if kind == "end":
            of_cell = None
        out.append(line)
    return "\n".join((*out, ""))


def without_escapes(verilog: str) -> str:
    """Verilog without the escaped names that yosys gives to single bits of registers.

    Its hints in comments become attributes, as the standard has them.
    """
    verilog = re.sub(r"\\([A-Za-z_]\w*)\[(\d+)\] ", r"\1_bit\2 ", verilog)
    return re.sub(
        r"^( *)(casez? \(.*\)) // synopsys parallel_case$",
        r"\1(* parallel_case *)\n\1\2",
        verilog,
        flags=re.M,
    )


def _rename(text: str, names: dict[str, str]) -> str:
    return _IDENTIFIER.sub(lambda found: names.get(found[0], found[0]), text)
