"""Pictures from the web, where the server allows the host: no redirects, no address of a private network.

The name is resolved once, the address checked, and the connection goes to that address, so that a name which resolves
to another one a moment later gains nothing.
"""

import socket
import ssl
import time
from http.client import HTTPConnection, HTTPException
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import SplitResult, urlsplit

from lion.errors import LionError, first_line

PORTS = {"http": 80, "https": 443}
CHUNK = 1 << 16
_TRANSLATED = IPv6Network("64:ff9b::/96")
"""Addresses that gateways translate to IPv4."""


def fetch(url: str, hosts: frozenset[str], most_bytes: int, seconds: float) -> bytes:
    """The content of a URL.

    Args:
        url: http or https.
        hosts: names that it may have.
        most_bytes: of the content.
        seconds: for all of it.

    Raises: LionError for another scheme or host, an address that is not public, an answer other than 200, or content
        that is too large or takes too long.
    """
    parts = _checked(url, hosts)
    port, name = parts.port or PORTS[parts.scheme], parts.hostname or ""
    until = time.monotonic() + seconds
    try:
        connection = _Connection(
            name, port, timeout=seconds, address=public_address(name, port), tls=parts.scheme == "https"
        )
        try:
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("GET", target, headers={"Accept": "image/*", "User-Agent": "lion"})
            answer = connection.getresponse()
            if answer.status != 200:
                moved = ", and redirects are not followed: give the last URL" if 300 <= answer.status < 400 else ""
                raise LionError(f"{name} answered {answer.status}{moved}")
            if int(answer.getheader("Content-Length") or 0) > most_bytes:
                raise _too_large(most_bytes)
            content = bytearray()
            while chunk := answer.read1(CHUNK):
                content += chunk
                if len(content) > most_bytes:
                    raise _too_large(most_bytes)
                if time.monotonic() > until:
                    raise TimeoutError("it takes too long")
            return bytes(content)
        finally:
            connection.close()
    except LionError:
        raise
    except (OSError, HTTPException, ValueError) as error:
        raise LionError(f"the picture at {name} cannot be fetched: {first_line(error)}") from error


def _checked(url: str, hosts: frozenset[str]) -> SplitResult:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise LionError(f"an image URL is not readable: {error}") from error
    if parts.scheme not in PORTS:
        raise LionError("an image URL begins with data:, or with http(s): where the server allows the host")
    name = parts.hostname or ""
    if name not in hosts or port not in (None, PORTS[parts.scheme]) or parts.username is not None:
        raise LionError(
            f"this server does not fetch from '{parts.netloc[:100]}': send the picture as a data: URL, or have it "
            "started with --allow-url HOST"
        )
    if not url.isascii() or any(letter <= " " for letter in url):
        raise LionError("an image URL holds blanks or letters that are not ASCII: percent-encode them")
    return parts


def public_address(name: str, port: int) -> str:
    """The address of a host. Raises: LionError unless all that it has are public; OSError if it has none."""
    found = [str(entry[4][0]) for entry in socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)]
    if not found or not all(map(is_public, found)):
        raise LionError(f"'{name}' has an address in a private network, from which this server does not fetch")
    return found[0]


def is_public(address: str) -> bool:
    """Whether an address is one of the open internet; one that wraps another (IPv4 in IPv6) is as that one."""
    parsed: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    if isinstance(parsed, IPv6Address):
        low = IPv4Address(int(parsed) & 0xFFFFFFFF)
        wraps = (
            parsed.ipv4_mapped or parsed.sixtofour or (low if parsed in _TRANSLATED or int(parsed) < 2**32 else None)
        )
        if wraps is not None:
            return is_public(str(wraps))
    return parsed.is_global and not parsed.is_multicast and not parsed.is_reserved


class _Connection(HTTPConnection):
    """To an address that was checked; host and certificate are the name's."""

    def __init__(self, name: str, port: int, *, timeout: float, address: str, tls: bool) -> None:
        super().__init__(name, port, timeout=timeout)
        self.address, self.tls = address, tls
        self.default_port = PORTS["https" if tls else "http"]

    def connect(self) -> None:
        """Open the connection."""
        self.sock = socket.create_connection((self.address, self.port), self.timeout)
        if self.tls:
            self.sock = ssl.create_default_context().wrap_socket(self.sock, server_hostname=self.host)


def _too_large(most_bytes: int) -> LionError:
    return LionError(f"the picture is larger than {most_bytes // 2**20} MB, the limit: shrink it")
