"""The page in a browser: a picture, questions, boxes, tags, why, a dialog; keys, faults, phones and the dark.

Needs the package playwright and Debian's chromium. The screenshots of the docs are made here:

    LION_SCREENSHOTS=docs/images python -m pytest -m slow tests/serve/test_page_browser.py
"""

import io
import os
import re
import shutil
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lion.pipeline import Verb

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium")]

from tests.serve.process import SCENE, Server  # noqa: E402 - skipped with a word before

SHOTS = os.environ.get("LION_SCREENSHOTS")
WIDE, PHONE = {"width": 1180, "height": 860}, {"width": 390, "height": 844}
RED = (0xE6, 0x19, 0x4B)
"""Of the first box."""


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        arguments = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@contextmanager
def opened(browser, server, **options):
    """The page, once its first picture has its tags. At the end: nothing was asked of others, nothing went wrong."""
    context = browser.new_context(**{"viewport": WIDE, **options})
    page = context.new_page()
    asked, wrong = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda line: wrong.append(line.text) if "Content Security Policy" in line.text else None)
    page.goto(server.url)
    page.wait_for_selector(".chip")
    try:
        yield page
        assert not wrong
        assert all(url.startswith((f"{server.url}/", "data:", "blob:")) for url in asked), asked
    finally:
        context.close()


def until(page, condition, arg=None):
    """Wait for an expression or function of the page, asked from outside: its policy forbids to evaluate text there."""
    end = time.monotonic() + 30
    while not page.evaluate(condition, arg):
        assert time.monotonic() < end, condition
        page.wait_for_timeout(20)


def settled(page):
    """Wait until nothing is going on."""
    until(page, "!document.body.classList.contains('busy')")


def upload(page, path=SCENE):
    with page.expect_response("**/v1/lion/tag"):
        page.set_input_files("#file", str(path))
    settled(page)


def ask(page, verb, words=None):
    page.locator(f"input[value={verb}]").check(force=True)
    if words is not None:
        page.fill("#text", words)
    page.click("#go")
    page.wait_for_selector("#answer:not([hidden])" if verb != "chat" else ".dialog .lion")
    settled(page)
    return page.locator("#said").inner_text()


def shot(page, name, tmp_path):
    """A picture of the whole page; a file of the docs where they are to be renewed."""
    page.evaluate("document.activeElement.blur(); window.scrollTo(0, 0)")
    page.mouse.move(0, 0)
    content = page.screenshot(full_page=True, animations="disabled")
    image = Image.open(io.BytesIO(content)).convert("RGB")
    folder = Path(SHOTS) if SHOTS else tmp_path
    image.save(folder / f"page-{name}.png", optimize=True)
    return image


def test_a_box_is_drawn_where_the_model_says(browser, server, lion, tmp_path):
    with opened(browser, server) as page:
        upload(page)
        assert ask(page, "ask", "what color is the kite?") == lion.ask(SCENE, "what color is the kite?").text
        assert ask(page, "locate", "the bird") == "Here it is."
        wanted = lion.locate(SCENE, "the bird", if_there=True).boxes[0]
        label = page.locator(".box span").inner_text()
        assert label == f"the bird {round(100 * wanted.score)} %"
        frame = Image.open(io.BytesIO(page.locator("#frame").screenshot())).convert("RGB")
        red = np.abs(np.asarray(frame).astype(int) - RED).sum(-1) < 24
        x1, y1, x2, y2 = wanted.unit.xyxy()
        places = np.argwhere(red)
        height, width = red.shape
        inside = places[places[:, 0] >= y1 * height - 2]  # without the label above
        assert np.allclose(inside.min(0) / (height, width), (y1, x1), atol=0.012)
        assert np.allclose(inside.max(0) / (height, width), (y2, x2), atol=0.012)
        middle = red[round((y1 + 0.1) * height) : round((y2 - 0.1) * height), round((x1 + 0.1) * width) :]
        assert not middle[:, : round((x2 - x1 - 0.2) * width)].any()
        shot(page, "locate", tmp_path)
        assert ask(page, "locate", "the boat") == "It is not there." and not page.locator(".box").count()
        ask(page, "locate", "the bird")
        page.locator("input[value=ask]").check(force=True)
        page.fill("#text", "why? " * 300)
        page.click("#go")
        page.wait_for_selector("#problem:not([hidden])")
        assert "shorten it" in page.locator("#problem").inner_text()
        assert not page.locator(".box").count() and not page.locator("#answer").is_visible()  # they are the last one's


