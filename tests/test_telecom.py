"""The demo business, through its MCP server: what each tool answers, and what it refuses."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from tools.__main__ import main
from tools.telecom.database import Database, OtherVersion
from tools.telecom.knowledge import match_any
from tools.telecom.server import create_server

MIRA = {"customer_number": "C-1001"}
MIRAS_PROOF = {"customer_number": "C-1001", "date_of_birth": "1988-04-12", "postcode": "10969"}
JONAS_PROOF = {"customer_number": "C-1002", "date_of_birth": "1979-11-02", "postcode": "50667"}
NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)


class Refused(Exception):
    """What a tool said instead of answering."""


@dataclass
class Caller:
    """One conversation with the business."""

    client: Client
    path: Path
    conversation: str | None = "conv_test"
    days: list[timedelta] = field(default_factory=list)
    signed_in: str | None = None

    async def __call__(self, tool: str, *, key: str | None = None, **arguments: Any) -> dict[str, Any]:
        meta = {
            "parley/conversation": self.conversation,
            "parley/idempotency-key": key,
            "parley/customer": self.signed_in,
        }
        said = {name: value for name, value in meta.items() if value is not None}
        result = await self.client.call_tool(tool, arguments, meta=said or None)
        text = result.content[0].text
        if result.is_error:
            raise Refused(text)
        assert json.loads(text) == result.structured_content
        return result.structured_content

    def elsewhere(self, conversation: str | None) -> Caller:
        return Caller(self.client, self.path, conversation, self.days)

    def tomorrow(self, days: int = 1) -> None:
        self.days.append(timedelta(days=days))

    def stored(self, query: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.path)) as connection:
            return connection.execute(query).fetchall()


@pytest.fixture
async def call(tmp_path: Path) -> AsyncIterator[Caller]:
    path = tmp_path / "telecom.db"
    days: list[timedelta] = []
    connected: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
    finished = asyncio.Event()

    async def hold() -> None:
        async with Client(create_server(path, clock=lambda: NOON + sum(days, timedelta()))) as client:
            connected.set_result(client)
            await finished.wait()

    # The client has to be left by the task that entered it, and a fixture's two halves are two tasks.
    holder = asyncio.create_task(hold())
    yield Caller(await connected, path, days=days)
    finished.set()
    await holder


@pytest.fixture
async def mira(call: Caller) -> Caller:
    await call("verify_customer", **MIRAS_PROOF)
    return call


# What is offered


async def test_every_tool_says_what_it_does_to_the_world(call: Caller) -> None:
    tools = {tool.name: tool for tool in (await call.client.list_tools()).tools}
    assert len(tools) == 25
    assert all(tool.description and tool.annotations.read_only_hint is not None for tool in tools.values())
    assert all(tool.input_schema["additionalProperties"] is False for tool in tools.values())
    writing = {name for name, tool in tools.items() if not tool.annotations.read_only_hint}
    assert writing == {
        "cancel_order",
        "create_offer",
        "lock_sim",
        "place_order",
        "send_summary_email",
        "transfer_to_operator",
        "unlock_sim",
        "update_contact",
        "verify_customer",
    }
    assert {name for name in tools if (tools[name].meta or {}).get("parley/idempotency-key")} == writing
    assert {n for n in tools if tools[n].annotations.destructive_hint} == {"cancel_order", "lock_sim", "update_contact"}
    assert not tools["place_order"].annotations.idempotent_hint


async def test_unknown_fields_and_wrong_values_are_named(call: Caller) -> None:
    with pytest.raises(Refused, match=r"^Unknown field: colour\. Known are: plan_id\.$"):
        await call("get_plan", plan_id="pure-m", colour="red")
    with pytest.raises(Refused, match=r"^limit: Input should be less than or equal to 10$"):
        await call("search_knowledge", query="roaming", limit=1000)
    with pytest.raises(Refused, match=r"^items\.0\.discount: Extra inputs are not permitted$"):
        await call("price_items", items=[{"sku": "cable-usb-c", "quantity": 1, "discount": 99}])


def test_two_fresh_files_are_equal(tmp_path: Path) -> None:
    dumps = []
    for name in ("one.db", "two.db"):
        Database(tmp_path / name)
        with closing(sqlite3.connect(tmp_path / name)) as connection:
            dumps.append(list(connection.iterdump()))
    assert dumps[0] == dumps[1]


def test_the_business_has_enough_of_everything(tmp_path: Path) -> None:
    Database(tmp_path / "telecom.db")
    with closing(sqlite3.connect(tmp_path / "telecom.db")) as connection:
        counted = {
            table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("customers", "plans", "articles", "article_search")
        }
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    assert counted == {"customers": 32, "plans": 12, "articles": 53, "article_search": 53}


def test_a_file_of_another_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "telecom.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(OtherVersion, match="version 99"):
        create_server(path)


# Who is asking


async def test_a_customer_is_found_by_any_way_of_writing_the_phone(call: Caller) -> None:
    for phone in ("+49 171 392-0001", "0171 3920001", "0049 171 3920001"):
        assert await call("find_customer", phone=phone) == {
            "found": True,
            "customer_number": "C-1001",
            "verified": False,
        }
    assert (await call("find_customer", email="Mira.Vogel@example.com"))["customer_number"] == "C-1001"
    assert await call("find_customer", customer_number="C-9999") == {"found": False}
    assert await call("find_customer") == {"found": False}
    with pytest.raises(Refused, match="only one"):
        await call("find_customer", email="mira.vogel@example.com", customer_number="C-1001")


async def test_who_is_signed_in_is_known_and_reaches_their_own_account_alone(call: Caller) -> None:
    call.signed_in = "C-1001"
    assert await call("find_customer") == {"found": True, "customer_number": "C-1001", "verified": True}
    assert (await call("get_balance", **MIRA))["customer_number"] == "C-1001"
    assert not (await call("find_customer", customer_number="C-1002"))["verified"]
    with pytest.raises(Refused, match="Verify the customer first"):
        await call("get_balance", customer_number="C-1002")
    call.signed_in = None  # who signed out leaves nothing behind
    with pytest.raises(Refused, match="Verify the customer first"):
        await call("get_balance", **MIRA)


async def test_who_is_signed_in_without_being_a_customer_is_a_stranger(call: Caller) -> None:
    call.signed_in = "someone@example.com"
    assert await call("find_customer") == {"found": False}


async def test_the_second_card_of_a_family_finds_its_owner(call: Caller) -> None:
    assert (await call("find_customer", phone="+491713920040"))["customer_number"] == "C-1004"


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("account_status", MIRA),
        ("get_balance", MIRA),
        ("list_transactions", MIRA),
        ("list_orders", MIRA),
        ("get_order", MIRA | {"order_id": "OR-5001"}),
        ("cancel_order", MIRA | {"order_id": "OR-5001"}),
        ("list_sims", MIRA),
        ("lock_sim", MIRA | {"sim_id": "SIM-1001-1", "reason": "lost"}),
        ("unlock_sim", MIRA | {"sim_id": "SIM-1001-1"}),
        ("create_offer", MIRA | {"plan_id": "pure-l"}),
        ("get_contact", MIRA),
        ("update_contact", MIRA | {"field": "email", "value": "thief@example.com"}),
        ("send_summary_email", MIRA | {"subject": "s", "body": "b"}),
    ],
)
async def test_a_customer_is_out_of_reach_until_this_conversation_verified_them(
    call: Caller, tool: str, arguments: dict[str, Any]
) -> None:
    await call.elsewhere("conv_other")("verify_customer", **MIRAS_PROOF)
    await call("verify_customer", **JONAS_PROOF)
    with pytest.raises(Refused, match="Verify the customer first") as real:
        await call(tool, **arguments)
    with pytest.raises(Refused) as absent:
        await call(tool, **arguments | {"customer_number": "C-9999"})
    assert str(real.value) == str(absent.value)
    assert {effect for (effect,) in call.stored("SELECT subject FROM effects")} == {
        "C-1001 verified",
        "C-1002 verified",
    }


async def test_things_of_another_customer_look_absent(mira: Caller) -> None:
    offer = await mira("create_offer", customer_number="C-1001", plan_id="pure-l")
    stranger = mira.elsewhere("conv_jonas")
    await stranger("verify_customer", **JONAS_PROOF)
    for tool in ("get_offer", "place_order"):
        with pytest.raises(Refused) as theirs:
            await stranger(tool, offer_id=offer["offer_id"])
        with pytest.raises(Refused) as absent:
            await stranger(tool, offer_id="OF-9999")
        assert str(theirs.value).replace(offer["offer_id"], "OF-9999") == str(absent.value)
    with pytest.raises(Refused, match="has no order OR-5001"):
        await stranger("get_order", customer_number="C-1002", order_id="OR-5001")
    with pytest.raises(Refused, match="has no SIM card SIM-1001-1"):
        await stranger("lock_sim", customer_number="C-1002", sim_id="SIM-1001-1", reason="lost")


async def test_verification_tells_name_and_language(call: Caller) -> None:
    assert await call("verify_customer", **MIRAS_PROOF) == {
        "verified": True,
        "customer_number": "C-1001",
        "name": "Mira Vogel",
        "language": "en",
    }
    assert (await call("find_customer", customer_number="C-1001"))["verified"]


async def test_three_failures_lock_a_number_for_the_day_in_every_conversation(call: Caller) -> None:
    wrong = MIRAS_PROOF | {"postcode": "10115"}
    for left in (2, 1, 0):
        assert await call("verify_customer", **wrong) == {
            "verified": False,
            "attempts_left": left,
            "locked": left == 0,
        }
    locked = {"verified": False, "attempts_left": 0, "locked": True}
    assert await call.elsewhere("conv_other")("verify_customer", **MIRAS_PROOF) == locked
    call.tomorrow()
    assert (await call("verify_customer", **MIRAS_PROOF))["verified"]


async def test_an_unknown_number_fails_just_as_a_wrong_proof_does(call: Caller) -> None:
    for left in (2, 1, 0, 0):
        answer = await call("verify_customer", **MIRAS_PROOF | {"customer_number": "C-9999"})
        assert answer == {"verified": False, "attempts_left": left, "locked": left == 0}


async def test_a_client_without_conversations_is_one_conversation_of_its_own(call: Caller) -> None:
    direct = call.elsewhere(None)
    await direct("verify_customer", **MIRAS_PROOF)
    assert (await direct("get_contact", **MIRA))["name"] == "Mira Vogel"
    with pytest.raises(Refused, match="Verify"):
        await call("get_contact", **MIRA)


# The account


async def test_the_account_tells_plan_usage_and_balance(mira: Caller) -> None:
    account = await mira("account_status", **MIRA)
    assert account["plan"] == {
        "plan_id": "pure-m",
        "name": "Cobalt Pure M",
        "monthly_minor": 1499,
        "currency": "EUR",
    }
    assert (account["data_used_mb"], account["data_total_mb"]) == (7340, 20_000)
    assert (account["open_orders"], account["sims"], account["contract_ends"]) == (1, 1, "2027-02-28")
    assert (account["balance_minor"], account["currency"]) == (2939, "EUR")


async def test_the_balance_is_the_sum_of_the_open_invoices(mira: Caller) -> None:
    balance = await mira("get_balance", **MIRA)
    assert balance["open_invoices"] == [
        {
            "invoice_id": "IN-1001-2610",
            "label": "Cobalt Pure M, October 2026",
            "amount_minor": 2939,
            "due_on": "2026-11-04",
        }
    ]
    assert balance["balance_minor"] == 2939


async def test_transactions_come_newest_first_and_explain_the_bill(mira: Caller) -> None:
    booked = (await mira("list_transactions", **MIRA, limit=3))["transactions"]
    assert [row["label"] for row in booked] == [
        "Cobalt Pure M, October 2026",
        "Roaming in Switzerland, 240 MB",
        "Direct debit, thank you",
    ]
    assert [row["amount_minor"] for row in booked] == [1499, 1440, -1499]


# Cards and contact


async def test_locking_twice_is_one_effect_and_unlocking_takes_it_back(mira: Caller) -> None:
    card = MIRA | {"sim_id": "SIM-1001-1"}
    locked = {"sim_id": "SIM-1001-1", "phone": "+491713920001", "status": "locked", "lock_reason": "lost"}
    assert await mira("lock_sim", **card, reason="lost") == locked
    assert await mira("lock_sim", **card, reason="customer_request") == locked
    assert mira.stored("SELECT tool FROM effects WHERE subject = 'SIM-1001-1'") == [("lock_sim",)]
    assert (await mira("unlock_sim", **card))["status"] == "active"
    assert (await mira("list_sims", **MIRA))["sims"][0]["lock_reason"] is None


async def test_a_stolen_card_is_unlocked_by_a_person_only(mira: Caller) -> None:
    card = MIRA | {"sim_id": "SIM-1001-1"}
    await mira("lock_sim", **card, reason="lost")
    assert (await mira("lock_sim", **card, reason="stolen"))["lock_reason"] == "stolen"
    with pytest.raises(Refused, match="Only an operator"):
        await mira("unlock_sim", **card)


async def test_contact_details_change_and_tell_what_they_were(mira: Caller) -> None:
    changed = await mira("update_contact", **MIRA, field="phone", value="0171 3920099")
    assert changed["value"] == "+491713920099"
    assert changed["previous"] == "+491713920001"
    await mira("update_contact", **MIRA, field="email", value="mira@example.org")
    await mira("update_contact", **MIRA, field="address", value="Neue Str. 5, 10115 Berlin")
    assert await mira("get_contact", **MIRA) == {
        "customer_number": "C-1001",
        "name": "Mira Vogel",
        "email": "mira@example.org",
        "phone": "+491713920099",
        "address": "Neue Str. 5, 10115 Berlin",
    }


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "not an address"),
        ("email", "a@example.com, b@example.com"),
        ("phone", "call me"),
        ("address", "Somewhere"),
    ],
)
async def test_a_contact_detail_that_cannot_be_one_is_refused_with_how_to_write_it(
    mira: Caller, field: str, value: str
) -> None:
    with pytest.raises(Refused, match=r"looks like|For example"):
        await mira("update_contact", **MIRA, field=field, value=value)


async def test_a_mail_goes_to_the_address_on_file(mira: Caller) -> None:
    mail = await mira("send_summary_email", **MIRA, subject="Your questions", body="We spoke about roaming.")
    assert mail == {"email_id": "EM-1", "to": "mira.vogel@example.com", "subject": "Your questions"}
    assert mira.stored("SELECT email_id, body FROM outbox") == [("EM-1", "We spoke about roaming.")]
    with pytest.raises(Refused, match="subject"):
        await mira("send_summary_email", **MIRA, subject="Hi\r\nBcc: all@example.com", body="b")


# Plans, prices, offers, orders


async def test_plans_are_narrowed_by_numbers_and_ordered_by_words(call: Caller) -> None:
    cheap = await call("search_plans", max_monthly_minor=1499, min_data_gb=20)
    assert [plan["plan_id"] for plan in cheap["plans"]] == ["pure-m", "student-l"]
    student = await call("search_plans", query="a cheap plan for students", limit=1)
    assert [plan["plan_id"] for plan in student["plans"]] == ["student-l"]
    assert student["total"] == 12
    endless = await call("search_plans", min_data_gb=500)
    assert [plan["data_gb"] for plan in endless["plans"]] == [None]


async def test_a_plan_is_shown_whole_and_compared(call: Caller) -> None:
    plan = await call("get_plan", plan_id="pure-l")
    assert (plan["monthly_minor"], plan["currency"], plan["data_gb"], plan["terms_months"]) == (
        1999,
        "EUR",
        50,
        [1, 24],
    )
    compared = await call("compare_plans", plan_ids=["pure-s", "pure-unlimited"])
    assert (compared["cheapest"], compared["most_data"]) == ("pure-s", "pure-unlimited")
    with pytest.raises(Refused, match="There is no plan 'gold'"):
        await call("get_plan", plan_id="gold")


async def test_products_are_priced_by_the_server(call: Caller) -> None:
    options = (await call("list_products", category="option"))["products"]
    assert {option["charge"] for option in options} == {"monthly"}
    quote = await call("price_items", items=[{"sku": "charger-30w", "quantity": 2}, {"sku": "option-data-10gb"}])
    assert quote["totals"] == {"one_off_minor": 4980, "monthly_minor": 499}
    assert quote["tax"] == {"rate_percent": 19, "included": True, "one_off_minor": 795, "monthly_minor": 80}
    with pytest.raises(Refused, match="There is no product gold-bar"):
        await call("price_items", items=[{"sku": "gold-bar"}])
    with pytest.raises(Refused, match="Sold out at the moment: watch-pulse"):
        await call("price_items", items=[{"sku": "watch-pulse"}])


async def test_an_offer_is_priced_stored_and_found_again(mira: Caller) -> None:
    offer = await mira(
        "create_offer", **MIRA, plan_id="pure-l", items=[{"sku": "phone-aria-12"}, {"sku": "option-insurance"}]
    )
    assert offer["offer_id"] == "OF-1001"
    assert [line["total_minor"] for line in offer["lines"]] == [1999, 1999, 64900, 599]
    assert [discount["amount_minor"] for discount in offer["discounts"]] == [-200, -1999]
    assert offer["totals"] == {"one_off_minor": 64900, "monthly_minor": 2398, "term_total_minor": 64900 + 24 * 2398}
    assert offer["valid_through"] == "2026-11-16"
    assert offer["valid_until"] == datetime(2026, 11, 17, tzinfo=UTC).timestamp() * 1000
    assert await mira("get_offer", offer_id="OF-1001") == offer
    with pytest.raises(Refused, match="not sold for 1 months"):
        await mira("create_offer", **MIRA, plan_id="family-duo", term_months=1)


async def test_a_new_customer_pays_the_set_up_of_a_contract_by_the_month(call: Caller) -> None:
    await call("verify_customer", customer_number="C-1032", date_of_birth="1974-12-19", postcode="20354")
    offer = await call("create_offer", customer_number="C-1032", plan_id="pure-s", term_months=1)
    assert offer["discounts"] == []
    assert offer["totals"] == {"one_off_minor": 1999, "monthly_minor": 999, "term_total_minor": 2998}


async def test_an_offer_is_ordered_until_it_expires(mira: Caller) -> None:
    offer = await mira("create_offer", **MIRA, plan_id="pure-l")
    order = await mira("place_order", offer_id=offer["offer_id"])
    assert (order["order_id"], order["status"], order["ordered_on"]) == ("OR-6001", "placed", "2026-11-02")
    assert order["lines"] == offer["lines"]
    assert await mira("get_order", **MIRA, order_id="OR-6001") == order
    mira.tomorrow(days=15)
    assert (await mira("get_offer", offer_id=offer["offer_id"]))["status"] == "expired"
    with pytest.raises(Refused, match="has expired"):
        await mira("place_order", offer_id=offer["offer_id"])


async def test_orders_are_listed_newest_first_with_their_parcel(mira: Caller) -> None:
    orders = (await mira("list_orders", **MIRA))["orders"]
    assert [(order["order_id"], order["status"]) for order in orders] == [
        ("OR-5001", "shipped"),
        ("OR-5002", "delivered"),
    ]
    order = await mira("get_order", **MIRA, order_id="OR-5001")
    assert (order["carrier"], order["tracking"]) == ("Parcel One", "P1-4410-7782")
    assert order["one_off_minor"] == 64900 + 2490


async def test_an_order_is_cancelled_once_and_only_before_shipping(call: Caller) -> None:
    await call("verify_customer", **JONAS_PROOF)
    order = {"customer_number": "C-1002", "order_id": "OR-5003"}
    for _ in range(2):
        assert await call("cancel_order", **order) == {"order_id": "OR-5003", "status": "cancelled"}
    assert len(call.stored("SELECT 1 FROM effects WHERE tool = 'cancel_order'")) == 1
    await call("verify_customer", **MIRAS_PROOF)
    with pytest.raises(Refused, match="already shipped"):
        await call("cancel_order", **MIRA, order_id="OR-5001")


# Help


@pytest.mark.parametrize(
    ("question", "article"),
    [
        ("How does roaming in Switzerland work?", "kb-roaming-switzerland"),
        ("Why is my bill so high", "kb-bill-higher"),
        ("I lost my phone!", "kb-sim-lost"),
        ("keep my number", "kb-port-in"),
        ("eSIM new phone", "kb-esim-move"),
        ("can I speak to a human", "kb-help-operator"),
        ("Wie kündige ich meinen Vertrag?", "kb-de-kuendigen"),
        ("kundige vertrag", "kb-de-kuendigen"),
    ],
)
async def test_a_question_finds_its_article(call: Caller, question: str, article: str) -> None:
    found = (await call("search_knowledge", query=question, limit=3))["results"]
    assert found[0]["article_id"] == article
    assert found[0]["snippet"]
    text = (await call("get_article", article_id=article))["text"]
    assert len(text) > 200


@pytest.mark.parametrize(
    "query",
    [
        '"',
        "roaming AND",
        "NEAR(roaming esim, 2)",
        "title:roaming",
        "roam*",
        "-roaming",
        "^roaming",
        "{title text}: x",
        "'; DROP TABLE articles; --",
        "roaming OR OR (",
        "a\x00b",
        "🙂",
        "",
        " ",
    ],
)
async def test_search_syntax_in_a_question_is_only_words(call: Caller, query: str) -> None:
    assert isinstance((await call("search_knowledge", query=query))["results"], list)


@settings(max_examples=150, deadline=None)
@given(query=st.text(max_size=60) | st.text(alphabet="\"'()*:^-+{}., ANDORNEAR", max_size=40))
def test_no_question_breaks_the_index(query: str) -> None:
    with closing(sqlite3.connect(":memory:")) as index:
        index.execute("CREATE VIRTUAL TABLE t USING fts5(x, tokenize = 'porter unicode61 remove_diacritics 2')")
        if match := match_any(query):
            index.execute("SELECT * FROM t WHERE t MATCH ?", (match,)).fetchall()


async def test_an_unknown_article_is_refused(call: Caller) -> None:
    with pytest.raises(Refused, match="There is no such article"):
        await call("get_article", article_id="kb-nothing")


async def test_a_conversation_gets_one_ticket_and_its_place_in_the_queue(call: Caller) -> None:
    asked = {"reason": "Asks for a person", "summary": "A charge for a horoscope that was never ordered."}
    first = await call("transfer_to_operator", **asked)
    assert first == {"ticket": "TK-101", "queue_position": 1, "expected_wait_minutes": 4}
    assert await call("transfer_to_operator", **asked) == first
    second = await call.elsewhere("conv_other")("transfer_to_operator", **asked)
    assert second == {"ticket": "TK-102", "queue_position": 2, "expected_wait_minutes": 8}


# Once, whatever happens


async def test_a_repeated_key_repeats_the_answer_and_not_the_effect(mira: Caller) -> None:
    offer = await mira("create_offer", **MIRA, plan_id="pure-l", key="k1")
    assert await mira("create_offer", **MIRA, plan_id="pure-l", key="k1") == offer
    order = await mira("place_order", offer_id=offer["offer_id"], key="k2")
    assert await mira("place_order", offer_id=offer["offer_id"], key="k2") == order
    effects = mira.stored("SELECT tool, key, subject FROM effects WHERE key IS NOT NULL ORDER BY id")
    assert effects == [("create_offer", "k1", "OF-1001"), ("place_order", "k2", "OR-6001")]


async def test_without_a_key_every_call_is_one_more_order(mira: Caller) -> None:
    offer = await mira("create_offer", **MIRA, plan_id="pure-l")
    orders = [(await mira("place_order", offer_id=offer["offer_id"]))["order_id"] for _ in range(2)]
    assert orders == ["OR-6001", "OR-6002"]


async def test_a_key_of_another_call_is_refused(mira: Caller) -> None:
    await mira("send_summary_email", **MIRA, subject="One", body="b", key="k1")
    with pytest.raises(Refused, match="used for another call"):
        await mira("send_summary_email", **MIRA, subject="Two", body="b", key="k1")
    with pytest.raises(Refused, match="used for another call"):
        await mira.elsewhere("conv_other")("send_summary_email", **MIRA, subject="One", body="b", key="k1")
    assert len(mira.stored("SELECT * FROM outbox")) == 1


async def test_a_refused_call_leaves_its_key_free(call: Caller) -> None:
    mail = MIRA | {"subject": "One", "body": "b"}
    with pytest.raises(Refused, match="Verify"):
        await call("send_summary_email", **mail, key="k1")
    await call("verify_customer", **MIRAS_PROOF)
    assert (await call("send_summary_email", **mail, key="k1"))["email_id"] == "EM-1"


async def test_the_same_key_twenty_times_at_once_is_one_mail(mira: Caller) -> None:
    mail = MIRA | {"subject": "Once", "body": "b"}
    answers = await asyncio.gather(*(mira("send_summary_email", **mail, key="k1") for _ in range(20)))
    assert {answer["email_id"] for answer in answers} == {"EM-1"}
    assert len(mira.stored("SELECT * FROM outbox")) == 1


async def test_two_processes_share_one_file(mira: Caller) -> None:
    """Twenty mails from each of two processes, at once: forty mails, forty numbers."""
    mail = MIRA | {"subject": "s", "body": "b"}
    neighbour = await asyncio.create_subprocess_exec(
        sys.executable, "-c", NEIGHBOUR, str(mira.path), stdout=subprocess.PIPE
    )
    assert neighbour.stdout is not None
    try:
        async with asyncio.timeout(30):
            await neighbour.stdout.readline()
            await asyncio.gather(*(mira("send_summary_email", **mail) for _ in range(20)))
            assert await neighbour.wait() == 0
    finally:
        if neighbour.returncode is None:
            neighbour.kill()
    assert mira.stored("SELECT count(DISTINCT email_id) FROM outbox") == [(40,)]
    assert mira.stored("PRAGMA integrity_check") == [("ok",)]


NEIGHBOUR = """
import asyncio, sys
from mcp import Client
from tools.telecom.server import create_server

