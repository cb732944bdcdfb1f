"""LION as a Label Studio ML backend: routes that ``lion serve --routes lion.plugins.label_studio`` adds.

A labelling configuration holds the questions: RectangleLabels are located, Choices with a ``question`` ranked, TextArea
answers its ``question`` or holds a caption. The attributes are read from each request, nothing is kept between them.
"""

import asyncio
from typing import Any, TypeVar
from uuid import uuid4

import fastapi
from pydantic import BaseModel, Field, ValidationError

from lion.errors import LionError
from lion.pipeline import Answer, Request, Verb
from lion.plugins.label_studio_config import Control, picture_source, read_config
from lion.plugins.phrases import shown_name
from lion.serve.errors import HttpError, first_mistake
from lion.serve.serving import Serving, serving_of, within

T = TypeVar("T", bound=BaseModel)
router = fastapi.APIRouter(tags=["Label Studio"])


class Setup(BaseModel):
    """What Label Studio sends when it connects."""

    labelling: str = Field("", alias="schema", description="The labelling configuration, XML.")


class Task(BaseModel):
    """A task, of which the pictures are read."""

    id: int | str | None = None
    data: dict[str, Any] = {}


class Tasks(BaseModel):
    """What Label Studio asks about."""

    tasks: list[Task] = Field(min_length=1)
    label_config: str = Field(description="The labelling configuration, XML.")


@router.get("/health")
async def health() -> dict[str, str]:
    """Label Studio asks this before anything else."""
    return {"status": "UP", "model_class": "LION"}


@router.post("/setup")
async def setup(request: fastapi.Request) -> dict[str, Any]:
    """Which controls of the labelling configuration will be filled; 400 if there are none."""
    controls = read_config((await _body(request, Setup)).labelling)
    return {"model_version": _version(serving_of(request)), "fills": [control.name for control in controls]}


@router.post("/webhook")
async def webhook() -> dict[str, str]:
    """Annotations are not learnt from here; ``lion train`` does that, with a file of them."""
    return {"status": "ignored", "reason": "lion serve does not train; export the annotations and run lion train"}


@router.post("/predict")
async def predict(request: fastapi.Request) -> dict[str, Any]:
    """A prediction for each task; of several the failed ones have an ``error`` in place of a ``result``."""
    body = await _body(request, Tasks)
    serving, controls = serving_of(request), read_config(body.label_config)
    for count, most, what in (
        (len(body.tasks), serving.settings.pictures, "tasks, a picture each: start the server with --max-pictures"),
        (sum(len(one.questions) for one in controls), serving.settings.answers, "labels: leave some out"),
    ):
        if count > most:
            raise HttpError(400, f"{count} where {most} are the limit of {what}", "too_many")
    request.state.log |= {"task": "predict", "pictures": len(body.tasks)}

    async def each(task: Task) -> dict[str, Any]:
        try:
            return await _prediction(serving, controls, task)
        except LionError as error:
            if len(body.tasks) == 1:
                raise
            return {"error": str(error)}

    async def all_of_them() -> list[dict[str, Any]]:
        return await asyncio.gather(*map(each, body.tasks))

    return {"results": await within(request, serving.settings.deadline, all_of_them())}


async def _body(request: fastapi.Request, kind: type[T]) -> T:
    """The checked body. Raises: HttpError if it is malformed, half characters included."""
    try:
        return kind.model_validate_json(await request.body())
    except ValidationError as error:
        raise first_mistake(error.errors()) from error


def _version(serving: Serving) -> str:
    return shown_name(serving.worker.pipeline)


async def _prediction(serving: Serving, controls: list[Control], task: Task) -> dict[str, Any]:
    """What LION says about a task's pictures. Raises: LionError if one cannot be opened."""
    regions: list[dict[str, Any]] = []
    for variable in dict.fromkeys(control.variable for control in controls):
        source = await asyncio.to_thread(picture_source, task.data, variable, serving.settings.body_mb)
        own = [control for control in controls if control.variable == variable]
        async with serving.pictures.opened(source) as look:

            async def answered(fields: dict[str, Any], look: Any = look) -> Answer:
                async with serving.worker.job(Request(look, **fields)) as job:
                    result = await job.result()
                serving.count(result)
                return result.answers[0]

            asked = [(control, label) for control in own for label in control.questions]
            answers = await asyncio.gather(*(answered(control.questions[label]) for control, label in asked))
            for (control, label), answer in zip(asked, answers, strict=True):
                regions += _regions(control, label, answer)
    scores = [region["score"] for region in regions if region["score"] is not None]
    return {
        "model_version": _version(serving),
        "score": sum(scores) / len(scores) if scores else None,
        "result": regions,
    }


def _regions(control: Control, label: str, answer: Answer) -> list[dict[str, Any]]:
    """An answer in Label Studio's form; boxes are in percent of the picture."""
    if not answer.ok or answer.size is None:
        return []
    values: list[tuple[dict[str, Any], float | None]]
    size: dict[str, Any] = {}
    if answer.task is Verb.LOCATE:
        size = {"original_width": answer.size[0], "original_height": answer.size[1], "image_rotation": 0}
        boxes = [(box, dict(zip(("x", "y", "width", "height"), box.unit.xywh(), strict=True))) for box in answer.boxes]
        values = [
            ({name: 100 * value for name, value in sides.items()} | {"rotation": 0, control.kind: [label]}, box.score)
            for box, sides in boxes
            if (box.score or 0.0) >= control.threshold
        ]
    elif answer.candidates:
        values = [({"choices": [control.choices[answer.text]]}, answer.confidence)]
    else:
        values = [({"text": [answer.text]}, answer.confidence)]
    named = {"from_name": control.name, "to_name": control.to_name, "type": control.kind, **size}
    return [{"id": uuid4().hex[:10], **named, "value": value, "score": score} for value, score in values]
