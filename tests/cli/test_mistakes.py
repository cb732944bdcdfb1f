"""Every mistake a user can make: one line on stderr that names the fix, and exit code 2."""

import json
import os
import re
import shlex
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from PIL import Image

from lion import __version__
from lion.cli.app import EXAMPLES
from lion.cli.options import PRESETS
from lion.pipeline import DECODING

WORDS = "word " * 10_000


@pytest.mark.parametrize("words", [[], ["eval"], ["convert"], ["--help"], ["eval", "--help"]])
def test_nothing_said_is_answered_with_help(run, words):
    ran = run(*words)
    assert (ran.code, ran.err) == (0, "") and "Usage: lion" in ran.out


def test_version(run):
    assert run("--version").out == f"lion {__version__}\n"


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["ask", "PICTURE", ""], "question is empty"),
        (["ask", "PICTURE", "   "], "question is empty"),
        (["ask", "PICTURE"], "a picture and a question are needed"),
        (["ask", "PICTURE", "PICTURE"], "the last word must be the question"),
        (["ask", "PICTURE", WORDS], "limit is 1"),
        (["locate", "PICTURE", ""], "phrase is empty"),
        (["locate", "PICTURE"], "a picture and a phrase are needed"),
        (["locate", "PICTURE", WORDS], "limit is 1"),
        (["describe", "PICTURE"], "--box"),
        (["describe", "PICTURE", "--box", "0.5,0.5,1.5,1"], "reaches outside the picture"),
        (["describe", "PICTURE", "--box", "-0.1,0,1,1"], "reaches outside the picture"),
        (["describe", "PICTURE", "--pixels", "--box", "0,0,91,60"], "90x60 pixels"),
        (["describe", "PICTURE", "--box", "0.5,0.1,0.2,0.9"], "x1 <= x2"),
        (["describe", "PICTURE", "--box", "0.5,0.1,0.5,0.9"], "no area"),
        (["describe", "PICTURE", "--box", "1,2,3"], "not four numbers"),
        (["describe", "PICTURE", "--box", "a,b,c,d"], "not four numbers"),
        (["describe", "PICTURE", "--box", "0,0,nan,1"], "finite"),
        (["ask", "PICTURE", "caf\udce9?"], "not readable text"),
        (["caption", "PICTURE", "--tags", "caf\udce9"], "not readable text"),
        (["caption", ""], "name is empty"),
        (["caption", "x" * 300], "File name too long"),
        (["caption", "~nobody-of-this-name/x.png"], "no such file"),
        (["caption", "https://example.org/x.png"], "web address"),
        (["caption", "PICTURE", "--save", "x" * 300 + ".png"], "File name too long"),
        (["caption", "PICTURE", "--model", "~nobody-of-this-name"], "no model folder"),
        (["caption", "PICTURE", "--tags", "a", "--no-tags"], "exclude each other"),
        (["caption", "PICTURE", "--tags", " , "], "names no tag"),
        (["caption", "PICTURE", "--tags", "<extra_id_0>"], "<extra_id_0>"),
        (["ask", "PICTURE", "what is <extra_id_0>?"], "<extra_id_0>"),
        (["caption", "PICTURE", "--batch-size", "0"], "batch-size"),
        (["caption", "PICTURE", "--device", "toaster"], "no device 'toaster'"),
        (["caption", "PICTURE", "--device", "cuda:77"], "no device 'cuda:77'"),
        (["caption", "PICTURE", "--save", "x.doc"], "must end in .png"),
        (["caption", "PICTURE", "FOLDER/b.jpg", "--save", "x.png"], "give a folder or"),
        (["caption", "PICTURE", "--save", "PICTURE"], "exists; delete it"),
        (["caption"], "see lion caption --help"),
        (["caption", "PICTURE", "--nonsense"], "see lion caption --help"),
        (["nonsense"], "see lion --help"),
        (["capton", "PICTURE"], "caption"),
        (["caption", "PICTURE", "--jsn"], "--json"),
        (["PICTURE"], "one comes first: lion caption PICTURE"),
        (["photo.png", "--json"], "one comes first: lion caption photo.png"),
        (["chat"], "see lion chat --help"),
        (["ask", "PICTURE", "FOLDER/"], "the last word must be the question, but"),
        (["ask", "PICTURE", "FOLDER/*.png"], "the last word must be the question, but"),
        (["caption", "https://x.org/a.png?w=2"], "is a web address"),
        (["caption", "x" * 300], "File name too long; check the path"),
        (["chat", "FOLDER"], "one picture"),
        (["chat", "no-such.png"], "no-such.png"),
    ],
)
def test_mistake(run, checkpoint, pictures, command, says):
    places = {"PICTURE": str(pictures[0]), "FOLDER": str(pictures[0].parent)}
    words = [word.replace("PICTURE", places["PICTURE"]).replace("FOLDER", places["FOLDER"]) for word in command]
    model = [] if len(words) == 1 or "." in words[0] else ["-m", checkpoint]

    ran = run(*words[:1], *model, *words[1:])

    assert ran.code == 2
    assert len(ran.err.splitlines()) == 1 and ran.err.startswith("lion: error: ")
    assert says.replace("PICTURE", places["PICTURE"]) in ran.err and len(ran.err) < 600
    assert ran.out == ""


