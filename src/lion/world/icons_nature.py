"""Icons of animals and plants (and the star). The format is described in `shapes`."""

from collections.abc import Callable

from lion.world.shapes import Layer, Polygon, band, blob, curve, detail, ellipse, rect, star, turn


def _apple() -> list[Layer]:
    return [
        Layer(band(curve((50, 28), (52, 16), (57, 7)), 6), "wood"),
        Layer(blob((55, 20), (66, 8), (82, 6), (74, 20), (62, 24)), "leaf"),
        Layer(
            blob((50, 29), (70, 23), (89, 38), (88, 65), (72, 92), (50, 91), (28, 92), (12, 65), (11, 38), (30, 23)),
            "base",
        ),
        detail(blob((80, 34), (89, 48), (84, 70), (70, 91), (58, 90), (74, 74), (80, 52)), "dark"),
        detail(turn(ellipse(29, 45, 6, 11), 20, 29, 45), "light"),
    ]


def _bird() -> list[Layer]:
    return [
        Layer(band([(47, 76), (44, 94)], 4), "beak"),
        Layer(band([(58, 76), (57, 94)], 4), "beak"),
        Layer([(28, 52), (2, 40), (6, 56), (26, 70)], "dark"),
        Layer([(84, 30), (102, 36), (84, 43)], "beak"),
        Layer(blob((20, 56), (42, 38), (54, 22), (72, 12), (88, 24), (88, 44), (78, 70), (54, 82), (30, 74)), "base"),
        detail(blob((56, 79), (74, 68), (83, 50), (72, 56), (58, 72)), "light"),
        detail(blob((26, 50), (46, 40), (66, 48), (60, 64), (40, 70), (28, 62)), "dark"),
        detail(ellipse(76, 27, 6), "paper"),
        detail(ellipse(77, 27, 3.6), "ink"),
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


def _cat() -> list[Layer]:
    whiskers = ((31, 44, 17, 42), (31, 48, 18, 50), (61, 44, 75, 42), (61, 48, 74, 50))
    return [
        Layer(band(curve((62, 90), (82, 90), (88, 74), (80, 60), (86, 50)), 9, 0.8), "base"),
        Layer(blob((24, 94), (22, 76), (32, 56), (46, 50), (60, 56), (70, 76), (68, 94), (46, 98)), "base"),
        detail(blob((36, 92), (36, 74), (46, 64), (56, 74), (56, 92), (46, 96)), "light"),
        Layer([(18, 30), (18, 0), (42, 14)], "base"),
        Layer([(74, 30), (74, 0), (50, 14)], "base"),
        detail([(22, 20), (22, 8), (33, 14)], "dark"),
        detail([(70, 20), (70, 8), (59, 14)], "dark"),
        Layer(ellipse(46, 34, 32, 25), "base"),
        detail(ellipse(34, 31, 4.6, 6), "ink"),
        detail(ellipse(58, 31, 4.6, 6), "ink"),
        detail(ellipse(46, 46, 13, 8), "light"),
        detail([(42, 41), (50, 41), (46, 46)], "ink"),
        *(detail(band([(x1, y1), (x2, y2)], 1.6), "ink") for x1, y1, x2, y2 in whiskers),
        Layer(ellipse(37, 94, 8, 5), "base"),
        Layer(ellipse(55, 94, 8, 5), "base"),
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
        detail(blob((38, 74), (70, 80), (102, 74), (92, 87), (70, 91), (48, 87)), "dark"),
        detail(ellipse(52, 56, 9, 5), "light"),
        *sides(ellipse(84, 26, 8), "paper"),
        *sides(ellipse(83, 26, 4), "ink", False),
        detail(band(curve((58, 66), (70, 72), (82, 66)), 3), "ink"),
    ]


def _dog() -> list[Layer]:
    legs = [
        Layer(rect(x, 66, x + 10, 98, 4), tone) for x, tone in ((42, "dark"), (74, "dark"), (28, "base"), (86, "base"))
    ]
    return [
        Layer(band(curve((92, 50), (108, 44), (114, 26)), 8, 0.6), "base"),
        *legs,
        Layer(blob((26, 62), (32, 46), (60, 44), (92, 46), (100, 62), (92, 78), (60, 80), (32, 78)), "base"),
        detail(blob((44, 76), (60, 70), (82, 74), (80, 79), (60, 79)), "light"),
        Layer(blob((4, 40), (14, 32), (22, 14), (42, 10), (56, 24), (52, 46), (34, 56), (12, 54)), "base"),
        Layer(blob((42, 12), (56, 14), (64, 34), (58, 52), (48, 46), (44, 28)), "dark"),
        detail(blob((6, 42), (18, 38), (28, 46), (24, 54), (12, 53)), "light"),
        Layer(ellipse(7, 40, 6, 5), "ink"),
        detail(ellipse(29, 27, 4.2), "ink"),
        detail(rect(40, 52, 52, 58, 2), "ink"),
    ]


def _fish() -> list[Layer]:
    return [
        Layer(blob((92, 50), (118, 18), (134, 14), (126, 48), (134, 84), (118, 80)), "dark"),
        Layer(blob((46, 26), (64, 4), (88, 14), (84, 32)), "dark"),
        Layer(blob((48, 76), (60, 94), (76, 90), (76, 72)), "dark"),
        Layer(blob((2, 52), (22, 28), (56, 18), (90, 32), (106, 50), (90, 68), (56, 82), (22, 74)), "base"),
        detail(blob((20, 70), (56, 72), (92, 62), (78, 74), (56, 80), (32, 77)), "light"),
        detail(band(curve((56, 22), (62, 50), (56, 79)), 7), "light"),
        detail(band(curve((78, 27), (83, 50), (78, 73)), 6), "light"),
        detail(ellipse(25, 44, 7.5), "paper"),
        detail(ellipse(24, 44, 4.2), "ink"),
        detail(band(curve((8, 60), (14, 62), (20, 60)), 2.5), "ink"),
    ]


def _flower() -> list[Layer]:
    petals = [turn(ellipse(36, 14, 12, 15), a, 36, 34) for a in range(0, 360, 60)]
    return [
        Layer(band(curve((36, 50), (38, 74), (36, 102)), 6), "leaf"),
        Layer(blob((38, 92), (46, 74), (66, 70), (60, 88)), "leaf"),
        Layer(blob((36, 98), (28, 82), (8, 80), (16, 96)), "leaf"),
        *(Layer(petal, "base") for petal in petals),
        *(detail(turn(ellipse(36, 17, 4, 8), a, 36, 34), "light") for a in range(0, 360, 60)),
        detail(ellipse(36, 34, 11), "coffee"),
        detail(ellipse(34, 32, 5), "wood"),
    ]


def _mushroom() -> list[Layer]:
    return [
        Layer(blob((36, 50), (64, 50), (66, 74), (72, 94), (50, 98), (28, 94), (34, 74)), "cream"),
        detail(blob((58, 56), (64, 56), (65, 76), (70, 93), (56, 96), (60, 76)), "shade"),
        Layer(blob((0, 52), (8, 24), (34, 4), (66, 4), (92, 24), (100, 52), (76, 60), (50, 56), (24, 60)), "base"),
        detail(blob((4, 52), (24, 49), (50, 47), (76, 49), (96, 52), (76, 59), (50, 55), (24, 59)), "dark"),
        *(
            detail(ellipse(x, y, rx, ry), "paper")
            for x, y, rx, ry in ((30, 30, 9, 8), (58, 18, 8, 6), (74, 36, 8, 7), (50, 41, 5, 4))
        ),
    ]


def _star() -> list[Layer]:
    return [
        Layer(star(50, 50, 50, 23), "base"),
        *(detail(turn([(50, 50), (50, 2), (60, 31)], a, 50, 50), "light") for a in range(0, 360, 72)),
        detail(ellipse(41, 50, 3.6, 5), "ink"),
        detail(ellipse(59, 50, 3.6, 5), "ink"),
        detail(band(curve((43, 60), (50, 64), (57, 60)), 3), "ink"),
    ]


def _tree() -> list[Layer]:
    crown = (
        (42, 2), (62, 8), (72, 24), (82, 40), (76, 60), (58, 68),
        (42, 64), (24, 68), (6, 60), (2, 40), (12, 24), (22, 8),
    )  # fmt: skip
    return [
        Layer([(36, 60), (48, 60), (50, 90), (56, 98), (28, 98), (34, 90)], "wood"),
        Layer(blob(*crown), "base"),
        detail(blob((74, 34), (80, 44), (74, 59), (58, 66), (42, 62), (54, 58), (68, 50)), "dark"),
        *(detail(ellipse(x, y, r, r * 0.8), "light") for x, y, r in ((30, 20, 9), (20, 42, 7), (46, 38, 6))),
    ]


_ICONS = (_apple, _bird, _butterfly, _cat, _crab, _dog, _fish, _flower, _mushroom, _star, _tree)
NATURE: dict[str, Callable[[], list[Layer]]] = {paint.__name__[1:]: paint for paint in _ICONS}
