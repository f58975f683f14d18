"""Generated part of docs/proofs.md: what `fmzip formal` found."""

from fmzip.docgen.format_parts import table
from fmzip.docgen.result_parts import load_result


def proofs() -> str:
    """The list, with mode and depth."""
    rows = []
    for proof in load_result("formal.json")["proofs"]:
        how = "induction" if proof["mode"] == "prove" else "from reset"
        unit = {"prove": "steps", "bmc": "cycles", "end": "cycles, the last"}[proof["mode"]]
        old, new = (" ".join(part.split()) for part in proof["bug"])
        rows.append((
            f"`{proof['name']}`", proof["claim"], f"{how}, {proof['depth']} {unit}",
            proof["cut"], "yes" if proof["holds"] else "**no**",
            f"`{_short(old)}` as `{_short(new)}`", "yes" if proof["bug_found"] else "**no**",
        ))  # fmt: skip
    return table(("proof", "claim", "mode and depth", "free", "holds", "seeded bug", "found"), rows)


def _short(code: str) -> str:
    code = code.replace("|", "\\|")
    return code if len(code) <= 60 else f"{code[:57]}..."
