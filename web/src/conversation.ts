// One customer's conversation in this browser: what is known of it, and everything that can be done with it.

import { type Api, Refusal, type Ticket } from "./api.ts";
import { Backoff } from "./backoff.ts";
import { Outbox, type Then, type Unsent } from "./outbox.ts";
import { Requests } from "./requests.ts";
import { Screen, type Told } from "./screen.ts";
import { fold } from "./state.ts";
import type { Kept, Storage } from "./storage.ts";
import { type Connection, Stream } from "./stream.ts";
import { token } from "./token.ts";
import type { Deliverable, Message, Site, Snapshot, Watched } from "./types.ts";

/** Items loaded at once: some screens full. */
export const PAGE = 60;
const LONGEST_WAIT_MS = 15_000;

export interface View {
  snapshot: Snapshot | undefined;
  unsent: Unsent[];
  connection: Connection;
  loading: boolean;
  /** What can't be done now, in the server's words. */
  problem: string;
  signInNeeded: boolean;
  /** As requests.ts has them. */
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
  #vouched = false; // the page has said who this is; the server may not have answered yet
  #lost = false; // the last words did not reach the server
  #requests: Requests;
  #screen = new Screen();
  #backoff = new Backoff(LONGEST_WAIT_MS);
  #accepted = new Map<string, Unsent>();
  #gone = 0; // conversations that were not there (any more), since the last message that arrived
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
    this.outbox = new Outbox(storage, (message) => this.#send(message), (message, error) => this.#sendFailed(message, error), changed);
    this.#requests = new Requests(changed);
    this.api.token = storage.kept.token;
    storage.watch(() => this.#otherTab());
    addEventListener("online", () => this.#online());
  }

  get view(): View {
    const { unsent } = this.outbox;
    const seen = new Set(this.#snapshot?.items.map((i) => (i as Message).client_message_id));
    const waiting = new Map([...this.#accepted.values(), ...unsent].map((m) => [m.id, m]));
    return {
      snapshot: this.#snapshot && this.#screen.of(this.#snapshot),
      unsent: [...waiting.values()].filter((m) => !seen.has(m.id) && this.#belongs(m)),
      connection: this.#snapshot || this.#loading ? this.#connection : !navigator.onLine ? "offline" : this.#lost && unsent.length ? "broken" : "live",
      loading: this.#loading,
      problem: this.#problem,
      signInNeeded: this.#signInNeeded || (this.site.identity_required && !this.#vouched && !this.storage.kept.customer),
      busy: this.#requests.busy,
      notes: this.#requests.notes,
    };
  }

  #belongs(message: Unsent): boolean {
    return !message.conversation || message.conversation === this.id;
  }

  /** The one that is open; undefined before there is one. */
  get id(): string | undefined {
    return this.#snapshot?.conversation ?? this.storage.kept.conversation;
  }

  // ---- which conversation

  /** The one that this browser left off with, if there is one. */
  resume(): Promise<void> {
    return this.#resume(() => this.#forget());
  }

  async #resume(refused: () => void): Promise<void> {
    const { conversation, token } = this.storage.kept;
    if (conversation && token) await this.#load(conversation, refused);
    this.outbox.flush();
  }

  /** Goes on with what another window keeps, and leaves nothing of it in this one. */
  take(kept: Kept): void {
    this.storage.setApart();
    this.storage.keep(kept);
    this.api.token = kept.token;
  }

  startNew(): void {
    this.#leave();
    const { conversation: _old, thread: _thread, ...rest } = this.storage.kept;
    this.storage.keep({ ...rest, thread: token() });
    this.changed();
  }

  async switchTo(conversation: string): Promise<void> {
    this.#leave();
    this.storage.keep({ ...this.storage.kept, conversation });
    await this.#load(conversation, () => this.startNew());
  }

  async others(): Promise<{ conversation: string; title: string; updated_at: number }[]> {
    if (!this.storage.kept.token) return [];
    return (await this.api.list()).conversations;
  }

  /** The business's server says who this is; what was said before as nobody is theirs, too. */
  identify(identity: string): Promise<void> {
    this.#vouched = true;
    this.changed();
    return this.#identify(identity, ++this.#who);
  }

  async #identify(identity: string, who: number, merging = true): Promise<void> {
    const before = merging ? this.storage.kept : {};
    const merge = before.token && !before.customer ? { merge: before.token } : {};
    try {
      await this.#become({ identity, ...merge }, before, who);
    } catch (error) {
      if (who !== this.#who) return;
      if (error instanceof Refusal && error.field === "merge") return this.#identify(identity, who, false);
      if (error instanceof Refusal && !error.passing) return this.#complain(error);
      setTimeout(() => who === this.#who && void this.#identify(identity, who, merging), this.#backoff.next(error));
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
    await this.#resume(() => this.startNew()); // it was another customer's
  }

  /** Nothing of the customer is left in this browser. */
  logout(): void {
    this.#who++;
    this.#vouched = false;
    this.#leave();
    this.storage.clear();
    this.api.token = undefined;
    this.changed();
  }

  #leave(): void {
    this.#era++;
    this.#stream?.close();
    clearTimeout(this.#loadTimer);
    this.outbox.halt();
    this.#stream = this.#snapshot = this.#arriving = undefined;
    this.#accepted.clear();
    this.#screen.clear();
    this.#requests.clear();
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

  /** `refused`: what is done when it is not there, or not for whom this token is of. */
  async #load(conversation: string, refused = () => this.#forget()): Promise<void> {
    const era = this.#era;
    clearTimeout(this.#loadTimer);
    this.#loading = !this.#snapshot;
    this.changed();
    try {
      const snapshot = await this.api.snapshot(conversation, PAGE);
      if (era === this.#era) this.#watch(snapshot);
    } catch (error) {
      if (era === this.#era) this.#loadFailed(conversation, error, refused);
    }
  }

  #watch(snapshot: Snapshot): void {
    this.#loading = false;
    this.#backoff.worked();
    this.#problem = "";
    this.#snapshot = snapshot;
    this.#stream?.close();
    this.#stream = new Stream(this.api, snapshot.conversation, this.#listener(snapshot.conversation));
    this.#stream.open();
    this.changed();
  }

  #loadFailed(conversation: string, error: unknown, refused: () => void): void {
    if (error instanceof Refusal && !error.passing) return refused();
    this.#connection = navigator.onLine ? "broken" : "offline";
    this.#loadTimer = setTimeout(() => void this.#load(conversation, refused), this.#backoff.next(error));
    this.changed();
  }

  #online(): void {
    const { conversation } = this.storage.kept;
    if (conversation && this.#loading) void this.#load(conversation);
    this.outbox.flush();
  }

  /** The conversation is gone, or the token is: a new one begins with the next message. */
  #forget(): void {
    const { customer } = this.storage.kept;
    this.#leave();
    this.storage.keep({});
    this.api.token = undefined;
    this.outbox.release();
    if (customer) this.expired();
    if (this.outbox.unsent.length) this.outbox.later(this.#backoff.next());
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
          self.#stream?.close();
          return void self.#load(conversation); // what is here is not what the server changed: its own is taken
        }
        if (event.type === "message.added") self.#arrived(event["client_message_id"]);
        if (event.type === "deliverable.shown" || event.type === "reset") self.#screen.settle(self.#snapshot!.items);
        self.heard(event);
        self.changed();
      },
      connection(state: Connection) {
        self.#connection = state;
        if (state === "live") self.outbox.flush();
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
    if (!s?.earlier) return;
    await this.#requests.make("earlier", async () => {
      const page = await this.api.items(s.conversation, s.earlier!, PAGE);
      const now = this.#snapshot;
      if (now?.conversation !== s.conversation || now.earlier !== s.earlier) return;
      this.#snapshot = { ...now, items: [...page.items, ...now.items], earlier: page.earlier };
    });
  }

  // ---- saying

  say(text: string): void {
    if (!text.trim()) return;
    this.outbox.add(text, this.id);
    this.changed();
    this.outbox.flush();
  }

  discard(id: string): void {
    this.outbox.drop(id);
    this.changed();
  }

  async #send(message: Unsent): Promise<void> {
    const era = this.#era;
    if (this.#belongs(message)) await this.#begin();
    const conversation = message.conversation ?? this.id;
    if (!conversation || era !== this.#era) return;
    await this.api.say(conversation, message.id, message.text);
    if (era === this.#era && conversation === this.id) this.#accepted.set(message.id, message);
    this.outbox.drop(message.id);
    if (era !== this.#era) return;
    this.#problem = "";
    this.#lost = false;
    this.#backoff.worked();
    this.#gone = 0;
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
      this.storage.keep({ token, ...this.storage.kept }); // of two tabs that begin at once, the first one counts
    }
    this.api.token = this.storage.kept.token;
    if (this.#snapshot) return;
    const { conversation, thread = token() } = this.storage.kept;
    this.storage.keep({ ...this.storage.kept, thread });
    const id = conversation ?? (await this.api.start({ thread, language: this.language() })).conversation;
    if (era !== this.#era) return;
    this.storage.keep({ ...this.storage.kept, conversation: id, thread });
    await this.#load(id);
  }

  #sendFailed(message: Unsent, error: unknown): Then {
    this.#lost = !(error instanceof Refusal && error.status);
    if (!(error instanceof Refusal) || error.passing) {
      if (error instanceof Refusal && error.status > 0) {
        this.#problem = error.message;
        this.outbox.close(error.retryAfter ?? 0);
      }
      return this.#backoff.next(error);
    }
    if (error.status === 401) {
      this.#signInNeeded = true;
      return "stay";
    }
    if (error.status === 404 && this.#belongs(message) && this.#gone++ < 2) {
      this.#forget();
      return "stay";
    }
    this.#gone = 0;
    if (error.status === 404 && !this.#belongs(message)) this.outbox.drop(message.id);
    else this.outbox.refuse(message.id, error.message);
    return "next";
  }

  async stop(): Promise<void> {
    await this.#requests.make("stop", () => this.api.stop(this.#id));
  }

  /** The last words again, as a new message: the turn that answered them failed. */
  retry(): void {
    const last = this.#snapshot?.items.findLast((i) => i.kind === "message" && i.role === "user") as Message | undefined;
    if (last) this.say(last.text);
  }

  // ---- answering

  async decide(interrupt: string, decision: "approve" | "reject", args?: string): Promise<void> {
    await this.#requests.make(interrupt, () => this.api.decide(this.#id, interrupt, decision, args), true);
  }

  async answer(deliverable: string, version: number, decision: string, answer?: object): Promise<void> {
    const key = `${deliverable}@${version}`;
    await this.#requests.make(key, () => this.api.answer(this.#id, deliverable, version, decision, answer), true);
  }

  async acknowledge(deliverable: string, version: number): Promise<void> {
    const key = `${deliverable}@${version}`;
    this.#screen.drew(key);
    const known = this.#snapshot?.items.find((item) => item.kind === "deliverable" && item.id === deliverable);
    if ((known as Deliverable | undefined)?.acknowledged) return;
    if (!this.#snapshot) return;
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
    const known = this.#snapshot?.items.some((item) => item.kind === "deliverable" && item.id === told.deliverable);
    if (!known && told.payload !== undefined && this.#snapshot) {
      this.#screen.put(told);
      this.changed();
    }
    return this.#screen.isDrawn(`${told.deliverable}@${told.version}`);
  }

  async rate(message: string, rating: "up" | "down"): Promise<void> {
    await this.#requests.make(message, () => this.api.feedback(this.#id, message, rating));
  }

  get #id(): string {
    return this.#snapshot!.conversation;
  }

  #complain({ message }: Refusal): void {
    this.#problem = message;
    this.changed();
  }
}
