"""The rules of the house that a machine can hold; their reasons stand in CONTRIBUTING.md.

There is no list of exceptions. What cannot keep a rule is cut differently.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "lion"
MODULES = sorted(PACKAGE.rglob("*.py"))

LAW = """
errors, atomic, provenance, random, distributed ◄ boxes, figures, hub, images, locks, nn ◄ prompts, metrics ◄ model,
tagging ◄ checkpoints, engine ◄ world, convert ◄ data ◄ pipeline ◄ train, eval, serve, annotate, bench ◄ studies
◄ cli, plugins
"""
"""Imports point left; what a comma separates does not see each other. The top package stands right of all of it: it
hands out public names and nothing here imports it."""
RANK = {name.strip(): rank for rank, side in enumerate(LAW.split("◄")) for name in side.split(",")}

LONGEST_FILE = 400
LONGEST_FUNCTION = 60
UNSAFE_READERS = {"pickle", "cPickle", "dill", "joblib", "marshal", "shelve"}
HEAVY = {"torch", "transformers", "numpy", "PIL", "pydantic", "accelerate"}


def layer(module: Path) -> str:
    """The part of the house a file belongs to: ``lion/nn/stem.py`` to ``nn``, ``lion/boxes.py`` to ``boxes``."""
    return module.relative_to(PACKAGE).parts[0].removesuffix(".py")


def tree(module: Path) -> ast.Module:
    return ast.parse(module.read_text(encoding="utf-8"))


def imported(module: Path) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of every import in a file, those inside functions and type checks included."""
    package = [*module.relative_to(PACKAGE.parent).parts[:-1]]
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            name = ".".join([*base, *([node.module] if node.module else [])])
            # "from lion import boxes" reaches the part, not the top package
            deeper = [f"{name}.{alias.name}" for alias in node.names] if name == "lion" else [name]
            yield from ((node.lineno, one) for one in deeper)


def inside(module: Path) -> list[tuple[int, str]]:
    """(line, part) of what a file imports from the house."""
    dotted = [(line, name.split(".")) for line, name in imported(module)]
    return [(line, parts[1] if len(parts) > 1 else "") for line, parts in dotted if parts[0] == "lion"]


def where(module: Path, line: int) -> str:
    return f"{module.relative_to(ROOT)}:{line}"


def test_every_part_has_its_place_in_the_law():
    assert {layer(module) for module in MODULES} - {"__init__"} <= set(RANK)


def test_imports_point_left():
    broken = [
        f"{where(module, line)}: {layer(module)} imports {part or 'the top package'}"
        for module in MODULES
        if layer(module) != "__init__"
        for line, part in inside(module)
        if part != layer(module) and RANK.get(part, len(RANK)) >= RANK[layer(module)]
    ]
    assert not broken, "\n".join(broken)


def imported_files(module: Path) -> Iterator[str]:
    """Dotted names of the files of the house that a file imports, wherever in it the import stands."""
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{where(module, node.lineno)}: imports are absolute"
            # "from lion.eval import report" reaches the file, "from lion.eval import Score" what the package hands out
            yield from (one if one in FILES else node.module for one in (f"{node.module}.{a.name}" for a in node.names))


