"""Errors as OpenAI's clients expect them, ``{"error": {"message", "type", "param", "code"}}``: one line, no traces."""

import json
import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from lion.errors import LionError

LOG = logging.getLogger("lion.serve")


def log_line(entry: Mapping[str, Any]) -> None:
    """An entry of the log, as a line of JSON; ``LOG.info`` would look for the caller's name at every request."""
    if LOG.isEnabledFor(logging.INFO):
        LOG.handle(LOG.makeRecord(LOG.name, logging.INFO, "", 0, json.dumps(entry), (), None))


class HttpError(HTTPException):
    """An answer that is an error.

    Args:
        status: of HTTP.
        message: one line that names the fix.
        code: a word for programs.
        param: the field at fault.
        headers: besides the usual ones.
    """

    def __init__(
        self,
        status: int,
        message: str,
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, message, dict(headers or {}))
        self.code, self.param = code, param


def error_object(error: Exception) -> dict[str, Any]:
    """The body that tells of an error; of one that is not the client's, nothing but that it happened."""
    status, code, param = 500, None, None
    message = "the server failed on this request; its log tells why under the id in x-request-id"
    if isinstance(error, HTTPException):
        status, message = error.status_code, error.detail
        code, param = getattr(error, "code", None), getattr(error, "param", None)
    elif isinstance(error, LionError):
        status, message = 400, str(error)
    kind = "server_error" if status >= 500 else "rate_limit_error" if status == 429 else "invalid_request_error"
    return {"error": {"message": " ".join(message.split()), "type": kind, "param": param, "code": code}}


def error_response(error: Exception) -> JSONResponse:
    """The response to a request that failed."""
    status = error.status_code if isinstance(error, HTTPException) else 400 if isinstance(error, LionError) else 500
    return JSONResponse(error_object(error), status, getattr(error, "headers", None))


def add_handlers(app: FastAPI) -> None:
    """Let an app answer with these errors."""

    async def known(request: Request, error: Exception) -> JSONResponse:
        return error_response(error)

    async def malformed(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        return error_response(first_mistake(error.errors()))

    app.add_exception_handler(HTTPException, known)
    app.add_exception_handler(LionError, known)
    app.add_exception_handler(RequestValidationError, malformed)


def first_mistake(mistakes: Any) -> HttpError:
    """What pydantic found wrong with a body, as an error that names the field.

    Of the alternatives of a union, each of which reports its own mistake, the deepest one counts.
    """
    mistake = max(mistakes, key=lambda one: len(one["loc"]))
    names = [str(part) for part in mistake["loc"] if part != "body"]
    # pydantic names a union's alternative, such as `list[...]` or `str`, between the fields
    path = [name for name in names if name.isdigit() or (name.isidentifier() and name not in _ALTERNATIVES)]
    field = ".".join(path)
    if mistake["type"] == "extra_forbidden":
        return HttpError(400, f"the field '{field}' is not supported: leave it out", "unsupported_field", field)
    if not path and mistake["type"] == "value_error":
        return HttpError(400, mistake["msg"].removeprefix("Value error, "), "invalid_value")
    if not path or mistake["type"] == "json_invalid":
        reason = mistake.get("ctx", {}).get("error", mistake["msg"])
        return HttpError(400, f"the body is not the JSON object that this route takes: {reason}", "invalid_body")
    message = mistake["msg"].removeprefix("Value error, ")
    return HttpError(400, f"{field}: {message[:1].lower()}{message[1:]}", "invalid_value", field)


_ALTERNATIVES = {"str", "bool", "int", "float"}
