"""The states that a customer can see the chat in, each made by a real conversation: to be checked, and to be looked at."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from playwright.async_api import BrowserContext, expect

from agent_core.errors import ModelUnavailable
from agent_core.settings import DEMO_TEAM
from tests.browser import cards
from tests.browser.panel import Panel
from tests.browser.stage import Stage
from tests.scripted import Call, Fail, Hold

Step = Any
Act = Callable[[Stage, Panel], Awaitable[None]]

ANSWER = """Here is what I found about **Pure M**:

1. 20 GB a month, *5G* included
2. Cancel any month

| Plan | Data | Price |
| --- | --- | --- |
| Pure S | 5 GB | €14.99 |
| Pure M | 20 GB | €24.99 |

> Prices include VAT.

More at [our page](https://cobalt.example/plans) and `*#21#` shows whether calls are forwarded.

```
*#06#
```
"""
SITE = {
    "name": "Cobalt Mobile",
    "greeting": {
        "en": "Hello, how can I help?",
        "de": "Hallo, wie kann ich helfen?",
        "ar": "مرحبًا، كيف يمكنني المساعدة؟",
    },
    "starters": {
        "en": ("Which plan fits me?", "Why is my bill higher?"),
        "de": ("Welcher Tarif passt zu mir?", "Warum ist meine Rechnung höher?"),
        "ar": ("أي باقة تناسبني؟", "لماذا فاتورتي أعلى؟"),
    },
}


async def nothing(stage: Stage, panel: Panel) -> None:
    await expect(panel.box).to_be_visible()


def said(text: str = "Show me", until: str | None = None) -> Act:
    async def act(_stage: Stage, panel: Panel) -> None:
        await panel.say(text)
        if until is not None:
            await panel.hears(until)

    return act


def then(*acts: Act) -> Act:
    async def act(stage: Stage, panel: Panel) -> None:
        for one in acts:
            await one(stage, panel)

    return act


def clicks(name: str) -> Act:
    async def act(_stage: Stage, panel: Panel) -> None:
        await panel.button(name).first.click()

    return act


def shows(selector: str) -> Act:
    async def act(_stage: Stage, panel: Panel) -> None:
        await expect(panel.root.locator(selector).first).to_be_visible()

    return act


def taps(selector: str) -> Act:
    async def act(_stage: Stage, panel: Panel) -> None:
        await panel.root.locator(selector).first.click()

    return act


#: Without a line: how it looks, and nothing else.
CALL = {
    "place": "on",
    "session": "voice_1",
    "agent": "speaking",
    "muted": False,
    "broken": False,
    "silent": False,
    "captions": [
        {"id": "1", "who": "user", "text": "What does it cost a month?"},
        {"id": "2", "who": "agent", "text": "Twenty-two euros and forty-nine cents, and you can cancel any month."},
    ],
    "note": "",
    "words": "",
}


def calls(**fields: Any) -> Act:
    async def act(_stage: Stage, panel: Panel) -> None:
        await panel.chat.evaluate("(chat, call) => { chat.call = call; }", CALL | fields)
        await expect(panel.root.locator("parley-call section")).to_be_visible()

    return act


async def operator_comes(stage: Stage, panel: Panel) -> None:
    served = stage.served
    (line,) = (await served.http.get("/operator/conversations", headers=served.operator)).json()["conversations"]
    place = f"/operator/conversations/{line['conversation']}"
    await served.http.post(f"{place}/floor", headers=served.operator)
    words = {"client_message_id": "o1", "text": "Hello, this is Maya. I have your contract in front of me."}
    await served.http.post(f"{place}/messages", json=words, headers=served.operator)
    await expect(panel.messages("operator")).to_be_visible()


async def goes_offline(_stage: Stage, panel: Panel) -> None:
    await panel.page.context.set_offline(True)
    await panel.say("Are you still there?")
    await expect(panel.notice).to_be_visible()


@dataclass(frozen=True)
class State:
    steps: tuple[Step, ...] = ()
    act: Act = nothing
    overrides: dict[str, Any] = field(default_factory=dict)

    async def enter(self, stage: Stage, context: BrowserContext | None = None, **line: Any) -> Panel:
        """The chat in this state."""
        cards.stock()
        await stage.serve(*deepcopy(self.steps), site=SITE, **self.overrides)
        panel = await stage.chat(context, **line)
        await self.act(stage, panel)
        return panel


LOOK = "Have a look."


def _card(call: Call) -> tuple[Step, ...]:
    return ([call], LOOK, [call], "Better?", "Thank you.")


#: All cards in one thread, and a question that waits for its answer.
EVERYTHING = State(
    (
        [Call("lookup", {"q": "plans"}), cards.ALERT, cards.CHOICES, cards.CHECKLIST, cards.FORM, cards.OFFER],
        ANSWER,
        [cards.LOCK],
        "Done.",
    ),
    then(
        said("Show me all of it, and https://cobalt.example/" + "a" * 80, "*#06#"),
        said("Lock it"),
        shows("parley-approval"),
    ),
)
STATES: dict[str, State] = {
    "empty": State(),
    "menu": State(act=clicks("More")),
    "answer": State(([Call("lookup", {"q": "plans"})], ANSWER), said("Tell me about Pure M", "More at")),
    "writing": State((["Let me ", "see. ", Hold()],), then(said("Hello"), shows(".caret"))),
    "thinking": State(([Hold()],), then(said("Hello"), shows(".thinking"))),
    "failed": State(([Fail(ModelUnavailable("down"))],), then(said("Hello"), shows(".failed"))),
    "offline": State(("Hello.",), then(said("Hi", "Hello."), goes_offline)),
    "operator": State(("Hello.",), then(said("I want a person", "Hello."), operator_comes)),
    "offer": State(_card(cards.OFFER), said("Show me", LOOK)),
    "offer wish": State(_card(cards.OFFER), then(said("Show me", LOOK), clicks("Ask for a change"))),
    "offer accepted": State(
        ([cards.OFFER], LOOK, "Thank you."), then(said("Show me", LOOK), clicks("Accept"), shows(".state.good"))
    ),
    "offer replaced": State(_card(cards.OFFER), then(said("Show me", LOOK), said("Cheaper", "Better?"))),
    "quote": State(([cards.QUOTE], LOOK), said("Show me", LOOK), {"team_file": DEMO_TEAM}),
    "form": State(_card(cards.FORM), said("Show me", LOOK)),
    "form wrong": State(_card(cards.FORM), then(said("Show me", LOOK), clicks("Send"), shows(".error"))),
    "choices": State(_card(cards.CHOICES), said("Show me", LOOK)),
    "choices ticked": State(_card(cards.SEVERAL), then(said("Show me", LOOK), taps(".option"))),
    "choices made": State(([cards.CHOICES], LOOK, "Fine."), then(said("Show me", LOOK), clicks("None of these"))),
    "checklist": State(_card(cards.CHECKLIST), said("Show me", LOOK)),
    "alert": State(_card(cards.ALERT), said("Show me", LOOK)),
    "approval": State(([cards.LOCK], "Done."), then(said("Lock my card"), shows("parley-approval"))),
    "approval edited": State(
        ([cards.LOCK], "Done."), then(said("Lock my card"), clicks("Change"), shows("parley-approval textarea"))
    ),
    "approval done": State(
        ([cards.LOCK], "It is locked."), then(said("Lock my card"), clicks("Yes, do it"), shows(".state.good"))
    ),
    "call explained": State(("Hello.",), then(said("Hi", "Hello."), calls(place="explaining"))),
    "call connecting": State(("Hello.",), then(said("Hi", "Hello."), calls(place="connecting", captions=[]))),
    "call": State(("Hello.",), then(said("Hi", "Hello."), calls())),
    "call muted": State(("Hello.",), then(said("Hi", "Hello."), calls(agent="listening", muted=True, silent=True))),
    "call over": State(("Hello.",), then(said("Hi", "Hello."), calls(place="over", note="callEnded"))),
    "approval hidden": State(
        ([Call("lock", {"card": "47\u202e11", "note": "p\u0430ypal"})], "Done."),
        then(said("Lock my card"), shows("mark")),
    ),
}
