"""YAML as recipes are written in it: a value is text until the schema says what it is, and no key stands twice.

YAML 1.1 would make 8 of 010, 90 of 1:30 and true of yes, and leave 1e-4 as text. Here 010 is 10 where a number belongs,
a name where a path does, and refused where neither.
"""

from collections.abc import Hashable
from typing import Any

import yaml

from lion.errors import LionError


class _Loader(yaml.SafeLoader):
    """Mappings, lists and text; plain `null`, `~` and nothing are None, and `<<` merges."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        lines: dict[str, int] = {}
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            mark = key.start_mark
            if key.value in lines:
                first = lines[key.value]
                raise LionError(f"{mark.name}, line {mark.line + 1}: {key.value} stands in line {first} too; keep one")
            lines[key.value] = mark.line + 1
        return {str(key): value for key, value in super().construct_mapping(node, deep).items()}


for _kind in ("bool", "float", "int", "timestamp"):  # said outright, as in `!!int 010`, it would be 8 again
    _Loader.add_constructor(f"tag:yaml.org,2002:{_kind}", lambda _, node: str(node.value))
_Loader.yaml_implicit_resolvers = {
    first: [rule for rule in rules if rule[0].endswith((":null", ":merge"))]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_yaml(text: str, name: str) -> Any:
    """The mappings, lists, texts and Nones of a YAML document, which errors call `name`.

    Raises: LionError if a key stands twice in a mapping, or it is no YAML.
    """
    try:
        loader = _Loader(text)
        loader.name = name
        return loader.get_single_data()
    except LionError:
        raise
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # `!!binary 1`, or lists nested a thousand deep
        raise LionError(f"{name} is not YAML: {' '.join(str(error).split())}") from error
