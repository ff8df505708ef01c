"""Run the demo business as an MCP server: `python -m tools --stdio` or `--http`."""

from __future__ import annotations

import argparse
import logging
import os
import socket
import sys
from collections.abc import Sequence

import uvicorn

from tools.telecom.database import OtherVersion
from tools.telecom.server import create_server

#: Names the SQLite file where `--database` does not.
SETTING = "PARLEY_TOOLS_DATABASE"


def main(argv: Sequence[str] | None = None) -> int:
    asked = _arguments().parse_args(argv)
    # Over stdio, stdout is the protocol.
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    try:
        server = create_server(asked.database)
    except OtherVersion as error:
        print(error, file=sys.stderr)
        return 1
    if asked.http:
        app = server.streamable_http_app(host=asked.host)
        _Listener(uvicorn.Config(app, host=asked.host, port=asked.port, log_level="warning")).run()
    else:
        server.run("stdio")
    return 0


class _Listener(uvicorn.Server):
    """Says where it listens, once it does: with port 0 nobody knows before."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        print(f"Cobalt Mobile listens on http://{host}:{port}/mcp", file=sys.stderr, flush=True)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="parley tools", description="The demo telecom as an MCP server.")
    transport = parser.add_mutually_exclusive_group(required=True)
    transport.add_argument("--stdio", action="store_true", help="speak MCP over standard input and output")
    transport.add_argument("--http", action="store_true", help="speak MCP over streamable HTTP at /mcp")
    parser.add_argument("--host", default="127.0.0.1", help="address of --http (default: %(default)s)")
    parser.add_argument(
        "--port", type=int, default=8765, help="port of --http, 0 for any free one (default: %(default)s)"
    )
    database = os.environ.get(SETTING, "var/telecom.db")
    parser.add_argument("--database", default=database, help=f"the SQLite file (default: ${SETTING}, or %(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
