"""One map's codec from a network's codec file, for commands that work on files."""

from collections.abc import Iterable
from pathlib import Path

from fmzip import codecfile
from fmzip.cli.checks import about
from fmzip.codecfile import LayerCodec
from fmzip.errors import FmzipError
from fmzip.format import Dtype, FrameConfig


def layer_of(path: Path, name: str | None, shape: tuple[int, ...], dtype: Dtype) -> LayerCodec:
    """The codec of a map that is to be coded.

    Parameters
    ----------
    name : of the map; None where one map of the file alone has that shape and dtype

    Raises
    ------
    FmzipError : the file cannot be used, or it is not clear which map is meant
    """
    layers = codecfile.load(path).layers
    with about(path):
        if name is not None:
            if name not in layers:
                raise FmzipError(f"no coded map {name!r}; there are {_listed(layers)}")
            found = layers[name]
            if (found.shape, found.dtype) != (shape, dtype):
                raise FmzipError(
                    f"map {name} is {_kind(found.shape, found.dtype)}, not {_kind(shape, dtype)}"
                )
            return found
        alike = {
            key: layer
            for key, layer in layers.items()
            if (layer.shape, layer.dtype) == (shape, dtype)
        }
        if not alike:
            raise FmzipError(f"no coded map is {_kind(shape, dtype)}; give --map to choose one")
        if len(alike) > 1:
            raise FmzipError(
                f"{_listed(alike)} are all {_kind(shape, dtype)}; give --map to choose one"
            )
        return next(iter(alike.values()))


def layer_behind(path: Path, config: FrameConfig) -> LayerCodec:
    """The codec whose tables a frame names.

    Raises
    ------
    FmzipError : the file cannot be used, or has no such tables
    """
    layers = codecfile.load(path).layers.values()
    with about(path):
        for layer in layers:
            frame = layer.frame()
            if (frame.coder, frame.tables, layer.shape) == (
                config.coder, config.tables, (config.channels, config.height, config.width),
            ):  # fmt: skip
                return layer
        raise FmzipError(f"no map has the tables of that frame, {config.tables:#06x}")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)


def _kind(shape: tuple[int, ...], dtype: Dtype) -> str:
    return f"{dtype.name.lower()} {' x '.join(map(str, shape))}"
