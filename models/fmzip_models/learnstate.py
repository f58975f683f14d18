"""What is known while codecs learn: the optimiser, what was best so far; and how it is kept."""

import numpy as np
import torch
from torch import nn

_MEANS = ("exp_avg", "exp_avg_sq")  # Adam's
_BEGINNING = 4  # numbers that are kept of it


class LearnState:
    """Parameters on their way.

    Parameters
    ----------
    parameters : that learn
    rate : of Adam

    Members
    -------
    spread, slope : bits of the first batch, and what a bit was worth there; nan before
    first_kl : on pictures that are held out, before the first epoch; nan without
    """

    def __init__(self, parameters: list[nn.Parameter], rate: float) -> None:
        self._parameters = parameters
        self._optimiser = torch.optim.Adam(parameters, rate)
        self.spread = self.slope = self.first_kl = self._best_kl = float("nan")
        self._best = [p.detach().clone() for p in parameters]

    @staticmethod
    def size(parameters: int) -> int:
        """Numbers of a state."""
        return (2 + len(_MEANS)) * parameters + _BEGINNING

    def step(self, loss: torch.Tensor, rate: float) -> None:
        """One step down."""
        self._optimiser.param_groups[0]["lr"] = rate
        self._optimiser.zero_grad()
        loss.backward()
        self._optimiser.step()

    def see(self, kl: float) -> None:
        """Remember the parameters where this divergence is the least so far, or there is none."""
        if np.isnan(self.first_kl):
            self.first_kl = kl
        if not kl >= self._best_kl:
            self._best_kl = kl
            self._best = [p.detach().clone() for p in self._parameters]

    def take_best(self) -> float:
        """Go back to the best parameters; their divergence."""
        self._set(self._best)
        return self._best_kl

    def flat(self) -> np.ndarray:
        """All of it: float32 [``size``]."""
        parts = [p.detach() for p in self._parameters]
        for name in _MEANS:
            parts += [self._optimiser.state[p][name] for p in self._parameters]
        flat = torch.cat([part.reshape(-1) for part in parts + self._best]).float().cpu().numpy()
        beginning = (self.spread, self.slope, self.first_kl, self._best_kl)
        return np.append(flat, np.array(beginning, np.float32))

    def restore(self, state: np.ndarray, steps: int) -> None:
        """The inverse of ``flat``, behind so many steps."""
        beginning = state[-_BEGINNING:].tolist()
        self.spread, self.slope, self.first_kl, self._best_kl = beginning
        flat = torch.from_numpy(state[:-_BEGINNING])
        n, count = len(self._parameters), 2 + len(_MEANS)
        sizes = [p.numel() for p in self._parameters]
        parts = [
            part.view_as(p).to(p)
            for part, p in zip(flat.split(count * sizes), count * self._parameters, strict=True)
        ]
        self._set(parts[:n])
        for k, parameter in enumerate(self._parameters):
            means = {name: parts[(1 + j) * n + k].clone() for j, name in enumerate(_MEANS)}
            self._optimiser.state[parameter] = {"step": torch.tensor(float(steps)), **means}
        self._best = [part.clone() for part in parts[-n:]]

    def _set(self, values: list[torch.Tensor]) -> None:
        with torch.no_grad():
            for parameter, value in zip(self._parameters, values, strict=True):
                parameter.copy_(value)