def test_tags_are_switched_typed_and_asked_again(browser, server, lion):
    with opened(browser, server) as page:
        upload(page)
        found = list(lion.tags(SCENE).tags)
        assert page.locator(".chip").all_inner_texts() == found
        sent = []
        page.on("request", lambda request: sent.append(request.post_data_json) if request.method == "POST" else None)
        ask(page, "ask", "is there a boat?")
        assert "tags" not in sent[-1]
        page.click(f".chip:has-text('{found[0]}')")
        page.fill("#tag", "boat, sea")
        page.press("#tag", "Enter")
        page.click("#again")
        settled(page)
        tags = [*found[1:], "boat", "sea"]
        assert sent[-1]["tags"] == tags
        assert page.locator("#said").inner_text() == lion.ask(SCENE, "is there a boat?", tags=tags).text
        page.click(f".chip:has-text('{found[-1]}')")
        page.click("#reset")
        assert page.locator(".chip").all_inner_texts() == found and not page.locator("#changed").is_visible()


def test_why_shows_where_it_looked_and_the_gates(browser, server, tmp_path):
    with opened(browser, server) as page:
        upload(page)
        ask(page, "ask", "what color is the kite?")
        page.click("#why-button")
        page.wait_for_selector("#why:not([hidden])")
        for name in ("aggregator", "qformer"):
            pixels = page.evaluate(
                "(id) => [...document.getElementById(id).getContext('2d').getImageData(0, 0, 480, 480).data]", name
            )
            assert np.array(pixels).reshape(480, 480, 4)[..., :3].std((0, 1)).min() > 5
        assert (
            page.locator("#gates svg").count() == 2 and "image level · used here" in page.locator("#gates").inner_text()
        )
        shot(page, "why", tmp_path)
        page.click("#why-button")
        assert not page.locator("#why").is_visible()


def test_a_region_is_drawn_with_the_mouse_or_with_keys(browser, server, lion):
    with opened(browser, server) as page:
        upload(page)
        page.locator("input[value=describe]").check(force=True)
        area = page.locator("#frame").bounding_box()
        at = lambda x, y: (area["x"] + x * area["width"], area["y"] + y * area["height"])  # noqa: E731
        sent = []
        page.on("request", lambda request: sent.append(request.post_data_json) if request.method == "POST" else None)
        page.mouse.move(*at(0.1, 0.15))
        page.mouse.down()
        page.mouse.move(*at(0.3, 0.3))
        page.mouse.move(*at(0.5, 0.48))
        page.mouse.up()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Shift+ArrowDown")
        page.keyboard.press("Enter")
        page.wait_for_selector("#answer:not([hidden])")
        settled(page)
        assert np.allclose(sent[-1]["box"], (0.12, 0.15, 0.52, 0.50), atol=0.006)
        from lion import Box

        assert page.locator("#said").inner_text() == lion.describe_region(SCENE, Box(*sent[-1]["box"])).text


def test_a_dialog_remembers(browser, server, lion):
    with opened(browser, server) as page:
        upload(page)
        first, second = "is there a kite?", "what color is it?"
        ask(page, "chat", first)
        page.fill("#text", second)
        page.press("#text", "Enter")
        until(page, "document.querySelectorAll('.dialog .lion').length === 2")
        one = lion.chat(SCENE, first).text
        two = lion.chat(SCENE, second, [(first, one)]).text
        assert page.locator(".dialog p").all_inner_texts() == [first, one, second, two]


def test_all_of_it_with_the_keyboard(browser, server):
    with opened(browser, server) as page:
        for _ in range(40):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.name") == "verb":
                break
        page.keyboard.press("ArrowLeft")
        assert page.evaluate("document.activeElement.value") == "caption"
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_selector("#answer:not([hidden])")
        for _ in range(20):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.id") == "why-button":
                break
        page.keyboard.press("Enter")
        page.wait_for_selector("#why:not([hidden])")


def test_a_phone_and_the_dark(browser, server, tmp_path):
    options = {"viewport": PHONE, "is_mobile": True, "has_touch": True}
    with opened(browser, server, **options) as page:
        upload(page)
        ask(page, "locate", "the bird")
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        small = page.evaluate(
            "[...document.querySelectorAll('button, .button')].filter((one) => one.offsetParent && "
            "one.getBoundingClientRect().height < 30).map((one) => one.innerText)"
        )
        assert small == []
        image = shot(page, "phone", tmp_path)
        assert np.asarray(image)[2, 2].min() > 200
    with opened(browser, server, color_scheme="dark") as page:
        upload(page)
        ask(page, "caption")
        image = shot(page, "dark", tmp_path)
        assert np.asarray(image)[2, 2].max() < 60


