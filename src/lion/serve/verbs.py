"""``POST /v1/lion/...``: LION's verbs as they are, for one picture or many, in JSON or as a form with files; and
``explain``, which answers as they do and tells why."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine, Mapping, Sequence
from itertools import chain
from typing import Any, TypeVar

import fastapi
from fastapi import APIRouter
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import ValidationError
from starlette.datastructures import UploadFile
from starlette.types import Receive, Scope, Send

from lion.errors import LionError
from lion.pipeline import Look, Request, Result, Verb
from lion.pipeline.explain import explain
from lion.pipeline.request import decoding_presets
from lion.pipeline.spread import One, spread
from lion.serve.conversation import to_box
from lion.serve.errors import HttpError, error_object, first_mistake
from lion.serve.openapi import verb_route
from lion.serve.schema import AskBody, Body, CaptionBody, DescribeBody, ExplainBody, LocateBody, RankBody, TagBody
from lion.serve.serving import Serving, describe, serving_of, within

T = TypeVar("T")


class _Route(APIRoute):
    """A route that FastAPI describes and does not call: it has no parameters to find, and its errors are the app's."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **settings: Any) -> None:
        super().__init__(path, endpoint, **settings)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            response = await endpoint(fastapi.Request(scope, receive, send))
            await response(scope, receive, send)

        self.app = app


router = APIRouter(prefix="/v1/lion", route_class=_Route)

LONGEST_FIELD = 2**20
"""Bytes of a form's field that is no file."""

Fields = Callable[[Any], dict[str, Any]]
"""From a checked body to fields of a :class:`~lion.pipeline.Request`, lists where there are several."""

VERBS: Mapping[str, tuple[Verb, type[Body], Fields]] = {
    "caption": (Verb.CAPTION, CaptionBody, lambda body: {}),
    "ask": (Verb.ASK, AskBody, lambda body: {"text": body.question}),
    "locate": (Verb.LOCATE, LocateBody, lambda body: {"text": body.phrase, "if_there": body.if_there}),
    "describe": (Verb.DESCRIBE, DescribeBody, lambda body: {"box": _boxes(body)}),
    "tag": (Verb.TAG, TagBody, lambda body: {}),
    "rank": (Verb.ASK, RankBody, lambda body: {"text": body.question, "candidates": One(body.candidates)}),
    "explain": (Verb.CAPTION, ExplainBody, lambda body: _explained(body)),
}
"""By route: the verb, its body, and what the body says besides pictures and tags."""


def _explained(body: ExplainBody) -> dict[str, Any]:
    if body.box is not None:
        return {"verb": Verb.DESCRIBE, "box": to_box(body.box, body.space, "box")}
    verb = Verb.LOCATE if body.phrase is not None else Verb.CAPTION if body.question is None else Verb.ASK
    return {"verb": verb, "text": body.question if body.phrase is None else body.phrase}


def _boxes(body: DescribeBody) -> Any:
    several = [row for row in body.box if isinstance(row, list)]
    if several:
        return [to_box(row, body.space, "box") for row in several]
    return to_box([value for value in body.box if not isinstance(value, list)], body.space, "box")


def _route(name: str) -> Callable[[fastapi.Request], Any]:
    verb, kind, fields = VERBS[name]

    async def answer(request: fastapi.Request) -> JSONResponse:
        serving = serving_of(request)
        body, files = await _body(request, kind)
        adapters = serving.adapters_of(getattr(body, "model", None))
        if adapters and kind is ExplainBody:
            raise HttpError(400, "explain tells of the model without adapters", "invalid_value", "model")
        images: Sequence[str | bytes] = files or (body.image if isinstance(body.image, list) else [body.image])
        places = list(range(len(images))) if isinstance(body.image, list) else One(0)
        spread_rows = spread(image=places, **fields(body))
        rows = spread_rows if isinstance(spread_rows, list) else [spread_rows]
        for count, most, what in (
            (len(images), serving.settings.pictures, "pictures"),
            (len(rows), serving.settings.answers, "answers"),
        ):
            if count > most:
                raise HttpError(400, f"{count} {what}, and {most} a request is the limit: send several", "too_many")
        request.state.log |= {"task": name, "pictures": len(images), "answers": len(rows)}
        rows = [{"verb": verb, "tags": getattr(body, "tags", None), "adapters": adapters, **row} for row in rows]
        if named := getattr(body, "decoding", None):
            rows = [{**row, "decoding": decoding_presets(named)[row["verb"].task]} for row in rows]
        work = _answers(serving, images, rows, explained=kind is ExplainBody)
        answers = await within(request, serving.settings.deadline, work)
        return JSONResponse({"model": adapters or serving.name, "answers": answers})

    answer.__name__, answer.__doc__ = name, kind.__doc__
    return answer


