"""Pictures off the event loop: formats by content, memory bounded, and processes that die are replaced."""

import asyncio
import os
import signal
from multiprocessing import get_context

import pytest
import torch
from PIL import Image

from lion.errors import LionError
from lion.pipeline import LionPipeline, Look
from lion.serve import pixels
from lion.serve.pictures import Pictures, squashes_of
from tests.serve.conftest import client_of, data_url, encoded


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"])
def test_formats_are_told_by_content(client, picture, kind):
    content = encoded(picture, kind)
    assert pixels.check(content, 1) == 1
    size, hash, (whole, small) = pixels.decode(content, (None, (30, Image.Resampling.BICUBIC)))
    look = Look.open(content)
    assert (size, whole, hash) == (look.size, look.image, look.hash)
    assert small == look.image.resize((30, 30), Image.Resampling.BICUBIC)
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


@pytest.mark.parametrize("size", [(701, 300), (64, 900), (128, 128), (1, 1), (5, 2000)])
def test_model_and_tagger_read_of_a_square_what_they_read_of_the_picture(client, pipeline, size):
    content = encoded(Image.effect_mandelbrot(size, (-2, -1.5, 1, 1.5), 30).convert("RGB"), "JPEG")
    plain = LionPipeline(pipeline.model, pipeline.processor, pipeline.tagger)  # with a cache of its own
    look = plain.look(content)

    async def opened():
        async with client.serving.pictures.opened(content) as look:
            return look

    squashed = client.run(opened())
    assert (squashed.image.size, squashed.tagger_image.size) == ((56, 56), (128, 128))
    assert (squashed.size, squashed.hash, repr(squashed)) == (size, look.hash, f"Look(pixels, {size[0]} x {size[1]})")
    made, wanted = ([pipeline.processor.image_processor([one.image])["pixel_values"]] for one in (squashed, look))
    assert torch.equal(*made, *wanted)
    assert torch.equal(*(pipeline.tagger.scores([one.for_tagger]) for one in (squashed, look)))
    seen = LionPipeline(pipeline.model, pipeline.processor, pipeline.tagger).look(squashed)
    pairs = zip(
        (seen.evidence.vision.last_BPV, seen.evidence.vision.aggregated_BPD),
        (look.evidence.vision.last_BPV, look.evidence.vision.aggregated_BPD),
        strict=True,
    )
    assert seen.tags == look.tags and all(torch.equal(a, b) for a, b in pairs)


def test_a_tagger_of_ones_own_is_given_the_whole_picture(pipeline, picture, url):
    seen = []

    def tagger(images):
        seen.extend(images)
        return [["car"]] * len(images)

    own = LionPipeline(pipeline.model, pipeline.processor, tagger)
    with client_of(own) as client:
        assert client.post("/v1/lion/tag", {"image": url}).json()["answers"][0]["tags"] == ["car"]
    assert seen == [picture] and squashes_of(own) == ((56, 3), None)
    own.tagger = None
    assert squashes_of(own) == ((56, 3), (56, 3))


def test_only_so_many_pixels_are_held_at_a_time(client):
    pictures = Pictures(client.serving.settings, (None, None))

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

    try:
        assert client.run(many()) == 24
    finally:
        pictures.close()


def test_memory_that_a_picture_may_not_take_is_an_error_of_the_picture():
    with get_context("spawn").Pool(1, pixels.begin, (640,)) as pool:
        with pytest.raises(LionError, match=r"memory|cannot be decoded"):
            pool.apply(pixels.decode, (encoded(Image.new("L", (9900, 9900))), [None]))
        assert pool.apply(pixels.decode, (encoded(Image.new("RGB", (9, 9))), [None]))[0] == (9, 9)
