import assert from "node:assert/strict";
import { test } from "node:test";
import { type Field, problem, type Value } from "../src/deliverables/form.ts";
import { en } from "../src/texts/en.ts";

const says = (type: Field["type"], value: Value | undefined, more: Partial<Field> = {}) =>
  problem({ name: "f", label: "F", type, required: true, options: [], min: null, max: null, ...more }, value, en);

test("what is needed is asked for, what is not may be empty", () => {
  for (const empty of [undefined, "", "  ", false] as const) assert.equal(says("text", empty), en.required);
  assert.equal(says("text", "", { required: false }), "");
  assert.equal(says("checkbox", true), "");
});

test("e-mail addresses are checked as the server does", () => {
  for (const good of ["a@b.example", "first.last+tag@mail.shop.example", " a@b.example "]) assert.equal(says("email", good), "", good);
  for (const bad of ["a", "a@b", "a b@c.example", "a@b..example", "a@@b.example", "a@b.c", "<a@b.example>"]) assert.equal(says("email", bad), en.badEmail, bad);
});

test("telephone numbers are checked as the server does", () => {
  for (const good of ["+49 170 1234567", "030/12345", "(030) 12-34.5".slice(1).replace(")", "")]) assert.equal(says("tel", good), "", good);
  for (const bad of ["1234", "abc", "+49 170 1234567 ext", "1234567890123456"]) assert.equal(says("tel", bad), en.badTel, bad);
});

test("numbers have bounds, and may have a comma", () => {
  assert.equal(says("number", "2,5", { min: 1, max: 3 }), "");
  assert.equal(says("number", "x"), en.badNumber);
  assert.match(says("number", "0", { min: 1 }), /1/);
  assert.match(says("number", "9", { max: 3 }), /3/);
});

test("no text takes long to check", () => {
  for (const text of ["a".repeat(20_000), "a@".repeat(10_000), `a@${"a.".repeat(10_000)}`, "1 ".repeat(10_000)]) {
    const began = process.cpuUsage();
    says("email", text);
    says("tel", text);
    says("number", text);
    // Processor time, which other programs don't share. A square would take many seconds.
    assert.ok(process.cpuUsage(began).user < 1_000_000);
  }
});
