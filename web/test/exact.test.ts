import assert from "node:assert/strict";
import { test } from "node:test";
import { fields, rewritten } from "../src/exact.ts";

test("what is asked for is shown to the last digit", () => {
  const shown = (number: string) => String(fields(`{"amount": ${number}}`)["amount"]);
  for (const number of ["0", "-5", "1999", "9007199254740993", "9999999999999999", "12345678901234567890", "-12345678901234567890", "0.10", "10.0", "1e400", "1E5", "0.1234567890123456789"]) {
    assert.equal(shown(number), number);
  }
  assert.equal(fields('{"n": 7}')["n"], 7);
  assert.deepEqual(fields('{"a": [9999999999999999, {"b": 12345678901234567890}]}'), { a: ["9999999999999999", { b: "12345678901234567890" }] });
});

test("numbers in texts and in names stay texts and names", () => {
  const text = '{"iban 12345678901234567890": "no. 9999999999999999, \\"9999999999999999\\", \\\\", "x": "-1e400"}';
  assert.deepEqual(fields(text), JSON.parse(text));
});

test("arguments that are no object are shown as they are", () => {
  for (const text of ["", "null", "[1]", "7", '"x"', "{", "true", "{}}"]) assert.deepEqual(fields(text), { "": text });
  assert.deepEqual(fields("{}"), {});
});

test("what is changed in a question leaves all else to the last digit", () => {
  const asked = '{"account": 9007199254740993, "n": 12345678901234567890, "note": "a, \\"b\\": {", "deep": {"x": [9999999999999999, "}"]}, "none": null}';
  assert.equal(rewritten("{}", {}), "{}");
  assert.equal(rewritten(asked, {}), '{"account":9007199254740993,"n":12345678901234567890,"note":"a, \\"b\\": {","deep":{"x": [9999999999999999, "}"]},"none":null}');
  const changed = rewritten(asked, { account: " 9007199254740995", note: "7", none: "8", deep: "no JSON" });
  assert.equal(changed, '{"account":9007199254740995,"n":12345678901234567890,"note":"7","deep":"no JSON","none":"8"}');
  assert.equal(rewritten('{"__proto__": 1, "a": true}', { a: "false" }), '{"__proto__":1,"a":false}');
  assert.equal(rewritten('{"a": 1}', { a: "1, \"b\": 2" }), '{"a":"1, \\"b\\": 2"}');
});
