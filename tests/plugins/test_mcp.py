"""MCP's own client talks to the server, in this process and over stdio; needs mcp, in an environment of its own."""

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lion.pipeline import LionPipeline
from tests.serve.conftest import data_url, encoded

ROOT = Path(__file__).parents[2]
SCENE = ROOT / "examples" / "scene.png"
PAGE = (ROOT / "docs" / "how-to" / "integrations_mcp.md").read_text()
pytestmark = pytest.mark.slow


@pytest.fixture
def mcp():
    """The package, of the second generation."""
    pytest.importorskip("mcp.server.mcpserver", reason="not installed: pip install 'mcp>=2'")
    return pytest.importorskip("mcp")


def results(mcp, server, *calls):
    """What tools answer, in one session."""

    async def run():
        async with mcp.Client(server) as client:
            return [await client.call_tool(name, arguments) for name, arguments in calls]

    return asyncio.run(run())


def test_tools_answer_as_the_pipeline(mcp, pipeline, picture):
    from lion.plugins.mcp import server

    url = data_url(encoded(picture))
    look, ask, locate = results(
        mcp,
        server(pipeline),
        ("look", {"image": url}),
        ("ask", {"image": url, "question": "what is it?"}),
        ("locate", {"image": url, "phrase": "the car"}),
    )
    for found, own in (
        (look, pipeline.caption(url)),
        (ask, pipeline.ask(url, "what is it?")),
        (locate, pipeline.locate(url, "the car", if_there=True)),
    ):
        assert not found.is_error and json.loads(found.content[0].text) == own.to_json()
        assert found.structured_content == own.to_json()
    assert len(locate.structured_content["boxes"]) == 1 and look.structured_content["tags"]


def test_mistakes_are_told_to_the_model(mcp, pipeline, picture):
    from lion.plugins.mcp import server

    url = data_url(encoded(picture))
    wrong = results(
        mcp,
        server(pipeline),
        ("look", {"image": "no/such/file.png"}),
        ("look", {"image": "https://example.com/a.png"}),
        ("ask", {"image": url, "question": " "}),
        ("ask", {"image": url}),
    )
    words = ("no/such/file.png", "example.com", "question", "question")
    for found, word in zip(wrong, words, strict=True):
        assert found.is_error and word in found.content[0].text and "Traceback" not in found.content[0].text


def test_the_configuration_of_the_docs_serves_the_toy_and_calls_it_one(mcp):
    (block,) = re.findall(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    arguments = [word.replace("path/to/model", "lion-mini") for word in json.loads(block)["mcpServers"]["lion"]["args"]]
    parameters = mcp.StdioServerParameters(command=sys.executable, args=arguments, cwd=ROOT / "src")

    async def run():
        async with mcp.Client(parameters) as client:
            tools = (await client.list_tools()).tools
            found = await client.call_tool("locate", {"image": str(SCENE), "phrase": "the blue kite"})
            return client.instructions, tools, found

    instructions, tools, found = asyncio.run(run())
    assert "a toy" in instructions and [tool.name for tool in tools] == ["look", "ask", "locate"]
    assert all("data: URL" in tool.description and "image" in tool.input_schema["required"] for tool in tools)
    own = LionPipeline.from_pretrained(device="cpu").locate(SCENE, "the blue kite", if_there=True)
    assert found.structured_content["boxes"] == own.to_json()["boxes"] != []


def test_a_model_that_is_not_there_is_one_line(mcp):
    command = [sys.executable, "-m", "lion.plugins.mcp", "no/such/model"]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=ROOT / "src")
    assert ran.returncode == 1 and ran.stdout == "" and "no/such/model" in ran.stderr.splitlines()[-1]
