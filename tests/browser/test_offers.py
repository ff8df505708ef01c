"""What the assistant shows and asks: offers, forms, choices, lists, alerts, and questions that need a yes. Each decided once."""

from __future__ import annotations

import re
from typing import Any

import pytest
import sqlalchemy as sa
from playwright.async_api import BrowserContext, Locator, expect

from agent_core.settings import Settings
from agent_core.tables import deliverables
from tests import shop as shop_module
from tests.browser import cards, in_browser
from tests.browser.panel import Panel
from tests.browser.stage import Stage
from tests.owner import changed
from tests.scripted import Call

pytestmark = in_browser


@pytest.fixture(autouse=True)
def stocked() -> None:
    cards.stock()


async def shown(stage: Stage, kind: str, context: BrowserContext | None = None) -> tuple[Panel, Locator]:
    """The card of this kind, in a chat that has asked for it."""
    panel = await stage.chat(context)
    await panel.say("Show me")
    card = panel.card(kind)
    await expect(card).to_be_visible()
    return panel, card


async def decisions(stage: Stage) -> list[tuple[Any, ...]]:
    events = [event for event in await stage.log() if event["type"] == "deliverable.decided"]
    return [(event["version"], event["decision"], event.get("answer")) for event in events]


async def missing_the_news(stage: Stage, context: BrowserContext, parley: str) -> Panel:
    """Another tab, which sees the conversation as it stands and nothing that happens from then on."""
    panel = await stage.visit(context)
    await panel.page.route(f"{parley}/conversations/*/events*", lambda route: route.abort())
    await panel.page.reload()
    await panel.open()
    return panel


# ---- offers


async def test_an_offer_shows_its_lines_its_sums_its_terms_and_how_long_it_holds(stage: Stage) -> None:
    await stage.serve([cards.OFFER], "Have a look.")
    panel, card = await shown(stage, "offer")
    await panel.hears("Have a look.")
    await expect(card.get_by_role("heading")).to_have_text("Offer OF-7Pure M, 24 months")
    bill = " ".join(" ".join(await card.locator("table").all_inner_texts()).split())
    for part in ("Pure M €24.99", "Case, blue 2 × €19.90 €39.80", "Loyalty -€2.50"):
        assert part in bill
    assert "To pay monthly incl. 19 % tax (€3.59) €22.49" in bill
    assert "To pay once incl. 19 % tax (€6.35) €39.80" in bill
    await expect(card).to_contain_text("€579.56 over 24 months")
    await expect(card.locator("time")).to_have_text("Valid for 9 days", use_inner_text=True)
    await card.get_by_text("Terms").click()
    await expect(card.get_by_text("Cancel with one month's notice.")).to_be_visible()
    assert await stage.counted("deliverable.acknowledged", version=1) == 1


async def test_an_offer_clicked_twice_is_accepted_once_and_shows_it_for_good(stage: Stage) -> None:
    await stage.serve([cards.OFFER], "Have a look.", "Thank you.")
    panel, card = await shown(stage, "offer")
    await panel.button("Accept", within=card).dblclick()
    await expect(card.locator(".state")).to_have_text("Accepted")
    await expect(panel.button("Accept", within=card)).to_have_count(0)
    await panel.hears("Thank you.")
    await panel.page.reload()
    await panel.open()
    await expect(card.locator(".state")).to_have_text("Accepted")
    assert await decisions(stage) == [(1, "accept", None)]


async def test_an_offer_accepted_in_two_tabs_at_once_is_accepted_once(stage: Stage) -> None:
    await stage.serve([cards.OFFER], "Have a look.", "Thank you.")
    context = await stage.browser()
    one, card = await shown(stage, "offer", context)
    await one.hears("Have a look.")
    two = await stage.chat(context)
    for button in (one.button("Accept", within=card), two.button("Accept")):
        await button.evaluate("button => setTimeout(() => button.click(), 50)")
    for panel in (one, two):
        await expect(panel.card("offer").locator(".state")).to_have_text("Accepted")
        await panel.hears("Thank you.")
    assert await decisions(stage) == [(1, "accept", None)]


