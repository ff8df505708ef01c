// A click is asked once; what was said of it stays until the next try, or until the conversation is left.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Refusal } from "../src/api.ts";
import { Requests } from "../src/requests.ts";

const refusal = new Refusal(409, "conflict", "This offer has expired.", undefined, undefined);

function answered(): { answer: Promise<void>; give: () => void; refuse: (error: unknown) => void } {
  let give!: () => void;
  let refuse!: (error: unknown) => void;
  const answer = new Promise<void>((done, failed) => ([give, refuse] = [done, failed]));
  return { answer, give, refuse };
}

test("a click is asked once while its answer is on its way, and again afterwards", async () => {
  const requests = new Requests(() => undefined);
  const { answer, give } = answered();
  let asked = 0;
  const work = () => (asked++, answer);
  const first = requests.make("stop", work);
  await requests.make("stop", work);
  assert.deepEqual([asked, requests.busy.has("stop")], [1, true]);
  give();
  await first;
  await requests.make("stop", work);
  assert.deepEqual([asked, requests.busy.size], [2, 0]);
});

test("a refusal is kept in its words until the next try, and what got lost has none", async () => {
  const requests = new Requests(() => undefined);
  await requests.make("dlv_1@1", () => Promise.reject(refusal));
  assert.deepEqual([...requests.notes], [["dlv_1@1", "This offer has expired."]]);
  await requests.make("dlv_1@1", () => Promise.reject(new Refusal(0, "unreachable", "fetch failed", undefined, undefined)));
  assert.deepEqual([...requests.notes], [["dlv_1@1", ""]]);
  await requests.make("dlv_1@1", () => Promise.resolve());
  assert.deepEqual([requests.notes.size, requests.busy.size], [0, 0]);
});

test("what is accepted once stays busy", async () => {
  const requests = new Requests(() => undefined);
  await requests.make("dlv_1@1", () => Promise.resolve(), true);
  assert.ok(requests.busy.has("dlv_1@1"));
});

test("an answer that comes when the conversation has been left says nothing in the next one", async () => {
  const requests = new Requests(() => undefined);
  const { answer, refuse } = answered();
  const before = requests.make("stop", () => answer);
  requests.clear();
  const next = answered();
  const now = requests.make("stop", () => next.answer);
  refuse(refusal);
  await before;
  assert.deepEqual([requests.busy.has("stop"), requests.notes.size], [true, 0]);
  next.give();
  await now;
  assert.equal(requests.busy.size, 0);
});
