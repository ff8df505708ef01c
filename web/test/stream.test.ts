import assert from "node:assert/strict";
import { test } from "node:test";
import { frames } from "../src/stream.ts";

const FEED = 'id: 7\ndata: {"seq":7}\n\n: beat\n\nid: 7.2\ndata: {"a":"€"}\n\n';

test("frames are whole, wherever the network cut them", () => {
  for (let cut = 0; cut <= FEED.length; cut++) {
    const first = frames(FEED.slice(0, cut));
    const second = frames(first.rest + FEED.slice(cut));
    assert.deepEqual([...first.data, ...second.data], ['{"seq":7}', '{"a":"€"}']);
    assert.equal(second.rest, "");
  }
});

test("a beat and a farewell say nothing", () => {
  assert.deepEqual(frames(": beat\n\nevent: bye\ndata: {}\n\n"), { data: [], rest: "" });
});

test("data in several lines is one text", () => {
  assert.deepEqual(frames('data: {"a":\ndata: 1}\n\n').data, ['{"a":\n1}']);
});
