"""The answering verbs: output, several pictures, saving, exit codes."""

import errno
import io
import json
import os
import shutil
import signal
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from lion.atomic import atomic_write
from lion.checkpoints.finding import bundled_folder
from lion.cli.output import plan_saves

BOX = "[0.10,0.20,0.50,0.80]"
KEYS = ["image", "task", "text", "tags", "boxes", "ok", "model", "reason", "question", "size", "note"]
KEYS += ["confidence", "presence"]


@contextmanager
def default_signals():
    """As a program begins, whatever runs the tests; and afterwards as before."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.mark.parametrize(
    ("verb", "before", "after", "text"),
    [
        ("caption", [], [], "a red car"),
        ("ask", [], ["what is it?"], "a car"),
        ("locate", [], ["the red car"], BOX),
        ("describe", ["--box", "0.1,0.2,0.5,0.8"], [], "a red car"),
        ("tag", [], [], "car, tree, sun"),
    ],
)
def test_every_verb_answers_in_words_and_in_json(run, says, checkpoint, pictures, verb, before, after, text):
    says(text)
    command = [verb, *before, pictures[0], *after, "-m", checkpoint]

    plain, as_json = run(*command), run(*command, "--json")

    assert (plain.code, plain.err) == (0, "")
    assert plain.out.splitlines()[0] == text
    assert (as_json.code, as_json.err) == (0, "")
    (row,) = as_json.rows
    assert list(row) == KEYS
    assert row["text"] == text and row["task"] == verb and row["ok"] is True
    assert row["image"] == str(pictures[0]) and row["model"] == checkpoint
    assert row["tags"] == ["car", "tree", "sun"]
    if verb in ("locate", "describe"):
        (box,) = row["boxes"]
        assert box["unit"] == [0.1, 0.2, 0.5, 0.8] and box["pixel"] == [9.0, 12.0, 45.0, 48.0]
        assert box["label"] == ("the red car" if verb == "locate" else "a red car")
    else:
        assert row["boxes"] == []


def test_the_model_itself_answers(run, checkpoint, pictures):
    """Nothing replaced: random weights write something, the same at any batch size."""
    one, two = (run("caption", *pictures, "-m", checkpoint, "--json", "--batch-size", size) for size in (1, 3))
    assert one.code == two.code == 0
    assert [row["text"] for row in one.rows] == [row["text"] for row in two.rows]
    assert all(row["text"] for row in one.rows)


def test_files_folders_and_patterns(run, says, checkpoint, pictures):
    says("a car")
    folder = pictures[0].parent
    by_folder = run("caption", folder, "-m", checkpoint, "--json")
    by_pattern = run("caption", f"{folder}/**/*.png", "-m", checkpoint, "--json")
    assert [row["image"] for row in by_folder.rows] == [str(path) for path in pictures]
    assert [row["image"] for row in by_pattern.rows] == [str(pictures[0]), str(pictures[2])]


def test_saving_into_the_input_is_noted(run, says, checkpoint, pictures, tmp_path):
    """The next command would answer about pictures with boxes drawn on them."""
    says(BOX)
    folder = pictures[0].parent
    ran = run("locate", folder, "the car", "-m", checkpoint, "--save", f"{folder}/boxes/")
    assert ran.code == 0 and ran.err.splitlines()[0].endswith(
        "boxes/ lies in the input: what is saved there is a picture of it from now on"
    )
    ran = run("locate", folder, "the car", "-m", checkpoint, "--save", f"{tmp_path}/boxes/")
    assert ran.code == 0 and "lies in the input" not in ran.err


def test_a_picture_is_called_what_it_was_called(run, says, checkpoint, pictures, monkeypatch):
    says("a car")
    monkeypatch.chdir(pictures[0].parent)
    ran = run("caption", "./a.png", "./b.*", "-m", checkpoint, "--json")
    assert [row["image"] for row in ran.rows] == ["./a.png", "./b.jpg"]


def test_json_is_json_in_any_encoding(run, says, checkpoint, pictures, monkeypatch):
    says("[0.10,0.10,0.50,0.50]")
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", stream)
    run("locate", pictures[0], "the 🦁", "-m", checkpoint, "--json")
    assert json.loads(stream.buffer.getvalue())["boxes"][0]["label"] == "the 🦁"


def test_several_answers_carry_the_pictures_names(run, says, checkpoint, pictures):
    says("a car")
    ran = run("ask", *pictures, "what is it?", "--no-tags", "-m", checkpoint)
    assert ran.out.splitlines() == [f"{path}: a car" for path in pictures]


def test_bad_pictures_get_a_line_and_a_row_and_the_others_are_answered(run, says, checkpoint, pictures, tmp_path):
    says("a car")
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "empty").mkdir()
    names = [tmp_path / "none.png", pictures[0], tmp_path / "text.png", tmp_path / "empty", tmp_path / "*.tiff"]

    ran = run("caption", *names, "--json", "-m", checkpoint, "--batch-size", 2)

    assert ran.code == 2
    assert [row["image"] for row in ran.rows] == [str(name) for name in names]
    assert [row["ok"] for row in ran.rows] == [False, True, False, False, False]
    assert all(list(row) == KEYS for row in ran.rows)
    lines = ran.err.splitlines()
    assert len(lines) == 4
    for line, name in zip(lines, [names[0], *names[2:]], strict=True):
        assert line.startswith("lion: error: ") and str(name) in line


def test_how_many_of_many_pictures_went_wrong_is_said_at_the_end(run, says, checkpoint, pictures, tmp_path):
    says("a car")
    copies = [shutil.copy(pictures[0], tmp_path / f"{number}.png") for number in range(9)]
    ran = run("caption", tmp_path / "none.png", *copies, tmp_path / "gone.png", "-m", checkpoint)
    assert ran.code == 2 and ran.out.count(": a car") == 9
    assert ran.err.splitlines()[-1] == "lion: note: pictures with an error, named above: 2 of 11"
    fewer = run("caption", tmp_path / "none.png", *copies, "-m", checkpoint)
    assert fewer.code == 2 and "named above" not in fewer.err


def test_tags_given_or_refused(run, says, checkpoint, pictures):
    says("a car")
    given = run("caption", pictures[0], "--tags", " cat ,, dog", "-m", checkpoint, "--json")
    refused = run("caption", pictures[0], "--no-tags", "-m", checkpoint, "--json")
    assert given.rows[0]["tags"] == ["cat", "dog"]
    assert refused.rows[0]["tags"] == []


def test_tags_that_do_not_fit_are_not_said_to_be_given(run, says, checkpoint, pictures):
    says("a car")
    ran = run("caption", pictures[0], "--tags", ", ".join(["cat"] * 200), "-m", checkpoint, "--json")
    (row,) = ran.rows
    assert ran.code == 0 and 0 < len(row["tags"]) < 200
    kept = f"kept {len(row['tags'])} of 200 tags: the prompt's limit is "
    assert ran.err.startswith(f"lion: note: {pictures[0]}: {kept}")


def test_a_folder_that_cannot_be_listed_is_a_line_and_a_row(run, says, checkpoint, pictures, tmp_path, monkeypatch):
    says("a car")
    locked = tmp_path / "locked"
    locked.mkdir()

    def refuse(path, real=os.listdir):
        if str(path) == str(locked):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr("os.listdir", refuse)
    monkeypatch.setattr("pathlib.Path.iterdir", lambda self: map(self.joinpath, refuse(self)))
    ran = run("caption", locked, pictures[0], "-m", checkpoint, "--json")
    assert ran.code == 2 and [row["ok"] for row in ran.rows] == [False, True]
    assert ran.err == f"lion: error: {locked}: Permission denied; check the path\n"


def test_a_reason_that_holds_the_name_by_chance_still_gets_it(run, checkpoint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("pictures", "the", "t"):
        (tmp_path / name).mkdir()
        assert run("caption", name, "-m", checkpoint).err.startswith(f"lion: error: {name}: the folder holds no pic")


def test_an_answer_without_a_box_is_not_ok_and_keeps_its_text(run, says, checkpoint, pictures):
    says("somewhere [1,2")
    ran = run("locate", pictures[0], "the car", "-m", checkpoint, "--json")
    assert ran.code == 1
    assert ran.rows[0]["ok"] is False and ran.rows[0]["boxes"] == [] and ran.rows[0]["text"] == "somewhere [1,2"
    assert len(ran.err.splitlines()) == 1


def test_pixels_and_unit_boxes_are_the_same_region(run, checkpoint, pictures):
    unit = run("describe", pictures[0], "--box", "0.1,0.2,0.5,0.8", "-m", checkpoint, "--json")
    pixel = run("describe", pictures[0], "--box", "[9, 12, 45, 48]", "--pixels", "-m", checkpoint, "--json")
    assert unit.rows == pixel.rows


def test_a_pixel_box_is_checked_against_each_picture(run, says, checkpoint, pictures, tmp_path):
    says("a car")
    Image.new("RGB", (20, 20)).save(tmp_path / "small.png")
    ran = run(
        "describe", tmp_path / "small.png", pictures[0], "--pixels", "--box", "9,12,45,48", "-m", checkpoint, "--json"
    )
    assert ran.code == 2
    assert [row["ok"] for row in ran.rows] == [False, True]
    assert "20x20 pixels" in ran.err and len(ran.err.splitlines()) == 1


def test_save_one_picture_and_several(run, says, checkpoint, pictures, tmp_path):
    says(BOX)
    assert run("locate", pictures[0], "the car", "--save", tmp_path / "new" / "x.png", "-m", checkpoint).code == 0
    assert run("locate", *pictures, "the car", "--save", tmp_path / "all", "-m", checkpoint).code == 0
    assert run("locate", *pictures, "the car", "--save", tmp_path / "{name}-box.jpg", "-m", checkpoint).code == 0
    assert Image.open(tmp_path / "new" / "x.png").format == "PNG"
    assert sorted(path.name for path in (tmp_path / "all").iterdir()) == ["a.png", "b.png", "c.png"]
    assert Image.open(tmp_path / "c-box.jpg").format == "JPEG"


def test_a_picture_that_cannot_be_saved_costs_no_answer(run, says, checkpoint, pictures, tmp_path):
    says("a car")
    Image.new("RGB", (20, 17_000)).save(tmp_path / "tall.png")
    names = [tmp_path / "tall.png", pictures[0]]
    ran = run("caption", *names, "--save", tmp_path / "{name}.webp", "-m", checkpoint, "--json", "--batch-size", 1)
    assert ran.code == 2 and [row["ok"] for row in ran.rows] == [True, True]
    (line,) = ran.err.splitlines()
    assert "cannot save" in line and "tall.webp" in line and ".png" in line
    assert (tmp_path / "a.webp").is_file() and not (tmp_path / "tall.webp").exists()


def test_a_link_to_itself_is_a_bad_picture_and_no_more(run, says, checkpoint, pictures, tmp_path):
    says("a car")
    (tmp_path / "loop.png").symlink_to("loop.png")
    ran = run("caption", tmp_path / "loop.png", pictures[0], "--save", tmp_path / "out", "-m", checkpoint, "--json")
    assert ran.code == 2 and [row["ok"] for row in ran.rows] == [False, True]
    assert len(ran.err.splitlines()) == 1 and (tmp_path / "out" / "a.png").is_file()


def test_a_closed_stream_is_no_place_for_the_other_ones_lines(run, says, checkpoint, pictures, tmp_path, monkeypatch):
    says("a car")
    with monkeypatch.context() as closed:
        closed.setattr("sys.stderr", None)
        ran = run("caption", tmp_path / "none.png", pictures[0], "-m", checkpoint, "--json")
    assert ran.code == 2 and [row["ok"] for row in ran.rows] == [False, True]
    with monkeypatch.context() as closed:
        closed.setattr("sys.stdout", None)
        assert run("caption", pictures[0], "--save", tmp_path / "saved.png", "-m", checkpoint).code == 0
    assert (tmp_path / "saved.png").is_file()


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_closed_stream_takes_bytes_that_are_no_text(run, says, checkpoint, pictures, tmp_path, monkeypatch, stream):
    says("a car")
    with monkeypatch.context() as closed:
        closed.setattr(f"sys.{stream}", None)
        assert run("caption", tmp_path / "caf\udce9.png", pictures[0], "-m", checkpoint).code == 2


def test_pictures_of_one_name_do_not_overwrite_each_other(run, says, checkpoint, pictures, tmp_path):
    says("a car")
    copy = tmp_path / "a.png"
    copy.write_bytes(pictures[1].read_bytes())
    assert run("caption", pictures[0], copy, "--save", tmp_path / "all", "-m", checkpoint).code == 0
    assert sorted(path.name for path in (tmp_path / "all").iterdir()) == ["a-2.png", "a.png"]


def test_a_number_that_another_picture_has_as_its_name_is_passed_over():
    targets = plan_saves("boxes", ["a-2.png", "a.jpg", "a.png", "b/a.png"])
    assert [str(path) for path in targets] == ["boxes/a-2.png", "boxes/a.png", "boxes/a-3.png", "boxes/a-4.png"]


def test_a_name_that_ends_in_a_slash_is_a_folder():
    assert [str(path) for path in plan_saves("run-1.5/", ["a.png", "b.png"])] == ["run-1.5/a.png", "run-1.5/b.png"]


def test_a_question_that_is_wrong_for_every_picture_is_one_error(run, checkpoint, pictures):
    ran = run("ask", *pictures, "word " * 2000, "-m", checkpoint, "--json")
    assert (ran.code, ran.out) == (2, "")
    (line,) = ran.err.splitlines()
    assert line.startswith("lion: error: the instruction has ") and "limit is" in line


def test_several_phrases_are_answered_for_every_picture(run, checkpoint, pictures, tmp_path, writes):
    def generate(self, prompts, vision, preset):
        texts = {"the kite": "[0.10,0.20,0.50,0.80]", "the cat": "[0.50,0.50,0.90,0.90]", "the dog": "nowhere"}
        return [self.processor.tokenizer(texts[prompt.request.text])["input_ids"] for prompt in prompts]

    writes(generate)
    phrases = ["the kite", "--and", "the cat", "--and", "the dog"]
    ran = run("locate", *pictures[:2], *phrases, "-m", checkpoint, "--json", "--save", tmp_path / "out", "--no-tags")
    assert ran.code == 1 and len(ran.err.splitlines()) == 2
    assert [(row["image"], row["question"], row["ok"]) for row in ran.rows] == [
        (str(picture), phrase, phrase != "the dog") for picture in pictures[:2] for phrase in phrases[::2]
    ]
    assert [row["boxes"][0]["label"] for row in ran.rows if row["ok"]] == ["the kite", "the cat"] * 2
    alone = run("locate", pictures[0], "the kite", "-m", checkpoint, "--save", tmp_path / "one.png", "--no-tags")
    drawn, one = Image.open(tmp_path / "out" / "a.png"), Image.open(tmp_path / "one.png")
    assert drawn.height > one.height and drawn.tobytes() != one.tobytes(), "both boxes, and what was said of the dog"
    plain = run("locate", *pictures[:2], *phrases, "-m", checkpoint, "--no-tags")
    assert plain.out.splitlines()[0] == f"{pictures[0]}: the kite: [0.10,0.20,0.50,0.80]"
    assert alone.out.startswith("[0.10,0.20,0.50,0.80]\n")


def test_a_picture_that_cannot_be_opened_is_a_row_for_every_phrase_and_one_line(
    run, says, checkpoint, pictures, tmp_path
):
    says("[0.10,0.20,0.50,0.80]")
    ran = run("locate", "gone.png", pictures[0], "the kite", "--and", "the cat", "-m", checkpoint, "--json")
    assert ran.code == 2 and [row["ok"] for row in ran.rows] == [False, False, True, True]
    assert [row["question"] for row in ran.rows] == ["the kite", "the cat"] * 2 and len(ran.err.splitlines()) == 1
    empty = run("locate", pictures[0], "the kite", "--and", " ", "-m", checkpoint)
    assert (empty.code, empty.out) == (2, "") and "--and" in empty.err


@pytest.mark.parametrize("name", ["boxes.coco.json", "boxes.csv", "boxes.jsonl", "boxes.yolo"])
def test_all_answers_go_into_one_file(run, says, checkpoint, pictures, tmp_path, name):
    says("[0.10,0.20,0.50,0.80]")
    target = tmp_path / "new" / name
    ran = run(
        "locate", *pictures, "gone.png", "the kite", "--and", "the cat",
        "-m", checkpoint, "--export", target, "--batch-size", 2,
    )  # fmt: skip
    assert ran.code == 2 and len(ran.err.splitlines()) == 1 and "gone.png" in ran.err
    if name == "boxes.coco.json":
        data = json.loads(target.read_text())
        assert [row["file_name"] for row in data["images"]] == ["a.png", "b.jpg", "more/c.png"]
        assert len(data["annotations"]) == 6 and [row["name"] for row in data["categories"]] == ["the kite", "the cat"]
    elif name == "boxes.jsonl":
        assert [json.loads(line)["ok"] for line in target.read_text().splitlines()] == [True] * 6 + [False] * 2
    elif name == "boxes.csv":
        assert len(target.read_text().splitlines()) == 1 + 8
    else:
        assert len(list(target.rglob("*.txt"))) == 3


def test_an_export_that_cannot_be_is_an_error_before_the_model_is_loaded(run, pictures, tmp_path):
    for verb, words, name, message in (
        ("caption", [], "a.coco.json", "caption gives none"),
        ("locate", ["it"], "a.json", "must end in"),
        ("ask", ["is it?"], "a.yolo", "ask gives none"),
    ):
        ran = run(verb, pictures[0], *words, "--export", tmp_path / name, "-m", "nobody/no-such-lion")
        assert ran.code == 2 and message in ran.err and "no-such-lion" not in ran.err
    assert list(tmp_path.glob("a.*")) == []


def test_captions_and_described_boxes_are_exported_too(run, says, checkpoint, pictures, tmp_path):
    says("a red car")
    assert run("caption", pictures[0], "-m", checkpoint, "--export", tmp_path / "a.csv").code == 0
    assert ",caption,,a red car," in (tmp_path / "a.csv").read_text()
    box = ("--box", "0.1,0.2,0.5,0.8")
    assert run("describe", pictures[0], *box, "-m", checkpoint, "--export", tmp_path / "a.coco.json").code == 0
    assert json.loads((tmp_path / "a.coco.json").read_text())["categories"] == [{"id": 1, "name": "a red car"}]


@pytest.mark.parametrize("verb", ["caption", "ask", "chat"])
def test_the_empty_tag_prompt_and_none_are_two_options(run, says, checkpoint, pictures, monkeypatch, verb):
    from lion.pipeline import answering

    seen, prepare = [], answering.prepare
    monkeypatch.setattr(answering, "prepare", lambda *given: seen.append(prepare(*given)) or seen[-1])
    monkeypatch.setattr("sys.stdin", io.StringIO("what is it?\n"))
    says("a car")
    words = ["what is it?"] if verb == "ask" else []
    assert run(verb, pictures[0], *words, "-m", checkpoint, "--empty-tags").code == 0
    assert seen[-1].tags == ()
    monkeypatch.setattr("sys.stdin", io.StringIO("what is it?\n"))
    assert run(verb, pictures[0], *words, "-m", checkpoint, "--no-tags").code == 0
    assert seen[-1].tags is None
    for both in (["--no-tags"], ["--tags", "a"], ["--tags-from", "t.jsonl"]):
        ran = run(verb, pictures[0], *words, "-m", checkpoint, "--empty-tags", *both)
        assert ran.code == 2 and "exclude each other" in ran.err


def test_files_are_written_though_nobody_reads_on(run, says, checkpoint, pictures, tmp_path, monkeypatch):
    """A reader that leaves, as `| head` does, ends the work with exit code 0, unless files are still wanted."""
    says("a car")
    left = []

    def leave(*given, **more):
        if not left:
            raise BrokenPipeError

    monkeypatch.setattr("lion.cli.answering.print_answer", leave)
    for module in ("lion.cli.answering", "lion.cli.app"):  # by hand: lion.cli.app is the command too
        monkeypatch.setattr(sys.modules[module], "leave", lambda stream: left.append(True))
    assert run("caption", *pictures, "-m", checkpoint).code == 0 and left == [True]
    left.clear()
    assert run("caption", *pictures, "-m", checkpoint, "--export", tmp_path / "a.jsonl").code == 0
    assert len((tmp_path / "a.jsonl").read_text().splitlines()) == 3
    left.clear()
    assert run("tag", *pictures, "-m", checkpoint, "--out", tmp_path / "t.jsonl").code in (0, 2)


@pytest.mark.parametrize(("least", "code", "found"), [(0.0, 0, 1), (1.1, 1, 0)])
def test_locating_only_what_is_there(run, says, checkpoint, pictures, tmp_path, monkeypatch, least, code, found):
    monkeypatch.setattr("lion.pipeline.answering.PRESENCE_THRESHOLD", least)
    says(BOX)
    exported = tmp_path / "boxes.coco.json"
    command = ["locate", *pictures[:2], "the kite", "--if-there", "-m", checkpoint]
    ran = run(*command, "--json", "--export", exported)
    assert ran.code == code
    assert [(row["ok"], len(row["boxes"])) for row in ran.rows] == [(bool(found), found)] * 2
    assert all(0 <= row["presence"] <= 1 and row["question"] == "the kite" for row in ran.rows)
    reasons = [] if found else [f"lion: error: {picture}: the kite: not there" for picture in pictures[:2]]
    assert ran.err.splitlines() == reasons
    assert [row["reason"] for row in ran.rows] == [None if found else "not there"] * 2
    assert len(json.loads(exported.read_text())["annotations"]) == 2 * found
    plain = run(*command)
    assert plain.code == code and plain.out.count("box:") == 2 * found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("name", ["boxes.coco.json", "boxes.csv", "boxes.jsonl", "boxes.yolo"])
def test_an_interrupt_loses_no_answer(run, checkpoint, pictures, tmp_path, writes, number, name):
    asked = []

    def generate(self, prompts, vision, preset):
        asked.append(len(prompts))
        if len(asked) == 3:
            os.kill(os.getpid(), number)
            time.sleep(5)
        return [self.processor.tokenizer(BOX)["input_ids"]] * len(prompts)

    writes(generate)
    target = tmp_path / name
    command = ["locate", *pictures, "the kite", "-m", checkpoint, "--export", target, "--batch-size", 1]
    with default_signals():
        ran = run(*command)
    assert ran.code == 130 and len(ran.out.splitlines()) == 2 * 3
    note = f"lion: note: stopped after 2 of 3 pictures; their answers are in {target}; "
    assert ran.err.startswith(note + "lion annotate") and len(ran.err.splitlines()) == 1
    if name == "boxes.coco.json":
        assert len(json.loads(target.read_text())["annotations"]) == 2
    elif name == "boxes.yolo":
        assert len(list(target.rglob("*.txt"))) == 2
    else:
        assert target.read_text().count(str(pictures[1])) == 1
    assert not list(tmp_path.glob(".boxes*"))


def test_an_interrupt_before_the_first_answer_says_so_and_writes_nothing(run, checkpoint, pictures, tmp_path, writes):
    def generate(self, prompts, vision, preset):
        raise KeyboardInterrupt

    writes(generate)
    ran = run("caption", *pictures, "-m", checkpoint, "--export", tmp_path / "a.jsonl")
    assert (ran.code, ran.out) == (130, "") and not (tmp_path / "a.jsonl").exists()
    assert ran.err.startswith("lion: note: stopped after 0 of 3 pictures; nothing was exported; lion annotate")


@pytest.mark.parametrize("there", [True, False])
def test_a_disk_that_is_full_at_the_end_loses_no_answer(run, says, checkpoint, pictures, tmp_path, monkeypatch, there):
    """They go to another place, or are known to be those on stdout; the exit code is not the user's."""

    def full(path, data):
        if there and "lion-" in str(Path(path).parent.name):
            return atomic_write(path, data)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    says(BOX)
    monkeypatch.setattr(sys.modules["lion.pipeline.export"], "atomic_write", full)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    target = tmp_path / "boxes.coco.json"
    ran = run("locate", *pictures, "the kite", "-m", checkpoint, "--export", target)
    assert ran.code == 1 and not target.exists() and ran.out.count("box: ") == 3
    line = ran.err.removeprefix(f"lion: error: cannot write '{target}': No space left on device; the answers are ")
    if there:
        kept = Path(line.removeprefix("in ").strip())
        assert len(json.loads(kept.read_text())["annotations"]) == 3
    else:
        assert line == "those that were printed\n"


