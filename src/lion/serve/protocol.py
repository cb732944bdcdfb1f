"""Connections: the system deals them out among processes with one port, and one whose next request does not begin in
time is closed, since a thousand would be all that a process may have.
"""

import asyncio
import os
import socket
from typing import Any
from weakref import proxy

import h11
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.h11_impl import H11Protocol

from lion.serve.errors import log_line

HEAD_SECONDS = 10.0
"""From the opening of a connection, or the end of an answer, to the last of the next request's headers."""
GONE = "gone"
"""Where a request's state has a future that is done once its connection is lost."""
UNREAD = 2**19
"""Bytes of a body of POST that wait for the app."""


class Loop(asyncio.SelectorEventLoop):
    """asyncio's loop in one of several processes with one port. Each listens on a socket of its own, from when it is
    ready until it ends: on a common one, the process that wakes first may have every client of a burst."""

    async def create_server(self, *place: Any, sock: socket.socket | None = None, **options: Any) -> asyncio.Server:
        """As asyncio's; where a socket is given, one that does not listen, at its address."""
        if sock is None:
            return await super().create_server(*place, **options)
        server = await super().create_server(*place, sock=shared(sock.family, sock.getsockname()), **options)
        log_line({"listening": url_of(sock), "process": os.getpid()})
        return server


def shared(family: int, address: tuple[Any, ...]) -> socket.socket:
    """A socket at an address that others of the same user may have as well."""
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # also where connections of the last server linger
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind(address)
    return made


def url_of(listener: socket.socket) -> str:
    """Where it listens."""
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


class _Flow(FlowControl):
    """uvicorn's, for bodies that are read as they come: to stop reading at 64 kB and go on at once costs four calls of
    the system."""

    def __init__(self, protocol: "HttpProtocol") -> None:
        super().__init__(protocol.transport)
        self._protocol = proxy(protocol)  # which holds this: it should go, with all it holds, when its client does

    def pause_reading(self) -> None:
        """No more from this client for now, unless it is a body that the guards read, of which there is little yet."""
        read = self._protocol.conn.their_state is h11.SEND_BODY and self._protocol.scope["method"] == "POST"
        if not read or len(self._protocol.cycle.body) > UNREAD:
            super().pause_reading()


class HttpProtocol(H11Protocol):
    """uvicorn's protocol of HTTP/1.1, which waits for headers as long as they keep coming, but not longer than that."""

    _gone: asyncio.Future[None]
    _late: asyncio.TimerHandle | None = None
    _until = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The first request may come."""
        super().connection_made(transport)
        self.flow = _Flow(self)
        self._gone = self.loop.create_future()
        self._watch()

    def handle_events(self) -> None:
        """As uvicorn's; a request's state has what ends when its client goes."""
        super().handle_events()
        if self.scope is not None:
            self.scope["state"][GONE] = self._gone

    def on_response_complete(self) -> None:
        """The next request may come."""
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing comes any more."""
        super().connection_lost(exc)
        self._gone.set_result(None)
        if self._late:
            self._late.cancel()

    def _watch(self) -> None:
        """One timer serves many requests: it looks at the time when it ends, which is cheaper than to set it anew."""
        self._until = self.loop.time() + HEAD_SECONDS
        if self._late is None:
            self._late = self.loop.call_at(self._until, self._close_if_late)

    def _close_if_late(self) -> None:
        self._late = None
        if self.cycle is not None and not self.cycle.response_complete:
            return  # its end begins the next wait
        if self.loop.time() < self._until:
            self._late = self.loop.call_at(self._until, self._close_if_late)
        else:
            self.transport.close()
