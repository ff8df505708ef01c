"""Run the demo business as an MCP server: `python -m tools --stdio` or `--http`."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence

from tools.telecom.database import OtherVersion
from tools.telecom.server import create_server

DATABASE = os.environ.get("PARLEY_TOOLS_DATABASE", "var/telecom.db")


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
        print(f"Cobalt Mobile listens on http://{asked.host}:{asked.port}/mcp", file=sys.stderr, flush=True)
        server.run("streamable-http", host=asked.host, port=asked.port)
    else:
        server.run("stdio")
    return 0


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="parley tools", description="The demo telecom as an MCP server.")
    transport = parser.add_mutually_exclusive_group(required=True)
    transport.add_argument("--stdio", action="store_true", help="speak MCP over standard input and output")
    transport.add_argument("--http", action="store_true", help="speak MCP over streamable HTTP at /mcp")
    parser.add_argument("--host", default="127.0.0.1", help="address of --http (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8765, help="port of --http (default: %(default)s)")
    parser.add_argument("--database", default=DATABASE, help="the SQLite file (default: %(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
