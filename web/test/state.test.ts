// The fold, by itself. That it equals the server's is tested from Python, over whole recorded conversations.

import assert from "node:assert/strict";
import { test } from "node:test";
import { characters, empty, fold } from "../src/state.ts";
import type { Deliverable, Message, Snapshot, Watched } from "../src/types.ts";

const START: Watched = { seq: 1, at: 1, type: "conversation.started", site: "s", team: "t", agent: "lead" };

function folded(...events: Watched[]): Snapshot {
  return events.reduce(fold, empty("conv_1"));
}

function delta(text: string, offset: number, message = "msg_2"): Watched {
  return { seq: 2, at: 0, type: "text.delta", message, turn: "turn_1", agent: "lead", offset, text };
}

function offer(seq: number, version: number): Watched {
  const about = { deliverable: "dlv_1", kind: "displayOffer", payload: { title: `v${version}` }, turn: "turn_1", call: "call_1" };
  return { seq, at: seq, type: "deliverable.shown", version, answers: ["accept"], expires_at: 99, ...about };
}

test("a snapshot is never changed, only followed by another", () => {
  const freeze = <T>(value: T): T => {
    if (typeof value === "object" && value !== null) Object.values(Object.freeze(value)).forEach(freeze);
    return value;
  };
  const events: Watched[] = [
    START,
    { seq: 2, at: 2, type: "message.added", message: "msg_1", role: "user", text: "Hi", client_message_id: "c1" },
    { seq: 3, at: 3, type: "turn.started", turn: "turn_1", agent: "lead" },
    delta("Hel", 0),
    { seq: 4, at: 4, type: "message.finished", message: "msg_2", turn: "turn_1", agent: "lead", text: "Hello" },
    { seq: 5, at: 5, type: "state.changed", patch: [{ op: "add", path: "/topics", value: ["a"] }] },
    { seq: 6, at: 6, type: "state.changed", patch: [{ op: "add", path: "/topics/-", value: "b" }] },
    offer(7, 1),
    offer(8, 2),
    { seq: 9, at: 9, type: "turn.finished", turn: "turn_1", status: "done" },
  ];
  const end = events.reduce((s, event) => freeze(fold(s, freeze(event))), freeze(empty("conv_1")));
  assert.deepEqual(end.state, { topics: ["a", "b"] });
});

test("what did not change is the same object, so nothing of it is drawn again", () => {
  const said = { at: 2, type: "message.added", role: "user" };
  const one = folded(START, { seq: 2, message: "msg_1", text: "One", ...said });
  const two = fold(one, { seq: 3, message: "msg_2", text: "Two", ...said });
  assert.equal(two.items[0], one.items[0]);
});

test("text that is being written grows by code points, not by halves of them", () => {
  const s = folded(START, delta("👋🏽 Hi", 0), delta(" there", 5));
  assert.equal(s.draft?.text, "👋🏽 Hi there");
  assert.equal(s.version, "2.11");
  assert.equal(characters("👋🏽"), 2);
});

test("text that comes twice stands once", () => {
  assert.equal(folded(START, delta("Hello", 0), delta("llo, you", 2)).draft?.text, "Hello, you");
  assert.equal(folded(START, delta("👋👋👋", 0), delta("!", 1)).draft?.text, "👋!");
});

test("another message's text begins anew", () => {
  assert.equal(folded(START, delta("Old words", 0), delta("New", 0, "msg_3")).draft?.text, "New");
});

test("a resumed turn throws away what was half said", () => {
  const s = folded(START, delta("Half", 0), { seq: 3, at: 3, type: "turn.resumed", turn: "turn_1", attempt: 2, reason: "restart" });
  assert.equal(s.draft, null);
  assert.deepEqual(s.turn, { id: "turn_1", status: "running" });
});

test("an event of a newer server changes the place alone", () => {
  const before = folded(START);
  assert.deepEqual(fold(before, { seq: 2, at: 2, type: "weather.changed", sun: true }), { ...before, version: "2" });
});