CHEAP = [
    ["caption", "missing.png"],
    ["caption", "none/*.png", "missing.png", "FOLDER/more/none"],
    ["ask", "PICTURE", ""],
    ["ask", "PICTURE"],
    ["chat", "missing.png"],
    ["chat", "FOLDER/**"],
    ["tag", "missing.png", "--out", "FOLDER/tags.txt"],
    ["tag", "missing.png"],
    ["describe", "PICTURE", "--box", "0,0,1,2"],
    ["describe", "PICTURE", "--box", "0,0,1"],
    ["locate", "PICTURE", "the car", "--decoding", "fast"],
    ["caption", "PICTURE", "--device", "toaster"],
    ["caption", "PICTURE", "--model", "./nowhere"],
    ["caption", "PICTURE", "--save", "x.doc"],
    ["caption", "PICTURE", "--save", "PICTURE"],
    ["caption", "PICTURE", "--export", "PICTURE"],
    ["caption", "PICTURE", "--tags-from", "missing.jsonl"],
    ["caption", "PICTURE", "--tags", "a", "--no-tags"],
    ["captio", "PICTURE"],
    ["info", "nowhere"],
    ["bench", "./nowhere"],
    ["bench", "--device", "toaster"],
    ["serve", "nowhere"],
    ["serve", "--decoding", "fast"],
    ["eval", "okvqa", "--model", "nowhere"],
    ["annotate", "FOLDER", "FOLDER/out", "--do", "caption,colour"],
    ["study", "nothing"],
    ["study", "conflict", "--only", "nothing"],
    ["study", "conflict", "nothing:steps=1"],
    ["PICTURE"],
]


def test_a_mistake_costs_no_import_of_torch(pictures, tmp_path):
    """A second instead of five."""
    places = {"PICTURE": str(pictures[0]), "FOLDER": str(pictures[0].parent)}
    commands = [
        [word.replace("PICTURE", places["PICTURE"]).replace("FOLDER", places["FOLDER"]) for word in words]
        for words in CHEAP
    ]
    script = (
        "import json, sys\nfrom lion.cli import main\nfor words in json.loads(sys.argv[1]):\n"
        "    print(main(words), 'torch' in sys.modules)"
    )
    command = [sys.executable, "-c", script, json.dumps(commands)]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert dict(zip(map(str, CHEAP), ran.stdout.splitlines(), strict=True)) == dict.fromkeys(
        map(str, CHEAP), "2 False"
    ), ran.stderr


def test_names_of_decodings_are_known_without_loading_them():
    assert tuple(DECODING) == PRESETS


