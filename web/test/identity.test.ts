// Who is here: nobody before the first words, a visitor, a customer whom the business vouches for; and then nobody again.

import assert from "node:assert/strict";
import { test } from "node:test";
import { SITE, changed, open, page, peer, saw, settled, texts, until, url } from "./page.ts";
import { Api } from "../src/api.ts";
import { Conversation } from "../src/conversation.ts";
import { Storage } from "../src/storage.ts";

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
  const here = new Conversation(SITE, new Api(url), new Storage("shop"), () => "en", changed, undefined, () => expired++);
  open.push(here);
  await here.identify("jwt");
  here.say("Hi");
  await saw(here, "Hi");
  peer.trouble.push({ path: /messages/, what: { status: 404 } });
  here.say("Still there?");
  await until(() => expired === 1, "told");
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
  const here = new Conversation(SITE, new Api(url), new Storage("shop"), () => "en", changed, undefined, () => expired++);
  open.push(here);
  await here.identify("ana");
  here.say("My number is 123");
  await saw(here, "My number is 123");
  peer.trouble.push({ path: /GET .conversations.conv_1$/, what: { status: 404 } });
  await here.identify("bob");
  assert.deepEqual([here.storage.kept.token, here.storage.kept.customer, here.storage.kept.conversation], ["token-2", true, undefined]);
  assert.deepEqual([here.view.snapshot, expired], [undefined, 0]);
});
