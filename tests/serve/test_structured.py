"""Clients' schemas for boxes: pydantic's dialect, Qwen's and OpenAI's habits, and what no box can fill."""

import json
from dataclasses import replace

import pytest
from pydantic import BaseModel, Field

from lion.boxes import Box, LabelledBox
from lion.errors import LionError
from lion.serve.structured import BoxSchema

NUMBERS = {"type": "array", "items": {"type": "number"}}
BOX = LabelledBox.of("the dog", Box(0.1, 0.25, 0.5, 0.75), (200, 100))
OTHER = LabelledBox.of("the cat", Box(0.0, 0.0, 1.0, 0.5), (200, 100))


def write(schema, *boxes, coordinates=None):
    return json.loads(BoxSchema(schema, coordinates).write(boxes or [BOX]))


class Corners(BaseModel):
    x1: float
    y1: float
    x2: float
    y2: float


class Found(BaseModel):
    label: str
    box: Corners | None = None
    bbox: tuple[int, int, int, int]
    colour: str | None = None


class Several(BaseModel):
    objects: list[Found] = Field(min_length=1)


def test_models_of_pydantic_are_filled():
    found = Several.model_validate(write(Several.model_json_schema(), BOX, OTHER))
    assert [one.label for one in found.objects] == ["the dog", "the cat"]
    assert found.objects[0].bbox == (20, 25, 100, 75) and found.objects[0].box == Corners(
        x1=0.1, y1=0.25, x2=0.5, y2=0.75
    )


@pytest.mark.parametrize(
    ("schema", "wanted"),
    [
        ({"type": "array", "items": {"type": "number"}}, [0.1, 0.25, 0.5, 0.75]),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 4, "maxItems": 4}, [20, 25, 100, 75]),
        ({"type": "array", "items": {"type": "array", "items": {"type": "number"}}}, [[0.1, 0.25, 0.5, 0.75]]),
        (
            {"properties": {n: {"type": "integer"} for n in ("x", "y", "width", "height")}},
            {"x": 20, "y": 25, "width": 80, "height": 50},
        ),
        (
            {
                "properties": {n: {"type": "number"} for n in ("left", "top", "right", "bottom")},
                "type": ["object", "null"],
            },
            {"left": 0.1, "top": 0.25, "right": 0.5, "bottom": 0.75},
        ),
        (
            {"properties": {"kind": {"const": "box"}, "bbox_2d": {"type": "array", "items": {"type": "number"}}}},
            {"kind": "box", "bbox_2d": [0.1, 0.25, 0.5, 0.75]},
        ),
    ],
)
def test_shapes(schema, wanted):
    assert write(schema) == wanted


@pytest.mark.parametrize("name", ["score", "confidence"])
def test_scores_are_filled_where_they_are_wanted(name):
    kind = {"properties": {"box": NUMBERS, name: {"type": "number"}}, "required": [name]}
    assert write(kind, replace(BOX, score=0.123456))[name] == 0.1235
    with pytest.raises(LionError, match="no score"):
        write(kind)
    with pytest.raises(LionError, match=f"requires '{name}'"):
        write({"properties": {"box": NUMBERS, name: {"type": "string"}}, "required": [name]})


@pytest.mark.parametrize(
    ("schema", "wanted"),
    [
        ({"type": "array", "items": NUMBERS}, []),
        ({"properties": {"found": {"type": "array", "items": NUMBERS}}}, {"found": []}),
        ({"properties": {"box": {"anyOf": [NUMBERS, {"type": "null"}]}}}, {"box": None}),
        ({"properties": {"box": {**NUMBERS, "type": ["array", "null"]}}}, {"box": None}),
        (NUMBERS, None),
        ({"properties": {"box": NUMBERS}}, None),
        ({"properties": {"label": {"type": "string"}, "found": {"type": "array", "items": NUMBERS}}}, None),
        ({"type": "array", "items": NUMBERS, "minItems": 1}, None),
    ],
)
def test_no_box_is_an_empty_list_or_null_where_the_schema_takes_that(schema, wanted):
    if wanted is None:
        with pytest.raises(LionError, match="the schema"):
            BoxSchema(schema).write([])
    else:
        assert json.loads(BoxSchema(schema).write([])) == wanted


def test_fewer_boxes_than_the_schema_wants_are_no_answer():
    with pytest.raises(LionError, match="wants 2 boxes or more, and there are 1"):
        write({"type": "array", "items": NUMBERS, "minItems": 2})


def test_coordinates_may_be_named():
    numbers = {"type": "array", "items": {"type": "number"}}
    assert write(numbers, coordinates="pixel") == [20, 25, 100, 75]
    with pytest.raises(LionError, match="wants integers"):
        BoxSchema({"type": "array", "items": {"type": "integer"}}, "unit")


@pytest.mark.parametrize(
    ("schema", "word"),
    [
        ({}, "no place for a box"),
        ({"type": "string"}, "no place for a box"),
        ({"type": "object", "properties": {"label": {"type": "string"}}}, "no place for a box"),
        ({"type": "array", "items": {"type": "number"}, "minItems": 5}, "no list of four"),
        ({"type": "array", "prefixItems": [{"type": "number"}] * 3}, "no list of four"),
        ({"properties": {"a": {"type": "number"}}, "required": ["a"]}, "requires 'a'"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}, "in a circle"),
        ({"$ref": "https://example.com/schema"}, "refers to"),
        ({"$ref": "#/$defs/none"}, "does not hold"),
        ({"properties": [1]}, "'properties'"),
        ({"type": "object", "properties": {"a": 5}}, "is no object"),
        ({"type": "array", "items": {"type": "array", "items": 5}}, "is no"),
        ({"type": {}}, "no place"),
        ({"required": 5, "properties": {"b": {"type": "array", "items": {"type": "number"}}}}, "malformed"),
        ({"type": "array", "items": {"type": "number"}, "minItems": "4"}, "malformed"),
    ],
)
def test_what_no_box_fills_is_refused(schema, word):
    with pytest.raises(LionError, match=word):
        BoxSchema(schema)


def test_bounds_of_the_schema_are_kept():
    with pytest.raises(LionError, match="outside the schema's bounds"):
        write({"type": "array", "items": {"type": "integer", "maximum": 50}})