async def test_a_page_that_missed_the_decision_is_told_in_words(stage: Stage) -> None:
    served = await stage.serve([cards.OFFER], "Have a look.", "As you wish.")
    context = await stage.browser()
    one, card = await shown(stage, "offer", context)
    await one.hears("Have a look.")
    stale = await missing_the_news(stage, context, served.address)
    await expect(stale.button("Accept")).to_be_visible()
    await one.button("Decline", within=card).click()
    await expect(card.locator(".state")).to_have_text("Declined")
    await stale.button("Accept").click()
    await expect(stale.card("offer").get_by_role("alert")).to_have_text("This was already decided.")
    assert await decisions(stage) == [(1, "decline", None)]


async def test_an_acceptance_that_found_no_connection_can_be_made_again(stage: Stage) -> None:
    served = await stage.serve([cards.OFFER], "Have a look.", "Thank you.")
    context = await stage.browser()
    panel, card = await shown(stage, "offer", context)
    await panel.hears("Have a look.")
    await context.route(f"{served.address}/**/decision", lambda route: route.abort())
    await panel.button("Accept", within=card).click()
    await expect(card.get_by_role("alert")).to_have_text("This could not be sent. Please try again.")
    await context.unroute_all()
    await panel.button("Accept", within=card).click()
    await expect(card.locator(".state")).to_have_text("Accepted")
    assert await decisions(stage) == [(1, "accept", None)]


async def test_a_lost_acknowledgement_and_a_second_click_are_one_acceptance(stage: Stage) -> None:
    served = await stage.serve([cards.OFFER], "Have a look.", "Thank you.")
    context = await stage.browser()
    panel, card = await shown(stage, "offer", context)
    await panel.hears("Have a look.")

    async def lose(route: Any) -> None:
        await route.fetch()
        await route.abort()

    await panel.page.route(f"{served.address}/**/decision", lose)
    await panel.button("Accept", within=card).click()
    await expect(card.locator(".state")).to_have_text("Accepted")
    await panel.hears("Thank you.")
    assert await decisions(stage) == [(1, "accept", None)]


async def test_a_declined_offer_says_so(stage: Stage) -> None:
    await stage.serve([cards.OFFER], "Have a look.", "Maybe later.")
    panel, card = await shown(stage, "offer")
    await panel.button("Decline", within=card).click()
    await expect(card.locator(".state")).to_have_text("Declined")
    await panel.hears("Maybe later.")
    assert await decisions(stage) == [(1, "decline", None)]


async def test_a_wish_goes_to_the_assistant_and_the_new_version_replaces_the_old(stage: Stage) -> None:
    await stage.serve([cards.OFFER], "Have a look.", [cards.OFFER], "Better?", "Thank you.")
    panel, card = await shown(stage, "offer")
    await panel.hears("Have a look.")
    cards.stock(monthly=1999)
    await panel.button("Ask for a change", within=card).click()
    wish = card.get_by_label("What should be different?")
    await expect(wish).to_be_focused()
    await wish.fill("Cheaper, please")
    await panel.button("Send", within=card).click()
    await panel.hears("Better?")
    assert await decisions(stage) == [(1, "edit", {"wish": "Cheaper, please"})]
    await expect(card).to_have_count(1)
    await expect(card.get_by_role("row", name="Pure M")).to_contain_text("€19.99")
    folded = card.locator("details", has_text="Earlier versions (1)")
    await expect(folded.locator("table").first).to_be_hidden()
    await folded.locator("summary").click()
    await expect(folded.get_by_role("row", name="Pure M")).to_contain_text("€24.99")
    await expect(folded).to_contain_text("Replaced by a newer version")
    await panel.button("Accept", within=card).click()
    await expect(card.locator(".state")).to_have_text("Accepted")
    assert (await decisions(stage))[1:] == [(2, "accept", None)]


async def test_an_offer_counts_down_and_can_not_be_accepted_when_its_time_is_over(stage: Stage) -> None:
    await stage.serve([cards.OFFER], "Have a look.")
    context = await stage.browser()
    await context.clock.install()
    panel, card = await shown(stage, "offer", context)
    await panel.hears("Have a look.")
    await context.clock.fast_forward(cards.DAY_MS * 10 - 120_000)
    await expect(card.locator("time")).to_have_text(re.compile(r"Valid for [01]:\d\d"), use_inner_text=True)
    await context.clock.fast_forward(120_000)
    await expect(card.locator(".state")).to_have_text("Expired")
    await expect(panel.button("Accept", within=card)).to_have_count(0)