async def main():
    async with Client(create_server(sys.argv[1])) as client:
        print("ready", flush=True)
        mail = {"customer_number": "C-1001", "subject": "s", "body": "b"}
        meta = {"parley/conversation": "conv_test"}
        calls = [client.call_tool("send_summary_email", mail, meta=meta) for _ in range(20)]
        assert not any(result.is_error for result in await asyncio.gather(*calls))

asyncio.run(main())
"""


async def test_the_conversation_and_the_key_travel_over_stdio_too(tmp_path: Path) -> None:
    command = ["-m", "tools", "--stdio", "--database", str(tmp_path / "telecom.db")]
    server = stdio_client(StdioServerParameters(command=sys.executable, args=command, cwd=Path.cwd()))
    async with asyncio.timeout(30), Client(server) as client:
        call = Caller(client, tmp_path / "telecom.db")
        await call("verify_customer", **MIRAS_PROOF)
        mails = [await call("send_summary_email", **MIRA, subject="s", body="b", key="k1") for _ in range(2)]
        assert [mail["email_id"] for mail in mails] == ["EM-1", "EM-1"]
        with pytest.raises(Refused, match="Verify"):
            await call.elsewhere("conv_other")("get_contact", **MIRA)


def test_the_business_needs_nothing_of_the_rest_of_parley() -> None:
    foreign = {"agents", "openai", "app", "agent_core", "voice", "livekit"}
    script = f"import sys, tools.__main__; assert not {foreign} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=30)


def test_the_command_names_a_file_of_another_version(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "telecom.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    assert main(["--stdio", "--database", str(path)]) == 1
    assert str(path) in capsys.readouterr().err


def test_many_processes_may_open_a_new_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "new" / "telecom.db"
    opening = [
        subprocess.Popen(
            [sys.executable, "-c", f"from tools.telecom.server import create_server; create_server({str(path)!r})"]
        )
        for _ in range(4)
    ]
    assert [process.wait(timeout=50) for process in opening] == [0, 0, 0, 0]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM customers").fetchone() == (32,)


async def test_a_stuck_neighbour_is_an_excuse_and_not_a_crash(mira: Caller) -> None:
    mail = MIRA | {"subject": "s", "body": "b"}
    with closing(sqlite3.connect(mira.path, isolation_level=None)) as neighbour:
        neighbour.execute("BEGIN IMMEDIATE")
        waiting = asyncio.create_task(mira("send_summary_email", **mail))
        assert (await mira("get_balance", **MIRA))["balance_minor"] == 2939
        with pytest.raises(Refused, match="cannot be reached at the moment"):
            await waiting
    assert (await mira("send_summary_email", **mail))["email_id"] == "EM-1"
