"""The desk where calls arrive: it opens the transaction, and answers a repeated key with what it answered before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import pydantic_core
from mcp.server.mcpserver.exceptions import ToolError
from sqlalchemy import insert, select
from sqlalchemy.exc import OperationalError

from tools.telecom import schema
from tools.telecom.call import Answer, Call, Tool
from tools.telecom.database import Database

#: Where the caller says in a request's `_meta` which conversation it serves, and under which key.
CONVERSATION = "parley/conversation"
KEY = "parley/idempotency-key"
#: And who is signed in, where somebody is.
CUSTOMER = "parley/customer"
#: The conversation of clients that know of none, such as an inspector.
DIRECT = "direct"
LONGEST_NAME = 200


class Desk:
    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    async def answer(self, tool: Tool, arguments: Mapping[str, Any], meta: Mapping[str, Any]) -> Answer:
        """Run the tool in one transaction: all of its effects, the reply under its key, or nothing."""
        conversation, key = _name(meta, CONVERSATION) or DIRECT, _name(meta, KEY)
        try:
            async with self._database.transaction(writes=tool.writes) as db:
                call = Call(db, tool.name, conversation, key, self._clock(), _name(meta, CUSTOMER))
                return await (_once(call, tool, arguments) if tool.writes and key else _now(call, tool, arguments))
        except OperationalError as error:
            raise ToolError("Our records cannot be reached at the moment. Please try again in a minute.") from error

    async def close(self) -> None:
        await self._database.close()


async def _now(call: Call, tool: Tool, arguments: Mapping[str, Any]) -> Answer:
    plain: Answer = pydantic_core.to_jsonable_python(await tool.act(call, **arguments))
    return plain


async def _once(call: Call, tool: Tool, arguments: Mapping[str, Any]) -> Answer:
    fingerprint = _fingerprint(call, arguments)
    table = schema.replies
    earlier = (await call.db.execute(select(table).where(table.c.key == call.key))).one_or_none()
    if earlier is None:
        reply = await _now(call, tool, arguments)
        await call.db.execute(insert(table).values(key=call.key, fingerprint=fingerprint, reply=reply, at=call.at))
        return reply
    if earlier.fingerprint != fingerprint:
        raise ToolError("This idempotency key was used for another call. Nothing was done.")
    repeated: Answer = earlier.reply
    return repeated


def _fingerprint(call: Call, arguments: Mapping[str, Any]) -> str:
    asked = [call.tool, call.conversation, pydantic_core.to_jsonable_python(dict(arguments))]
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def _name(meta: Mapping[str, Any], field: str) -> str | None:
    value = meta.get(field)
    if value is None:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_NAME:
        raise ToolError(f"The request's {field} has to be a text of 1 to {LONGEST_NAME} characters.")
    return value
