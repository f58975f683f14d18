"""The command `fmzip formal`: proofs of the gateware, and the bugs that they must find."""

import json
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Annotated, Any

import typer

from fmzip.cli.app import app
from fmzip.cli.checks import check_writable
from fmzip.errors import FmzipError, MismatchError
from fmzip.files import write_atomic


@app.command()
def formal(
    only: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="proofs to run; all")
    ] = None,
    bugs: Annotated[bool, typer.Option(help="look for the seeded bugs, too")] = True,
    jobs: Annotated[int, typer.Option(min=1, help="proofs side by side")] = 2,
    json_file: Annotated[
        Path | None,
        typer.Option(
            "--json", metavar="FILE", help="put what was found there, beside other proofs'"
        ),
    ] = None,
) -> None:
    """Prove what is listed in docs/proofs.md; takes some minutes."""
    try:
        from fmzip_sim.formal.proofs import PROOFS
    except ModuleNotFoundError as error:
        raise FmzipError(
            f"{error.name} is not installed: pip install 'fmzip[formal,hw]' brings it"
        ) from None

    known = {proof.name: proof for proof in PROOFS}
    for name in only or ():
        if name not in known:
            raise ValueError(f"no proof {name!r}; there are {', '.join(known)}")
    check_writable(json_file)
    names = list(only or known)
    rows = _rows_of(json_file)
    wrong: list[str] = []
    with ThreadPoolExecutor(jobs) as pool:
        started = [pool.submit(_verdicts, known[name], bugs) for name in names]
        for done in as_completed(started):
            proof, verdict, found = done.result()
            name = proof.name
            holds, missed = verdict.passed, found is not None and found.passed
            if not holds or missed:
                wrong.append(name)
            said = "holds" if holds else f"does not hold: {verdict.last_lines()}"
            seen = (
                ""
                if found is None
                else ("; the seeded bug is NOT found" if missed else "; bug found")
            )
            print(f"{name}: {said}, {verdict.seconds:.0f} s{seen if bugs else ''}", flush=True)
            rows[name] = {
                "name": name, "claim": proof.claim, "mode": proof.mode, "depth": proof.depth,
                "cut": proof.cut, "holds": holds, "bug": proof.bug[1:],
                "bug_found": None if found is None else not found.passed,
            }  # fmt: skip
            if json_file is not None:
                ordered = [rows[name] for name in known if name in rows]
                write_atomic(json_file, (json.dumps({"proofs": ordered}, indent=2) + "\n").encode())
    if wrong:
        raise MismatchError(
            f"{len(wrong)} of {len(names)} proofs failed: {', '.join(sorted(wrong))}"
        )


def _verdicts(proof: Any, bugs: bool) -> tuple[Any, Any, Any]:
    """Of a proof, and of its bug: a thread waits for the solvers, which are programs."""
    from fmzip_sim.formal.proof import check

    return proof, check(proof), check(proof, bug=True) if bugs else None


def _rows_of(path: Path | None) -> dict[str, dict[str, Any]]:
    """What an earlier run has put into a file, by the proof's name."""
    if path is None or not path.exists():
        return {}
    try:
        return {row["name"]: row for row in json.loads(path.read_text(encoding="utf-8"))["proofs"]}
    except (ValueError, KeyError, TypeError):
        raise FmzipError(f"{path}: not a file of fmzip formal --json") from None
