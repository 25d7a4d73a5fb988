"""Shapes: who is inside, points and their moments, sides with lengths and normals, all against exact geometry."""

import math

import pytest
import shapely
import torch

from pinnlora.errors import UserError
from pinnlora.problem.domain.box import Box, Cycle
from pinnlora.problem.domain.polygon import Polygon
from pinnlora.problem.domain.round import Ball, Disk
from pinnlora.problem.domain.sides import Face, outward_normal

COUNT = 20_000
RADII = {"r": torch.tensor([0.2, 0.4, 0.3], dtype=torch.float64)}
MANY = {"r": torch.linspace(0.2, 0.4, 50, dtype=torch.float64)}
CORNER = {"r": lambda r: 1 + r}["r"]

SQUARE = Box(x=(-1, 1), y=(-1, 1))
ELL = Polygon(x=(0, 2, 2, 1, 1, 0), y=(0, 0, 1, 1, 2, 2), edges=("floor", "a", "a", "inner", "a", "a"))
HOLED = SQUARE - Disk(x=0.2, y=0, radius="r").named("hole")
RING = Disk(x=0, y=0, radius=1) - Disk(x=0, y=0, radius="r").named("hole")
SHELL = Ball(x=0, y=0, z=0, radius=1) - Ball(x=0, y=0, z=0, radius="r").named("hole")
HALF = Disk(x=0, y=0, radius=1) & Box(x=(0, 2), y=(-2, 2))
TWO = Box(x=(0, 2), y=(0, 1)) | Box(x=(0, 1), y=(0, 2))
KITE = Polygon(x=(0, CORNER, 0, lambda r: -r), y=(-1, 0, 1, 0))
PIPE = Disk(x=0, y=0, radius="r") * Box(z=(0, 2))
LATER = RING * Box(t=(0, 3))
PI = math.pi

AREAS = {  # the domain, and its area or volume as a function of the radius
    "disk": (Disk(x=0.5, y=1, radius="r"), lambda r: PI * r**2),
    "holed": (HOLED, lambda r: 4 - PI * r**2),
    "ring": (RING, lambda r: PI * (1 - r**2)),
    "shell": (SHELL, lambda r: 4 / 3 * PI * (1 - r**3)),
    "half": (HALF, lambda r: PI / 2 + 0 * r),
    "ell": (ELL, lambda r: 3 + 0 * r),
    "two": (TWO, lambda r: 3 + 0 * r),
    "kite": (KITE, lambda r: 1 + 2 * r),
    "pipe": (PIPE, lambda r: 2 * PI * r**2),
    "later": (LATER, lambda r: 3 * PI * (1 - r**2)),
}


def drawn(count, dim, seed=0, dtype=torch.float64):
    """Points of the unit cube for three tasks, new at every call."""
    generator = torch.Generator().manual_seed(seed)
    return lambda many: torch.rand(3, many, dim, generator=generator, dtype=dtype)


def made(name):
    domain, area = AREAS[name]
    return domain.over(MANY), area(RADII["r"])


@pytest.mark.parametrize("name", AREAS)
def test_areas_are_those_of_geometry(name):
    """By the share of the box around each task that is inside, to four standard deviations."""
    domain, area = made(name)
    unit = drawn(COUNT, len(domain.names))(COUNT)
    low, high = domain.bounds(RADII, unit)
    whole = (high - low).prod(-1)
    share = domain.contains(low[:, None] + (high - low)[:, None] * unit, RADII).double().mean(-1)
    deviation = whole * (share * (1 - share) / COUNT).sqrt()
    assert ((share * whole - area).abs() <= 4 * deviation + 1e-12).all()
    assert (domain.fill <= share + 0.05).all()


