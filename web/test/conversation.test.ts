// What a customer says arrives once, whatever happens to the line, the page or the token; and what happens is seen.

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { closeAll, connection } from "./browser.ts";
import { Peer } from "./peer.ts";
import { Api } from "../src/api.ts";
import { Conversation } from "../src/conversation.ts";
import { Storage } from "../src/storage.ts";
import type { Message, Site } from "../src/types.ts";

const SITE = { key: "shop" } as Site;
let peer: Peer;
let url: string;
const open: Conversation[] = [];
const waiting = new Set<() => void>();

beforeEach(async () => {
  localStorage.clear();
  peer = new Peer();
  url = await peer.listen();
});

afterEach(() => {
  for (const conversation of open.splice(0)) conversation.logout();
  peer.close();
  closeAll();
  connection(true);
});

/** A page that has just been loaded. */
function page(): Conversation {
  const changed = () => waiting.forEach((look) => look());
  const conversation = new Conversation(SITE, new Api(url), new Storage("shop"), () => "en", changed);
  open.push(conversation);
  return conversation;
}

function until(holds: () => boolean, what: string): Promise<void> {
  return new Promise((done, failed) => {
    const timer = setTimeout(() => failed(new Error(`never: ${what}`)), 20_000);
    const poll = setInterval(() => look(), 20);
    const look = () => {
      if (!holds()) return;
      clearTimeout(timer);
      clearInterval(poll);
      waiting.delete(look);
      done();
    };
    waiting.add(look);
    look();
  });
}

const texts = (conversation: Conversation) =>
  (conversation.view.snapshot?.items ?? []).filter((item) => item.kind === "message").map((item) => (item as Message).text);
const saw = (conversation: Conversation, ...wanted: string[]) => until(() => texts(conversation).join("|") === wanted.join("|"), wanted.join("|"));
const settled = (conversation: Conversation) => until(() => conversation.view.unsent.length === 0, "nothing unsent");

test("nobody is known to the server before the first words", async () => {
  const here = page();
  await here.resume();
  assert.equal(peer.asked.length, 0);
  here.say("Hi");
  assert.deepEqual(here.view.unsent.map((m) => m.text), ["Hi"]);
  await saw(here, "Hi");
  await settled(here);
  assert.equal(peer.count(/POST .*visitors/), 1);
  assert.equal(peer.count(/POST .conversations$/), 1);
});

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

test("a page that is loaded again shows the conversation and goes on in it", async () => {
  const before = page();
  before.say("one");
  await saw(before, "one");
  const after = page();
  await after.resume();
  assert.deepEqual(texts(after), ["one"]);
  after.say("two");
  await saw(after, "one", "two");
  await saw(before, "one", "two");
  assert.equal(peer.count(/POST .conversations$/), 1);
});

test("a page that is loaded while the server is away shows the conversation when it is back", async () => {
  const before = page();
  before.say("one");
  await saw(before, "one");
  for (let n = 0; n < 2; n++) peer.trouble.push({ path: /GET .conversations.conv_1$/, what: "refuse" });
  const after = page();
  await after.resume();
  assert.equal(after.view.connection, "broken");
  await saw(after, "one");
});

test("a page that is loaded without a connection shows the conversation as soon as there is one", async () => {
  const before = page();
  before.say("one");
  await saw(before, "one");
  connection(false);
  for (let n = 0; n < 3; n++) peer.trouble.push({ path: /GET .conversations.conv_1$/, what: "refuse" });
  const { setTimeout: set } = globalThis;
  const timers: NodeJS.Timeout[] = [];
  globalThis.setTimeout = ((work: () => void, ms?: number) => timers[timers.push(set(work, ms)) - 1]) as typeof setTimeout;
  const after = page();
  await after.resume();
  assert.equal(after.view.connection, "offline");
  await until(() => peer.trouble.length === 0, "tried in vain");
  globalThis.setTimeout = set;
  for (const timer of timers) clearTimeout(timer); // so that it comes for the connection's sake, and not for the time's
  connection(true);
  await saw(after, "one");
});

