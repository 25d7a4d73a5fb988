"""The bending of a plate that is clamped on all sides: fourth order, value and normal slope zero on every wall.

pinnlora train examples/clamped_plate.py:ClampedPlate --minutes 5 -o results/clamped_plate
"""

from torch import cos, pi

from pinnlora import Box, Condition, Problem, Uniform


def waves(x, number):
    """sin(number pi x)^2, which is flat where it vanishes, and its second and fourth derivative."""
    wave, square = cos(2 * pi * number * x) / 2, (2 * pi * number) ** 2
    return 0.5 - wave, square * wave, -(square**2) * wave


class ClampedPlate(Problem):
    """Clamped plate: u_xxxx + 2 u_xxyy + u_yyyy = load, for loads of two shapes, of strengths a and b."""

    coords = Box(x=(0, 1), y=(0, 1))
    fields = ("u",)
    task = Uniform(a=(0.5, 1.5), b=(-1, 1))

    def residual(self, x, y, u_xxxx, u_xxyy, u_yyyy, a, b):
        one, two, across = waves(x, 1), waves(x, 2), waves(y, 1)
        along = [a * first + b * second for first, second in zip(one, two, strict=True)]
        load = along[2] * across[0] + 2 * along[1] * across[1] + along[0] * across[2]
        return {"bending": (u_xxxx + 2 * u_xxyy + u_yyyy - load) / pi**4}

    def exact(self, x, y, a, b):
        return {"u": (a * waves(x, 1)[0] + b * waves(x, 2)[0]) * waves(y, 1)[0]}

    def left_and_right(self):
        return {"u": 0.0, "u_x": 0.0}

    def below_and_above(self):
        return {"u": 0.0, "u_y": 0.0}

    conditions = [Condition(left_and_right, on=("x=0", "x=1")), Condition(below_and_above, on=("y=0", "y=1"))]