def test_an_error_in_the_middle_loses_no_answer(run, checkpoint, pictures, tmp_path, writes):
    asked = []

    def generate(self, prompts, vision, preset):
        asked.append(len(prompts))
        if len(asked) == 2:
            raise MemoryError("of no use")
        return [self.processor.tokenizer("a car")["input_ids"]] * len(prompts)

    writes(generate)
    ran = run("caption", *pictures, "-m", checkpoint, "--export", tmp_path / "a.jsonl", "--batch-size", 2)
    assert ran.code == 1 and len((tmp_path / "a.jsonl").read_text().splitlines()) == 2
    note, error = ran.err.splitlines()
    assert "stopped after 2 of 3 pictures" in note and "MemoryError" in error


@pytest.mark.parametrize(
    ("verb", "option", "name"),
    [
        ("caption", "--export", "a.jsonl"),
        ("caption", "--export", "a.csv"),
        ("caption", "--save", "a.png"),
        ("caption", "--save", "{name}.webp"),
        ("caption", "--save", "folder"),
        ("tag", "--save", "a.png"),
        ("tag", "--out", "tags.jsonl"),
        ("chat", "--save", "a.png"),
    ],
)
def test_no_output_overwrites_what_is_there(run, pictures, tmp_path, verb, option, name):
    """Before anything is loaded: there is no such model to load."""
    target = tmp_path / (f"{name}/a.png" if name == "folder" else name.format(name="a"))
    target.parent.mkdir(exist_ok=True)
    target.write_text("mine")
    ran = run(verb, pictures[0], option, tmp_path / name, "-m", "nobody/no-such-lion")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == f"lion: error: {option}: {target} exists; delete it or name another place\n"
    assert target.read_text() == "mine"


