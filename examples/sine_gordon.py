"""A nonlinear equation in 10, 100 or 1,000 dimensions whose solution couples each coordinate to the next.

pinnlora train examples/sine_gordon.py:SineGordon --minutes 5 -o results/sine_gordon
"""

from torch import arange, cos, sin

from pinnlora import Ball, Condition, Problem, Uniform, Vector


class SineGordon(Problem):
    """laplacian u + sin u = f in a ball, u = a (1 - |x|^2) sum_i c_i sin(x_i + cos(x_j) + x_j cos(x_i)), j = i + 1."""

    coords = Ball(x=Vector(100), radius=1)
    fields = ("u",)
    task = Uniform(a=(0.5, 1.5))
    conditions = [Condition(lambda self: {"u": 0.0}, on="boundary", name="rim")]

    def residual(self, laplacian_u, u, x, a):
        (w, slope, bend), rest = self.wave(x), 1 - x.square().sum(-1)
        f = a * (rest * bend - 4 * slope - 2 * x.shape[-1] * w) + sin(a * rest * w)
        return {"sine": laplacian_u + sin(u) - f}

    def wave(self, x):  # the sum w, (x . grad) w, laplacian w
        (p, q), c = (x[..., :-1], x[..., 1:]), cos(arange(1, x.shape[-1], device=x.device) ** 2)
        phi, by_p, by_q = p + cos(q) + q * cos(p), 1 - q * sin(p), cos(p) - sin(q)
        second = -cos(phi) * (q * cos(p) + cos(q)) - sin(phi) * (by_p**2 + by_q**2)
        parts = sin(phi), cos(phi) * (p * by_p + q * by_q), second
        return [(c * part).sum(-1) * (2 / x.shape[-1]) ** 0.5 for part in parts]

    def exact(self, x, a):
        return {"u": a * (1 - x.square().sum(-1)) * self.wave(x)[0]}


class SineGordon10(SineGordon):
    coords = Ball(x=Vector(10), radius=1)


class SineGordon1000(SineGordon):
    coords = Ball(x=Vector(1000), radius=1)
