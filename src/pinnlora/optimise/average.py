"""Averages of weights over the steps of first-order training, which stand still where single steps do not."""

from __future__ import annotations

from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from pinnlora.nets.hypernetwork import Hypernetwork


def averaged(hypernetwork: Hypernetwork, decay: float) -> AveragedModel:
    """An exponential moving average of the weights w, to be updated step by step.

    After n steps it is the sum over k of (1 - decay) decay^(n - k) w_k / (1 - decay^n), k = 1 .. n: as in Adam (Kingma
    and Ba, 2015, section 3) the denominator makes up for the short history.
    """

    def move(average: Tensor, weights: Tensor, seen: Tensor | int) -> Tensor:
        return average.lerp(weights, (1 - decay) / (1 - decay ** (int(seen) + 1)))

    return AveragedModel(hypernetwork, avg_fn=move)
