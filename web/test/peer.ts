// A server as far as the widget's talking with it needs one: real sockets, which can break at the worst moments.

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

type Event = Record<string, unknown> & { seq: number; type: string };
/** What happens to a request: "refuse" a socket, "lose" the answer after the work was done, or an answer of this status. */
export type Trouble = "refuse" | "lose" | { status: number; code?: string; field?: string; message?: string; retryAfter?: number };

export class Peer {
  readonly log: Event[] = [];
  readonly accepted = new Map<string, string>();
  readonly asked: { method: string; path: string; after: string | undefined; token: string | undefined; language: string | undefined; body: Record<string, unknown> }[] = [];
  readonly trouble: { path: RegExp; what: Trouble }[] = [];
  readonly #server = createServer((request, response) => void this.#answer(request, response));
  readonly #feeds = new Set<ServerResponse>();
  readonly #threads: string[] = [];
  #visitors = 0;

  async listen(): Promise<string> {
    await new Promise<void>((ready) => this.#server.listen(0, "127.0.0.1", ready));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  /** Every open feed breaks. */
  breakFeeds(): void {
    for (const feed of this.#feeds) feed.destroy();
    this.#feeds.clear();
  }

  /** Every open feed stays open, and nothing comes of it any more. */
  forgetFeeds(): void {
    this.#feeds.clear();
  }

  happens(event: Record<string, unknown> & { type: string }): void {
    this.happenTogether(event);
  }

  /** Read at once by whoever listens. */
  happenTogether(...events: (Record<string, unknown> & { type: string })[]): void {
    const from = this.log.length;
    for (const event of events) this.log.push({ seq: this.log.length + 1, at: Date.now(), ...event });
    for (const feed of this.#feeds) feed.write(this.log.slice(from).map(frame).join(""));
  }

  count(path: RegExp): number {
    return this.asked.filter((one) => path.test(`${one.method} ${one.path}`)).length;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url!.split("?")[0]!;
    const method = request.method!;
    let text = "";
    for await (const chunk of request) text += String(chunk);
    const body = text ? (JSON.parse(text) as Record<string, unknown>) : {};
    const after = request.headers["last-event-id"] as string | undefined;
    const { authorization, "accept-language": language } = request.headers;
    this.asked.push({ method, path, after, token: authorization?.slice(7), language, body });
    const place = this.trouble.findIndex((one) => one.path.test(`${method} ${path}`));
    const trouble = place < 0 ? undefined : this.trouble.splice(place, 1)[0]!.what;
    if (trouble === "refuse") return void request.socket.destroy();
    if (typeof trouble === "object") return refused(response, trouble);
    const out = this.#done(method, path, body, after, response);
    if (trouble === "lose") return void request.socket.destroy();
    if (out) response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify(out));
  }

  #done(method: string, path: string, body: Record<string, unknown>, after: string | undefined, response: ServerResponse): object | undefined {
    if (path.endsWith("/visitors")) return { token: `token-${++this.#visitors}`, subject_is: body["identity"] ? "customer" : "visitor" };
    if (path === "/conversations") return this.#started(body);
    if (path.endsWith("/messages")) return this.#said(body);
    if (path.endsWith("/events")) return void this.#feed(Number(after), response);
    if (method === "GET") return { ...this.#snapshot(), conversation: path.split("/").at(-1) };
    return {};
  }

  #started(body: Record<string, unknown>): object {
    if (!this.log.length) this.happens({ type: "conversation.started", site: "s", team: "t", agent: "a" });
    const threads = this.#threads;
    const thread = String(body["thread"]);
    if (!threads.includes(thread)) threads.push(thread);
    return { conversation: `conv_${threads.indexOf(thread) + 1}` };
  }

  #said(body: Record<string, unknown>): object {
    const [id, text] = [body["client_message_id"] as string, body["text"] as string];
    if (!this.accepted.has(id)) {
      this.accepted.set(id, text);
      this.happens({ type: "message.added", message: `msg_${this.accepted.size}`, role: "user", text, client_message_id: id });
    }
    return { turn: "turn_1", message: "msg_1", cursor: String(this.log.length) };
  }

  #snapshot(): object {
    const items = this.log
      .filter((event) => event.type === "message.added")
      .map((e) => ({ kind: "message", id: e["message"], role: e["role"], text: e["text"], status: "complete", client_message_id: e["client_message_id"], at: 1 }));
    return { version: String(this.log.length), items, draft: null, turn: null, open: [], state: {}, floor: { holder: "agent", name: null }, usage: {}, last_turn: null };
  }

  #feed(after: number, response: ServerResponse): void {
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.flushHeaders();
    for (const event of this.log.slice(after)) response.write(frame(event));
    this.#feeds.add(response);
    response.on("close", () => this.#feeds.delete(response));
  }
}

function frame(event: Event): string {
  return `id: ${event.seq}\ndata: ${JSON.stringify(event)}\n\n`;
}

function refused(response: ServerResponse, { status, code = "x", field, message = "No.", retryAfter }: Exclude<Trouble, string>): void {
  if (retryAfter) response.setHeader("Retry-After", String(retryAfter));
  response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify({ error: { code, field, message } }));
}
