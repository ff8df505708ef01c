// What a browser keeps, and what is not sent yet: also where it keeps nothing, is full, or another tab has been there.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import "./browser.ts";
import { Outbox } from "../src/outbox.ts";
import { Storage } from "../src/storage.ts";

const shelf = localStorage;
const refused = (name: string) => () => {
  throw new DOMException(name, name);
};

/** Of a page that sends nothing. */
const outboxOf = (storage: Storage) =>
  new Outbox(
    storage,
    () => new Promise(() => undefined),
    () => "stay",
    () => undefined,
  );

beforeEach(() => localStorage.clear());

/** As long as `work` lasts, `localStorage` is this. */
function instead(descriptor: PropertyDescriptor, work: () => void): void {
  Object.defineProperty(globalThis, "localStorage", { configurable: true, ...descriptor });
  try {
    work();
  } finally {
    Object.defineProperty(globalThis, "localStorage", { value: shelf, configurable: true, writable: true });
  }
}

function when(full: () => boolean): object {
  return new Proxy(shelf, {
    get: (target, name) => {
      if (name === "setItem" && full()) return refused("QuotaExceededError");
      const value = Reflect.get(target, name) as unknown;
      return typeof value === "function" ? (value as (...args: unknown[]) => unknown).bind(target) : value;
    },
  });
}

test("what is kept is there for the page that is loaded next", () => {
  new Storage("shop").keep({ token: "t", conversation: "conv_1" });
  assert.deepEqual(new Storage("shop").kept, { token: "t", conversation: "conv_1" });
  assert.deepEqual(new Storage("bank").kept, {});
});

test("where reading and writing throw, the page remembers as long as it lives", () => {
  instead({ get: refused("SecurityError") }, () => {
    const storage = new Storage("shop");
    assert.deepEqual(storage.kept, {});
    storage.keep({ token: "t" });
    assert.deepEqual(storage.kept, { token: "t" });
    assert.deepEqual(new Storage("shop").kept, {});
    storage.clear();
    assert.deepEqual(storage.kept, {});
  });
});

test("where there is no room any more, what was written last counts", () => {
  let full = false;
  instead({ value: when(() => full) }, () => {
    const storage = new Storage("shop");
    const outbox = outboxOf(storage);
    outbox.add("one");
    full = true;
    outbox.add("two");
    assert.deepEqual(outbox.unsent.map((m) => m.text), ["one", "two"]);
    full = false;
    outbox.drop(outbox.unsent[0]!.id);
    assert.deepEqual(outboxOf(new Storage("shop")).unsent.map((m) => m.text), ["two"]);
  });
});

test("who is logged out in another tab is logged out in this one", () => {
  const here = new Storage("shop");
  here.keep({ token: "t", customer: true });
  new Storage("shop").clear();
  assert.deepEqual(here.kept, {});
});

test("logging out of one site leaves another alone, even one whose name begins the same", () => {
  const other = new Storage("shop-eu");
  other.keep({ token: "theirs" });
  outboxOf(other).add("Hello");
  const here = new Storage("shop");
  here.keep({ token: "t" });
  here.write(":wishes", { language: "de" });
  outboxOf(here).add("Hi");
  localStorage.setItem("somebody", "else's");
  here.clear();
  assert.deepEqual(Object.keys(localStorage).filter((key) => key.includes("shop") || key === "somebody").sort(), ["parley:shop-eu", "parley:shop-eu:outbox", "somebody"]);
});

test("only what concerns this site is heard from other tabs", () => {
  let told = 0;
  new Storage("shop").watch(() => told++);
  for (const key of ["parley:shop", "parley:shop:outbox", "parley:shop-eu", "parley:shopping", "x", null]) {
    dispatchEvent(Object.assign(new Event("storage"), { key }));
  }
  assert.equal(told, 3);
});

test("what somebody else wrote there is not believed", () => {
  for (const nonsense of ["{", "null", "7", '"x"', "[]", '{"a":1}', '[null,7,"x",{}]', '[{"at":"soon"}]']) {
    localStorage.setItem("parley:shop", nonsense);
    localStorage.setItem("parley:shop:outbox", nonsense);
    const storage = new Storage("shop");
    assert.equal(storage.kept.token, undefined, nonsense);
    assert.deepEqual(outboxOf(storage).unsent, [], nonsense);
  }
});

test("messages wait in the order in which they were said, each with a name of its own", () => {
  const outbox = outboxOf(new Storage("shop"));
  for (const text of ["one", "two", "two"]) outbox.add(text);
  const ids = outbox.unsent.map((m) => m.id);
  assert.equal(new Set(ids).size, 3);
  outbox.drop(ids[1]!);
  assert.deepEqual(outbox.unsent.map((m) => [m.id, m.text]), [[ids[0], "one"], [ids[2], "two"]]);
});

test("what was refused stays with the reason, until it is dropped", () => {
  const outbox = outboxOf(new Storage("shop"));
  outbox.add("too long");
  const { id } = outbox.unsent[0]!;
  outbox.refuse(id, "Too long.");
  assert.equal(outbox.unsent[0]!.refused, "Too long.");
  outbox.drop(id);
  assert.deepEqual(outbox.unsent, []);
});

test("what waited for a day is not sent any more", () => {
  const storage = new Storage("shop");
  storage.write(":outbox", [{ id: "w-old", text: "yesterday", at: Date.now() - 25 * 3_600_000 }]);
  assert.deepEqual(outboxOf(storage).unsent, []);
});
