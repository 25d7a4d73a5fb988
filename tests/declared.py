"""Problems that declare their conditions in every way a trial function must know."""

import math

import torch

from pinnlora import Box, Condition, GaussianField, LogUniform, Periodic, Problem, Uniform


class Heat(Problem):
    """Heat equation on [0, 2], its ends held at x."""

    coords = Box(x=(0, 2), t=(0, 1))
    fields = ("u",)
    task = LogUniform(alpha=(1e-2, 1e-1))

    def residual(self, u_t, u_xx, alpha):
        """The heat equation."""
        return {"heat": u_t - alpha * u_xx}

    def exact(self, x, t, alpha):
        """A sine arch that decays to the line."""
        return {"u": torch.sin(math.pi * x / 2) * torch.exp(-alpha * (math.pi / 2) ** 2 * t) + x}

    def start(self, x):
        """An arch on a line."""
        return {"u": torch.sin(math.pi * x / 2) + x}

    def ends(self, x):
        """The line."""
        return {"u": x}

    conditions = [Condition(start, on="t=0"), Condition(ends, on=("x=0", "x=2"))]


class Poisson(Problem):
    """Poisson's equation on the unit square with two sources, walls at zero."""

    coords = Box(x=(0, 1), y=(0, 1))
    fields = ("u",)
    task = Uniform(a=(-1, 1), b=(-1, 1))

    def exact(self, x, y, a, b):
        """Two products of sines."""
        pi = math.pi
        first, second = torch.sin(pi * x) * torch.sin(pi * y), torch.sin(2 * pi * x) * torch.sin(3 * pi * y)
        return {"u": a * first + b * second}

    def residual(self, x, y, u_xx, u_yy, a, b):
        """Each source is the solution's times its eigenvalue."""
        pi = math.pi
        first, second = torch.sin(pi * x) * torch.sin(pi * y), torch.sin(2 * pi * x) * torch.sin(3 * pi * y)
        return {"poisson": u_xx + u_yy + pi**2 * (2 * a * first + 13 * b * second)}

    def walls(self):
        """Zero, as a plain number."""
        return {"u": 0.0}

    conditions = [Condition(walls, on=("x=0", "x=1", "y=0", "y=1"))]


class Wave(Problem):
    """Wave equation: value and velocity at the start, moving ends; the start is written last."""

    coords = Box(x=(0, 1), t=(0, 2))
    fields = ("u",)
    task = Uniform(c=(1, 2))

    def residual(self, u_tt, u_xx, c):
        """The wave equation."""
        return {"wave": u_tt - c**2 * u_xx}

    def start(self, x, c):
        """Value and velocity."""
        return {"u_t": c * x * (1 - x) + 3 * x, "u": torch.sin(math.pi * x)}

    def ends(self, x, t):
        """One end at rest, one that moves."""
        return {"u": x * torch.sin(3 * t)}

    conditions = [Condition(ends, on=("x=0", "x=1")), Condition(start, on="t=0")]


class Schroedinger(Problem):
    """Nonlinear Schroedinger equation as two fields, periodic, from a bell."""

    coords = Box(x=(-5, 5), t=(0, 1))
    fields = ("u", "v")
    task = Uniform(a=(3, 4))

    def residual(self, u, v, u_t, v_t, u_xx, v_xx):
        """Real and imaginary part."""
        square = u**2 + v**2
        return {"real": u_t + v_xx / 2 + square * v, "imaginary": v_t - u_xx / 2 - square * u}

    def start(self, x, a):
        """A bell that is zero at the ends, to rounding."""
        return {"u": torch.exp(-a * x**2), "v": 0.0}

    conditions = [Condition(start, on="t=0"), Periodic("x")]


class Torus(Problem):
    """Steady diffusion on a torus, fixed nowhere but in its source: periodic in both coordinates."""

    coords = Box(x=(0, 1), y=(-1, 1))
    fields = ("u",)
    task = Uniform(k=(1, 2))

    def residual(self, u, u_xx, u_yy, x, k):
        """A screened source."""
        return {"diffusion": u_xx + u_yy - u + k * torch.sin(2 * math.pi * x)}

    conditions = [Periodic("x"), Periodic("y", name="in_y")]


class Released(Problem):
    """Diffusion of a random function on an interval, which stays at its ends what it was."""

    coords = Box(x=(-1, 2), t=(0, 1))
    fields = ("u",)
    task = Uniform(nu=(0.1, 0.2)) * GaussianField("f", points=33)

    def residual(self, u_t, u_xx, nu):
        """The heat equation."""
        return {"diffusion": u_t - nu * u_xx}

    def start(self, f):
        """The function."""
        return {"u": f}

    def ends(self, f):
        """The function too: asked for at the ends, it is what it is there."""
        return {"u": f}

    conditions = [Condition(start, on="t=0"), Condition(ends, on=("x=-1", "x=2"))]


