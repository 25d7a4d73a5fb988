"""`check` lets pass what is well posed, although some of it looks short of conditions."""

import textwrap

import numpy as np
import pytest
from test_verify import HEAT, write

from pinnlora import Box, Condition, Problem, Uniform
from pinnlora.nets.hard import hard_conditions
from pinnlora.problem.load import load_problem
from pinnlora.problem.verify import verify_problem

POSED = {
    "a coefficient that vanishes at a wall": """
        def residual(self, u_t, u_xx, x, alpha):
            return {"heat": u_t - alpha * x * u_xx}
        conditions = [Condition(start, on="t=0"), Condition(ends, on="x=1")]
    """,
    "a periodic interval": """
        def residual(self, u_t, u_xx, alpha):
            return {"heat": u_t - alpha * u_xx}
        conditions = [Condition(start, on="t=0"), Periodic("x")]
    """,
    "Robin conditions": """
        def residual(self, u_t, u_xx, alpha):
            return {"heat": u_t - alpha * u_xx}
        def left(self, u):
            return {"u_x": torch.pi + u}
        def right(self, u):
            return {"u_x": -torch.pi - u}
        conditions = [Condition(start, on="t=0"), Condition(left, on="x=0"), Condition(right, on="x=1")]
    """,
    "all at one end": """
        def residual(self, u_xx, u, t, alpha):
            return {"heat": alpha * u_xx + u}
        def slope(self, x):
            return {"u": 0.0, "u_x": 1.0}
        conditions = [Condition(slope, on="x=0")]
    """,
    "a clamped beam as a system": """
        fields = ("u", "m")
        def residual(self, u_xx, m, m_xx, alpha):
            return {"bending": u_xx - m, "load": m_xx - alpha}
        def clamped(self):
            return {"u": 0.0, "u_x": 0.0}
        conditions = [Condition(clamped, on=("x=0", "x=1"))]
    """,
    "a clamped beam": """
        def residual(self, u_tt, u_xxxx, alpha):
            return {"beam": u_tt + alpha * u_xxxx}
        def rest(self, x):
            return {"u": x**2 * (1 - x) ** 2, "u_t": 0.0}
        def clamps(self):
            return {"u": 0.0, "u_x": 0.0}
        conditions = [Condition(rest, on="t=0"), Condition(clamps, on=("x=0", "x=1"))]
    """,
    "a supported beam": """
        def residual(self, u_t, u_xxxx, alpha):
            return {"beam": u_t + alpha * u_xxxx}
        def supports(self):
            return {"u": 0.0, "u_xx": 0.0}
        conditions = [Condition(start, on="t=0"), Condition(supports, on=("x=0", "x=1"))]
    """,
    "a beam free at one end": """
        def residual(self, u_xxxx, alpha):
            return {"beam": u_xxxx - alpha}
        def clamp(self):
            return {"u": 0.0, "u_x": 0.0}
        def free(self):
            return {"u_xx": 0.0, "u_xxx": 0.0}
        conditions = [Condition(clamp, on="x=0"), Condition(free, on="x=1")]
    """,
    "a plate with free edges": """
        coords = Box(x=(0, 1), y=(0, 1))
        def residual(self, u_xxxx, u_xxyy, u_yyyy, alpha):
            return {"plate": u_xxxx + 2 * u_xxyy + u_yyyy - alpha}
        def supports(self):
            return {"u": 0.0, "u_xx": 0.0}
        def free(self, u_xx, u_xxy):
            return {"u_yy": -0.3 * u_xx, "u_yyy": -1.7 * u_xxy}
        conditions = [Condition(supports, on=("x=0", "x=1")), Condition(free, on=("y=0", "y=1"))]
    """,
    "a third order with three conditions": """
        def residual(self, u, u_t, u_x, u_xxx, alpha):
            return {"kdv": u_t + u * u_x + alpha * u_xxx}
        def slope(self):
            return {"u_x": -torch.pi}
        conditions = [
            Condition(start, on="t=0"), Condition(ends, on=("x=0", "x=1")), Condition(slope, on="x=1")
        ]
    """,
    "a third order that vanishes where the field does": """
        def residual(self, u, u_t, u_x, u_xx, u_xxt, u_xxx, alpha):
            return {"peaks": u_t - u_xxt + (3 * u + alpha) * u_x - 2 * u_x * u_xx - u * u_xxx}
        conditions = [Condition(start, on="t=0"), Condition(ends, on=("x=0", "x=1"))]
    """,
    "a third order with time in it": """
        def residual(self, u, u_t, u_x, u_xxt, alpha):
            return {"bbm": u_t + alpha * (1 + u) * u_x - u_xxt}
        conditions = [Condition(start, on="t=0"), Condition(ends, on=("x=0", "x=1"))]
    """,
    "a third order from one end": """
        def residual(self, u, u_xx, u_xxx, alpha):
            return {"layer": alpha * u_xxx + u * u_xx}
        def wall(self):
            return {"u": 0.0, "u_x": 0.0, "u_xx": 0.3}
        conditions = [Condition(wall, on="x=0")]
    """,
    "a fourth order on a ring": """
        def residual(self, u, u_t, u_x, u_xx, u_xxxx, alpha):
            return {"ripples": u_t + u * u_x + u_xx + alpha * u_xxxx}
        def wave(self, x):
            return {"u": torch.sin(2 * torch.pi * x)}
        conditions = [Condition(wave, on="t=0"), Periodic("x")]
    """,
    "no stress at an outflow": """
        coords = Box(x=(0, 1), y=(0, 1))
        fields = ("u", "v", "p")
        def residual(self, u_x, u_xx, u_yy, v_y, v_xx, v_yy, p_x, p_y, alpha):
            return {"x": p_x - alpha * (u_xx + u_yy), "y": p_y - alpha * (v_xx + v_yy), "volume": u_x + v_y}
        def inflow(self, y):
            return {"u": y * (1 - y), "v": 0.0}
        def walls(self):
            return {"u": 0.0, "v": 0.0}
        def outflow(self, u_x, alpha):
            return {"p": alpha * u_x, "v_x": 0.0}
        conditions = [
            Condition(inflow, on="x=0"), Condition(walls, on=("y=0", "y=1")), Condition(outflow, on="x=1")
        ]
    """,
    "two fields, one in time": """
        fields = ("u", "v")
        def residual(self, u_t, v, v_t, u_xx, alpha):
            return {"velocity": u_t - v, "wave": v_t - alpha * u_xx}
        def rest(self, x):
            return {"u": torch.sin(torch.pi * x), "v": 0.0}
        conditions = [Condition(rest, on="t=0"), Condition(ends, on=("x=0", "x=1"))]
    """,
}


