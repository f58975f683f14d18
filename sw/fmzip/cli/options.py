"""Options that several commands have, each said once."""

from pathlib import Path
from typing import Annotated, Literal

import typer

Model = Annotated[
    str | None,
    typer.Option(help="name of a network, FILE.py:CALLABLE or FILE.onnx; else the stand-in"),
]
Weights = Annotated[Path | None, typer.Option(help=".safetensors or .pth")]
Images = Annotated[
    Path | None, typer.Option(help="folder with labels.csv, one folder per class, or .npz")
]
Scales = Annotated[Literal["max", "percentile", "mse"], typer.Option(help="range of the integers")]
Device = Annotated[str, typer.Option(help="cpu or cuda")]
Resume = Annotated[
    Path | None, typer.Option(metavar="DIR", help="keep work there, and go on with it")
]
Size = Annotated[int | None, typer.Option(min=1, help="side of a picture in pixels")]
Mean = Annotated[
    str | None, typer.Option(metavar="X,X,X", help="of each channel, for pixels in 0..1")
]
Std = Annotated[str | None, typer.Option(metavar="X,X,X", help="of each channel")]
CodecOutput = Annotated[
    Path, typer.Option("--output", "-o", metavar="CODEC.toml", help="file to write")
]
