"""Pictures off the event loop: formats by content, memory bounded, and processes that die are replaced."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

import pytest
import torch
from PIL import Image

from lion.errors import LionError
from lion.pipeline import LionPipeline, Look
from lion.serve import pixels
from lion.serve.pictures import Kept, Pictures, squashes_of
from tests.serve.conftest import client_of, data_url, encoded, scans


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"])
def test_formats_are_told_by_content(client, picture, kind):
    content = encoded(picture, kind)
    decoded = pixels.decode(content, 1, 10, 1, (None, (30, Image.Resampling.BICUBIC)))
    look, (whole, small) = Look.open(content), decoded.images
    assert (decoded.size, whole, decoded.hash) == (look.size, look.image, look.hash)
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
    for process in list(client.serving.pictures._pools[False]._processes.values()):
        os.kill(process.pid, signal.SIGKILL)
    assert [client.post("/v1/lion/tag", {"image": url}).status_code for _ in range(3)] == [200] * 3


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
    assert (squashed.size, repr(squashed)) == (size, f"Look(pixels, {size[0]} x {size[1]})")
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


def test_only_so_many_whole_pictures_are_held_at_a_time(client, picture, monkeypatch):
    monkeypatch.setattr("lion.serve.pictures.HELD", 2)

    async def many():
        pictures = Pictures(client.serving.settings, (None, None))
        release, held = asyncio.Event(), []

        async def hold():
            async with pictures.opened(encoded(picture)):
                held.append(1)
                await release.wait()
                held.pop()

        work = [asyncio.ensure_future(hold()) for _ in range(5)]
        while len(held) < 2:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        assert len(held) == 2
        work[4].cancel()
        release.set()
        await asyncio.gather(*work[:4])
        pictures.close()

    client.run(many())


def _counted(pictures):
    """How often pictures go to a process."""
    asked, before = [], pictures._in_a_process

    async def counted(work, *rest):
        asked.append(work)
        return await before(work, *rest)

    pictures._in_a_process = counted
    return asked


@pytest.mark.parametrize("long", [0, 2**20])
def test_a_picture_that_comes_again_is_not_decoded_again(client, picture, monkeypatch, long):
    monkeypatch.setattr("lion.serve.pictures.LONG", long)
    once, again = encoded(picture), encoded(picture.transpose(Image.Transpose.ROTATE_90))

    async def looks():
        pictures, seen = Pictures(client.serving.settings, ((8, 3), (4, 2))), []
        asked = _counted(pictures)
        for source in (data_url(once), data_url(once), once, once, data_url(again)):
            async with pictures.opened(source) as look:
                seen.append(look)
        pictures.close()
        return asked, seen

    asked, (first, *others, other) = client.run(looks())
    assert len(asked) == 3  # of a URL, of a file, of another picture
    for look in others:
        assert (look.hash, look.size, look.image, look.tagger_image) == (
            first.hash, first.size, first.image, first.tagger_image
        )  # fmt: skip
        assert look.evidence is not first.evidence  # which belongs to the cache of evidence alone
    assert other.hash != first.hash


def test_what_cannot_be_decoded_is_tried_again_and_told_again(client):
    async def told():
        pictures, said = Pictures(client.serving.settings, ((8, 3), (8, 3))), []
        for _ in range(2):
            with pytest.raises(LionError) as caught:
                async with pictures.opened(b"no picture"):
                    pass
            said.append(str(caught.value))
        pictures.close()
        return said, len(pictures._kept)

    (one, two), kept = client.run(told())
    assert one == two and "PNG" in one and not kept


def test_of_a_path_nothing_is_read(tmp_path, picture):
    (tmp_path / "a.png").write_bytes(encoded(picture))
    with pytest.raises(LionError, match="never a path"):
        pixels.decode(str(tmp_path / "a.png"), 1, 10, 1, (None,))


def test_a_file_that_reads_as_a_url_is_no_picture(client, url):
    async def told():
        async with client.serving.pictures.opened(url):
            pass
        with pytest.raises(LionError, match="PNG"):
            async with client.serving.pictures.opened(url.encode()):
                pass

    client.run(told())


def test_squares_are_kept_as_long_as_there_is_room():
    kept, (one, two, three) = Kept(2 * 400), b"123".partition(b"2")
    square = pixels.Decoded((99, 99), "", None, (Image.new("RGB", (10, 10)),))
    for key in (one, two, one):
        kept.put(key, square)
    assert (len(kept), kept.bytes, kept.get(one)) == (2, 800, square)
    kept.put(three, square)
    assert (kept.get(two), kept.get(one), kept.get(three), kept.bytes) == (None, square, square, 800)
    kept.put(two, pixels.Decoded((99, 99), "", None, (Image.new("RGB", (100, 100)),)))
    assert (len(kept), kept.bytes) == (0, 0)


def test_whole_pictures_are_not_kept(client, picture):
    async def kept():
        pictures = Pictures(client.serving.settings, ((8, 3), None))
        async with pictures.opened(encoded(picture)) as look:
            assert look.hash == Look.open(picture).hash
        pictures.close()
        return len(pictures._kept)

    assert client.run(kept()) == 0


@pytest.fixture
def process():
    """One that decodes, with 640 MB."""
    with get_context("spawn").Pool(1, pixels.begin, (640, 0)) as pool:
        yield lambda content, seconds=10.0: pool.apply(pixels.decode, (content, 100, seconds, 100, [None]))


def test_memory_that_a_picture_may_not_take_is_an_error_of_the_picture(process):
    with pytest.raises(LionError, match=r"memory|cannot be decoded"):
        process(encoded(Image.new("L", (9900, 9900))))
    assert process(encoded(Image.new("RGB", (9, 9)))).size == (9, 9)


def test_time_that_a_picture_may_not_take_is_an_error_of_the_picture(process):
    """A JPEG of 36 bytes a scan, each of which goes over all of its pixels: 20 MB of them would take hours."""
    began = time.monotonic()
    for _ in range(2):
        with pytest.raises(LionError, match="takes too long"):
            process(scans(500, 50_000), 1.0)
    assert time.monotonic() - began < 20 and process(encoded(Image.new("RGB", (9, 9)))).size == (9, 9)


def test_a_picture_that_a_breaking_pool_forgets_is_decoded(client, picture, monkeypatch):
    """Python's pool, before 3.12.1, may lose what is submitted while it notices that a process has ended."""

    class Forgetful:
        calls = 0

        def submit(self, *work):
            self.calls += 1
            if self.calls > 1:
                raise BrokenProcessPool
            return Future()

    pictures = client.serving.pictures
    monkeypatch.setattr("lion.serve.pictures.ASKS_AGAIN", 0.05)

    async def size():
        pictures._pools[False].shutdown(wait=False)
        pictures._pools[False] = Forgetful()
        async with pictures.opened(encoded(picture)) as look:
            return look.size

    assert client.run(size()) == picture.size


