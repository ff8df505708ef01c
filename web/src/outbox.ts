// What the customer said and the server has not acknowledged: kept over a reload, sent in order, each exactly once.

import type { Storage } from "./storage.ts";
import { token } from "./token.ts";

export interface Unsent {
  id: string; // client_message_id
  text: string;
  at: number;
  /** Where it belongs; nowhere yet, when it is the first of a conversation. */
  conversation?: string;
  /** Why it can't be sent, in words; the customer edits or drops it. */
  refused?: string;
}

const NAME = ":outbox";
/** After so long nobody expects it to be sent any more. */
const STALE_MS = 24 * 3600 * 1000;

export class Outbox {
  constructor(readonly storage: Storage) {}

  get unsent(): Unsent[] {
    const kept = this.storage.read(NAME);
    return Array.isArray(kept) ? (kept as Unsent[]).filter((m) => m && Date.now() - m.at < STALE_MS) : [];
  }

  add(text: string, conversation?: string): Unsent {
    const message: Unsent = { id: `w-${token()}`, text, at: Date.now() };
    if (conversation) message.conversation = conversation;
    this.#write([...this.unsent, message]);
    return message;
  }

  /** Where they belonged is gone: they belong to what comes next. */
  release(): void {
    if (this.unsent.length) this.#write(this.unsent.map(({ conversation: _gone, ...message }) => message));
  }

  drop(id: string): void {
    const { unsent } = this;
    if (unsent.some((message) => message.id === id)) this.#write(unsent.filter((message) => message.id !== id));
  }

  refuse(id: string, why: string): void {
    this.#write(this.unsent.map((message) => (message.id === id ? { ...message, refused: why } : message)));
  }

  #write(messages: Unsent[]): void {
    this.storage.write(NAME, messages);
  }
}
