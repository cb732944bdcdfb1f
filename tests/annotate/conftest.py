"""A tiny pipeline with short answers, and pictures in every form in which `lion annotate` takes them."""

import io
import tarfile
from functools import cache

import numpy as np
import pytest
from PIL import Image

from lion.annotate.asks import parse
from lion.annotate.run import Job, Plan, annotate
from lion.pipeline import DecodingPreset, LionPipeline
from tests.pipeline.conftest import counted, parts  # noqa: F401 - fixtures


@pytest.fixture
def pipeline(parts):  # noqa: F811
    made = LionPipeline(*parts, name="tiny", batch_size=3)
    made.decoding = dict.fromkeys(made.decoding, DecodingPreset(num_beams=2, max_new_tokens=4))
    return made


@cache
def png(number=0, size=(64, 48)):
    """The bytes of a picture of noise, different for each number."""
    pixels = np.random.default_rng(number).integers(0, 256, (*size[::-1], 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    return file.getvalue()


@pytest.fixture
def folder(tmp_path):
    """Seven pictures in folders, one of them twice, and four that are none."""
    root = tmp_path / "in"
    (root / "sub").mkdir(parents=True)
    for number in range(5):
        (root / f"{number}.png").write_bytes(png(number))
    (root / "sub" / "héllo 世界.png").write_bytes(png(5))
    (root / "sub" / "twin.png").write_bytes(png(0))
    (root / "cut.png").write_bytes(png(6)[:200])
    (root / "empty.jpg").write_bytes(b"")
    (root / "text.jpg").write_text("no picture")
    (root / "notes.md").write_text("left out by its name")
    (root / "gone.png").symlink_to(root / "nowhere.png")
    return root


def write_tar(path, members, link=None):
    """A tar of (name, bytes), and of a link."""
    with tarfile.open(path, "w") as archive:
        for name, data in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
        if link:
            entry = tarfile.TarInfo(link)
            entry.type, entry.linkname = tarfile.SYMTYPE, "elsewhere"
            archive.addfile(entry)
    return path


class BrokenOff(io.BytesIO):
    """A file behind a URL whose connection ends after some bytes."""

    def __init__(self, data, end):
        super().__init__(data)
        self.end = end

    def read(self, size=-1):
        if self.tell() + max(size, 0) > self.end:
            raise ConnectionResetError("Connection lost")
        return super().read(size)


@pytest.fixture
def run(pipeline, tmp_path):
    """Annotate an input into a folder; the plan and the counts."""

    def run(given, out="out", do=("caption", 'locate:"the dog"'), retry_errors=False, **settings):
        plan = Plan(str(given), tmp_path / out, Job(parse(do), **({"shard_size": 3, "workers": 2} | settings)))
        return plan, annotate(plan, lambda: pipeline, retry_errors=retry_errors)

    return run


def files(folder):
    """What a run wrote, by name, without the time in its manifest."""
    names = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "manifest.json")
    return {str(path.relative_to(folder)): path.read_bytes() for path in names}
