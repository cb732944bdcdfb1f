"""What a server allows: limits of requests, keys, hosts. The defaults suit one machine on its own."""

import base64
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from hmac import compare_digest
from pathlib import Path

from lion.errors import LionError

KEYS_VARIABLE = "LION_API_KEYS"
"""Environment variable with API keys, separated by commas."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Limits and permissions of one server process; it is pickled for the others."""

    body_mb: int = 20
    """Megabytes of a request's body, and of a picture fetched from a URL."""
    megapixels: int = 40
    """Of a picture, by its header, before it is decoded."""
    pictures: int = 16
    """Pictures in a request."""
    answers: int = 64
    """Pairs of picture and question in a request, or ``n`` of a chat completion."""
    requests: int = 128
    """Requests in progress; further ones get 429."""
    requests_per_minute: int = 0
    """Of a key, or without keys of a client's address; 0 for no limit."""
    deadline: float = 60.0
    """Seconds from the arrival of a request's body to its answer."""
    body_seconds: float = 30.0
    """Seconds in which a request's body must have arrived."""
    max_tokens: int = 256
    """Tokens an answer may have, whatever a request allows; ``finish_reason`` is ``length`` where it strikes."""
    decode_processes: int = 2
    """Processes that decode pictures, and as many more for large ones, once there are any."""
    decode_mb: int = 2048
    """Megabytes of address space that each of them may take."""
    decode_seconds: float = 10.0
    """Seconds of CPU time that a picture may take there."""
    hosts: frozenset[str] = frozenset()
    """Hosts that picture URLs may name."""
    page: bool = True
    """Whether there is a page at ``/``."""
    routes: tuple[str, ...] = ()
    """Modules whose ``router`` is added to the app."""
    keys: Mapping[bytes, str] = field(default_factory=dict, repr=False)
    """Digests of the API keys, and what logs call them; empty for no keys."""

    def key_name(self, header: str | None) -> str | None:
        """What logs call the key of an ``Authorization`` header; None if it is not one of ours.

        The key stands there as a bearer token, or as the password of any user name. Every key is compared, each in
        constant time, so that the time tells nothing about them.
        """
        given = digest(_key_of(header or ""))
        found = None
        for known, name in self.keys.items():
            if compare_digest(known, given):
                found = name
        return found


def _key_of(header: str) -> str:
    if not header.startswith("Basic "):
        return header.removeprefix("Bearer ").strip()
    try:
        return base64.b64decode(header.removeprefix("Basic ")).decode().partition(":")[2]
    except ValueError:
        return ""


def digest(key: str) -> bytes:
    """What is kept of an API key."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def read_keys(file: Path | None) -> dict[bytes, str]:
    """API keys of a file, one a line (blank lines and lines that start with ``#`` are passed over), and of the
    environment variable ``LION_API_KEYS``; logs know them by the first digits of their digest.

    Raises: LionError if the file cannot be read or holds no key.
    """
    keys = [key.strip() for key in os.environ.get(KEYS_VARIABLE, "").split(",") if key.strip()]
    if file is not None:
        try:
            lines = [line.strip() for line in file.expanduser().read_text(encoding="utf-8-sig").splitlines()]
        except (OSError, UnicodeDecodeError) as error:
            raise LionError(f"--api-keys {file} cannot be read; name a text file with one key a line") from error
        own = [line for line in lines if line and not line.startswith("#")]
        if not own:
            raise LionError(f"--api-keys {file} holds no key; write one a line")
        keys += own
    return {digest(key): digest(key).hex()[:8] for key in keys}