def test_where_each_picture_is_saved_is_said(run, says, checkpoint, pictures, tmp_path):
    says("a car")
    copy = tmp_path / "a.png"
    copy.write_bytes(pictures[1].read_bytes())
    names = [pictures[0], copy, tmp_path / "none.png"]
    plain = run("caption", *names, "--save", tmp_path / "one", "-m", checkpoint)
    assert plain.err.splitlines()[:2] == [
        f"lion: note: {pictures[0]}: saved as {tmp_path / 'one' / 'a.png'}",
        f"lion: note: {copy}: saved as {tmp_path / 'one' / 'a-2.png'}",
    ]
    rows = run("caption", *names, "--save", tmp_path / "two", "-m", checkpoint, "--json").rows
    assert [row["saved"] for row in rows] == [str(tmp_path / "two" / name) for name in ("a.png", "a-2.png")] + [None]
    assert "saved" not in run("caption", pictures[0], "-m", checkpoint, "--json").rows[0]


def test_a_folder_of_ones_own_with_the_name_of_the_bundled_model_is_not_taken_for_it(
    run, says, checkpoint, pictures, tmp_path, monkeypatch
):
    says("a car")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lion-mini").symlink_to(checkpoint)
    ran = run("caption", pictures[0], "-m", "lion-mini", "--json")
    assert ran.err == "" and ran.rows[0]["model"] == "./lion-mini" and ran.rows[0]["note"] is None
    package = tmp_path / "package"
    (package / "bundled").mkdir(parents=True)
    (package / "bundled" / "lion-mini").symlink_to(checkpoint)
    monkeypatch.setattr("lion.checkpoints.finding.files", lambda _: package)
    ran = run("caption", pictures[0], "-m", "package/bundled/lion-mini", "--json")
    assert ran.rows[0]["model"] == "lion-mini"


