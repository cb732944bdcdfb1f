"""LION as an MCP server with the tools look, ask and locate, over stdin and stdout:

    python -m lion.plugins.mcp path/to/model

Tools answer with the keys of ``--json``. Pictures are files that the user may read, or data: URLs.
"""

import argparse
import sys
from collections.abc import Callable
from importlib import metadata
from typing import Any

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations

from lion.errors import LionError
from lion.pipeline import Answer, LionPipeline
from lion.plugins.phrases import shown_name


class Tools:
    """What the server offers. Docstrings are what a language model reads of them.

    Args:
        pipeline: answers.
    """

    def __init__(self, pipeline: LionPipeline) -> None:
        self._pipeline = pipeline

    def look(self, image: str) -> dict[str, Any]:
        """Describe a picture in a sentence (`text`), and name what is in it (`tags`). `image` is the path of a file,
        or a data: URL."""
        return self._answered(lambda: self._pipeline.caption(image))

    def ask(self, image: str, question: str) -> dict[str, Any]:
        """Answer a short question about a picture (`text`; `confidence` from 0 to 1). `image` is the path of a file,
        or a data: URL."""
        return self._answered(lambda: self._pipeline.ask(image, question))

    def locate(self, image: str, phrase: str) -> dict[str, Any]:
        """Find the one thing in a picture that a phrase such as "the blue kite" refers to: `boxes` holds its corners
        [x1, y1, x2, y2] in pixels (`pixel`) and as fractions of the picture (`unit`), with a `score` from 0 to 1; it is
        empty, and `ok` false, if the thing is not there. `image` is the path of a file, or a data: URL."""
        return self._answered(lambda: self._pipeline.locate(image, phrase, if_there=True))

    def _answered(self, ask: Callable[[], Answer]) -> dict[str, Any]:
        try:
            return ask().to_json()
        except LionError as error:
            raise ToolError(str(error)) from error  # any other exception would be reported without its reason


def server(pipeline: LionPipeline) -> Any:
    """An `MCPServer` that answers with a pipeline."""
    known = pipeline.about
    words = f"LION ({shown_name(pipeline)}) looks at pictures. {f'Note: {known}.' if known else ''}".strip()
    found = MCPServer("lion", version=metadata.version("lion-vlm"), instructions=words)
    tools = Tools(pipeline)
    for tool in (tools.look, tools.ask, tools.locate):
        found.add_tool(tool, annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False))
    return found


def main() -> None:
    """Serve until stdin ends."""
    parser = argparse.ArgumentParser("python -m lion.plugins.mcp", description="LION as an MCP server over stdio.")
    parser.add_argument("model", nargs="?", help="a checkpoint folder or Hub id; left out: lion-mini, a toy")
    parser.add_argument("--device", help="cpu, cuda, ...; left out: a GPU if there is one")
    parser.add_argument("--decoding", default="lion", help="a preset: lion, official, short, boxes or greedy")
    given = parser.parse_args()
    try:
        pipeline = LionPipeline.from_pretrained(given.model, device=given.device, decoding=given.decoding)
    except LionError as error:
        sys.exit(f"lion: error: {error}")
    server(pipeline).run("stdio")


if __name__ == "__main__":
    main()
