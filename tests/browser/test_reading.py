"""Read with large letters and wide spaces, and filled in by keyboard: nothing is cut off, covered, or out of the screen."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser import cards, in_browser
from tests.browser.panel import Panel
from tests.browser.stage import Stage
from tests.browser.states import EVERYTHING, STATES, State
from tests.scripted import Call

pytestmark = in_browser

NARROW, WIDE = {"width": 320, "height": 640}, {"width": 1100, "height": 800}
#: A browser whose letters are twice as large as most have them.
LARGE = """() => {
  const root = document.documentElement;
  root.style.fontSize = `${2 * parseFloat(getComputedStyle(root).fontSize)}px`;
}"""
#: As WCAG 2.2 has it in 1.4.12, in all shadow roots.
SPACED = """() => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`* { line-height: 1.5 !important; letter-spacing: 0.12em !important; word-spacing: 0.16em !important; }
    p { margin-bottom: 2em !important; }`);
  const all = (root) => {
    root.adoptedStyleSheets = [...root.adoptedStyleSheets, sheet];
    for (const one of root.querySelectorAll("*")) if (one.shadowRoot) all(one.shadowRoot);
  };
  all(document);
}"""
#: Words that are cut off, out of the screen's sides, or larger than the button that they are in.
LOST = """() => {
  const lost = [];
  const cuts = (one, style) => {
    if (style.display === "inline" || !(/hidden|clip/.test(style.overflow) || one.localName === "button")) return false;
    return one.scrollWidth > one.clientWidth + 1 || one.scrollHeight > one.clientHeight + 1;
  };
  const outside = (one) => {
    if (one.closest("pre, .table") || ![...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim())) return false;
    const { left, right } = one.getBoundingClientRect();
    return left < -1 || right > innerWidth + 1;
  };
  const look = (root) => {
    for (const one of root.querySelectorAll("*")) {
      if (one.shadowRoot) look(one.shadowRoot);
      const style = getComputedStyle(one);
      const words = one.textContent.trim().slice(0, 30);
      if (!words || one.matches(".sr, style, option") || style.visibility === "hidden" || !one.getClientRects().length) continue;
      if (cuts(one, style)) lost.push(`${one.localName} cuts off: ${words}`);
      if (outside(one)) lost.push(`${one.localName} is out of the screen: ${words}`);
    }
  };
  look(document);
  return lost;
}"""
DRAW = "log => log.renderRoot.querySelectorAll('.entry').forEach(e => e.style.contentVisibility = 'visible')"
DRAWN = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
TITLE = "Where shall we send the papers, and who is there to take them from us?"
FIELDS = [{"name": f"f{n}", "label": f"Question {n}", "type": "textarea" if n % 4 == 0 else "text"} for n in range(10)]
TALL = Call("displayForm", {"title": TITLE, "intro": "Nearly there.", "fields": FIELDS})
#: Where the focus is, in the innermost shadow root; and whether one sees the middle of it.
COVERED = """() => {
  let root = document;
  while (root.activeElement?.shadowRoot) root = root.activeElement.shadowRoot;
  const field = root.activeElement;
  const { left, right, top, bottom } = field.getBoundingClientRect();
  const seen = root.elementFromPoint((left + right) / 2, (top + bottom) / 2);
  const edges = [top + 2, bottom - 2].map((y) => root.elementFromPoint((left + right) / 2, y));
  const free = [seen, ...edges].every((one) => one === field || field.contains(one));
  return { name: field.id || field.textContent.trim() || field.localName, free };
}"""


async def lost(panel: Panel, *changes: str) -> Any:
    await panel.thread.evaluate(DRAW)
    for change in changes:
        await panel.chat.evaluate(change)
    await panel.chat.evaluate(DRAWN)
    return await panel.chat.evaluate(LOST)


CASES: dict[str, State] = {
    "everything": EVERYTHING,
    **{name: STATES[name] for name in ("menu", "operator", "offer accepted", "offer wish", "form wrong")},
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["320 px", "desktop"])
async def test_letters_twice_as_large_and_spaced_lose_nothing(stage: Stage, name: str, size: dict[str, int]) -> None:
    panel = await CASES[name].enter(stage, await stage.browser(viewport=size))
    assert await lost(panel, LARGE) == []
    assert await lost(panel, SPACED) == []
    sideways = "() => document.documentElement.scrollWidth - innerWidth"
    assert await panel.chat.evaluate(sideways) == 0


@pytest.mark.parametrize("language", ["de", "ar"])
async def test_letters_twice_as_large_lose_nothing_in_longer_words_either(stage: Stage, language: str) -> None:
    panel = await EVERYTHING.enter(stage, await stage.browser(viewport=NARROW), language=language)
    assert await lost(panel, LARGE, SPACED) == []


async def test_a_page_that_is_zoomed_to_twice_its_size_loses_nothing(stage: Stage) -> None:
    half = {"width": WIDE["width"] // 2, "height": WIDE["height"] // 2}
    panel = await EVERYTHING.enter(stage, await stage.browser(viewport=half, device_scale_factor=2))
    assert await lost(panel) == []


async def test_letters_are_as_large_as_the_browser_has_them(stage: Stage) -> None:
    """By what the page's own style says, since a browser's setting is nothing that a page can change."""
    panel = await STATES["answer"].enter(stage)
    sizes = "() => [...document.styleSheets].flatMap(s => [...s.cssRules]).map(r => r.style?.fontSize).filter(Boolean)"
    assert not [size for size in await panel.chat.evaluate(sizes) if size.endswith("px")]


@pytest.mark.parametrize("key", ["Tab", "Shift+Tab"])
async def test_the_field_that_has_the_focus_is_never_covered(stage: Stage, key: str) -> None:
    cards.stock()
    await stage.serve([TALL], "Please fill it in.")
    panel = await stage.chat(await stage.browser(viewport=NARROW))
    await panel.say("Show me")
    await panel.hears("Please fill it in.")
    card = panel.card("form")
    last = panel.button("Send", within=card)
    await (card.locator("#f-f0") if key == "Tab" else last).focus()
    seen = []
    for _ in range(len(FIELDS)):
        await panel.page.keyboard.press(key)
        await panel.chat.evaluate(DRAWN)
        where = await panel.chat.evaluate(COVERED)
        assert where["free"], where
        seen.append(where["name"])
    assert len(set(seen)) == len(FIELDS)