def test_pictures_beside_one_whose_process_is_ended_are_decoded(client, picture):
    """The first breaks the pool, which fails all that wait for it; they are tried once more."""
    pictures = client.serving.pictures

    async def beside():
        async def one():
            async with pictures.opened(encoded(picture)) as look:
                return look.size

        pictures._pools[False].submit(os._exit, 1)
        return await asyncio.gather(*(one() for _ in range(8)))

    assert client.run(beside()) == [picture.size] * 8


def test_a_small_picture_waits_for_no_large_one(client, picture):
    """Three large ones, more than there are processes of either kind."""
    large = encoded(Image.effect_noise((3000, 2500), 90).convert("RGB"), "JPEG")
    assert client.serving.settings.decode_processes == 2

    async def beside():
        pictures, order = client.serving.pictures, []

        async def one(name, content):
            async with pictures.opened(content) as look:
                order.append((name, look.size))

        await one("first", encoded(picture))
        waiting = [asyncio.ensure_future(one("large", large)) for _ in range(3)]
        await asyncio.sleep(0.01)
        await one("small", encoded(picture))
        await asyncio.gather(*waiting)
        nice = [await asyncio.wrap_future(pool.submit(os.nice, 0)) for pool in pictures._pools]
        return order, nice

    order, nice = client.run(beside())
    assert order == [("first", picture.size), ("small", picture.size), *[("large", (3000, 2500))] * 3]
    assert nice[1] > nice[0]


def test_of_a_large_picture_there_are_the_same_limits(client):
    grey = encoded(Image.new("L", (9000, 9000)))
    for url, told in (
        (data_url(grey), "megapixels is the limit"),
        (data_url(encoded(Image.new("L", (3000, 3000)))), None),
    ):
        response = client.post("/v1/lion/tag", {"image": url})
        assert response.status_code == (400 if told else 200) and (told or "answers") in response.text


def test_processes_end_with_the_server_that_was_killed(tmp_path):
    script = (
        "import os, sys, lion.serve.pixels as pixels\n"
        "from concurrent.futures import ProcessPoolExecutor\n"
        "from multiprocessing import get_context\n"
        "if __name__ == '__main__':\n"
        "    pool = ProcessPoolExecutor(1, get_context('spawn'), initializer=pixels.begin, initargs=(2048, 0))\n"
        "    print(pool.submit(os.getpid).result(), flush=True)\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    (tmp_path / "server.py").write_text(script)
    done = subprocess.run([sys.executable, tmp_path / "server.py"], stdout=subprocess.PIPE, text=True, timeout=60)
    end = time.monotonic() + 20
    while Path(f"/proc/{done.stdout.strip()}").exists() and time.monotonic() < end:
        time.sleep(0.02)
    assert done.stdout and not Path(f"/proc/{done.stdout.strip()}").exists()
