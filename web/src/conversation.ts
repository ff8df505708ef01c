// One customer's conversation in this browser: what is known of it, and everything that can be done with it.

import { type Api, Refusal, type Ticket } from "./api.ts";
import { Outbox, type Unsent } from "./outbox.ts";
import { fold } from "./state.ts";
import type { Kept, Storage } from "./storage.ts";
import { type Connection, Stream } from "./stream.ts";
import { token } from "./token.ts";
import type { Deliverable, Message, Site, Snapshot, Watched } from "./types.ts";

/** Items loaded at once: some screens full. */
export const PAGE = 60;
const LONGEST_WAIT_MS = 15_000;
export const MESSAGE_BYTES = 16 * 1024;
/** Who shows something in a call waits for five seconds. */
const DRAWN_MS = 4000;

/** What the agent shows in a call; without a payload, when that is too large for the line. */
export type Told = Pick<Deliverable, "version"> & { deliverable: string; kind: string } & Partial<Pick<Deliverable, "payload" | "answers" | "expires_at">>;

export interface View {
  snapshot: Snapshot | undefined;
  unsent: Unsent[];
  connection: Connection;
  loading: boolean;
  /** What can't be done now, in the server's words. */
  problem: string;
  signInNeeded: boolean;
  /** Things whose answer is on its way, and what was said of those that were refused; "" of those that got lost. */
  busy: ReadonlySet<string>;
  notes: ReadonlyMap<string, string>;
}

export class Conversation {
  readonly outbox: Outbox;
  #snapshot: Snapshot | undefined;
  #stream: Stream | undefined;
  #connection: Connection = "connecting";
  #loading = false;
  #problem = "";
  #signInNeeded = false;
  #busy = new Set<string>();
  #notes = new Map<string, string>();
  #accepted = new Map<string, Unsent>();
  /** Shown in a call, and not yet by the feed. */
  #early = new Map<string, Deliverable>();
  #drawn = new Set<string>();
  #awaited = new Map<string, () => void>();
  #flushing = false;
  #failures = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #loadTimer: ReturnType<typeof setTimeout> | undefined;
  #arriving: Promise<void> | undefined;
  #who = 0; // rises with each word of the page about who is here: the last one counts
  #era = 0; // rises when somebody else is meant: what was asked before is then not listened to