@pytest.mark.parametrize("what", POSED)
def test_what_is_well_posed_is_let_pass(tmp_path, what):
    text = HEAT[: HEAT.index("    def exact")] + textwrap.indent(textwrap.dedent(POSED[what]), "    ")
    found = [(f.severity, f.text) for f in verify_problem(load_problem(write(tmp_path, text)))]
    assert {severity for severity, _ in found} == {"note"}, found


class Front(Problem):
    """Conditions that ask for operators in space, by a row and by a target."""

    coords = Box(x=(0, 1), y=(0, 1))
    fields = ("u",)
    task = Uniform(speed=(1, 2))
    grid = {"x": 5, "y": 5}

    def residual(self, laplacian_u, speed):
        return {"poisson": laplacian_u - speed}

    def rim(self, gradient_squared_u):
        return {"eikonal": gradient_squared_u - 1}

    def mixed(self, gradient_u):
        return {"turn": gradient_u[..., 0] - gradient_u[..., 1]}

    def bent(self, laplacian_u):
        return {"u": laplacian_u}

    def flat(self):
        return {"u": 0.0}

    conditions = [
        Condition(rim, on="x=0"),
        Condition(mixed, on="x=1"),
        Condition(bent, on="y=0"),
        Condition(flat, on="y=1"),
    ]

    def reference(self, values):
        return {"u": np.zeros((len(values["speed"]), 5, 5))}


def test_conditions_may_ask_for_operators_in_space():
    problem = Front()
    assert {finding.severity for finding in verify_problem(problem)} == {"note"}
    hard = hard_conditions(problem, own=False)
    assert hard.held == (("flat", "u"),)
    why = "its target holds the unknown itself"
    assert hard.soft == tuple((name, "all", why) for name in ("rim", "mixed", "bent"))
