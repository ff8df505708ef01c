// A page with its conversation, in front of a server on this machine; a new one for each test.

import { afterEach, beforeEach } from "node:test";
import { closeAll, connection } from "./browser.ts";
import { Peer } from "./peer.ts";
import { Api } from "../src/api.ts";
import { Conversation } from "../src/conversation.ts";
import { Storage } from "../src/storage.ts";
import type { Message, Site } from "../src/types.ts";

export const SITE = { key: "shop", identity_required: false } as Site;
export let peer: Peer;
export let url: string;
export const open: Conversation[] = [];
const waiting = new Set<() => void>();

beforeEach(async () => {
  localStorage.clear();
  peer = new Peer();
  url = await peer.listen();
});

afterEach(() => {
  for (const conversation of open.splice(0)) conversation.logout();
  peer.close();
  closeAll();
  connection(true);
});

export const changed = () => waiting.forEach((look) => look());

/** A page that has just been loaded. */
export function page(): Conversation {
  const conversation = new Conversation(SITE, new Api(url), new Storage("shop"), () => "en", changed);
  open.push(conversation);
  return conversation;
}

export function until(holds: () => boolean, what: string): Promise<void> {
  return new Promise((done, failed) => {
    const timer = setTimeout(() => failed(new Error(`never: ${what}`)), 20_000);
    const poll = setInterval(() => look(), 20);
    const look = () => {
      if (!holds()) return;
      clearTimeout(timer);
      clearInterval(poll);
      waiting.delete(look);
      done();
    };
    waiting.add(look);
    look();
  });
}

export const texts = (conversation: Conversation) =>
  (conversation.view.snapshot?.items ?? []).filter((item) => item.kind === "message").map((item) => (item as Message).text);
export const saw = (conversation: Conversation, ...wanted: string[]) => until(() => texts(conversation).join("|") === wanted.join("|"), wanted.join("|"));
export const settled = (conversation: Conversation) => until(() => conversation.view.unsent.length === 0, "nothing unsent");