@pytest.mark.parametrize(("verb", "rest"), [(verb, rest) for verb, lines in EXAMPLES.items() for rest in lines])
def test_examples_of_the_help_are_shown_and_their_options_exist(run, verb, rest):
    words = shlex.split(re.split(" [<>] ", rest)[0])
    ran = run(verb, *words, "--help")  # an unknown option comes before the help
    assert ran.code == 0 and "Usage: lion" in ran.out
    shown = " ".join(run(verb, "--help").out.split())
    assert " ".join(f"lion {verb} {rest}".split()) in shown


@pytest.mark.parametrize(
    "words",
    [
        ["caption", "PICTURES", "--save", "PLACE/x.png"],
        ["caption", "PICTURES", "--save", "PLACE/deep/{name}.jpg"],
        ["caption", "PICTURES", "--export", "PLACE/deep/x.csv"],
        ["locate", "PICTURES", "the car", "--export", "PLACE/x.yolo"],
        ["chat", "PICTURES", "--save", "PLACE/x.png"],
        ["explain", "PICTURES", "--save", "PLACE/x.png"],
        ["tag", "PICTURES", "--out", "PLACE/x.jsonl"],
        ["bench", "--plot", "PLACE/x.png"],
        ["gallery", "FOLDER", "--out", "PLACE/x.md"],
        ["study", "seeds", "--page", "PLACE/x.md"],
    ],
)
@pytest.mark.parametrize("why", ["a file", "no permission"])
def test_a_place_that_cannot_be_written_is_named_before_the_work(run, pictures, tmp_path, monkeypatch, words, why):
    place, there = pictures[0], pictures[0].parent
    if why == "no permission":
        (place := there / "kept").mkdir()
        can = os.access
        monkeypatch.setattr(
            os, "access", lambda path, mode: can(path, mode) and (Path(path) != place or mode == os.R_OK)
        )
    for load in ("lion.pipeline.LionPipeline.from_pretrained", "lion.checkpoints.loading.load_tagger"):
        monkeypatch.setattr(load, lambda *_, **given: pytest.fail("a model is loaded"))
    before = sorted(tmp_path.rglob("*"))
    names = {"PICTURES": str(pictures[0]), "PLACE": str(place), "FOLDER": str(there)}
    ran = run(*(re.sub("[A-Z]{5,}", lambda name: names[name[0]], word) for word in words))
    (line,) = ran.err.splitlines()
    assert ran.code == 2 and "cannot write" in line and str(place) in line and "another place" in line
    assert sorted(tmp_path.rglob("*")) == before


