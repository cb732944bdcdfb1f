"""``lion gallery``: from kept answers to a page, without a model."""

import pytest

from tests.eval import tiny_world


@pytest.fixture(scope="module")
def answered(tmp_path_factory):
    """A run of the drawn world with two questions of each set."""
    from lion.eval import Evaluation, WorldBenchmark

    folder = tmp_path_factory.mktemp("runs") / "world"
    with tiny_world.few_scenes():
        run = Evaluation(tiny_world.Oracle(tiny_world.parts(), 2), WorldBenchmark(limit=2), folder)
        run.predict()
        run.finish()
    return folder


def test_a_page_beside_its_pictures(run, answered, tmp_path):
    page = tmp_path / "shown.md"
    ran = run("gallery", answered, "--out", page, "--count", 2)
    assert (ran.code, ran.out) == (0, f"{page}, with pictures in {tmp_path / 'shown'}\n")
    assert page.read_text().startswith("# Gallery\n\n2 questions: ")
    assert len(list((tmp_path / "shown").glob("*.webp"))) == 2


@pytest.mark.parametrize(("suffix", "starts"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_one_figure(run, answered, tmp_path, suffix, starts):
    figure = tmp_path / f"beside.{suffix}"
    ran = run("gallery", answered, answered, "--out", figure, "--count", 4)
    assert (ran.code, ran.out) == (0, f"{figure}\n")
    assert figure.read_bytes().startswith(starts) and list(tmp_path.iterdir()) == [figure]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--out", "page.html"), "the name must end in .md, .png, .svg, .pdf"),
        (("--out", "/proc/page.md"), "cannot write /proc/page.md"),
        (("--count", 0), "--count"),
    ],
)
def test_mistakes(run, answered, arguments, told):
    ran = run("gallery", answered, *arguments)
    assert ran.code == 2 and told in ran.err and ran.err.count("\n") == 1


def test_a_folder_without_a_run(run, tmp_path):
    ran = run("gallery", tmp_path)
    assert ran.code == 2 and "holds no run.json" in ran.err