class Rod(Problem):
    """Steady conduction in one dimension: faces are points."""

    coords = Box(x=(0, 3))
    fields = ("u",)
    task = Uniform(k=(1, 2))

    def residual(self, x, u_xx, k):
        """A source."""
        return {"conduction": u_xx + k * x}

    def ends(self, x, k):
        """Warm at one end."""
        return {"u": k * x}

    conditions = [Condition(ends, on=("x=0", "x=3"))]


class Plate(Problem):
    """A clamped plate: value and normal slope on all four walls."""

    coords = Box(x=(0, 1), y=(-1, 1))
    fields = ("u",)
    task = Uniform(a=(1, 2))

    def exact(self, x, y, a):
        """A plane wave."""
        return {"u": torch.sin(a * x + 2 * y)}

    def residual(self, u_xxxx, u_xxyy, u_yyyy, x, y, a):
        """The plate equation, loaded as the wave needs."""
        return {"plate": u_xxxx + 2 * u_xxyy + u_yyyy - (a**2 + 4) ** 2 * torch.sin(a * x + 2 * y)}

    def edge(self, x, y, a):
        """The wave."""
        return {"u": torch.sin(a * x + 2 * y)}

    def across_x(self, x, y, a):
        """Its slope in x."""
        return {"u_x": a * torch.cos(a * x + 2 * y)}

    def across_y(self, x, y, a):
        """Its slope in y."""
        return {"u_y": 2 * torch.cos(a * x + 2 * y)}

    conditions = [
        Condition(across_y, on=("y=-1", "y=1")),
        Condition(edge, on=("x=0", "x=1", "y=-1", "y=1")),
        Condition(across_x, on=("x=0", "x=1")),
    ]


class Dispersion(Problem):
    """Airy's equation for waves that disperse: two conditions at one end, one at the other."""

    coords = Box(x=(0, 3), t=(0, 1))
    fields = ("u",)
    task = Uniform(c=(1, 2))

    def residual(self, u_t, u_xxx, c):
        """Third order in space."""
        return {"airy": u_t + c * u_xxx}

    def exact(self, x, t, c):
        """A wave to the left."""
        return {"u": torch.sin(x + c * t)}

    def start(self, x):
        """A sine."""
        return {"u": torch.sin(x)}

    def ends(self, x, t, c):
        """The wave."""
        return {"u": torch.sin(x + c * t)}

    def slope(self, x, t, c):
        """Its slope."""
        return {"u_x": torch.cos(x + c * t)}

    conditions = [Condition(start, on="t=0"), Condition(ends, on=("x=0", "x=3")), Condition(slope, on="x=3")]


class Jerk(Problem):
    """Third order in time: value, velocity and acceleration at the start."""

    coords = Box(t=(0, 2))
    fields = ("u",)
    task = Uniform(k=(1, 2))

    def residual(self, u, u_ttt, k):
        """Growth."""
        return {"jerk": u_ttt - k**3 * u}

    def exact(self, t, k):
        """An exponential."""
        return {"u": torch.exp(k * t)}

    def start(self, k):
        """All that it starts with."""
        return {"u_tt": k**2, "u": 1.0, "u_t": k}

    conditions = [Condition(start, on="t=0")]


class Ripples(Problem):
    """The Kuramoto-Sivashinsky equation, periodic."""

    coords = Box(xi=(0, 2), t=(0, 1))
    fields = ("u",)
    task = Uniform(a=(1, 2))

    def residual(self, u, u_t, u_xi, u_xi_xi, u_xi_xi_xi_xi):
        """Fourth order in space, in a coordinate of two letters."""
        return {"ripples": u_t + u * u_xi + u_xi_xi + 0.1 * u_xi_xi_xi_xi}

    def start(self, xi, a):
        """One wave."""
        return {"u": a * torch.sin(math.pi * xi)}

    conditions = [Condition(start, on="t=0"), Periodic("xi")]


class Mixed(Problem):
    """One condition of every kind that stays soft, beside one that is held."""

    coords = Box(x=(0, 1), t=(0, 1))
    fields = ("u",)
    task = Uniform(k=(1, 2))

    def residual(self, u_t, u_xx):
        """The heat equation."""
        return {"heat": u_t - u_xx}

    def start(self, x):
        """Held."""
        return {"u": 1 + x}

    def lid(self, t):
        """One at x = 1, where the start is two."""
        return {"u": torch.ones_like(t)}

    def flux(self, t):
        """A derivative alone."""
        return {"u_x": torch.zeros_like(t)}

    def robin(self, u):
        """Cooling: the unknown itself."""
        return {"u_x": -u}

    conditions = [
        Condition(lid, on="x=1"),
        Condition(flux, on="x=0"),
        Condition(robin, on="x=1"),
        Condition(start, on="t=0"),
    ]