async def test_an_offer_that_has_expired_for_the_business_is_refused_in_words(stage: Stage) -> None:
    """The customer's clock is slow."""
    await stage.serve([cards.OFFER], "Have a look.")
    panel, card = await shown(stage, "offer")
    await panel.hears("Have a look.")
    await stage.door._db.write(lambda c: c.execute(sa.update(deliverables).values(expires_at=1)))
    await panel.button("Accept", within=card).click()
    await expect(card.get_by_role("alert")).to_have_text(
        "This is no longer valid. Ask for a new one, it takes a moment."
    )
    await expect(panel.button("Accept", within=card)).to_be_enabled()
    assert await decisions(stage) == []


async def test_an_offer_prints_alone(stage: Stage) -> None:
    served = await stage.serve([cards.OFFER], "Have a look.")
    page = await (await stage.browser()).new_page()
    await page.goto(f"{served.address}/widget/demo?mode=page")
    panel = Panel(page, embedded=False)
    await panel.say("Show me")
    await panel.hears("Have a look.")
    await page.evaluate("window.print = () => { window.asked = true; }")
    await panel.button("Print or save as PDF").click()
    await page.emulate_media(media="print")
    alone = page.locator("body > .printed")
    await expect(alone.get_by_role("heading")).to_contain_text("Pure M, 24 months")
    await expect(alone.get_by_role("button")).to_have_count(0)
    await expect(alone.get_by_text("Cancel with one month's notice.")).to_be_visible()
    await expect(alone.locator("time")).to_have_text(re.compile("^Valid until "), use_inner_text=True)
    await expect(panel.chat).to_be_hidden()
    assert await page.evaluate("window.asked")
    await page.evaluate("dispatchEvent(new Event('afterprint'))")
    await page.emulate_media(media="screen")
    await expect(alone).to_have_count(0)
    await expect(panel.chat).to_be_visible()


# ---- forms, choices, lists, alerts


async def test_a_form_says_what_is_missing_while_it_is_filled_in_and_is_sent_when_it_is_right(stage: Stage) -> None:
    await stage.serve([cards.FORM], "Please fill it in.", "Thank you.")
    panel, card = await shown(stage, "form")
    await panel.button("Send", within=card).click()
    await expect(card.locator(".error")).to_have_count(4)
    await expect(card.get_by_label("Street")).to_be_focused()
    await expect(card.get_by_label("Street")).to_have_accessible_description("Please fill this in")
    await card.get_by_label("Street").fill("Long Street 1")
    await card.get_by_label("E-mail").fill("nobody@nowhere")
    await expect(card.locator(".error").first).to_have_text("This is no e-mail address")
    await card.get_by_label("E-mail").fill("mira@example.org")
    await card.get_by_label("Floor").fill("41")
    await card.get_by_label("Floor").blur()
    await expect(card.get_by_label("Floor")).to_have_accessible_description("At most 40")
    await card.get_by_label("Floor").fill("4")
    await card.get_by_label("Country").select_option("Spain")
    await card.get_by_label("I live there").check()
    await expect(card.locator(".error")).to_have_count(0)
    await panel.button("Send", within=card).dblclick()
    await expect(card.locator(".state")).to_have_text("Sent")
    await expect(card.locator("dd")).to_have_text(["Long Street 1", "mira@example.org", "4", "Spain", "✓"])
    await panel.hears("Thank you.")
    values = {"street": "Long Street 1", "email": "mira@example.org", "floor": 4, "country": "Spain", "sure": True}
    assert await decisions(stage) == [(1, "submit", {"values": values})]


async def test_what_is_typed_into_a_form_stays_while_the_conversation_goes_on(stage: Stage) -> None:
    await stage.serve([cards.FORM], "Please fill it in.", "Take your time.")
    panel, card = await shown(stage, "form")
    await panel.hears("Please fill it in.")
    await card.get_by_label("Street").fill("Long Street 1")
    await panel.say("One moment")
    await panel.hears("Take your time.")
    await expect(card.get_by_label("Street")).to_have_value("Long Street 1")


