"""A Hamilton-Jacobi-Bellman equation in 250 dimensions, and its solution by the Cole-Hopf formula.

pinnlora check examples/hamilton_jacobi_bellman.py:Bellman
pinnlora train examples/hamilton_jacobi_bellman.py:Bellman --minutes 5 -o results/hamilton_jacobi_bellman
"""

import math

from torch import lgamma, linspace, logsumexp

from pinnlora import Box, Condition, LogUniform, Problem, Vector


class Bellman(Problem):
    """Hamilton-Jacobi-Bellman: u_t + laplacian u = mu |grad u|^2, u = log((1 + |x|^2) / 2) at t = 1."""

    coords = Box(x=Vector(250, -1, 1), t=(0, 1))
    fields = ("u",)
    task = LogUniform(mu=(0.5, 2))

    def residual(self, u_t, laplacian_u, gradient_squared_u, mu):
        return {"hjb": u_t + laplacian_u - mu * gradient_squared_u}

    def end(self, x):
        return {"u": ((1 + x.square().sum(-1)) / 2).log()}

    def faces(self, x, t, mu):  # without them nothing says what comes in from the rest of space
        return self.exact(x, t, mu)

    conditions = [Condition(end, on="t=1"), Condition(faces, on="boundary")]

    def exact(self, x, t, mu):
        """-log(E a^-mu) / mu, a = (1 + |x + sqrt(2 (1 - t)) z|^2) / 2, z normal: with a^-mu as an integral of
        exp(-s a) s^(mu - 1) / Gamma(mu) over s the mean is known, and the integral, over log s, a sum to rounding."""
        y = linspace(-80, 8, 353, dtype=x.dtype, device=x.device)
        r, s, wide = x.square().sum(-1, keepdim=True), y.exp(), 1 + 4 * (1 - t.unsqueeze(-1)) * y.exp()
        logs = mu.unsqueeze(-1) * y - s * (1 + r / wide) - x.shape[-1] / 2 * wide.log()
        mean = logsumexp(logs, -1) + math.log(0.25) - lgamma(mu)
        return {"u": -mean / mu - math.log(2)}
