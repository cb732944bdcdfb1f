"""Label Studio itself asks ``lion serve``; needs its command ``label-studio``, of any environment, on the PATH."""

import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from lion.pipeline import LionPipeline
from tests.serve.test_process import Server

httpx = pytest.importorskip("httpx", reason="httpx is not installed")
ROOT = Path(__file__).parents[2]
SCENE = ROOT / "examples" / "scene.png"
PAGE = (ROOT / "docs" / "how-to" / "integrations_label_studio.md").read_text()
(CONFIG,) = re.findall(r"^```xml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
(START,) = re.findall(r"^(.*) label-studio start$", PAGE, re.MULTILINE)
"""The variables that the page sets for Label Studio."""
TOKEN = "0123456789abcdef0123456789abcdef01234567"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("label-studio"), reason="not installed: pip install label-studio"),
]


@pytest.fixture
def lion(tmp_path, monkeypatch):
    """``lion serve`` of the page with the toy, and a key."""
    monkeypatch.setenv("LABEL_STUDIO_BASE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("LION_API_KEYS", "key")
    server = Server("--routes", "lion.plugins.label_studio", "--max-pictures", "100")
    yield server
    assert server.end() == 0


@pytest.fixture
def studio(tmp_path):
    """A client of a new Label Studio, which takes minutes to make its database."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    given = dict(word.split("=") for word in START.split())
    own = {**given, "HOME": str(tmp_path), "LABEL_STUDIO_BASE_DATA_DIR": str(tmp_path), "COLLECT_ANALYTICS": "False"}
    own |= {"LABEL_STUDIO_LATEST_VERSION_CHECK": "False", "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true"}
    command = ["label-studio", "start", "--no-browser", "--port", str(port), "--username", "a@example.com"]
    command += ["--password", "long-enough-1", "--user-token", TOKEN]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, env=kept | own, cwd=tmp_path, stdout=log, stderr=log)
    headers = {"Authorization": f"Token {TOKEN}"}
    try:
        with httpx.Client(base_url=f"http://localhost:{port}", headers=headers, timeout=120) as client:
            end = time.monotonic() + 400
            while time.monotonic() < end:
                assert process.poll() is None, (tmp_path / "log").read_text()[-2000:]
                try:
                    client.get("/health").raise_for_status()
                    break
                except httpx.HTTPError:
                    time.sleep(1)
            yield client
    finally:
        process.terminate()
        process.wait(60)


def test_an_uploaded_scene_gets_the_predictions_of_the_docs(lion, studio):
    def ask(method, path, **fields):
        answer = studio.request(method, path, **fields)
        assert answer.is_success, answer.text[:500]
        return answer.json()

    number = ask("POST", "/api/projects", json={"title": "drawn", "label_config": CONFIG})["id"]
    ask("POST", f"/api/projects/{number}/import", files={"file": ("scene.png", SCENE.read_bytes())})
    connection = {"url": lion.url.replace("127.0.0.1", "localhost"), "project": number, "title": "LION"}
    user = {"auth_method": "BASIC_AUTH", "basic_auth_user": "any", "basic_auth_pass": "key"}
    backend = ask("POST", "/api/ml", json=connection | user)
    assert backend["readable_state"] == "Connected"
    ask(
        "POST",
        f"/api/dm/actions?id=retrieve_tasks_predictions&project={number}",
        json={"selectedItems": {"all": True, "excluded": []}},
    )
    (prediction,) = ask("GET", f"/api/predictions?project={number}")
    assert "toy" in prediction["model_version"]
    box = LionPipeline.from_pretrained().locate(SCENE, "the blue kite").boxes[0]
    value = prediction["result"][0]["value"]
    assert value["rectanglelabels"] == ["kite"]
    sides = [value[name] for name in ("x", "y", "width", "height")]
    assert sides == pytest.approx([100 * side for side in box.unit.xywh()])
    assert {one["from_name"] for one in prediction["result"]} >= {"box", "caption", "answer", "color"}
