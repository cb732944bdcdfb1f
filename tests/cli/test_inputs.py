"""Names on the command line: which pictures they mean, and what of a folder is left out."""

import base64
import io

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
    (folder / "more.png" / "deep").mkdir(parents=True)
    (folder / ".thumbnails").mkdir()
    for path in (folder / "more.png" / "deep" / "z.png", folder / ".thumbnails" / "a.png"):
        Image.new("RGB", (8, 8)).save(path)
    (folder / "more.png" / "deep" / "read.me").write_text("x")
    (folder / "again").symlink_to(folder)
    pictures, notes = expand([str(folder), str(folder / "a.png")])
    assert pictures == expand([str(folder)])[0] and str(folder / "more.png" / "deep" / "z.png") in pictures
    assert not [path for path in pictures if "again" in path or "thumbnails" in path]
    assert notes == [
        f"{folder}: left out as hidden: .DS_Store, .hidden.png, .thumbnails/; as links: again/; "
        "as no pictures by their names: clip.mp4, more.png/deep/read.me, none and 3 more",
        f"named more than once, and answered once: {folder / 'a.png'}",
    ]


def test_folders_that_a_pattern_matches_are_named_unless_it_goes_into_them(folder):
    (folder / "more").mkdir()
    Image.new("RGB", (8, 8)).save(folder / "more" / "z.png")
    pictures, notes = expand([f"{folder}/*"])
    assert str(folder / "more") not in pictures and notes == [f"{folder}/*: left out as folders: {folder / 'more'}"]
    pictures, notes = expand([f"{folder}/**"])
    assert str(folder / "more" / "z.png") in pictures and notes == []


def test_a_pattern_that_goes_round_in_links_finds_each_picture_once(folder):
    (folder / "more").mkdir()
    Image.new("RGB", (8, 8)).save(folder / "more" / "z.png")
    plain = expand([f"{folder}/**/*.png"])[0]
    (folder / "round").symlink_to(folder)
    pictures, notes = expand([f"{folder}/**/*.png"])
    assert pictures == plain and len(notes) == 1 and notes[0].startswith("named more than once, and answered once: ")


def test_a_picture_named_in_several_ways_comes_once_and_that_is_said(folder, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "link.png").symlink_to("a.png")
    names = [
        "a.png",
        "./a.png",
        "link.png",
        str(folder / "a.png"),
        "../" + folder.name + "/a.png",
        "data:,x",
        "data:,x",
    ]
    pictures, notes = expand(names)
    assert pictures == ["a.png", "link.png", "data:,x"]
    assert notes == [f"named more than once, and answered once: ./a.png, {folder / 'a.png'}, {names[4]} and 1 more"]


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
    assert expand(names)[0] == [str(folder / "a.png"), uri, "HTTPS://x.org/[a]*.png"]
    assert expand([folder.as_uri()])[0] == expand([str(folder)])[0]


def test_a_picture_is_no_question_whatever_its_ending(folder, monkeypatch):
    with pytest.raises(LionError, match="the last word must be the question"):
        split_last(["a.png", str(folder / "b.JFIF")], "ask", "question")
    monkeypatch.chdir(folder)
    (folder / "what").write_text("x")
    assert split_last(["a.png", "what"], "ask", "question") == (["a.png"], "what")


def test_the_note_stands_on_stderr(run, says, checkpoint, pictures):
    says("a car")
    (pictures[0].parent / "notes.txt").write_text("x")
    ran = run("caption", pictures[0].parent, "-m", checkpoint, "--json")
    assert ran.code == 0 and len(ran.rows) == 3
    assert ran.err == f"lion: note: {pictures[0].parent}: left out as no pictures by their names: notes.txt\n"


def test_content_is_answered_and_named_in_short(run, says, checkpoint, pictures):
    says("a car")
    uri = "data:image/png;base64," + base64.b64encode(pictures[0].read_bytes()).decode()
    ran = run("caption", uri, "HTTPS://x.org/a.png", uri[:-9] + "!", "-m", checkpoint, "--json")
    good, web, bad = ran.rows
    assert good["ok"] and good["image"] == f"{uri[:57]}..." == bad["image"] and not bad["ok"]
    assert web["image"] == "HTTPS://x.org/a.png" and "is a web address: download" in ran.err
    assert "is not base64" in ran.err and max(map(len, ran.err.splitlines())) < 200


def test_a_picture_from_standard_input(run, says, checkpoint, pictures, tmp_path, monkeypatch):
    says("[0.10,0.20,0.50,0.80]")
    monkeypatch.chdir(tmp_path)

    def piped(data, *words):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
        return run(*words, "-m", checkpoint, "--json")

    data = pictures[0].read_bytes()
    ran = piped(data, "locate", "-", "the kite", "--save", "out/")
    assert ran.code == 0 and ran.rows[0]["image"] == "-" and ran.rows[0]["size"] == [90, 60]
    assert ran.rows[0]["saved"] == "out/picture.png"
    ran = piped(b"", "caption", "-")
    assert ran.code == 2 and "-: the image is empty" in ran.err
    ran = piped(data, "locate", "-", "the kite", "--export", "x.coco.json")
    assert ran.code == 2 and "without a file's name" in ran.err
    ran = piped(data, "chat", "-")
    assert ran.code == 2 and "name its file" in ran.err
