"""Rows in words, as JSON and as a picture."""

import json

import pytest
from PIL import Image

from lion.bench import plot
from lion.bench.limits import Limits
from lion.bench.peers import Comparison
from lion.bench.report import HEADS, Setting, line, to_json
from lion.bench.stages import Stage
from lion.bench.timing import Spread
from lion.errors import LionError

LIMIT = Limits(2, 123.4e9, 9.87e9)
LOOK = Stage("look", 8, 16, Spread(0.5, 0.4, 1.0, 3), 600_000_000, unit="FLOP", work=30e9, limit=120e9, own_limit=80e9)
DECODE = Stage("decode", 8, 8, Spread(0.5, 0.4, 1.0, 3), 600_000_000, tokens=120)
BESIDE = Comparison(
    "generate", "tiny: prompt to tokens", 8, 5, Spread(1.0, 0.9, 1.1, 3), Spread(2.0, 1.9, 2.1, 3),
    Spread(2.0, 1.8, 2.3, 3), True,
)  # fmt: skip


def test_lines():
    assert line(LIMIT).split() == ["2", "123", "GFLOP/s", "9.9", "GB/s"]
    assert line(LOOK).split() == ["look", "8", "32", "(16", "-", "40)", "50%", "75%", "600", "MB"]
    assert line(DECODE).split() == ["decode", "8", "16", "(8", "-", "20)", "240", "600", "MB"]
    assert line(BESIDE).endswith("1 s       2 s  2 (1.8 - 2.3) times as fast, same tokens")


def test_columns_stand_under_their_heads():
    assert all(len(line(row)) <= 120 for row in (LIMIT, LOOK, DECODE, BESIDE))
    head = HEADS[Stage]
    assert line(LOOK).index("50%") + 3 == head.index("of peak") + 7
    assert line(LOOK).index("32 (") == head.index("pictures a second")


def test_json():
    look = json.loads(json.dumps(to_json(LOOK)))
    assert look["kind"] == "stage" and look["share"] == 0.5 and look["own_share"] == 0.75
    assert look["pictures_per_second"] == {"median": 32, "low": 16, "high": 40, "repeats": 3}
    assert look["tokens_per_second"] is None and to_json(DECODE)["tokens_per_second"]["median"] == 240
    assert to_json(LIMIT)["kind"] == "limits" and to_json(BESIDE)["kind"] == "comparison"


def test_setting(lion):
    setting = Setting.of(lion)
    assert {"model", "hardware", "commit", "date", "versions", "threads", "dtype"} <= to_json(setting).keys()
    assert str(setting).startswith("tiny in float32 on ")


def test_picture(lion, tmp_path):
    pytest.importorskip("matplotlib")
    plot.plot(Setting.of(lion), [LIMIT, LOOK, DECODE, BESIDE], tmp_path / "bars.png")
    assert Image.open(tmp_path / "bars.png").size[0] > 1000


def test_a_picture_that_cannot_be_is_refused_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr("lion.figures.find_spec", lambda name: None)
    with pytest.raises(LionError, match=r"lion-vlm\[plot\]"):
        plot.check_plot(tmp_path / "bars.png")
    monkeypatch.setattr("lion.figures.find_spec", lambda name: True)
    with pytest.raises(LionError, match=r"\.png, \.svg, \.pdf"):
        plot.check_plot(tmp_path / "bars.txt")
    plot.check_plot(tmp_path / "bars.PNG")
