import assert from "node:assert/strict";
import { test } from "node:test";
import { deceives, harmless, pieces } from "../src/hidden.ts";

const marks = (text: string) => pieces(text).filter((piece) => piece.marked !== undefined).map((piece) => piece.marked);
const shown = (text: string) => pieces(text).map((piece) => piece.text).join("");

test("characters that turn, hide or fake what is around them are not read", () => {
  assert.equal(harmless("pay\u202E001$\u202C now"), "pay001$ now");
  assert.equal(harmless("a\u200Bb\uFEFFc\u00ADd"), "abcd");
  assert.equal(harmless("safe\u{E0069}\u{E0067}\u{E006E}\u{E006F}\u{E0072}\u{E0065}"), "safe");
  assert.equal(harmless("\u0000\u0007\u001B[31mred"), "[31mred");
});

test("what people write stays as it is", () => {
  for (const text of [
    "Grüße, ça va? ¿Qué tal? Ωμέγα Привет שלום",
    "مرحبا، كيف حالك؟",
    "می‌خواهم", // Persian needs its ZWNJ
    "हिन्दी क्‍ष",
    "👨‍👩‍👧‍👦 ❤️ 👋🏽 1️⃣ 日本語",
    "tab\there\nline",
  ]) {
    assert.equal(harmless(text), text, JSON.stringify(text));
  }
});

test("for deciding, hidden characters are named where they stand", () => {
  assert.equal(shown("DE89\u200B3704"), "DE89[U+200B]3704");
  assert.deepEqual(marks("a\u202Eb"), ["U+202E"]);
  assert.deepEqual(marks("x\u{E0041}"), ["U+E0041"]);
  assert.equal(shown("10\u00A000"), "10[U+00A0]00");
});

test("letters of another script inside a word are marked", () => {
  assert.deepEqual(marks("p\u0430ypal.com"), ["≈"]); // a Cyrillic a
  assert.deepEqual(marks("１２３"), ["≈"]);
  assert.deepEqual(marks("\u{1D5E9}isa"), ["≈"]);
  assert.ok(deceives("G\u03BFogle"));
});

test("a text in one script deceives nobody", () => {
  for (const text of ["Main Street 5b", "Улица Ленина 7", "Λεωφόρος", "شارع 12", "東京都1-2", "Müller-Lüdenscheidt", "+49 170 1234567"]) {
    assert.ok(!deceives(text), text);
    assert.deepEqual(pieces(text), [{ text }]);
  }
});

test("nothing of a text is lost between its pieces", () => {
  const text = "A\u200Bp\u0430y\u202E b\u0000";
  assert.equal(pieces(text).map((piece) => piece.marked === "≈" || piece.marked === undefined ? piece.text : "?").join(""), "A?pаy? b?");
});
