"""A plate with a hole, pulled at its ends, where stress is three times as large: a quarter of it, by symmetry.

pinnlora train examples/plate_with_hole.py:PlateWithHole --minutes 5 -o results/plate_with_hole"""

from pinnlora import Box, Condition, Disk, Problem, Uniform


class PlateWithHole(Problem):
    """Plane stress: 2 u_xx + (1 - nu) u_yy + (1 + nu) v_xy = 0, and for v likewise; Kirsch's displacements far out."""

    coords = Box(x=(0, 1), y=(0, 1)) - Disk(x=0, y=0, radius="a").named("hole")
    fields = ("u", "v")
    task = Uniform(a=(0.2, 0.4), nu=(0.2, 0.4))

    def residual(self, u_xx, u_xy, u_yy, v_xx, v_xy, v_yy, nu):
        along = 2 * u_xx + (1 - nu) * u_yy + (1 + nu) * v_xy
        return {"along": along, "across": 2 * v_yy + (1 - nu) * v_xx + (1 + nu) * u_xy}

    def exact(self, x, y, a, nu):
        q, k = a**2 / (x**2 + y**2), (3 - nu) / (1 + nu)
        u = (k + 1) * (1 + 2 * q) + 2 * q * (1 - q) * (4 * q * (x / a) ** 2 - 3)
        v = k - 3 + 2 * q * (1 - k) + 2 * q * (1 - q) * (3 - 4 * q * (y / a) ** 2)
        return {"u": (1 + nu) / 4 * x * u, "v": (1 + nu) / 4 * y * v}

    def left(self):
        return {"u": 0.0, "v_x": 0.0}

    def below(self):
        return {"v": 0.0, "u_y": 0.0}

    def outside(self, x, y, u, v, a, nu):
        far = self.exact(x, y, a, nu)
        return {"along": u - far["u"], "across": v - far["v"]}

    def free(self, u_x, u_y, v_x, v_y, n_x, n_y, nu):
        shear = (1 - nu) / 2 * (u_y + v_x)
        return {"pull": n_x * (u_x + nu * v_y) + n_y * shear, "lift": n_x * shear + n_y * (v_y + nu * u_x)}

    conditions = [Condition(left, on="x=0"), Condition(below, on="y=0"), Condition(free, on="hole")]
    conditions += [Condition(outside, on=("x=1", "y=1"))]
