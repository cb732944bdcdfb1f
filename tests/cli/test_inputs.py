"""Names on the command line: which pictures they mean, and what of a folder is left out."""

import base64

import pytest
from PIL import Image

from lion.cli.inputs import expand, split_last
from lion.errors import LionError


@pytest.fixture
def folder(tmp_path):
    """Pictures of many endings, and other files."""
    image = Image.new("RGB", (8, 8), "red")
    kinds = {"a.png": "PNG", "b.JFIF": "JPEG", "c.jpe": "JPEG", "d.ppm": "PPM", "e.TIF": "TIFF", "f.webp": "WEBP"}
    kinds |= {name: kind for name, kind in {"g.avif": "AVIF", "h.jp2": "JPEG2000"}.items() if kind in Image.SAVE}
    for name, kind in kinds.items():
        image.save(tmp_path / name, kind)
    return tmp_path


def test_a_folders_pictures_are_those_that_pillow_reads(folder):
    pictures, notes = expand([str(folder)])
    assert pictures == sorted(str(path) for path in folder.iterdir()) and len(pictures) >= 6 and not notes


def test_what_is_left_out_of_a_folder_is_named_in_one_line(folder):
    for name in ("notes.txt", "clip.mp4", ".DS_Store", ".hidden.png", "page.pdf", "plot.eps", "none"):
        (folder / name).write_text("x")
    (folder / "more.png").mkdir()
    pictures, notes = expand([str(folder), str(folder / "a.png")])
    assert len(pictures) == 1 + len(expand([str(folder)])[0])
    assert notes == [f"{folder}: left out, as no pictures by their names: .DS_Store, .hidden.png, clip.mp4 and 5 more"]


def test_files_named_outright_or_by_a_pattern_are_tried_whatever_their_names(folder):
    (folder / "notes.txt").write_text("x")
    assert expand([str(folder / "notes.txt")]) == ([str(folder / "notes.txt")], [])
    assert expand([f"{folder}/*.txt"]) == ([str(folder / "notes.txt")], [])


def test_a_folder_without_pictures_stays_and_its_opening_tells(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    assert expand([str(tmp_path)]) == ([str(tmp_path)], [])


def test_urls_and_homes_are_paths_and_content_stays(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    uri = "data:image/png;base64," + base64.b64encode((folder / "a.png").read_bytes()).decode()
    names = ["~/a.png", (folder / "a.png").as_uri(), uri, "HTTPS://x.org/[a]*.png"]
    assert expand(names) == ([str(folder / "a.png")] * 2 + [uri, "HTTPS://x.org/[a]*.png"], [])
    assert expand([folder.as_uri()])[0] == expand([str(folder)])[0]


def test_a_picture_is_no_question_whatever_its_ending(folder, monkeypatch):
    with pytest.raises(LionError, match="the last word must be the question"):
        split_last(["a.png", str(folder / "b.JFIF")], "question")
    monkeypatch.chdir(folder)
    (folder / "what").write_text("x")
    assert split_last(["a.png", "what"], "question") == (["a.png"], "what")


def test_the_note_stands_on_stderr(run, says, checkpoint, pictures):
    says("a car")
    ran = run("caption", pictures[0].parent, "-m", checkpoint, "--json")
    assert ran.code == 0 and len(ran.rows) == 2
    assert ran.err == f"lion: note: {pictures[0].parent}: left out, as no pictures by their names: more/\n"


def test_content_is_answered_and_named_in_short(run, says, checkpoint, pictures):
    says("a car")
    uri = "data:image/png;base64," + base64.b64encode(pictures[0].read_bytes()).decode()
    ran = run("caption", uri, "HTTPS://x.org/a.png", uri[:-9] + "!", "-m", checkpoint, "--json")
    good, web, bad = ran.rows
    assert good["ok"] and good["image"] == f"{uri[:57]}..." == bad["image"] and not bad["ok"]
    assert web["image"] == "HTTPS://x.org/a.png" and "is a web address: download" in ran.err
    assert "is not base64" in ran.err and max(map(len, ran.err.splitlines())) < 200
