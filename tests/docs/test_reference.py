"""The reference has all of the command line, of the server and of what may be imported, each with what it must tell."""

import inspect
import re
from importlib import import_module
from pathlib import Path

import griffe
import pytest
import yaml
from typer.main import get_command

from lion.cli.app import app
from lion.serve.app import create_app
from lion.train.recipe.schema import SHIPPED
from tools.docs_commands import commands, routes, walk

ROOT = Path(__file__).parents[2]
PAGES = {page.name: page.read_text() for page in (ROOT / "docs" / "reference" / "python").glob("*.md")}
SHOWN = [name for page in PAGES.values() for name in re.findall(r"^::: (\S+)$", page, re.MULTILINE)]
TREE = griffe.load("lion", search_paths=[str(ROOT / "src")], resolve_aliases=True)
RAISES = re.compile(r"\b[Rr]aises?\b")
SHAPE = re.compile(r"\(([A-Z]|\d|heads)(, ([A-Z]|\d|heads))*,?\)|LionInputs")


def module(name):
    return TREE if name == "lion" else TREE[name.removeprefix("lion.")]


def home(name):
    """The module of which a page shows `name`: itself, or the package that exports it."""
    while not (module(name).is_module and (module(name).exports or name.count(".") == 1)):
        name = name.rpartition(".")[0]
    return name


MODULES = list(dict.fromkeys(map(home, SHOWN)))


def public(name):
    """The public names of a module, as griffe's objects."""
    found = module(name)
    listed = map(str, found.exports) if found.exports else [n for n, o in found.members.items() if not o.is_alias]
    objects = [found[one] for one in listed if not one.startswith("_")]
    objects = [one[one.name] if one.is_module else one for one in objects]  # a function in a module of its name
    return [one.final_target if one.is_alias else one for one in objects]


def callables(name):
    """Public functions of a module, and public methods of its classes."""
    for one in public(name):
        inside = one.members.values() if one.is_class else [one]
        yield from (part for part in inside if part.is_function and not part.name.startswith("_"))


def test_every_public_package_has_a_page():
    packages = {
        ".".join(("lion", *path.parent.relative_to(ROOT / "src" / "lion").parts))
        for path in (ROOT / "src" / "lion").rglob("__init__.py")
        if "__all__" in path.read_text()
    }
    assert packages - {"lion", "lion.cli"} <= set(MODULES)
    assert {one.path for one in public("lion")} <= {one.path for name in MODULES for one in public(name)}


def test_the_pages_of_the_pipeline_show_each_of_its_names_once():
    shown = [name for name in SHOWN if name.startswith("lion.pipeline.")]
    assert sorted(name.rpartition(".")[2] for name in shown) == sorted(import_module("lion.pipeline").__all__)


def test_the_paper_recipes_data_is_told():
    text = (ROOT / "docs" / "reference" / "datasets.md").read_text("utf-8")
    table = re.search(r"## For the paper's recipes\n.*?(\n\| .*?)\n\n", text, re.DOTALL)[1]
    rows = [[re.findall(r"`([\w+-]+)`", cell) for cell in row.split(" | ")] for row in table.split("\n| ")[3:]]
    told = {name: columns for names, *columns in rows for name in names}
    for size in ("xl", "xxl"):
        both = zip(told[f"paper-{size}-stage1"], told[f"paper-{size}-stage2"], strict=True)
        told[f"paper-{size}-stage3"] = [one + two for one, two in both]
    for name, columns in told.items():
        recipe = yaml.safe_load((SHIPPED / f"{name}.yaml").read_text("utf-8"))
        used = [[source["source"] for source in part] for part in (recipe["data"], recipe["validation"]["data"])]
        assert columns == used, name
    assert len(told) == 7


@pytest.mark.parametrize("name", MODULES)
def test_every_public_name_says_what_it_is(name):
    classes = {one.path: getattr(import_module(name), one.name) for one in public(name) if one.is_class}

    def inherited(part):
        return any(part.name in vars(base) for base in classes[part.parent.path].__mro__[1:])

    silent = [one.path for one in public(name) if not one.has_docstring]
    silent += [part.path for part in callables(name) if not part.has_docstring and not inherited(part)]
    assert silent == []


@pytest.mark.parametrize("name", MODULES)
def test_what_raises_says_so(name):
    raising = [part for part in callables(name) if re.search(r"^ +raise LionError", part.source, re.MULTILINE)]
    assert [part.path for part in raising if not RAISES.search(part.docstring.value)] == []


@pytest.mark.parametrize("name", MODULES)
def test_tensors_have_shapes(name):
    """In the words, or as letters after the argument's name (`scores_BN`), which the docstring or its module spells."""
    silent = []
    for part in callables(name):
        types = " ".join(map(str, [part.returns, *(one.annotation for one in part.parameters)]))
        if re.search(r"\b(Tensor|ndarray)\b", types) and part.has_docstring:
            lettered = all(
                re.search(r"_[A-Z]+$", one.name)
                for one in part.parameters
                if re.search(r"\b(Tensor|ndarray)\b", str(one.annotation))
            )
            told = SHAPE.search(part.docstring.value) or (lettered and "Tensor" not in str(part.returns))
            silent += [] if told else [part.path]
    assert silent == []


def test_boxes_have_units():
    """Every public class with coordinates says in what."""
    coordinates = [one for name in MODULES for one in public(name) if one.is_class and "x1" in one.members]
    assert coordinates and all(re.search(r"unit|pixel", one.docstring.value) for one in coordinates)


def test_every_command_and_option_is_listed():
    text = commands()
    for name, command in walk(get_command(app)):
        section = text.split(f"### {name}\n", 1)[1].split("\n### ", 1)[0]
        shown = [option for option in command.params if not getattr(option, "hidden", False)]
        assert all(option.opts[0] in section for option in shown if option.param_type_name == "option")
        assert inspect.cleandoc(command.help).split()[:6] == section.split("\n")[1].split()[:6]


def test_every_route_and_type_is_listed():
    text, schema = routes(), create_app(None).openapi()
    assert all(f"### {method.upper()} {path}" in text for path, ways in schema["paths"].items() for method in ways)
    linked = set(re.findall(r"\]\(#(\w+)\)", text))
    assert linked <= {title.lower() for title in re.findall(r"^### (\w+)$", text, re.MULTILINE)}
    assert "| `if_there` | boolean = `False` |" in text
