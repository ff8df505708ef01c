// What a customer says arrives once, whatever happens to the line, the page or the server.

import assert from "node:assert/strict";
import { test } from "node:test";
import { connection } from "./browser.ts";
import { page, peer, saw, settled, until } from "./page.ts";
import type { Conversation } from "../src/conversation.ts";
import { Storage } from "../src/storage.ts";

test("messages arrive in the order in which they were said", async () => {
  const here = page();
  for (const text of ["one", "two", "three", "four"]) here.say(text);
  await saw(here, "one", "two", "three", "four");
});

test("an answer that gets lost does not make a message arrive twice", async () => {
  const here = page();
  peer.trouble.push({ path: /messages/, what: "lose" });
  here.say("Order it");
  await saw(here, "Order it");
  await settled(here);
  assert.deepEqual([...peer.accepted.values()], ["Order it"]);
});

test("a line that breaks again and again loses nothing", async () => {
  const here = page();
  for (const what of ["refuse", "lose", "refuse"] as const) peer.trouble.push({ path: /messages/, what });
  peer.trouble.push({ path: /visitors/, what: "refuse" }, { path: /POST .conversations$/, what: "lose" });
  here.say("one");
  here.say("two");
  await saw(here, "one", "two");
  assert.equal(peer.accepted.size, 2);
});

test("what was not sent is sent by the page that is loaded next", async () => {
  const before = page();
  peer.trouble.push({ path: /visitors/, what: { status: 503, retryAfter: 60 } });
  before.say("Still here?");
  await until(() => peer.count(/visitors/) === 1, "tried");
  const after = page();
  await after.resume();
  await saw(after, "Still here?");
  assert.equal(peer.accepted.size, 1);
});

test("when the first words find no server it says so, until they have arrived", async () => {
  const here = page();
  peer.trouble.push({ path: /visitors/, what: "refuse" }, { path: /visitors/, what: "refuse" });
  assert.equal(here.view.connection, "live");
  here.say("Hello?");
  await until(() => here.view.connection === "broken", "told");
  assert.deepEqual(here.view.unsent.map((m) => m.text), ["Hello?"]);
  await saw(here, "Hello?");
  await until(() => here.view.connection === "live", "well again");
});

test("words that nobody waits for any more leave no lost connection behind", async () => {
  const here = page();
  peer.trouble.push(...Array.from({ length: 50 }, () => ({ path: /visitors/, what: "refuse" as const })));
  here.say("Hello?");
  await until(() => here.view.connection === "broken", "told");
  here.discard(here.view.unsent[0]!.id);
  assert.equal(here.view.connection, "live");
});

test("without a connection it says so, keeps what is said, and sends it when the connection is back", async () => {
  const here = page();
  here.say("one");
  await saw(here, "one");
  peer.trouble.push({ path: /events/, what: "refuse" }, { path: /messages/, what: "refuse" });
  connection(false);
  peer.breakFeeds();
  assert.equal(here.view.connection, "offline");
  here.say("two");
  assert.deepEqual(here.view.unsent.map((m) => m.text), ["two"]);
  connection(true);
  await saw(here, "one", "two");
  await settled(here);
});

test("a busy server is asked again when it said so, and its words are shown", async () => {
  const here = page();
  here.say("before");
  await saw(here, "before");
  peer.trouble.push({ path: /messages/, what: { status: 429, message: "One moment, please.", retryAfter: 1 } });
  const began = performance.now();
  here.say("one");
  await until(() => here.view.problem === "One moment, please.", "its words");
  const feeds = peer.count(/events/);
  peer.breakFeeds();
  here.say("two");
  await until(() => peer.count(/events/) > feeds && here.view.connection === "live", "the feed, back before that");
  await saw(here, "before", "one", "two");
  await until(() => here.view.problem === "", "no words any more");
  // A page that did not listen would have asked again after half a second at most; timers may be a little early.
  assert.ok(performance.now() - began > 900);
});

test("a message that is refused stays, with the reason, and does not hold up the next one", async () => {
  const here = page();
  peer.trouble.push({ path: /messages/, what: { status: 422, message: "Too long." } });
  here.say("bad");
  here.say("good");
  await saw(here, "good");
  assert.deepEqual(here.view.unsent.map((m) => [m.text, m.refused]), [["bad", "Too long."]]);
  here.discard(here.view.unsent[0]!.id);
  assert.deepEqual(here.view.unsent, []);
});

test("what was written in one conversation does not end up in another", async () => {
  const here = page();
  here.say("one");
  await saw(here, "one");
  await settled(here);
  peer.trouble.push({ path: /messages/, what: { status: 503, retryAfter: 1 } });
  here.say("about the first");
  await until(() => here.view.problem !== "", "held up");
  const first = here.storage.kept.conversation!;
  here.startNew();
  assert.deepEqual(here.view.unsent, []);
  here.say("about the second");
  await until(() => peer.accepted.size === 3, "all sent");
  const sent = peer.asked.filter((one) => one.path.endsWith("/messages") && one.body["text"] === "about the first");
  assert.ok(sent.every((one) => one.path.includes(first)));
  const second = peer.asked.find((one) => one.body["text"] === "about the second")!;
  assert.ok(!second.path.includes(first));
});

test("a message that is refused makes no other one travel twice", async () => {
  const here = page();
  here.say("one");
  await saw(here, "one");
  peer.trouble.push({ path: /messages/, what: { status: 422 } });
  here.say("bad");
  here.say("two");
  await until(() => here.view.unsent.some((m) => m.refused), "refused");
  here.say("three");
  await saw(here, "one", "two", "three");
  await until(() => here.view.unsent.length === 1, "only the refused one is left");
  const sent = peer.asked.filter((one) => one.path.endsWith("/messages")).map((one) => one.body["text"]);
  assert.deepEqual(sent, ["one", "bad", "two", "three"]);
});

test("a server that knows no conversation for long is not asked for new ones for ever", async () => {
  const here = page();
  for (let n = 0; n < 3; n++) peer.trouble.push({ path: /messages/, what: { status: 404, message: "Not here." } });
  here.say("Hello?");
  await until(() => here.view.unsent[0]?.refused === "Not here.", "refused");
  assert.equal(peer.count(/POST .conversations$/), 3);
});

test("two tabs in which somebody writes first at the same time are one visitor in one conversation", async () => {
  const [left, right] = [page(), page()] as [Conversation, Conversation];
  left.say("one");
  right.say("two");
  await saw(left, "one", "two");
  await saw(right, "one", "two");
  assert.equal(left.id, right.id);
  const began = peer.asked.filter((one) => one.method === "POST" && one.path !== "/sites/shop/visitors");
  assert.equal(new Set(began.map((one) => one.token)).size, 1);
});

test("what was written before another tab began anew goes where it was written", async () => {
  const here = page();
  peer.trouble.push({ path: /messages/, what: { status: 503, retryAfter: 1 } });
  here.say("one");
  await until(() => here.view.problem !== "", "held up");
  const { conversation: _left, ...rest } = here.storage.kept;
  new Storage("shop").keep({ ...rest, thread: "another" });
  await saw(here, "one");
  await settled(here);
  assert.equal(peer.asked.findLast((one) => one.path.endsWith("/messages"))!.path, "/conversations/conv_1/messages");
});
