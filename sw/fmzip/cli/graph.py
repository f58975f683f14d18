"""The command that says which feature maps a network stores."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fmzip.cli.app import app
from fmzip.cli.checks import numbers_of, say_what_is_slow
from fmzip.cli.options import Mean, Model, Size, Std, Weights

if TYPE_CHECKING:
    from fmzip_models.zoo import Network


@app.command()
def graph(
    model: Model = None,
    weights: Weights = None,
    images: Annotated[
        Path | None, typer.Option(help="pictures that say the size, where the model does not")
    ] = None,
    size: Size = None,
    mean: Mean = None,
    std: Std = None,
    as_json: Annotated[bool, typer.Option("--json", help="machine-readable")] = False,
) -> None:
    """Print the feature maps that a network stores to DRAM."""
    numbers = numbers_of(mean, "--mean"), numbers_of(std, "--std")
    say_what_is_slow()
    import contextlib
    import sys

    from fmzip_models import digits, spec

    given = spec.Input(size, *numbers)
    # What the user's network prints while it runs is not part of the answer.
    with contextlib.redirect_stdout(sys.stderr):
        if model is None:
            if weights is not None or images is not None or given != spec.Input():
                raise ValueError("the other options need a --model")
            network = digits.load()[0]
        else:
            network = spec.open_network(model, weights, given, images)
        found = _found(network)
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        _print(found)


def _found(network: "Network") -> dict[str, Any]:
    graph = network.graph
    return {
        "network": network.name,
        "input": list(network.shape),
        "mean": list(network.mean),
        "std": list(network.std),
        "method": graph.method,
        "note": graph.note,
        "maps": [
            {
                "name": m.name,
                "shape": list(m.shape),
                "values": m.values,
                "reads": m.reads,
                "signed": m.signed,
                "source": m.source,
            }
            for m in graph.maps
        ],
        "values": sum(m.values for m in graph.maps),
        "values_read": sum(m.values * m.reads for m in graph.maps),
    }


def _print(found: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(
        "map", "shape", "values", "reads", "type", "operations",
        title=f"{escape(found['network'])}, {' x '.join(map(str, found['input']))} picture",
    )  # fmt: skip
    for column in table.columns[2:4]:
        column.justify = "right"
    for row in found["maps"]:
        shape, kind = " x ".join(map(str, row["shape"])), "int8" if row["signed"] else "uint8"
        table.add_row(
            escape(row["name"]), shape, f"{row['values']:,}", str(row["reads"]), kind, row["source"]
        )
    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    console.print(table)
    line = (
        f"{len(found['maps'])} maps, {found['values']:,} values written and "
        f"{found['values_read']:,} read per picture; found by {found['method']}"
    )
    for text in (line, *filter(None, [found["note"]])):
        console.print(text, soft_wrap=True, highlight=False, markup=False)
