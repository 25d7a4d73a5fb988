"""The flow around a cylinder by finite elements: Taylor-Hood on quadrilaterals, Newton's method, scikit-fem."""

from __future__ import annotations

from typing import Any

import numpy as np
import skfem
from skfem.helpers import ddot, div, dot, grad, mul

from truths import Solved, distance, one_by_one

LOW, HIGH, BELOW, ABOVE, RADIUS = -2.0, 6.0, -2.0, 2.1, 0.5
DRAG = 5.57953523384
"""Of DFG 2D-1, at Re 20 (Nabh 1998)."""
SIDE, LAYERS = 16, 14
"""Elements along a side of the square around the cylinder, and from there to it, of the coarser mesh."""
STEPS, SMALL = 12, 1e-10


def solve(problem: Any, values: dict[str, np.ndarray], axes: list[np.ndarray]) -> Solved:
    """Fields u, v, p on the grid (x, y); the error is the distance of a mesh to one twice as fine, of order two by
    the circle's edges, and what is given is extrapolated from both."""
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)
    there = np.hypot(*points.T) >= RADIUS
    points[~there] = (LOW, BELOW)  # where it means nothing: anywhere in the mesh
    res = [float(one["re"][0]) for one in one_by_one(values)]
    coarse, fine = (Mesh(scale).fields(res, points) for scale in (1, 2))
    both = [np.where(there[:, None], found, np.nan) for found in (coarse, (4 * fine - coarse) / 3)]
    return Solved(both[1], distance(both[0], both[1]) / 4, "finite elements")


def quantities(surrogate: Any) -> list[tuple[str, float, float]]:
    """The drag coefficient at Re 20."""
    angle = 2 * np.pi * (np.arange(400) + 0.5) / 400
    n = np.cos(angle), np.sin(angle)
    at = {"x": RADIUS * (1 + 1e-9) * n[0], "y": RADIUS * (1 + 1e-9) * n[1]}
    found = surrogate.predict(at=at, fields=["p", "u_x", "u_y", "v_x"], estimate="none", re=20.0)
    stress = (2 * found.u_x.values / 20 - found.p.values) * n[0] + (found.u_y + found.v_x).values / 20 * n[1]
    return [("drag coefficient at Re 20", float(2 * 2 * np.pi * RADIUS * stress.mean()), DRAG)]


class Mesh:
    """A ring of elements between the cylinder and a square, and a rectangle behind it, `scale` times as fine."""

    def __init__(self, scale: int) -> None:
        side, layers = SIDE * scale, LAYERS * scale
        mesh = _ring(side, layers) + _behind(side)
        mesh = mesh.with_boundaries({
            "channel": lambda x: (x[0] < LOW + 1e-6) | (abs(x[1] - BELOW) < 1e-6) | (abs(x[1] - ABOVE) < 1e-6),
            "cylinder": lambda x: np.hypot(*x) < 1.01 * RADIUS,
        })  # fmt: skip
        self.velocity = skfem.Basis(mesh, skfem.ElementVector(skfem.ElementQuad2()), intorder=4)
        self.pressure = self.velocity.with_element(skfem.ElementQuad1())
        held = self.velocity.get_dofs({"channel", "cylinder"})
        self.start, self.held = self._inflow(), held.all()

    def _inflow(self) -> np.ndarray:
        """Velocities that hold the conditions, and none elsewhere."""
        found = self.velocity.zeros()
        dofs = self.velocity.get_dofs("channel").all("u^1")
        y = self.velocity.doflocs[1, dofs]
        found[dofs] = 6 * (y - BELOW) * (ABOVE - y) / (ABOVE - BELOW) ** 2
        return found

    def fields(self, res: list[float], points: np.ndarray) -> np.ndarray:
        """(task, point, field), each task from the one before."""
        state, found = np.concatenate([self.start, self.pressure.zeros()]), []
        probes = [basis.probes(points.T) for basis in (self.velocity, self.pressure)]
        for re in res:
            state = self.solved(re, state)
            u, p = np.split(state, [self.velocity.N])
            moved = (probes[0] @ u).reshape(2, -1)
            found.append(np.stack([*moved, probes[1] @ p], -1))
        return np.stack(found)

    def drag(self, re: float, state: np.ndarray) -> float:
        """The coefficient, from the reaction to velocities that are held on the cylinder."""
        u, p = np.split(state, [self.velocity.N])
        wind, along = self.velocity.interpolate(u), self.velocity.get_dofs("cylinder").all("u^1")
        pull = _viscous.assemble(self.velocity) @ u / re + _force.assemble(self.velocity, wind=wind)
        return float(-2 * (pull - _mixed.assemble(self.velocity, self.pressure).T @ p)[along].sum())

    def solved(self, re: float, state: np.ndarray) -> np.ndarray:
        """Newton's method: velocities and pressures together."""
        viscous = _viscous.assemble(self.velocity) / re
        mixed = _mixed.assemble(self.velocity, self.pressure)
        for _ in range(STEPS):
            u, p = np.split(state, [self.velocity.N])
            wind = self.velocity.interpolate(u)
            carried = _carried.assemble(self.velocity, wind=wind)
            force = _force.assemble(self.velocity, wind=wind)
            matrix = skfem.bmat([[viscous + carried, -mixed.T], [-mixed, None]], "csr")
            rest = np.concatenate([viscous @ u + force - mixed.T @ p, -mixed @ u])
            step = skfem.solve(*skfem.condense(matrix, -rest, D=self.held))
            state = state + step
            if np.abs(step).max() < SMALL:
                return state
        raise RuntimeError(
            f"Newton's method has not converged at Re {re:g}: last step {np.abs(step).max():.1e}"
        )


@skfem.BilinearForm
def _viscous(u, v, _):
    return ddot(grad(u), grad(v))


@skfem.BilinearForm
def _mixed(u, q, _):
    return div(u) * q


@skfem.BilinearForm
def _carried(u, v, w):
    return dot(mul(grad(w.wind), u) + mul(grad(u), w.wind), v)


@skfem.LinearForm
def _force(v, w):
    return dot(mul(grad(w.wind), w.wind), v)


def _ring(side: int, layers: int) -> skfem.MeshQuad:
    """Between the circle and the square, `side` elements a side, finer towards the circle."""
    low, high = np.array([LOW, BELOW]), np.array([ABOVE, ABOVE])
    edge = np.arange(side) / side
    square = np.concatenate([
        np.stack([edge, 0 * edge], 1), np.stack([1 + 0 * edge, edge], 1),
        np.stack([1 - edge, 1 + 0 * edge], 1), np.stack([0 * edge, 1 - edge], 1),
    ])  # fmt: skip
    square = low + (high - low) * square
    circle = RADIUS * square / np.linalg.norm(square, axis=1, keepdims=True)
    part = np.expm1(2.0 * np.arange(layers + 1) / layers) / np.expm1(2.0)
    points = circle + part[:, None, None] * (square - circle)
    number = np.arange(points.shape[0] * points.shape[1]).reshape(points.shape[:2])
    after = np.roll(number, -1, 1)
    corners = np.stack([number[:-1], after[:-1], after[1:], number[1:]])
    return skfem.MeshQuad(points.reshape(-1, 2).T.copy(), corners.reshape(4, -1).copy())


def _behind(side: int) -> skfem.MeshQuad:
    """From the square to the outlet."""
    part = np.linspace(0, 1, side + 1)
    return skfem.MeshQuad.init_tensor(ABOVE + (HIGH - ABOVE) * part, np.linspace(BELOW, ABOVE, side + 1))
