import assert from "node:assert/strict";
import { test } from "node:test";
import { patched } from "../src/patch.ts";

test("values are added, replaced and removed, in objects and in lists", () => {
  const document = { a: { b: [1, 2, 3] }, c: "x" };
  const change = (op: string, path: string, value?: unknown) => patched(document, [{ op, path, value }]);
  assert.deepEqual(change("add", "/d", 1), { ...document, d: 1 });
  assert.deepEqual(change("add", "/a/b/1", 9), { ...document, a: { b: [1, 9, 2, 3] } });
  assert.deepEqual(change("add", "/a/b/-", 9), { ...document, a: { b: [1, 2, 3, 9] } });
  assert.deepEqual(change("add", "/a/b/3", 9), { ...document, a: { b: [1, 2, 3, 9] } });
  assert.deepEqual(change("replace", "/a/b/0", 9), { ...document, a: { b: [9, 2, 3] } });
  assert.deepEqual(change("replace", "/c", null), { ...document, c: null });
  assert.deepEqual(change("remove", "/a/b/1"), { ...document, a: { b: [1, 3] } });
  assert.deepEqual(change("remove", "/c"), { a: { b: [1, 2, 3] } });
  assert.deepEqual(change("replace", "", { z: 1 }), { z: 1 });
});

test("what is only tested stays as it is", () => {
  const document = { a: [1, { b: 2 }] };
  assert.deepEqual(patched(document, [{ op: "test", path: "/a/1/b", value: 2 }]), document);
  assert.deepEqual(patched(document, [{ op: "test", path: "/a/0", value: 1 }]), document);
});

test("signs in names are written as the standard does", () => {
  assert.deepEqual(patched({ "a/b": 1, "m~n": 2, "": 3 }, [
    { op: "replace", path: "/a~1b", value: 9 },
    { op: "replace", path: "/m~0n", value: 8 },
    { op: "replace", path: "/", value: 7 },
  ]), { "a/b": 9, "m~n": 8, "": 7 });
  assert.deepEqual(patched({ "~1": 1 }, [{ op: "replace", path: "/~01", value: 2 }]), { "~1": 2 });
});

test("the given document stays as it is", () => {
  const document = Object.freeze({ a: Object.freeze({ b: Object.freeze([1]) }) });
  assert.deepEqual(patched(document as unknown, [{ op: "add", path: "/a/b/-", value: 2 }]), { a: { b: [1, 2] } });
  assert.deepEqual(document, { a: { b: [1] } });
});

test("a path that leads nowhere is an error, not a guess", () => {
  for (const path of ["/x/y", "/a/b/0/c", "/a/9/c", "/n/x"]) {
    assert.throws(() => patched({ a: { b: [1] }, n: null }, [{ op: "add", path, value: 1 }]), path);
  }
});

test("a name that objects inherit changes this object alone", () => {
  const out = patched({}, [
    { op: "add", path: "/__proto__", value: { polluted: true } },
    { op: "add", path: "/constructor", value: 1 },
  ]) as Record<string, unknown>;
  assert.equal(({} as Record<string, unknown>)["polluted"], undefined);
  assert.ok(Object.hasOwn(out, "__proto__"));
  patched({}, [{ op: "add", path: "/__proto__/x", value: 1 }]);
  assert.equal(({} as Record<string, unknown>)["x"], undefined);
});
