"""Reference pages that the app writes: the options of each command, and the routes of the server.

In a page, a line ``<!-- generated: commands -->`` or ``<!-- generated: routes -->`` is where they go.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

MARK = re.compile(r"^<!-- generated: (\w+) -->$", re.MULTILINE)
JSON = Mapping[str, Any]


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put in what is generated."""
    return MARK.sub(lambda found: {"commands": commands, "routes": routes}[found[1]](), markdown)


def commands() -> str:
    """A section for each command: what it does, its options in a table, examples."""
    from typer.main import get_command

    from lion.cli.app import app

    return "\n".join(_command(name, command) for name, command in walk(get_command(app)))


def walk(command: Any, name: str = "lion") -> Iterator[tuple[str, Any]]:
    """All commands with their full names; that of the paper's benchmarks goes by ``lion eval NAME``."""
    if not hasattr(command, "commands"):
        yield name, command
        return
    for word, inner in command.commands.items():
        yield from walk(inner, f"{name} {'NAME…' if inner.hidden else word}")


def _command(name: str, command: Any) -> str:
    context = command.make_context(name, [], resilient_parsing=True)
    lines = [f"### {name}", "", _text(command.help), "", f"`{_usage(name, command, context)}`", ""]
    if rows := [row for option in command.params if (row := _option(option, context))]:
        lines += ["| | |", "| --- | --- |", *rows, ""]
    if command.epilog and command.epilog.startswith("Examples:"):
        examples = [line.strip() for line in command.epilog.splitlines()[1:] if line.strip()]
        lines += ["```", *examples, "```", ""]
    return "\n".join(lines)


def _usage(name: str, command: Any, context: Any) -> str:
    return " ".join([name, *command.collect_usage_pieces(context)])


def _option(option: Any, context: Any) -> str | None:
    found = None if getattr(option, "hidden", False) else option.get_help_record(context)
    if found is None:
        return None
    name = re.sub(r" <.*?>", "", found[0]).replace("|", "\\|")  # what it is called, without Python's type
    return f"| `{name}` | {_cell(found[1])} |"


def routes() -> str:
    """A section for each route with the fields it takes, and one for each type that they name."""
    from lion.serve.app import create_app

    schema = create_app(None).openapi()  # type: ignore[arg-type]  # no pipeline: nothing is asked
    types = schema["components"]["schemas"]
    lines = ["### Errors", "", "| status | |", "| --- | --- |"]
    answers = {code: text for _, _, route in reversed([*_routes(schema)]) for code, text in route["responses"].items()}
    lines += [f"| {code} | {_cell(text['description'])} |" for code, text in sorted(answers.items()) if code != "200"]
    for method, path, route in _routes(schema):
        lines += ["", f"### {method.upper()} {path}", "", _text(route.get("description", "")), ""]
        if body := route.get("requestBody", {}).get("content"):
            lines += [*_fields(body["application/json"]["schema"], types), ""]
        good = route["responses"]["200"].get("content", {})
        if kinds := [_type(body.get("schema", {})) for body in good.values()]:
            lines += [f"Returns {' or '.join(kinds)}."]
    for name, kind in types.items():
        if kind.get("properties") and not name.endswith("ValidationError"):
            lines += ["", f"### {name}", "", _text(kind.get("description", "")), "", *_fields(kind, types)]
    return "\n".join(lines)


def _routes(schema: JSON) -> Iterator[tuple[str, str, JSON]]:
    return ((method, path, route) for path, methods in schema["paths"].items() for method, route in methods.items())


def _fields(schema: JSON, types: JSON) -> list[str]:
    if "$ref" in schema:
        return [f"Takes {_type(schema)}."]
    needed = schema.get("required", ())
    rows = []
    for name, field in schema.get("properties", {}).items():
        default = "" if name in needed else _default(field)
        rows.append(f"| `{name}` | {_type(field)}{default} | {_cell(field.get('description', ''))} |")
    return ["| field | type | |", "| --- | --- | --- |", *rows]


def _default(field: JSON) -> str:
    return f" = `{field['default']}`" if field.get("default") is not None else ", may be left out"


def _type(field: JSON) -> str:
    """A type in a few words, with links to those that have a section."""
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if choices := field.get("anyOf") or field.get("oneOf"):
        return " or ".join(dict.fromkeys(_type(one) for one in choices))
    if "enum" in field or "const" in field:
        return " or ".join(f"`{value}`" for value in field.get("enum", [field.get("const")]))
    if field.get("type") == "array":
        inner = field.get("items") or (field.get("prefixItems") or [{}])[0]
        return f"list of {_type(inner)}" if inner else "list"
    return str(field.get("format") or field.get("type") or "any")


def _text(text: str | None) -> str:
    """Paragraphs, whose lines an editor broke."""
    return "\n\n".join(" ".join(part.split()) for part in re.split(r"\n\s*\n", text or "")).replace("<", "&lt;")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;").replace("[", "\\[")
