"""What the site has beside docs/: pages that lie elsewhere in the repository, and one for each source file linked to.

Links in Markdown are relative and lead to files, so that they work where the repository is read. In the site those
that leave docs/ lead to the page of such a file: one of `PAGES`, or its text below source/. The site so needs no other.
"""

import json
import os
import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
PAGES = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "examples/finetune_own/README.md": "examples/finetune_own.md",
    "notebooks/README.md": "notebooks.md",
    "src/lion/bundled/lion-mini/README.md": "lion-mini.md",
}
"""Where in the site a Markdown file of the repository is shown."""
BOOSTS = {"tutorials/": 4, "how-to/": 2, "reference/python/": 0.3, "log.md": 0.1, "changelog.md": 0.1}
"""How much more, or less, a page below such a path counts in the search: a newcomer's pages first, records last."""
LINK = re.compile(r'(?P<before>\]\(|\b(?:src|href)=")(?P<target>[^)#"\s]+)(?P<after>(?:#[^)"\s]*)?[)"])')
PICTURES = (".png", ".svg", ".webp")
LANGUAGES = {".py": "python", ".yaml": "yaml", ".yml": "yaml", ".md": "markdown", ".mjs": "javascript", "": "text"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what lies outside docs/."""
    texts = {path: (ROOT / path).read_text("utf-8") for path in PAGES}
    for path, page in PAGES.items():
        files.append(File.generated(config, page, content=_without_front_matter(texts[path])))
    for file in files.documentation_pages():
        texts.setdefault(f"docs/{file.src_uri}", file.content_string)
    for path in sorted({target for where, text in texts.items() for target in _linked(where, text)}):
        if not _in_docs(path) and path not in PAGES:
            picture = path.endswith(PICTURES)
            content = (ROOT / path).read_bytes() if picture else _source(path)
            files.append(File.generated(config, _source_page(path), content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead links to where their targets are in the site, and the search to the pages that newcomers need."""
    here = page.file.src_uri
    boost = next((factor for place, factor in BOOSTS.items() if here.startswith(place)), 1)
    page.meta.setdefault("search", {}).setdefault("boost", boost)
    where = next((path for path, shown in PAGES.items() if shown == here), f"docs/{here}")

    def link(found: re.Match) -> str:
        target = _target(where, found["target"])
        if target is None:
            return found[0]
        shown = PAGES.get(target) or (target.removeprefix("docs/") if _in_docs(target) else _source_page(target))
        return found["before"] + posixpath.relpath(shown, posixpath.dirname(here)) + found["after"]

    return markdown if here.startswith("source/") else LINK.sub(link, markdown)


def _linked(where: str, text: str) -> set[str]:
    return {target for found in LINK.finditer(text) if (target := _target(where, found["target"]))}


def _target(where: str, link: str) -> str | None:
    """The file or folder of the repository that a link of a file leads to; None where it is an address, or dead."""
    target = posixpath.normpath(posixpath.join(posixpath.dirname(where), link))
    return target if "://" not in link and (ROOT / target).exists() else None


def _in_docs(path: str) -> bool:
    """Whether mkdocs has it anyway: mkdocs.yml leaves out the scripts that draw the figures."""
    return path.startswith("docs/") and not path.endswith(".py")


def _source_page(path: str) -> str:
    return f"source/{path}" if path.endswith(PICTURES) else f"source/{path}.md"


def _source(path: str) -> str:
    """A page of a file's text, of a notebook's cells, or of a folder's files."""
    place = ROOT / path
    head = f"---\nsearch: {{exclude: true}}\nhide: [navigation, toc]\ntitle: {place.name}\n---\n# `{path}`\n\n"
    if place.is_dir():
        return head + "".join(f"* `{name}`\n" for name in sorted(os.listdir(place)) if not name.startswith(("_", ".")))
    if place.suffix == ".ipynb":
        cells = json.loads(place.read_text("utf-8"))["cells"]
        texts = [
            ("".join(cell["source"]).replace("](../docs/", "](../../"), cell["cell_type"] == "code") for cell in cells
        ]
        return head + "\n\n".join(f"``````python\n{text}\n``````" if code else text for text, code in texts)
    return f"{head}``````{LANGUAGES.get(place.suffix, 'text')}\n{place.read_text('utf-8')}\n``````\n"


def _without_front_matter(text: str) -> str:
    return re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)
