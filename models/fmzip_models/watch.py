"""Watching what passes between the modules of a network while it runs."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

IN, OUT = "input", "output"

# A tensor between modules: what the n-th call of a module reads, or returns.
Place = tuple[str, int, str]


class Concatenations(TorchFunctionMode):
    """Watches which tensors are joined, since those are not stored alone.

    Members
    -------
    operands : by their identity; they are kept alive
    """

    def __init__(self) -> None:
        super().__init__()
        self.operands: dict[int, torch.Tensor] = {}

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func in (torch.cat, torch.concat, torch.concatenate) and args:
            self.operands.update((id(tensor), tensor) for tensor in args[0])
        return func(*args, **(kwargs or {}))


class LeafHooks:
    """Shows what each leaf module reads and returns; what ``show`` returns replaces it."""

    def __init__(
        self, module: nn.Module, show: Callable[[Place, torch.Tensor], torch.Tensor | None]
    ) -> None:
        self._module = module
        self._show = show
        self._handles: list[Any] = []
        self._uses: Counter[str] = Counter()

    def __enter__(self) -> None:
        for name, part in self._module.named_modules():
            if name and not any(part.children()):
                self._handles.append(part.register_forward_pre_hook(self._before(name)))
                self._handles.append(part.register_forward_hook(self._after(name)))

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()

    def _before(self, name: str) -> Callable[..., None]:
        def before(part: nn.Module, values: tuple[Any, ...]) -> None:
            for value in values:
                if isinstance(value, torch.Tensor):
                    changed = self._show((name, self._uses[name], IN), value)
                    if changed is not None:
                        # In place, so that functions that read the same tensor get it as well.
                        value.copy_(changed)

        return before

    def _after(self, name: str) -> Callable[..., Any]:
        def after(part: nn.Module, values: tuple[Any, ...], result: Any) -> Any:
            use = self._uses[name]
            self._uses[name] += 1
            if not isinstance(result, torch.Tensor):
                return None
            return self._show((name, use, OUT), result)

        return after
