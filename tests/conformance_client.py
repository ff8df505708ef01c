"""What the conformance suite runs as a client: connect to the address in the last argument and use what is there."""

from __future__ import annotations

import asyncio
import sys

from agent_core.tool_servers import ServerConfig, ToolServers

ARGUMENTS = {"add_numbers": {"a": 5, "b": 3}}


async def main(url: str) -> None:
    servers = ToolServers([ServerConfig("suite", url=url)])
    await servers.start()
    try:
        for tool in servers.tools():
            answer = await servers.call(tool.name, ARGUMENTS.get(tool.name, {}), timeout=20, meta={})
            print(tool.name, answer.text)
        print(servers.health()["suite"])
    finally:
        await servers.aclose()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[-1]))
