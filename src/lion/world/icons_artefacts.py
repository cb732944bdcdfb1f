"""Icons of man-made objects, in the format described in `shapes`."""

from collections.abc import Callable

from lion.world.shapes import Layer, band, blob, curve, detail, ellipse, pie, rect, star, turn


def _ball() -> list[Layer]:
    panels = [detail(pie(50, 50, 46, 46, a, a + 60), "paper") for a in (15, 135, 255)]
    return [
        Layer(ellipse(50, 50, 47), "base"),
        *panels,
        *(detail(turn(rect(49, 4, 51, 50), a, 50, 50), "dark") for a in range(45, 405, 60)),
        detail(ellipse(50, 50, 11), "dark"),
        detail(turn(ellipse(33, 20, 9, 4), -32, 33, 20), "light"),
    ]


def _boat() -> list[Layer]:
    return [
        Layer(rect(46, 4, 51, 70), "wood"),
        Layer([(55, 8), *curve((55, 8), (78, 30), (92, 60)), (55, 60)], "light"),
        Layer([(42, 18), *curve((42, 18), (24, 38), (12, 60)), (42, 60)], "paper"),
        detail([(55, 46), (84, 46), (92, 60), (55, 60)], "base"),
        Layer(
            [(2, 68), (98, 68), *curve((98, 68), (90, 86), (78, 96)), (24, 96), *curve((24, 96), (10, 86), (2, 68))],
            "base",
        ),
        detail([(4, 74), (96, 74), (94, 80), (7, 80)], "paper"),
        detail([(11, 86), (90, 86), (78, 96), (24, 96)], "dark"),
    ]


def _book() -> list[Layer]:
    return [
        Layer(rect(8, 4, 90, 98, 8), "dark"),
        Layer(rect(16, 76, 92, 94, 3), "paper"),
        detail(rect(18, 81, 91, 83), "shade"),
        detail(rect(18, 87, 91, 89), "shade"),
        Layer(rect(14, 4, 92, 80, 6), "base"),
        detail(rect(14, 4, 26, 80, 4), "dark"),
        detail(rect(38, 18, 80, 36, 3), "paper"),
        detail(rect(45, 24, 73, 29), "base"),
        detail(star(59, 58, 13, 6), "light"),
    ]


def _bus() -> list[Layer]:
    windows = [detail(rect(x, 18, x + 20, 42, 3), "glass") for x in (10, 36, 62, 88)]
    wheels = [(34, 84), (112, 84)]
    return [
        Layer(rect(2, 6, 148, 82, 12), "base"),
        detail(rect(2, 6, 148, 13, 6), "light"),
        *windows,
        detail(rect(116, 16, 137, 76, 3), "glass"),
        detail(rect(125.5, 16, 127.5, 76), "base"),
        detail(rect(140, 20, 148, 46, 3), "glass"),
        detail(rect(2, 52, 112, 60), "paper"),
        detail(rect(2, 70, 148, 81, 5), "dark"),
        *(Layer(ellipse(x, y, 14), "tyre") for x, y in wheels),
        *(detail(ellipse(x, y, 6), "metal") for x, y in wheels),
    ]


def _car() -> list[Layer]:
    wheels = [(36, 80), (118, 80)]
    return [
        Layer([(28, 46), *curve((28, 46), (40, 24), (54, 14)), *curve((92, 14), (106, 24), (122, 46))], "base"),
        Layer(blob((4, 66), (8, 50), (34, 42), (112, 42), (142, 48), (152, 62), (150, 80), (78, 84), (8, 82)), "base"),
        detail([(42, 44), (50, 30), (58, 22), (72, 22), (72, 44)], "glass"),
        detail([(79, 22), (90, 22), (100, 30), (110, 44), (79, 44)], "glass"),
        detail(rect(12, 68, 148, 80, 5), "dark"),
        detail(rect(66, 52, 76, 55, 1), "dark"),
        detail(ellipse(144, 58, 5, 5), "lemon"),
        detail(rect(6, 54, 13, 62, 2), "shade"),
        *(Layer(ellipse(x, y, 16), "tyre") for x, y in wheels),
        *(detail(ellipse(x, y, 7), "metal") for x, y in wheels),
    ]


def _chair() -> list[Layer]:
    return [
        Layer(rect(10, 4, 60, 54, 8), "base"),
        detail(rect(18, 13, 52, 46, 4), "light"),
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
        detail(ellipse(50, 56, 30), "paper"),
        *(detail(ellipse(x, y, 2.4), "ink") for x, y in ((50, 32), (74, 56), (50, 80), (26, 56))),
        detail(band([(50, 56), (50, 38)], 4.5), "ink"),
        detail(band([(50, 56), (63, 63)], 4.5), "ink"),
        detail(ellipse(50, 56, 4), "base"),
    ]