test("an event about something before the loaded page changes the place alone", () => {
  const before = folded(START);
  for (const event of [
    { type: "feedback.given", message: "msg_0", rating: "up" },
    { type: "tool.finished", call: "call_0", status: "ok", output: "" },
    { type: "deliverable.decided", deliverable: "dlv_0", version: 1, decision: "accept" },
    { type: "deliverable.acknowledged", deliverable: "dlv_0", version: 1 },
    { type: "interrupt.decided", interrupt: "int_0", decision: "approved" },
  ]) {
    assert.deepEqual(fold(before, { seq: 2, at: 2, ...event }), { ...before, version: "2" });
  }
});

test("a reset is the conversation as the server has it", () => {
  const other = { ...empty("conv_1"), version: "40", agent: "human" };
  assert.equal(fold(folded(START), { seq: 0, at: 0, type: "reset", snapshot: other }), other);
});

test("a new version of a deliverable takes the old one's place, which is kept with it", () => {
  const s = folded(START, offer(2, 1), offer(3, 2));
  assert.equal(s.items.length, 1);
  const shown = s.items[0] as Deliverable;
  assert.equal(shown.version, 2);
  assert.deepEqual(shown.versions.map((old) => [old.version, old.payload.title, old.status]), [[1, "v1", "shown"]]);
});

test("an acknowledgement of an old version does not count for the new one", () => {
  const told = { seq: 4, at: 4, type: "deliverable.acknowledged", deliverable: "dlv_1", version: 1 };
  assert.equal((folded(START, offer(2, 1), offer(3, 2), told).items[0] as Deliverable).acknowledged, false);
});

test("a long answer is followed in linear time", () => {
  let s = folded(START);
  const began = process.cpuUsage();
  for (let n = 0; n < 20_000; n++) s = fold(s, delta("word ", n * 5));
  assert.equal((s.draft as { text: string }).text.length, 100_000);
  assert.ok(process.cpuUsage(began).user < 3_000_000);
});

test("what an operator says has its author", () => {
  const s = folded(START, { seq: 2, at: 2, type: "message.added", message: "m", role: "operator", text: "Hi", author: "Maya" });
  assert.equal((s.items[0] as Message).author, "Maya");
});

test("what comes before the loaded page is counted on, whatever happens after it", () => {
  const loaded = { ...folded(START), earlier: 120 };
  const after = fold(fold(loaded, delta("Hel", 0)), { seq: 3, at: 3, type: "message.finished", message: "msg_2", turn: "turn_1", agent: "lead", text: "Hello" });
  assert.equal(after.earlier, 120);
  const paged = { ...after, items: [{ kind: "message", id: "msg_0", role: "user", text: "Hi", status: "complete", at: 0 } as Message, ...after.items], earlier: 119 };
  const rated = fold(paged, { seq: 4, at: 4, type: "feedback.given", message: "msg_0", rating: "up" });
  assert.equal((rated.items[0] as Message).rating, "up");
  assert.equal(rated.items[1], paged.items[1]);
});

test("of two things of one name the later one is meant", () => {
  const called = (seq: number): Watched => ({ seq, at: seq, type: "tool.called", call: "call_1", turn: "t", agent: "a", tool: "x", arguments: "{}" });
  const s = folded(START, called(2), called(3), { seq: 4, at: 4, type: "tool.finished", call: "call_1", status: "ok", output: "" });
  assert.deepEqual(s.items.map((item) => (item as { status: string }).status), ["running", "ok"]);
});

test("a question that is decided with other values shows those, and is not open any more", () => {
  const opened: Watched = { seq: 2, at: 2, type: "interrupt.opened", interrupt: "int_1", turn: "t", call: "c", tool: "lock", arguments: '{"a":1}', expires_at: 9 };
  const s = folded(START, opened, { seq: 3, at: 3, type: "interrupt.decided", interrupt: "int_1", decision: "approved", arguments: '{"a":2}', by: "ana" });
  assert.deepEqual(s.open, []);
  assert.deepEqual([(s.items[0] as { arguments: string }).arguments, (s.items[0] as { status: string }).status], ['{"a":2}', "approved"]);
});
