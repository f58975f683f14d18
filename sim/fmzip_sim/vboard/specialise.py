"""Makes the code that CXXRTL writes for a design several times faster, without changing results.

A general CXXRTL design may have many clocks, loops through wires, and inputs that change at any
time; its ``step()`` evaluates everything until nothing changes any more, four times per clock cycle
here. The system has one clock, no loops, and inputs that the harness sets once per cycle, so that
one evaluation per cycle is exact. And of that one most is idle:

* Statements are taken in groups (see ``clusters``). What a group assigns is a function of what it
  reads: of registers, memories, inputs and values of other groups. If none of these has changed
  since it was last evaluated, it is left out.
* So whoever changes one of them wakes its readers: another group in the same cycle, a register or a
  memory with the clock's edge.
* A memory is written only where a write is enabled.
"""

import re
from collections.abc import Iterable

from fmzip.errors import ToolError
from fmzip_sim.vboard.clusters import clusters
from fmzip_sim.vboard.statements import Design, parse, readers

_WORD = 64  # flags in a word
_BESIDE = 8  # of them that are looked at together

_TEMPLATES = """\
template<size_t Width>
void write_where(memory<Width> &to, size_t index, const value<Width> &data, const value<Width> &mask, int priority) {
	if (!mask.is_zero()) to.update(index, data, mask, priority);
}

// Take a register over the clock's edge; returns whether it changes.
template<size_t Width>
bool passes(wire<Width> &one) {
	const bool changes = one.curr != one.next;
	one.curr = one.next;
	return changes;
}

"""  # noqa: E501 (C++)


def specialise(source: str, header: str, name: str) -> tuple[str, str]:
    """Faster versions of CXXRTL's source and header of the flat module ``name``.

    Raises
    ------
    ToolError : the code is not as expected
    """
    evaluation = re.search(
        rf"^bool p_{name}::eval\(performer \*performer\) \{{\n(.*?)^\}}\n", source, re.M | re.S
    )
    struct = re.search(rf"^struct p_{name} : public module \{{\n(.*?)^\}};", header, re.M | re.S)
    commits = re.findall(
        r"^\ttemplate<class ObserverT>\n\tbool commit\(.*?^\t\}\n\n\tbool commit\(.*?^\t\}\n",
        header, re.M | re.S,
    )  # fmt: skip
    if evaluation is None or struct is None or len(commits) != 1 or " cell_" in struct[1]:
        raise ToolError(f"yosys wrote no flat module {name}: its output has changed")
    code = _Code(parse(evaluation[1], struct[1]), f"p_{name}")
    header = header.replace(commits[0], code.members())  # behind the structure's begin
    header = header[: struct.start()] + _TEMPLATES + header[struct.start() :]
    return source.replace(evaluation[0], code.functions()), header


