"""``POST /v1/chat/completions``: OpenAI's chat completions over LION's verbs, whole or streamed."""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from typing import Annotated, Any
from uuid import uuid4

import fastapi
from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response, StreamingResponse

from lion.engine import Output
from lion.errors import LionError
from lion.pipeline import Answer, Request, Result
from lion.pipeline.read import NOT_THERE, Detokenizer
from lion.pipeline.request import DecodingPreset, Verb, decoding_presets
from lion.serve.conversation import question, read_messages
from lion.serve.errors import HttpError, error_object
from lion.serve.openapi import CHAT_EXAMPLES, CHAT_RESPONSES
from lion.serve.schema import ChatRequest
from lion.serve.serving import Serving, describe, serving_of, within
from lion.serve.structured import BoxSchema
from lion.serve.tokens import logprobs
from lion.serve.worker import Job

router = APIRouter()


@router.post("/v1/chat/completions", responses=CHAT_RESPONSES)
async def chat_completions(
    request: fastapi.Request, body: Annotated[ChatRequest, fastapi.Body(openapi_examples=CHAT_EXAMPLES)]
) -> Response:
    """Answer about a picture in the messages, as OpenAI's chat completions."""
    serving = serving_of(request)
    completion = _Completion(serving, body)
    request.state.log |= {"task": str(completion.request.verb), "user": body.user}
    until = time.monotonic() + serving.settings.deadline
    async with AsyncExitStack() as stack:
        job = await within(request, serving.settings.deadline, completion.begin(stack))
        first = await within(request, until - time.monotonic(), job.next())
        if body.stream:
            events = completion.stream(job, first, until, stack.pop_all())
            return StreamingResponse(events, media_type="text/event-stream")
        assert isinstance(first, Result)
        return JSONResponse(completion.whole(first))


