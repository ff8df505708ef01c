"""People, and a model, that do as chance has it; what a seed does it does again, as far as the machine lets it."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from agent_core.door import Principal
from agent_core.errors import Conflict, Overloaded
from tests.conftest import ANA, MAYA
from tests.scripted import Call, ScriptedModels, Step

#: How often each is done; what starts turns, more than what ends them.
OFTEN = {"say": 8, "pause": 6, "decide": 9, "choose": 6, "sell": 5, "give": 3, "stop": 1, "reply": 1, "take": 0.4}
OFTEN |= {"call": 3, "speak": 8, "break_in": 1, "fall_back": 1, "hang_up": 1.5}
CHOICE = {"question": "Which?", "options": [{"id": "a", "label": "A"}, {"id": "b", "label": "B"}]}


WORKER = Principal("service", "voice")


class WhimsicalModels(ScriptedModels):
    """Talks, calls and asks as chance has it; no call is made twice."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__(otherwise=self._whim)
        self._chance, self._number = chance, itertools.count()

    def _whim(self, items: list[Any]) -> Step:
        n = next(self._number)
        if items[-1].get("type") == "function_call_output" and self._chance.random() < 0.7:
            return [f"That was {n}. ", "Anything else?"]
        lock = Call("lock", {"card": f"card {n}", "note": "asked for"})
        steps: list[Step] = [
            [f"Word {n}. " * 40],
            [f"Let me see {n}. ", Call("lookup", {"q": str(n)})],
            [lock],
            [lock, Call("lock", {"card": f"other {n}"})],
            [lock, Call("lookup", {"q": str(n)})],
            [lock, Call("slow")],
            [Call("charge", {"amount": n})],
            [Call("displayChoices", CHOICE)],
            [lock, Call("displayChoices", CHOICE)],
            [Call(self._chance.choice(["transfer_to_expert", "transfer_to_lead", "transfer_to_lead"]))],
            [Call("no_such_tool")],
        ]
        return self._chance.choice(steps)


class People:
    """Ana and Maya, through any of the processes; what they may not do just now they are refused.

    `spoken`: of each turn that a realtime model answered, the words that the log took.
    """

    def __init__(self, doors: Sequence[Any], conversation: str, shop: Any, chance: random.Random) -> None:
        self._doors, self._conversation, self._shop, self._chance = doors, conversation, shop, chance
        self._number = itertools.count()
        self._session: str | None = None
        self.spoken: defaultdict[str | None, list[str]] = defaultdict(list)

    def plans(self, many: int) -> list[str]:
        return self._chance.choices(list(OFTEN), list(OFTEN.values()), k=many)

    def patient(self) -> bool:
        """Whether they wait for what they did last before they do the next thing."""
        return self._chance.random() < 0.6

    async def do(self, what: str) -> None:
        door = self._chance.choice(self._doors)
        try:
            await getattr(self, what)(door, self._conversation)
        except (Conflict, Overloaded):
            return

    async def say(self, door: Any, conversation: str) -> None:
        n = next(self._number)
        await door.say(ANA, conversation, f"question {n}", client_message_id=f"m{n}")

    async def stop(self, door: Any, conversation: str) -> None:
        await door.stop(ANA, conversation)

    async def decide(self, door: Any, conversation: str) -> None:
        snapshot = await door.snapshot(ANA, conversation)
        for interrupt in snapshot["open"][:1]:
            item = next(i for i in snapshot["items"] if i.get("id") == interrupt)
            edited = {**json.loads(item["arguments"]), "note": "edited"} if self._chance.random() < 0.3 else None
            decision = "approve" if edited else self._chance.choice(["approve", "reject"])
            await door.decide(ANA, conversation, interrupt, decision, arguments=edited)

    async def choose(self, door: Any, conversation: str) -> None:
        items = (await door.snapshot(ANA, conversation))["items"]
        for shown in [i for i in items if i["kind"] == "deliverable" and i["status"] == "shown"][:1]:
            at = (conversation, shown["id"], shown["version"], shown["answers"][0])
            await door.decide_deliverable(ANA, *at, answer={"chosen": ["a"]})

    async def sell(self, _door: Any, _conversation: str) -> None:
        """The slow tool comes to its end."""
        self._shop.go.set()
        await asyncio.sleep(0)
        self._shop.go.clear()

    async def take(self, door: Any, conversation: str) -> None:
        await door.take_floor(MAYA, conversation)

    async def give(self, door: Any, conversation: str) -> None:
        await door.give_floor(MAYA, conversation)

    async def reply(self, door: Any, conversation: str) -> None:
        n = next(self._number)
        await door.reply(MAYA, conversation, f"reply {n}", client_message_id=f"o{n}")

    # ---- by voice

    async def call(self, door: Any, conversation: str) -> None:
        asked = await door.voice.ask(ANA, conversation, take_over=self._chance.random() < 0.3)
        await door.voice.claim(WORKER, asked.session)
        await door.voice.change_mode(WORKER, asked.session, "realtime")
        self._session = asked.session

    async def speak(self, door: Any, _conversation: str) -> None:
        if self._session is None:
            return
        n, session = next(self._number), self._session
        heard = await door.voice.hear(WORKER, session, f"spoken {n}", client_message_id=f"v{n}")
        if heard.turn is None:
            return
        for part in range(self._chance.choice([0, 1, 2])):
            await self._tell(door, session, heard.turn, f"part {n}.{part}", last=False)
            await door.voice.call_tool(WORKER, session, heard.turn, f"v{n}.{part}", *self._want(f"{n}{part}"))
        await self._tell(door, session, heard.turn, f"end {n}", last=True)

    async def _tell(self, door: Any, session: str, turn: str, words: str, *, last: bool) -> None:
        await door.voice.tell(WORKER, session, turn, words, last=last)
        self.spoken[turn].append(words)

    def _want(self, number: str) -> tuple[str, str]:
        lock = ("lock", json.dumps({"card": f"aloud {number}"}))
        charge = ("charge", json.dumps({"amount": int(f"1000{number}")}))
        return self._chance.choice([lock, charge, ("lookup", '{"q": "x"}'), ("transfer_to_expert", "{}")])

    async def break_in(self, door: Any, conversation: str) -> None:
        turn = (await door.snapshot(ANA, conversation))["turn"]
        if turn is not None:
            await door.voice.heard(ANA, conversation, turn["id"], "Word")

    async def fall_back(self, door: Any, _conversation: str) -> None:
        if self._session is not None:
            await door.voice.change_mode(WORKER, self._session, "pipeline")

    async def hang_up(self, door: Any, conversation: str) -> None:
        await door.voice.leave(ANA, conversation)

    # ----

    async def pause(self, door: Any, conversation: str) -> None:
        """As long as a look at the conversation takes."""
        await door.snapshot(ANA, conversation)

    async def come_to_rest(self, door: Any, conversation: str) -> dict[str, Any]:
        """Everything is answered, and nobody does anything more; the conversation as it stands then."""
        self._shop.go.set()
        await door.voice.leave(ANA, conversation)
        await door.give_floor(MAYA, conversation)
        async with asyncio.timeout(30):
            while True:
                snapshot = await door.snapshot(ANA, conversation)
                if not _restless(snapshot):
                    return dict(snapshot)
                for _ in snapshot["open"]:
                    await self.do("decide")


def _restless(snapshot: dict[str, Any]) -> bool:
    running = any(i["kind"] == "tool" and i["status"] == "running" for i in snapshot["items"])
    return bool(snapshot["turn"] or snapshot["open"] or running)
