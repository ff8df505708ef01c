"""Beginning conversations over HTTP: in the team and the language of the visitor's site, and within the visitor's limit."""

from __future__ import annotations

from dataclasses import replace

from agent_core.door import Principal, Start
from app.house import House


async def begin(house: House, who: Principal, start: Start) -> str:
    """The conversation; the same one again where the thread is known. Raises TooMany, Invalid."""
    known = house.threads.known(who, start.thread) if start.thread is not None else None
    if known is None:  # to come back to a conversation, on each page of a shop, is not to begin one
        house.limits.start(who)
    conversation = await house.door.start(who, await at_site(house, who, start))
    if known is not None and conversation != known:  # the known one was erased meanwhile
        house.limits.start(who)
    if start.thread is not None:
        house.threads.remember(who, start.thread, conversation)
    return conversation


async def at_site(house: House, who: Principal, start: Start) -> Start:
    if who.role not in ("visitor", "customer"):
        return start
    site = await house.door.site(who.site)
    if site is None:
        return start
    speaks = house.door.reception().languages
    likes = (who.language, site.language if site.language != "auto" else None)
    language = start.language or next((like for like in likes if like in speaks), None)
    return replace(start, team=start.team or site.team, language=language)
