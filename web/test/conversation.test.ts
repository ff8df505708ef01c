// What happens in a conversation is seen: by the page that is loaded again, over a feed that breaks, in one or in another.

import assert from "node:assert/strict";
import { test } from "node:test";
import { connection } from "./browser.ts";
import { page, peer, saw, settled, texts, until } from "./page.ts";

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

test("a page that comes back out of the browser's memory trusts no line that it had before", async () => {
  const here = page();
  here.say("one");
  await saw(here, "one");
  await until(() => here.view.connection === "live", "live");
  peer.forgetFeeds();
  peer.happens({ type: "message.added", message: "msg_o", role: "operator", text: "Missed it?", author: "Maya" });
  const feeds = peer.count(/events$/);
  dispatchEvent(Object.assign(new Event("pageshow"), { persisted: false }));
  assert.equal(peer.count(/events$/), feeds);
  dispatchEvent(Object.assign(new Event("pageshow"), { persisted: true }));
  await saw(here, "one", "Missed it?");
  assert.equal(peer.count(/events$/), feeds + 1);
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
