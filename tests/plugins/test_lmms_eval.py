"""lmms-eval asks LION: its settings in ours and, with the real package, its scores beside ours."""

import json
import os
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from lion import LionPipeline
from lion.data.sources import read
from lion.data.writers import write_as
from lion.errors import LionError
from lion.eval import PAPER, DatasetBenchmark, Evaluation
from lion.pipeline import DecodingPreset, Verb
from lion.plugins import lmms_eval_models
from lion.plugins.lmms_eval_settings import cut, preset, task_of
from lion.prompts import Task

ROOT = Path(__file__).parents[2]
USUAL = DecodingPreset(num_beams=5, max_new_tokens=64)
# What lmms-eval loads for the three tasks, each without what it asks for itself: torchvision, say, is not needed.
PACKAGES = """
lmms-eval==0.7.3 aiohappyeyeballs aiohttp aiosignal attrs certifi chardet colorama DataProperty evaluate frozenlist
loguru lxml mbstrdecoder multidict pathvalidate portalocker propcache pytablewriter pytz requests sacrebleu tabledata
tabulate tcolorpy tenacity typepy urllib3 yarl
"""


def test_settings_of_a_task_are_honoured():
    given = {"max_new_tokens": 16, "num_beams": 1, "do_sample": False, "temperature": 0.7, "top_p": None, "until": []}
    assert preset(USUAL, given) == DecodingPreset(num_beams=1, max_new_tokens=16)
    assert preset(USUAL, {"num_beams": None, "image_aspect_ratio": "pad", "temperature": 0}) == USUAL


@pytest.mark.parametrize("given", [{"do_sample": True}, {"temperature": 0.2}, {"do_sample": True, "temperature": 1}])
def test_answers_are_not_drawn_by_chance(given):
    with pytest.raises(LionError, match="--gen_kwargs do_sample=False"):
        preset(USUAL, given)


@pytest.mark.parametrize(
    ("until", "left"),
    [(None, "a. b\n\nc"), ([], "a. b\n\nc"), (["\n\n", None, ""], "a. b"), (".", "a"), (["c", "b"], "a.")],
)
def test_an_answer_ends_where_the_task_says(until, left):
    assert cut("a. b\n\nc", until) == left


def test_tasks_by_name():
    assert task_of("rec") == (Task.REC, Verb.LOCATE)
    assert {task_of(str(task))[0] for task in Task} == set(Task)
    with pytest.raises(LionError, match="no task 'box'; there are caption, vqa, dialog, rec, reg"):
        task_of("box")


def test_the_entry_point_names_what_exists():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert EntryPoint("lion", project["entry-points"]["lmms_eval.models"]["lion"], "").load() is lmms_eval_models


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with lmms-eval and LION as users install them, to stand before everything else on the path."""
    folder = tmp_path_factory.mktemp("site")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder)]
    fetched = subprocess.run([*install, *PACKAGES.split()], capture_output=True, text=True)
    if fetched.returncode:
        pytest.skip(f"lmms-eval cannot be installed here: {fetched.stderr.strip().splitlines()[-1]}")
    subprocess.run([*install, str(ROOT)], check=True)
    return folder


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    for name, count in {"pope": 40, "refcocog": 20, "iconqa": 20}.items():  # so many that lion-mini errs in each score
        write_as(name, folder, count, split="test")
    return folder


@pytest.fixture(scope="module")
def theirs(site, drawn, tmp_path_factory):
    """What lmms-eval's own command line reports: scores by task, and the losses of each question's candidates."""
    place = tmp_path_factory.mktemp("lmms")
    environment = {**os.environ, "PYTHONPATH": str(site), "HF_HUB_OFFLINE": "1", "HF_HOME": str(place / "hf")}

    def run(*command):
        done = subprocess.run([sys.executable, *map(str, command)], cwd=place, env=environment, capture_output=True)
        assert done.returncode == 0, done.stderr.decode()[-2000:]

    run(ROOT / "examples" / "lmms_eval_tasks.py", drawn, place / "tasks", "pope", "refcocog", "iconqa")
    model = ["-m", "lmms_eval", "--model", "lion", "--device", "cpu", "--batch_size", "8", "--log_samples"]
    files = ["--include_path", place / "tasks", "--output_path", place / "out"]
    run(*model, *files, "--tasks", "lion_pope,lion_iconqa", "--model_args", "pretrained=lion-mini")
    run(*model, *files, "--tasks", "lion_refcocog", "--model_args", "pretrained=lion-mini,task=rec")
    scores = {}
    for file in place.glob("out/**/*_results.json"):
        scores |= json.loads(file.read_text())["results"]
    (file,) = place.glob("out/**/*_samples_lion_iconqa.jsonl")
    return scores, [json.loads(line)["filtered_resps"] for line in file.read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("benchmark", "ours", "task", "score"),
    [
        ("pope-random", "accuracy", "lion_pope", "pope_accuracy,none"),
        ("pope-random", "f1", "lion_pope", "pope_f1_score,none"),
        ("refcocog-test", "accuracy@0.5", "lion_refcocog", "refcoco_ACC@0.5,none"),
        ("refcocog-test", "mean_iou", "lion_refcocog", "refcoco_IoU,none"),
    ],
)
def test_lmms_eval_scores_as_lion_eval(theirs, drawn, tmp_path, benchmark, ours, task, score):
    pipeline = LionPipeline.from_pretrained(device="cpu", batch_size=8)
    run = Evaluation(pipeline, DatasetBenchmark(PAPER[benchmark], drawn), tmp_path)
    run.predict()
    own = run.finish()["scores"][ours]
    assert own["n"] >= 18 and 0.5 < own["value"] < 1
    assert theirs[0][task][score] == pytest.approx(own["value"], abs=1e-6)


@pytest.mark.slow
def test_lmms_eval_ranks_as_lion(theirs, drawn):
    pipeline = LionPipeline.from_pretrained(device="cpu")
    scores, losses = theirs
    records = read("iconqa", drawn, "test").records
    hits = 0
    for record, found in zip(records, losses, strict=True):
        ranked = sorted(pipeline.rank(record.image, record.question, record.choices), key=lambda one: one.index)
        own = [one.mean_nll for one in ranked]
        assert [float(loss) for loss, _ in found] == pytest.approx(own, abs=1e-3)
        greedy = [place for place, (_, greedy) in enumerate(found) if greedy == "True"]
        assert greedy in ([], [own.index(min(own))])
        hits += own.index(min(own)) == record.correct
    assert scores["lion_iconqa"]["acc,none"] == hits / len(records)


@pytest.mark.slow
def test_lmms_eval_says_that_the_pictures_are_drawn(theirs):
    for name in ("lion_pope", "lion_iconqa", "lion_refcocog"):
        assert theirs[0][name]["alias"] == f"{name} (drawn)"
