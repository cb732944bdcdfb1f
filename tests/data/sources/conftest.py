"""Readers' tests: a folder to fill, and pictures that exist without holding anything."""

import json

import pytest


class Folder:
    """A dataset in the making."""

    def __init__(self, path):
        self.path = path

    def put(self, name, value):
        """A file: text as it is, bytes as they are, everything else as JSON."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(value, bytes):
            path.write_bytes(value)
        else:
            path.write_text(value if isinstance(value, str) else json.dumps(value))
        return path

    def lines(self, name, rows):
        """A JSON object a line."""
        return self.put(name, "".join(json.dumps(row) + "\n" for row in rows))

    def pictures(self, *names):
        """Files that are looked for and not opened."""
        for name in names:
            self.put(name, b"")


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)
