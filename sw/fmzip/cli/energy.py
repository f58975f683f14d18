"""The command on DRAM energy: parts side by side, and files for other tools."""

from pathlib import Path
from typing import Annotated

import typer

from fmzip.cli.app import app
from fmzip.cli.checks import check_writable
from fmzip.files import write_atomic

_Bytes = Annotated[int, typer.Option(min=0, metavar="BYTES", help="bytes on the bus")]


@app.command()
def energy(
    write: _Bytes = 1_000_000,
    read: _Bytes = 1_000_000,
    frame_time: Annotated[
        float, typer.Option(min=1e-6, metavar="S", help="seconds from one frame to the next")
    ] = 1 / 30,
    accelergy: Annotated[
        Path | None, typer.Option(metavar="FILE", help="write action energies as Accelergy's YAML")
    ] = None,
    trace: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="write DRAMPower's command trace of the traffic"),
    ] = None,
    part: Annotated[str, typer.Option(help="the trace's part")] = "IS42S16160B-7",
) -> None:
    """What traffic costs on each memory that fmzip knows: modelled, with the source of each figure.

    The traffic is written and read once in each frame time. What a codec saves on a network is a
    matter for `fmzip measure`.
    """
    for file in (accelergy, trace):
        check_writable(file)
    from rich.console import Console

    from fmzip import energy as model
    from fmzip.experiments.show_energy import energy_table

    memories: list[model.Part | model.PerBit] = [
        *map(model.load, model.names()),
        *map(model.load_per_bit, model.per_bit_names()),
    ]
    chosen = model.load(part)
    traffic = model.Traffic(write, read, None, write, read, None)
    found = model.report(traffic, frame_s=frame_time, parts=memories)
    console = Console()
    if not console.is_terminal:
        console = Console(width=120)
    console.print(energy_table(found))
    if accelergy is not None:
        write_atomic(accelergy, model.accelergy_table(memories).encode())
    if trace is not None:
        lines = model.command_trace(chosen, (("write", write), ("read", read)))
        write_atomic(trace, "".join(f"{line}\n" for line in lines).encode())