for _name in VERBS:
    router.post(f"/{_name}", **verb_route(_name, VERBS[_name][1]))(_route(_name))


async def _answers(
    serving: Serving, images: Sequence[str | bytes], rows: list[dict[str, Any]], explained: bool
) -> list[dict[str, Any]]:
    """An answer for each row; of several the failed ones say why. Each picture is opened once.

    Raises: LionError where the only one fails.
    """

    async def of_row(row: dict[str, Any], look: Look) -> dict[str, Any]:
        try:
            request = Request(**{**row, "image": look})
            async with serving.worker.job(request) as job:
                result = await job.result()
            described = _described(result, serving)
            if explained:
                why = await serving.worker.call(lambda pipeline: explain(pipeline, request, result.answers[0]))
                described["explanation"] = why.to_json()
            return described
        except LionError as error:
            return _failed(error, len(rows))

    async def of_picture(image: str | bytes, own: list[dict[str, Any]]) -> list[dict[str, Any]]:
        try:
            async with serving.pictures.opened(image) as look:
                return await _together([of_row(row, look) for row in own])
        except LionError as error:
            return [_failed(error, len(rows))] * len(own)

    places = [[number for number, row in enumerate(rows) if row["image"] == place] for place in range(len(images))]
    work = [of_picture(image, [rows[number] for number in own]) for image, own in zip(images, places, strict=True)]
    found = dict(zip(chain(*places), chain(*await _together(work)), strict=True))
    return [found[number] for number in range(len(rows))]


async def _together(work: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """What coroutines give; one alone needs no task of its own."""
    return [await work[0]] if len(work) == 1 else await asyncio.gather(*work)


def _described(result: Result, serving: Serving) -> dict[str, Any]:
    serving.count(result)
    (answer,) = result.answers
    ranked = [{"text": one.text, "nll": one.nll, "tokens": one.tokens, "index": one.index} for one in answer.candidates]
    return describe(answer) | ({"candidates": ranked} if ranked else {})


def _failed(error: LionError, count: int) -> dict[str, Any]:
    """In the place of one of several answers. Raises: the error, where it is the only one."""
    if count == 1:
        raise error
    return {"ok": False, **error_object(error)}


async def _body(request: fastapi.Request, kind: type[Body]) -> tuple[Body, list[bytes]]:
    """The checked body, and the files of a form. Raises: HttpError if it is malformed."""
    files: list[bytes] = []
    try:
        if not request.headers.get("content-type", "").startswith("multipart/form-data"):
            return kind.model_validate_json(request.state.body), files  # which the guards have read
        async with request.form(max_files=1000, max_fields=10_000, max_part_size=LONGEST_FIELD) as form:
            values: dict[str, list[str]] = defaultdict(list)
            for name, value in form.multi_items():
                if isinstance(value, UploadFile):
                    files.append(await value.read())
                else:
                    values[name].append(value)
        if files and "image" in values:
            raise HttpError(400, "a form has files or URLs as its image, not both", "invalid_value", "image")
        fields = {name: _form_value(name, given) for name, given in values.items()}
        image: list[str] | str = [""] * len(files) if len(files) > 1 else ""
        return kind.model_validate({**({"image": image} if files else {}), **fields}), files
    except ValidationError as error:
        raise first_mistake(error.errors()) from error


def _form_value(name: str, given: list[str]) -> Any:
    """A form's field as JSON has it: ``box=0.1,0.2,0.5,0.8``, ``tags=a,b``; a list where a name comes several times."""
    if name == "box":
        boxes = [[_number(part) for part in text.split(",")] for text in given]
        return boxes if len(boxes) > 1 else boxes[0]
    if name == "tags":
        words = [word.strip() for text in given for word in text.split(",") if word.strip()]
        return "empty" if words == ["empty"] else words
    if name == "if_there" and len(given) == 1:
        return {"true": True, "false": False}.get(given[0], given[0])
    return given if len(given) > 1 or name == "candidates" else given[0]


def _number(text: str) -> float | str:
    """A number, or the text that is none, which the body's check refuses."""
    try:
        return float(text)
    except ValueError:
        return text
