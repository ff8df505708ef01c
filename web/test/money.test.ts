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

test("the digits of a currency are the standard's, whatever the browser takes them for", () => {
  assert.equal(plain(money(129_900, "HUF", "en")), "HUF 1,299.00");
  assert.equal(plain(money(129_900, "RSD", "en")), "RSD 1,299.00");
  assert.equal(plain(money(129_900, "PKR", "de")), "1.299,00 PKR");
  assert.equal(plain(money(1_299_000, "IQD", "en")), "IQD 1,299.000");
});

test("the largest amount that is allowed is shown to the last digit", () => {
  assert.equal(plain(money(999_999_999_999, "EUR", "en")), "€9,999,999,999.99");
  assert.equal(plain(money(10 ** 12, "KWD", "en")), "KWD 1,000,000,000.000");
});

test("each language of the widget writes amounts its own way, and none loses a digit", () => {
  for (const language of ["en", "de", "es", "fr", "ar"]) {
    for (const minor of [0, 1, 10, 99, 100, 1999, -500, 123_456_789]) {
      const digits = plain(money(minor, "EUR", language)).replace(/[٠-٩]/g, (d) => String(d.charCodeAt(0) - 0x660)).replace(/\D/g, "");
      assert.equal(Number(digits), Math.abs(minor), `${language}: ${money(minor, "EUR", language)}`);
    }
  }
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
