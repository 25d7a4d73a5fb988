"""A cylinder in a channel, the benchmark DFG 2D-1 (Schaefer & Turek 1996): the flow at Reynolds numbers from 10 to 40.

Lengths are in diameters, velocities in the mean at the inlet; at Re 20 the drag coefficient is 5.5795. The channel ends
six diameters behind the cylinder, not twenty, which changes that by less than 1e-5.

pinnlora train examples/cylinder.py:Cylinder --minutes 5 -o results/cylinder
"""

from pinnlora import Box, Condition, Disk, LogUniform, Problem


class Cylinder(Problem):
    """Navier-Stokes: u u_x + v u_y + p_x = (u_xx + u_yy) / Re, likewise for v, u_x + v_y = 0, in a channel."""

    coords = Box(x=(-2, 6), y=(-2, 2.1)) - Disk(x=0, y=0, radius=0.5)
    fields = ("u", "v", "p")
    task = LogUniform(re=(10, 40))

    def residual(self, u, v, u_x, u_y, v_x, v_y, p_x, p_y, u_xx, u_yy, v_xx, v_yy, re):
        along = u * u_x + v * u_y + p_x - (u_xx + u_yy) / re
        across = u * v_x + v * v_y + p_y - (v_xx + v_yy) / re
        return {"along": along, "across": across, "mass": u_x + v_y}

    def channel(self, y):
        return {"u": 6 * (y + 2) * (2.1 - y) / 4.1**2, "v": 0.0}

    def cylinder(self):
        return {"u": 0.0, "v": 0.0}

    def outlet(self, u_x, v_x, p, re):
        return {"pressure": p - u_x / re, "shear": v_x}

    conditions = [
        Condition(channel, on=("x=-2", "y=-2", "y=2.1")),
        Condition(cylinder, on="disk"),
        Condition(outlet, on="x=6"),
    ]
