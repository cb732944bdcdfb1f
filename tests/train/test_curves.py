"""Curves are read back as they were logged, by whichever version, and drawn with every run named."""

import json
import os
from itertools import pairwise

import pytest

from lion.errors import LionError
from lion.train import curves, curves_plot
from lion.train.curves import read_runs
from lion.train.curves_plot import plot_curves
from tests.train.test_run import EARLIER

GATES = {"image/image": 0.9, "image/region": 0.1, "region/region": 1.0, "region/image": 0.0}


def write_run(folder, steps=3, blocks=1, **more):
    """A run's log as it is written now."""
    folder.mkdir(parents=True)
    rows, found = [], []
    for step in range(1, steps + 1):
        row = {"step": step, "loss": 3 / step, "per_task": {"vqa": 2 / step}, "lr": 1e-3, "grad_norm": 2.0}
        row |= {"samples_per_second": 9.0, "tokens_per_second": 90.0, "input_wait": 0.25, "peak_memory_gb": 1.5}
        if step == steps:
            row["grad_norms"] = {"router": 0.5}
            row["gates"] = {f"encoder {number}": GATES for number in range(1, blocks + 1)}
        rows.append(row)
    for step in (0, steps):
        scores = {"rec/accuracy@0.5": 0.5, "rec/mean_iou": 0.25, "vqa/accuracy": 0.75, "vqa/accuracy/count": 0.5}
        found.append(
            {"step": step, **scores, "held_out/caption/cider": 1.0, "decoding": "greedy", "seconds": 3.0, **more}
        )
    for name, lines in (("train", rows), ("validation", found)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def titles(panels):
    return [panel.title for panel in panels]


def test_what_was_logged_is_found_and_sorted_into_panels(tmp_path):
    (run,) = read_runs([write_run(tmp_path / "mine")])
    assert run.name == "mine" and run.points["train/per_task/vqa"] == ([1, 2, 3], [2, 1, 2 / 3])
    assert titles(curves.losses([run])) == ["loss", "vqa"] and titles(curves.norms([run])) == ["all", "router"]
    speeds = {panel.title: panel.lines[0][1][1][-1] for panel in curves.speeds([run])}
    assert speeds == {
        "samples a second": 9.0, "tokens a second": 90.0, "waiting for batches, %": 25.0, "peak memory, GB": 1.5,
        "learning rate": 1e-3,
    }  # fmt: skip
    assert curves.gates(run) == {"encoder 1": {pair: ([3], [value]) for pair, value in GATES.items()}}


def test_a_set_of_questions_is_shown_by_its_main_score(tmp_path):
    runs = read_runs([write_run(tmp_path / "mine", map=0.5, box_distance=0.1)])
    panels = curves.scores(runs)
    values = {panel.title: panel.lines[0][1] for panel in panels}
    assert values == {
        "rec accuracy@0.5": ([0, 3], [50, 50]), "vqa accuracy": ([0, 3], [75, 75]),
        "held_out/caption cider": ([0, 3], [100, 100]), "map": ([0, 3], [50, 50]), "box_distance": ([0, 3], [0.1, 0.1]),
    }  # fmt: skip


def test_a_folder_of_runs_stands_for_them_in_the_order_of_their_end(tmp_path):
    for number, name in enumerate(("stage2", "stage1", "stage3")):
        log = write_run(tmp_path / "chain" / name) / "train.jsonl"
        os.utime(log, (1000 + number, 1000 + number))
    (tmp_path / "chain/scores").mkdir()
    assert [run.name for run in read_runs([tmp_path / "chain"])] == ["stage2", "stage1", "stage3"]
    write_run(tmp_path / "again/stage1")
    names = [run.name for run in read_runs([tmp_path / "chain/stage1", tmp_path / "again", tmp_path / "again/stage1"])]
    assert names == ["chain/stage1", "again/stage1"], "one run once, and two of the same name apart"


def test_an_earlier_versions_log_and_one_that_is_being_written(tmp_path):
    (run,) = read_runs([EARLIER])
    assert titles(curves.losses([run])) == ["loss", "sum"] and titles(curves.norms([run])) == ["all"]
    assert titles(curves.speeds([run])) == ["samples a second", "learning rate"] and not curves.gates(run)
    half = write_run(tmp_path / "half") / "train.jsonl"
    half.write_text(half.read_text() + '{"step": 4, "lo')
    assert read_runs([half.parent])[0].points["train/loss"][0] == [1, 2, 3]


@pytest.mark.parametrize("line", ['{"id": 7}', "[1]", "words", '{"step": "one"}'])
def test_what_is_no_log_is_named(tmp_path, line):
    with pytest.raises(LionError, match=r"holds no run; name the folder of one \(it has train.jsonl\)"):
        read_runs([tmp_path])
    (tmp_path / "train.jsonl").write_text(line + "\n")
    with pytest.raises(LionError, match=r"train\.jsonl, line 1, is not a row of a run's log"):
        read_runs([tmp_path])


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_a_figure_names_every_run_and_panel(tmp_path, suffix):
    runs = [write_run(tmp_path / "first", steps=80, blocks=30), write_run(tmp_path / "second_$x$"), EARLIER]
    out = tmp_path / "new" / f"curves{suffix}"
    assert plot_curves(runs, out) == ["first", "second_$x$", "earlier_run"]
    if suffix == ".svg":
        text = out.read_text()
        shown = ("first", "earlier_run", "rec accuracy@0.5", "Gradient norm", "encoder 1", "encoder 30", "MFU")
        assert [name for name in shown if f"{name}" not in text] == ["MFU"]
        assert text.count("<!-- encoder") == curves_plot._BLOCKS + 1
    else:
        from PIL import Image

        assert Image.open(out).width == 1200


def test_labels_at_the_ends_do_not_touch():
    from matplotlib.figure import Figure

    axes = Figure().add_axes((0.1, 0.1, 0.5, 0.5))
    axes.plot([0, 1], [0, 1])
    curves_plot._label_ends(axes, [(value, "red", "text") for value in (0.999, 1.0, 0.998, float("nan"))])
    places = sorted(text.xy[1] for text in axes.texts)
    assert len(places) == 3 and all(high - low > 0.12 for low, high in pairwise(places))
    assert places[-1] <= 1.0


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (3.4, 6.1, [4, 5, 6]),
        (1e-4, 2, [1e-4, 1e-3, 1e-2, 1e-1, 1]),
        (5, 80, [5, 10, 20, 50]),
        (0.0007, 0.09, [1e-3, 1e-2]),
    ],
)
def test_logarithmic_axes_have_round_numbers(low, high, ticks):
    assert curves_plot._log_ticks(low, high) == pytest.approx(ticks)


def test_axes_of_any_range_have_some_numbers():
    for low in (1e-9, 0.003, 1.0, 777.0):
        for factor in (1.001, 1.3, 3.0, 6.3, 12.0, 40.0, 60.0, 1e3, 1e9):
            ticks = curves_plot._log_ticks(low, low * factor)
            assert 1 <= len(ticks) <= 6 and all(
                low <= tick * 1.000001 and tick <= low * factor * 1.000001 for tick in ticks
            )


def test_a_name_that_is_no_figures_and_a_run_without_rows(tmp_path):
    with pytest.raises(LionError, match=r"--out .*curves\.txt: the name must end in \.png, \.svg, \.pdf"):
        plot_curves([EARLIER], tmp_path / "curves.txt")
    (tmp_path / "train.jsonl").write_text("")
    with pytest.raises(LionError, match="nothing has been logged yet"):
        plot_curves([tmp_path], tmp_path / "curves.png")
