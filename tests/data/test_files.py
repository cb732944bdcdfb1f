"""Files by path or URL: whatever fails behind a URL is one line."""

import tarfile
import zlib

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


class PayloadError(Exception):
    """As aiohttp's, where a server stops in the middle."""


@pytest.mark.parametrize("error", [ConnectionResetError(), TimeoutError(), OSError(5, "I/O"), PayloadError("not all")])
def test_a_connection_that_ends_is_no_damage_of_an_archive(error):
    assert files.broke_off("s3://bucket/x.tar", error) and not files.broke_off("/data/x.tar", error)


@pytest.mark.parametrize(
    "error",
    [tarfile.ReadError("short"), ValueError("Arrow: invalid"), OSError("Couldn't deserialize thrift"), EOFError(),
     zlib.error("Error -3"), KeyError("column"), LionError("no such file")],
)  # fmt: skip
def test_damage_of_an_archive_behind_a_url_is_no_connection_that_ends(error):
    assert not files.broke_off("s3://bucket/x.tar", error)