@pytest.mark.parametrize("name", AREAS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_points_are_uniform_inside(name, dtype):
    """Means and second moments are those of points thrown into the box and kept when inside, to four deviations."""
    domain, _ = made(name)
    unit = domain.uniform(drawn(COUNT, len(domain.names), dtype=dtype), COUNT, RADII)
    points = domain.scale(unit)
    assert points.shape == (3, COUNT, len(domain.names)) and points.dtype == dtype
    slack = 1e-6 * domain.size
    assert domain.contains(points, RADII, slack).all()
    assert len(points[0].unique(dim=0)) == COUNT
    thrown = domain.scale(drawn(COUNT, len(domain.names), seed=5)(10 * COUNT))
    for task in range(3):
        kept = thrown[task][domain.contains(thrown, RADII)[task]]
        for power in (1, 2):
            gap = (points[task].double() ** power).mean(0) - (kept**power).mean(0)
            deviation = (kept**power).std(0) * (1 / COUNT + 1 / len(kept)) ** 0.5
            assert (gap.abs() <= 4 * deviation).all(), (task, power)


LENGTHS = {  # domain, side, and its length or area as a function of the radius
    "hole": (HOLED, "hole", lambda r: 2 * PI * r),
    "wall": (HOLED, "x=1", lambda r: 2 + 0 * r),
    "everything": (HOLED, "boundary", lambda r: 8 + 2 * PI * r),
    "rim": (RING, "disk", lambda r: 2 * PI + 0 * r),
    "rims": (RING, "boundary", lambda r: 2 * PI * (1 + r)),
    "sphere": (SHELL, "hole", lambda r: 4 * PI * r**2),
    "arc": (HALF, "disk", lambda r: PI + 0 * r),
    "chord": (HALF, "x=0", lambda r: 2 + 0 * r),
    "floor": (ELL, "floor", lambda r: 2 + 0 * r),
    "inner": (ELL, "inner", lambda r: 1 + 0 * r),
    "ell": (ELL, "boundary", lambda r: 8 + 0 * r),
    "two": (TWO, "boundary", lambda r: 8 + 0 * r),
    "overlap": (TWO, "x=0", lambda r: 2 + 0 * r),
    "kite": (KITE, "polygon", lambda r: 2 * ((1 + r) ** 2 + 1) ** 0.5 + 2 * (r**2 + 1) ** 0.5),
    "pipe": (PIPE, "disk", lambda r: 2 * 2 * PI * r),
    "lid and all": (PIPE, "boundary", lambda r: 4 * PI * r + 2 * PI * r**2),
    "hole in time": (LATER, "hole", lambda r: 3 * 2 * PI * r),
}


@pytest.mark.parametrize("name", LENGTHS)
def test_sides_have_their_lengths_and_points_lie_on_them_with_normals_outward(name):
    domain, text, length = LENGTHS[name]
    domain = domain.over(MANY)
    side = domain.face(text).over(domain, MANY)
    unit = drawn(COUNT, len(domain.names))
    low, high = domain.bounds(RADII, unit(1))
    whole = (high - low).prod(-1)
    # by the divergence theorem in a thin layer: what is within d of the side has the length times d as its area
    points = side.place(domain, unit, 4000, RADII)
    coords, good = side.candidates(domain, unit(COUNT), RADII)
    total = sum(_extent(domain, surface, high - low) for surface in side.surfaces)
    share = good.double().mean(-1)
    deviation = total * (share * (1 - share) / COUNT).sqrt()
    assert ((share * total - length(RADII["r"])).abs() <= 4 * deviation + 1e-9).all()
    normal = outward_normal(domain, [side], points, RADII)
    assert (normal.norm(dim=-1) - 1).abs().max() < 1e-12
    if domain.time is not None:
        assert not normal[..., domain.time].any()
    step = 1e-5
    assert domain.contains(points - step * normal, RADII).double().mean() > 0.999
    assert domain.contains(points + step * normal, RADII).double().mean() < 0.001
    assert whole.min() > 0 and coords.shape[1] == COUNT


def _extent(domain, surface, whole):
    """A surface's measure by hand: that of its own coordinates times the box in the others."""
    others = [axis for axis, name in enumerate(domain.names) if name not in surface.names]
    return (surface.measure(RADII, whole) * whole[:, others].prod(-1, keepdim=True)).expand(3, 1)[:, 0]


@pytest.mark.parametrize("name", ["hole", "rims", "arc", "boundary of the ell", "kite", "sphere"])
def test_points_of_a_side_are_uniform_on_it(name):
    """The integral of the normal over a closed boundary is zero, and that of x . n the dimension times the area."""
    cases = {
        "rims": (RING, lambda r: 2 * PI * (1 - r**2), lambda r: 2 * PI * (1 + r)),
        "boundary of the ell": (ELL, lambda r: 6 + 0 * r, lambda r: 8 + 0 * r),
        "kite": (KITE, lambda r: 2 + 4 * r, LENGTHS["kite"][2]),
        "hole": (HOLED, lambda r: 8 - 2 * PI * r**2, lambda r: 8 + 2 * PI * r),
        "arc": (HALF, lambda r: PI + 0 * r, lambda r: PI + 2 + 0 * r),
        "sphere": (SHELL, lambda r: 4 * PI * (1 - r**3), lambda r: 4 * PI * (1 + r**2)),
    }
    domain, flux, length = cases[name]
    domain = domain.over(MANY)
    side = domain.face("boundary").over(domain, MANY)
    points = side.place(domain, drawn(COUNT, len(domain.names)), COUNT, RADII)
    normal = outward_normal(domain, [side], points, RADII)
    size = length(RADII["r"])[:, None]
    mean, deviation = normal.mean(1), normal.std(1) / COUNT**0.5
    assert ((size * mean).abs() <= 4 * size * deviation).all()
    through = (points * normal).sum(-1)
    gap = size[:, 0] * through.mean(1) - flux(RADII["r"])
    assert (gap.abs() <= 4 * size[:, 0] * through.std(1) / COUNT**0.5 + 1e-9).all()


def test_a_task_whose_domain_is_empty_is_told_before_memory_is_full():
    """Of a family that was looked at before; the disk of a task outside of it leaves nothing."""
    ring, most = RING.over(MANY), []

    def unit(many):
        most.append(many)
        return torch.rand(2, many, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    with pytest.raises(UserError, match="is left of a task's domain"):
        ring.uniform(unit, 1000, {"r": torch.tensor([0.3, 1.1], dtype=torch.float64)})
    assert len(most) == 3 and max(most) < 10_000


def test_a_polygon_agrees_with_shapely():
    corners = [(0, 0), (2, 0.3), (1.2, 1.1), (2.2, 2), (0.1, 1.7), (0.6, 0.9)]
    ours = Polygon(x=[x for x, _ in corners], y=[y for _, y in corners]).over({})
    theirs = shapely.Polygon(corners)
    points = ours.scale(torch.rand(1, 5000, 2, generator=torch.Generator().manual_seed(0)).double())
    inside = shapely.contains_xy(theirs, *points[0].numpy().T)
    assert (ours.contains(points, {})[0].numpy() == inside).all()
    gap = shapely.distance(theirs.exterior, shapely.points(points[0].numpy()))
    side = ours.face("polygon")
    found = side.surfaces[0].distance(points, {})[0].numpy()
    assert abs(found - gap).max() < 1e-12
    assert float(side.surfaces[0].measure({}, points)) == pytest.approx(theirs.length, rel=1e-12)
    wide = ours.contains(points, {}, 0.1)[0].numpy()
    assert (wide == (inside | (gap <= 0.1))).all()
    assert (ours.contains(points, {}, -0.1)[0].numpy() == (inside & (gap > 0.1))).all()


def test_a_level_without_outer_walls_is_that_of_the_hole():
    """The domain closes on itself: its only end is the hole, and of a union with it there is none."""
    ring, hole = Box(x=Cycle(0, 1), y=Cycle(0, 1)), Box(x=(0.4, 0.6), y=(0.4, 0.6))
    points = torch.tensor([[[0.5, 0.5], [0.1, 0.1], [0.4, 0.5]]], dtype=torch.float64)
    inside, outside, edge = (ring - hole).over({}).level(points, {})[0].tolist()
    assert inside < 0 < outside and edge == pytest.approx(0, abs=1e-12)
    assert (hole | ring).over({}).level(points, {}) is None


@pytest.mark.parametrize("name", ["holed", "ring", "shell", "half", "ell", "two", "kite", "pipe", "later"])
def test_a_level_is_positive_inside_negative_outside_and_zero_on_the_boundary(name):
    domain, _ = made(name)
    low, high = torch.tensor(domain.low).double(), torch.tensor(domain.high).double()
    points = low - 0.1 + (high - low + 0.2) * drawn(0, len(low))(5000)
    if domain.time is not None:
        points[..., domain.time] = 1.0
    level, inside = domain.level(points, RADII), domain.contains(points, RADII)
    assert (level > 0).eq(inside).all()
    side = domain.face("boundary").over(domain, MANY)
    edge = side.place(domain, drawn(0, len(low)), 2000, RADII)
    assert domain.level(edge, RADII).abs().max() < 1e-6


def test_what_does_not_fit_together_says_so():
    disk, box = Disk(x=0, y=0, radius=1), Box(x=(0, 1), y=(0, 1))
    far, late = (box - Disk(x=3, y=3, radius=1)).over({}), Box(x=(0, 1), y=(0, 1), t=(0, 1))
    for make, words in {
        lambda: Disk(x=0, y=0, z=0, radius=1): "expected 2 coordinates in space and a radius",
        lambda: Disk(x=0, t=0, radius=1): "expected 2 coordinates in space",
        lambda: Disk(x=0, y=0, radius=None): "None is no number of a shape",
        lambda: Ball(x=0, y=0, radius=1): "expected 3 coordinates",
        lambda: Polygon(x=(0, 1), y=(0, 1)): "three corners or more",
        lambda: Polygon(x=(0, 1, 1), y=(0, 0, 1), edges=("a", "b")): "2 names in edges, expected 3",
        lambda: Polygon(x=(0, 1, 0, 1), y=(0, 1, 1, 0)).over({}): "Self-intersection",
        lambda: Polygon(x=(0, 1, 0, 0), y=(0, 0, 1, 0)).over({}): "corner 4 of 4 is given twice",
        lambda: (box - Disk(x=0.5, y=0.5, radius=2)).over({}): "empty",
        lambda: (disk & Box(x=(2, 3), y=(0, 1))).over({}): "no extent",
        lambda: Disk(x=0, y=0, radius=lambda r: r - 1).over(MANY): "radius -0.8 of a task",
        lambda: disk | Box(x=(0, 1)): "a union needs the same coordinates",
        lambda: Box(x=(0, 1)) - disk: "coordinates that the domain has not",
        lambda: disk * box: r"\* joins different coordinates, both have x, y",
        lambda: disk & Box(t=(0, 1)): "no coordinate in common",
        lambda: disk - 1: "- 1: expected a domain",
        lambda: late | late: r"both have t.*join them in space first.*\(\.\.\. \| \.\.\.\) \* Box\(t=",
        lambda: late & late: "both have t",
        lambda: late - late: "both have t",
        lambda: (box - disk.named("hole")).face("hol"): "expected one of x=0, boundary, x=1, y=0, y=1, hole",
        lambda: far.face("disk").over(far, {}): "nothing of it",
    }.items():
        with pytest.raises(TypeError, match=words):
            make()


def test_a_product_of_boxes_is_a_box_and_a_cylinder_has_flat_ends():
    assert Box(x=(0, 1)) * Box(t=(0, 2)) == Box(x=(0, 1), t=(0, 2))
    assert LATER.names == ("x", "y", "t") and LATER.parts()[:2] == ("t=0", "t=3")
    pipe = PIPE.over(MANY)
    lid = pipe.face("z=2")
    points = lid.place(pipe, drawn(0, 3), 500, RADII)
    assert (points[..., 2] == 2).all() and pipe.contains(points, RADII, 1e-9).all()
    assert (outward_normal(pipe, [lid], points, RADII) == torch.tensor([0.0, 0, 1])).all()
    early = LATER.over(MANY).until(0.5)
    assert early.high[2] == 0.5
    assert early.scale(early.uniform(drawn(0, 3), 500, RADII))[..., 2].max() < 0.5


def test_where_shapes_touch_the_boundary_is_that_of_the_whole():
    """A hole cut to the edge of one box, closed by the next: its fourth side lies on an edge that is none any more."""
    hole = Box(x=(0.5, 1), y=(0.25, 0.75))

    def shape_at(low):
        cut = Box(x=(low + 0.5, low + 1), y=(0.25, 0.75))
        return (Box(x=(low, low + 1), y=(0, 1)) - cut) | Box(x=(low + 1, low + 2), y=(0, 1))

    touching = shape_at(0)
    whole = Box(x=(0, 2), y=(0, 1)) - hole
    counts = []
    far = [shape_at(60.3), shape_at(99.7)]
    for shape in far:
        domain = shape.over({})
        side, low = domain.face("boundary").over(domain, {}), domain.low[0]
        points = side.place(domain, drawn(0, 2, dtype=torch.float32), 4000, {})[:1]
        closing = ((points[..., 0] - low - 1).abs() < 1e-4) & ((points[..., 1] - 0.5).abs() < 0.2)
        normal = outward_normal(domain, [side], points[closing][None], {})
        assert int(closing.sum()) > 100 and (normal == torch.tensor([-1.0, 0])).all()
    for shape in (touching, whole):
        domain = shape.over({})
        side = domain.face("boundary").over(domain, {})
        points = side.place(domain, drawn(0, 2), 4000, {})[:1]
        on_hole = ((points[..., 0] - 1).abs() < 1e-6) & (points[..., 1] > 0.26) & (points[..., 1] < 0.74)
        counts.append(int(on_hole.sum()))
        normal = outward_normal(domain, [side], points[on_hole][None], {})
        assert (normal == torch.tensor([-1.0, 0])).all()
    assert counts[0] == pytest.approx(counts[1], rel=0.3) and counts[1] > 100


@pytest.mark.parametrize("low", [0.0, 5e3, 2e4])
def test_points_of_sides_are_uniform_far_away_in_single_precision(low):
    shape = Box(x=(low, low + 1), y=(0, 1)) - Disk(x=low + 0.5, y=0.5, radius=0.25)
    domain = shape.over({})
    points = (
        domain.face("boundary").over(domain, {}).place(domain, drawn(0, 2, dtype=torch.float32), 4000, {})
    )
    assert points.dtype == torch.float32
    inner = ((points - torch.tensor([low + 0.5, 0.5])).abs().amax(-1) < 0.3).float().mean()
    assert float(inner) == pytest.approx(PI / 2 / (4 + PI / 2), abs=0.02)


def test_a_name_stays_when_time_is_joined():
    shape = Box(x=(0, 1), y=(0, 1)).named("wall") * Box(t=(0, 1)) - Disk(x=0.5, y=0.5, radius=0.1)
    assert {"wall", "disk", "t=0"} <= set(shape.parts())


def test_no_shape_is_cut_by_the_ends_of_a_cycle():
    channel = Box(x=Cycle(0, 2), y=(0, 1))
    for cut in (Disk(x=0, y=0.5, radius=0.1), Box(x=(1.8, 2.3), y=(0, 0.5))):
        with pytest.raises(TypeError, match="cut by the ends of x, which is a Cycle"):
            (channel - cut).over({})
    hill = Polygon(x=(-0.1, 2.1, 2.1, -0.1), y=(-1, -1, 0.2, 0.2))
    for whole in (
        channel - Disk(x=1, y=0.5, radius=0.1), channel - hill, channel & Disk(x=1, y=0, radius=9),
        channel - Disk(x=1.9, y=0.5, radius=0.1),
        channel - Disk(x=0.5, y=0.5, radius=0.1) - Disk(x=1.5, y=0.5, radius=0.1),
    ):  # fmt: skip
        assert whole.over({}).fill > 0.7


def test_an_end_is_found_by_its_number_and_by_what_messages_call_it():
    disk = Disk(x=0.5, y=0.5, radius=0.1)
    wide = Box(x=(0, math.pi), y=(0, 1))
    late = Box(x=(0, 1), y=(0, 1), t=(1000000, 1000001))
    for domain in (wide, late):
        holed = domain - disk
        for part in (domain, holed):
            for name, pair in part.boxes().items():
                axis = part.names.index(name)
                assert [part.face(f"{name} = {end!r}") for end in pair] == [Face(axis, end) for end in pair]
    assert wide.face("x=3.14159") == wide.face("x=3.1415927") == Face(0, math.pi)
    assert late.face("t=1e6") == (late - disk).face("t=1e6") == Face(2, 1000000.0)
    assert LATER.face("t = 3.0") == Face(2, 3.0)
    for text in ("x=3.1416", "x=3.14", "x=", "x", "x=nan", "q=0"):
        with pytest.raises(TypeError, match=r"expected one of x=0, x=3\.14159, y=0, y=1"):
            wide.face(text)
    far = Box(x=(1000000, 1000001), y=(0, 1)) - Disk(x=1000000.5, y=0.5, radius=0.1)
    for end in (1000000, 1000001):
        assert [wall.value for wall in far.face(f"x={end}").surfaces] == [end]
    with pytest.raises(TypeError, match="expected one of"):
        far.face("x=1000000.4")
    joined = Box(x=(0, 0.3), y=(0, 1)) | Box(x=(0, 0.1 + 0.2), y=(1, 2))
    assert len(joined.face("x=0.3").surfaces) == len(joined.face("x=0").surfaces) == 2
    odd = Box(x=(0, 1), y=(100, 100 + math.pi), t=(273.15, 300.1234))
    for domain in (odd, odd - disk):
        assert domain.face("t=300.123") == Face(2, 300.1234)
    assert odd.face("y=103.142") == Face(1, 100 + math.pi)
    for domain in (late, late - disk):
        with pytest.raises(TypeError, match="expected one of"):
            domain.face("t=1000002")
    for text in ("t=1000003.5", "t=", "t", "t=2", "t=late"):
        with pytest.raises(TypeError, match="expected one of t="):
            LATER.face(text)