def test_a_camera_and_a_scene_give_pictures(browser, server):
    with opened(browser, server) as page:
        before = page.get_attribute("#picture", "src")
        page.click("#camera")
        until(page, "document.getElementById('video').videoWidth > 0")
        page.click("#shoot")
        until(page, "(before) => document.getElementById('picture').src !== before", arg=before)
        settled(page)
        assert page.get_attribute("#picture", "src").startswith("data:image/jpeg")
        first = page.locator("#gallery button").first.get_attribute("title")
        page.click("#more")
        until(page, "(first) => document.querySelector('#gallery button').title !== first", arg=first)
        page.locator("#gallery button").first.click()
        until(page, "document.getElementById('picture').src.startsWith('data:image/png')")


def test_clear_words_when_it_fails(browser, server, tmp_path):
    (tmp_path / "bad.png").write_text("no picture")
    Image.new("RGB", (8000, 6000)).save(tmp_path / "large.png")
    with opened(browser, server) as page:
        page.set_input_files("#file", str(tmp_path / "bad.png"))
        page.wait_for_selector("#problem:not([hidden])")
        assert "The image is not a PNG" in page.locator("#problem").inner_text()
        page.set_input_files("#file", str(tmp_path / "large.png"))
        until(page, "document.getElementById('problem-text').innerText.includes('megapixels')")
        Image.open(SCENE).save(tmp_path / "scene.tiff")
        upload(page, tmp_path / "scene.tiff")  # which no browser but one shows
        assert page.locator("#picture").evaluate("(picture) => picture.naturalWidth") == Image.open(SCENE).width
        assert page.locator("#picture").get_attribute("src").startswith("data:image/png")
        upload(page)
        page.locator("input[value=ask]").check(force=True)
        page.fill("#text", "")
        page.click("#go")
        assert page.locator("#problem-text").inner_text() == "Write a question first."
        page.route(
            "**/v1/lion/ask",
            lambda route: route.fulfill(status=429, headers={"Retry-After": "7"}, json={"error": {"message": "busy"}}),
        )
        page.fill("#text", "what is it?")
        page.click("#go")
        until(page, "document.getElementById('problem-text').innerText.includes('another try in 7 s')")
        page.unroute("**/v1/lion/ask")
        page.click("#retry")
        page.wait_for_selector("#answer:not([hidden])")
        assert not page.locator("#problem").is_visible()


def test_it_shows_that_it_works_and_can_be_stopped(browser, server):
    with opened(browser, server) as page:
        held = []
        page.route("**/v1/lion/ask", lambda route: held.append(route))
        page.fill("#text", "what is it?")
        page.click("#go")
        until(page, "document.getElementById('status-text').innerText === 'Thinking … 2 s'")
        page.click("#cancel")
        settled(page)
        assert not page.locator("#status").is_visible() and not page.locator("#problem").is_visible()
        assert len(held) == 1 and not page.locator("#answer").is_visible()


def test_with_keys_it_asks_for_one(browser, monkeypatch):
    monkeypatch.setenv("LION_API_KEYS", "secret")
    server = Server()
    try:
        page = browser.new_page()
        page.goto(server.url)
        page.wait_for_selector("#key-dialog[open]")
        page.fill("#key", "wrong")
        page.press("#key", "Enter")
        until(page, "document.getElementById('key').value === ''")
        page.wait_for_selector("#key-dialog[open]")
        page.fill("#key", "secret")
        page.press("#key", "Enter")
        page.wait_for_selector(".chip")
        assert re.search("knows drawn scenes only", page.locator("#model").inner_text())
        page.close()
    finally:
        assert server.end() == 0


def test_the_verb_of_an_explanation_is_that_of_the_answer(browser, server, lion):
    with opened(browser, server) as page:
        upload(page)
        found = []
        page.on("response", lambda response: found.append(response) if "explain" in response.url else None)
        ask(page, "locate", "the bird")
        page.click("#why-button")
        page.wait_for_selector("#why:not([hidden])")
        (answer,) = found[0].json()["answers"]
        wanted = lion.explain(SCENE, "the bird", verb=Verb.LOCATE)
        assert answer["text"] == wanted.answer.text and answer["explanation"] == wanted.to_json()
