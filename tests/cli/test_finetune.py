"""``lion finetune``: from a file to adapters, with scores before and after, stopped and gone on with."""

import json

import pytest
from PIL import Image

from lion.checkpoints.adapters import Adapters
from lion.train.finetune.plan import HEAD, Place
from lion.train.stopping import Stopped
from tests.test_locks import holder


@pytest.fixture
def own(tmp_path):
    lines = []
    for number in range(12):
        Image.new("RGB", (64, 48), (20 * number, 90, 40)).save(tmp_path / f"{number}.png")
        lines.append({"image": f"{number}.png", "caption": f"picture {number}"})
        lines.append({"image": f"{number}.png", "question": "is it red?", "answer": "no"})
        lines.append({"image": f"{number}.png", "expression": "it", "box": [0.1, 0.2, 0.6, 0.8]})
    lines.append({"image": "gone.png", "caption": "nothing"})
    (tmp_path / "own.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return tmp_path / "own.jsonl"


def test_a_plan_a_run_and_its_adapters(run, own, checkpoint, tmp_path, monkeypatch):
    out = tmp_path / "out"
    options = (own, "--model", checkpoint, "--out", out, "--steps", "2", "batch_size=4", "--yes")
    claimed = run(
        "finetune", own, "--model", checkpoint, "--out", out, "steps=1", "optimizer.lr=1e-4", "-y", "--dry-run"
    )
    plan = run("finetune", *options, "--dry-run")
    assert (claimed.code, plan.code) == (0, 0), plan.err
    assert "warmup: 20" not in claimed.out, "the warm-up is a tenth of the steps, whichever way they are given"
    assert "written anew" in plan.err and "written anew" not in claimed.err
    for says in ("LION's own JSONL, 36 records; 12 pictures of 64 x 48", "left out  1 bad records: 37: its picture",
                 "held out  6 records of 2 pictures", "steps: 2", "rec: 10", "reg: 3", "trains", "s here"):  # fmt: skip
        assert says in plan.out
    assert not (out / "run").exists() and (out / "recipe.yaml").is_file()
    held_out = {json.loads(line)["image"] for line in (out / "data" / "held_out.jsonl").read_text().splitlines()}
    train = {json.loads(line)["image"] for line in (out / "data" / "train.jsonl").read_text().splitlines()}
    assert len(held_out) == 2 and held_out.isdisjoint(train)

    ran = run("finetune", *options, "--json")
    assert ran.code == 0, ran.err
    (report,) = ran.rows
    assert {row["task"] for row in report["scores"]} == {"caption", "vqa", "rec", "reg"}
    assert all({"before", "after", "difference"} <= row.keys() for row in report["scores"])
    assert len(report["examples"]) == 3 and report["bytes"] == (out / "adapters.safetensors").stat().st_size
    adapters = Adapters.read(out)
    assert (adapters.name, adapters.record["steps"]) == ("own", 2)
    asked = run("caption", tmp_path / "0.png", "--model", checkpoint, "--adapters", f"shop={out}", "--json")
    assert asked.rows[0]["model"].endswith("tiny:shop")

    monkeypatch.setattr("lion.pipeline.LionPipeline.from_pretrained", None)
    monkeypatch.setattr("lion.train.dry_run.time_step", None)
    again, told = run("finetune", *options), run("finetune", *options, "--json")  # all of it is there
    assert again.code == 0 and "difference [95 %]" in again.out and "adapters.safetensors" in again.out
    assert f"{out} is finished; --restart" in again.err and told.rows == [report]

    other = run("finetune", own, "--model", checkpoint, "--out", out, "--steps", "3", "--yes")
    assert other.code == 2 and "recipe.yaml is there and differs" in other.err


def test_stopped_it_goes_on_with_the_same_command(run, own, checkpoint, tmp_path, monkeypatch):
    out = tmp_path / "out"
    options = (own, "--model", checkpoint, "--out", out, "--steps", "1", "batch_size=2", "--yes", "--json")

    def stop(*rest, **more):
        raise Stopped("stopped")

    with monkeypatch.context() as patched:
        patched.setattr("lion.train.run.train", stop)
        stopped = run("finetune", *options)
    assert stopped.code == 130 and "the same command goes on" in stopped.err
    answered = sorted((path, path.stat().st_mtime_ns) for path in out.glob("scores/before/*/predictions/*.jsonl"))
    assert answered and run("finetune", *options).code == 0
    again = sorted((path, path.stat().st_mtime_ns) for path in out.glob("scores/before/*/predictions/*.jsonl"))
    assert again == answered and (out / "adapters.safetensors").is_file()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("gone.jsonl",), "there is no file or folder"),
        (("{own}", "export=model"), "lion finetune leaves adapters in its own folder"),
        (("{own}", "lr=1"), "lr: no such setting"),
        (("{own}", "--dry-run", "--restart"), "give one of them"),
    ],
)
def test_mistakes_are_one_line(run, own, checkpoint, tmp_path, arguments, says):
    given = [one.replace("{own}", str(own)) for one in arguments]
    ran = run("finetune", *given, "--model", checkpoint, "--out", tmp_path / "out", "--yes")
    assert ran.code == 2 and says in ran.err and ran.err.count("error:") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("more", [(), ("--restart",), ("--dry-run",)])
def test_two_of_them_never_write_to_one_folder(run, own, checkpoint, tmp_path, more):
    """Before, --restart deleted the files under the run that was writing them."""
    out = tmp_path / "out"
    with holder(out) as other:
        (out / "recipe.yaml").write_text("# Written by lion finetune")
        ran = run("finetune", own, "--model", checkpoint, "--out", out, "--steps", "2", "--yes", *more)
        assert ran.code == 2 and f"out is being written by process {other.pid} on" in ran.err
        assert (out / "recipe.yaml").is_file() and not (out / "data").exists()
        other.stdin.close()


def test_starting_over_throws_away_what_was_there(tmp_path):
    place = Place(tmp_path / "out")
    (place.folder / "data").mkdir(parents=True)
    (place.folder / "data" / "link").symlink_to(tmp_path)
    (place.folder / "scores").symlink_to(tmp_path)
    place.recipe.write_text(HEAD)
    with place.claim(restart=True):
        assert [entry.name for entry in place.folder.iterdir()] == [".lock"] and tmp_path.is_dir()


def test_what_a_tokenizer_spells_is_said_once(run, own, checkpoint, tmp_path, monkeypatch):
    def notes(objective):
        return ["spells (in letters): red"]

    monkeypatch.setattr("lion.train.language_modelling.LanguageModelling.notes", notes)
    ran = run("finetune", own, "--model", checkpoint, "--out", tmp_path / "out", "--steps", "1", "batch_size=2", "-y")
    assert ran.code == 0 and ran.err.count("spells (in letters): red") == 1


def test_adapters_that_are_not_there(run, checkpoint, tmp_path, pictures):
    ran = run("caption", pictures[0], "--model", checkpoint, "--adapters", tmp_path / "none.safetensors")
    assert ran.code == 2 and "there is no file" in ran.err
