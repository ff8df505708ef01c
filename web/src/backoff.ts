// How long to wait before the next try: longer each time, and at least as long as the server asked for.

import { Refusal } from "./api.ts";

const FIRST_MS = 500;

export class Backoff {
  #failures = 0;

  constructor(readonly longest: number) {}

  get failing(): boolean {
    return this.#failures > 0;
  }

  worked(): void {
    this.#failures = 0;
  }

  /** Milliseconds. Half of them are chance, so that a crowd does not come back at once. */
  next(error?: unknown): number {
    const most = Math.min(this.longest, FIRST_MS * 2 ** this.#failures++);
    const wanted = error instanceof Refusal ? (error.retryAfter ?? 0) * 1000 : 0;
    return Math.max(wanted, most / 2 + (Math.random() * most) / 2);
  }
}
