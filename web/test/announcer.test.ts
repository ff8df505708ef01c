import assert from "node:assert/strict";
import { test } from "node:test";
import { Announcer, Sentences } from "../src/announcer.ts";

function heard(text: string, step: number): string[] {
  const sentences = new Sentences();
  const out: string[] = [];
  for (let end = step; end < text.length; end += step) out.push(sentences.take("m", text.slice(0, end), false));
  out.push(sentences.take("m", text, true));
  return out.filter(Boolean);
}

test("a screen reader hears whole sentences, each once, however the text came", () => {
  const text = "Your plan has 20 GB. It costs 19.99 euros a month! Shall I change it? Just say so";
  for (const step of [1, 3, 7, 1000]) assert.equal(heard(text, step).join(" "), text);
  for (const said of heard(text, 1).slice(0, -1)) assert.match(said, /[.!?]$/);
});

test("a decimal point ends no sentence", () => {
  assert.deepEqual(heard("It is 19.99 euros.", 1), ["It is 19.99 euros."]);
});

test("a new message begins anew", () => {
  const sentences = new Sentences();
  assert.equal(sentences.take("m1", "One. Two", true), "One. Two");
  assert.equal(sentences.take("m2", "One. Two", false), "One.");
});

test("a sentence without an end is not waited for", () => {
  const sentences = new Sentences();
  assert.ok(sentences.take("m1", "word ".repeat(100), false).length > 300);
});

test("words without blanks are not waited for either, and none is said twice", () => {
  for (const text of ["价格".repeat(1000), "a".repeat(3000), `${"x".repeat(500)} y`]) {
    for (const step of [1, 7, 300]) assert.equal(heard(text, step).join("").replaceAll(" ", ""), text.replaceAll(" ", ""));
  }
  assert.ok(new Sentences().take("m", "价".repeat(500), false).length > 300);
});

test("sentences end in each language as they are written there", () => {
  assert.deepEqual(heard("هل تريد ذلك؟ نعم.", 1), ["هل تريد ذلك؟", "نعم."]);
  assert.deepEqual(heard("¿Sí? «Bien.» Ya", 1), ["¿Sí?", "«Bien.» Ya"]);
  assert.deepEqual(heard("价格是九欧元。好吗？", 1), ["价格是九欧元。", "好吗？"]);
  assert.deepEqual(heard('He said "Yes." Then no', 1), ['He said "Yes."', "Then no"]);
  assert.deepEqual(heard("First\n\nSecond", 1), ["First", "Second"]);
});

test("a finished message that was said already is not said again", () => {
  const sentences = new Sentences();
  assert.equal(sentences.take("m1", "One. Two.", true), "One. Two.");
  assert.equal(sentences.take("m1", "One. Two.", true), "");
});

test("words stand in the live region one after the other, and the same ones again are news", async () => {
  const held: string[] = [];
  await new Promise<void>((done) => {
    const announcer = new Announcer(() => {
      held.push(announcer.spoken);
      if (held.length === 6) done();
    });
    for (const words of ["One.", "", "Two.", "Two."]) announcer.say(words);
    assert.deepEqual(held, ["One."]);
  });
  assert.deepEqual(held, ["One.", "", "Two.", "", "Two.", ""]);
});