def test_a_model_without_a_tagger_is_noted_unless_tags_are_given(run, checkpoint, pictures, tmp_path):
    bare = tmp_path / "bare"
    shutil.copytree(checkpoint, bare, ignore=shutil.ignore_patterns("tagger"))
    for verb in (["caption", pictures[0]], ["ask", pictures[0], "what is it?"], ["locate", pictures[0], "it"]):
        ran = run(*verb, "--model", bare)
        notes = [line for line in ran.err.splitlines() if "no tagger" in line]
        assert len(notes) == 1 and notes[0].startswith("lion: note: ") and "--tagger" in notes[0]
    for given in (["--no-tags"], ["--empty-tags"], ["--tags", "car"]):
        assert "no tagger" not in run("caption", pictures[0], "--model", bare, *given).err
    ran = run("caption", pictures[0], "--model", bare, "--tagger", checkpoint, "--json")
    assert (ran.code, ran.err) == (0, "") and ran.rows[0]["tags"]
    assert ran.rows[0]["tags"] == run("caption", pictures[0], "--model", checkpoint, "--json").rows[0]["tags"]
    ran = run("caption", pictures[0], "--model", bare, "--tagger", checkpoint, "--no-tags")
    assert ran.code == 2 and "--tagger and --no-tags exclude each other" in ran.err
    ran = run("caption", pictures[0], "--model", bare, "--tagger", "nowhere")
    assert ran.code == 2 and "no model folder 'nowhere'" in ran.err


