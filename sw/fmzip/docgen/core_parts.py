"""Generated parts of docs/cores.md."""

from fmzip import ipregs


def core_registers() -> str:
    """All registers of the cores."""
    lines = ["| address | register | words | access | meaning |", "|---|---|---|---|---|"]
    lines += [
        f"| {r.address:#04x} | `{r.name}` | {r.words} | {r.access.value} | {r.meaning} |"
        for r in ipregs.CORE_MAP
    ]
    return "\n".join(lines)


def core_fields() -> str:
    """Their fields."""
    lines = ["| register | field | bits | meaning |", "|---|---|---|---|"]
    for register in ipregs.CORE_MAP:
        for field in register.fields:
            high = field.low + field.size - 1
            bits = str(field.low) if field.size == 1 else f"{high}:{field.low}"
            lines.append(f"| `{register.name}` | `{field.name}` | {bits} | {field.meaning} |")
    return "\n".join(lines)


def core_faults() -> str:
    """Values of the field ``fault``."""
    lines = ["| value | name | meaning |", "|---|---|---|"]
    lines += [f"| {f.value} | `{f.name}` | {ipregs.FAULT_MEANING[f]} |" for f in ipregs.CoreFault]
    return "\n".join(lines)
