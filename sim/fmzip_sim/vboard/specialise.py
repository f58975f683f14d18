"""Makes the code that CXXRTL writes for the system several times faster, without changing results.

A general CXXRTL design may have many clocks, loops through wires, and inputs that change at any
time; its ``step()`` evaluates everything until nothing changes any more, four times per clock cycle
here. The system has one clock, no loops, and inputs that the harness sets once per cycle, so that
one evaluation per cycle is exact. And a codec that is idle need not be evaluated at all:

* What leaves a module that was kept apart is a function of its state and inputs. CXXRTL hands it on
  one evaluation later; here it is handed on at once.
* If an evaluation of such a module changed none of its registers, and its inputs are still the
  same, then the next one would change none either: it is left out.
* Top-level registers are copied without being compared: nothing asks whether they have changed.

The patterns fit the exact version of Yosys in ``pyproject.toml``; ToolError if they do not.
"""

import re

from fmzip.errors import ToolError

_BLOCK_CODECS = ("path.codecs.encoder", "path.codecs.decoder")
_RANS_CODECS = ("path.codecs.rans_encoder", "path.codecs.rans_decoder")


def kept_modules(rans: bool) -> tuple[str, ...]:
    """Modules that CXXRTL keeps apart, by the end of their names."""
    return _BLOCK_CODECS + (_RANS_CODECS if rans else ())


def specialise(source: str, header: str, modules: tuple[str, ...]) -> tuple[str, str]:
    """Faster versions of CXXRTL's source and header of the module ``soc``.

    Parameters
    ----------
    modules : that have been kept apart
    """
    cells = re.findall(r"^\tp_soc_\w+ (cell_\w+) \{", header, re.M)
    names = (c.removeprefix("cell_p_inner_2e_").replace("_2e_", ".") for c in cells)
    kept = tuple(sorted(name.replace("__", "_") for name in names))  # an underscore is doubled
    if kept != tuple(sorted(modules)):
        raise ToolError(f"yosys kept {kept}, not {', '.join(modules)}: its output has changed")
    for cell in cells:
        source = _gate(source, cell)
        header = _expect(
            header, rf"if \({cell}\.commit\(observer\)\) changed = true;",
            f"if (!asleep_{cell}) asleep_{cell} = !{cell}.commit(observer);", 1,
        )  # fmt: skip
        header = _expect(
            header, rf"^(\tp_soc_\w+ {cell} \{{.*)$", rf"\1\n\tbool asleep_{cell} = false;", 1
        )
    head, top = header.split("struct p_soc : ", 1)
    register = r"if \((?!memory_|cell_)(\w+)\.commit\(observer\)\) changed = true;"
    top = _expect(top, register, r"\1.curr = \1.next;")
    return source, f"{head}struct p_soc : {top}"


def _gate(source: str, cell: str) -> str:
    inputs = re.findall(rf"^\t{cell}\.(\w+) = ", source, re.M)
    inputs = [name for name in inputs if name != "p_clk"]
    if not inputs:
        raise ToolError(f"yosys gives {cell} no inputs: its output has changed")
    outputs = set(re.findall(rf"\b{cell}\.(p_\w+)\.curr\b", source))
    source = _at_once(source, cell, outputs)
    source = _expect(source, rf"\b{cell}\.(p_\w+)\.curr\b", rf"{cell}.\1.next")
    assign = "".join(f"\tauto was_{cell}_{name} = {cell}.{name};\n" for name in inputs)
    same = " && ".join(f"was_{cell}_{name} == {cell}.{name}" for name in inputs)
    first = re.search(rf"^\t{cell}\.{inputs[0]} = ", source, re.M)
    assert first is not None
    source = source[: first.start()] + assign + source[first.start() :]
    evaluate = (
        f"asleep_{cell} = asleep_{cell} && {same};\n"
        f"\tif (!asleep_{cell}) {{\n"
        f"\t\t{cell}.prev_p_clk.set<uint8_t>(0);\n"
        f"\t\t{cell}.eval(performer);\n"
        f"\t}}\n"
        f"\tif (true) {{"
    )
    return _expect(source, rf"if \({cell}\.eval\(performer\)\) \{{", evaluate, 1)


def _at_once(source: str, cell: str, outputs: set[str]) -> str:
    """The module's own uses of its outputs, from one evaluation later to at once."""
    start = source.index(f"p_soc_2e_{cell.removeprefix('cell_p_')}::eval(")
    end = source.index("\n}", start)
    body = source[start:end]
    for output in outputs:
        # A register is assigned one step deeper, under the condition of the clock's edge; handed on
        # at once, it would show its new value too early.
        assigned = re.search(rf"^\t{output}\.next = ", body, re.M)
        if not assigned:
            raise ToolError(f"{cell}.{output} is a register: its value would come too early")
        if re.search(rf"\b{output}\.curr\b", body[: assigned.start()]):
            raise ToolError(f"{cell}.{output} is used before it is known")
        body = re.sub(rf"\b{output}\.curr\b", f"{output}.next", body)
    return source[:start] + body + source[end:]


def _expect(text: str, pattern: str, replacement: str, count: int | None = None) -> str:
    text, found = re.subn(pattern, replacement, text, flags=re.M)
    if found == 0 or count not in (None, found):
        raise ToolError(f"yosys wrote no code that matches {pattern!r}: its output has changed")
    return text
