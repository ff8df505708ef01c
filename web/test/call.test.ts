import assert from "node:assert/strict";
import { test } from "node:test";
import { type Call, type Caption, type Happening, live, news, next, QUIET, word } from "../src/call.ts";

const after = (...happenings: Happening[]): Call => happenings.reduce(next, QUIET);
const SPEAKING: Happening[] = [
  { type: "asked", known: true },
  { type: "invited", session: "voice_1" },
  { type: "agent", state: "listening" },
];
const says = (who: Caption["who"], id: string, text: string): Happening => ({ type: "caption", caption: { who, id, text } });
const mode = (mode: string, session: string, reason?: string, aloud?: string): Happening => ({ type: "mode", mode, session, reason, aloud });

test("a first call is explained, and nothing begins before the customer says so", () => {
  const asked = after({ type: "asked", known: false });
  assert.equal(asked.place, "explaining");
  assert.ok(!live(asked));
  assert.equal(next(asked, { type: "declined" }), QUIET);
  assert.equal(next(asked, { type: "agreed" }).place, "connecting");
});

test("who knows what happens is connected at once", () => {
  assert.equal(after({ type: "asked", known: true }).place, "connecting");
});

test("a click during a call begins no other", () => {
  const call = after(...SPEAKING);
  assert.equal(next(call, { type: "asked", known: true }), call);
});

test("each state has its word", () => {
  const words = (...more: Happening[]) => word(after(...SPEAKING, ...more));
  assert.equal(word(after({ type: "asked", known: true })), "connecting");
  assert.equal(word(after(...SPEAKING.slice(0, 2))), "connecting");
  assert.equal(words(), "listening");
  assert.equal(words({ type: "agent", state: "thinking" }), "thinking");
  assert.equal(words({ type: "agent", state: "speaking" }), "speaking");
  assert.equal(words({ type: "muted", muted: true }), "muted");
  assert.equal(words({ type: "muted", muted: true }, { type: "agent", state: "speaking" }), "speaking");
  assert.equal(words({ type: "broken", broken: true }), "reconnecting");
  assert.equal(words({ type: "broken", broken: true }, { type: "broken", broken: false }), "listening");
  assert.equal(words({ type: "agent", state: "" }), "connecting");
  assert.equal(words({ type: "agent", state: "a word of tomorrow" }), "listening");
});

test("what is being said is seen, the customer's words before the answer, each as it grows", () => {
  const call = after(...SPEAKING, says("agent", "a1", "We open"), says("user", "u1", "When do you"), says("user", "u1", "When do you open?"));
  assert.deepEqual(call.captions.map(({ who, text }) => [who, text]), [["user", "When do you open?"], ["agent", "We open"]]);
});

test("what was said stands in the thread, and not in the call any more", () => {
  const heard = after(...SPEAKING, says("user", "u1", "Hello."), { type: "landed" });
  assert.deepEqual(heard.captions, []);
  const said = after(...SPEAKING, { type: "agent", state: "speaking" }, says("agent", "a1", "Hi."), { type: "agent", state: "listening" });
  assert.deepEqual(said.captions, []);
});

test("how a call ended is told as the log has it", () => {
  const notes = (reason?: string) => after(...SPEAKING, mode("text", "voice_1", reason)).note;
  assert.equal(notes("taken_over"), "callTakenOver");
  assert.equal(notes("worker_lost"), "callLost");
  assert.equal(notes("worker_ended"), "callLost");
  assert.equal(notes("speech_failed"), "callLost");
  assert.equal(notes("left"), "callEnded");
  assert.equal(notes("a reason of tomorrow"), "callLost");
});

test("the server's own words on how it ended count", () => {
  const call = after(...SPEAKING, mode("text", "voice_1", "limit", "The time for this call is over."));
  assert.deepEqual([call.place, call.words], ["over", "The time for this call is over."]);
  assert.equal(next(call, { type: "read" }), QUIET);
});

test("a line that broke is explained by the log when its word comes later", () => {
  const broke = after(...SPEAKING, { type: "ended", note: "callLost" });
  assert.equal(next(broke, mode("text", "voice_1", "taken_over")).note, "callTakenOver");
  const hungUp = after(...SPEAKING, { type: "ended", note: "callEnded" });
  assert.equal(next(hungUp, mode("text", "voice_1", "worker_lost")).note, "callEnded");
});

test("a call on another device changes nothing here", () => {
  const call = after(...SPEAKING);
  assert.equal(next(call, mode("text", "voice_2", "left")), call);
  assert.equal(next(QUIET, mode("pipeline", "voice_2")), QUIET);
  const before = after({ type: "asked", known: true });
  assert.equal(next(before, mode("text", "voice_0", "taken_over")), before);
});

test("a mode that gave way to another is told, and the call goes on", () => {
  const call = after(...SPEAKING, mode("pipeline", "voice_1", "realtime_failed", "My line was interrupted."));
  assert.deepEqual([call.place, call.words], ["on", "My line was interrupted."]);
  assert.equal(next(call, mode("pipeline", "voice_1")).words, "My line was interrupted.");
  assert.equal(next(call, { type: "read" }).words, "");
  assert.equal(after(...SPEAKING, mode("pipeline", "voice_1")).words, "");
});

test("when it is over nothing of it is left but the note, until that was read", () => {
  const call = after(...SPEAKING, says("user", "u1", "Hello."), { type: "muted", muted: true }, { type: "ended", note: "callEnded" });
  assert.deepEqual(call, { ...QUIET, place: "over", session: "voice_1", note: "callEnded" });
  for (const late of [{ type: "agent", state: "speaking" }, says("agent", "a1", "Hi."), { type: "muted", muted: false }] as Happening[]) {
    assert.equal(next(call, late), call);
  }
  assert.equal(next(call, { type: "read" }), QUIET);
});

test("a screen reader is told of what cannot be heard, once", () => {
  const told: string[] = [];
  let call = QUIET;
  const happenings: Happening[] = [
    ...SPEAKING,
    { type: "agent", state: "thinking" },
    { type: "agent", state: "speaking" },
    says("agent", "a1", "We open at nine."),
    { type: "agent", state: "listening" },
    { type: "muted", muted: true },
    { type: "broken", broken: true },
    { type: "broken", broken: true },
    { type: "broken", broken: false },
    mode("pipeline", "voice_1", "realtime_failed", "My line was interrupted."),
    { type: "ended", note: "callLost" },
  ];
  for (const happening of happenings) {
    const before = call;
    call = next(call, happening);
    const said = news(before, call);
    if (said) told.push(said);
  }
  assert.deepEqual(told, ["connecting", "callOn", "reconnecting", "callOn", "words", "callLost"]);
});
