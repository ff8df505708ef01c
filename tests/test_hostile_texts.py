"""Whatever is said, by whomever: on the customer's screen it is text, which runs nothing, loads nothing, goes nowhere."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from playwright.async_api import Page

from agent_core import sites
from agent_core.deliverable import printable
from agent_core.door import EVERY_SITE, Principal, Start
from agent_core.events import TurnFinished, TurnWaiting
from agent_core.settings import Settings
from agent_core.site import Site
from agent_core.text import wellformed
from tests import shop as shop_module
from tests.browser.host import hosting
from tests.conftest import OpenCore
from tests.hostile import TEXTS
from tests.lookout import browsing, looked, lookout
from tests.scripted import Call, ScriptedModels
from tests.wire import Served, serving

pytestmark = pytest.mark.timeout(120)

#: Behind each text, so that none gets lost unseen.
MARK = "№{}."
LOG = "document.querySelector('parley-chat').shadowRoot.querySelector('parley-log')"


def marked(most: int = 10_000) -> list[str]:
    """The texts, cut to a length, each with its number behind it."""
    marks = [MARK.format(n) for n in range(len(TEXTS))]
    return [f"{text[: most - len(mark) - 1]}\n{mark}" for text, mark in zip(TEXTS, marks, strict=True)]


def missing(words: str) -> list[str]:
    """The texts that are not on the page, by their numbers."""
    return [MARK.format(n) for n in range(len(TEXTS)) if MARK.format(n) not in words]


async def newcomer(served: Served) -> tuple[Principal, dict[str, Any]]:
    """A visitor with a conversation, and what their browser keeps of it."""
    arrived = (await served.http.post("/sites/demo/visitors", json={})).json()
    who = served.house.tokens.who(arrived["token"])
    assert who is not None
    conversation = await served.house.door.start(who, Start())
    return who, {"token": arrived["token"], "conversation": conversation}


async def talk(
    served: Served, who: Principal, conversation: str, texts: Iterable[str], *, until: type = TurnFinished
) -> None:
    """One after the other; each turn ends (or waits) before the next words are asked for."""
    door, rest = served.house.door, iter(enumerate(texts))
    n, text = next(rest)
    await door.say(who, conversation, text, client_message_id=f"t{n}")
    async for item in door.watch(who, conversation):
        if not isinstance(getattr(item, "event", None), until):
            continue
        if (following := next(rest, None)) is None:
            return
        await door.say(who, conversation, following[1], client_message_id=f"t{following[0]}")


async def whole(page: Page) -> str:
    """All pages of the conversation are loaded and drawn; the words."""
    load = f"""async () => {{
      const log = {LOG};
      for (let n = 0; n < 100 && !(log.view.snapshot?.earlier === 0); n++) {{
        await log.conversation.earlier();
        await new Promise(requestAnimationFrame);
      }}
      await log.updateComplete;
      await new Promise(requestAnimationFrame);
    }}"""
    await page.evaluate(load)
    return await looked(page)


async def drawn(page: Page, last: str) -> None:
    """Until the conversation's last words are there."""
    look = f"""last => new Promise(done => {{
      const look = () => JSON.stringify({LOG}?.view.snapshot?.items.at(-1) ?? "").includes(last) ? done() : setTimeout(look, 20);
      look();
    }})"""
    await page.evaluate(look, last)


def test_there_are_enough_of_them() -> None:
    assert len(set(TEXTS)) == len(TEXTS) >= 300


def cut(texts: list[str], size: int) -> list[list[str]]:
    return [texts[at : at + size] for at in range(0, len(texts), size)]


DOES_HARM = [
    ("<script>canary()</script>", "ran"),
    ("<img src=x onerror=canary()>", "ran"),
    ("<script>alert('x')</script>", "dialog"),
    ("<img src=https://evil.example/leak>", "asked for"),
    ("<style>body{background:url(https://evil.example/leak)}</style>", "asked for"),
    ("<link rel=stylesheet href=https://evil.example/leak>", "asked for"),
    ("<meta http-equiv=refresh content='0;url=https://evil.example/'>", "asked for"),
    ("<script>open('about:blank')</script>", "opened"),
]


async def test_a_page_that_does_harm_is_seen_doing_it() -> None:
    async with browsing() as browser, asyncio.timeout(90):
        for text, trouble in DOES_HARM:
            async with lookout(browser, "http://127.0.0.1:1", policy=False) as there:
                page = await there.context.new_page()
                await page.set_content(f"<body>{text}")
                while not there.troubles:
                    await page.wait_for_timeout(10)
                assert there.troubles[0].startswith(trouble), there.troubles
                there.troubles.clear()


BECOMES = [
    "<img>",
    "<svg onload=x>",
    "<p onclick=x>",
    "<p style='color:red'>",
    "<form action=/x>",
    "<iframe></iframe>",
    "<a href=/x>x</a>",
    "<a href=javascript:x target=_blank rel=noopener>x</a>",
    "<a href=https://shop.example>x</a>",
    "<p>a\u202eb",
    "<p title=a\u200bb>",
    "<script>1</script>",
    "<style></style>",
    "<object></object>",
]


