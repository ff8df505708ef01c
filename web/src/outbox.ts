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

/** The longest message that the server takes. */
export const MESSAGE_BYTES = 16 * 1024;
const NAME = ":outbox";
/** After so long nobody expects it to be sent any more. */
const STALE_MS = 24 * 3600 * 1000;

/** After one that could not be sent: the next one, so many milliseconds of patience, or nothing before the next flush. */
export type Then = "next" | "stay" | number;

export class Outbox {
  #sending = false;
  #round = 0; // rises when what is on its way is not listened to any more
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = 0; // nothing is sent before this moment of performance.now()

  constructor(
    readonly storage: Storage,
    readonly send: (message: Unsent) => Promise<void>,
    readonly failed: (message: Unsent, error: unknown) => Then,
    readonly changed: () => void,
  ) {}

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

  // ---- sending

  /** Sends what waits, in order, one after the other. */
  flush(): void {
    if (this.#sending) return;
    const early = this.#closed - performance.now();
    if (early > 0) return this.later(early);
    this.#sending = true;
    clearTimeout(this.#timer);
    const round = this.#round;
    void this.#sendAll(round).finally(() => {
      if (round === this.#round) this.#sending = false;
      this.changed();
    });
  }

  /** The server wants so many seconds of peace, whatever else happens here. */
  close(seconds: number): void {
    this.#closed = performance.now() + seconds * 1000;
  }

  later(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.flush(), ms);
  }

  /** Until the next flush. */
  halt(): void {
    this.#round++;
    this.#sending = false;
    clearTimeout(this.#timer);
  }

  async #sendAll(round: number): Promise<void> {
    for (;;) {
      const next = this.unsent.find((message) => !message.refused);
      if (!next || round !== this.#round) return;
      try {
        await this.send(next);
      } catch (error) {
        const then = round === this.#round ? this.failed(next, error) : "stay";
        if (typeof then === "number") this.later(then);
        if (then !== "next") return;
      }
    }
  }

  #write(messages: Unsent[]): void {
    this.storage.write(NAME, messages);
  }
}
