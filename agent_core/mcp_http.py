"""Streamable HTTP to an MCP server, where one failed request costs one call and no body is read without end.

The library's transport ends the whole connection when a single request cannot be sent, and reads a JSON answer of any
size. Here every failure becomes a JSON-RPC error of that request, which tells apart what was never sent.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpx2
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CONNECTION_CLOSED

# One answer of 4 MB costs the event loop about 30 ms.
MESSAGE_BYTES = 4 * 1024 * 1024

# From the range that JSON-RPC leaves to implementations; they never come from a server.
NOT_SENT = -32_091
TOO_LARGE = -32_092

# How the library words an event over its limit, which it reports with the code of a lost connection.
EVENT_TOO_LARGE = "event exceeded the"


@asynccontextmanager
async def http_streams(url: str, headers: Mapping[str, str]) -> AsyncIterator[tuple]:
    """The two streams that mcp.Client wants of a transport. Each call has its own time limit, so reading has none."""
    client = httpx2.AsyncClient(
        transport=_BoundedTransport(httpx2.AsyncHTTPTransport()),
        # Unpacking happens inside the client, where a few KB can become gigabytes.
        headers={**headers, "accept-encoding": "identity"},
        timeout=httpx2.Timeout(10, read=None),
        trust_env=False,
    )
    async with client, streamable_http_client(url, http_client=client, max_sse_event_size=MESSAGE_BYTES) as streams:
        yield streams


class _BoundedTransport(httpx2.AsyncBaseTransport):
    def __init__(self, inner: httpx2.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        try:
            response = await self._inner.handle_async_request(request)
            return await self._bounded(request, response)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            return _failed(request, NOT_SENT, f"no connection: {error}")
        except httpx2.TransportError as error:
            return _failed(request, CONNECTION_CLOSED, f"connection lost: {error}")

    async def _bounded(self, request: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
        if response.headers.get("content-encoding", "identity") != "identity":
            await response.aclose()
            return _failed(request, TOO_LARGE, "a packed answer, which was not asked for")
        kind = response.headers.get("content-type", "").lower()
        if kind.startswith("application/json"):
            return await _read(request, response)
        if response.status_code >= 400 and request.method == "POST" and response.status_code != 404:
            await response.aclose()
            # From 500 on it may be a proxy whose server went while it worked on the call.
            code = CONNECTION_CLOSED if response.status_code >= 500 else NOT_SENT
            return _failed(request, code, f"HTTP {response.status_code}")
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


async def _read(request: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
    body = bytearray()
    try:
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > MESSAGE_BYTES:
                return _failed(request, TOO_LARGE, "the answer is too large")
    finally:
        await response.aclose()
    return httpx2.Response(
        response.status_code, headers=_without_length(response.headers), content=bytes(body), request=request
    )


def _without_length(headers: httpx2.Headers) -> list[tuple[str, str]]:
    framing = ("content-length", "transfer-encoding")
    return [(name, value) for name, value in headers.multi_items() if name.lower() not in framing]


def _failed(request: httpx2.Request, code: int, words: str) -> httpx2.Response:
    """A refusal in JSON-RPC: the library hands it to the one call that the request carried."""
    error = {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": words[:300]}}
    headers = {"content-type": "application/json"}
    return httpx2.Response(502, headers=headers, content=json.dumps(error).encode(), request=request)
