// What the customer asked for by a click: each thing once at a time, and what was said of those that were refused.

import { Refusal } from "./api.ts";

export class Requests {
  /** Things whose answer is on its way. */
  busy = new Set<string>();
  /** In the server's words; "" of those that got lost. */
  notes = new Map<string, string>();

  constructor(readonly changed: () => void) {}

  /** `once`: what was accepted stays busy, until the feed shows it decided. */
  async make(key: string, work: () => Promise<unknown>, once = false): Promise<void> {
    const { busy, notes } = this;
    if (busy.has(key)) return;
    busy.add(key);
    notes.delete(key);
    this.changed();
    try {
      await work();
      if (!once) busy.delete(key);
    } catch (error) {
      busy.delete(key);
      notes.set(key, error instanceof Refusal && error.status ? error.message : "");
    }
    this.changed();
  }

  /** What is still on its way has nobody who listens. */
  clear(): void {
    this.busy = new Set();
    this.notes = new Map();
  }
}