def dotted(module: Path) -> str:
    return ".".join(module.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


FILES = {dotted(module) for module in MODULES}


def test_no_files_import_each_other_in_a_circle():
    """Imports for type checks and inside functions included, and what a package's __init__ hands out."""
    graph = {dotted(module): set(imported_files(module)) & FILES for module in MODULES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail("a circle: " + " <- ".join(error.args[1]))


def test_no_string_stands_for_an_import():
    """A file referred to as "module:name" would be an import that the rules above do not see."""
    hidden = [
        f"{where(module, node.lineno)}: {node.value}"
        for module in MODULES
        for node in ast.walk(tree(module))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.fullmatch(r"lion(\.\w+)+:\w+", node.value)
        and node.value.partition(":")[0] in FILES
    ]
    assert not hidden, "\n".join(hidden)


def test_one_file_ties_in_how_lion_mini_came_to_be():
    room = "lion.train.mini"
    outside = [module for module in MODULES if not dotted(module).startswith(room)]
    assert {dotted(module) for module in outside if any(one.startswith(room) for one in imported_files(module))} == {
        "lion.train.run"
    }


def test_every_file_says_what_it_is_for():
    assert [str(module.relative_to(ROOT)) for module in MODULES if not ast.get_docstring(tree(module))] == []


def test_files_and_functions_stay_readable():
    long = [
        f"{module.relative_to(ROOT)}: {lines} lines"
        for module in MODULES
        if (lines := len(module.read_text(encoding="utf-8").splitlines())) > LONGEST_FILE
    ]
    long += [
        f"{where(module, node.lineno)}: {node.name} has {lines} lines"
        for module in MODULES
        for node in ast.walk(tree(module))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > LONGEST_FUNCTION
    ]
    assert not long, "\n".join(long)


def calls(module: Path) -> Iterator[tuple[int, str, ast.Call]]:
    """(line, dotted name, node) of every call by name, e.g. ``torch.load``."""
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Call) and isinstance(node.func, (ast.Name, ast.Attribute)):
            yield node.lineno, ast.unparse(node.func), node


def test_only_the_command_line_prints():
    prints = [
        where(module, line)
        for module in MODULES
        if layer(module) != "cli"
        for line, name, _ in calls(module)
        if name in ("print", "sys.stdout.write")
    ]
    assert not prints, "\n".join(prints)


def test_nothing_runs_what_it_reads():
    """No eval or exec of text, no pickle, and torch.load with weights_only=True or not at all."""
    unsafe = [
        f"{where(module, line)}: import {name}"
        for module in MODULES
        for line, name in imported(module)
        if name.split(".")[0] in UNSAFE_READERS
    ]
    for module in MODULES:
        for line, name, call in calls(module):
            safe_load = any(word.arg == "weights_only" and ast.unparse(word.value) == "True" for word in call.keywords)
            if name in ("eval", "exec", "yaml.load") or (name == "torch.load" and not safe_load):
                unsafe.append(f"{where(module, line)}: {name}(...)")
    assert not unsafe, "\n".join(unsafe)


def test_no_path_of_one_machine():
    """What is shipped or run names no folder that only its author's machine has."""
    machine = re.compile(r"(?<![\w./])/(?:home|work|root|Users|mnt|data|scratch)/\w")
    shipped = [*MODULES, *PACKAGE.rglob("*.yaml"), *(ROOT / "examples").rglob("*.*y*"), ROOT / ".ci" / "run"]
    shipped += [ROOT / name for name in ("Makefile", "pyproject.toml", "constraints.txt", "README.md")]
    found = [
        f"{where(file, number)}: {line.strip()}"
        for file in shipped
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1)
        if machine.search(line)
    ]
    assert not found, "\n".join(found)


def test_the_tour_names_what_exists():
    tour = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:src|tests|docs|examples)/[\w./-]*)`", tour)
    assert named and [path for path in named if not (ROOT / path).exists()] == []
    law = " ".join(LAW.split())
    assert law in " ".join(tour.split()), "CONTRIBUTING.md shows another import law"


def loaded_after(code: str) -> set[str]:
    """Which heavy packages a fresh interpreter has loaded after running some code."""
    report = f"import sys\n{code}\nprint('loaded', *sorted({HEAVY!r} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True, timeout=120).stdout
    return set(out.splitlines()[-1].split()[1:])


def test_importing_lion_is_light():
    assert loaded_after("import lion; lion.Box(0, 0, 1, 1); dir(lion)") == set()


def test_importing_the_model_leaves_the_garbage_collector_as_it_was():
    import gc

    import lion.model  # pauses it

    assert gc.isenabled() and lion.model


def test_help_is_light():
    run = "import lion.cli\nsys.argv = ['lion', '--help']\ntry: lion.cli.main()\nexcept SystemExit: pass"
    assert loaded_after(run) & {"torch", "transformers"} == set()


def test_finding_a_checkpoint_is_light():
    """So that a recipe is checked, and a wrong name reported, before torch is imported."""
    found = "import lion.checkpoints.record, lion.checkpoints.finding as f; f.find_folder(None); f.model_type"
    assert loaded_after(f"{found}(f.bundled_folder(), f.BUNDLED)") == set()


def test_public_names_resolve():
    import lion

    for name in lion.__all__:
        assert getattr(lion, name) is not None
    with pytest.raises(AttributeError, match="Unknown"):
        _ = lion.Unknown
