"""The demo on a call, in every language: of a list one hears how much there is, or what is first in it; the list itself
stands on the screen."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from typing import Any

import pytest

from agent_core import open_core, voice_lines
from agent_core.demo.script import playbook
from agent_core.events import MessageFinished, TurnFinished
from agent_core.settings import DEMO_TEAM
from tests.voice.stage import Call, calling

#: Who they are, for what only a verified customer may see.
PROOF = ("C-1001", "1988-04-12 10969")
#: The plans, two of them, the devices, the orders; then, known by their proof: the SIM cards, the bill.
WISHES = {
    "en": (
        ("Show me your plans, please.", "from Cobalt Prepaid Start (€4.99) to Cobalt Pure S (€9.99)"),
        ("Please compare the two.", "The cheapest is pure-m"),
        ("Which phones are there?", "6 devices, for example Aria 12 128 GB (€649.00)"),
        ("Where are my orders?", "2 in all, the newest OR-5001 (shipped)"),
        ("Which are my SIMs?", "1 in all"),
        ("Read me my bill.", "the newest of them Cobalt Pure M, October 2026, €14.99"),
    ),
    "de": (
        ("Guten Tag, welche Tarife haben Sie denn?", "von Cobalt Prepaid Start (4,99 €) bis Cobalt Pure S (9,99 €)"),
        ("Bitte vergleichen Sie die zwei.", "Am günstigsten ist pure-m"),
        ("Und welche Geräte gibt es?", "6 Geräte, zum Beispiel Aria 12 128 GB (649,00 €)"),
        ("Wo ist meine Bestellung?", "insgesamt 2, die neueste OR-5001 (versandt)"),
        ("Welches sind meine SIM-Karten?", "insgesamt 1"),
        ("Lesen Sie mir die Rechnung vor.", "als neueste Cobalt Pure M, October 2026, 14,99 €"),
    ),
    "es": (
        (
            "Hola, quiero ver las tarifas por favor",
            "desde Cobalt Prepaid Start (4,99 €) hasta Cobalt Pure S (9,99 €)",
        ),
        ("Quiero comparar las dos, por favor", "La más barata es pure-m"),
        ("¿Y qué dispositivos hay?", "6 dispositivos, por ejemplo Aria 12 128 GB (649,00 €)"),
        ("¿Dónde está mi pedido?", "2 en total, el más reciente OR-5001 (enviado)"),
        ("¿Cuáles son mis SIM?", "1 en total"),
        ("Léame la factura, por favor", "el más reciente Cobalt Pure M, October 2026, 14,99 €"),
    ),
    "fr": (
        ("Bonjour, je voudrais voir les forfaits", "de Cobalt Prepaid Start (4,99 €) à Cobalt Pure S (9,99 €)"),
        ("Je voudrais comparer les deux", "Le moins cher est pure-m"),
        ("Et quels téléphones avez-vous ?", "6 appareils, par exemple Aria 12 128 GB (649,00 €)"),
        ("Où est ma commande ?", "2 au total, la plus récente OR-5001 (expédiée)"),
        ("Quelles sont mes cartes SIM ?", "1 au total"),
        ("Lisez-moi la facture", "la plus récente étant Cobalt Pure M, October 2026, 14,99 €"),
    ),
    "ar": (
        ("مرحبا، أريد أن أرى الباقات من فضلك", "من Cobalt Prepaid Start (4.99 €) إلى Cobalt Pure S (9.99 €)"),
        ("قارن بين الاثنتين من فضلك", "الأرخص pure-m"),
        ("ما هي الأجهزة المتوفرة؟", "6 من الأجهزة، مثلا Aria 12 128 GB (649.00 €)"),
        ("أين طلباتي؟", "وعددها 2، وأحدثها OR-5001 (مشحون)"),
        ("ما هي شرائحي؟", "وعددها 1"),
        ("اقرأ لي فاتورتي", "وأحدثها Cobalt Pure M, October 2026, 14.99 €"),
    ),
}
#: What a list has, and a sentence has not.
MARKS = re.compile(r"^ *[-+*•|#>]|\*\*|[`|]", re.MULTILINE)


@asynccontextmanager
async def demo_call(settings: Any):
    demo = settings.model_copy(update={"team_file": DEMO_TEAM})
    async with calling(lambda: open_core(demo), demo) as call:
        yield call


async def hears(call: Call, wish: str) -> tuple[str, str]:
    """What is said of it, and what stands in the thread."""
    await call.voice.live.wait_for_idle()
    turns, messages, heard = len(call.events(TurnFinished)), len(call.events(MessageFinished)), len(call.ear.spoken)
    call.mouth.say(wish)
    await call.watch.until(lambda _item: len(call.events(TurnFinished)) > turns)
    await call.ear.until(lambda ear: len(ear.spoken) > heard)
    await call.voice.live.wait_for_idle()
    written = [message.text for message in call.events(MessageFinished)[messages:]]
    return " ".join(call.ear.spoken[heard:]), "\n\n".join(written)


def flat(text: str) -> str:
    """No-break spaces are spaces, and what writes a price from left to right is nothing."""
    return " ".join(text.replace("\u200f", "").split())


def test_every_list_of_the_playbook_is_asked_for_here():
    lists = [name for name, intent in playbook()["intents"].items() if "|lines}" in str(intent["say"])]
    assert sorted(lists) == ["bill", "compare", "orders", "plans", "products", "sims"]


@pytest.mark.parametrize("language", WISHES)
async def test_a_list_is_told_in_a_sentence_and_stands_on_the_screen(language, settings):
    on_screen = voice_lines.line("screen", language)
    async with demo_call(settings) as call, asyncio.timeout(60):
        for wish, told in WISHES[language]:
            heard, written = await hears(call, wish)
            if "OR-5001" in told:
                for proof in PROOF:
                    heard, written = await hears(call, proof)
            entries = re.findall(r"^- (.*)$", written, re.MULTILINE)
            assert entries, written
            assert told in flat(heard)
            assert MARKS.search(heard) is None, heard
            assert heard.count(on_screen) == (1 if len(entries) > 1 else 0), heard
            assert sum(entry.replace("**", "").replace("`", "") in heard for entry in entries) == (len(entries) == 1)
