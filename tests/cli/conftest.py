"""A tiny checkpoint on disk, pictures, and ``run``: one command in this process."""

import json
from copy import copy
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

import lion.train.language_modelling  # noqa: F401 - training takes the loaders as they are, before a test shares models
from lion.checkpoints import loading
from lion.cli import main
from lion.pipeline import DECODING, DecodingPreset, TransformersDecoder
from lion.prompts import Task
from lion.tagging import RamTagger
from tests.pipeline import tiny


@dataclass
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def rows(self):
        """The JSON objects of stdout, one a line."""
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    return str(tiny.save_checkpoint(tmp_path_factory.mktemp("models") / "tiny"))


@pytest.fixture(scope="session")
def loaded():
    """What has been loaded so far, by how it was loaded and by the time and size of every file."""
    return {}


@pytest.fixture(autouse=True)
def load_once(monkeypatch, loaded):
    """Commands that load the same files share the model: loading costs more than a tiny model's answer."""

    def once(load):
        def cached(folder, *rest, **options):
            files = sorted(path for path in Path(folder).resolve().rglob("*") if path.is_file())
            stats = tuple((str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in files)
            key = (load.__qualname__, stats, rest[1:], tuple(options.items()))
            if key not in loaded:
                loaded[key] = load(folder, *rest, **options)
            return copy(loaded[key])  # lion tag gives its tagger a policy and a cache

        return cached

    for name in ("load_model", "load_processor"):
        monkeypatch.setattr(loading, name, once(getattr(loading, name)))
    monkeypatch.setattr(RamTagger, "from_pretrained", once(RamTagger.from_pretrained))


@pytest.fixture(autouse=True)
def short_answers(monkeypatch):
    """Random weights never stop by themselves."""
    short = {name: dict.fromkeys(Task, DecodingPreset(num_beams=2, max_new_tokens=6)) for name in DECODING}
    monkeypatch.setattr("lion.pipeline.request.DECODING", short)


@pytest.fixture
def run(capsys):
    def run(*arguments):
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return run


@pytest.fixture
def pictures(tmp_path):
    """Three different pictures, 90 x 60: a.png, b.jpg and, in a folder, c.png."""
    folder = tmp_path / "pictures"
    (folder / "more").mkdir(parents=True)
    paths = [folder / "a.png", folder / "b.jpg", folder / "more" / "c.png"]
    for index, path in enumerate(paths):
        Image.linear_gradient("L").rotate(90 * index).resize((90, 60)).convert("RGB").save(path)
    return paths


@pytest.fixture
def writes(monkeypatch):
    """Let a function generate in the model's place, with a decoder as ``self``: random weights do not write boxes."""

    def writes(function):
        class Own(TransformersDecoder):
            generate = function

        monkeypatch.setattr(
            "lion.pipeline.pipeline.EngineDecoder", lambda model, processor, places: Own(model, processor)
        )

    return writes


@pytest.fixture
def says(writes):
    """Let the model write a given text whatever it is asked."""

    def says(text):
        def generate(self, prompts, vision, preset):
            return [self.processor.tokenizer(text)["input_ids"]] * len(prompts)

        writes(generate)

    return says
