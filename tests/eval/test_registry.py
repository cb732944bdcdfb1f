"""One place knows every kind of benchmark, and the paper's benchmarks do not know the drawn world's."""

import ast
from pathlib import Path

import pytest

import lion.eval
from lion.errors import LionError
from lion.eval import DatasetBenchmark, WorldBenchmark, benchmark_of
from tests.eval import drawn
from tests.eval.drawn import on

ROOM = Path(lion.eval.__file__).parent


def test_a_recorded_run_gives_its_benchmark_back(tmp_path):
    world = WorldBenchmark("val", 5, tagged=False)
    run = {"benchmark": "world", "limit": world.limit, "settings": world.settings}
    assert benchmark_of(run) == world
    data = drawn.data(tmp_path)
    benchmark = on("okvqa", data, limit=3, prompt="short-answer", tagged=False, skip_bad=True)
    run = {"benchmark": "okvqa", "limit": 3, "settings": benchmark.settings, **benchmark.notes}
    found = benchmark_of(run)
    assert isinstance(found, DatasetBenchmark) and found.settings == benchmark.settings
    assert (found.data, found.limit, found.skip_bad) == (data.resolve(), 3, True)
    assert benchmark_of(run, tmp_path / "moved").data == tmp_path / "moved"
    for name in ("moon", None):
        with pytest.raises(LionError, match=r"there is no benchmark .*; there are world, flickr30k, "):
            benchmark_of({"benchmark": name})


def test_the_papers_benchmarks_do_not_import_the_worlds():
    files = sorted((ROOM / "benchmarks").glob("*.py"))
    imported = [
        node.module
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom)
    ]
    assert len(files) > 4 and "lion.eval.questions" in imported
    assert not [name for name in imported if name and name.startswith(("lion.eval.world", "lion.world"))]
