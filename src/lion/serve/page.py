"""The page at ``/``: the files of ``web/``, and drawn scenes to try it with. It asks the routes that everybody asks, so
that the worker, the limits and the keys are theirs."""

import asyncio
import base64
import io
from functools import lru_cache
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel

from lion.serve.errors import HttpError
from lion.serve.serving import serving_of, within
from lion.world.draw import render
from lion.world.scene import scene

router = APIRouter(include_in_schema=False)

FOLDER = Path(__file__).parent / "web"
KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
FILES = {path.name: path for path in sorted(FOLDER.iterdir()) if path.suffix in KINDS}
PATHS = {"/", *(f"/page/{name}" for name in FILES)}
"""Need no key: they hold nothing but the page, which asks for one."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The browser loads nothing from elsewhere, runs nothing but these files, and lets no other page frame this one."""
SHEETS, SCENES, SIDE = 1000, 8, 256
"""Sheets of the gallery, scenes on each, and their side in pixels."""


def _file(name: str) -> Response:
    path = FILES[name]
    headers = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"}
    return Response(path.read_bytes(), media_type=KINDS[path.suffix], headers=headers)


@router.get("/")
async def index() -> Response:
    """The page."""
    return _file("index.html")


@router.get("/page/{name}")
async def file(name: str) -> Response:
    """What it is made of."""
    if name not in FILES:
        raise HttpError(404, f"the page has no file '{name}'", "not_found")
    return _file(name)


@router.get("/page/scenes/{sheet}")
async def scenes(request: Request, sheet: int) -> dict[str, Any]:
    """Some drawn scenes, each with a name and a data: URL; and what to know about the model that answers."""
    serving = serving_of(request)
    known = serving.worker.pipeline.about
    return {"model": serving.name, "about": known, "scenes": await asyncio.to_thread(_drawn, sheet % SHEETS)}


class Picture(BaseModel):
    """A picture, as all routes take it."""

    image: str


@router.post("/page/preview")
async def preview(request: Request, body: Picture) -> dict[str, str]:
    """A picture of a format that the browser cannot show, such as TIFF, as the PNG that it can."""
    serving = serving_of(request)
    png = await within(request, serving.settings.deadline, serving.pictures.preview(body.image))
    return {"image": _url(png)}


def _url(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


@lru_cache(maxsize=8)
def _drawn(sheet: int) -> list[dict[str, str]]:
    found = []
    for number in range(SCENES * sheet, SCENES * (sheet + 1)):
        drawn, buffer = scene("val", number), io.BytesIO()
        render(drawn, SIDE).save(buffer, "PNG")
        found.append({"name": f"Drawn scene {number + 1}: {drawn.theme}", "image": _url(buffer.getvalue())})
    return found