def _cup() -> list[Layer]:
    return [
        Layer(band(curve((76, 34), (98, 32), (102, 50), (92, 64), (72, 66)), 9), "dark"),
        Layer([(6, 16), (82, 16), *curve((82, 16), (80, 60), (64, 90)), *curve((24, 90), (8, 60), (6, 16))], "base"),
        detail([(66, 24), (80, 22), (78, 58), (64, 89), (48, 89), (62, 64)], "dark"),
        detail(blob((16, 34), (22, 34), (26, 58), (22, 62), (18, 54)), "light"),
        Layer(ellipse(44, 16, 38, 10), "light"),
        detail(ellipse(44, 17, 31, 6.5), "coffee"),
        Layer(rect(22, 88, 66, 96, 3), "dark"),
    ]


def _hat() -> list[Layer]:
    return [
        Layer(ellipse(70, 74, 68, 20), "base"),
        detail(ellipse(70, 78, 58, 13), "dark"),
        Layer(
            [(32, 74), *curve((32, 74), (36, 24), (54, 6), (70, 12), (86, 6), (104, 24), (108, 74)), (70, 84)], "base"
        ),
        detail([(34, 56), (70, 62), (106, 56), (108, 73), (70, 82), (32, 73)], "coffee"),
        detail(blob((46, 26), (54, 18), (56, 40), (48, 48), (44, 40)), "light"),
    ]


def _house() -> list[Layer]:
    return [
        Layer(rect(70, 10, 82, 40), "dark"),
        Layer(rect(12, 44, 88, 98), "base"),
        Layer([(50, 4), (100, 48), (92, 54), (8, 54), (0, 48)], "dark"),
        detail(ellipse(50, 36, 7), "glass"),
        detail(rect(42, 66, 60, 98, 2), "wood"),
        detail(ellipse(56, 83, 2), "lemon"),
        *(
            part
            for x in (20, 67)
            for part in (detail(rect(x, 64, x + 15, 80), "glass"), detail(rect(x + 6.5, 64, x + 8.5, 80), "paper"))
        ),
        detail(rect(12, 54, 88, 59), "shade"),
    ]


def _kite() -> list[Layer]:
    bows = [(40, 82, 10), (50, 95, -24)]
    return [
        Layer(band(curve((36, 70), (34, 80), (46, 88), (52, 98)), 2.5), "ink"),
        *(Layer(turn([(x - 9, y - 5), (x, y), (x - 9, y + 5)], a, x, y), "dark") for x, y, a in bows),
        *(Layer(turn([(x + 9, y - 5), (x, y), (x + 9, y + 5)], a, x, y), "dark") for x, y, a in bows),
        Layer([(36, 0), (70, 32), (36, 74), (2, 32)], "base"),
        detail([(36, 0), (70, 32), (36, 32)], "light"),
        detail([(36, 32), (36, 74), (2, 32)], "dark"),
        detail(band([(36, 2), (36, 72)], 2), "ink"),
        detail(band([(4, 32), (68, 32)], 2), "ink"),
    ]


def _lamp() -> list[Layer]:
    return [
        Layer(rect(32, 50, 40, 92), "metal"),
        Layer(ellipse(36, 94, 24, 8), "dark"),
        detail(ellipse(36, 92, 18, 4), "base"),
        Layer([(20, 4), (52, 4), (72, 54), (0, 54)], "base"),
        detail([(24, 8), (33, 8), (24, 50), (8, 50)], "light"),
        detail([(0, 54), (2, 47), (70, 47), (72, 54)], "dark"),
        detail(band([(56, 56), (56, 66)], 2), "ink"),
        Layer(ellipse(56, 69, 3), "lemon"),
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
        detail(
            [
                *curve((50, 6), (32, 24), (28, 54)),
                *ellipse(50, 54, 22, 9, 180, 360),
                *curve((72, 54), (68, 24), (50, 6)),
            ],
            "light",
        ),
        detail([*curve((50, 7), (84, 20), (100, 53)), *curve((72, 53), (68, 24), (50, 6))], "dark"),
    ]


_ICONS = (
    _ball, _boat, _book, _bus, _car, _chair, _clock, _cup, _hat, _house, _kite, _lamp, _umbrella,
)  # fmt: skip
ARTEFACTS: dict[str, Callable[[], list[Layer]]] = {paint.__name__[1:]: paint for paint in _ICONS}