async def test_what_no_text_may_become_is_found() -> None:
    async with browsing() as browser:
        page = await browser.new_page()
        for text in BECOMES:
            await page.set_content(f"<body>{text}")
            with pytest.raises(AssertionError):
                await looked(page)


async def test_what_the_model_and_the_customer_say_is_text(core: OpenCore, settings: Settings) -> None:
    texts = marked()
    async with core(models=ScriptedModels(*texts)) as door, serving(settings, door) as served, browsing() as browser:
        who, kept = await newcomer(served)
        address = f"{served.address}/widget/demo?mode=page"
        async with lookout(browser, served.address) as live:
            page = await live.visit(address, kept)
            await talk(served, who, kept["conversation"], [wellformed(text) for text in texts])
            await drawn(page, MARK.format(len(texts) - 1))
            assert missing(await looked(page)) == []
        async with lookout(browser, served.address, policy=False) as again:
            page = await again.visit(address, kept)
            await drawn(page, MARK.format(len(texts) - 1))
            words = await whole(page)
            assert [mark for mark in map(MARK.format, range(len(texts))) if words.count(mark) < 2] == []


# ---- cards


def offer(texts: list[str]) -> dict[str, Any]:
    """As a business's tool states it: a title, terms, lines, discounts."""
    title, terms, *labels = texts
    free = {"one_off_minor": 0, "monthly_minor": 0}
    lines = [
        {"sku": f"S{n}", "label": label, "quantity": 1 + n % 2, "charge": "monthly", "unit_minor": 0, "total_minor": 0}
        for n, label in enumerate(labels)
    ]
    return {
        "currency": "EUR",
        "title": title,
        "terms": terms,
        "valid_until": 4_000_000_000_000,
        "lines": lines[:20],
        "discounts": [{"label": line["label"], "charge": "monthly", "amount_minor": 0} for line in lines[20:]],
        "tax": {"rate_percent": 19, "included": True, **free},
        "totals": free,
    }


def choices(texts: list[str]) -> Call:
    question, *rest = texts
    options = [
        {"id": f"o{n}", "label": one, "hint": two}
        for n, (one, two) in enumerate(zip(rest[::2], rest[1::2], strict=True))
    ]
    return Call("displayChoices", {"question": question, "options": options})


def form(texts: list[str]) -> Call:
    title, intro, *rest = texts
    fields: list[dict[str, Any]] = [{"name": f"f{n}", "label": label} for n, label in enumerate(rest[:9])]
    fields.append({"name": "pick", "label": "Which?", "type": "select", "options": rest[9:], "required": False})
    return Call("displayForm", {"title": title, "intro": intro, "fields": fields})


def checklist(texts: list[str]) -> Call:
    title, *steps = texts
    items = [{"id": f"s{n}", "label": label, "done": n % 2 == 0} for n, label in enumerate(steps)]
    return Call("displayChecklist", {"title": title, "items": items})


def alert(texts: list[str]) -> Call:
    return Call("displayAlert", {"level": "danger", "title": texts[0], "text": "\n".join(texts[1:])})


#: Of each kind, how many texts a card takes.
SIZES = {offer: 32, choices: 17, form: 21, checklist: 21, alert: 8}


def filled(kind: Any) -> list[list[str]]:
    """The texts for each card of a kind; the last one is filled up with the first texts."""
    size = SIZES[kind]
    texts = [printable(text) for text in marked(72)]
    return cut([*texts, *texts[: -len(texts) % size]], size)


@pytest.fixture
def offering() -> dict[str, Any]:
    """What the business answers when it is asked for an offer."""
    return shop_module.OFFER


