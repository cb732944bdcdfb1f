"""Boxes as the JSON that a client's schema describes. LION writes ``[x1,y1,x2,y2]``; the JSON is put together here.

A schema is read once into a function from boxes to a value. What can be filled: coordinates (four numbers in a list, or
properties such as ``x1``), labels, lists of these and objects around them, in pydantic's dialect, too (``$ref``,
``anyOf`` with null, ``prefixItems``).
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lion.boxes import LabelledBox
from lion.errors import LionError
from lion.pipeline.request import shown

Fill = Callable[[Sequence[LabelledBox]], Any]
"""From boxes, the first of which is meant where one is wanted, to a JSON value."""

SCORES = frozenset({"confidence", "score"})
"""Properties that hold the overlap that the model expects the box to have with the true one."""
LABELS = frozenset(
    {"category", "class", "class_name", "description", "expression", "label", "name", "object", "phrase"}
)
"""Properties that hold the words a box belongs to."""
CORNERS = (
    ("x1", "y1", "x2", "y2"),
    ("xmin", "ymin", "xmax", "ymax"),
    ("x_min", "y_min", "x_max", "y_max"),
    ("left", "top", "right", "bottom"),
)
SIZES = (("x", "y", "width", "height"), ("x", "y", "w", "h"))
DEEPEST = 20


class BoxSchema:
    """What a client's JSON schema wants of boxes.

    Args:
        schema: of the answer.
        coordinates: ``unit`` or ``pixel``; None for pixels where the schema says integer.

    Raises: LionError for a schema without a place for a box, or with a required property that boxes cannot fill.
    """

    def __init__(self, schema: Mapping[str, Any], coordinates: str | None = None) -> None:
        self.root, self.coordinates = schema, coordinates
        self._has_box = False
        try:
            fill = self._read(schema, "answer", 0)
        except (TypeError, AttributeError) as error:  # a list for a number, a number for an object
            raise LionError(f"the schema is malformed: {error}") from error
        if fill is None or not self._has_box:
            raise LionError(
                "the schema has no place for a box: LION fills lists of four numbers, x1, y1, x2, y2 (or left, top, "
                "right, bottom; x, y, width, height) and labels"
            )
        self._fill = fill

    def write(self, boxes: Sequence[LabelledBox]) -> str:
        """The JSON text for boxes; for none of them an empty list or null, where the schema takes that.

        Raises: LionError where a number lies outside the schema's bounds, a box has no score, or there are too few.
        """
        return json.dumps(self._fill(boxes))

    def _read(self, schema: Any, name: str, depth: int) -> Fill | None:
        """How a value is filled; None for what boxes cannot fill."""
        if not isinstance(schema, Mapping):
            raise LionError(f"'{name}' in the schema is no object: {shown(schema)}")
        if depth > DEEPEST:
            raise LionError(f"the schema is nested deeper than {DEEPEST} levels, or in a circle")
        if "$ref" in schema:
            return self._read(self._referred(schema["$ref"]), name, depth + 1)
        for word in ("anyOf", "oneOf", "allOf"):
            if isinstance(schema.get(word), list):
                read = (self._read(one, name, depth + 1) for one in schema[word])
                found = next((fill for fill in read if fill), None)
                return _or_null(found) if {"type": "null"} in schema[word] else found
        if "const" in schema:
            return lambda boxes, value=schema["const"]: value  # type: ignore[misc]
        kinds = schema.get("type")
        if isinstance(kinds, list):
            read = (self._read({**schema, "type": kind}, name, depth + 1) for kind in kinds if kind != "null")
            found = next((fill for fill in read if fill), None)
            return _or_null(found) if "null" in kinds else found
        return self._of_kind(kinds, schema, name, depth)

    def _of_kind(self, kind: Any, schema: Mapping[str, Any], name: str, depth: int) -> Fill | None:
        if kind == "object" or (kind is None and "properties" in schema):
            return self._object(schema, depth)
        if kind == "array":
            return self._array(schema, name, depth)
        if kind == "string" and name.lower() in LABELS:
            return lambda boxes: _first(boxes).label
        if kind == "number" and name.lower() in SCORES:
            return _score
        return None

    def _object(self, schema: Mapping[str, Any], depth: int) -> Fill | None:
        properties = schema.get("properties") or {}
        if not isinstance(properties, Mapping):
            raise LionError("'properties' in the schema is no object")
        fills: dict[str, Fill] = {}
        for names in (*CORNERS, *SIZES):
            if set(names) <= set(properties):
                for place, name in enumerate(names):
                    fills[name] = self._number(properties[name], place, names in SIZES)
                break
        for name, one in properties.items():
            if name not in fills and (fill := self._read(one, name, depth + 1)):
                fills[name] = fill
        if missing := sorted(set(schema.get("required") or ()) - set(fills)):
            raise LionError(f"the schema requires '{missing[0]}', which a box does not tell: make it optional")
        if not fills:
            return None
        return lambda boxes: {name: fill(boxes) for name, fill in fills.items()}

    def _array(self, schema: Mapping[str, Any], name: str, depth: int) -> Fill | None:
        places = schema.get("prefixItems") or [schema.get("items") or {}] * 4
        kinds = [place.get("type") if isinstance(place, Mapping) else None for place in places]
        if set(kinds) <= {"number", "integer"}:
            if len(places) != 4 or schema.get("minItems", 4) > 4 or schema.get("maxItems", 4) < 4:
                raise LionError(f"'{name}' in the schema is no list of four numbers, so no box")
            numbers = [self._number(place, index, False) for index, place in enumerate(places)]
            return lambda boxes: [number(boxes) for number in numbers]
        each, least = self._read(schema.get("items") or {}, name, depth + 1), int(schema.get("minItems", 0))
        if each is None:
            return None

        def fill(boxes: Sequence[LabelledBox]) -> list[Any]:
            if len(boxes) < least:
                raise LionError(f"'{name}' in the schema wants {least} boxes or more, and there are {len(boxes)}")
            return [each([box]) for box in boxes]

        return fill

    def _number(self, schema: Any, place: int, is_size: bool) -> Fill:
        whole = schema.get("type") == "integer"
        if whole and self.coordinates == "unit":
            raise LionError("the schema wants integers: ask for lion.coordinates 'pixel', or for numbers")
        self._has_box = True
        is_pixel = self.coordinates == "pixel" or whole
        low, high = schema.get("minimum", float("-inf")), schema.get("maximum", float("inf"))

        def fill(boxes: Sequence[LabelledBox]) -> float:
            box = _first(boxes).pixel if is_pixel else _first(boxes).unit
            value = (box.xywh() if is_size else box.xyxy())[place]
            value = round(value) if whole else round(value, 1 if is_pixel else 4)
            if not low <= value <= high:
                raise LionError(f"the coordinate {value} lies outside the schema's bounds, {low} to {high}")
            return value

        return fill

    def _referred(self, pointer: Any) -> Any:
        if not isinstance(pointer, str) or not pointer.startswith("#"):
            raise LionError(f"the schema refers to {shown(pointer)}; only references inside it are read (#/$defs/...)")
        found: Any = self.root
        for part in pointer.removeprefix("#").split("/")[1:]:
            found = found.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
        if found is None:
            raise LionError(f"the schema refers to {shown(pointer)}, which it does not hold")
        return found


def _or_null(fill: Fill | None) -> Fill | None:
    return fill and (lambda boxes: fill(boxes) if boxes else None)


def _first(boxes: Sequence[LabelledBox]) -> LabelledBox:
    if not boxes:
        raise LionError("the schema has no place for an answer without a box")
    return boxes[0]


def _score(boxes: Sequence[LabelledBox]) -> float:
    score = _first(boxes).score
    if score is None:
        raise LionError("the boxes of this model have no score: leave it out of the schema")
    return round(score, 4)
