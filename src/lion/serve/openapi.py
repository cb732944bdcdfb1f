"""What OpenAPI says of the routes beyond the types: examples that run, forms, and the shape of answers and errors."""

from typing import Annotated, Any, Literal

from fastapi.openapi.models import Example
from pydantic import BaseModel, Field

from lion.serve.schema import Body

PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAFUlE"
    "QVR42mO8IyLCgA0wMeAAg1MCANDoARQXWCREAAAAAElFTkSuQmCC"
)
"""A red square of 8 x 8 pixels."""


def _example(text: str, **fields: Any) -> Example:
    content = [{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": PIXEL}}]
    return {"value": {"messages": [{"role": "user", "content": content}], **fields}}


CHAT_EXAMPLES: dict[str, Example] = {
    "question": _example("what color is it?"),
    "caption, drawn three times": _example("Describe this picture.", n=3, temperature=1.0, seed=1, logprobs=True),
    "box": _example(
        "the red square",
        response_format={
            "type": "json_schema",
            "json_schema": {
                "name": "box",
                "strict": True,
                "schema": {
                    "type": "object",
                    "properties": {
                        "label": {"type": "string"},
                        "bbox_2d": {"type": "array", "items": {"type": "integer"}, "minItems": 4, "maxItems": 4},
                        "score": {"type": "number"},
                    },
                    "required": ["label", "bbox_2d"],
                },
            },
        },
    ),
}
VERB_EXAMPLES: dict[str, dict[str, Any]] = {
    "caption": {},
    "ask": {"question": ["what color is it?", "is it a car?"]},
    "locate": {"phrase": "the red square", "if_there": True},
    "describe": {"box": [0.1, 0.1, 0.9, 0.9]},
    "tag": {},
    "rank": {"question": "what color is it?", "candidates": ["red", "blue"]},
    "explain": {"phrase": "the red square"},
}


Probability = Annotated[float, Field(ge=0, le=1)]
Corners = Annotated[list[float], Field(min_length=4, max_length=4, description="x1, y1, x2, y2.")]


class Error(BaseModel):
    """What went wrong."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorBody(BaseModel):
    """The body of every error."""

    error: Error


class BoxObject(BaseModel):
    """A box in both spaces."""

    label: str
    unit: Corners
    pixel: Corners
    score: Probability | None = Field(description="The overlap (IoU) that the model expects with the true box.")


class AnswerObject(BaseModel):
    """An answer, with the keys of ``lion ask --json``."""

    ok: bool
    task: str
    text: str
    tags: list[str]
    boxes: list[BoxObject]
    reason: str | None = Field(description="Why ok is false.")
    question: str | None
    size: Annotated[list[int], Field(min_length=2, max_length=2)] | None
    note: str | None
    confidence: Probability | None = Field(description="How sure the model is of the text.")
    presence: Probability | None = Field(description="With if_there: that the phrase names something in the picture.")
    candidates: list[dict[str, Any]] = Field([], description="For rank: text, nll, tokens, index; the likeliest first.")
    explanation: dict[str, Any] | None = Field(None, description="For explain: where it looked.")


class Failed(ErrorBody):
    """In the place of an answer: one of several that failed."""

    ok: Literal[False]


class Answers(BaseModel):
    """An answer for each picture and text, in their order."""

    model: str
    answers: list[AnswerObject | Failed]


class Choice(BaseModel):
    """OpenAI's, and LION's own."""

    index: int
    message: dict[str, str | None] = Field(description="role, content, and refusal where boxes were wanted.")
    logprobs: dict[str, Any] | None
    finish_reason: Literal["stop", "length"]
    lion: AnswerObject


class ChatCompletion(BaseModel):
    """OpenAI's object; each choice has LION's own under ``lion``."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[Choice]
    usage: dict[str, int]


ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorBody, "description": description}
    for status, description in {
        400: "A mistake in the request, which the message names.",
        401: "No API key, or a wrong one.",
        404: "Another model.",
        408: "The body came too slowly.",
        413: "The body is too large.",
        422: "Boxes were wanted, and the answer holds none.",
        429: "Too many requests; see Retry-After.",
        500: "An error of the server's.",
        504: "No answer within the deadline.",
    }.items()
}
CHAT_RESPONSES: dict[int | str, dict[str, Any]] = {
    **ERRORS,
    200: {
        "model": ChatCompletion,
        "description": "The completion, or with stream its chunks.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    },
}


def verb_route(name: str, body: type[Body]) -> dict[str, Any]:
    """Keywords of a verb's route. The body is read by hand, since it is JSON or a form."""
    schema = body.model_json_schema()
    form = {**schema["properties"], "image": {"type": "array", "items": {"type": "string", "format": "binary"}}}
    example = {"image": PIXEL, **VERB_EXAMPLES[name]}
    return {
        "response_model": None,  # the rows are made as they are to be sent
        "responses": {**ERRORS, 200: {"model": Answers, "description": "An answer for each picture and text."}},
        "openapi_extra": {
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {"schema": schema, "example": example},
                    "multipart/form-data": {"schema": {**schema, "properties": form}},
                },
            }
        },
    }
