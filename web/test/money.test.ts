import assert from "node:assert/strict";
import { test } from "node:test";
import { left, money } from "../src/money.ts";

const plain = (text: string) => text.replace(/[\u00A0\u202F\u200F\u200E\u061C]/g, " ").trim();

test("an amount is the currency's minor units, written as the reader's language does", () => {
  assert.equal(plain(money(199900, "EUR", "de")), "1.999,00 €");
  assert.equal(plain(money(199900, "EUR", "en")), "€1,999.00");
  assert.equal(plain(money(5, "USD", "en")), "$0.05");
});

test("a currency without minor units, and one with three digits of them", () => {
  assert.equal(plain(money(500, "JPY", "en")), "¥500");
  assert.equal(plain(money(1234, "KWD", "en")), "KWD 1.234");
});

test("a reduction is negative", () => {
  assert.match(plain(money(-500, "EUR", "en")), /^[-−]€5\.00$/);
});

test("what is left of a time is said in the coarsest words that still tell", () => {
  assert.equal(left(3 * 86_400_000 + 5, "en"), "3 days");
  assert.equal(left(26 * 3_600_000, "en"), "26 hours");
  assert.equal(left(90 * 60_000, "en"), "90 minutes");
  assert.equal(left(125_000, "en"), "2:05");
  assert.equal(left(-5, "en"), "0:00");
  assert.equal(left(3 * 86_400_000, "de"), "3 Tage");
});