async def test_a_form_that_only_the_server_refuses_names_the_field_and_keeps_what_was_typed(stage: Stage) -> None:
    await stage.serve([cards.FORM], "Please fill it in.")
    panel, card = await shown(stage, "form")
    await panel.hears("Please fill it in.")
    await card.get_by_label("Street").fill("\u202e")  # to a browser this is no blank
    await card.get_by_label("E-mail").fill("mira@example.org")
    await card.get_by_label("Country").select_option("Spain")
    await card.get_by_label("I live there").check()
    await panel.button("Send", within=card).click()
    await expect(card.get_by_role("alert")).to_have_text("Street is needed")
    await expect(card.get_by_label("E-mail")).to_have_value("mira@example.org")
    await expect(card.get_by_label("Country")).to_have_value("Spain")
    await expect(card.get_by_label("I live there")).to_be_checked()
    await expect(panel.button("Send", within=card)).to_be_enabled()
    assert await decisions(stage) == []


async def test_what_only_the_server_refuses_is_told_in_the_language_of_the_chat(stage: Stage) -> None:
    await stage.serve(
        [Call("displayForm", {"title": "Adresse", "fields": [{"name": "street", "label": "Straße"}]})], "Bitte."
    )
    panel = await stage.chat(language="de")
    await panel.say("Ich ziehe um")
    await panel.card("form").get_by_label("Straße").fill("\u202e")
    await panel.button("Senden", within=panel.card("form")).click()
    await expect(panel.card("form").get_by_role("alert")).to_have_text("Straße: Bitte ausfüllen")


async def test_one_of_several_choices_is_made_with_a_tap(stage: Stage) -> None:
    await stage.serve([cards.CHOICES], "Which one?", "Large it is.")
    panel, card = await shown(stage, "choices")
    await panel.button("Large", within=card, exact=False).dblclick()
    await expect(card).to_contain_text("Your choice: Large")
    await panel.hears("Large it is.")
    assert await decisions(stage) == [(1, "choose", {"chosen": ["l"]})]


async def test_several_choices_are_ticked_and_sent_together_or_none_of_them(stage: Stage) -> None:
    await stage.serve([cards.SEVERAL], "Which ones?", "Both, then.", [cards.CHOICES], "And now?", "Neither.")
    panel, card = await shown(stage, "choices")
    await panel.hears("Which ones?")
    await panel.button("Large", within=card, exact=False).click()
    await panel.button("Small", within=card, exact=False).click()
    await expect(panel.button("Small", within=card, exact=False)).to_have_attribute("aria-pressed", "true")
    await panel.button("Choose", within=card).click()
    await expect(card).to_contain_text("Your choice: Small, Large")
    await panel.hears("Both, then.")
    await panel.say("Again")
    await panel.hears("And now?")
    await panel.button("None of these").click()
    await panel.hears("Neither.")
    assert [decision for _, decision, _ in await decisions(stage)] == ["choose", "none"]


async def test_a_checklist_is_ticked_off_and_saved(stage: Stage) -> None:
    await stage.serve([cards.CHECKLIST], "Step by step.", "Well done.")
    panel, card = await shown(stage, "checklist")
    await card.get_by_label("Tell us the new address").check()
    await expect(card).to_contain_text("1 of 3 done")
    await panel.button("Save", within=card).click()
    await panel.hears("Well done.")
    await panel.page.reload()
    await panel.open()
    await expect(card.get_by_label("Tell us the new address")).to_be_checked()
    assert await decisions(stage) == [(1, "update", {"done": ["address"]})]


async def test_an_alert_is_seen_and_put_away(stage: Stage) -> None:
    await stage.serve([cards.ALERT], "Just so you know.")
    panel, card = await shown(stage, "alert")
    await expect(card.get_by_role("heading")).to_have_text("AttentionMaintenance")
    await panel.button("Got it", within=card).click()
    await expect(panel.button("Got it", within=card)).to_have_count(0)
    await expect(card).to_contain_text("Tonight from two to three.")
    assert await decisions(stage) == [(1, "dismiss", None)]


# ---- questions that need a yes


