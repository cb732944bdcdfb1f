"""Files by path or URL: whatever fails behind a URL is one line."""

import pytest

from lion.data import files
from lion.errors import LionError


class NoCredentialsError(Exception):
    """As botocore's: of no type that Python has."""


class Unreachable:
    """A file system whose every call fails."""

    def __getattr__(self, name):
        def fails(*arguments, **settings):
            raise NoCredentialsError("Unable to locate credentials\nand more")

        return fails


@pytest.mark.parametrize(
    "read",
    [files.listed, files.stamp, files.open_file, files.read_file, lambda path: files.read_range(path, 0, 5)],
    ids=["listed", "stamp", "open_file", "read_file", "read_range"],
)
def test_errors_of_the_package_behind_a_url_are_one_line(monkeypatch, read):
    monkeypatch.setattr(files, "_system", lambda url: (Unreachable(), url))
    with pytest.raises(LionError, match=r"^s3://bucket/x: Unable to locate credentials$"):
        read("s3://bucket/x")
