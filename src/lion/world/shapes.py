"""Flat shapes as polygons, in any unit with y down, of which icons and backgrounds are made.

An icon is a list of layers, painted in order in a square of about 100 units. Layers of the silhouette have an outline;
details do not and lie inside it. Each icon is scaled so that its outline fills the object's box.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

Point = tuple[float, float]
Polygon = list[Point]
_STEPS = 8  # points of a smooth curve from one given point to the next


class Layer(NamedTuple):
    """One polygon of an icon."""

    points: Polygon
    tone: str
    """"base", "light" or "dark" (of the object's colour) or one of the fixed tones of `draw`."""
    edge: bool = True
    """Whether it belongs to the silhouette, which has an outline."""


def detail(points: Polygon, tone: str) -> Layer:
    """A layer inside the silhouette."""
    return Layer(points, tone, edge=False)


def ellipse(cx: float, cy: float, rx: float, ry: float | None = None, start: float = 0, end: float = 360) -> Polygon:
    """An ellipse, or the chord-closed part of it from `start` to `end` degrees (0 right, 90 down)."""
    ry = rx if ry is None else ry
    steps = max(8, round(abs(end - start) / 5))
    angles = [math.radians(start + (end - start) * i / steps) for i in range(steps + (end - start < 360))]
    return [(cx + rx * math.cos(a), cy + ry * math.sin(a)) for a in angles]


def pie(cx: float, cy: float, rx: float, ry: float, start: float, end: float) -> Polygon:
    """A slice of an ellipse with its tip at the centre."""
    return [(cx, cy), *ellipse(cx, cy, rx, ry, start, end)]


def rect(x1: float, y1: float, x2: float, y2: float, radius: float = 0) -> Polygon:
    """A rectangle with rounded corners."""
    if radius <= 0:
        return [(x1, y1), (x2, y1), (x2, y2), (x1, y2)]
    r = min(radius, (x2 - x1) / 2, (y2 - y1) / 2)
    corners = ((x2 - r, y1 + r, 270), (x2 - r, y2 - r, 0), (x1 + r, y2 - r, 90), (x1 + r, y1 + r, 180))
    return [point for cx, cy, start in corners for point in ellipse(cx, cy, r, r, start, start + 90)]


def blob(*points: Point) -> Polygon:
    """A smooth closed curve through `points` (Catmull-Rom)."""
    return _splines(points[-1], *points, *points[:2])


def curve(*points: Point) -> Polygon:
    """A smooth open curve through `points`."""
    return [*_splines(points[0], *points, points[-1]), points[-1]]


def band(points: Sequence[Point], width: float, taper: float = 1.0) -> Polygon:
    """A line of some width with round ends as one polygon; `taper` multiplies the width at the far end."""
    left: Polygon = []
    right: Polygon = []
    last = len(points) - 1
    for i, (x, y) in enumerate(points):
        (ax, ay), (bx, by) = points[max(i - 1, 0)], points[min(i + 1, last)]
        length = math.hypot(bx - ax, by - ay) or 1.0
        half = width / 2 * (1 + (taper - 1) * i / max(last, 1))
        nx, ny = -(by - ay) / length * half, (bx - ax) / length * half
        left.append((x + nx, y + ny))
        right.append((x - nx, y - ny))
    return left + _cap(points[-1], left[-1]) + right[::-1] + _cap(points[0], right[0])


def star(cx: float, cy: float, outer: float, inner: float, tips: int = 5) -> Polygon:
    """A star with one tip up."""
    radii = (outer, inner)
    angle = math.pi / tips
    return [(cx + radii[i % 2] * math.sin(i * angle), cy - radii[i % 2] * math.cos(i * angle)) for i in range(2 * tips)]


def turn(points: Sequence[Point], degrees: float, cx: float, cy: float) -> Polygon:
    """`points` turned clockwise about a centre."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return [(cx + (x - cx) * c - (y - cy) * s, cy + (x - cx) * s + (y - cy) * c) for x, y in points]


def _cap(centre: Point, start: Point) -> Polygon:
    """The half circle from `start` to the point across, through the side that lies outside the band."""
    radius = math.hypot(start[0] - centre[0], start[1] - centre[1])
    first = math.atan2(start[1] - centre[1], start[0] - centre[0])
    return [
        (centre[0] + radius * math.cos(first - math.pi * i / 6), centre[1] + radius * math.sin(first - math.pi * i / 6))
        for i in range(1, 6)
    ]


def _splines(*points: Point) -> Polygon:
    """The curve from the second point to the last but one, without its end."""
    fours = zip(points, points[1:], points[2:], points[3:], strict=False)
    return [_spline(*four, step / _STEPS) for four in fours for step in range(_STEPS)]


def _spline(a: Point, b: Point, c: Point, d: Point, t: float) -> Point:
    def axis(p: float, q: float, r: float, s: float) -> float:
        return 0.5 * (2 * q + (r - p) * t + (2 * p - 5 * q + 4 * r - s) * t * t + (3 * q - p - 3 * r + s) * t**3)

    return axis(a[0], b[0], c[0], d[0]), axis(a[1], b[1], c[1], d[1])
