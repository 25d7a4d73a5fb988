"""The hypernetwork: an MLP from a task's embedding to the trained numbers of the base network."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

ACTIVATIONS = {"tanh": nn.Tanh, "silu": nn.SiLU, "relu": nn.ReLU}


class Hypernetwork(nn.Module):
    """[inputs - body - outputs]; starts at `start` (outputs,) for every task, with small dependence on it."""

    def __init__(
        self,
        inputs: int,
        body: tuple[int, ...],
        start: Tensor,
        activation: str = "silu",
        generator: torch.Generator | None = None,
        spread: float = 0.1,
    ) -> None:
        super().__init__()
        sizes = (inputs, *body)
        self.activation = ACTIVATIONS[activation]()
        layers = [nn.Linear(into, out) for into, out in pairwise(sizes)]
        self.layers = nn.ModuleList(layers)
        self.head = nn.Linear(sizes[-1], start.numel())
        gain = 1.0 if activation == "tanh" else 2.0**0.5
        with torch.no_grad():
            for layer in layers:
                noise = torch.randn(layer.weight.shape, generator=generator, dtype=torch.float64)
                layer.weight.copy_(noise * gain / layer.in_features**0.5)
                noise = torch.randn(layer.bias.shape, generator=generator, dtype=torch.float64)
                layer.bias.copy_(noise / layer.in_features**0.5)  # without it tanh bodies are odd functions
            noise = torch.randn(self.head.weight.shape, generator=generator, dtype=torch.float64)
            self.head.weight.copy_(noise * spread / sizes[-1] ** 0.5 * start.std().clamp_min(1e-3))
            self.head.bias.copy_(start)

    def forward(self, embedding: Tensor) -> Tensor:
        """(task, inputs) -> (task, outputs)."""
        for layer in self.layers:
            embedding = self.activation(layer(embedding))
        return self.head(embedding)

    def linearise(self, embedding: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Every layer's input (task, in), and the activation's slope after every body layer (task, out)."""
        inputs, slopes = [embedding.detach()], []
        for layer in self.layers:
            with torch.enable_grad():
                z = layer(inputs[-1]).detach().requires_grad_()
                value = self.activation(z)
                slopes.append(torch.autograd.grad(value.sum(), z)[0])
            inputs.append(value.detach())
        return inputs, slopes