test("a broken feed goes on where it broke", async () => {
  const here = page();
  here.say("one");
  await saw(here, "one");
  peer.breakFeeds();
  peer.happens({ type: "message.added", message: "msg_o", role: "operator", text: "Missed it?", author: "Maya" });
  await saw(here, "one", "Missed it?");
  assert.equal(peer.asked.findLast((one) => one.path.endsWith("/events"))!.after, "2");
  await until(() => here.view.connection === "live", "live again");
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

test("a conversation that is gone makes room for a new one", async () => {
  const before = page();
  before.say("one");
  await saw(before, "one");
  peer.trouble.push({ path: /GET .conversations.conv_1$/, what: { status: 404 } });
  const after = page();
  await after.resume();
  assert.equal(after.view.snapshot, undefined);
  assert.equal(after.storage.kept.conversation, undefined);
});

test("a site that wants its customers signed in says so, and goes on when they are", async () => {
  const here = page();
  peer.trouble.push({ path: /visitors/, what: { status: 401, code: "identity_required" } });
  here.say("Hi");
  await until(() => here.view.signInNeeded, "told");
  await here.identify("jwt");
  await saw(here, "Hi");
  assert.equal(here.view.signInNeeded, false);
});

test("who was nobody and signs in keeps the conversation", async () => {
  const here = page();
  here.say("Hi");
  await saw(here, "Hi");
  await here.identify("jwt");
  const asked = peer.asked.findLast((one) => one.path.endsWith("/visitors"))!.body;
  assert.deepEqual(asked, { identity: "jwt", merge: "token-1" });
  await saw(here, "Hi");
});

test("logging out leaves nothing of the customer behind", async () => {
  const here = page();
  await here.identify("jwt");
  here.say("My number is 123");
  await saw(here, "My number is 123");
  here.say("not sent yet");
  here.logout();
  assert.equal(localStorage.length, 0);
  assert.equal(here.view.snapshot, undefined);
  assert.deepEqual(here.view.unsent, []);
  const after = page();
  await after.resume();
  assert.deepEqual(texts(after), []);
});

test("who logs out while a message is on its way leaves nothing behind either", async () => {
  const here = page();
  await here.identify("jwt");
  here.say("one");
  await saw(here, "one");
  here.say("secret");
  await until(() => peer.accepted.size === 2, "accepted");
  here.logout();
  await new Promise((next) => setTimeout(next, 50));
  assert.deepEqual(here.view.unsent, []);
  assert.equal(localStorage.length, 0);
});

test("who logs out while being being signed in stays logged out", async () => {
  const here = page();
  const signing = here.identify("jwt");
  here.logout();
  await signing;
  assert.equal(here.storage.kept.token, undefined);
  assert.equal(localStorage.length, 0);
});

test("of two who are signed in at once, the last one counts", async () => {
  const here = page();
  await Promise.all([here.identify("ana"), here.identify("bob")]);
  const last = peer.asked.filter((one) => one.path.endsWith("/visitors")).findIndex((one) => one.body["identity"] === "bob") + 1;
  assert.equal(here.storage.kept.token, `token-${last}`);
});

test("a customer whose token is not good any more is told to the page", async () => {
  let expired = 0;
  const here = new Conversation(SITE, new Api(url), new Storage("shop"), () => "en", () => waiting.forEach((look) => look()), undefined, () => expired++);
  open.push(here);
  await here.identify("jwt");
  here.say("Hi");
  await saw(here, "Hi");
  peer.trouble.push({ path: /messages/, what: { status: 404 } });
  here.say("Still there?");
  await until(() => expired === 1, "told");
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

test("a new conversation leaves the old one on the server", async () => {
  const here = page();
  here.say("one");
  await saw(here, "one");
  here.startNew();
  assert.equal(here.view.snapshot, undefined);
  here.say("two");
  await until(() => peer.count(/POST .conversations$/) === 2, "asked for another");
  const [first, second] = peer.asked.filter((one) => one.method === "POST" && one.path === "/conversations");
  assert.notEqual(first!.body["thread"], second!.body["thread"]);
});

test("deciding twice is asked once", async () => {
  const here = page();
  here.say("one");
  await saw(here, "one");
  await Promise.all([1, 2, 3].map(() => here.answer("dlv_1", 1, "accept")));
  await here.answer("dlv_1", 1, "accept");
  assert.equal(peer.count(/decision/), 1);
});

test("an answer that the server refuses is explained in its words, and may be given again", async () => {
  const here = page();
  here.say("one");
  await saw(here, "one");
  peer.trouble.push({ path: /decision/, what: { status: 409, message: "This offer has expired." } });
  await here.answer("dlv_1", 1, "accept");
  assert.equal(here.view.notes.get("dlv_1@1"), "This offer has expired.");
  assert.equal(here.view.busy.has("dlv_1@1"), false);
});

test("a window goes on with what another one keeps, and leaves nothing behind", async () => {
  const frame = page();
  frame.say("one");
  await saw(frame, "one");
  const { kept } = frame.storage;
  localStorage.clear(); // a window's storage is not the frame's
  const apart = page();
  apart.take(kept);
  await apart.resume();
  await saw(apart, "one");
  apart.say("two");
  await saw(frame, "one", "two");
  assert.equal(localStorage.length, 0);
});

test("a page without storage works as long as it lives", async () => {
  const shelf = localStorage;
  const blocked = () => {
    throw new DOMException("blocked", "SecurityError");
  };
  Object.defineProperty(globalThis, "localStorage", { get: blocked, configurable: true });
  try {
    const here = page();
    await here.resume();
    here.say("Hi");
    await saw(here, "Hi");
    await settled(here);
  } finally {
    Object.defineProperty(globalThis, "localStorage", { value: shelf, configurable: true, writable: true });
  }
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

test("who can not take along what was said before is signed in all the same, also when the line breaks meanwhile", async () => {
  const here = page();
  here.say("Hi");
  await saw(here, "Hi");
  peer.trouble.push({ path: /visitors/, what: { status: 422, field: "merge" } }, { path: /visitors/, what: "refuse" });
  await here.identify("jwt");
  await until(() => here.storage.kept.customer === true, "signed in");
  assert.deepEqual(peer.asked.findLast((one) => one.path.endsWith("/visitors"))!.body, { identity: "jwt" });
});

test("another customer is signed in where the one before has not logged out, and sees nothing of theirs", async () => {
  let expired = 0;
  const here = new Conversation(SITE, new Api(url), new Storage("shop"), () => "en", () => waiting.forEach((look) => look()), undefined, () => expired++);
  open.push(here);
  await here.identify("ana");
  here.say("My number is 123");
  await saw(here, "My number is 123");
  peer.trouble.push({ path: /GET .conversations.conv_1$/, what: { status: 404 } });
  await here.identify("bob");
  assert.deepEqual([here.storage.kept.token, here.storage.kept.customer, here.storage.kept.conversation], ["token-2", true, undefined]);
  assert.deepEqual([here.view.snapshot, expired], [undefined, 0]);
});

test("who chooses a conversation that is gone keeps the others", async () => {
  const here = page();
  here.say("one");
  await saw(here, "one");
  peer.trouble.push({ path: /GET .conversations.conv_9$/, what: { status: 404 } });
  await here.switchTo("conv_9");
  assert.equal(here.storage.kept.token, "token-1");
  assert.equal(here.view.snapshot, undefined);
});

test("changes that do not fit what is here are answered with one look at the server's own", async () => {
  const here = page();
  here.say("one");
  await saw(here, "one");
  await settled(here);
  const before = peer.count(/GET .conversations.conv_1$/);
  const patch = [{ op: "remove", path: "/not/there" }];
  peer.happenTogether(...[1, 2, 3].map(() => ({ type: "state.changed", patch })));
  await until(() => here.view.snapshot?.version === String(peer.log.length), "the server's own");
  assert.equal(peer.count(/GET .conversations.conv_1$/), before + 1);
});

test("a card that is drawn when its conversation has been left is nobody's", async () => {
  await page().acknowledge("dlv_1", 1);
  assert.equal(peer.asked.length, 0);
});

// ---- in a call

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
