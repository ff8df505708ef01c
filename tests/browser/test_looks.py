"""How it looks and sounds: in every language, on every screen, and without eyes, mouse, colours or motion."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, Locator, async_playwright, expect

from agent_core.settings import Settings
from tests.browser import axe, cards, in_browser
from tests.browser.host import Host
from tests.browser.panel import Panel, until
from tests.browser.stage import ARGUMENTS, CHROMIUM, Stage
from tests.browser.states import EVERYTHING, STATES
from tests.conftest import OpenCore
from tests.scripted import Call, Hold

pytestmark = in_browser

#: What is behind the thread, as the eye has it, in the two schemes.
GROUNDS = {"light": "rgb(255, 255, 255)", "dark": "rgb(23, 25, 31)"}
LANGUAGES = {
    "en": ("Open chat", "Write a message", "Valid for 9 days", "€22.49"),
    "de": ("Chat öffnen", "Nachricht schreiben", "Noch 9 Tage gültig", "22,49 €"),
    "es": ("Abrir el chat", "Escriba un mensaje", "9 días", "22,49 €"),
    "fr": ("Ouvrir le chat", "Écrire un message", "9 jours", "22,49 €"),
    "ar": ("فتح المحادثة", "اكتب رسالة", "9 أيام", "22.49"),
}


# ---- axe


@pytest.mark.parametrize("name", STATES)
async def test_axe_finds_nothing_wrong(stage: Stage, name: str) -> None:
    panel = await STATES[name].enter(stage)
    assert await axe.violations(panel.page) == []


@pytest.mark.parametrize(
    "options",
    [{"color_scheme": "dark"}, {"forced_colors": "active"}, {"viewport": {"width": 320, "height": 700}}],
    ids=["dark", "forced colours", "320 px"],
)
async def test_axe_finds_nothing_wrong_with_all_cards_on_other_screens(stage: Stage, options: dict[str, str]) -> None:
    panel = await EVERYTHING.enter(stage, await stage.browser(**options))
    await draw_all(panel)
    assert await axe.violations(panel.page) == []


async def test_axe_would_find_something(stage: Stage) -> None:
    panel = await STATES["answer"].enter(stage)
    await panel.messages("agent").last.evaluate("m => m.renderRoot.append(document.createElement('img'))")
    (found,) = await axe.violations(panel.page)
    assert found.startswith("image-alt")


async def draw_all(panel: Panel) -> None:
    """What is out of sight is not drawn, and then nobody knows its colours."""
    await panel.thread.evaluate(
        "log => log.renderRoot.querySelectorAll('.entry').forEach(e => e.style.contentVisibility = 'visible')"
    )


# ---- languages


@pytest.mark.parametrize("language", LANGUAGES)
async def test_it_speaks_the_pages_language_and_reads_in_its_direction(stage: Stage, language: str) -> None:
    launcher, box, validity, price = LANGUAGES[language]
    panel = await EVERYTHING.enter(stage, language=language)
    await panel.page.keyboard.press("Escape")
    await expect(panel.launcher).to_have_accessible_name(launcher)
    await panel.open()
    await expect(panel.box).to_have_attribute("aria-label", box)
    await expect(panel.root.locator("html")).to_have_attribute("lang", language)
    await expect(panel.root.locator("html")).to_have_attribute("dir", "rtl" if language == "ar" else "ltr")
    offer = panel.card("offer")
    await expect(offer.locator("time")).to_contain_text(validity)
    await expect(offer).to_contain_text(price)
    send = panel.root.locator("parley-composer button")
    assert (await left(send) < await left(panel.box)) == (language == "ar")
    mine = panel.messages("user").last.locator(".words")
    assert (await left(mine) < await left(panel.chat) + 100) == (language == "ar")
    await draw_all(panel)
    assert await axe.violations(panel.page) == []


async def left(locator: Locator) -> float:
    box = await locator.bounding_box()
    assert box is not None
    return box["x"]


async def test_words_read_in_their_own_direction_whatever_the_language_of_the_page(stage: Stage) -> None:
    await stage.serve("Hello, Mira.", "أهلا Mira.")
    panel = await stage.chat(language="ar")
    direction = "bubble => getComputedStyle(bubble).direction"
    for n, (words, answer, way) in enumerate([("Hello!", "Hello, Mira.", "ltr"), ("مرحبا", "أهلا Mira.", "rtl")]):
        await panel.say(words)
        await panel.hears(answer)
        assert await panel.messages("user").nth(n).locator(".bubble").evaluate(direction) == way
        assert await panel.messages("agent").nth(n).locator(".bubble").evaluate(direction) == way


async def test_a_language_that_is_chosen_is_kept_over_a_reload(stage: Stage) -> None:
    panel = await STATES["menu"].enter(stage)
    await panel.root.get_by_label("Language").select_option("ar")
    await expect(panel.root.locator("html")).to_have_attribute("dir", "rtl")
    await panel.page.reload()
    await panel.open()
    await expect(panel.box).to_have_attribute("aria-label", "اكتب رسالة")


async def test_on_a_page_of_no_language_it_speaks_the_browsers_language(stage: Stage) -> None:
    panel = await STATES["empty"].enter(stage, await stage.browser(locale="fr-CA"), language="")
    await expect(panel.launcher).to_have_accessible_name("Fermer le chat")
    await expect(panel.box).to_have_attribute("aria-label", "Écrire un message")


# ---- looks


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_is_as_dark_as_the_customers_system(stage: Stage, scheme: str) -> None:
    panel = await STATES["empty"].enter(stage, await stage.browser(color_scheme=scheme))
    assert await ground(panel) == GROUNDS[scheme]


async def test_an_appearance_that_is_chosen_counts_more_than_the_systems_and_is_kept(stage: Stage) -> None:
    panel = await STATES["menu"].enter(stage, await stage.browser(color_scheme="light"))
    await panel.root.get_by_label("Appearance").select_option("dark")
    await until(panel.chat, f"getComputedStyle(document.body).backgroundColor === '{GROUNDS['dark']}'")
    await panel.page.reload()
    await panel.open()
    assert await ground(panel) == GROUNDS["dark"]


async def ground(panel: Panel) -> str:
    colour: str = await panel.chat.evaluate("chat => getComputedStyle(chat).backgroundColor")
    return colour


async def test_the_owners_colour_is_on_the_launcher_and_on_the_buttons(stage: Stage) -> None:
    await stage.serve(site={"theme": {"accent": "#0b5c57", "side": "left"}})
    panel = await stage.chat()
    assert await background(panel.launcher) == "rgb(11, 92, 87)"
    assert await left(panel.launcher) < 100
    await panel.box.fill("Hello")
    assert await background(panel.button("Send")) == "rgb(11, 92, 87)"


async def background(locator: Locator) -> str:
    colour: str = await locator.evaluate("element => getComputedStyle(element).backgroundColor")
    return colour


@pytest_asyncio.fixture(loop_scope="session")
async def large(chromium: object, host: Host, core: OpenCore, settings: Settings) -> AsyncIterator[Stage]:
    """Where the customer has set letters of twice the size."""
    async with async_playwright() as playwright:
        arguments = [*ARGUMENTS, "--blink-settings=defaultFontSize=32"]
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        out = Stage(browser, host, core, settings)
        yield out
        await out.aclose()
        await browser.close()


@pytest.mark.parametrize("language", ["en", "de", "ar"])
async def test_at_320_pixels_nothing_has_to_be_scrolled_sideways(stage: Stage, language: str) -> None:
    context = await stage.browser(viewport={"width": 320, "height": 640}, has_touch=True)
    panel = await EVERYTHING.enter(stage, context, language=language)
    await draw_all(panel)
    scroller = panel.thread.locator(".scroll")
    assert await scroller.evaluate("s => s.scrollWidth - s.clientWidth") == 0
    assert await panel.chat.evaluate("() => document.documentElement.scrollWidth") == 320
    wide = """log => [...log.renderRoot.querySelectorAll('.entry > *')]
        .filter(e => e.getBoundingClientRect().left < 0 || e.getBoundingClientRect().right > 320).map(e => e.localName)"""
    assert await panel.thread.evaluate(wide) == []


@pytest.mark.parametrize("name", ["menu", "call", "call explained"])
async def test_with_letters_of_twice_the_size_nothing_is_cut_off_or_covered(large: Stage, name: str) -> None:
    panel = await STATES[name].enter(large, await large.browser(viewport={"width": 390, "height": 700}))
    header, call, composer = [
        panel.root.locator(part) for part in ("header >> nth=0", "parley-call", "parley-composer")
    ]
    boxes = [await part.bounding_box() for part in (header, call, composer)]
    edges = [0, *(edge for box in boxes if box is not None for edge in (box["y"], box["y"] + box["height"])), 700]
    assert edges == sorted(edges)
    ends = "call => Math.max(0, ...[...call.renderRoot.querySelectorAll('button')].map(b => b.getBoundingClientRect().right))"
    assert await call.evaluate(ends) < 390
    more, close = [await panel.button(name).bounding_box() for name in ("More", "Close chat")]
    assert more is not None
    assert close is not None
    assert close["x"] > more["x"]


async def test_on_a_screen_of_few_lines_one_scrolls_from_the_greeting_to_what_one_may_say(stage: Stage) -> None:
    wordy = {"greeting": {"en": "Hello, and how can I help? " * 4}, "starters": {"en": ("One", "Another", "A third")}}
    await stage.serve(site=wordy)
    panel = await stage.chat(await stage.browser(viewport={"width": 320, "height": 256}))
    greeting, starters = panel.messages("agent"), panel.root.locator(".starters button")
    await expect(greeting).to_be_in_viewport()
    for part in (panel.root.locator("header"), panel.root.locator("parley-composer")):
        await expect(part).to_be_in_viewport(ratio=1)
    await starters.last.focus()
    await expect(starters.last).to_be_in_viewport(ratio=1)
    await panel.say("Hello")
    await expect(panel.messages("user")).to_be_in_viewport(ratio=1)


@pytest.mark.parametrize("path", ["/", "/demo"])
async def test_the_pages_of_the_server_itself_fit_into_320_pixels(stage: Stage, path: str) -> None:
    served = await stage.serve()
    page = await (await stage.browser(viewport={"width": 320, "height": 640})).new_page()
    await page.goto(served.address + path)
    assert await page.evaluate("() => document.documentElement.scrollWidth") == 320


@pytest.mark.parametrize(
    ("name", "what"), [("thinking", ".dots"), ("writing", ".caret"), ("call connecting", ".meter")]
)
async def test_nothing_moves_for_those_who_do_not_want_it(stage: Stage, name: str, what: str) -> None:
    panel = await STATES[name].enter(stage, await stage.browser(reduced_motion="no-preference"))
    moving = panel.root.locator(what)
    lasting = (
        "moving.getAnimations({ subtree: true }).some((one) => one.effect.getComputedTiming().activeDuration > 100)"
    )
    assert await moving.evaluate(f"moving => {lasting}")
    await panel.page.emulate_media(reduced_motion="reduce")
    still = f"const look = () => {lasting} ? requestAnimationFrame(look) : done(); look();"
    await moving.evaluate(f"moving => new Promise(done => {{ {still} }})")


async def test_with_forced_colours_every_button_has_an_edge(stage: Stage) -> None:
    panel = await STATES["offer"].enter(stage, await stage.browser(forced_colors="active"))
    edge = "b => { const s = getComputedStyle(b); return parseFloat(s.borderTopWidth) > 0 && s.borderTopStyle !== 'none'; }"
    for button in (panel.button("Accept"), panel.button("Decline"), panel.launcher):
        assert await button.evaluate(edge)


async def test_with_forced_colours_what_is_chosen_differs_from_what_is_not(stage: Stage) -> None:
    panel = await STATES["choices ticked"].enter(stage, await stage.browser(forced_colors="active"))
    options = panel.card("choices").locator(".option")
    ticked, other = options.nth(0), options.nth(1)
    await expect(ticked.locator(".box svg")).to_be_visible()
    await expect(other.locator(".box svg")).to_be_hidden()
    edge = "option => getComputedStyle(option).borderTopColor"
    assert await ticked.evaluate(edge) != await other.evaluate(edge)


# ---- without a mouse


async def test_a_whole_conversation_needs_no_mouse(stage: Stage) -> None:
    cards.stock()
    await stage.serve([cards.OFFER], "Have a look.", "Thank you.")
    panel = await stage.visit()
    keys = panel.page.keyboard
    await reach(panel, panel.launcher, "Tab")
    await keys.press("Enter")
    await expect(panel.box).to_be_focused()
    await keys.type("Show me an offer")
    await keys.press("Enter")
    await panel.hears("Have a look.")
    await expect(panel.box).to_be_focused()
    await reach(panel, panel.button("Accept"), "Shift+Tab")
    await expect(panel.button("Accept")).to_be_in_viewport()
    await keys.press("Enter")
    await panel.hears("Thank you.")
    await keys.press("Escape")
    await expect(panel.launcher).to_be_focused()
    await expect(panel.chat).to_be_hidden()


@pytest.mark.parametrize(
    ("kind", "call", "button"),
    [
        ("approval", cards.LOCK, "Yes, do it"),
        ("offer", cards.OFFER, "Decline"),
        ("alert", cards.ALERT, "Got it"),
        ("choices", cards.CHOICES, "None of these"),
    ],
)
async def test_who_decides_without_a_mouse_stays_at_the_card_that_was_decided(
    stage: Stage, kind: str, call: Call, button: str
) -> None:
    cards.stock()
    await stage.serve([call], "Thank you.", "Thank you.")
    panel = await stage.chat()
    await panel.say("Show me")
    await panel.button(button, within=panel.card(kind)).focus()
    await panel.page.keyboard.press("Enter")
    await expect(panel.button(button, within=panel.card(kind))).to_have_count(0)
    await expect(panel.card(kind).locator("section")).to_be_focused()


async def test_the_menu_opens_closes_and_gives_the_focus_back_without_a_mouse(stage: Stage) -> None:
    await stage.serve()
    panel = await stage.chat()
    more = panel.button("More")
    await reach(panel, more, "Shift+Tab")
    await panel.page.keyboard.press("Enter")
    await expect(panel.button("New conversation")).to_be_focused()
    await panel.page.keyboard.press("Escape")
    await expect(more).to_be_focused()
    await expect(panel.box).to_be_visible()


async def test_escape_that_takes_back_a_composed_character_leaves_the_chat_open(stage: Stage) -> None:
    await stage.serve()
    panel = await stage.chat()
    press = """(box, isComposing) => {
      const options = { key: "Escape", bubbles: true, composed: true, isComposing };
      box.dispatchEvent(new KeyboardEvent("keydown", options));
    }"""
    await panel.box.evaluate(press, True)
    await panel.box.press("a")
    await expect(panel.box).to_have_value("a")
    await expect(panel.box).to_be_focused()
    await expect(panel.launcher).to_have_attribute("aria-expanded", "true")
    await panel.box.evaluate(press, False)
    await expect(panel.launcher).to_have_attribute("aria-expanded", "false")


async def test_a_tall_cards_title_is_the_first_thing_that_one_sees_of_the_thread(stage: Stage) -> None:
    panel = await STATES["offer wish"].enter(stage, await stage.browser(viewport={"width": 320, "height": 640}))
    above = """log => {
      const { top, left, width } = log.getBoundingClientRect();
      let seen = log.renderRoot.elementFromPoint(left + width / 2, top + 3);
      while (seen.shadowRoot) seen = seen.shadowRoot.elementFromPoint(left + width / 2, top + 3);
      return !!seen.closest(".card > header");
    }"""
    assert await panel.thread.evaluate(above)


async def reach(panel: Panel, goal: Locator, key: str, most: int = 25) -> None:
    for _ in range(most):
        await panel.page.keyboard.press(key)
        if await goal.evaluate("goal => goal.getRootNode().activeElement === goal && document.hasFocus()"):
            return
    raise AssertionError(f"{key} does not lead to {goal}")


# ---- without eyes

LISTEN = """chat => {
  window.heard = [];
  const region = chat.renderRoot.querySelector('[aria-live=polite]');
  const listener = new MutationObserver(() => heard.push(region.textContent));
  listener.observe(region, { characterData: true, childList: true, subtree: true });
}"""


async def listening(stage: Stage, context: BrowserContext | None = None) -> Panel:
    panel = await stage.chat(context)
    await panel.chat.evaluate(LISTEN)
    return panel


async def heard(panel: Panel) -> list[str]:
    said: list[str] = await panel.chat.evaluate("() => window.heard")
    return [sentence for sentence in said if sentence]


async def test_a_screen_reader_hears_whole_sentences_each_once_and_no_tokens(stage: Stage) -> None:
    hold, second = Hold(), Hold()
    await stage.serve(["Your **order** is on ", hold, "its way. It comes to", second, "morrow before noon. Bye"])
    panel = await listening(stage)
    await panel.say("Where is it?")
    await expect(panel.messages("agent")).to_contain_text("is on")
    assert await heard(panel) == []
    hold.go.set()
    await expect(panel.messages("agent")).to_contain_text("It comes to")
    assert await heard(panel) == ["Your order is on its way."]
    second.go.set()
    await panel.hears("Bye")
    await until(panel.chat, "window.heard.join(' ').endsWith('Bye')")
    assert " ".join(await heard(panel)) == "Your order is on its way. It comes tomorrow before noon. Bye"
    assert not [words for words in await heard(panel) if not re.match("Your|It comes|Bye", words)]


async def test_a_screen_reader_hears_of_cards_questions_and_people(stage: Stage) -> None:
    await stage.serve([cards.CHECKLIST], "Step by step.", [cards.LOCK], "Done.", [cards.CHOICES], "Hm.")
    panel = await listening(stage)
    await panel.say("Help me move")
    await panel.hears("Step by step.")
    await panel.say("Lock my card")
    await expect(panel.card("approval")).to_be_visible()
    await until(panel.chat, "window.heard.includes('Please confirm: Locking card 4711')")
    assert "Moving house" in await heard(panel)


async def test_what_was_there_before_the_page_was_loaded_is_not_read_out_again(stage: Stage) -> None:
    await stage.serve("First answer.", "Second answer.")
    panel = await stage.chat()
    await panel.say("First")
    await panel.hears("First answer.")
    await panel.page.reload()
    await panel.open()
    await panel.chat.evaluate(LISTEN)
    await panel.say("Second")
    await panel.hears("Second answer.")
    await until(panel.chat, "window.heard.length > 0")
    assert await heard(panel) == ["Second answer."]
