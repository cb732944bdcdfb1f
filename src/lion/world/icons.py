"""The 24 icons as lists of layers (polygon, tone), painted in order, in a square of about 100 units with y down.

A tone is "base", "light" or "dark" (of the object's colour) or one of the fixed tones of `draw.FIXED_TONES`. Layers of
the silhouette carry the outline; details (`edge=False`) do not and must lie inside it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from lion.world.shapes import Polygon, band, blob, curve, ellipse, pie, rect, star, turn


class Layer(NamedTuple):
    """One polygon of an icon."""

    points: Polygon
    tone: str
    edge: bool = True


def _in(points: Polygon, tone: str) -> Layer:
    return Layer(points, tone, edge=False)


def _apple() -> list[Layer]:
    return [
        Layer(band(curve((50, 28), (52, 16), (57, 7)), 6), "wood"),
        Layer(blob((55, 20), (66, 8), (82, 6), (74, 20), (62, 24)), "leaf"),
        Layer(
            blob((50, 29), (70, 23), (89, 38), (88, 65), (72, 92), (50, 91), (28, 92), (12, 65), (11, 38), (30, 23)),
            "base",
        ),
        _in(blob((80, 34), (89, 48), (84, 70), (70, 91), (58, 90), (74, 74), (80, 52)), "dark"),
        _in(turn(ellipse(29, 45, 6, 11), 20, 29, 45), "light"),
    ]


def _ball() -> list[Layer]:
    panels = [_in(pie(50, 50, 46, 46, a, a + 60), "paper") for a in (15, 135, 255)]
    return [
        Layer(ellipse(50, 50, 47), "base"),
        *panels,
        *(_in(turn(rect(49, 4, 51, 50), a, 50, 50), "dark") for a in range(45, 405, 60)),
        _in(ellipse(50, 50, 11), "dark"),
        _in(turn(ellipse(33, 20, 9, 4), -32, 33, 20), "light"),
    ]


def _bird() -> list[Layer]:
    return [
        Layer(band([(47, 76), (44, 94)], 4), "beak"),
        Layer(band([(58, 76), (57, 94)], 4), "beak"),
        Layer([(28, 52), (2, 40), (6, 56), (26, 70)], "dark"),
        Layer([(84, 30), (102, 36), (84, 43)], "beak"),
        Layer(blob((20, 56), (42, 38), (54, 22), (72, 12), (88, 24), (88, 44), (78, 70), (54, 82), (30, 74)), "base"),
        _in(blob((56, 79), (74, 68), (83, 50), (72, 56), (58, 72)), "light"),
        _in(blob((26, 50), (46, 40), (66, 48), (60, 64), (40, 70), (28, 62)), "dark"),
        _in(ellipse(76, 27, 6), "paper"),
        _in(ellipse(77, 27, 3.6), "ink"),
    ]


def _boat() -> list[Layer]:
    return [
        Layer(rect(46, 4, 51, 70), "wood"),
        Layer([(55, 8), *curve((55, 8), (78, 30), (92, 60)), (55, 60)], "light"),
        Layer([(42, 18), *curve((42, 18), (24, 38), (12, 60)), (42, 60)], "paper"),
        _in([(55, 46), (84, 46), (92, 60), (55, 60)], "base"),
        Layer(
            [(2, 68), (98, 68), *curve((98, 68), (90, 86), (78, 96)), (24, 96), *curve((24, 96), (10, 86), (2, 68))],
            "base",
        ),
        _in([(4, 74), (96, 74), (94, 80), (7, 80)], "paper"),
        _in([(11, 86), (90, 86), (78, 96), (24, 96)], "dark"),
    ]


def _book() -> list[Layer]:
    return [
        Layer(rect(8, 4, 90, 98, 8), "dark"),
        Layer(rect(16, 76, 92, 94, 3), "paper"),
        _in(rect(18, 81, 91, 83), "shade"),
        _in(rect(18, 87, 91, 89), "shade"),
        Layer(rect(14, 4, 92, 80, 6), "base"),
        _in(rect(14, 4, 26, 80, 4), "dark"),
        _in(rect(38, 18, 80, 36, 3), "paper"),
        _in(rect(45, 24, 73, 29), "base"),
        _in(star(59, 58, 13, 6), "light"),
    ]


def _bus() -> list[Layer]:
    windows = [_in(rect(x, 18, x + 20, 42, 3), "glass") for x in (10, 36, 62, 88)]
    wheels = [(34, 84), (112, 84)]
    return [
        Layer(rect(2, 6, 148, 82, 12), "base"),
        _in(rect(2, 6, 148, 13, 6), "light"),
        *windows,
        _in(rect(116, 16, 137, 76, 3), "glass"),
        _in(rect(125.5, 16, 127.5, 76), "base"),
        _in(rect(140, 20, 148, 46, 3), "glass"),
        _in(rect(2, 52, 112, 60), "paper"),
        _in(rect(2, 70, 148, 81, 5), "dark"),
        *(Layer(ellipse(x, y, 14), "tyre") for x, y in wheels),
        *(_in(ellipse(x, y, 6), "metal") for x, y in wheels),
    ]


def _butterfly() -> list[Layer]:
    def sides(points: Polygon, tone: str, edge: bool) -> list[Layer]:
        return [Layer(points, tone, edge), Layer([(100 - x, y) for x, y in points], tone, edge)]

    return [
        *sides(band(curve((50, 26), (42, 12), (34, 6)), 3.5), "ink", True),
        *sides(blob((50, 52), (66, 54), (84, 62), (82, 82), (66, 88), (54, 72)), "dark", True),
        *sides(blob((50, 50), (56, 26), (78, 8), (98, 12), (96, 38), (82, 56), (60, 58)), "base", True),
        *sides(blob((66, 40), (74, 24), (88, 20), (86, 36), (76, 46)), "light", False),
        *sides(ellipse(70, 72, 6), "light", False),
        Layer(ellipse(50, 52, 5.5, 30), "ink"),
    ]


def _car() -> list[Layer]:
    wheels = [(36, 80), (118, 80)]
    return [
        Layer([(28, 46), *curve((28, 46), (40, 24), (54, 14)), *curve((92, 14), (106, 24), (122, 46))], "base"),
        Layer(blob((4, 66), (8, 50), (34, 42), (112, 42), (142, 48), (152, 62), (150, 80), (78, 84), (8, 82)), "base"),
        _in([(42, 44), (50, 30), (58, 22), (72, 22), (72, 44)], "glass"),
        _in([(79, 22), (90, 22), (100, 30), (110, 44), (79, 44)], "glass"),
        _in(rect(12, 68, 148, 80, 5), "dark"),
        _in(rect(66, 52, 76, 55, 1), "dark"),
        _in(ellipse(144, 58, 5, 5), "lemon"),
        _in(rect(6, 54, 13, 62, 2), "shade"),
        *(Layer(ellipse(x, y, 16), "tyre") for x, y in wheels),
        *(_in(ellipse(x, y, 7), "metal") for x, y in wheels),
    ]


def _cat() -> list[Layer]:
    return [
        Layer(band(curve((62, 90), (82, 90), (88, 74), (80, 60), (86, 50)), 9, 0.8), "base"),
        Layer(blob((24, 94), (22, 76), (32, 56), (46, 50), (60, 56), (70, 76), (68, 94), (46, 98)), "base"),
        _in(blob((36, 92), (36, 74), (46, 64), (56, 74), (56, 92), (46, 96)), "light"),
        Layer([(18, 30), (18, 0), (42, 14)], "base"),
        Layer([(74, 30), (74, 0), (50, 14)], "base"),
        _in([(22, 20), (22, 8), (33, 14)], "dark"),
        _in([(70, 20), (70, 8), (59, 14)], "dark"),
        Layer(ellipse(46, 34, 32, 25), "base"),
        _in(ellipse(34, 31, 4.6, 6), "ink"),
        _in(ellipse(58, 31, 4.6, 6), "ink"),
        _in(ellipse(46, 46, 13, 8), "light"),
        _in([(42, 41), (50, 41), (46, 46)], "ink"),
        *(_in(band([(x1, y1), (x2, y2)], 1.6), "ink") for x1, y1, x2, y2 in _WHISKERS),
        Layer(ellipse(37, 94, 8, 5), "base"),
        Layer(ellipse(55, 94, 8, 5), "base"),
    ]


_WHISKERS = ((31, 44, 17, 42), (31, 48, 18, 50), (61, 44, 75, 42), (61, 48, 74, 50))


def _chair() -> list[Layer]:
    return [
        Layer(rect(10, 4, 60, 54, 8), "base"),
        _in(rect(18, 13, 52, 46, 4), "light"),
        Layer(rect(10, 48, 17, 98, 2), "dark"),
        Layer(rect(53, 48, 60, 90, 2), "dark"),
        Layer([(8, 50), (58, 50), (70, 64), (4, 64)], "base"),
        Layer(rect(4, 62, 70, 70, 3), "dark"),
        Layer(rect(4, 66, 12, 104, 2), "dark"),
        Layer(rect(62, 66, 70, 104, 2), "dark"),
    ]


def _clock() -> list[Layer]:
    return [
        Layer(band([(24, 82), (14, 98)], 8), "dark"),
        Layer(band([(76, 82), (86, 98)], 8), "dark"),
        Layer(turn(ellipse(22, 20, 18, 11, 180, 360), -42, 22, 20), "base"),
        Layer(turn(ellipse(78, 20, 18, 11, 180, 360), 42, 78, 20), "base"),
        Layer(rect(46, 2, 54, 14, 2), "dark"),
        Layer(ellipse(50, 56, 42), "base"),
        _in(ellipse(50, 56, 30), "paper"),
        *(_in(ellipse(x, y, 2.4), "ink") for x, y in ((50, 32), (74, 56), (50, 80), (26, 56))),
        _in(band([(50, 56), (50, 38)], 4.5), "ink"),
        _in(band([(50, 56), (63, 63)], 4.5), "ink"),
        _in(ellipse(50, 56, 4), "base"),
    ]


def _crab() -> list[Layer]:
    def sides(points: Polygon, tone: str, edge: bool = True) -> list[Layer]:
        return [Layer(points, tone, edge), Layer([(140 - x, y) for x, y in points], tone, edge)]

    legs = [curve((98, y), (120, y - 2), (130, y + 14)) for y in (66, 78)]
    return [
        *(layer for leg in legs for layer in sides(band(leg, 6, 0.6), "dark")),
        *sides(band(curve((100, 62), (118, 56), (120, 42)), 9), "dark"),
        *sides(blob((118, 46), (106, 30), (112, 10), (122, 4), (120, 24), (132, 8), (138, 22), (132, 42)), "base"),
        *sides(band([(82, 48), (84, 30)], 5), "dark"),
        Layer(blob((30, 66), (40, 46), (70, 40), (100, 46), (110, 66), (98, 88), (70, 94), (42, 88)), "base"),
        _in(blob((38, 74), (70, 80), (102, 74), (92, 87), (70, 91), (48, 87)), "dark"),
        _in(ellipse(52, 56, 9, 5), "light"),
        *sides(ellipse(84, 26, 8), "paper"),
        *sides(ellipse(83, 26, 4), "ink", False),
        _in(band(curve((58, 66), (70, 72), (82, 66)), 3), "ink"),
    ]


def _cup() -> list[Layer]:
    return [
        Layer(band(curve((76, 34), (98, 32), (102, 50), (92, 64), (72, 66)), 9), "dark"),
        Layer([(6, 16), (82, 16), *curve((82, 16), (80, 60), (64, 90)), *curve((24, 90), (8, 60), (6, 16))], "base"),
        _in([(66, 24), (80, 22), (78, 58), (64, 89), (48, 89), (62, 64)], "dark"),
        _in(blob((16, 34), (22, 34), (26, 58), (22, 62), (18, 54)), "light"),
        Layer(ellipse(44, 16, 38, 10), "light"),
        _in(ellipse(44, 17, 31, 6.5), "coffee"),
        Layer(rect(22, 88, 66, 96, 3), "dark"),
    ]


def _dog() -> list[Layer]:
    legs = [
        Layer(rect(x, 66, x + 10, 98, 4), tone) for x, tone in ((42, "dark"), (74, "dark"), (28, "base"), (86, "base"))
    ]
    return [
        Layer(band(curve((92, 50), (108, 44), (114, 26)), 8, 0.6), "base"),
        *legs[:2],
        *legs[2:],
        Layer(blob((26, 62), (32, 46), (60, 44), (92, 46), (100, 62), (92, 78), (60, 80), (32, 78)), "base"),
        _in(blob((44, 76), (60, 70), (82, 74), (80, 79), (60, 79)), "light"),
        Layer(blob((4, 40), (14, 32), (22, 14), (42, 10), (56, 24), (52, 46), (34, 56), (12, 54)), "base"),
        Layer(blob((42, 12), (56, 14), (64, 34), (58, 52), (48, 46), (44, 28)), "dark"),
        _in(blob((6, 42), (18, 38), (28, 46), (24, 54), (12, 53)), "light"),
        Layer(ellipse(7, 40, 6, 5), "ink"),
        _in(ellipse(29, 27, 4.2), "ink"),
        _in(rect(40, 52, 52, 58, 2), "ink"),
    ]


def _fish() -> list[Layer]:
    return [
        Layer(blob((92, 50), (118, 18), (134, 14), (126, 48), (134, 84), (118, 80)), "dark"),
        Layer(blob((46, 26), (64, 4), (88, 14), (84, 32)), "dark"),
        Layer(blob((48, 76), (60, 94), (76, 90), (76, 72)), "dark"),
        Layer(blob((2, 52), (22, 28), (56, 18), (90, 32), (106, 50), (90, 68), (56, 82), (22, 74)), "base"),
        _in(blob((20, 70), (56, 72), (92, 62), (78, 74), (56, 80), (32, 77)), "light"),
        _in(band(curve((56, 22), (62, 50), (56, 79)), 7), "light"),
        _in(band(curve((78, 27), (83, 50), (78, 73)), 6), "light"),
        _in(ellipse(25, 44, 7.5), "paper"),
        _in(ellipse(24, 44, 4.2), "ink"),
        _in(band(curve((8, 60), (14, 62), (20, 60)), 2.5), "ink"),
    ]


def _flower() -> list[Layer]:
    petals = [turn(ellipse(36, 14, 12, 15), a, 36, 34) for a in range(0, 360, 60)]
    return [
        Layer(band(curve((36, 50), (38, 74), (36, 102)), 6), "leaf"),
        Layer(blob((38, 92), (46, 74), (66, 70), (60, 88)), "leaf"),
        Layer(blob((36, 98), (28, 82), (8, 80), (16, 96)), "leaf"),
        *(Layer(petal, "base") for petal in petals),
        *(_in(turn(ellipse(36, 17, 4, 8), a, 36, 34), "light") for a in range(0, 360, 60)),
        _in(ellipse(36, 34, 11), "coffee"),
        _in(ellipse(34, 32, 5), "wood"),
    ]


def _hat() -> list[Layer]:
    return [
        Layer(ellipse(70, 74, 68, 20), "base"),
        _in(ellipse(70, 78, 58, 13), "dark"),
        Layer(
            [(32, 74), *curve((32, 74), (36, 24), (54, 6), (70, 12), (86, 6), (104, 24), (108, 74)), (70, 84)], "base"
        ),
        _in([(34, 56), (70, 62), (106, 56), (108, 73), (70, 82), (32, 73)], "coffee"),
        _in(blob((46, 26), (54, 18), (56, 40), (48, 48), (44, 40)), "light"),
    ]


def _house() -> list[Layer]:
    return [
        Layer(rect(70, 10, 82, 40), "dark"),
        Layer(rect(12, 44, 88, 98), "base"),
        Layer([(50, 4), (100, 48), (92, 54), (8, 54), (0, 48)], "dark"),
        _in(ellipse(50, 36, 7), "glass"),
        _in(rect(42, 66, 60, 98, 2), "wood"),
        _in(ellipse(56, 83, 2), "lemon"),
        *(
            part
            for x in (20, 67)
            for part in (_in(rect(x, 64, x + 15, 80), "glass"), _in(rect(x + 6.5, 64, x + 8.5, 80), "paper"))
        ),
        _in(rect(12, 54, 88, 59), "shade"),
    ]


def _kite() -> list[Layer]:
    bows = [(40, 82, 10), (50, 95, -24)]
    return [
        Layer(band(curve((36, 70), (34, 80), (46, 88), (52, 98)), 2.5), "ink"),
        *(Layer(turn([(x - 9, y - 5), (x, y), (x - 9, y + 5)], a, x, y), "dark") for x, y, a in bows),
        *(Layer(turn([(x + 9, y - 5), (x, y), (x + 9, y + 5)], a, x, y), "dark") for x, y, a in bows),
        Layer([(36, 0), (70, 32), (36, 74), (2, 32)], "base"),
        _in([(36, 0), (70, 32), (36, 32)], "light"),
        _in([(36, 32), (36, 74), (2, 32)], "dark"),
        _in(band([(36, 2), (36, 72)], 2), "ink"),
        _in(band([(4, 32), (68, 32)], 2), "ink"),
    ]


def _lamp() -> list[Layer]:
    return [
        Layer(rect(32, 50, 40, 92), "metal"),
        Layer(ellipse(36, 94, 24, 8), "dark"),
        _in(ellipse(36, 92, 18, 4), "base"),
        Layer([(20, 4), (52, 4), (72, 54), (0, 54)], "base"),
        _in([(24, 8), (33, 8), (24, 50), (8, 50)], "light"),
        _in([(0, 54), (2, 47), (70, 47), (72, 54)], "dark"),
        _in(band([(56, 56), (56, 66)], 2), "ink"),
        Layer(ellipse(56, 69, 3), "lemon"),
    ]


def _mushroom() -> list[Layer]:
    return [
        Layer(blob((36, 50), (64, 50), (66, 74), (72, 94), (50, 98), (28, 94), (34, 74)), "cream"),
        _in(blob((58, 56), (64, 56), (65, 76), (70, 93), (56, 96), (60, 76)), "shade"),
        Layer(blob((0, 52), (8, 24), (34, 4), (66, 4), (92, 24), (100, 52), (76, 60), (50, 56), (24, 60)), "base"),
        _in(blob((4, 52), (24, 49), (50, 47), (76, 49), (96, 52), (76, 59), (50, 55), (24, 59)), "dark"),
        *(
            _in(ellipse(x, y, rx, ry), "paper")
            for x, y, rx, ry in ((30, 30, 9, 8), (58, 18, 8, 6), (74, 36, 8, 7), (50, 41, 5, 4))
        ),
    ]


def _star() -> list[Layer]:
    return [
        Layer(star(50, 50, 50, 23), "base"),
        *(_in(turn([(50, 50), (50, 2), (60, 31)], a, 50, 50), "light") for a in range(0, 360, 72)),
        _in(ellipse(41, 50, 3.6, 5), "ink"),
        _in(ellipse(59, 50, 3.6, 5), "ink"),
        _in(band(curve((43, 60), (50, 64), (57, 60)), 3), "ink"),
    ]


def _tree() -> list[Layer]:
    return [
        Layer([(36, 60), (48, 60), (50, 90), (56, 98), (28, 98), (34, 90)], "wood"),
        Layer(
            blob(
                (42, 2),
                (62, 8),
                (72, 24),
                (82, 40),
                (76, 60),
                (58, 68),
                (42, 64),
                (24, 68),
                (6, 60),
                (2, 40),
                (12, 24),
                (22, 8),
            ),
            "base",
        ),
        _in(blob((74, 34), (80, 44), (74, 59), (58, 66), (42, 62), (54, 58), (68, 50)), "dark"),
        *(_in(ellipse(x, y, r, r * 0.8), "light") for x, y, r in ((30, 20, 9), (20, 42, 7), (46, 38, 6))),
    ]


def _umbrella() -> list[Layer]:
    return [
        Layer(band(curve((50, 46), (50, 80), (52, 92), (62, 96), (70, 88)), 5.5), "wood"),
        Layer(band([(50, 2), (50, 10)], 4), "wood"),
        Layer(
            [
                *ellipse(50, 54, 50, 48, 180, 360),
                *ellipse(86, 54, 14, 7, 360, 180),
                *ellipse(50, 54, 22, 9, 360, 180),
                *ellipse(14, 54, 14, 7, 360, 180),
            ],
            "base",
        ),
        _in(
            [
                *curve((50, 6), (32, 24), (28, 54)),
                *ellipse(50, 54, 22, 9, 180, 360),
                *curve((72, 54), (68, 24), (50, 6)),
            ],
            "light",
        ),
        _in([*curve((50, 7), (84, 20), (100, 53)), *curve((72, 53), (68, 24), (50, 6))], "dark"),
    ]


ICONS: dict[str, Callable[[], list[Layer]]] = {
    "apple": _apple, "ball": _ball, "bird": _bird, "boat": _boat, "book": _book, "bus": _bus, "butterfly": _butterfly,
    "car": _car, "cat": _cat, "chair": _chair, "clock": _clock, "crab": _crab, "cup": _cup, "dog": _dog, "fish": _fish,
    "flower": _flower, "hat": _hat, "house": _house, "kite": _kite, "lamp": _lamp, "mushroom": _mushroom, "star": _star,
    "tree": _tree, "umbrella": _umbrella,
}  # fmt: skip