  constructor(
    readonly site: Site,
    readonly api: Api,
    readonly storage: Storage,
    readonly language: () => string,
    readonly changed: () => void,
    readonly heard: (event: Watched) => void = () => {},
    /** Who was signed in is not any more: the business's page may vouch again. */
    readonly expired: () => void = () => {},
  ) {
    this.outbox = new Outbox(storage);
    this.api.token = storage.kept.token;
    storage.watch(() => this.#otherTab());
    addEventListener("online", () => this.#online());
  }

  get view(): View {
    const seen = new Set(this.#snapshot?.items.map((i) => (i as Message).client_message_id));
    const waiting = new Map([...this.#accepted.values(), ...this.outbox.unsent].map((m) => [m.id, m]));
    return {
      snapshot: this.#shown,
      unsent: [...waiting.values()].filter((m) => !seen.has(m.id) && this.#belongs(m)),
      connection: this.#snapshot || this.#loading ? this.#connection : navigator.onLine ? "live" : "offline",
      loading: this.#loading,
      problem: this.#problem,
      signInNeeded: this.#signInNeeded,
      busy: this.#busy,
      notes: this.#notes,
    };
  }

  #belongs(message: Unsent): boolean {
    return !message.conversation || message.conversation === this.#here;
  }

  get #here(): string | undefined {
    return this.#snapshot?.conversation ?? this.storage.kept.conversation;
  }

  /** The one that is open; undefined before there is one. */
  get id(): string | undefined {
    return this.#here;
  }

  get #shown(): Snapshot | undefined {
    const s = this.#snapshot;
    return s && this.#early.size ? { ...s, items: [...s.items, ...this.#early.values()] } : s;
  }

  // ---- which conversation

  /** The one that this browser left off with, if there is one. */
  async resume(): Promise<void> {
    const { conversation, token } = this.storage.kept;
    if (conversation && token) await this.#load(conversation);
    this.flush();
  }

  /** Goes on with what another window keeps, and leaves nothing of it in this one. */
  take(kept: Kept): void {
    this.storage.setApart();
    this.storage.keep(kept);
    this.api.token = kept.token;
  }

  async startNew(): Promise<void> {
    this.#leave();
    const { conversation: _old, thread: _thread, ...rest } = this.storage.kept;
    this.storage.keep({ ...rest, thread: token() });
    this.changed();
  }

  async switchTo(conversation: string): Promise<void> {
    this.#leave();
    this.storage.keep({ ...this.storage.kept, conversation });
    await this.#load(conversation);
  }

  async others(): Promise<{ conversation: string; title: string; updated_at: number }[]> {
    if (!this.storage.kept.token) return [];
    return (await this.api.list()).conversations;
  }

  /** The business's server says who this is; what was said before as nobody is theirs, too. */
  identify(identity: string): Promise<void> {
    return this.#identify(identity, ++this.#who);
  }

  async #identify(identity: string, who: number): Promise<void> {
    const before = this.storage.kept;
    const merge = before.token && !before.customer ? { merge: before.token } : {};
    try {
      await this.#become({ identity, ...merge }, before, who);
    } catch (error) {
      if (who !== this.#who) return;
      if (error instanceof Refusal && error.field === "merge") return this.#become({ identity }, {}, who);
      if (!(error instanceof Refusal) || !error.passing) return this.#complain(error);
      setTimeout(() => who === this.#who && void this.#identify(identity, who), this.#wait(error));
    }
  }

  async #become(said: { identity: string; merge?: string }, before: Kept, who: number): Promise<void> {
    const { token } = await this.api.arrive(this.site.key, said);
    if (who !== this.#who) return; // logged out meanwhile, or somebody else
    const same = said.merge !== undefined || before.customer ? before.conversation : undefined;
    if (!same) this.outbox.release();
    this.#leave();
    this.api.token = token;
    this.#signInNeeded = false;
    this.#problem = "";
    const kept = { token, customer: true, ...(before.thread ? { thread: before.thread } : {}) };
    this.storage.keep(same ? { ...kept, conversation: same } : kept);
    await this.resume();
  }

  /** Nothing of the customer is left in this browser. */
  logout(): void {
    this.#who++;
    this.#leave();
    this.storage.clear();
    this.api.token = undefined;
    this.changed();
  }

  #leave(): void {
    this.#era++;
    this.#stream?.close();
    clearTimeout(this.#timer);
    clearTimeout(this.#loadTimer);
    this.#flushing = false;
    this.#stream = this.#snapshot = this.#arriving = undefined;
    this.#accepted.clear();
    this.#early.clear();
    this.#drawn.clear();
    this.#busy.clear();
    this.#notes.clear();
    this.#problem = "";
    this.#loading = false;
  }

  #otherTab(): void {
    const { conversation, token } = this.storage.kept;
    const here = this.#snapshot?.conversation;
    if (token !== this.api.token || (conversation && conversation !== here && !this.#loading)) {
      this.#leave();
      this.api.token = token;
      void this.resume();
    }
    this.changed();
  }

  async #load(conversation: string): Promise<void> {
    const era = this.#era;
    clearTimeout(this.#loadTimer);
    this.#loading = !this.#snapshot;
    this.changed();
    try {
      const snapshot = await this.api.snapshot(conversation, PAGE);
      if (era === this.#era) this.#watch(snapshot);
    } catch (error) {
      if (era === this.#era) this.#loadFailed(conversation, error);
    }
  }

  #watch(snapshot: Snapshot): void {
    this.#loading = false;
    this.#failures = 0;
    this.#problem = "";
    this.#snapshot = snapshot;
    this.#stream?.close();
    this.#stream = new Stream(this.api, snapshot.conversation, this.#listener(snapshot.conversation));
    this.#stream.open();
    this.changed();
  }

  #loadFailed(conversation: string, error: unknown): void {
    if (error instanceof Refusal && !error.passing) return this.#forget();
    this.#connection = navigator.onLine ? "broken" : "offline";
    this.#loadTimer = setTimeout(() => void this.#load(conversation), this.#wait(error));
    this.changed();
  }

  #online(): void {
    const { conversation } = this.storage.kept;
    if (conversation && this.#loading) void this.#load(conversation);
    this.flush();
  }

  /** The conversation is gone, or the token is: a new one begins with the next message. */
  #forget(): void {
    const { customer } = this.storage.kept;
    this.#leave();
    this.storage.keep({});
    this.api.token = undefined;
    this.outbox.release();
    if (customer) this.expired();
    if (this.outbox.unsent.length) this.flush();
    this.changed();
  }

  #listener(conversation: string) {
    // eslint-disable-next-line @typescript-eslint/no-this-alias
    const self = this;
    const current = () => self.#snapshot?.conversation === conversation;
    return {
      get cursor() {
        return self.#snapshot?.version ?? "0";
      },
      watched(event: Watched) {
        if (!current()) return;
        try {
          self.#snapshot = fold(self.#snapshot!, event);
        } catch {
          return void self.#load(conversation); // what is here is not what the server changed: its own is taken
        }
        if (event.type === "message.added") self.#arrived(event["client_message_id"]);
        if (event.type === "deliverable.shown" || event.type === "reset") self.#settle();
        self.heard(event);
        self.changed();
      },
      connection(state: Connection) {
        self.#connection = state;
        if (state === "live") self.flush();
        self.changed();
      },
      lost() {
        if (current()) self.#forget();
      },
    };
  }

  #arrived(id: string | undefined): void {
    if (!id) return;
    this.#accepted.delete(id);
    this.outbox.drop(id);
  }

  async earlier(): Promise<void> {
    const s = this.#snapshot;
    if (!s?.earlier || this.#busy.has("earlier")) return;
    await this.#doing("earlier", async () => {
      const page = await this.api.items(s.conversation, s.earlier!, PAGE);
      const now = this.#snapshot;
      if (now?.conversation !== s.conversation || now.earlier !== s.earlier) return;
      this.#snapshot = { ...now, items: [...page.items, ...now.items], earlier: page.earlier };
    });
  }

  // ---- saying

  say(text: string): void {
    if (!text.trim()) return;
    this.outbox.add(text, this.#here);
    this.changed();
    this.flush();
  }

  discard(id: string): void {
    this.outbox.drop(id);
    this.changed();
  }

  /** Sends what waits, in order, one after the other. */
  flush(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    clearTimeout(this.#timer);
    const era = this.#era;
    void this.#sendAll(era).finally(() => {
      if (era === this.#era) this.#flushing = false;
      this.changed();
    });
  }

  async #sendAll(era: number): Promise<void> {
    for (;;) {
      const next = this.outbox.unsent.find((m) => !m.refused);
      if (!next || era !== this.#era) return;
      try {
        await this.#send(next);
        this.#problem = "";
        this.#failures = 0;
      } catch (error) {
        if (era === this.#era) this.#sendFailed(next, error);
        return;
      }
    }
  }

  async #send(message: Unsent): Promise<void> {
    const era = this.#era;
    if (this.#belongs(message)) await this.#begin();
    const conversation = message.conversation ?? this.storage.kept.conversation;
    if (!conversation || era !== this.#era) return;
    await this.api.say(conversation, message.id, message.text);
    if (era === this.#era && conversation === this.#here) this.#accepted.set(message.id, message);
    this.outbox.drop(message.id);
  }

  /** A token and a conversation; nobody has either before the first words. */
  #begin(): Promise<void> {
    this.#arriving ??= this.#arrive().finally(() => (this.#arriving = undefined));
    return this.#arriving;
  }

  async #arrive(): Promise<void> {
    const era = this.#era;
    if (!this.storage.kept.token) {
      const { token } = await this.api.arrive(this.site.key, {});
      if (era !== this.#era) return;
      this.storage.keep({ ...this.storage.kept, token });
    }
    this.api.token = this.storage.kept.token;
    if (this.#snapshot) return;
    const { conversation, thread = token() } = this.storage.kept;
    const id = conversation ?? (await this.api.start({ thread, language: this.language() })).conversation;
    if (era !== this.#era) return;
    this.storage.keep({ ...this.storage.kept, conversation: id, thread });
    await this.#load(id);
  }

  #sendFailed(message: Unsent, error: unknown): void {
    if (!(error instanceof Refusal) || error.passing) {
      if (error instanceof Refusal && error.status > 0) this.#problem = error.message;
      this.#timer = setTimeout(() => this.flush(), this.#wait(error));
    } else if (error.code === "identity_required" || error.status === 401) {
      this.#signInNeeded = true;
    } else if (error.status === 404 && !this.#belongs(message)) {
      this.outbox.drop(message.id);
      this.#flushing = false;
      this.flush();
    } else if (error.status === 404 && this.#failures++ < 2) {
      this.#forget();
    } else {
      this.outbox.refuse(message.id, error.message);
      this.#flushing = false;
      this.flush();
    }
  }

  #wait(error: unknown): number {
    const most = Math.min(LONGEST_WAIT_MS, 500 * 2 ** this.#failures++);
    const wanted = error instanceof Refusal ? (error.retryAfter ?? 0) * 1000 : 0;
    return Math.max(wanted, most / 2 + (Math.random() * most) / 2);
  }

  async stop(): Promise<void> {
    await this.#doing("stop", () => this.api.stop(this.#id));
  }

  /** The last words again, as a new message: the turn that answered them failed. */
  retry(): void {
    const last = this.#snapshot?.items.findLast((i) => i.kind === "message" && i.role === "user") as Message | undefined;
    if (last) this.say(last.text);
  }

  // ---- answering

  async decide(interrupt: string, decision: "approve" | "reject", args?: string): Promise<void> {
    await this.#doing(interrupt, () => this.api.decide(this.#id, interrupt, decision, args), true);
  }

  async answer(deliverable: string, version: number, decision: string, answer?: object): Promise<void> {
    const key = `${deliverable}@${version}`;
    await this.#doing(key, () => this.api.answer(this.#id, deliverable, version, decision, answer), true);
  }

  async acknowledge(deliverable: string, version: number): Promise<void> {
    const key = `${deliverable}@${version}`;
    this.#drawn.add(key);
    this.#awaited.get(key)?.();
    const known = this.#snapshot?.items.find((item) => item.kind === "deliverable" && item.id === deliverable);
    if ((known as Deliverable | undefined)?.acknowledged) return;
    await this.api.acknowledge(this.#id, deliverable, version).catch(() => undefined); // shown again, told again
  }

  // ---- speaking

  /** A ticket for a call in this conversation, which begins with it where there is none. Throws Refusal. */
  async invite(): Promise<Ticket & { conversation: string; hangUp(): void }> {
    try {
      await this.#begin();
    } catch (error) {
      this.#signInNeeded ||= error instanceof Refusal && error.status === 401;
      throw error;
    }
    const { api } = this;
    const { token } = api;
    const conversation = this.#id;
    const ticket = await api.call(conversation);
    return { ...ticket, conversation, hangUp: () => api.hangUp(conversation, ticket.session, token) };
  }

  /** It stands in the thread at once, also when the feed is late; true when it was drawn. */
  async shows(told: Told): Promise<boolean> {
    const { deliverable: id, version, kind: type, payload, answers = [], expires_at = null } = told;
    const known = this.#snapshot?.items.some((item) => item.kind === "deliverable" && item.id === id);
    if (!known && payload !== undefined && this.#snapshot) {
      const fresh = { status: "shown", acknowledged: false, answer: null, versions: [], turn: "", at: Date.now() };
      this.#early.set(id, { kind: "deliverable", id, type, version, payload, answers, expires_at, ...fresh });
      this.changed();
    }
    return this.#isDrawn(`${id}@${version}`);
  }

  #isDrawn(key: string): Promise<boolean> {
    if (this.#drawn.has(key)) return Promise.resolve(true);
    return new Promise((done) => {
      const end = (drawn: boolean) => {
        clearTimeout(timer);
        this.#awaited.delete(key);
        done(drawn);
      };
      const timer = setTimeout(() => end(false), DRAWN_MS);
      this.#awaited.set(key, () => end(true));
    });
  }

  /** What the feed has brought is no longer early. */
  #settle(): void {
    if (!this.#early.size) return;
    for (const item of this.#snapshot!.items) if (item.kind === "deliverable") this.#early.delete(item.id);
  }

  async rate(message: string, rating: "up" | "down"): Promise<void> {
    await this.#doing(message, () => this.api.feedback(this.#id, message, rating));
  }

  get #id(): string {
    return this.#snapshot!.conversation;
  }

  /** `once`: what was accepted stays busy, until the feed shows it decided. */
  async #doing(key: string, work: () => Promise<unknown>, once = false): Promise<void> {
    if (this.#busy.has(key)) return;
    this.#busy.add(key);
    this.#notes.delete(key);
    this.changed();
    try {
      await work();
      if (!once) this.#busy.delete(key);
    } catch (error) {
      this.#busy.delete(key);
      this.#notes.set(key, error instanceof Refusal && error.status ? error.message : "");
    }
    this.changed();
  }

  #complain(error: unknown): void {
    this.#problem = error instanceof Refusal ? error.message : String(error);
    this.changed();
  }
}