class _Code:
    """The C++ of a design's groups.

    Group 7 has a method ``step_7`` that evaluates it and, if it writes registers or memories,
    ``pass_7``, which takes them over the clock's edge. Bit 7 of the flags ``awake`` says that the
    first is to be called, of ``ran`` that the second is.
    """

    def __init__(self, design: Design, struct: str):
        self._design, self._struct = design, struct
        self._groups = clusters(design)
        self._words = -(-len(self._groups) // _WORD)
        self._inputs = sorted(design.inputs - {"p_clk"})  # every evaluation is of its rising edge
        place = {k: group for group, numbers in enumerate(self._groups) for k in numbers}
        self._readers = {
            name: {place[k] for k in numbers} for name, numbers in readers(design).items()
        }
        # Values that other groups read, too, and ports.
        self._shared: list[list[str]] = []
        self._local: list[list[str]] = []
        for group, numbers in enumerate(self._groups):
            values = sorted(set[str]().union(*(design.statements[k].values for k in numbers)))
            shared = [v for v in values if self._readers.get(v, set()) - {group}]
            self._shared.append(shared)
            self._local.append([v for v in values if v not in shared and v in design.widths])
        self._passing = [
            any(design.statements[k].registers | design.statements[k].memories for k in numbers)
            for numbers in self._groups
        ]

    def members(self) -> str:
        """Of the module's structure, in place of its methods ``commit``."""
        every = (1 << len(self._groups)) - 1
        words = [every >> _WORD * k & (1 << _WORD) - 1 for k in range(self._words)]
        flags = ", ".join(f"{word:#x}u" for word in words)
        lines = [
            f"\tuint64_t awake[{self._words}] = {{{flags}}}, ran[{self._words}] = {{}};",
            "\tbool commit() override;",
        ]
        lines += [f"\tdecltype({name}) was_{name}{{}};" for name in self._inputs]
        for group, shared in enumerate(self._shared):
            widths = self._design.widths
            lines += [f"\tvalue<{widths[v]}> {v};" for v in shared if v in widths]
            lines.append(f"\tvoid step_{group}();")
            lines += [f"\tvoid pass_{group}();"] * self._passing[group]
        return "\n".join(lines) + "\n"

    def functions(self) -> str:
        """All methods, in place of ``eval``."""
        wake = [
            f"\tif (was_{name} != {name}) {{\n\t\twas_{name} = {name};\n"
            f"{self._wake(self._readers.get(name, ()), 2)}\t}}\n"
            for name in self._inputs
        ]
        every = range(len(self._groups))
        passing = [group for group in every if self._passing[group]]
        return "".join((
            *map(self._step, every),
            *map(self._pass, passing),
            f"bool {self._struct}::eval(performer *) {{\n",
            *wake,
            self._calls("awake", "step", every),
            "\treturn true;\n}\n\n",
            f"bool {self._struct}::commit() {{\n",
            self._calls("ran", "pass", passing),
            "\treturn true;\n}\n",
        ))  # fmt: skip

    def _step(self, group: int) -> str:
        shared = self._shared[group]
        text = "".join(self._design.statements[k].text for k in self._groups[group])
        text = re.sub(r"\b(memory_\w+)\.update\(", r"write_where(\1, ", text)
        return "".join((
            f"void {self._struct}::step_{group}() {{\n",
            *(f"\tvalue<{self._design.widths[v]}> {v};\n" for v in self._local[group]),
            *(f"\tconst auto was_{v} = {v};\n" for v in shared),
            text,
            self._wake_if({v: f"was_{v} != {v}" for v in shared}, group),
            "}\n\n",
        ))  # fmt: skip

    def _pass(self, group: int) -> str:
        statements = [self._design.statements[k] for k in self._groups[group]]
        registers = sorted(set[str]().union(*(s.registers for s in statements)))
        memories = sorted(set[str]().union(*(s.memories for s in statements)))
        changes = {name: f"passes({name})" for name in registers if self._readers.get(name)}
        changes |= {name: f"{name}.commit(observer)" for name in memories}
        observer = "\tobserver observer;\n" * bool(memories)
        return f"void {self._struct}::pass_{group}() {{\n{observer}{self._wake_if(changes)}}}\n\n"

    def _wake_if(self, changes: dict[str, str], group: int | None = None) -> str:
        """Wake the readers of each variable under its condition; those of a group are awake."""
        together: dict[frozenset[int], list[str]] = {}
        for name, condition in changes.items():
            places = frozenset(self._readers.get(name, set()) - {group})
            together.setdefault(places, []).append(condition)
        return "".join(
            f"\tif (({') | ('.join(conditions)})) {{\n{self._wake(places, 2)}\t}}\n"
            for places, conditions in together.items()
        )

    def _wake(self, groups: Iterable[int], depth: int) -> str:
        masks: dict[int, int] = {}
        for group in groups:
            masks[group // _WORD] = masks.get(group // _WORD, 0) | 1 << group % _WORD
        return "".join(
            f"{depth * chr(9)}awake[{word}] |= {mask:#x}u;\n"
            for word, mask in sorted(masks.items())
        )

    def _calls(self, flags: str, method: str, groups: Iterable[int]) -> str:
        """Call a method of each group whose flag is up, and take the flag down."""
        places: dict[int, dict[int, list[int]]] = {}
        for group in groups:
            word, eight = group // _WORD, group % _WORD // _BESIDE
            places.setdefault(word, {}).setdefault(eight, []).append(group)
        lines = []
        for word, parts in places.items():
            at = f"{flags}[{word}]"
            lines.append(f"\tif ({at}) {{")
            for eight, members in parts.items():
                lines.append(f"\t\tif ({at} & {0xFF << eight * _BESIDE:#x}u) {{")
                for group in members:
                    bit = f"{1 << group % _WORD:#x}u"
                    also = f"ran[{word}] |= {bit}; " * (flags == "awake" and self._passing[group])
                    call = f"{at} &= ~uint64_t{{{bit}}}; {also}{method}_{group}();"
                    lines.append(f"\t\t\tif ({at} & {bit}) {{ {call} }}")
                lines.append("\t\t}")
            lines.append("\t}")
        return "\n".join(lines) + "\n"
