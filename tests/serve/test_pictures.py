"""Pictures off the event loop: formats by content, memory bounded, and processes that die are replaced."""

import asyncio
import os
import signal
from multiprocessing import get_context

import pytest
from PIL import Image

from lion.errors import LionError
from lion.pipeline import Look
from lion.serve import pixels
from tests.serve.conftest import data_url, encoded


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"])
def test_formats_are_told_by_content(client, picture, kind):
    content = encoded(picture, kind)
    assert pixels.check(content, 1) == 1
    size, rgb, hash = pixels.decode(content)
    look = Look.open(content)
    assert (size, rgb, hash) == (look.size, look.image.tobytes(), look.hash)
    assert client.post("/v1/lion/tag", {"image": data_url(content, "anything")}).status_code == 200


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"%PDF-1.4",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%!PS-Adobe",
        b"8BPS\0\1",
        b"\0" * 100,
        b"#!/bin/sh",
    ],
)
def test_what_is_no_picture_is_refused_by_content(client, content):
    response = client.post("/v1/lion/tag", {"image": data_url(content)})
    assert response.status_code == 400 and "PNG" in response.json()["error"]["message"]


def test_damaged_pictures_are_one_line(client, picture):
    whole = encoded(picture)
    for content in (whole[:30], whole[:-60], whole[:8] + b"\0" * 50, encoded(picture, "JPEG")[:100]):
        response = client.post("/v1/lion/tag", {"image": data_url(content)})
        assert response.status_code == 400 and "\n" not in response.json()["error"]["message"]


def test_a_process_that_dies_is_replaced(client, url):
    assert client.post("/v1/lion/tag", {"image": url}).status_code == 200
    for process in list(client.serving.pictures._pool._processes.values()):
        os.kill(process.pid, signal.SIGKILL)
    codes = [client.post("/v1/lion/tag", {"image": url}).status_code for _ in range(3)]
    assert codes[-1] == 200 and set(codes) <= {200, 400}


def test_only_so_many_pixels_are_held_at_a_time(client, picture):
    pictures = client.serving.pictures

    async def hold(count, release):
        async with pictures.opened(encoded(Image.new("RGB", (4000, 3000)), "JPEG")):
            count.append(1)
            await release.wait()
            count.pop()

    async def many():
        pictures._free, release, count = 24, asyncio.Event(), []
        work = [asyncio.ensure_future(hold(count, release)) for _ in range(5)]
        while len(count) < 2:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        assert len(count) == 2
        work[4].cancel()
        release.set()
        await asyncio.gather(*work, return_exceptions=True)
        return pictures._free

    free = pictures._free
    try:
        assert client.run(many()) == 24
    finally:
        pictures._free = free


def test_memory_that_a_picture_may_not_take_is_an_error_of_the_picture():
    with get_context("spawn").Pool(1, pixels.bound_memory, (640,)) as pool:
        with pytest.raises(LionError, match=r"memory|cannot be decoded"):
            pool.apply(pixels.decode, (encoded(Image.new("L", (9900, 9900))),))
        assert pool.apply(pixels.decode, (encoded(Image.new("RGB", (9, 9))),))[0] == (9, 9)
