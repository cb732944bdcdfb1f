"""What tasks and actors on Ray do, without Ray; tests/annotate/test_kills.py runs them on it."""

import os
import sys

import pyarrow as arrow
import pyarrow.parquet as parquet
import pytest

from lion.annotate import on_ray
from lion.annotate.asks import parse
from lion.annotate.run import Job, Plan
from lion.errors import LionError
from lion.pipeline import LionPipeline
from tests.annotate.conftest import files, png, write_tar


def test_tasks_and_actors_make_the_files_of_a_plain_run(run, folder, tmp_path, pipeline, monkeypatch):
    write_tar(folder / "x.tar", [("0.png", png(0)), ("1.txt", b"")])
    parquet.write_table(arrow.table({"image": [png(1), None]}), folder / "x.parquet")
    (folder / "broken.tar").write_bytes(b"no tar")
    with open(os.fsencode(folder) + b"/\xff.png", "wb") as file:
        file.write(png(2))
    plan, _ = run(folder)
    other = Plan(str(folder), tmp_path / "ray", plan.job)
    monkeypatch.setattr(LionPipeline, "from_pretrained", lambda **model: pipeline)
    known = on_ray._identity({}, plan.job)
    with other.output.claim():
        assert other.begin(known) == {}
        actor = on_ray._Actor({}, plan.job, other.output.folder)
        for number, shard in enumerate(other.shards):
            item = arrow.Table.from_pylist([{"number": number, **on_ray._as_item(shard)}])
            counts = actor(on_ray._read(item, column=None))
            assert counts["number"] == [number] and counts["inputs"] == [counts["rows"][0] + counts["errors"][0]]
        other.output.check(len(other.shards))
    assert files(tmp_path / "ray") == files(plan.output.folder)


def test_without_ray_its_package_is_named(folder, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    plan = Plan(str(folder), tmp_path / "out", Job(parse(["caption"])))
    with pytest.raises(LionError, match=r"--ray needs ray; pip install 'lion-vlm\[ray\]'"):
        on_ray.annotate(plan, {}, on_ray.Cluster("local"), lambda done, total: None)
    assert not (tmp_path / "out").exists()
