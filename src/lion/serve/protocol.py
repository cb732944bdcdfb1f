"""Connections whose next request does not begin in time are closed: a thousand would be all that a process may have."""

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10.0
"""From the opening of a connection, or the end of an answer, to the last of the next request's headers."""


class HttpProtocol(H11Protocol):
    """uvicorn's protocol of HTTP/1.1, which waits for headers as long as they keep coming, but not longer than that."""

    _late: asyncio.TimerHandle | None = None
    _until = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The first request may come."""
        super().connection_made(transport)
        self._watch()

    def on_response_complete(self) -> None:
        """The next request may come."""
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing comes any more."""
        super().connection_lost(exc)
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
