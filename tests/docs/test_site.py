"""The site is built with warnings as errors, and asks no other host for anything."""

import re
from importlib import import_module
from pathlib import Path

import pytest

pytest.importorskip("mkdocstrings_handlers.python", reason="the extra docs is not installed")
from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site's folder. A dead link, a missing anchor, a page outside the menu each end the build."""
    folder = tmp_path_factory.mktemp("site")
    config = load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder), strict=True)
    config.plugins.on_startup(command="build", dirty=False)
    try:
        build(config)
    except Abort as error:
        pytest.fail(f"{error}: run mkdocs build")
    finally:
        config.plugins.on_shutdown()
    return folder


def test_every_page_is_built(site):
    pages = {path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")}
    names = {page.with_name("index.md") if page.name == "README.md" else page for page in pages}
    assert all((site / name.with_suffix(".html")).is_file() for name in names)


def test_every_public_name_has_an_entry(site):
    pages = "".join(path.read_text("utf-8") for path in (site / "reference" / "python").glob("*.html"))
    entries = set(re.findall(r'id="?(lion[\w.]*)', pages))
    for name in {".".join(found.split(".")[:2]) for found in entries if "." in found} | {"lion.train.recipe"}:
        home = import_module(name)
        for one in getattr(home, "__all__", ()):
            where = getattr(home, one)  # a function may share its name with the module that it is in
            own = f"{getattr(where, '__module__', '')}.{getattr(where, '__qualname__', '')}"
            assert {f"{name}.{one}", own} & entries, f"{name}.{one}"


def test_no_page_asks_another_host(site):
    asked = re.compile(r'<(?:script|img|iframe|source)[^>]*\bsrc="?(?:https?:)?//|<link[^>]*\bhref="?(?:https?:)?//')
    assert [str(page) for page in site.rglob("*.html") if asked.search(page.read_text("utf-8"))] == []
    styles = [path for path in site.rglob("*.css") if re.search(r"url\(.?(?:https?:)?//", path.read_text("utf-8"))]
    assert styles == []


def test_how_do_i_is_two_clicks_away(site):
    """The home page's six questions lead to places that are there; each card leads to three pages or more."""
    home = (site / "index.html").read_text("utf-8")
    questions = home[home.index('id="six-questions"') :]
    links = re.findall(r'<td>\s*<a href="?([^"#> ]+)#?([\w-]*)', questions)
    assert len(links) == 6
    for page, anchor in links:
        text = (site / page).read_text("utf-8")
        assert not anchor or re.search(rf'id="?{anchor}\b', text)
    cards = re.search(r'<div class="?grid cards"?>(.*?)</div>', home, re.DOTALL)[1]
    assert cards.count("<strong>") == 6 and cards.count("<a ") >= 24
