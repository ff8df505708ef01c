"""The business's page: another origin than Parley's, under a policy as strict as a host's can be."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

#: No inline script or style, no eval, no HTML from text; what embedding needs is Parley's origin in two places.
STRICT = (
    "default-src 'none'; script-src {parley}; frame-src {parley}; style-src 'none'; base-uri 'none'; form-action 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
PAGE = """<!doctype html>
<html lang="{language}">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>A shop</title></head>
<body>
<main id="app"><h1>A shop</h1><p>It sells things.</p><a href="#more">More</a><div id="here"></div></main>
{lines}
</body>
</html>"""


class Host:
    """Serves pages on this machine. In the browser it goes by several names."""

    def __init__(self) -> None:
        self._pages: dict[str, tuple[str, str]] = {}
        self.port = 0

    def origin(self, name: str = "localhost") -> str:
        return f"http://{name}:{self.port}"

    def put(self, path: str, parley: str, *, lines: int = 1, language: str = "en", **attributes: str) -> None:
        """A page that embeds the widget from `parley` by its one line; `open=""` is `data-open`."""
        told = {"site": "demo", **attributes}
        data = " ".join(f'data-{name}="{value}"' for name, value in told.items())
        line = f'<script src="{parley}/widget.js" {data} async></script>'
        page = PAGE.format(language=language, lines="\n".join([line] * lines))
        self._pages[path] = (page, STRICT.format(parley=parley))

    def put_page(self, path: str, text: str, policy: str) -> None:
        """A page as its business wrote it."""
        self._pages[path] = (text, policy)

    async def answer(self, request: web.Request) -> web.Response:
        if request.path not in self._pages:
            raise web.HTTPNotFound
        page, policy = self._pages[request.path]
        return web.Response(text=page, content_type="text/html", headers={"Content-Security-Policy": policy})


@asynccontextmanager
async def hosting() -> AsyncIterator[Host]:
    host = Host()
    app = web.Application()
    app.router.add_get("/{path:.*}", host.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host.port = runner.addresses[0][1]
        yield host
    finally:
        await runner.cleanup()
