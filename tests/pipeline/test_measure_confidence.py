"""The tool behind docs/explanation/confidence_measured.md."""

import numpy as np
import pytest

from lion.pipeline import DecodingPreset
from tools import measure_confidence
from tools.measure_confidence import Judged, auroc, measure, tables


def test_auroc_counts_pairs_in_the_right_order():
    truth = np.array([True, True, False, False])
    assert auroc(np.array([0.9, 0.8, 0.2, 0.1]), truth) == 1
    assert auroc(np.array([0.1, 0.2, 0.8, 0.9]), truth) == 0
    assert auroc(np.array([0.5, 0.9, 0.5, 0.1]), truth) == pytest.approx(3.5 / 4)
    assert np.isnan(auroc(np.array([0.5, 0.9]), truth[:2]))


def test_tables_name_what_is_right_refused_and_lost():
    presence = Judged("pope", "presence", np.array([0.9, 0.01, 0.02, 0.8]), np.array([True, True, False, False]))
    present = Judged("rec", "presence", np.array([0.9, 0.8, 0.01, 0.7]), np.ones(4, bool))
    lines = tables([presence, present]).splitlines()
    assert lines[2].startswith("| pope | presence | 0.500 | 4 | 0.500 |")
    assert lines[-2].startswith("| pope | 0.500 ±") and lines[-1].startswith("| rec | - | 0 | 0.250 ±")


def test_every_set_is_measured(pipeline):
    pipeline.decoding = dict.fromkeys(pipeline.decoding, DecodingPreset(num_beams=1, max_new_tokens=30, box_only=True))
    found = {(one.name, one.what): one for one in measure(pipeline, "val", 2)}
    sets = ["pope-random", "pope-popular", "pope-adversarial", "vqa, exists", "rec"]
    assert set(found) == {
        ("rec", "box score"), ("rec", "confidence"), *((name, "presence") for name in sets),
        *((name, "confidence") for name in ("vqa", "dialog", "reg")),
    }  # fmt: skip
    assert all(((one.numbers >= 0) & (one.numbers <= 1)).all() for one in found.values())
    assert found["pope-random", "presence"].truth.tolist() == [True, False]


def test_it_prints_where_and_draws(pipeline, tmp_path, monkeypatch, capsys):
    judged = [
        Judged(what, what, np.linspace(0, 1, 60), np.arange(60) % 3 > 0)
        for what in ("box score", "presence", "confidence")
    ]
    monkeypatch.setattr(measure_confidence, "measure", lambda *_: judged)
    monkeypatch.setattr(measure_confidence.LionPipeline, "from_pretrained", lambda *_, **__: pipeline)
    monkeypatch.setattr("sys.argv", ["measure_confidence", "--plot", str(tmp_path / "drawn.png")])
    measure_confidence.main()
    assert "CPU cores" in capsys.readouterr().out.splitlines()[0] and (tmp_path / "drawn.png").stat().st_size > 0
