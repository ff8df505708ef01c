// Who may speak to the frame, and what it listens to.

import assert from "node:assert/strict";
import { test } from "node:test";
import "./browser.ts";
import { allowed, Host, type Orders } from "../src/host.ts";
import type { Site } from "../src/types.ts";

const SITE = { name: "Shop", origins: ["https://shop.example", "http://localhost:*"], theme: { accent: "#123456", side: "left" } } as unknown as Site;

test("an origin is allowed when it is in the list, to the letter", () => {
  const origins = ["https://shop.example", "https://www.shop.example:8443"];
  for (const origin of origins) assert.ok(allowed(origin, origins));
  for (const origin of [
    "http://shop.example", "https://shop.example:443", "https://shop.example.evil.example", "https://evil-shop.example", "https://evil.example",
    "https://a.shop.example", "https://shop.exampl", "https://shop.example/", "https://SHOP.example", "null", "", "https://www.shop.example",
  ]) {
    assert.ok(!allowed(origin, origins), origin);
  }
  assert.ok(!allowed("https://shop.example", []));
});

test("while developing, any port of this machine is allowed, and nothing that only begins so", () => {
  const origins = ["http://localhost:*"];
  for (const origin of ["http://localhost", "http://localhost:1", "http://localhost:65535"]) assert.ok(allowed(origin, origins), origin);
  for (const origin of ["https://localhost:1", "http://localhost.evil.example", "http://localhost.evil.example:80", "http://127.0.0.1:1", "null"]) {
    assert.ok(!allowed(origin, origins), origin);
  }
});

/** The frame in a page: what it obeyed, what it told, and a way to speak to it. */
function framed() {
  const obeyed: unknown[][] = [];
  const told: unknown[][] = [];
  const parent = { postMessage: (...said: unknown[]) => told.push(said) };
  Object.defineProperty(globalThis, "window", { value: { parent }, configurable: true });
  const orders = new Proxy({} as Orders, { get: (_, name) => (...values: unknown[]) => void obeyed.push([name, ...values]) });
  const host = new Host(SITE, orders);
  const say = (data: unknown, origin = "https://shop.example", source: unknown = parent) =>
    void dispatchEvent(Object.assign(new Event("message"), { data, origin, source }));
  return { host, obeyed, told, say };
}

test("the page around is answered at its own origin, never at every one", () => {
  const { host, told, say } = framed();
  host.tell("unread", { value: 1 });
  assert.deepEqual(told, []); // nobody is known yet
  say({ parley: 1, type: "hello" });
  host.tell("unread", { value: 2 });
  assert.deepEqual(told, [
    [{ parley: 1, type: "ready", name: SITE.name, accent: "#123456", side: "left" }, "https://shop.example"],
    [{ parley: 1, type: "unread", value: 2 }, "https://shop.example"],
  ]);
});

test("who is not the page around, or not of the site, is not heard", () => {
  const { obeyed, told, say } = framed();
  say({ parley: 1, type: "hello" }, "https://evil.example");
  say({ parley: 1, type: "hello" }, "null");
  say({ parley: 1, type: "identify", value: "jwt" }, "https://shop.example", { postMessage() {} });
  say({ parley: 1, type: "logout" }, "https://shop.example", null);
  assert.deepEqual([obeyed, told], [[], []]);
});

test("orders are obeyed, and nothing else does anything", () => {
  const { obeyed, say } = framed();
  for (const nonsense of [null, undefined, 7, "open", [], {}, { parley: 2, type: "logout" }, { type: "logout" }, { parley: 1, type: "constructor" }, { parley: 1 }, { parley: 1, type: "eval", value: "x" }]) {
    say(nonsense);
  }
  assert.deepEqual(obeyed, []);
  say({ parley: 1, type: "visible", value: true });
  say({ parley: 1, type: "visible", value: "yes" });
  say({ parley: 1, type: "identify", value: "jwt" });
  say({ parley: 1, type: "say", value: { toString: () => "x" } });
  say({ parley: 1, type: "say", value: "x".repeat(100_000) });
  say({ parley: 1, type: "logout" });
  assert.deepEqual(obeyed.slice(0, 4), [["visible", true], ["visible", false], ["identify", "jwt"], ["say", ""]]);
  assert.equal((obeyed[4]![1] as string).length, 16_000);
  assert.deepEqual(obeyed[5], ["logout"]);
});