async def test_what_a_tool_answers_and_a_card_shows_is_text(
    core: OpenCore, settings: Settings, offering: dict[str, Any]
) -> None:
    offers = filled(offer)
    cards = [call(texts) for call in (choices, form, checklist, alert) for texts in filled(call)]
    turns = cut(cards, len(cards) // len(offers) + 1)
    asked = [[Call("displayOffer", {"offer_id": f"OF-{n}"}), *more] for n, more in enumerate(turns)]
    steps = [step for calls in asked for step in (calls, "There.")]
    async with core(models=ScriptedModels(*steps)) as door, serving(settings, door) as served, browsing() as browser:
        who, kept = await newcomer(served)
        wishes = (offering.update(offer(texts)) or f"Offer {n}, please" for n, texts in enumerate(offers))
        await talk(served, who, kept["conversation"], wishes)
        snapshot = await door.snapshot(who, kept["conversation"])
        assert sum(item["kind"] == "deliverable" for item in snapshot["items"]) == len(cards) + len(offers)
        async with lookout(browser, served.address, policy=False) as there:
            page = await there.visit(f"{served.address}/widget/demo?mode=page", kept)
            await drawn(page, "There.")
            words = await whole(page)
            assert [mark for mark in map(MARK.format, range(len(TEXTS))) if words.count(mark) < len(SIZES)] == []


async def test_what_is_to_be_approved_is_text(core: OpenCore, settings: Settings) -> None:
    asked = [Call("lock", {"card": texts[0], "note": "\n".join(texts)}) for texts in cut(marked(400), 20)]
    models = ScriptedModels(*([call] for call in asked))
    async with core(models=models) as door, serving(settings, door) as served, browsing() as browser:
        who, kept = await newcomer(served)
        wishes = (f"Lock it, {n}" for n in range(len(asked)))
        await talk(served, who, kept["conversation"], wishes, until=TurnWaiting)
        async with lookout(browser, served.address, policy=False) as there:
            page = await there.visit(f"{served.address}/widget/demo?mode=page", kept)
            await drawn(page, MARK.format(len(TEXTS) - 1))
            assert missing(await whole(page)) == []


# ---- people and places


async def test_the_names_of_people_and_of_conversations_are_text(core: OpenCore, settings: Settings) -> None:
    names, titles = cut(marked(300), 4), marked(70)[::25]
    models = ScriptedModels(otherwise=lambda _items: "Fine.")
    async with core(models=models) as door, serving(settings, door) as served, browsing() as browser:
        who, kept = await newcomer(served)
        for title in titles:
            other = await door.start(who, Start())
            await talk(served, who, other, [wellformed(title)])
        async with lookout(browser, served.address, policy=False) as there:
            page = await there.visit(f"{served.address}/widget/demo?mode=page", kept)
            for n, texts in enumerate(names):
                operator = Principal("operator", f"operator:{n}", EVERY_SITE, "\n".join(texts))
                await door.take_floor(operator, kept["conversation"])
                await door.reply(operator, kept["conversation"], f"Hello from {n}", client_message_id=f"o{n}")
                if n < len(names) - 1:
                    await door.give_floor(operator, kept["conversation"])
            await drawn(page, f"Hello from {len(names) - 1}")
            await page.get_by_role("button", name="More", exact=True).click()
            await page.locator("parley-menu .title").nth(len(titles) - 1).wait_for()
            words = await whole(page)
            assert [mark for mark in map(MARK.format, range(len(TEXTS))) if words.count(mark) < 2] == []


#: The frame is told other names: what it says of its site comes from the owner.
RENAME = """async texts => {
  const chat = document.querySelector("parley-chat");
  const [name, greeting, ...starters] = texts;
  chat.site = { ...chat.site, name, greeting: { en: greeting }, starters: { en: starters } };
  await chat.updateComplete;
  await new Promise(requestAnimationFrame);
}"""


async def test_a_customers_name_is_text(core: OpenCore, settings: Settings) -> None:
    async with core() as door, serving(settings, door) as served, browsing() as browser:
        who, kept = await newcomer(served)
        ana = Principal("customer", "ana", "demo", name="\n".join(marked()))
        await door.hand_over(who, ana)
        kept |= {"token": served.house.tokens.customer(replace(ana, name="Ana")), "customer": True}
        async with lookout(browser, served.address, policy=False) as there:
            page = await there.visit(f"{served.address}/widget/demo?mode=page", kept)
            await page.wait_for_function(f"{LOG}?.view.snapshot?.customer")
            assert missing(await page.evaluate(f"{LOG}.view.snapshot.customer")) == []
            await looked(page)


async def test_the_title_of_a_page_and_the_words_of_a_site_are_text(core: OpenCore, settings: Settings) -> None:
    texts = marked(76)
    async with core() as door, serving(settings, door) as served, browsing() as browser, hosting() as host:
        host.put("/host", served.address, open="")
        async with lookout(browser, served.address, host.origin(), policy=False) as there:
            page = await there.visit(f"{host.origin()}/host")
            frame = await there.frame(page)
            for at, some in enumerate(cut([*texts, *texts[: -len(texts) % 8]], 8)):
                await page.evaluate("text => { document.title = text }", some[0])
                await frame.evaluate(RENAME, some)
                words = await looked(frame)
                assert [n for n in range(8 * at, min(8 * at + 8, len(texts))) if MARK.format(n) not in words] == []


class Told(HTMLParser):
    """What a browser would make of the frame's page: its elements, the title, the data."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.texts: dict[str, str] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)

    def handle_data(self, data: str) -> None:
        within = self.elements[-1] if self.elements else ""
        self.texts[within] = self.texts.get(within, "") + data


async def test_a_sites_name_stays_a_title_and_a_value_in_the_page_that_is_sent(
    core: OpenCore, settings: Settings
) -> None:
    async with core() as door, serving(settings, door) as served:
        usual = Told((await served.http.get("/widget/demo")).text).elements
        for n, text in enumerate(marked(76)[::3]):
            site = Site(key=f"s{n}", name=text, greeting={"en": text}, starters={"en": (text,)})
            await door._db.write(lambda c, site=site: sites.add(c, site))
            told = Told((await served.http.get(f"/widget/s{n}")).text)
            assert told.elements == usual
            assert json.loads(told.texts["script"].strip())["name"] == text