def bomb(path):
    """A PNG whose header claims 20,000 x 20,000 pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b""))


def truncated(path):
    Image.effect_noise((200, 200), 50).convert("RGB").save(path, "JPEG")
    path.write_bytes(path.read_bytes()[:3000])


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.write_bytes(b""), "0 bytes"),
        (lambda path: path.write_text("hello"), "not a picture"),
        (truncated, "cut off"),
        (bomb, "megapixels"),
        (lambda path: path.mkdir(), "no pictures"),
    ],
    ids=["missing", "zero-bytes", "text", "truncated-jpeg", "bomb", "empty-folder"],
)
@pytest.mark.parametrize("verb", ["caption", "ask", "tag"])
def test_bad_picture(run, checkpoint, tmp_path, make, says, verb):
    path = tmp_path / "picture.jpg"
    make(path)

    ran = run(verb, path, *(["what?"] if verb == "ask" else []), "-m", checkpoint, "--json")

    assert ran.code == 2
    (row,) = ran.rows
    assert says in row.pop("reason") and row == {
        "image": str(path), "task": verb, "text": "", "tags": [], "boxes": [], "ok": False, "model": checkpoint,
        "question": "what?" if verb == "ask" else None, "size": None, "note": None,
        "confidence": None, "presence": None,
    }  # fmt: skip
    assert len(ran.err.splitlines()) == 1 and ran.err.startswith("lion: error: ")
    assert str(path) in ran.err and says in ran.err


def no_such_folder(checkpoint, folder):
    return "./no/such/folder", "no model folder"


def unknown_hub_id(checkpoint, folder):
    return "nobody/no-such-lion", "no Hub model of that name"


def plain_word(checkpoint, folder):
    return "lionn", "no model folder 'lionn'"


def empty_folder(checkpoint, folder):
    folder.mkdir()
    return folder, "no config.json"


def not_a_lion(checkpoint, folder):
    shutil.copytree(checkpoint, folder)
    (folder / "config.json").write_text('{"model_type": "llama"}')
    return folder, "not LION"


def broken_json(checkpoint, folder):
    shutil.copytree(checkpoint, folder)
    (folder / "config.json").write_text('{"model_type"')
    return folder, "not readable JSON"


def other_shape(checkpoint, folder):
    shutil.copytree(checkpoint, folder)
    config = json.loads((folder / "config.json").read_text())
    config["adapter_bottleneck"] = 16
    (folder / "config.json").write_text(json.dumps(config))
    return folder, "of another shape than its config.json"


def other_depth(checkpoint, folder):
    shutil.copytree(checkpoint, folder)
    config = json.loads((folder / "config.json").read_text())
    config["qformer_config"]["num_hidden_layers"] = 3
    (folder / "config.json").write_text(json.dumps(config))
    return folder, "do not fit its config.json"


def broken_generation_config(checkpoint, folder):
    """transformers then generates as if there were none."""
    shutil.copytree(checkpoint, folder)
    (folder / "generation_config.json").write_text('{"eos_token_id"')
    return folder, "generation_config.json"


def no_weights(checkpoint, folder):
    shutil.copytree(checkpoint, folder)
    (folder / "model.safetensors").unlink()
    return folder, "cannot load"


def cut_weights(checkpoint, folder):
    shutil.copytree(checkpoint, folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    return folder, "cannot load"


def no_second_tokenizer(checkpoint, folder):
    """transformers then takes the first one twice."""
    shutil.copytree(checkpoint, folder)
    shutil.rmtree(folder / "qformer_tokenizer")
    return folder, "qformer_tokenizer"


def damaged_second_tokenizer(checkpoint, folder):
    """Here, too."""
    shutil.copytree(checkpoint, folder)
    (folder / "qformer_tokenizer" / "tokenizer_config.json").write_text('{"tokenizer_class"')
    return folder, "qformer_tokenizer"


def cut_tokenizer(checkpoint, folder):
    shutil.copytree(checkpoint, folder)
    for tokenizer in (folder / "tokenizer.json", folder / "qformer_tokenizer" / "tokenizer.json"):
        tokenizer.write_bytes(tokenizer.read_bytes()[:1000])
    return folder, "LionProcessor"


def no_tokenizer(checkpoint, folder):
    shutil.copytree(checkpoint, folder)
    for name in ("processor_config.json", "tokenizer.json"):
        (folder / name).unlink(missing_ok=True)
    return folder, "LionProcessor"


BAD_MODELS = [
    no_such_folder, unknown_hub_id, plain_word, empty_folder, not_a_lion, broken_json, other_shape, other_depth,
    broken_generation_config, no_weights, cut_weights, no_tokenizer, no_second_tokenizer,
    damaged_second_tokenizer, cut_tokenizer,
]  # fmt: skip


@pytest.mark.parametrize("spoil", BAD_MODELS, ids=lambda spoil: spoil.__name__)
def test_bad_model(run, checkpoint, pictures, tmp_path, spoil):
    model, says = spoil(checkpoint, tmp_path / "spoilt")
    ran = run("caption", pictures[0], "-m", model, "--json")
    assert ran.code == 2 and ran.out == ""
    assert len(ran.err.splitlines()) == 1 and ran.err.startswith("lion: error: ")
    assert says in ran.err and str(model) in ran.err