async def test_a_yes_to_exactly_what_is_shown_is_done_once(stage: Stage, shop: shop_module.Shop) -> None:
    await stage.serve([cards.LOCK], "It is locked.")
    panel, card = await shown(stage, "approval")
    await expect(card.get_by_role("heading")).to_have_text("The assistant asks for your yes to:Locking card 4711")
    await expect(card.locator("dd")).to_have_text(["4711", "lost"])
    assert shop.count("lock") == 0
    await panel.button("Yes, do it", within=card).dblclick()
    await expect(card.locator(".state")).to_have_text("You confirmed this")
    await panel.hears("It is locked.")
    assert [effect[1] for effect in shop.effects] == [{"card": "4711", "note": "lost"}]


async def test_after_a_no_nothing_happens(stage: Stage, shop: shop_module.Shop) -> None:
    await stage.serve([cards.LOCK], "Then not.")
    panel, card = await shown(stage, "approval")
    await panel.button("No", within=card).click()
    await expect(card.locator(".state")).to_have_text("You said no")
    await panel.hears("Then not.")
    assert shop.effects == []


async def test_what_may_be_changed_is_changed_and_the_rest_stays(stage: Stage, shop: shop_module.Shop) -> None:
    await stage.serve([cards.LOCK], "It is locked.")
    panel, card = await shown(stage, "approval")
    await panel.button("Change", within=card).click()
    await expect(card.locator("textarea")).to_have_count(1)
    await expect(card.get_by_label("Note")).to_be_focused()
    await card.get_by_label("Note").fill("stolen")
    await panel.button("Yes, do it", within=card).click()
    await panel.hears("It is locked.")
    await expect(card.locator("dd")).to_have_text(["4711", "stolen"])
    assert [effect[1] for effect in shop.effects] == [{"card": "4711", "note": "stolen"}]


async def test_arguments_are_called_as_the_owner_calls_them_and_codes_read_as_words(
    stage: Stage, shop: shop_module.Shop, settings: Settings
) -> None:
    words = {
        "labels": {"card": "Your card", "note": {"en": "Why", "de": "Grund"}},
        "values": {"card": {"4711": "The red one"}},
    }
    rule = {"approval": True, "editable": ["note"], **words}
    await stage.serve([cards.LOCK], "It is locked.", team_file=changed(settings, tools={"lock": rule}))
    panel, card = await shown(stage, "approval", await stage.browser(viewport={"width": 320, "height": 640}))
    await expect(card.locator("dt")).to_have_text(["Your card", "Why"])
    await expect(card.locator("dd")).to_have_text(["The red one", "lost"])
    await panel.button("Change", within=card).click()
    why = card.get_by_label("Why")
    await why.fill("It was in the coat that I left on the train to Vienna")
    assert await why.evaluate("(box) => box.scrollHeight <= box.clientHeight"), "what was written is in sight"
    await panel.button("Yes, do it", within=card).click()
    await panel.hears("It is locked.")
    note = "It was in the coat that I left on the train to Vienna"
    assert [effect[1] for effect in shop.effects] == [{"card": "4711", "note": note}]


async def test_a_question_that_nobody_answers_in_time_is_over(stage: Stage, shop: shop_module.Shop) -> None:
    await stage.serve([cards.LOCK], "The time is over.", approval_seconds=1)
    panel, card = await shown(stage, "approval")
    await expect(card.locator(".state")).to_have_text("Expired")
    await expect(card.get_by_role("button")).to_have_count(0)
    await panel.hears("The time is over.")
    assert shop.effects == []


async def test_a_yes_that_comes_too_late_is_refused_in_words(stage: Stage, shop: shop_module.Shop) -> None:
    served = await stage.serve([cards.LOCK], "Then not.")
    context = await stage.browser()
    one, card = await shown(stage, "approval", context)
    stale = await missing_the_news(stage, context, served.address)
    await expect(stale.button("Yes, do it")).to_be_visible()
    await one.button("No", within=card).click()
    await one.hears("Then not.")
    await stale.button("Yes, do it").click()
    await expect(stale.card("approval").get_by_role("alert")).to_have_text("This was already rejected.")
    assert shop.effects == []


async def test_values_that_hide_something_are_marked(stage: Stage) -> None:
    await stage.serve([Call("lock", {"card": "47\u202e11", "note": "p\u0430ypal"})], "Careful.")
    _, card = await shown(stage, "approval")
    await expect(card.get_by_role("alert")).to_contain_text("hidden or look-alike characters")
    await expect(card.locator("mark")).to_have_text(["[U+202E]", "[U+202E]", "p\u0430ypal≈"])