@pytest.mark.parametrize("verb", ["caption", "tag"])
def test_a_copy_of_lion_mini_says_what_it_is(run, pictures, tmp_path, verb):
    shutil.copytree(bundled_folder(), tmp_path / "mine")
    ran = run(verb, pictures[0], "--model", tmp_path / "mine", "--json")
    known = "this model comes from lion-mini, which knows drawn scenes only (lion world); for photographs name another"
    assert ran.err == f"lion: note: {known} model with --model\n"
    assert ran.rows[0]["note"] == f"{known} model"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("two\nlines.png", r"two\nlines.png"),
        ("bell\x07 and \x1b[2J.png", r"bell\x07 and \x1b[2J.png"),
        ("tab\t.png", r"tab\t.png"),
        ("line\u2028end.png", r"line\u2028end.png"),
        ("Screenshot 5.00\u202fPM.png", "Screenshot 5.00\u202fPM.png"),  # as macOS writes it
    ],
)
def test_a_name_with_control_characters_stays_in_its_line(run, says, checkpoint, pictures, tmp_path, name, shown):
    says("a car")
    (tmp_path / name).write_bytes(pictures[0].read_bytes())
    (tmp_path / f"bad {name}").write_bytes(b"no picture")
    ran = run("caption", pictures[0], tmp_path / name, tmp_path / f"bad {name}", "-m", checkpoint, "--no-tags")
    assert ran.code == 2 and ran.out.splitlines()[1] == f"{tmp_path / shown}: a car" and len(ran.out.splitlines()) == 2
    (line,) = ran.err.splitlines()
    assert line.startswith(f"lion: error: {tmp_path}/bad {shown} is not a picture") and "\x1b" not in ran.err
    rows = run("caption", tmp_path / name, "-m", checkpoint, "--no-tags", "--json").rows
    assert rows[0]["image"] == str(tmp_path / name)
