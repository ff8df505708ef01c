// What every request says of itself, and what a refusal brings.

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { Peer } from "./peer.ts";
import { Api, Refusal } from "../src/api.ts";

let peer: Peer;
let url: string;

beforeEach(async () => {
  peer = new Peer();
  url = await peer.listen();
});

afterEach(() => peer.close());

test("every request asks for the chat's language, and says who asks once that is known", async () => {
  let language = "de";
  const api = new Api(url, () => language);
  api.token = (await api.arrive("shop", {})).token;
  const { conversation } = await api.start({});
  language = "ar";
  await api.say(conversation, "m1", "Hi");
  const stop = new AbortController();
  await api.events(conversation, "0", stop.signal);
  stop.abort();
  assert.deepEqual(
    peer.asked.map(({ language, token }) => [language, token]),
    [
      ["de", undefined],
      ["de", "token-1"],
      ["ar", "token-1"],
      ["ar", "token-1"],
    ],
  );
});

test("a refusal brings the server's words and the time to wait", async () => {
  const api = new Api(url, () => "de");
  peer.trouble.push({ path: /visitors/, what: { status: 429, code: "too_many", message: "Das war viel auf einmal.", retryAfter: 3 } });
  await assert.rejects(api.arrive("shop", {}), (refusal: Refusal) => {
    assert.deepEqual([refusal.code, refusal.message, refusal.retryAfter, refusal.passing], ["too_many", "Das war viel auf einmal.", 3, true]);
    return true;
  });
});
