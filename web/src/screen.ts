// What a call shows before the feed brings it; and what was drawn, since the agent that shows something waits for that.

import type { Deliverable, Item, Snapshot } from "./types.ts";

/** Who shows something in a call waits for five seconds. */
const DRAWN_MS = 4000;

/** What the agent shows in a call; without a payload, when that is too large for the line. */
export type Told = Pick<Deliverable, "version"> & { deliverable: string; kind: string } & Partial<Pick<Deliverable, "payload" | "answers" | "expires_at">>;

export class Screen {
  #early = new Map<string, Deliverable>();
  #drawn = new Set<string>();
  #awaited = new Map<string, () => void>();

  /** The conversation, and what is early. */
  of(snapshot: Snapshot): Snapshot {
    return this.#early.size ? { ...snapshot, items: [...snapshot.items, ...this.#early.values()] } : snapshot;
  }

  put({ deliverable: id, version, kind: type, payload, answers = [], expires_at = null }: Told): void {
    const fresh = { status: "shown", acknowledged: false, answer: null, versions: [], turn: "", at: Date.now() };
    this.#early.set(id, { kind: "deliverable", id, type, version, payload, answers, expires_at, ...fresh });
  }

  /** What the feed has brought is no longer early. */
  settle(items: readonly Item[]): void {
    if (this.#early.size) for (const item of items) if (item.kind === "deliverable") this.#early.delete(item.id);
  }

  drew(key: string): void {
    this.#drawn.add(key);
    this.#awaited.get(key)?.();
  }

  /** Waits for it; false when it was not drawn in time. */
  isDrawn(key: string): Promise<boolean> {
    if (this.#drawn.has(key)) return Promise.resolve(true);
    return new Promise((done) => {
      const end = () => {
        clearTimeout(timer);
        this.#awaited.delete(key);
        done(this.#drawn.has(key));
      };
      const timer = setTimeout(end, DRAWN_MS);
      this.#awaited.set(key, end);
    });
  }

  clear(): void {
    this.#early.clear();
    this.#drawn.clear();
  }
}
