"""The hypernetwork: an MLP from a task's embedding to the trained numbers of the base network."""

from __future__ import annotations

from dataclasses import dataclass
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

    @torch.no_grad()
    def linearise(self, embedding: Tensor) -> Linearised:
        """The linear model by the weights, for the tasks embedded as (task, inputs)."""
        inputs, slopes = [embedding.detach()], []
        for layer in self.layers:
            with torch.enable_grad():
                z = layer(inputs[-1]).detach().requires_grad_()
                value = self.activation(z)
                slopes.append(torch.autograd.grad(value.sum(), z)[0])
            inputs.append(value.detach())
        weights = [layer.weight.detach() for layer in (*self.layers, self.head)]
        return Linearised(self.head(inputs[-1]), inputs, slopes, weights)


@dataclass(frozen=True)
class Linearised:
    """outputs(w + dw) = outputs(w) + J_w dw at some tasks: outputs (task, outputs), the inputs of every layer
    (task, in), the activation's slopes after every body layer (task, out), and the layers' weights (out, in)."""

    outputs: Tensor
    inputs: list[Tensor]
    slopes: list[Tensor]
    weights: list[Tensor]

    def push(self, move: list[Tensor]) -> Tensor:
        """J_w dw, (task, outputs), for dw in the order of the hypernetwork's parameters."""
        change = torch.zeros_like(self.inputs[0])
        for level, (weight, bias) in enumerate(zip(move[::2], move[1::2], strict=True)):
            change = change @ self.weights[level].T + self.inputs[level] @ weight.T + bias
            change = change * self.slopes[level] if level < len(self.slopes) else change
        return change

    def pull(self, pull: Tensor) -> list[Tensor]:
        """J_w^T pull, in the order of the hypernetwork's parameters, for pull (task, outputs)."""
        found: list[Tensor] = []
        for level in reversed(range(len(self.weights))):
            found = [pull.T @ self.inputs[level], pull.sum(0), *found]
            if level:
                pull = (pull @ self.weights[level]) * self.slopes[level - 1]
        return found
