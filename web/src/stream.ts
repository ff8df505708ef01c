// The conversation's feed: server-sent events over fetch (EventSource can't send a token), resumed from the last id.

import { type Api, Refusal } from "./api.ts";
import { Backoff } from "./backoff.ts";
import type { Watched } from "./types.ts";

/** The server beats every 10 seconds; three missing beats are a broken line. */
const SILENCE_MS = 30_000;
const LONGEST_WAIT_MS = 5_000;

export type Connection = "connecting" | "live" | "broken" | "offline";

export interface Listener {
  /** Where to go on from. */
  readonly cursor: string;
  watched(event: Watched): void;
  connection(state: Connection): void;
  /** The conversation is not there (any more), or not ours. */
  lost(refusal: Refusal): void;
}

/** Frames of `text`, and what is left of it: the beginning of the next one. Pure. */
export function frames(text: string): { data: string[]; rest: string } {
  const blocks = text.split("\n\n");
  const rest = blocks.pop()!;
  const data: string[] = [];
  for (const block of blocks) {
    const lines = block.split("\n");
    if (lines.some((line) => line.startsWith("event:"))) continue; // the farewell
    const parts = lines.filter((line) => line.startsWith("data:")).map((line) => line.slice(5).replace(/^ /, ""));
    if (parts.length) data.push(parts.join("\n"));
  }
  return { data, rest };
}

export class Stream {
  #abort: AbortController | undefined;
  #backoff = new Backoff(LONGEST_WAIT_MS);
  #timer: ReturnType<typeof setTimeout> | undefined;
  #silence: ReturnType<typeof setTimeout> | undefined;

  constructor(
    readonly api: Api,
    readonly conversation: string,
    readonly listener: Listener,
  ) {
    addEventListener("online", this.#hurry);
    addEventListener("offline", this.#gone);
    document.addEventListener("visibilitychange", this.#seen);
    addEventListener("pageshow", this.#back);
  }

  open(): void {
    clearTimeout(this.#timer);
    this.#abort?.abort();
    const abort = (this.#abort = new AbortController());
    this.listener.connection(navigator.onLine ? "connecting" : "offline");
    void this.#read(abort).then(
      () => this.#again(abort),
      (error: unknown) => this.#failed(abort, error),
    );
  }

  close(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#silence);
    this.#abort?.abort();
    this.#abort = undefined;
    removeEventListener("online", this.#hurry);
    removeEventListener("offline", this.#gone);
    document.removeEventListener("visibilitychange", this.#seen);
    removeEventListener("pageshow", this.#back);
  }

  async #read(abort: AbortController): Promise<void> {
    this.#listen(abort);
    const response = await this.api.events(this.conversation, this.listener.cursor, abort.signal);
    this.#backoff.worked();
    this.listener.connection("live");
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    for (let waiting = ""; ; ) {
      const { done, value } = await reader.read();
      if (done || abort.signal.aborted) return;
      this.#listen(abort);
      const { data, rest } = frames(waiting + value);
      waiting = rest;
      for (const text of data) if (!abort.signal.aborted) this.listener.watched(JSON.parse(text) as Watched);
    }
  }

  #listen(abort: AbortController): void {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => abort.abort("silence"), SILENCE_MS);
  }

  #failed(abort: AbortController, error: unknown): void {
    if (error instanceof Refusal && !error.passing) return this.#lost(abort, error);
    this.#again(abort, error);
  }

  #lost(abort: AbortController, refusal: Refusal): void {
    if (abort === this.#abort) this.listener.lost(refusal);
  }

  #again(abort: AbortController, error?: unknown): void {
    if (abort !== this.#abort) return; // closed, or opened anew meanwhile
    clearTimeout(this.#silence);
    this.listener.connection(navigator.onLine ? "broken" : "offline");
    this.#timer = setTimeout(() => this.open(), this.#backoff.next(error));
  }

  readonly #hurry = (): void => {
    this.#backoff.worked();
    this.open();
  };

  readonly #gone = (): void => this.listener.connection("offline");

  /** Out of the browser's memory: what the line brought meanwhile may be lost, and nothing more come of it. */
  readonly #back = (event: PageTransitionEvent): void => {
    if (event.persisted) this.#hurry();
  };

  /** A page that slept may have lost its line without hearing of it. */
  readonly #seen = (): void => {
    if (document.visibilityState === "visible" && this.#backoff.failing) this.#hurry();
  };
}
