"""Origins: this server's own, as the browser sees it, and the other name that this machine has for itself."""

from __future__ import annotations

import re

from fastapi import Request

#: What may stand in `Host`. It goes into headers, so nothing else may.
HOST = re.compile(r"([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?")
OTHER_NAMES = {"localhost": "127.0.0.1", "127.0.0.1": "localhost", "[::1]": "localhost"}


def own(request: Request) -> str:
    """Scheme, host and port as the browser has them; nothing for a Host that is none."""
    host = _host(request)
    return f"{request.url.scheme}://{host}" if host else ""


def is_own(request: Request, origin: str) -> bool:
    """By host and port, as a proxy that ends TLS may not tell the scheme."""
    host = _host(request)
    return bool(host) and origin.partition("://")[2].lower() == host


def other_name(request: Request) -> str:
    """The same server under its other loopback name, so another origin; its own where there is none."""
    host = HOST.fullmatch(_host(request))
    if host is None or host[1] not in OTHER_NAMES:
        return own(request)
    return f"{request.url.scheme}://{OTHER_NAMES[host[1]]}{host[2] or ''}"


def loopback(request: Request) -> tuple[str, ...]:
    """This server under both loopback names, as exact origins."""
    host = HOST.fullmatch(_host(request))
    port = (host[2] or "") if host is not None else ""
    return tuple(f"{request.url.scheme}://{name}{port}" for name in ("localhost", "127.0.0.1"))


def _host(request: Request) -> str:
    host = request.headers.get("host", "").lower()
    return host if HOST.fullmatch(host) else ""
