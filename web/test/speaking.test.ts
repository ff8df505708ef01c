// A call, as the conversation has it: who it belongs to, and what the agent shows in it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { page, peer, saw, until } from "./page.ts";
import type { Conversation } from "../src/conversation.ts";

const OFFER = { deliverable: "dlv_1", version: 1, kind: "displayOffer", payload: { title: "Pure M" }, answers: ["accept"], expires_at: null };
const cards = (conversation: Conversation) => conversation.view.snapshot!.items.filter((item) => item.kind === "deliverable");

test("a call begins a conversation where there is none, and hangs up as who began it", async () => {
  const here = page();
  const ticket = await here.invite();
  assert.equal(peer.count(/POST .conversations$/), 1);
  assert.equal(peer.count(/POST .conversations.conv_1.voice$/), 1);
  here.logout();
  ticket.hangUp();
  await until(() => peer.count(/DELETE .*voice/) === 1, "hung up");
  assert.equal(peer.asked.at(-1)!.token, "token-1");
});

test("what the agent shows in a call stands in the thread before the feed brings it, and once", async () => {
  const here = page();
  here.say("An offer, please");
  await saw(here, "An offer, please");
  const shown = here.shows(OFFER);
  assert.equal(cards(here).length, 1);
  void here.acknowledge("dlv_1", 1); // it was drawn
  assert.equal(await shown, true);
  peer.happens({ type: "deliverable.shown", ...OFFER, turn: "turn_1", call: "call_1" });
  await until(() => here.view.snapshot!.version === String(peer.log.length), "the feed's own");
  assert.equal(cards(here).length, 1);
  assert.equal(await here.shows(OFFER), true);
  assert.equal(cards(here).length, 1);
});

test("what is too large for the line is shown when the feed brings it", async () => {
  const here = page();
  here.say("An offer, please");
  await saw(here, "An offer, please");
  const { payload: _large, ...named } = OFFER;
  const shown = here.shows(named);
  assert.equal(cards(here).length, 0);
  peer.happens({ type: "deliverable.shown", ...OFFER, turn: "turn_1", call: "call_1" });
  await until(() => cards(here).length === 1, "the feed's own");
  void here.acknowledge("dlv_1", 1);
  assert.equal(await shown, true);
});
