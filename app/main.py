"""Puts the HTTP side together; the only place that does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from agent_core.door import Premises
from agent_core.settings import Settings
from app import (
    agui_routes,
    conversations,
    demo,
    desk,
    feed,
    gate,
    health,
    operators,
    pages,
    problems,
    team,
    visitors,
    voice,
    voice_worker,
    widget,
)
from app.entrance import Entrance
from app.house import House
from app.tokens import Tokens

#: While developing, a page of one's own may run on any port of this machine.
LOOPBACK = r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?"
DESCRIPTION = """One conversation between a customer and a business's agent.

`POST /conversations` gives a conversation and a token; send the token as `Authorization: Bearer ...`. Post messages,
watch `/events`. Stock AG-UI clients use `/agui/run`, CopilotKit uses `/copilotkit`."""

OpenDoor = Callable[[], AbstractAsyncContextManager[Premises]]


def create_app(settings: Settings, door: Premises | OpenDoor) -> FastAPI:
    """`door`: an open one, or how to open it when the server starts. Raises SetupError."""
    house = House(settings, Tokens(settings))
    app = FastAPI(
        title="Parley",
        version=version("parley"),
        description=DESCRIPTION,
        lifespan=_lifespan(house, door),
        docs_url=None,
        redoc_url=None,
        separate_input_output_schemas=False,
        redirect_slashes=False,
    )
    app.state.house = house
    # They are looked through in this order: what is asked for all the time comes first.
    for router in (agui_routes.router, agui_routes.copilotkit, conversations.router, feed.router, visitors.router):
        app.include_router(router)
    for router in (voice.router, voice_worker.router, operators.router, team.router, gate.router, desk.router):
        app.include_router(router)
    for router in (pages.router, widget.router, demo.router, health.router):
        app.include_router(router)
    problems.add_handlers(app)
    app.add_middleware(Entrance, house=house)
    _allow_origins(app, settings)
    return app


def _lifespan(house: House, door: Premises | OpenDoor) -> Callable[[FastAPI], Any]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if not callable(door):
            yield
            return
        async with door() as opened:
            house.door_or_none = opened
            try:
                yield
            finally:
                house.door_or_none = None

    if not callable(door):
        house.door_or_none = door
    return lifespan


def _allow_origins(app: FastAPI, settings: Settings) -> None:
    development = settings.environment == "development"
    if not settings.allowed_origins and not development:
        return
    app.add_middleware(
        CORSMiddleware,
        allow_origins=settings.allowed_origins,
        allow_origin_regex=LOOPBACK if development else None,
        allow_methods=["GET", "POST", "PUT", "DELETE"],
        allow_headers=["*"],
        expose_headers=["ETag", "Retry-After", "X-Request-Id"],
        max_age=600,
    )
