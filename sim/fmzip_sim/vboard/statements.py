"""The C++ that CXXRTL writes for a flat module, as statements with what they read and write.

The patterns fit the exact version of Yosys in ``pyproject.toml``; ToolError if they do not.
"""

import re
from dataclasses import dataclass, field

from fmzip.errors import ToolError

_NAME = re.compile(r"\b((?:memory_)?[pi]_\w+)(?:\.(curr|next)\b)?")
_ASSIGNMENT = re.compile(r"^\t+(?!(?:auto|value<\d+>|const) )([^=;{}]+) = (.+);$")
_ESCAPE = re.compile(r"__|_([0-9a-f]{2})_")
_FLATTENED = re.compile(r"^flatten\\|\.\\")
_CLOCKED = "\tif (posedge_p_clk) {"


@dataclass
class Statement:
    """Some lines of the evaluation that assign variables together.

    Members
    -------
    text : the lines, without a condition on the clock
    values : variables within a cycle that it assigns
    registers, memories : that it writes, to be seen from the next cycle on
    reads : variables, registers and memories that it depends on, and inputs of the module
    path : names of the instances around what it assigns first, from the outermost
    weight : how many operands it has
    """

    text: str
    values: set[str] = field(default_factory=set)
    registers: set[str] = field(default_factory=set)
    memories: set[str] = field(default_factory=set)
    reads: set[str] = field(default_factory=set)
    path: tuple[str, ...] = ()
    weight: int = 0


@dataclass
class Design:
    """A module.

    Members
    -------
    statements : in an order in which no value is read before it is assigned
    widths : bits of the values that are no ports
    registers, memories, inputs, outputs : names
    """

    statements: list[Statement]
    widths: dict[str, int]
    registers: set[str]
    memories: set[str]
    inputs: set[str]
    outputs: set[str]


def parse(body: str, struct: str) -> Design:
    """Read the body of ``eval`` and the module's structure.

    Raises
    ------
    ToolError : the code is not as expected
    """
    declaration = re.compile(r"^\tvalue<(\d+)> (\w+);\n", re.M)
    widths = {name: int(width) for width, name in declaration.findall(body)}
    body = declaration.sub("", body).replace("\treturn converged;\n", "")
    head, *chunks = re.split(r"^\t//.*\n", body, flags=re.M)
    names = {
        kind: set(re.findall(pattern, struct, re.M))
        for kind, pattern in {
            "registers": r"^\twire<\d+> (\w+);",
            "memories": r"^\tmemory<\d+> (\w+) \{",
            "inputs": r"^\t/\*input\*/ value<\d+> (\w+);",
            "outputs": r"^\t/\*output\*/ value<\d+> (\w+);",
        }.items()
    }
    if "posedge_p_clk" not in head or "converged = true" not in head or head.count("\n") > 3:
        raise ToolError(f"yosys begins an evaluation with {head!r}: its output has changed")
    design = Design([_statement(text) for text in chunks if text], widths, **names)
    _check(design)
    return design


def _statement(text: str) -> Statement:
    text = text.replace(_CLOCKED, "\t{")
    result = Statement(text)
    first = None
    for line in text.splitlines():
        left, right = "", line
        if assignment := _ASSIGNMENT.match(line):
            left, right = assignment.groups()
        for name, part in _NAME.findall(left):
            (result.registers if part == "next" else result.values).add(name)
            first = first or name
        operands = _NAME.findall(right)
        result.weight += len(operands)
        for name, part in operands:
            if re.search(rf"\b{name}\.update\(", right):
                result.memories.add(name)
                first = first or name
            elif part == "next":
                raise ToolError(f"yosys reads {name}.next: its output has changed")
            else:
                result.reads.add(name)
    if first is None:
        raise ToolError(f"yosys wrote a statement without an effect: {text[:60]!r}")
    result.path = instances(first)
    return result


def instances(name: str) -> tuple[str, ...]:
    """Names of the instances around a variable of CXXRTL: ('inner', 'stage') of inner.stage.x."""
    plain = _ESCAPE.sub(lambda m: chr(int(m[1], 16)) if m[1] else "_", name.partition("_")[2])
    return tuple(_FLATTENED.sub(lambda m: "." if m[0][0] == "." else "", plain).split(".")[:-1])


def _check(design: Design) -> None:
    """Every name is known, every variable has one statement, which comes before all readers."""
    known = design.registers | design.memories | design.inputs
    assigned: set[str] = set()
    for statement in design.statements:
        for name in sorted(statement.reads - known):
            if name not in assigned:
                raise ToolError(f"yosys reads {name} before it is assigned: its output has changed")
        written = statement.values | statement.registers
        if twice := written & assigned:
            raise ToolError(f"yosys assigns {min(twice)} twice: its output has changed")
        assigned |= written
    if design.outputs - assigned:
        raise ToolError(f"yosys does not assign {min(design.outputs - assigned)}")


def readers(design: Design) -> dict[str, list[int]]:
    """Statements that read a variable, register, memory or input, by its name."""
    found: dict[str, list[int]] = {}
    for k, statement in enumerate(design.statements):
        for name in statement.reads:
            found.setdefault(name, []).append(k)
    return found
