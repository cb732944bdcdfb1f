"""Clients of others against a running server: npm's openai, the `llm` command and LiteLLM, as their registries have
them."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.serve.process import SCENE, URL

pytestmark = pytest.mark.slow


def run(*words, **options):
    """A program's stdout; what it says is in the failure."""
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=300, **options)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def installed(*words):
    """Install from a package registry, or skip where there is none."""
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=600)
    if done.returncode:
        pytest.skip(f"cannot be installed here: {done.stderr.strip()[-300:]}")


@pytest.mark.skipif(not shutil.which("npm"), reason="node and npm are not installed")
def test_the_npm_package(server, lion, tmp_path):
    installed("npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", tmp_path, "openai")
    script = shutil.copy(Path(__file__).with_name("openai.test.mjs"), tmp_path)
    (box,) = lion.locate(SCENE, "the kite", box_only=True).boxes
    first = lion.ask(SCENE, "is there a kite?").text
    wanted = {
        "caption": lion.caption(SCENE).text,
        "streamed": lion.caption(SCENE, num_beams=1).text,
        "dialog": lion.chat(SCENE, "what color is it?", [("is there a kite?", first)]).text,
        "box": {"label": "the kite", "bbox": list(map(round, box.pixel.xyxy()))},
    }
    environment = {**os.environ, "LION_URL": server.url, "LION_IMAGE": str(SCENE), "LION_WANTED": json.dumps(wanted)}
    out = run("node", "--test", "--test-reporter=tap", script, cwd=tmp_path, env=environment)
    assert "# pass 7" in out and "# fail 0" in out, out


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """Runs a module of a virtual environment with the two clients."""
    folder = tmp_path_factory.mktemp("clients")
    installed(sys.executable, "-m", "venv", folder)
    installed(folder / "bin" / "python", "-m", "pip", "install", "-q", "llm", "litellm")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment |= {"LLM_USER_PATH": str(folder), "LITELLM_LOCAL_MODEL_COST_MAP": "true"}
    return lambda *words: run(folder / "bin" / "python", *words, cwd=folder, env=environment)


def test_the_llm_command(server, lion, python):
    folder = Path(python("-c", "import os; print(os.environ['LLM_USER_PATH'])").strip())
    models = "\n".join(
        f"- model_id: {name}\n  model_name: lion-mini\n  api_base: {server.url}/v1\n  vision: true\n  {more}"
        for name, more in (("lion", "can_stream: true"), ("whole", "can_stream: false"))
    )
    (folder / "extra-openai-models.yaml").write_text(models)
    question = "what color is the kite?"
    asked = ("-m", "llm", question, "-a", SCENE, "--key", "none", "--no-log")
    wanted = lion.ask(SCENE, question).text
    assert python(*asked, "-m", "lion").strip() == python(*asked, "-m", "whole").strip() == wanted
    greedy = python(*asked, "-m", "lion", "-o", "temperature", "0", "-o", "max_tokens", "20").strip()
    assert greedy == lion.ask(SCENE, question, num_beams=1, max_new_tokens=20).text


LITELLM = """
import json, sys
import litellm
url, picture = sys.argv[1:]
parts = [{"type": "text", "text": "Describe this picture."}, {"type": "image_url", "image_url": {"url": picture}}]
same = {
    "model": "openai/lion-mini", "api_base": url, "api_key": "none",
    "messages": [{"role": "user", "content": parts}], "temperature": 0,
}
whole = litellm.completion(**same)
pieces = [chunk.choices[0].delta.content or "" for chunk in litellm.completion(**same, stream=True)]
several = litellm.completion(**{**same, "temperature": 1}, n=3, seed=1, logprobs=True)
try:
    litellm.completion(**same, presence_penalty=1)
    mistake = "none"
except litellm.BadRequestError as error:
    mistake = str(error)
print(json.dumps([
    whole.choices[0].message.content, pieces, len(several.choices),
    len(several.choices[0].logprobs.content), mistake, whole.usage.total_tokens,
]))
"""


def test_litellm(server, lion, python):
    whole, pieces, several, tokens, mistake, total = json.loads(
        python("-c", LITELLM, f"{server.url}/v1", URL).splitlines()[-1]
    )
    assert whole == "".join(pieces) == lion.caption(SCENE, num_beams=1).text and sum(map(bool, pieces)) > 5
    assert several == 3 and tokens > 3 and total > 50 and "presence_penalty" in mistake
