"""The exported folder: written completely, or not at all."""

import os
import shutil
import tempfile
from collections.abc import Callable
from importlib.metadata import distribution
from pathlib import Path

from fmzip.errors import FmzipError
from fmzip_hw.cores import codec_of
from fmzip_sim.ip import texts
from fmzip_sim.ip.benchcores import bench_cores
from fmzip_sim.ip.readme import readme
from fmzip_sim.ip.vectors import vectors
from fmzip_sim.ip.verilog import SIDES, core_name, core_verilog

_FILES = Path(__file__).with_name("files")
_STATIC = {
    "tb": ("fmzip_tb.v", "fmzip_icarus.v", "main.cpp", "Makefile"),
    "sw": (
        "fmzip.h", "fmzip.c", "fmzip_model.h", "fmzip_model.c", "fmzip_rans.h", "fmzip_rans.c",
        "test.c",
    ),
}  # fmt: skip


def export(
    out: Path,
    codec: str,
    lanes: int,
    *,
    axi: bool,
    log: Callable[[str], None] = lambda line: None,
) -> list[str]:
    """Write the folder of a codec's cores.

    Parameters
    ----------
    out : a folder that does not exist, or is empty
    codec, lanes : see ``fmzip_hw.cores``
    axi : with AXI ports, or with plain ones
    log : called with a line before each step

    Returns
    -------
    Names of the files, relative to ``out``.

    Raises
    ------
    ValueError : there is no such codec, or not with so many lanes
    FmzipError : the folder is there and not empty
    ToolError : Yosys is missing or failed
    """
    known = codec_of(codec, lanes)
    check_target(out)
    files: dict[str, bytes] = {}
    for side in SIDES:
        log(f"{side}: Verilog")
        path = core_verilog(codec, side, lanes, axi=axi)
        files[f"rtl/{core_name(codec, side)}.v"] = path.read_bytes()
    log("vectors")
    found = vectors(codec, lanes)
    files |= {f"tb/vectors/{name}": data for name, data in found.files.items()}
    for folder, names in _STATIC.items():
        files |= {f"{folder}/{name}": (_FILES / name).read_bytes() for name in names}
    kind = "axi" if axi else "plain"
    files["cocotb/test_fmzip.py"] = (_FILES / f"test_{kind}.py.in").read_bytes()
    files["LICENSE"] = _licence()
    params = ("`define FMZIP_AXI\n" if axi else "") + texts.bench_params(lanes, found)
    made = {
        "tb/fmzip_tb_params.vh": params,
        "tb/fmzip_tb_cores.vh": bench_cores(codec, axi=axi, tables=known.tables),
        "sw/fmzip_core.h": texts.c_header(),
        "regs/fmzip_core.rdl": texts.system_rdl(),
        f"fmzip_{codec}.core": texts.fusesoc(codec, found.files, axi=axi),
        "README.md": readme(codec, lanes, axi=axi),
        **{f"constraints/{name}": text for name, text in texts.constraints(axi=axi).items()},
    }
    files |= {name: text.encode() for name, text in made.items()}
    _write(out, files)
    return sorted(files)


def check_target(out: Path) -> None:
    """FmzipError unless ``out`` is a folder that can be made, or an empty one."""
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise FmzipError(f"{out}: is there and is not a folder")
    if out.is_dir() and any(out.iterdir()):
        raise FmzipError(f"{out}: is not empty; cores are written into a new folder")
    if not out.parent.is_dir():
        raise FmzipError(f"{out.parent}: no such folder")


def _write(out: Path, files: dict[str, bytes]) -> None:
    """All files into a temporary folder beside, which then takes the place of ``out``."""
    out = Path(os.path.abspath(out))
    work = Path(tempfile.mkdtemp(prefix=".fmzip-", dir=out.parent))
    try:
        for name, data in files.items():
            path = work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        umask = os.umask(0)
        os.umask(umask)
        work.chmod(0o777 & ~umask)
        work.replace(out)  # over an empty folder, too
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise


def _licence() -> bytes:
    """The text of the licence, from the source tree or from the installed package."""
    tree = Path(__file__).resolve().parents[3] / "LICENSE"
    if tree.is_file():
        return tree.read_bytes()
    for file in distribution("fmzip").files or ():
        if file.name == "LICENSE":
            return Path(str(file.locate())).read_bytes()
    raise FmzipError("the text of the licence is missing from this installation")
