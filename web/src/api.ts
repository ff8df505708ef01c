// The server's routes, as this page uses them. Every refusal is a Refusal, with words that may be shown.

import type { Item, Snapshot } from "./types.ts";

export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly field: string | undefined,
    /** Seconds, where the server named a time. */
    readonly retryAfter: number | undefined,
  ) {
    super(message);
  }

  /** The server, or the way to it, is not well; the same may work later. */
  get passing(): boolean {
    return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500;
  }
}

export interface Accepted {
  turn: string | null;
  message: string;
  cursor: string;
}

/** A place in a call. */
export interface Ticket {
  session: string;
  url: string;
  token: string;
}

export interface Page {
  items: Item[];
  earlier: number;
}

const SECONDS = 20;

export class Api {
  token: string | undefined;

  /** `language`: what the server's refusals are said in. */
  constructor(
    readonly base = "",
    readonly language = () => "en",
  ) {}

  arrive(site: string, body: { identity?: string; merge?: string }): Promise<{ token: string; subject_is: string }> {
    return this.#ask("POST", `/sites/${site}/visitors`, body, false);
  }

  start(body: { thread?: string; language?: string }): Promise<{ conversation: string }> {
    return this.#ask("POST", "/conversations", body);
  }

  list(): Promise<{ conversations: { conversation: string; title: string; updated_at: number }[] }> {
    return this.#ask("GET", "/conversations?limit=20");
  }

  snapshot(conversation: string, newest: number): Promise<Snapshot> {
    return this.#ask("GET", `/conversations/${conversation}?newest=${newest}`);
  }

  items(conversation: string, before: number, limit: number): Promise<Page> {
    return this.#ask("GET", `/conversations/${conversation}/items?before=${before}&limit=${limit}`);
  }

  say(conversation: string, clientMessageId: string, text: string): Promise<Accepted> {
    return this.#ask("POST", `/conversations/${conversation}/messages`, { client_message_id: clientMessageId, text });
  }

  stop(conversation: string): Promise<{ stopped: boolean }> {
    return this.#ask("POST", `/conversations/${conversation}/stop`, {});
  }

  /** `args`: JSON as it is to be sent, since JavaScript rounds large numbers. */
  decide(conversation: string, interrupt: string, decision: "approve" | "reject", args?: string): Promise<unknown> {
    const body = args ? `{"decision":"${decision}","arguments":${args}}` : { decision };
    return this.#ask("POST", `/conversations/${conversation}/interrupts/${interrupt}`, body);
  }

  acknowledge(conversation: string, deliverable: string, version: number): Promise<unknown> {
    return this.#ask("POST", `/conversations/${conversation}/deliverables/${deliverable}/acknowledgement`, { version });
  }

  answer(conversation: string, deliverable: string, version: number, decision: string, answer?: object): Promise<unknown> {
    const body = answer ? { version, decision, answer } : { version, decision };
    return this.#ask("POST", `/conversations/${conversation}/deliverables/${deliverable}/decision`, body);
  }

  feedback(conversation: string, message: string, rating: "up" | "down"): Promise<unknown> {
    return this.#ask("POST", `/conversations/${conversation}/feedback`, { message, rating });
  }

  /** Whether the microphone can be offered now: in this conversation, or in one to come. */
  voice(site: string, conversation: string | undefined): Promise<{ available: boolean }> {
    return this.#ask("GET", conversation ? `/conversations/${conversation}/voice` : `/sites/${site}/voice`, undefined, !!conversation);
  }

  call(conversation: string): Promise<Ticket> {
    return this.#ask("POST", `/conversations/${conversation}/voice`, {});
  }

  /** Told on the way out, too; `token` is whoever called's, who may have gone since. */
  hangUp(conversation: string, session: string, token: string | undefined): void {
    const headers = { Authorization: `Bearer ${token}` };
    const url = `${this.base}/conversations/${conversation}/voice?session=${session}`;
    fetch(url, { method: "DELETE", headers, keepalive: true }).catch(() => undefined); // who has left is seen, too
  }

  /** The feed from a place in the conversation; its body is read by stream.ts. Throws Refusal. */
  async events(conversation: string, after: string, signal: AbortSignal): Promise<Response> {
    const headers = { ...this.#headers(), Accept: "text/event-stream", "Last-Event-ID": after };
    const url = `${this.base}/conversations/${conversation}/events?format=parley`;
    const response = await reached(fetch(url, { headers, signal, cache: "no-store" }));
    if (!response.ok) throw await refusal(response);
    return response;
  }

  #headers(known = true): Record<string, string> {
    const headers = { "Accept-Language": this.language() };
    return known && this.token ? { ...headers, Authorization: `Bearer ${this.token}` } : headers;
  }

  async #ask<T>(method: string, path: string, body?: object | string, known = true): Promise<T> {
    const headers = this.#headers(known);
    if (body) headers["Content-Type"] = "application/json";
    const signal = AbortSignal.timeout(SECONDS * 1000);
    const init: RequestInit = { method, headers, signal, keepalive: method === "POST" };
    if (body) init.body = typeof body === "string" ? body : JSON.stringify(body);
    const response = await reached(fetch(this.base + path, init));
    if (!response.ok) throw await refusal(response);
    return (response.status === 204 ? undefined : await response.json()) as T;
  }
}

async function reached(response: Promise<Response>): Promise<Response> {
  try {
    return await response;
  } catch (error) {
    throw new Refusal(0, "unreachable", String(error), undefined, undefined);
  }
}

async function refusal(response: Response): Promise<Refusal> {
  let said: { code?: string; message?: string; field?: string } = {};
  try {
    said = ((await response.json()) as { error?: typeof said }).error ?? {};
  } catch {
    // a proxy's page
  }
  const seconds = Number(response.headers.get("Retry-After"));
  return new Refusal(response.status, said.code ?? "", said.message ?? "", said.field, seconds || undefined);
}