class _Completion:
    """One chat completion: the request, and how the answers are worded.

    Raises: HttpError or LionError for a request that contradicts itself.
    """

    def __init__(self, serving: Serving, chat: ChatRequest) -> None:
        self.serving, self.chat = serving, chat
        self.tokenizer = serving.worker.pipeline.processor.tokenizer
        self.schema = self._schema()
        conversation = read_messages(chat.messages)
        wanted = question(conversation, chat.lion, self.schema is not None)
        self.picture, self.notes = conversation.picture, wanted.notes
        self.preset = self._decoding(wanted.verb)
        self.request = Request(
            b"",
            wanted.verb,
            wanted.text,
            wanted.box,
            wanted.history,
            chat.lion.tags,
            decoding=self.preset,
            if_there=chat.lion.if_there,
            adapters=serving.adapters_of(chat.model),
        )
        self.model = self.request.adapters or serving.name
        self.id, self.created = f"chatcmpl-{uuid4().hex}", int(time.time())

    async def begin(self, stack: AsyncExitStack) -> Job:
        """Open the picture and submit the request; the stack lets go of both."""
        look = await stack.enter_async_context(self.serving.pictures.opened(self.picture))
        request = replace(self.request, image=look)
        return await stack.enter_async_context(self.serving.worker.job(request, self.chat.stream))

    def whole(self, result: Result) -> dict[str, Any]:
        """The response. Raises: HttpError where boxes were wanted, and no answer has one."""
        self.serving.count(result)
        self._check_boxes(result)
        return {**self._head("chat.completion"), "choices": self._choices(result), "usage": self._usage(result)}

    async def stream(
        self, job: Job, event: list[Output] | Result, until: float, stack: AsyncExitStack
    ) -> AsyncIterator[str]:
        """The response as server-sent events."""
        detokenizers = [
            Detokenizer(self.tokenizer, self.preset.stop if self.preset else ()) for _ in range(self.chat.n)
        ]
        sent = [0] * len(detokenizers)
        async with stack:
            for index in range(len(detokenizers)):
                yield self._chunk(index, {"role": "assistant", "content": ""})
            try:
                while not isinstance(event, Result):
                    for index, output in enumerate([] if self.schema else event):
                        if piece := detokenizers[index].add(output.ids):
                            yield self._chunk(index, {"content": piece}, self._logprobs(output, sent[index]))
                            sent[index] = len(output.ids)
                    event = await asyncio.wait_for(job.next(), until - time.monotonic())
                self.serving.count(event)
                self._check_boxes(event)
                for index, choice in enumerate(self._choices(event)):
                    content = choice["message"]["content"]
                    rest = detokenizers[index].end(content) if self.schema is None else content
                    likelihoods = self._logprobs(event.outputs[index], sent[index]) if event.outputs else None
                    if rest or likelihoods:
                        yield self._chunk(index, {"content": rest or ""}, likelihoods)
                    last = {"refusal": refusal} if (refusal := choice["message"]["refusal"]) else {}
                    yield self._chunk(index, last, None, choice["finish_reason"], choice["lion"])
                if self.chat.stream_options and self.chat.stream_options.include_usage:
                    usage = {"choices": [], "usage": self._usage(event)}
                    yield _sse({**self._head("chat.completion.chunk"), **usage})
            except TimeoutError:
                yield _sse(error_object(HttpError(504, "no answer within the deadline; try again later", "deadline")))
            except (HttpError, LionError) as error:
                yield _sse(error_object(error))
            yield "data: [DONE]\n\n"

    def _schema(self) -> BoxSchema | None:
        wanted = self.chat.response_format
        if wanted is None or wanted.json_schema is None:
            return None
        try:
            return BoxSchema(wanted.json_schema.schema_, self.chat.lion.coordinates)
        except LionError as error:
            raise HttpError(400, str(error), "invalid_value", "response_format.json_schema.schema") from error

    def _decoding(self, verb: Verb) -> DecodingPreset | None:
        """The pipeline's preset, or the one that is named, with the client's settings."""
        chat, limit = self.chat, self.serving.settings.max_tokens
        if verb.task is None:
            if chat.n > 1 or chat.logprobs:
                raise HttpError(400, "tags come once, and without logprobs", "invalid_value", "n")
            return None
        presets = decoding_presets(chat.lion.decoding) if chat.lion.decoding else self.serving.worker.pipeline.decoding
        preset = presets[verb.task]
        most = chat.max_completion_tokens or chat.max_tokens or preset.max_new_tokens
        preset = replace(preset, max_new_tokens=min(most, limit), top_logprobs=chat.top_logprobs)
        temperature = 1.0 if chat.temperature is None and chat.top_p not in (None, 1.0) else chat.temperature
        if temperature is not None:
            seed = secrets.randbits(32) if chat.seed is None else chat.seed
            preset = replace(preset, num_beams=1, temperature=temperature, top_p=chat.top_p or 1.0, seed=seed)
        elif chat.n > preset.num_beams:
            raise HttpError(400, f"n is at most {preset.num_beams}, the beams, without a temperature", None, "n")
        if chat.stop:
            preset = replace(preset, stop=(chat.stop,) if isinstance(chat.stop, str) else tuple(chat.stop))
        wanted = chat.response_format and chat.response_format.json_schema
        return replace(preset, answers=chat.n, box_only=preset.box_only or bool(wanted and wanted.strict))

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}

    def _choices(self, result: Result) -> list[dict[str, Any]]:
        answers = result.answers if result.outputs else result.answers * self.chat.n  # "not there" was said once
        return [self._choice(index, answer, result) for index, answer in enumerate(answers)]

    def _choice(self, index: int, answer: Answer, result: Result) -> dict[str, Any]:
        content: str | None = answer.text
        refusal = None
        if self.schema:
            content, refusal = self._boxes(answer)
        output = result.outputs[index] if result.outputs else None
        return {
            "index": index,
            "message": {"role": "assistant", "content": content, "refusal": refusal},
            "logprobs": self._logprobs(output, 0) if output else None,
            "finish_reason": self._finish_reason(output),
            "lion": describe(answer, self.notes),
        }

    def _boxes(self, answer: Answer) -> tuple[str | None, str | None]:
        """Boxes as JSON, or why there are none; of what is not there an empty list, where the schema takes it."""
        assert self.schema
        if answer.ok:
            return self.schema.write(answer.boxes), None
        if absent(answer):
            with suppress(LionError):
                return self.schema.write([]), None
        return None, answer.reason

    def _check_boxes(self, result: Result) -> None:
        if self.schema and not any(answer.ok or absent(answer) for answer in result.answers):
            raise HttpError(422, f"the answer holds no box: {result.answers[0].reason}", "unreadable_box")

    def _finish_reason(self, output: Output | None) -> str:
        limit = self.preset.max_new_tokens if self.preset else 0
        end = self.tokenizer.eos_token_id
        return "length" if output and len(output.ids) >= limit and output.ids[-1] != end else "stop"

    def _logprobs(self, output: Output, start: int) -> dict[str, Any] | None:
        """Of the tokens from a place on, where the client wants them."""
        return logprobs(output, self.tokenizer, start) if self.chat.logprobs else None

    def _usage(self, result: Result) -> dict[str, int]:
        written = sum(len(output.ids) for output in result.outputs)
        read = result.prompt_tokens
        return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}

    def _chunk(
        self,
        index: int,
        delta: dict[str, Any],
        likelihoods: dict[str, Any] | None = None,
        finish: str | None = None,
        lion: dict[str, Any] | None = None,
    ) -> str:
        choice = {"index": index, "delta": delta, "logprobs": likelihoods, "finish_reason": finish}
        return _sse({**self._head("chat.completion.chunk"), "choices": [choice | ({"lion": lion} if lion else {})]})


def absent(answer: Answer) -> bool:
    """Whether the model found that the phrase names nothing in the picture."""
    return not answer.ok and answer.reason == NOT_THERE


def _sse(data: dict[str, Any]) -> str:
    return f"data: {json.dumps(data)}\n\n"
